"""The file of attestations: what is read of it, and where each mistake stands."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.attestations_file import Attestation, parse, read
from connectors.errors import DataError
from connectors.events import NS

GOOD = """\
[[attestation]]
issuer = "backed"
token = "TSLAx"
units = 125_000.123456789012345678
as_of = 2026-11-01T12:00:00+02:00

[[attestation]]          # a day alone is its first moment in UTC
issuer = "backed"
token = "SPYx"
units = 7
as_of = 2026-11-01
"""
DAY_NS = 1_793_491_200 * NS
"""1 November 2026, 00:00 UTC."""


def test_units_are_read_to_their_last_digit_and_times_in_their_zone(tmp_path: Path) -> None:
    """
    Noon two hours east of Greenwich is ten o'clock; the order is that of the file, a mark at its beginning is no text.
    """
    path = tmp_path / "backing.toml"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")
    assert (
        Attestation("backed", "TSLAx", Decimal("125000.123456789012345678"), DAY_NS + 10 * 3600 * NS),
        Attestation("backed", "SPYx", Decimal(7), DAY_NS),
    ) == read(path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("units = 7", "units = -7", "f.toml:7: units is -7"),
        ("units = 7", "units = nan", "f.toml:7: units is NaN"),
        ("units = 7", "units = true", "f.toml:7: units is no number"),
        ("units = 7", "", "f.toml:7: an attestation has issuer, token, units and as_of; look at units"),
        ("units = 7", "units = 7\nshares = 7", "look at shares"),
        ('token = "SPYx"', 'token = ""', "f.toml:7: token is no text"),
        ("as_of = 2026-11-01\n", 'as_of = "2026-11-01"\n', "f.toml:7: as_of is no time"),
        ("+02:00", "", "f.toml:1: as_of has no zone"),
        ("units = 7", "units = = 7", "f.toml:10: not TOML"),
        ("[[attestation]]          #", "[[attest]] #", "f.toml:1: unknown: attest"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(before: str, after: str, said: str) -> None:
    """
    The line is that of the table, or of what is no TOML.
    """
    assert before in GOOD
    with pytest.raises(DataError) as caught:
        parse(GOOD.replace(before, after, 1), "f.toml")
    assert said in str(caught.value)


@given(st.text(max_size=80) | st.text(alphabet='[]a\n="1.', max_size=80).map(lambda text: GOOD + text))
def test_whatever_stands_there_is_read_or_refused(text: str) -> None:
    """
    No other error leaves the parser.
    """
    try:
        found = parse(text, "f.toml")
    except DataError:
        return
    assert all(one.units >= 0 for one in found)
