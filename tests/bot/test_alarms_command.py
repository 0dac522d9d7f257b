"""`pegline alarms score` as its user runs it, on a small tape of two venues."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.cli import main
from connectors.events import NS, Kind, Row, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.tape import TapeWriter

BEGIN = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", token="T", unit_model=UnitModel.REBASING),
        Instrument(venue="b", symbol="T", role=Role.TOKEN, underlying="S", token="T", unit_model=UnitModel.REBASING),
        Instrument(venue="s", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="z", symbol="Z", role=Role.SHARE, underlying="Z"),
    )
)
CONFIG = """
[gates]
max_quote_age_s = 900
max_source_lag_s = inf
[strategies.peg_watch]
warn_bps = { pre = 150, regular = 150, post = 150, overnight = 150, weekend = 150, holiday = 150 }
depeg_bps = { pre = 400, regular = 400, post = 400, overnight = 400, weekend = 400, holiday = 400 }
"""


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of polls every five minutes; premia with 25 bps of noise."""
    rng, polls = np.random.default_rng(5), 576
    share = 100 * np.exp(np.cumsum(3e-4 * rng.standard_normal(polls)))
    rows = []
    for at in range(polls):
        for number, sd in ((2, 0.0), (3, 0.0), (0, 25e-4 / 10), (1, 25e-4 / 10)):
            price = float(share[at] * (1 + 10 * sd * np.clip(rng.standard_normal(), -2.5, 2.5)))
            kind = Kind.QUOTE if number < 2 else Kind.REFERENCE
            rows.append(Row(ts_recv=BEGIN + 300 * at * NS, instrument=number, kind=kind, bid=price * 0.9999,
                            ask=price * 1.0001, bid_size=9.0, ask_size=9.0))  # fmt: skip
    folder = tmp_path_factory.mktemp("score") / "t.tape"
    with TapeWriter(folder, UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Gates for polls every five minutes."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def scored(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    """What the command prints as JSON."""
    assert 0 == main(["alarms", "score", *words, "--json"])
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_rule_is_scored(tape: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Jumps of 300 bps are all found, tokens as tokens, one venue as a venue, coin and stale reference as what they are;
    ordinary prints alarm nobody; the share without a token is UNKNOWN.
    """
    told = scored(capsys, str(tape), "--config", str(config), "--injections", "20", "--sizes", "300")
    rule = told["rules"][0]  # type: ignore[index]
    cells = {cell["shape"]: cell for cell in rule["cells"] if cell["session"] == "all"}
    assert {"all", "jump", "ramp", "single_venue", "stablecoin", "stale_reference"} == set(cells)
    assert (20, 20) == (cells["all"]["recall"]["hits"], cells["all"]["recall"]["of"])
    assert {"token"} == set(cells["jump"]["causes"]) == set(cells["ramp"]["causes"])
    assert {"venue"} == set(cells["single_venue"]["causes"])
    assert {"stablecoin"} == set(cells["stablecoin"]["causes"])
    assert {"reference"} == set(cells["stale_reference"]["causes"])
    assert (0, 0, 0) == (rule["false_alarms"], rule["single_venue_called_token"], rule["depegged_that_should_not_be"])
    assert 1.0 == rule["precision"]["share"] and ["Z"] == told["unknown"]
    parts = [session["precision"]["of"] for session in rule["false_alarms_by_session"].values()]
    assert rule["precision"]["of"] == sum(parts) > 0
    assert 5 == cells["jump"]["delay_prints_median"]


def test_a_candidate_is_scored_beside_it(
    tape: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A candidate that never alarms finds no jump where the active rule finds all, on the same injections.
    """
    deaf = tmp_path / "deaf.toml"
    deaf.write_text(CONFIG + "least_bps = 5000\nprints = 90\n", encoding="utf-8")
    words = ("--config", str(config), "--rule", str(deaf), "--injections", "5", "--sizes", "300")
    active, candidate = scored(capsys, str(tape), *words)["rules"]  # type: ignore[misc]
    assert ("active", "candidate") == (active["rule"], candidate["rule"])
    found = [
        sum(
            c["recall"]["hits"]
            for c in rule["cells"]
            if (c["shape"], c["session"]) in (("jump", "all"), ("ramp", "all"))
        )
        for rule in (active, candidate)
    ]
    assert [2, 0] == found


def test_tables_for_people(tape: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A table by shape, size and session, the rate of false alarms with its interval, and what the rule expects of itself.
    """
    assert 0 == main(["alarms", "score", str(tape), "--config", str(config), "--injections", "5", "--sizes", "300"])
    out = capsys.readouterr().out
    for words in ("single_venue", "false alarms without injection: 0", "per 1,000 h", "by the rule's own run length"):
        assert words in out
    assert "UNKNOWN, as no venue has a token of it: Z" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--rule", "shadow"), 2, "there is no shadow rule"),
        (("--split", "1"), 2, "not between 0 and 1"),
        (("--sizes", "100,x"), 2, "'x' is not a number above zero"),
        (("--injections", "-1"), 2, "injections"),
    ],
)
def test_what_cannot_be_scored_is_said(
    tape: Path, words: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Mistakes of usage are told before any work.
    """
    assert code == main(["alarms", "score", str(tape), *words])
    assert said in capsys.readouterr().err


def test_a_tape_without_tokens_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    There is nothing to score on a share alone.
    """
    with TapeWriter(tmp_path / "s.tape", Universe((UNIVERSE[2],)), {"made_by": "test"}) as writer:
        writer.append(Rows.of([Row(ts_recv=BEGIN, instrument=0, kind=Kind.REFERENCE, bid=1.0, ask=1.1)] * 2))
    assert 0 != main(["alarms", "score", str(tmp_path / "s.tape")])
    assert "there is no token on the tape" in capsys.readouterr().err
