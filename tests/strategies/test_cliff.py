"""Pools with incentives: what is followed of their rows, when a cliff is called, and what stays unknown."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import Assembly, assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.amm.v2 import V2Pool  # noqa: E402
from connectors.events import NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.evm.pool_rows import DEPTH_BPS, book  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.ports import Book  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from strategies.liquidity import Cliff, Liquidity, Reading  # noqa: E402
from strategies.market.depth import pool_value, sellable  # noqa: E402
from strategies.market.pools import DAY_NS, Pools  # noqa: E402

T0 = 1_788_739_200 * NS
"""Monday 7 September 2026, 00:00 UTC."""
HOUR_NS = 3600 * NS
POOL, USDT = range(2)
UNIVERSE = Universe(
    (
        Instrument(
            venue="u", symbol="0xabc", role=Role.TOKEN, underlying="TSLA", token="T", quote="USDT",
            unit_model=UnitModel.REBASING,
        ),
        Instrument(venue="r", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)  # fmt: skip
BY_HAND = {"fee_bps": 30.0, "concentration": 1.0, "required_return_share": 0.2}
SHOWN = book(V2Pool(reserve0=10**22, reserve1=10**12), 0, (18, 6), DEPTH_BPS)
"""Of a pool of 2 million at 100 a unit."""


class Run:
    """The engine over the rows of one pool, in USDT at 0.5 USD, so that a missing rate is seen."""

    def __init__(self, **pool: object) -> None:
        """With these terms known by hand."""
        document = {
            "run": {"timer_s": 60.0},
            "venues": {"u": {"kind": "dex"}, "r": {"kind": "oracle"}},
            "instruments": {
                "u:0xabc": {"token": "T", "underlying": "TSLA", "unit_model": "rebasing", "quote": "USDT",
                            "max_age_s": 7200.0},
                "r:USDT": {"role": "coin", "coin": "USDT"},
            },
            "pools": {"u:0xabc": pool} if pool else {},
            "strategies": {"liquidity": {}},
        }  # fmt: skip
        self.steps: list[Step] = []
        self.levels: dict[int, Book] = {0: Book(SHOWN.bids, SHOWN.asks)}
        self.parts: Assembly = assemble(
            Config.model_validate(document), UNIVERSE, load_sessions(), Journal(None), executor=None,
            on_step=[self.steps.append], levels=self.levels,
        )  # fmt: skip
        self.now = T0
        self.say(Row(ts_recv=T0, instrument=USDT, kind=Kind.FX, bid=0.4999, ask=0.5001))

    def say(self, *rows: Row) -> None:
        """Takes rows."""
        self.parts.engine.advance(Rows.of(rows))
        self.now = rows[-1].ts_recv

    def reward(self, usd_per_day: float, days: float) -> None:
        """A row says what is paid, and that it ends in so many days."""
        ends = nan if isnan(days) else (self.now + days * DAY_NS) / NS
        self.say(Row(ts_recv=self.now, instrument=POOL, kind=Kind.REWARD, bid=usd_per_day, ask=ends))

    def go(self, hours: int, usd_per_hour: float = 0.0, *, quotes: bool = True, superseded: bool = False) -> None:
        """So many hours, with a quote of the pool and one trade in each."""
        flags = Flag.SUPERSEDED if superseded else Flag(0)
        for _ in range(hours):
            at = self.now + HOUR_NS
            rows = [Row(ts_recv=at - 1, instrument=POOL, kind=Kind.TICK)]
            for minute in range(0, 60, 20):
                ts = self.now + minute * 60 * NS
                (bid, _), (ask, _) = SHOWN.bids[0], SHOWN.asks[0]
                if quotes:
                    rows.insert(
                        -1, Row(ts_recv=ts, instrument=POOL, kind=Kind.DEPTH, bid=bid, ask=ask, extra=0.0)
                    )  # fmt: skip
            if usd_per_hour:
                units = usd_per_hour / 0.5 / 100.0
                rows.append(
                    Row(ts_recv=at, instrument=POOL, kind=Kind.TRADE, bid=100.0, ask=100.0, ask_size=units, flags=flags)
                )  # fmt: skip
            self.say(*rows)
            self.now = at
        self.say(Row(ts_recv=self.now + 61 * NS, instrument=POOL, kind=Kind.TICK))

    @property
    def reading(self) -> Reading:
        """The last one."""
        assert self.parts.liquidity is not None
        return self.parts.liquidity.readings[POOL]

    def notes(self, kind: str) -> list[Note]:
        """Every note of a kind so far."""
        return [note for step in self.steps for note in step.notes if note.kind == kind]


def states(run: Run) -> list[str]:
    """The states that were entered."""
    return [str(note.detail["to"]) for note in run.notes("liquidity_cliff")]


def test_fees_are_of_the_volume_that_was_heard() -> None:
    """
    A day of 1,000 USD an hour at 30 bps is 72 USD a day, in dollars whatever the coin is worth; 72 more are half of the
    income. Before a day was heard nothing is known.
    """
    run = Run(**BY_HAND)
    run.reward(72.0, 30.0)
    run.go(12, 1000.0)
    assert isnan(run.reading.subsidy_share)
    assert "" == run.reading.volume_by
    run.go(24, 1000.0)
    assert "seen" == run.reading.volume_by
    assert 24_000 == pytest.approx(run.reading.volume_usd_per_day, rel=0.04)
    assert 0.5 == pytest.approx(run.reading.subsidy_share, abs=0.01)


def test_hours_that_were_not_heard_are_not_hours_without_trades() -> None:
    """
    Two days of trades, then two days in which nothing comes of the pool: the volume per day is what it was.
    """
    run = Run(**BY_HAND)
    run.reward(72.0, 30.0)
    run.go(48, 1000.0)
    run.go(48, quotes=False)
    assert 24_000 == pytest.approx(run.reading.volume_usd_per_day, rel=0.04)
    assert 0.5 == pytest.approx(run.reading.subsidy_share, abs=0.02)


def test_trades_alone_tell_volume() -> None:
    """
    Where a tape has one trade an hour and no quote, as of candles, the volume is theirs; of four hours without any it
    is a little less.
    """
    run = Run(**BY_HAND)
    run.reward(72.0, 30.0)
    run.go(48, 1000.0, quotes=False)
    assert 24_000 == pytest.approx(run.reading.volume_usd_per_day, rel=0.04)
    run.go(4, quotes=False)
    run.go(20, 1000.0, quotes=False)
    assert 24_000 * 68 / 72 == pytest.approx(run.reading.volume_usd_per_day, rel=0.02)


def test_hours_without_trades_count() -> None:
    """
    Two days of trades, then two days of quotes without any: half the volume per day.
    """
    run = Run(**BY_HAND)
    run.reward(72.0, 30.0)
    run.go(48, 1000.0)
    run.go(48)
    assert 12_000 == pytest.approx(run.reading.volume_usd_per_day, rel=0.04)


def test_a_pool_whose_trades_nobody_tells_is_unknown() -> None:
    """
    Where no trade was ever told, no volume is not zero volume: no warning, however much is paid; the same where a trade
    stands on the tape and no run ever saw it.
    """
    for superseded in (False, True):
        run = Run(**BY_HAND)
        run.reward(1e6, 2.0)
        run.go(30, 1000.0 if superseded else 0.0, superseded=superseded)
        assert Cliff.UNKNOWN is run.reading.state
        assert [] == states(run)
        assert isnan(run.reading.subsidy_share)
        assert run.reading.exits[0].now > 0
        assert isnan(run.reading.exits[0].after)


def test_what_is_known_by_hand_is_enough() -> None:
    """
    With incentive, end, fee, volume and value by hand there is a warning without a row of the pool, with its exits.
    """
    end = "2026-09-12T00:00Z"
    run = Run(
        **BY_HAND, incentive_usd_per_day=300, incentive_ends=end, volume_usd_per_day=20_000, tvl_usd=2e6,
        top_lp_share=0.9,
    )  # fmt: skip
    run.go(1, quotes=False)
    assert ["WARNING"] == states(run)
    reading = run.reading
    assert ("config", 60.0) == (reading.volume_by, reading.fees_usd_per_day)
    assert 300 / 360 == pytest.approx(reading.subsidy_share)
    assert 4.96 == pytest.approx(reading.days, abs=0.02)
    sold = 1e6 * (1 - 0.99 / 0.997)
    assert (sold, sold / 6) == pytest.approx((reading.exits[0].now, reading.exits[0].after))
    assert sold / 10 == pytest.approx(reading.cap_usd)
    (note,) = run.notes("incentive")
    assert {"usd_per_day": 300.0, "by": "config", "ends": 1_789_171_200.0} == note.detail


def test_rows_stand_above_the_config() -> None:
    """
    A row of another program takes the place of what was written by hand, and takes back the warning of it.
    """
    run = Run(**BY_HAND, incentive_usd_per_day=300, incentive_ends="2026-09-12", volume_usd_per_day=20_000)
    run.go(1)
    run.reward(300.0, 40.0)
    run.go(1)
    assert ["WARNING", "CLEAR"] == states(run)
    assert ["config", "row"] == [note.detail["by"] for note in run.notes("incentive")]
    run.reward(300.0, 40.0 - 1 / 24)
    assert 2 == len(run.notes("incentive"))


def test_an_incentive_that_is_cut_off_is_a_cliff_at_once() -> None:
    """
    Weeks before its end a program that carries the pool pays nothing any more: warned of then, and taken back days
    later. What is told of exits afterwards is what was foreseen.
    """
    run = Run(**BY_HAND, volume_usd_per_day=20_000)
    run.reward(300.0, 40.0)
    run.go(2)
    foreseen = run.reading.exits[0].after
    run.reward(0.0, nan)
    run.go(2)
    assert ["CLEAR", "WARNING"] == states(run)
    assert "ended" == run.notes("liquidity_cliff")[-1].detail["why"]
    assert (0.0, foreseen) == (run.reading.usd_per_day, run.reading.exits[0].after)
    run.reward(0.0, nan)
    run.go(75)
    assert ["CLEAR", "WARNING", "CLEAR"] == states(run)
    assert run.reading.exits[0].now == run.reading.exits[0].after


def test_an_end_that_nobody_tells_is_unknown() -> None:
    """
    A subsidy without a known end is no warning and no all-clear; one that matters little is clear.
    """
    large, small = Run(**BY_HAND, volume_usd_per_day=20_000), Run(**BY_HAND, volume_usd_per_day=20_000)
    large.reward(300.0, nan)
    small.reward(20.0, nan)
    for run in (large, small):
        run.go(1)
    assert (Cliff.UNKNOWN, Cliff.CLEAR) == (large.reading.state, small.reading.state)


@pytest.mark.parametrize("usd", [-5.0, nan, float("inf")])
def test_a_row_that_cannot_be_is_passed_over(usd: float) -> None:
    """
    A negative, absent or endless incentive changes nothing.
    """
    run = Run(**BY_HAND, incentive_usd_per_day=300, incentive_ends="2026-12-01", volume_usd_per_day=20_000)
    run.reward(usd, 3.0)
    run.go(1)
    assert 300.0 == run.reading.usd_per_day
    assert 1 == len(run.notes("incentive"))


RULE = Liquidity(pools=Pools(UNIVERSE, {}))
FOUND = st.floats(0.0, 1.0) | st.just(nan)
TO_GO = st.floats(-20.0, 60.0) | st.just(nan)


@given(share=FOUND, days=TO_GO, before=st.sampled_from(Cliff))
def test_the_rule(share: float, days: float, before: Cliff) -> None:
    """
    A new warning needs more than half and less than a week; a standing one is kept above 40 % until half a day beyond,
    and for want of a number; three days after the end it is over.
    """
    state = RULE.state_of(share, days, before)
    if before is Cliff.WARNING:
        assert (share <= 0.4 or days >= 7.5 or days <= -3.0) == (state is Cliff.CLEAR)
        assert state is not Cliff.UNKNOWN
        return
    assert (share > 0.5 and -3.0 < days < 7.0) == (state is Cliff.WARNING)
    assert (share <= 0.5 or days >= 7.0 or days <= -3.0) == (state is Cliff.CLEAR)


def test_a_restart_goes_on_from_the_journal() -> None:
    """
    After a restart the volume of the days before, and a program that a row told, are known at once; each day is told
    once.
    """
    first = Run(**BY_HAND)
    first.reward(300.0, 5.0)
    first.go(60, 1000.0)
    assert ["WARNING"] == states(first)[-1:]
    second = Run(**BY_HAND)
    second.steps.clear()
    fresh = Run(**BY_HAND)
    for run, earlier in ((second, first.steps), (fresh, [])):
        run.parts = assemble_like(run, earlier)
        run.now = first.now
        run.go(1, 1000.0)
    assert ["WARNING"] == states(second)
    assert first.reading.volume_usd_per_day == pytest.approx(second.reading.volume_usd_per_day, rel=0.1)
    assert [] == states(fresh)
    second.go(48, 1000.0)
    days = [note.detail["day"] for run in (first, second) for note in run.notes("pool_day")]
    assert sorted(set(days)) == days
    assert 4 == len(days)


def assemble_like(run: Run, earlier: Sequence[Step]) -> Assembly:
    """The same parts, begun from earlier records."""
    run.steps.clear()
    again = Run(**BY_HAND)
    run.steps, run.levels = again.steps, again.levels
    again.steps.clear()
    parts = again.parts
    parts.engine.restore(earlier)
    return parts


def test_nothing_is_followed_unless_asked() -> None:
    """
    Without the strategy no row of an incentive is looked at, and nothing is remarked.
    """
    parts = assemble(Config(), UNIVERSE, load_sessions(), Journal(None), executor=None)
    parts.engine.advance(Rows.of([Row(ts_recv=T0, instrument=POOL, kind=Kind.REWARD, bid=5.0)]))
    assert parts.liquidity is None
    assert {} == parts.engine.pools.programs


LEVELS = Book(((99.0, 2.0), (98.0, 2.0), (90.0, 5.0)), ((101.0, 1.0),))


def test_a_sale_is_limited_by_its_average() -> None:
    """
    With a mid of 100 one sells 2 at 99 and 2 at 98 for an average of 98.5, and at 2 % under the mid as many at 90 as
    keep the average at 98; at half a percent nothing; the last levels are not the end of a book.
    """
    assert (198.0, True) == tuple(sellable(LEVELS, 0.01))
    assert (0.0, True) == tuple(sellable(LEVELS, 0.005))
    value, complete = sellable(LEVELS, 0.02)
    assert complete
    assert 98.0 == pytest.approx(value / (4.0 + (value - 394.0) / 90.0))
    assert (844.0, False) == tuple(sellable(LEVELS, 0.5))
    assert (0.0, False) == tuple(sellable(Book((), ((101.0, 1.0),)), 0.01))


@given(usd=st.floats(1e4, 1e8), price=st.floats(1.0, 1000.0))
def test_the_value_of_a_pool_is_seen_in_its_levels(usd: float, price: float) -> None:
    """
    A v2 pool's levels tell what it is worth, to a percent.
    """
    pool = V2Pool(reserve0=int(usd / 2 / price * 1e18), reserve1=int(usd / 2 * 1e6))
    shown = book(pool, 0, (18, 6), DEPTH_BPS)
    assert usd == pytest.approx(pool_value(Book(shown.bids, shown.asks), 0.003), rel=0.01)
    assert isnan(pool_value(Book(shown.bids, shown.asks), nan))
    assert isnan(pool_value(Book((), ()), 0.003))
