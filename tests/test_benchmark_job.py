"""The shared benchmark job: its rows are what they should be, and its plain loop follows the rules."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from benchmarks import job, rules
from bot.config import Config
from connectors.events import FIELDS, NS, Kind, Rows
from connectors.tape import open_tape

JOB = Path(job.__file__).with_name("job.toml")
SMALL = 20_000
SEED = 3
"""Few seeds trade in their first hundred seconds; this one does."""
MS = 1_000_000
CALM = (100.0, 100.1)

Quote = tuple[int, int, float, float]
"""Time in ms, leg, bid, ask."""


@pytest.fixture(scope="module")
def small() -> Rows:
    """The first 20,000 rows of a seed that trades at once."""
    return job.in_ram(SMALL, SEED)


def loop(quotes: list[Quote]) -> tuple[list[tuple[int, int, int, float]], float]:
    """The plain loop over a few quotes, fills with their times in ms."""
    times, legs, bids, asks = (list(column) for column in zip(*quotes, strict=True))
    fills, profit = job.plain_loop([t * MS for t in times], legs, bids, asks)
    return [(time // MS, leg, side, price) for time, leg, side, price in fills], profit


def opening(*others: Quote) -> list[Quote]:
    """Four calm legs at 0, 1, 2, 3 ms, then the other quotes."""
    return [*((leg, leg, *CALM) for leg in range(4)), *others]


def test_rows_are_plausible(small: Rows) -> None:
    """Prices are whole cents with 0 < bid < ask, times rise strictly, sizes are at least 1, all legs quote."""
    assert SMALL == len(small)
    assert ((0 < small.bid) & (small.bid < small.ask)).all()
    assert (np.diff(small.ts_recv) > 0).all()
    assert (small.ts_venue < small.ts_recv).all()
    for prices in (small.bid, small.ask):
        assert np.array_equal(prices, np.round(prices, 2))
    assert 1 <= min(small.bid_size.min(), small.ask_size.min())
    assert set(range(rules.LEGS)) == set(small.instrument.tolist())
    assert np.array_equal(small.instrument == rules.SHARE, small.kind == Kind.REFERENCE)


def test_a_shorter_job_is_the_beginning_of_a_longer_one() -> None:
    """The rows depend on the seed and their place only, also over the edge of a chunk."""
    longer, shorter = job.in_ram(job.CHUNK + 100, 3), job.in_ram(job.CHUNK + 10, 3)
    for name in FIELDS:
        assert np.array_equal(getattr(longer, name)[: len(shorter)], getattr(shorter, name), equal_nan=True)
    assert longer.ts_recv[job.CHUNK] > longer.ts_recv[job.CHUNK - 1]
    assert not np.array_equal(shorter.bid, job.in_ram(job.CHUNK + 10, 4).bid)


def test_the_tape_holds_the_same_rows(tmp_path: Path, small: Rows) -> None:
    """What is read back from the tape is what is in RAM, bit by bit, and the universe numbers the legs."""
    job.write_tape(tmp_path / "job.tape", SMALL, SEED)
    tape = open_tape(tmp_path / "job.tape")
    back = Rows.join(list(tape.blocks()))
    for name in FIELDS:
        assert np.array_equal(getattr(small, name), getattr(back, name), equal_nan=True)
    assert [0, 1, 2, 3] == [tape.universe.number(n) for n in ("v0:TOK/USD", "v1:TOK/USD", "v2:TOK/USD", "v3:SHR")]


def test_fills_keep_the_rules(small: Rows) -> None:
    """Fills come in pairs, 1 s apart or more, at quotes that were in force, and no position passes its limit."""
    columns = [column.tolist() for column in (small.ts_recv, small.instrument, small.bid, small.ask)]
    fills, _ = job.plain_loop(*columns)
    assert 100 == len(fills)
    position = [0] * rules.LEGS
    for buy, sell in zip(fills[::2], fills[1::2], strict=True):
        assert (buy.time_ns, 1, -1) == (sell.time_ns, buy.side, sell.side)
        assert buy.leg != sell.leg
        for fill, prices in ((buy, small.ask), (sell, small.bid)):
            own = np.flatnonzero((small.instrument == fill.leg) & (small.ts_recv <= fill.time_ns))
            assert prices[own[-1]] == fill.price
            position[fill.leg] += fill.side
    assert max(map(abs, position)) <= rules.LIMIT
    assert min(np.diff([fill.time_ns for fill in fills[::2]])) >= rules.COOLDOWN_NS


def test_one_pair_by_hand() -> None:
    """Leg 1 is bid at 101, leg 0 asked at 100.10: both fill at what is quoted 5 ms later, with 10 bps each."""
    fills, profit = loop(opening((10, 1, 101.0, 101.2), (15, 0, 100.1, 100.3), (16, 2, *CALM)))
    assert [(15, 0, 1, 100.3), (15, 1, -1, 101.0)] == fills
    marks = (100.1 + 100.3) / 2 - (101.0 + 101.2) / 2
    assert pytest.approx(101.0 * 0.999 - 100.3 * 1.001 + marks) == profit


def test_a_row_after_the_due_time_is_too_late_for_the_fill() -> None:
    """A quote that arrives after the due moment does not change the price; one at that moment does."""
    fills, _ = loop(opening((10, 1, 101.0, 101.2), (16, 0, 100.1, 100.3)))
    assert [(15, 0, 1, 100.1), (15, 1, -1, 101.0)] == fills


def test_a_pair_that_is_pending_at_the_end_is_dropped() -> None:
    """Without a row after the due moment nothing is filled and the profit is zero."""
    assert ([], 0) == loop(opening((10, 1, 101.0, 101.2), (15, 2, *CALM)))


def test_no_decision_before_every_leg_has_quoted() -> None:
    """The widest edge between three legs is nothing while the share has no price."""
    assert ([], 0) == loop([(0, 0, *CALM), (1, 1, 110.0, 110.1), (2, 2, *CALM), (20, 2, *CALM), (40, 2, *CALM)])


def test_decisions_are_a_second_apart() -> None:
    """After a decision at 10 ms the next comes with the row at 1,010 ms, not with the one at 1,009."""
    wide = (1, 101.0, 101.2)
    fills, _ = loop(opening((10, *wide), (1_009, *wide), (1_010, *wide), (1_020, *wide)))
    assert [15, 15, 1_015, 1_015] == [time for time, *_ in fills]


def test_an_edge_of_20_bps_is_not_enough() -> None:
    """The edge after both fees must be above 20 bps of the share's mid."""
    mid = sum(CALM) / 2
    bid = (CALM[1] * 1.001 + mid * 20e-4) / 0.999
    assert [] == loop(opening((10, 1, bid - 1e-6, 102.0), (20, 2, *CALM)))[0]
    assert 2 == len(loop(opening((10, 1, bid + 1e-6, 102.0), (20, 2, *CALM)))[0])


def test_ties_go_to_the_lowest_leg_and_limits_to_the_next() -> None:
    """Legs 0, 2 and 3 ask the same: 50 units are bought of leg 0, which sells out leg 1, and there it ends."""
    quotes = [(1_000 * n, 1, 101.0, 101.2) for n in range(1, 60)]
    fills, _ = loop(opening(*quotes))
    assert [50, 50] == [sum(1 for f in fills if f[1:3] == leg_side) for leg_side in ((0, 1), (1, -1))]
    assert 100 == len(fills)
    fills, _ = loop(opening(*quotes, (60_000, 3, 101.0, 101.2), *((1_000 * n, 2, *CALM) for n in range(61, 70))))
    assert {(2, 1), (3, -1)} == {f[1:3] for f in fills[100:]}


def test_nothing_to_do_is_no_trade() -> None:
    """Without rows there is no fill and no profit."""
    assert ([], 0) == job.plain_loop([], [], [], [])


def test_the_config_asks_for_the_job() -> None:
    """job.toml is a valid config with the job's fee, latency, edge, cooldown, limits and instruments."""
    config = Config.model_validate(tomllib.loads((Path(job.__file__).with_name("job.toml")).read_text()))
    strategy = config.strategies.cross_venue
    assert strategy is not None
    assert (rules.MIN_EDGE_BPS, rules.COOLDOWN_NS / NS, 1) == (
        strategy.min_edge_bps,
        strategy.cooldown_s,
        strategy.max_open_pairs,
    )
    assert (1, rules.LIMIT, rules.LIMIT) == (strategy.size_units, strategy.max_long_units, strategy.max_short_units)
    assert {(rules.FEE * 1e4, rules.LATENCY_NS / 1e6)} == {
        (v.taker_fee_bps, v.latency_ms) for v in config.venues.values()
    }
    assert [i.name for i in job.universe()] == list(config.instruments)


def test_our_engine_fills_what_the_plain_loop_fills(small: Rows) -> None:
    """The whole engine over the job's rows: the same fills (time, leg, side, price), and the profit to 1e-9 of it."""
    from bot.backtest import run_over
    from bot.config_file import load

    rows = job.in_ram(120_000, SEED)
    fills, profit = job.plain_loop(*(column.tolist() for column in (rows.ts_recv, rows.instrument, rows.bid, rows.ask)))
    result = run_over(load(JOB), job.universe(), rows.blocks(50_000))
    ours = [(f.ts, f.instrument, 1 if f.side == "buy" else -1, float(f.price)) for f in result.fills]
    assert 20 < len(fills)
    assert [tuple(fill) for fill in fills] == ours
    assert pytest.approx(profit, rel=1e-9) == float(result.net_usd)
