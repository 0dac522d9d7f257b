"""Faults of clocks, of load and of limits, by their rows in the fault matrix, on a daemon with real lines."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import psutil
import pytest

from bot.clock import monotonic_s, wall_ns
from connectors.events import NS, Health, Kind, Rows, Why
from tests.conformance.stall import Stall, stalls
from tests.faults.market import Market, book_of, open_market
from tests.faults.test_feeds import others_live, recovered, report
from tests.servers.proxy import each, flood
from tests.servers.refusals import Limit, everything, forbidden

HELD_UP_S = 2.0


def lines(*feeds: str) -> tuple[Stall, ...]:
    """One stall for each of these feeds."""
    return tuple({stall.feed: stall for stall in reversed(stalls()) if stall.feed in feeds}.values())


NATIVE = ("kraken", "bybit")


def why(market: Market, name: str) -> tuple[Why, ...]:
    """Everything that speaks against an instrument."""
    return market.daemon.inbox.standing.reasons(market.daemon.universe.number(name))


def all_say(market: Market, reason: Why) -> Callable[[], bool]:
    """Whether a reason stands against every instrument."""
    return lambda: all(reason in why(market, i.name) for i in market.daemon.universe)


def tapped(market: Market) -> list[Rows]:
    """Every block from now on, as the engine sees it."""
    blocks: list[Rows] = []
    market.daemon.inbox.taps.append(blocks.append)
    return blocks


@pytest.mark.timeout(240)
async def test_row_12_a_right_that_is_lost_takes_no_other_venue_with_it() -> None:
    """
    12. A venue answers 401 and 403 in the middle of a session: the process lives, the venue says why, the others go on.
    """
    for status in (401, 403):
        async with open_market(lines(*NATIVE)) as market:
            await market.agrees(patience_s=60)
            venue = lines(*NATIVE)[0].venue
            name = market.stalls[venue].instruments[0].name
            with report(12, f"{venue} {status}") as times:
                market.proxies[venue].refusals.append(forbidden(status, everything))
                market.proxies[venue].reset()
                times["detected"] = await market.until(lambda n=name, m=market: Why.ENTITLEMENT in why(m, n))  # type: ignore[misc]
            assert Health.DOWN is market.state(name)
            await market.until(lambda n=name, m=market: not m.eligible(n))  # type: ignore[misc]
            await market.show_all(1, but=[venue])
            await market.until(lambda v=venue, m=market: others_live(m, v))  # type: ignore[misc]
            assert "feed_down" in {note.kind for note in market.notes}


@pytest.mark.timeout(240)
async def test_row_15_a_flood_costs_no_memory_and_the_newest_is_what_is_seen() -> None:
    """
    15. Every message comes fifty times: the inbox stays small, memory flat, and the columns end as the venues' books.
    """
    async with open_market(lines(*NATIVE)) as market:
        await market.agrees(patience_s=60)
        for proxy in market.proxies.values():
            proxy.down.edits.append(flood(each(), 50))
        process, blocks = psutil.Process(), [0]
        market.daemon.inbox.taps.append(lambda rows: blocks.append(max(blocks.pop(), len(rows))))
        await flooded(market, 40)
        gc.collect()
        before, begun = process.memory_info().rss, monotonic_s()
        frames = await flooded(market, 200)
        took = monotonic_s() - begun
        gc.collect()
        grown = process.memory_info().rss - before
        inbox, lag = market.daemon.inbox, market.daemon.lag
        mean_ms = lag.sum / max(1, lag.total) * 1e3
        print(
            f"fault 15: {frames:,} frames in {took:.1f} s, {grown / 1e6:+.1f} MB, at most {blocks[0]} rows waited, "
            f"{inbox.superseded:,} superseded, {inbox.let_go} let go, mean lag {mean_ms:.1f} ms"
        )
        assert [] == list(market.differs())
        assert frames > 10_000
        assert 0 == inbox.let_go == inbox.rejected[market.daemon.universe[0].venue, "inbox_full"]
        assert grown < 30e6
        for proxy in market.proxies.values():
            proxy.heal()
        with report(15, "all") as times:
            await market.show_all(3)
            times["recovered"] = await recovered(market, 3)


async def flooded(market: Market, steps: int) -> int:
    """Shows so many books, and waits until every message of them has come fifty times; gives how many came."""
    ways = [proxy.down for proxy in market.proxies.values()]
    before = [(way.messages, way.passed) for way in ways]
    for step in range(1, steps + 1):
        await market.show_all(step % 7)
    await market.until(
        lambda: all(
            way.messages - messages >= steps and way.passed - passed >= 50 * (way.messages - messages)
            for way, (messages, passed) in zip(ways, before, strict=True)
        )
    )
    await market.until(lambda: not market.differs())
    return sum(way.passed - passed for way, (_, passed) in zip(ways, before, strict=True))


@pytest.mark.timeout(240)
async def test_row_16_what_is_read_after_a_block_is_not_traded_until_the_line_is_empty() -> None:
    """
    16. The loop stands still for 2 s while quotes come in: each of them is read behind LOOP_LAG, and aged from before
    the block; nothing is eligible until all is read, then everything is.
    """
    async with open_market(lines(*NATIVE)) as market:
        await market.agrees(patience_s=60)
        blocks = tapped(market)
        with report(16, f"{HELD_UP_S:.0f} s") as times:
            await market.show_all(1)
            blocked_at = wall_ns()
            threading.Event().wait(HELD_UP_S)
            times["detected"] = await market.until(all_say(market, Why.LOOP_LAG))
            await market.until(lambda: not any(market.eligible(name) for name in market.shown))
            times["recovered"] = await market.agrees()
            await market.until(
                lambda: any(row.kind is Kind.HEALTH and row.bid == Health.UP for block in blocks for row in block)
            )
        rows = [row for block in blocks for row in block]
        barred = next(at for at, row in enumerate(rows) if row.kind is Kind.HEALTH and row.ask == Why.LOOP_LAG)
        cleared = next(at for at, row in enumerate(rows) if row.kind is Kind.HEALTH and row.bid == Health.UP)
        assert [] == [row for row in rows[:barred] if row.ts_recv > blocked_at]
        old = [row for row in rows[barred:cleared] if row.kind in (Kind.QUOTE, Kind.FX)]
        assert len(market.shown) <= len(old)
        assert max(row.ts_recv for row in old) <= blocked_at
        assert market.daemon.lag.counts[-4:] != [0, 0, 0, 0]
        assert not market.daemon.inbox.held_up


@pytest.mark.timeout(240)
@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
async def test_row_17_a_clock_that_jumps_stops_trading_and_nothing_else(jump_s: float) -> None:
    """
    17. The wall clock jumps an hour either way: rows keep coming in order and in true time, no line is given up, and
    nothing is eligible; set back, everything is. The other time the venues' clocks say that ours is right.
    """
    ahead = [0]
    async with open_market(lines(*NATIVE), wall=lambda: wall_ns() + ahead[0]) as market:
        await market.agrees(patience_s=60)
        blocks, lives = tapped(market), [vitals.lives for vitals in market.daemon.doors.vitals.values()]
        with report(17, f"{jump_s:+.0f} s, set back") as times:
            ahead[0] = round(jump_s * NS)
            times["detected"] = await market.until(all_say(market, Why.CLOCK))
            await market.until(lambda: not any(market.eligible(name) for name in market.shown))
            await market.show_all(1)
            await market.until(lambda: not market.differs())
            ahead[0] = 0
            times["recovered"] = await market.agrees()
        times_seen = [ts for block in blocks for ts in block.ts_recv.tolist()]
        assert sorted(times_seen) == times_seen
        assert max(times_seen) - min(times_seen) < 60 * NS
        assert lives == [vitals.lives for vitals in market.daemon.doors.vitals.values()]
        assert 0 == market.daemon.inbox.raised
        with report(17, f"{jump_s:+.0f} s, ours is right") as times:
            ahead[0] = round(jump_s * NS)
            await market.until(all_say(market, Why.CLOCK))
            for proxy in market.proxies.values():  # a new life asks the venue's clock
                proxy.reset()
            times["recovered"] = await recovered(market, 2)
        assert [line for line in market.said if "clock jumped" in line]


@pytest.mark.timeout(240)
async def test_row_18_a_venue_whose_clock_is_off_is_not_traded() -> None:
    """
    18. One venue's clock is 5 s ahead: what it says is seen, its instruments are not traded, the gauge shows the drift,
    the others go on; when its clock is right again and was asked, so is everything.
    """
    async with open_market(lines(*NATIVE)) as market:
        await market.agrees(patience_s=60)
        venue = "kraken"
        server, name = market.servers[venue], market.stalls[venue].instruments[0].name
        with report(18, venue) as times:
            server.clock = lambda: wall_ns() + 5 * NS
            market.proxies[venue].reset()
            times["detected"] = await market.until(lambda: why(market, name) == (Why.CLOCK,))
            assert Health.DEGRADED is market.state(name)
            await market.until(lambda: not market.eligible(name))
            offset_s = next(feed.offset_s for feed in market.daemon.feed_states() if feed.venue == venue)
            assert offset_s is not None
            print(f"fault 18: the drift gauge says {offset_s:+.3f} s")
            assert 4.0 < offset_s < 6.0
            await market.show_all(1)
            await market.until(lambda: not market.differs())
            assert others_live(market, venue)
            server.clock = wall_ns
            market.proxies[venue].reset()
            times["recovered"] = await recovered(market, 2)


@pytest.mark.timeout(240)
async def test_row_30_a_limit_is_kept_to_the_second_and_no_ban_follows() -> None:
    """
    30. Calls and handshakes of every venue are answered with 429 and Retry-After, earlier ones with a ban: nobody comes
    before the moment, all are back after it.
    """
    async with open_market(lines(*NATIVE)) as market:
        await market.agrees(patience_s=60)
        limits = {venue: Limit(3.0, 300.0, where=everything) for venue in market.proxies}
        with report(30, "all") as times:
            for venue, proxy in market.proxies.items():
                proxy.refusals.append(limits[venue])
                proxy.reset()
            await market.until(lambda: all(limit.answered for limit in limits.values()))
            assert all(market.state(name) is Health.DOWN for name in market.shown)
            await market.show_all(1)
            times["recovered"] = await recovered(market, 1)
            times["of which limited"] = 3.0
        assert {venue: ([429], 0) for venue in limits} == {v: (one.answered, one.early) for v, one in limits.items()}


def test_the_books_of_the_steps_differ() -> None:
    """Else nothing above would tell anything."""
    instrument = lines("kraken")[0].instruments[0]
    assert 8 == len({book_of(instrument, step) for step in range(8)})
