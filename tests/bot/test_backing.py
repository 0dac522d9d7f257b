"""Attestations against supplies: what is sound, what is short or old, and what it bars."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bot.assembly import backing_of
from bot.attestations_file import Attestation
from bot.backing import Backing
from bot.cli import main
from bot.config import Config
from bot.config_file import load
from connectors.events import NS, Kind, Row, Rows
from connectors.instruments import Instrument, Role, Universe
from monitoring.backing import samples, told, troubles

DAY = 86_400 * NS
NOW = 1000 * DAY
UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T/USD", role=Role.TOKEN, underlying="S", token="T", issuer="i"),
        Instrument(venue="p", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i", chain="one"),
        Instrument(venue="q", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i", chain="two"),
        Instrument(venue="q", symbol="U", role=Role.TOKEN, underlying="S", token="U", issuer="j", chain="two"),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
    )
)


def attested(units: int, days_ago: float, token: str = "T", issuer: str = "i") -> Attestation:
    """So many days before now."""
    return Attestation(issuer, token, Decimal(units), NOW - round(days_ago * DAY))


def watch(*attestations: Attestation, supplies: dict[int, float] | None = None) -> Backing:
    """With an allowed age of 40 days, after the supplies by instrument were told."""
    backing = Backing(UNIVERSE, attestations, 40 * DAY)
    tell(backing, supplies or {})
    return backing


def tell(backing: Backing, supplies: dict[int, float]) -> None:
    """Rows as feeds of chains tell them."""
    rows = [Row(ts_recv=NOW, instrument=at, kind=Kind.SUPPLY, bid=units) for at, units in supplies.items()]
    backing.begin(Rows.of(rows))
    backing.pass_to(len(rows))


def test_a_config_that_names_the_file_goes_by_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The path is relative to the config, the age the config's. A mistake in the file, or none at all, is one of the
    config: `pegline check` tells line and remedy.
    """
    config, file = tmp_path / "config.toml", tmp_path / "backing.toml"
    config.write_text('[run]\nattestations_file = "backing.toml"\n[gates]\nmax_attestation_age_days = 2\n')
    entry = '[[attestation]]\nissuer = "i"\ntoken = "T"\nunits = 5\nas_of = 1972-09-25\n'
    file.write_text(entry)
    backing = backing_of(load(config), UNIVERSE)
    assert backing is not None
    assert [("sound", 0.5), ("old", 1.5)] == [
        (one.state, one.age_ratio) for days in (-1, 1) for one in backing.states(NOW + days * DAY)
    ]
    assert 0 == main(["check", str(config)])
    file.write_text(entry.replace("units = 5", "units = -5"))
    assert 3 == main(["check", str(config)])
    said = capsys.readouterr().err
    assert "config.toml:2" in said and "backing.toml:1: units is -5" in said
    file.unlink()
    assert 3 == main(["check", str(config)])
    assert backing_of(Config(), UNIVERSE) is None


@pytest.mark.parametrize(
    ("attestations", "supplies", "state"),
    [
        ((), {1: 5.0}, {}),
        ((attested(100, 1),), {}, {"T": "sound"}),
        ((attested(100, 1),), {1: 60.0, 2: 40.0}, {"T": "sound"}),
        ((attested(100, 1),), {1: 60.0, 2: 40.001}, {"T": "short"}),
        ((attested(100, 1),), {2: 101.0}, {"T": "short"}),
        ((attested(100, 40),), {}, {"T": "sound"}),
        ((attested(100, 40.001),), {}, {"T": "old"}),
        ((attested(100, 50), attested(120, 2)), {1: 110.0}, {"T": "sound"}),
        ((attested(120, 2), attested(100, 50)), {1: 110.0}, {"T": "sound"}),
        ((attested(100, 2), attested(120, -1)), {1: 110.0}, {"T": "short"}),
        ((attested(100, -1),), {}, {"T": "old"}),
        ((attested(100, 1, issuer="x"),), {1: 500.0}, {}),
        ((attested(0, 1),), {1: 0.0}, {"T": "sound"}),
    ],
)
def test_the_newest_attestation_of_a_past_moment_is_held_against_all_chains_together(
    attestations: tuple[Attestation, ...], supplies: dict[int, float], state: dict[str, str]
) -> None:
    """
    Nothing is judged of which nothing is attested; a supply that nobody tells cannot be short; two chains add up; at
    the allowed age it is still good, after it not; one of tomorrow is not known today; another issuer's word is none.
    """
    assert state == {one.token: one.state for one in watch(*attestations, supplies=supplies).states(NOW)}


def test_all_places_of_a_token_are_barred_and_no_other() -> None:
    """
    Every venue of T, with the numbers; U, which is sound, and the share trade on.
    """
    backing = watch(attested(100, 1), attested(9, 1, "U", "j"), supplies={1: 101.0, 3: 9.0})
    backing.look(NOW)
    assert {0, 1, 2} == backing.bars.keys()
    assert backing.bars[0].startswith("T: 101 units on chains, 100 attested by i as of ")


def test_a_change_is_noted_once_and_lifted_by_the_next_supply() -> None:
    """
    From sound to short and back: two notes, told as bad and good; looks in between say nothing.
    """
    backing = watch(attested(100, 1), supplies={1: 99.0})
    found = backing.look(NOW)
    tell(backing, {1: 101.0})
    found += backing.look(NOW) + backing.look(NOW)
    tell(backing, {1: 100.0})
    found += backing.look(NOW)
    assert ["short", "sound"] == [note.detail["state"] for note in found]
    assert {} == backing.bars
    (bad, good) = map(told, found)
    assert ("bad", "good") == (bad[1], good[1])
    assert "101 units" in bad[0] and bad[0].endswith("it is only given back") and "T: what i attests" in good[0]


def test_a_ratio_stands_where_both_sides_are_known() -> None:
    """
    100 of 125 is 0.8 at a fortieth of the allowed age; without a supply there is no ratio, without an attestation that
    has come no age.
    """
    states = watch(attested(100, 1), attested(9, 1, "U", "j"), supplies={1: 125.0}).states(NOW)
    found = {name: dict(values) for name, values in samples(states).items()}
    assert {("T", "i"): 0.8} == found["backing_ratio"]
    assert {("T", "i"): 1 / 40, ("U", "j"): 1 / 40} == found["attestation_age_ratio"]
    assert {("T", "i"): None} == dict(samples(watch(attested(1, -1)).states(NOW))["attestation_age_ratio"])
    (line,) = troubles(states)
    assert line.startswith("only given back: T: 125 units")
