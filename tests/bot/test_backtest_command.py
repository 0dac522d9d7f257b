"""`pegline backtest` as it is used: what it prints, what it warns of, what it refuses, and that live is backtest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.journal_reader import verify
from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from bot.told import Told  # noqa: E402
from bot.wiring import simulated_tape  # noqa: E402
from connectors.events import NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.tape import TapeWriter  # noqa: E402
from monitoring.decisions import Tally  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from tests.bot.trading import demo_without  # noqa: E402
from tests.monitoring.played import play  # noqa: E402

DEMO = Path(__file__).resolve().parents[2] / "bot" / "data" / "demo.toml"
NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
TOKEN = {"role": Role.TOKEN, "underlying": "T", "token": "T1", "unit_model": UnitModel.TOTAL_RETURN, "multiplier": 2.0}
UNIVERSE = Universe(
    (
        Instrument(venue="one", symbol="T/USD", **TOKEN),
        Instrument(venue="two", symbol="T/USD", **TOKEN),
        Instrument(venue="far", symbol="T/USD", **TOKEN),
        Instrument(venue="share", symbol="T", role=Role.SHARE, underlying="T"),
    )
)
CONFIG = """
[venues.one]
kind = "cex"
taker_fee_bps = 10
latency_ms = 100
[venues.two]
kind = "cex"
taker_fee_bps = 10
latency_ms = 100
reject_share = {rejects}
[venues.far]
kind = "cex"
taker_fee_bps = 1
latency_ms = 100
[venues.share]
kind = "oracle"
{instruments}
[strategies.cross_venue]
enabled = {enabled}
min_edge_bps = 10
size_usd = 1000
cooldown_s = 5
max_short_units = 100
max_long_units = 100
[risk]
max_order_usd = 10000
max_position_usd = 100000
max_gross_usd = 100000
collar_bps = 1000
max_orders_per_minute = 60
max_daily_loss_usd = 10000
sessions = ["regular"]
coin_band_bps = 100
hedge_orders_per_minute = 0
max_wishes_per_minute = inf
max_turnover_usd_per_day = inf
trade_gap_s = 0
max_drawdown_usd = inf
max_naked_usd = inf
max_naked_s = inf
caps.token_usd = inf
caps.venue_usd = inf
caps.issuer_usd = inf
caps.chain_usd = inf
caps.stablecoin_usd = inf
"""
NAMED = """
[instruments."one:T/USD"]
token = "T1"
underlying = "T"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
[instruments."two:T/USD"]
token = "T1"
underlying = "T"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
[instruments."share:T"]
role = "share"
underlying = "T"
"""


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Two venues a percent apart for a minute, a third that is dearer still, and the share."""
    rows = []
    for second in range(0, 60, 2):
        at = NOON + second * NS
        rows.append(Row(ts_recv=at, instrument=3, kind=Kind.REFERENCE, bid=99.99, ask=100.01 + second / 1e4))
        for number, bid in enumerate((199.0, 201.5, 210.0)):
            quote = {"bid": bid, "ask": bid + 0.1, "bid_size": 9.0, "ask_size": 9.0}
            rows.append(Row(ts_recv=at, instrument=number, kind=Kind.QUOTE, **quote))
    with TapeWriter(tmp_path / "tape", UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    return tmp_path / "tape"


def written(folder: Path, instruments: str = NAMED, *, rejects: float = 0.0, enabled: bool = True) -> str:
    """A config file."""
    path = folder / "config.toml"
    path.write_text(CONFIG.format(instruments=instruments, rejects=rejects, enabled=str(enabled).lower()))
    return str(path)


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The JSON of `backtest ... --json -`."""
    capsys.readouterr()
    assert 0 == main(["backtest", *words, "--json", "-"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a person reads."""
    capsys.readouterr()
    assert 0 == main(["backtest", *words])
    return capsys.readouterr().out


def test_json_has_its_keys_whatever_happened(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A run that trades and one that cannot have the same keys, and money stands as decimal strings.
    """
    config = written(tmp_path)
    one = answered(capsys, "--config", config, "--tape", str(tape))
    other = answered(capsys, "--config", written(tmp_path, enabled=False), "--tape", str(tape))
    assert one["trades"] > 0 == other["trades"]
    assert one.keys() == other.keys()
    assert (1, 1) == (one["schema"], other["schema"])
    assert one["bridge_usd"].keys() == {
        "gross_edge", "slippage", "fees", "gas", "issuer_fees", "funding", "borrow", "fx", "inventory_mark",
    }  # fmt: skip
    assert all(isinstance(usd, str) for usd in (one["net_usd"], one["edge_seen_usd"], *one["bridge_usd"].values()))
    assert None is other["fill_ratio"]
    assert any("switches no strategy on" in warning for warning in other["warnings"])


def test_what_the_config_does_not_name_is_only_watched(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The dearest venue has a fee in the config and its instrument has no table: it is not traded, and named.
    """
    words = ("--config", written(tmp_path), "--tape", str(tape))
    found = answered(capsys, *words)
    assert {"one:T/USD", "two:T/USD"} == {fill["instrument"] for fill in found["fills"]}
    assert ["far:T/USD (not in the config)"] == found["watched_only"]
    assert ["far:T/USD"] == found["not_in_config"]
    assert "watched only: far:T/USD (not in the config)" in said(capsys, *words)


def test_config_and_tape_are_compared(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An instrument that the tape lacks, a share source that the config lacks and a multiplier that differs are told.
    """
    changed = NAMED.replace("multiplier = 2.0", "multiplier = 1.0", 1).replace('"share:T"', '"share:OTHER"')
    words = ("--config", written(tmp_path, changed), "--tape", str(tape))
    found = answered(capsys, *words)
    assert ["share:OTHER"] == found["not_on_tape"]
    assert ["one:T/USD: multiplier is 2.0 on the tape, 1.0 in the config"] == found["differ"]
    text = said(capsys, *words)
    assert "in the config and not on the tape: share:OTHER" in text
    assert "believed with the default error, not named in the config: share:T" in text
    assert "multiplier is 2.0 on the tape, 1.0 in the config: the tape's word counts" in text


def test_nothing_is_warned_of_where_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The demo's config names all of the demo's tape, and nothing is assumed: what may be warned of is half trades.
    """
    simulated_tape(tmp_path / "world", 1, sessions=load_sessions())
    words = ("--config", str(demo_without("peg_watch")), "--tape", str(tmp_path / "world"), "--to", "2026-09-05T00:00Z")
    found = answered(capsys, *words)
    about = {"half trade", "LEFT NAKED", "gross edge", "orders were under way"}
    assert [] == [warning for warning in found["warnings"] if not any(word in warning for word in about)]
    assert [] == found["not_in_config"] + found["not_on_tape"] + found["differ"] + found["assumed"]


def test_half_trades_are_called_that(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Venue two refuses every order, and nothing may be sent to repair that: the first trade is half, its shares are left
    naked and told, and nothing more is opened in their share.
    """
    words = ("--config", written(tmp_path, rejects=1.0), "--tape", str(tape))
    found = answered(capsys, *words)
    assert 1 == found["trades"] == found["half_trades"] == found["refused"]["venue: rejected by the venue"]
    assert 2 < found["refused"]["reduce_only"]
    assert 0.5 == pytest.approx(found["fill_ratio"], abs=0.02)
    shares = 2 * sum(float(fill["quantity"]) for fill in found["fills"])
    assert shares == pytest.approx(found["naked_at_end"]["T"]["shares"])
    assert 100 * shares == pytest.approx(found["naked_at_end"]["T"]["usd"], rel=1e-3)
    assert found["worst_naked_usd"] == pytest.approx(found["naked_at_end"]["T"]["usd"], rel=1e-3)
    text = said(capsys, *words)
    for part in ("(0 whole, ", "1 half trade: a leg did not trade", f"LEFT NAKED: {shares:+,.4f} shares of T"):
        assert part in text


def test_naked_usd_seconds_are_those_of_the_fills(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Bought and never sold: the spell is the sum over the fills of their worth times the time to the end of the tape.
    """
    found = answered(capsys, "--config", written(tmp_path, rejects=1.0), "--tape", str(tape))
    end = NOON + 58 * NS
    worth = sum(2 * 100 * float(fill["quantity"]) * (end - fill["at_ns"]) / NS for fill in found["fills"])
    assert worth == pytest.approx(found["worst_naked_usd_s"], rel=1e-3)


def test_what_was_taken_stays_taken_until_the_venue_prints_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Both venues print once, nine units each, and the share goes on: two trades take the nine, and no third comes.
    """
    universe = Universe((UNIVERSE[0], UNIVERSE[1], UNIVERSE[3]))
    rows = [
        Row(ts_recv=NOON + at, instrument=at, kind=Kind.QUOTE, bid=bid, ask=bid + 0.1, bid_size=9.0, ask_size=9.0)
        for at, bid in enumerate((199.0, 201.5))
    ]
    for second in range(40):
        rows.append(
            Row(ts_recv=NOON + 2 + second * NS, instrument=2, kind=Kind.REFERENCE, bid=99.99, ask=100.01 + second / 1e4)
        )
    with TapeWriter(tmp_path / "tape", universe, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    found = answered(capsys, "--config", written(tmp_path), "--tape", str(tmp_path / "tape"))
    taken = {
        name: [float(f["quantity"]) for f in found["fills"] if f["instrument"] == name] for name in found["positions"]
    }
    assert {"one:T/USD": 2, "two:T/USD": 2} == {name: len(parts) for name, parts in taken.items()}
    assert {"one:T/USD": 9.0, "two:T/USD": 9.0} == pytest.approx({name: sum(parts) for name, parts in taken.items()})


def test_trades_prints_every_fill(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    --trades adds one line for each fill; none of them is assumed here.
    """
    words = ("--config", written(tmp_path), "--tape", str(tape))
    found, text = answered(capsys, *words), said(capsys, *words, "--trades")
    lines = [line for line in text.splitlines() if re.match(r"20\d\d-.*  (buy|sell) ", line)]
    assert len(found["fills"]) == len(lines) > 4
    assert "ASSUMED" not in text
    assert "no fills" in said(capsys, *words, "--trades", "--to", "2026-09-04T16:00:01Z")


def test_the_word_assumed_stands_in_text_json_and_at_each_fill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A series with one price is traded only at a spread and a size that the config assumes, and then all outputs say so.
    """
    plain = UNIVERSE[1]
    lone = Instrument(venue="two", symbol="T/USD", **TOKEN, one_price=True)
    universe = Universe((UNIVERSE[0], lone, UNIVERSE[3]))
    assert lone != plain
    rows = []
    for second in range(0, 60, 2):
        at, one = NOON + second * NS, Flag.ONE_PRICE
        rows.append(Row(ts_recv=at, instrument=2, kind=Kind.REFERENCE, bid=99.99, ask=100.01 + second / 1e4))
        rows.append(Row(ts_recv=at, instrument=1, kind=Kind.QUOTE, bid=202.0, ask=202.0, flags=one))
        quote = {"bid": 199.0, "ask": 199.1, "bid_size": 9.0, "ask_size": 9.0}
        rows.append(Row(ts_recv=at, instrument=0, kind=Kind.QUOTE, **quote))
    with TapeWriter(tmp_path / "tape", universe, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    words = ("--tape", str(tmp_path / "tape"))
    without = answered(capsys, "--config", written(tmp_path), *words)
    assert [] == without["fills"] + without["assumed"]
    assert ["two:T/USD (one price, and no spread and size assumed for it)"] == without["watched_only"]
    guess = "assumed_half_spread_bps = 25\nassumed_size_units = 1.5\n"
    named = NAMED.replace('[instruments."share:T"]', guess + '[instruments."share:T"]')
    config = written(tmp_path, named)
    found = answered(capsys, "--config", config, *words)
    assert ["two:T/USD"] == found["assumed"]
    assert {"one:T/USD": False, "two:T/USD": True} == {fill["instrument"]: fill["assumed"] for fill in found["fills"]}
    assert {202 * (1 - 0.0025)} == {float(fill["price"]) for fill in found["fills"] if fill["assumed"]}
    assert all(float(fill["quantity"]) <= 1.5 for fill in found["fills"])
    assert found["warnings"][0].startswith("ASSUMED: two:T/USD has one price and no book; a half-spread of 25 bps")
    text = said(capsys, "--config", config, *words, "--trades")
    assert found["warnings"][0] in text
    assert sum(fill["assumed"] for fill in found["fills"]) == text.count("  ASSUMED")


def test_the_seed_is_in_the_hash_even_where_nothing_is_left_to_chance(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    No venue refuses by chance: another seed makes the same fills, and yet another journal hash; the same seed the same.
    """
    words = ("--config", written(tmp_path), "--tape", str(tape))
    first, again, other = (answered(capsys, *words, "--seed", seed) for seed in ("1", "1", "2"))
    assert first["journal_hash"] == again["journal_hash"] != other["journal_hash"]
    assert first["fills"] == other["fills"] != []


def test_the_demo_is_the_backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The engine of the demo, a backtest of that market and one of its tape give one journal hash; of the first hours,
    with the watch over pegs. That the engine live is the engine replayed is in tests/monitoring/test_story.py.
    """
    simulated_tape(tmp_path / "world", 1, sessions=load_sessions())
    engine = play(seed=1, until_ns=NOON + 3 * 3600 * NS)
    words = ("--config", str(DEMO), "--to", "2026-09-04T19:00:00Z")
    simulated = answered(capsys, *words, "--simulated", "1")
    taped = answered(capsys, *words, "--tape", str(tmp_path / "world"))
    assert {engine.hash} == {simulated["journal_hash"], taped["journal_hash"]}
    assert simulated["rows"] == taped["rows"] > 5000
    assert engine.assembly.ledger.fills == len(simulated["fills"]) == len(taped["fills"]) > 5


def test_from_and_to_cut_the_simulated_market_too(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An hour of four days: only its rows are read.
    """
    span = ("--from", "2026-09-05T00:00Z", "--to", "2026-09-05T01:00Z")
    found = answered(capsys, "--config", str(DEMO), "--simulated", "1", *span)
    assert "2026-09-05T00:00" <= found["from"] <= found["to"] < "2026-09-05T01:00"
    assert 0 < found["rows"] < 5000


def test_a_journal_is_begun_and_never_continued(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The file verifies with the printed hash; a second backtest refuses to write behind it, and leaves it as it was.
    """
    words = ("--config", written(tmp_path), "--tape", str(tape), "--journal", str(tmp_path / "j.sqlite"))
    found = answered(capsys, *words)
    assert found["journal_hash"] == verify(tmp_path / "j.sqlite").hash
    assert 2 == main(["backtest", *words])
    assert "is there already" in capsys.readouterr().err
    assert found["journal_hash"] == verify(tmp_path / "j.sqlite").hash


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--from", "2027-01-01T00:00Z"), 8, "no row in this span"),
        (("--from", "2026-09-04T17:00Z", "--to", "2026-09-04T16:00Z"), 2, "--from must be before --to"),
        (("--json", "{tmp}/none/out.json"), 2, "--json"),
        (("--json", "{tmp}"), 2, "--json"),
        (("--journal", "{tmp}/none/j.sqlite"), 2, "--journal"),
        (("--simulated", "1"), 2, "give either"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_work(
    words: tuple[str, ...], code: int, part: str, tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    One line on stderr, nothing on stdout, and no journal that was begun for nothing.
    """
    filled = [word.format(tmp=tmp_path) for word in words]
    journal = () if "--journal" in filled else ("--journal", str(tmp_path / "begun.sqlite"))
    assert code == main(["backtest", "--config", written(tmp_path), "--tape", str(tape), *filled, *journal])
    told = capsys.readouterr()
    assert "" == told.out
    assert part in told.err and 1 == len(told.err.splitlines())
    assert not (tmp_path / "begun.sqlite").exists()


def test_a_result_that_cannot_be_written_is_told(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Where the system refuses the file only at the end, that is exit 8 with its name.
    """
    words = ["--config", written(tmp_path), "--tape", str(tape)]
    assert 8 == main(["backtest", *words, "--json", "/dev/full"])
    assert "pegline: /dev/full: cannot be written: " in capsys.readouterr().err


def test_a_negative_world_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A simulated market has a number from 0 up.
    """
    assert 2 == main(["backtest", "--config", written(tmp_path), "--simulated", "-1"])
    assert "--simulated" in capsys.readouterr().err


def test_a_seed_beyond_the_journal_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What the first record could not hold is told as a mistake of usage, not as an error of the journal.
    """
    words = ["backtest", "--config", written(tmp_path), "--simulated", "1", "--seed", "9" * 30]
    assert 2 == main(words)
    assert "--seed" in capsys.readouterr().err


@pytest.mark.parametrize("fold", [Tally, lambda universe: Told(universe, ())])
def test_shares_per_unit_follow_the_records(fold: Any) -> None:
    """
    A tally without columns knows a multiplier by the universe until a record tells of another.
    """
    tally = fold(UNIVERSE)
    assert 2.0 == tally.shares_per_unit(0)
    note = Note(kind="multiplier", instrument=0, detail={"old": 2.0, "new": 2.5})
    tally.fold(Step(seq=1, ts=1, cause="due", notes=(note,)))
    assert (2.5, 2.0) == (tally.shares_per_unit(0), tally.shares_per_unit(1))
