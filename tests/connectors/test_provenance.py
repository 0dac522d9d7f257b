"""Where a share's price came from: packed into one float, and back; shown by page, metrics and peg."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.peg_fair import origins
from connectors.events import Kind, Row, Rows
from connectors.instruments import Instrument, Role, Universe
from connectors.provenance import SESSIONS, Provenance, Source, pack, unpack
from connectors.tape import TapeWriter, open_tape

CODES = st.sampled_from(["", *map(chr, range(33, 127))])


@given(
    source=st.sampled_from(Source), session=st.sampled_from(SESSIONS), bid=CODES, ask=CODES,
    conditions=st.lists(CODES, max_size=2).map("".join),
)  # fmt: skip
def test_what_is_packed_is_unpacked(source: Source, session: str, bid: str, ask: str, conditions: str) -> None:
    """Any source, session, exchange codes and up to two conditions come back from the float that a row carries."""
    told = Provenance(source, session, bid, ask, conditions)
    assert told == unpack(told.extra)
    assert told.extra == float(int(told.extra)) < 2**41


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_is_read_without_a_fault(extra: float) -> None:
    """A number from elsewhere is no provenance or one with absent parts; never an error."""
    found = unpack(extra)
    assert found is None or found.session in SESSIONS


def test_what_does_not_fit_is_left_out() -> None:
    """An unknown session, a code of two letters' first, a letter that is none."""
    assert Provenance(Source.SIP, "", "N", "", "R") == unpack(pack(Source.SIP, "noon", "NQ", "\u00e9", "R"))


def test_a_tape_tells_where_its_references_came_from(tmp_path: Path) -> None:
    """`pegline peg` names streams and sessions of each share source; rows that say nothing are left out."""
    universe = Universe(
        tuple(Instrument(venue=v, symbol="S", role=Role.SHARE, underlying="S") for v in ("alpaca", "plain"))
    )
    extras = (
        pack(Source.SIP, "", "Q", "V", "R"),
        pack(Source.IEX, "", "V", "V"),
        pack(Source.SIP, "post"),
        float("nan"),
    )
    rows = [
        Row(ts_recv=10**18 + at, instrument=int(at == 3), kind=Kind.REFERENCE, bid=1.0, ask=1.1, extra=extra)
        for at, extra in enumerate(extras)
    ]
    writer = TapeWriter(tmp_path / "tape", universe, {})
    writer.append(Rows.of(rows))
    writer.close()
    assert {"alpaca:S": ["iex", "sip", "sip post"]} == origins(open_tape(tmp_path / "tape"))


@pytest.mark.parametrize("codes", [("Q", "V"), ("V", "V")])
def test_it_reads_as_words(codes: tuple[str, str]) -> None:
    """Feed, session, exchanges and conditions; the same exchange twice is said once."""
    shown = "/".join(dict.fromkeys(codes))
    assert f"sip regular {shown} R" == str(Provenance(Source.SIP, "regular", *codes, "R"))
