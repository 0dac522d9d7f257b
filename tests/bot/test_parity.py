"""The engine over the same rows in blocks of any size: the same decisions, columns and journal, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.config_file import load  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.wiring import paper  # noqa: E402
from connectors.events import NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.paper import PaperExecutor  # noqa: E402
from strategies.base import Step  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Columns  # noqa: E402

BEGIN = 1_788_551_990 * NS
"""Friday 4 September 2026, ten seconds before the share market closes: the session changes inside the rows."""
MS = NS // 1000

CONFIG = """
[run]
timer_s = 1.0

[venues.a]
kind = "cex"
taker_fee_bps = 1.0
latency_ms = 5.0
reject_share = 0.2
[venues.b]
kind = "cex"
taker_fee_bps = 2.0
latency_ms = 5.0
fill_share = 0.5
[venues.c]
kind = "dex"
taker_fee_bps = 3.0
fixed_cost_usd = 0
latency_ms = 1000.0
[venues.r]
kind = "oracle"

[instruments."a:T/USD"]
token = "T"
underlying = "S"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
[instruments."b:T/USDT"]
token = "T"
underlying = "S"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
quote = "USDT"
[instruments."c:T/USD"]
token = "T"
underlying = "S"
unit_model = "rebasing"
assumed_half_spread_bps = 5
assumed_size_units = 3
[instruments."r:S"]
role = "share"
underlying = "S"
[instruments."r:S2"]
role = "share"
underlying = "S"
error_bps = 20
[instruments."r:USDT"]
role = "coin"
coin = "USDT"

[gates]
max_quote_age_s = 3.0
frozen_after_s = 2.0
frozen_rows = 3
outlier_bps = 500
confirm_s = 1.0
confirm_rows = 3
maintenance_s = 1.0

[fair]
max_error_bps = 100
evidence_s = 0.5

[strategies.cross_venue]
min_edge_bps = 10
size_usd = 100
cooldown_s = 0.05
refusal_backoff_s = 0.1
max_short_units = 20
max_long_units = 20
slippage_bps = 50

[strategies.peg_watch]
persist_s = 1.0
min_sigmas = 0.5
[strategies.peg_watch.warn_bps]
pre = 20
regular = 20
post = 20
overnight = 20
weekend = 20
holiday = 20
[strategies.peg_watch.depeg_bps]
pre = 60
regular = 60
post = 60
overnight = 60
weekend = 60
holiday = 60

[risk]
max_order_usd = 1000
max_position_usd = 100000
max_gross_usd = 100000
collar_bps = 1000
max_orders_per_minute = 100000
max_daily_loss_usd = 100000
sessions = ["regular", "post"]
coin_band_bps = 200
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

[execution]
retry_give_bps = 10.0
max_loss_usd = 20
naked_usd_s = 10000
"""

UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T/USD", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.TOTAL_RETURN, multiplier=2.0),
        Instrument(venue="b", symbol="T/USDT", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.TOTAL_RETURN, multiplier=2.0, quote="USDT"),
        Instrument(venue="c", symbol="T/USD", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.REBASING, one_price=True),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="r", symbol="S2", role=Role.SHARE, underlying="S"),
        Instrument(venue="r", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)  # fmt: skip
A, B, C, S, S2, USDT = range(6)


@dataclass
class Ran:
    """What one run left behind."""

    steps: list[Step]
    columns: Columns
    hash: str
    wakes: int


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The config of this file, read as an operator's would be."""
    path = tmp_path_factory.mktemp("parity") / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return load(Path(path), credentials=False)


def run(config: Config, rows: Rows, block: int | None = None, seed: int = 1) -> Ran:
    """The engine over the rows, in blocks of at most `block`."""
    steps: list[Step] = []
    journal = Journal(None)
    parts = assemble(
        config, UNIVERSE, load_sessions(), journal, executor=paper(config, UNIVERSE, seed), on_step=[steps.append]
    )
    for part in [rows] if block is None else rows.blocks(block):
        parts.engine.advance(part)
    parts.engine.finish()
    return Ran(steps, parts.columns, journal.hash(), parts.engine.counts.wakes)


def world(seed: int, count: int = 4000) -> Rows:
    """Busy random rows: many equal times, gaps, every kind, rubbish, a multiplier, drops, session changes."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    at, share, usdt = BEGIN, 200.0, 1.0
    for number in range(count):
        at += int(
            rng.choice([0, 0, 0, 1, 5 * MS, 5 * MS, 20 * MS, 300 * MS], p=[0.2, 0.15, 0.1, 0.1, 0.2, 0.1, 0.1, 0.05])
        )
        share *= float(np.exp(rng.normal(0, 2e-4)))
        usdt *= float(np.exp(rng.normal(0, 1e-5)))
        which = int(rng.choice([A, B, C, S, S2, USDT], p=[0.3, 0.3, 0.1, 0.15, 0.1, 0.05]))
        worth = {A: 2 * share, B: 2 * share / usdt, C: share, S: share, S2: share, USDT: usdt}[which]
        mid = worth * (1 + float(rng.normal(0, 15e-4 if which in (A, B, C) else 1e-4)))
        half = mid * float(rng.uniform(1e-5, 5e-4))
        flags, kind = Flag(0), {S: Kind.REFERENCE, S2: Kind.REFERENCE, USDT: Kind.FX}.get(which, Kind.QUOTE)
        bid, ask = round(mid - half, 4), round(mid + half, 4) + 0.0001
        odd = rng.random()
        if odd < 0.01:
            bid, ask = ask, bid
        elif odd < 0.02:
            bid = float("nan")
        elif odd < 0.03:
            bid, ask = bid * 3, ask * 3
        elif odd < 0.04:
            bid, ask = 200.0, 200.5
        elif odd < 0.05:
            flags = Flag.HALTED
        elif odd < 0.06:
            flags = Flag.SUPERSEDED
        if which == C and odd >= 0.03:
            bid = ask = round(mid, 4)
            flags |= Flag.ONE_PRICE
        rows.append(
            Row(ts_recv=at, instrument=which, kind=kind, flags=flags, bid=bid, ask=ask,
                bid_size=float(rng.integers(0, 4)), ask_size=float(rng.integers(0, 4)))
        )  # fmt: skip
        if number == count // 3:
            moment = float((at + 3 * NS) // NS)
            rows.append(Row(ts_recv=at, instrument=A, kind=Kind.MULTIPLIER, bid=2.02, ask=moment))
        if number in (count // 2, count // 2 + 200):
            rows.append(Row(ts_recv=at, instrument=B, kind=Kind.HEALTH, bid=float(number != count // 2)))
    return Rows.of(rows)


def same(one: Columns, other: Columns) -> None:
    """Every column equal, bit by bit, scratch of the scan left out."""
    scratch_g = [K.LOW, K.HIGH, K.WAKE_EDGE, K.GAP]
    for name in ("f", "k", "g", "h", "fx", "refused", "slots", "q"):
        left, right = getattr(one, name).copy(), getattr(other, name).copy()
        if name == "g":
            left[:, scratch_g] = right[:, scratch_g] = 0
        if name == "h":
            left[:, K.WAKE_FROM] = right[:, K.WAKE_FROM] = 0
        np.testing.assert_array_equal(left, right, err_msg=name)


@pytest.mark.parametrize("seed", range(6))
def test_the_size_of_blocks_changes_nothing(config: Config, seed: int) -> None:
    """
    Blocks of 1, 7, 1,000 and all give the same records, the same journal hash and the same columns.
    """
    rows = world(seed)
    whole = run(config, rows)
    for block in (1, 7, 1000):
        cut = run(config, rows, block)
        assert whole.steps == cut.steps
        assert whole.hash == cut.hash
        same(whole.columns, cut.columns)


def test_the_world_of_these_tests_is_busy(config: Config) -> None:
    """
    Parity over silence would prove nothing: fills, refusals, peg states and a multiplier all happen in these rows.
    """
    steps = [step for seed in range(6) for step in run(config, world(seed)).steps]
    kinds = {note.kind for step in steps for note in step.notes}
    fills = [fill for step in steps for report in step.reports for fill in report.fills]
    assert {"peg_state", "multiplier", "feed_down", "feed_up", "refused_row", "reference_refused", "session"} <= kinds
    assert 20 < len(fills)
    assert {A, B} <= {fill.instrument for fill in fills}
    assert any(step.refused for step in steps)


def test_a_due_on_a_rows_very_time_comes_after_all_rows_of_that_time(config: Config) -> None:
    """
    An order that arrives at the very time of a row is filled from that row's book, however many rows share the time.
    """
    due = BEGIN + NS + 5 * MS

    def quote(at: int, instrument: int, bid: float, kind: Kind = Kind.QUOTE) -> Row:
        return Row(ts_recv=at, instrument=instrument, kind=kind, bid=bid, ask=bid + 0.02, bid_size=9.0, ask_size=9.0)

    rows = Rows.of(
        [
            quote(BEGIN, S, 100.0, Kind.REFERENCE),
            quote(BEGIN, USDT, 0.99, Kind.FX),
            quote(BEGIN + NS, A, 200.0),
            quote(BEGIN + NS, B, 201.5),
            quote(due, B, 201.6),
            quote(due, B, 201.4),
            quote(due, A, 200.1),
            quote(due + 1, A, 150.0),
        ]
    )
    calm = config.model_copy(
        update={"venues": {n: v.model_copy(update={"reject_share": 0.0}) for n, v in config.venues.items()}}
    )
    for block in (1, 7, None):
        fills = [f for s in run(calm, rows, block).steps for r in s.reports for f in r.fills]
        assert [(due, A, Decimal("200.12")), (due, B, Decimal("201.4"))] == [
            (f.ts, f.instrument, f.price) for f in fills
        ]


def test_what_is_still_due_at_the_end_of_the_rows_is_dropped(config: Config) -> None:
    """
    The end of a block delivers nothing, and the end of the tape neither: no fill without a later row.
    """
    rows = [
        Row(ts_recv=BEGIN, instrument=S, kind=Kind.REFERENCE, bid=100.0, ask=100.02),
        Row(ts_recv=BEGIN, instrument=USDT, kind=Kind.FX, bid=0.999, ask=1.001),
        Row(ts_recv=BEGIN, instrument=A, kind=Kind.QUOTE, bid=200.0, ask=200.02, bid_size=9.0, ask_size=9.0),
        Row(ts_recv=BEGIN, instrument=B, kind=Kind.QUOTE, bid=204.0, ask=204.02, bid_size=9.0, ask_size=9.0),
    ]
    steps = run(config, Rows.of(rows)).steps
    assert 1 == sum(len(step.approved) for step in steps)
    assert [] == [report for step in steps for report in step.reports]


def test_another_seed_of_the_paper_venues_gives_another_journal(config: Config) -> None:
    """
    Chance hangs on the seed alone: the same seed gives the same hash, another one another.
    """
    rows = world(1)
    assert run(config, rows).hash == run(config, rows).hash
    assert run(config, rows).hash != run(config, rows, seed=2).hash


def crossed(count: int, step: int) -> Rows:
    """Two venues that stay crossed by 2 % while both print all the time."""
    rows = [
        Row(ts_recv=BEGIN, instrument=S, kind=Kind.REFERENCE, bid=100.0, ask=100.02),
        Row(ts_recv=BEGIN, instrument=USDT, kind=Kind.FX, bid=0.999, ask=1.001),
    ]
    for number in range(count):
        which, bid = (A, 200.0) if number % 2 else (B, 204.0)
        jitter = 0.0001 * (number % 17)
        rows.append(
            Row(ts_recv=BEGIN + number * step, instrument=which, kind=Kind.QUOTE, bid=bid + jitter,
                ask=bid + 0.02 + jitter, bid_size=9.0, ask_size=9.0)
        )  # fmt: skip
    return Rows.of(rows)


def test_a_risk_that_refuses_everything_is_asked_by_time_and_not_by_rows(config: Config) -> None:
    """
    Ten times the rows in the same eight seconds wake Python as often: a refusal rests its trigger for 0.1 s.
    """
    assert config.risk is not None
    strict = config.model_copy(update={"risk": config.risk.model_copy(update={"max_order_usd": Decimal("0.01")})})
    few = run(strict, crossed(800, 10 * MS))
    many = run(strict, crossed(8000, MS))
    assert 60 <= few.wakes <= 90
    assert abs(many.wakes - few.wakes) <= 8
    assert {"notional"} == {refused.reason.value for step in many.steps for refused in step.refused}


def test_nobody_is_asked_while_no_pair_can_be_opened(config: Config) -> None:
    """
    Orders take two seconds to arrive and one pair may be open: until its last leg is answered no row wakes Python.
    """
    assert config.strategies.cross_venue is not None
    slow = {
        name: table.model_copy(update={"latency_ms": 2000.0, "reject_share": 0.0})
        for name, table in config.venues.items()
    }
    one = config.strategies.cross_venue.model_copy(update={"max_open_pairs": 1})
    changed = {"venues": slow, "strategies": config.strategies.model_copy(update={"cross_venue": one})}
    ran = run(config.model_copy(update=changed), crossed(7000, MS))
    assert 2 <= sum(len(step.approved) for step in ran.steps) <= 4
    assert ran.wakes <= 5
    assert not [refused for step in ran.steps for refused in step.refused]


def test_a_flood_of_rubbish_is_told_by_time_and_not_by_rows(config: Config) -> None:
    """
    A feed that alternates between good and crossed quotes is counted on every row, and told once a minute.
    """
    rows = [Row(ts_recv=BEGIN, instrument=S, kind=Kind.REFERENCE, bid=100.0, ask=100.02)]
    for number in range(4000):
        bid, ask = (200.0, 200.02) if number % 2 else (200.02, 200.0)
        rows.append(Row(ts_recv=BEGIN + number * MS, instrument=A, kind=Kind.QUOTE, bid=bid, ask=ask))
    ran = run(config, Rows.of(rows))
    assert 2000 == int(ran.columns.refused[A, K.CROSSED])
    assert 2 >= sum(note.kind in ("refused_row", "accepted_again") for step in ran.steps for note in step.notes)


def test_a_trade_that_a_crash_left_open_comes_to_its_end(config: Config) -> None:
    """
    The run ends between a decision and its fills. The next one takes the trade up, the paper venue does not know its
    orders any more, and it is over before anything else; the run after that has nothing to take up.
    """
    steps = run(config, crossed(40, 10 * MS)).steps
    cut = next(at for at, step in enumerate(steps) if step.approved) + 1

    def restored(earlier: list[Step]) -> tuple[tuple[str, ...], list[Step]]:
        told: list[Step] = []
        parts = assemble(
            config, UNIVERSE, load_sessions(), Journal(None), executor=PaperExecutor({}, 1), on_step=[told.append]
        )
        left = parts.engine.restore(earlier)
        parts.engine.advance(crossed(3, MS))
        return left, told

    left, told = restored(steps[:cut])
    assert steps[cut - 1].approved == left
    assert left[0] == told[0].notes[0].detail["open_trades"]
    ends = {
        note.detail["trade"]: note.detail["stage"] for step in told for note in step.notes if "stage" in note.detail
    }
    assert "flat" == ends[left[0]]
    assert () == restored([*steps[:cut], *told])[0]
