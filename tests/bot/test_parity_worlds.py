"""The backtest over drawn configs and rows: however the rows are cut, the records, the books and the hash are one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.paths import prepare_kernel

prepare_kernel()

from bot.backtest import Result, run_over  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.config_file import load  # noqa: E402
from connectors.events import NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from tests.sweep import cases  # noqa: E402

BEGIN = 1_788_551_990 * NS
"""Friday 4 September 2026, ten seconds before the share market closes."""
MS = NS // 1000

CONFIG = """
[run]
timer_s = {timer}
[venues.now]
kind = "cex"
taker_fee_bps = 1.0
latency_ms = 0.0
reject_share = {reject}
[venues.near]
kind = "cex"
taker_fee_bps = 2.0
latency_ms = 5.0
fill_share = 0.5
[venues.far]
kind = "dex"
taker_fee_bps = 3.0
fixed_cost_usd = 0
latency_ms = 1000.0
[venues.r]
kind = "oracle"
[instruments."now:S/USD"]
token = "Sx"
underlying = "S"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
[instruments."near:S/USDT"]
token = "Sx"
underlying = "S"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
quote = "USDT"
[instruments."now:V/USD"]
token = "Vx"
underlying = "V"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
[instruments."near:V/USD"]
token = "Vx"
underlying = "V"
unit_model = "total_return"
basis = "unit"
multiplier = 2.0
[instruments."r:S"]
role = "share"
underlying = "S"
[instruments."r:S2"]
role = "share"
underlying = "S"
[instruments."r:V"]
role = "share"
underlying = "V"
[instruments."r:USDT"]
role = "coin"
coin = "USDT"
[instruments."far:T/USD"]
token = "T"
underlying = "S"
unit_model = "rebasing"
assumed_half_spread_bps = 2
assumed_size_units = 3
[gates]
max_quote_age_s = 1.5
max_fx_age_s = {fx_age}
frozen_after_s = 1.0
frozen_rows = 3
outlier_bps = 400
confirm_s = 0.5
confirm_rows = 3
maintenance_s = {maintenance}
[fair]
max_error_bps = 100
evidence_s = {evidence}
[strategies.cross_venue]
min_edge_bps = 8
size_usd = 150
cooldown_s = {cooldown}
refusal_backoff_s = 0.05
max_open_pairs = {open}
max_short_units = 4
max_long_units = 4
{slippage}
[strategies.peg_watch]
persist_s = 0.5
min_sigmas = 0.5
warn_bps = {{ pre = 10, regular = 10, post = 10, overnight = 10, weekend = 10, holiday = 10 }}
depeg_bps = {{ pre = 30, regular = 30, post = 30, overnight = 30, weekend = 30, holiday = 30 }}
[risk]
max_order_usd = 400
max_position_usd = 900
max_gross_usd = 2500
collar_bps = 300
max_orders_per_minute = 60
max_daily_loss_usd = 100
sessions = ["regular", "post"]
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
[execution]
retry_give_bps = 20
max_loss_usd = 10
naked_usd_s = 1000
"""


def token(venue: str, quote: str = "USD", share: str = "S") -> Instrument:
    """A token whose unit is two shares."""
    return Instrument(venue=venue, symbol=f"{share}/{quote}", role=Role.TOKEN, underlying=share, token=f"{share}x",
                      issuer="i", unit_model=UnitModel.TOTAL_RETURN, multiplier=2.0, quote=quote)  # fmt: skip


UNIVERSE = Universe(
    (
        token("now"),
        token("near", "USDT"),
        Instrument(venue="far", symbol="T/USD", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.REBASING, one_price=True),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="r", symbol="S2", role=Role.SHARE, underlying="S"),
        Instrument(venue="r", symbol="USDT", role=Role.COIN, coin="USDT"),
        token("now", share="V"),
        token("near", share="V"),
        Instrument(venue="r", symbol="V", role=Role.SHARE, underlying="V"),
    )
)  # fmt: skip
NOW, NEAR, FAR, S, S2, USDT, NOW_V, NEAR_V, V = range(9)


def draw_config(seed: int, folder: Path) -> Config:
    """A config with drawn delays, rests, ages and open pairs, read as an operator's would be."""
    rng = np.random.default_rng(seed)
    text = CONFIG.format(
        timer=rng.choice([0.2, 1.0, 5.0]), reject=rng.choice([0.0, 0.3]), fx_age=rng.choice([0.5, 900.0]),
        maintenance=rng.choice([0.0, 0.5]), cooldown=rng.choice([0.0, 0.05, 1.0]), open=rng.choice([1, 2, 4]),
        slippage=rng.choice(["", "slippage_bps = 5"]), evidence=rng.choice([0.2, 1.0, 5.0, "inf"]),
    )  # fmt: skip
    path = folder / f"{seed}.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, credentials=False)


def draw_rows(seed: int, count: int) -> Rows:
    """Busy rows: most moments shared by several rows and by dues, rubbish, halts, drops, multipliers, a weak coin."""
    rng = np.random.default_rng([seed, 1])
    rows: list[Row] = []
    at, drift, coin = BEGIN, 1.0, 1.0
    steps = [0, 0, 0, 1, 5 * MS, 5 * MS, 20 * MS, NS]
    for _ in range(count):
        at += int(rng.choice(steps, p=[0.2, 0.2, 0.1, 0.05, 0.2, 0.12, 0.12, 0.01]))
        drift *= float(np.exp(rng.normal(0, 2e-4)))
        coin = min(1.02, max(0.97, coin * float(np.exp(rng.normal(0, 3e-4)))))
        number = int(rng.choice(len(UNIVERSE), p=[0.2, 0.2, 0.08, 0.1, 0.06, 0.06, 0.12, 0.12, 0.06]))
        share = 100.0 * drift
        worth = {NOW: 2 * share, NEAR: 2 * share / coin, USDT: coin, NOW_V: 2 * share, NEAR_V: 2 * share}
        kind = {Role.SHARE: Kind.REFERENCE, Role.COIN: Kind.FX}.get(UNIVERSE[number].role, Kind.QUOTE)
        wide = 1e-4 if kind is not Kind.QUOTE else 12e-4
        mid = worth.get(number, share) * (1 + float(rng.normal(0, wide)))
        bid, ask, flags = round(mid * (1 - 1e-4), 4), round(mid * (1 + 1e-4), 4), Flag(0)
        if UNIVERSE[number].one_price:
            bid, ask, flags = round(mid, 4), round(mid, 4), Flag.ONE_PRICE
        odd = rng.random()
        if odd < 0.03:
            bid, ask = [(ask, bid), (float("nan"), ask), (bid * 2, ask * 2), (0.0, ask)][int(rng.integers(0, 4))]
        elif odd < 0.05:
            flags |= Flag(int(rng.choice([Flag.HALTED, Flag.SUPERSEDED, Flag.RAISED])))
        elif odd < 0.07:
            kind, bid = Kind.HEALTH, float(rng.random() < 0.8)
        elif odd < 0.08 and number in (NOW, NEAR, NOW_V):
            kind, bid = Kind.MULTIPLIER, float(rng.choice([2.0, 2.002, 2.004]))
            ask = float("nan") if rng.random() < 0.3 else float(at // NS + int(rng.integers(0, 4)))
        elif odd < 0.09:
            kind = Kind(int(rng.choice([Kind.TICK, Kind.SESSION, Kind.FUNDING])))
        rows.append(
            Row(ts_recv=at, instrument=number, kind=kind, flags=flags, bid=bid, ask=ask,
                bid_size=float(rng.integers(0, 4)), ask_size=float(rng.choice([float("nan"), 1.0, 3.0])))
        )  # fmt: skip
    return Rows.of(rows)


def outcome(result: Result) -> dict[str, str]:
    """Everything that a run says of itself, records and all, but for the time it took."""
    names = (name for name in result.__dataclass_fields__ if name not in ("seconds", "universe"))
    return {name: repr(getattr(result, name)) for name in names}


@settings(max_examples=cases(10, 100))
@given(seed=st.integers(0, 2**31), cuts=st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_the_cut_of_the_rows_changes_nothing_in_any_config(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int]
) -> None:
    """
    Whole, in drawn cuts and row by row: the same hash, records, fills, refusals, books and exposure.
    """
    config, rows = draw_config(seed, tmp_path_factory.mktemp("drawn")), draw_rows(seed, 900)
    parts, at, number = [], 0, 0
    while at < len(rows):
        size = cuts[number % len(cuts)]
        parts.append(rows[at : at + size])
        at, number = at + size, number + 1
    whole = outcome(run_over(config, UNIVERSE, [rows]))
    assert whole == outcome(run_over(config, UNIVERSE, parts))
    assert whole == outcome(run_over(config, UNIVERSE, rows.blocks(1)))


@pytest.mark.parametrize("block", [7, 1000])
def test_blocks_of_seven_and_of_a_thousand_are_the_whole(tmp_path: Path, block: int) -> None:
    """
    The two other sizes that are promised, over longer rows.
    """
    config, rows = draw_config(3, tmp_path), draw_rows(3, 6000)
    assert outcome(run_over(config, UNIVERSE, [rows])) == outcome(run_over(config, UNIVERSE, rows.blocks(block)))


def test_the_seed_of_the_venues_chance_is_in_the_hash_and_nothing_else_is(tmp_path: Path) -> None:
    """
    With refusals drawn, the same seed gives the same hash again, and two seeds two hashes and two sets of fills.
    """
    rows = draw_rows(5, 3000)
    config = next(c for n in range(50) if (c := draw_config(n, tmp_path)).venues["now"].reject_share > 0)
    one, again, two = (run_over(config, UNIVERSE, [rows], seed=seed) for seed in (1, 1, 2))
    assert one.journal_hash == again.journal_hash != two.journal_hash
    assert [f.id for f in one.fills] == [f.id for f in again.fills] != [f.id for f in two.fills]


def test_books_and_limits_hold_in_every_drawn_run(tmp_path: Path) -> None:
    """
    Positions are the fills, the bridge sums, each fill counts once, and no position passes the four units that the
    strategy may hold by more than what one trade needs to be hedged.
    """
    traded = 0
    for seed in range(cases(12, 100)):
        ran = run_over(draw_config(seed, tmp_path), UNIVERSE, [draw_rows(seed, 1500)])
        held: dict[str, Decimal] = {}
        for fill in ran.fills:
            name = UNIVERSE[fill.instrument].name
            held[name] = held.get(name, Decimal(0)) + (fill.quantity if fill.side == "buy" else -fill.quantity)
            assert abs(held[name]) <= 4 + 4
        assert {name: units for name, units in held.items() if units} == ran.positions
        assert len(ran.fills) == len({fill.id for fill in ran.fills})
        b = ran.bridge
        parts = (b.gross_edge, b.slippage, b.fees, b.gas, b.issuer_fees, b.funding, b.borrow, b.fx, b.inventory_mark)
        assert sum(parts, Decimal(0)) == b.net
        traded += len(ran.fills)
    assert 100 < traded
