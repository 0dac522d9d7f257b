"""What goes wrong at a venue, by the rows of the fault matrix, on every venue that ccxt is tried on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest

from connectors.backoff import REFUSED_S
from connectors.cex.ccxt_feed import CcxtFeed
from connectors.errors import EntitlementLost
from connectors.events import Health, Kind, Why
from connectors.vitals import Vitals
from tests.connectors.ccxt_cases import CASES, Case, token, tops
from tests.servers import binance
from tests.servers.heard import Heard, setup_for
from tests.servers.proxy import FaultProxy, duplicate, nth, swap
from tests.servers.refusals import Limit, Request, calls, forbidden
from tests.servers.venue import PATIENCE_S

FIRST = ([("400.10", "3"), ("400.00", "9")], [("400.30", "2"), ("400.40", "7")])
MOVED = ([("410.10", "3"), ("410.00", "9")], [("410.30", "2"), ("410.40", "7")])
OFF = {"funding_s": float("inf"), "status_s": float("inf")}
GAPS = [case for case in CASES if case.gaps]


@pytest.fixture(scope="module", autouse=True)
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


@pytest.fixture(params=CASES, ids=lambda c: c.name)
def case(request: pytest.FixtureRequest) -> Case:
    """Each venue's book in turn."""
    return request.param  # type: ignore[no-any-return]


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints how long something took; nothing is asserted about it."""
    begun = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begun:.3f} s")


async def begun(case: Case, server: Any, heard: Heard) -> None:
    """The book is followed, has been told and heard."""
    await case.followed(server, case.book)
    await case.change(server, bids=[FIRST[0][0]])
    await heard.until(lambda: (400.1, 400.3) in tops(heard))


async def told(case: Case, server: Any, heard: Heard, condition: Callable[[], bool]) -> None:
    """Tells a change far from the top, again and again, until something holds: a new book may need one to begin."""
    async with asyncio.timeout(PATIENCE_S):
        for step in count():
            await case.change(server, bids=[("300", str(1 + step % 7))])
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await heard.until(condition)
                    return


async def test_row_3_a_stream_that_is_alive_but_stale_is_found_and_rebuilt(case: Case) -> None:
    """
    Old content in new envelopes, while the venue's REST book moves on, disagrees; it is believed again when it agrees.
    """
    heard = Heard()
    async with case.server() as server:
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, compare_s=0.05, options=OFF):
            await begun(case, server, heard)
            server.frozen = True
            await case.whole(server, *MOVED)
            with timed(f"row 3 {case.name} detected"):
                await heard.until(lambda: Why.DISAGREES in heard.standing.reasons(0))
            server.frozen = False
            with timed(f"row 3 {case.name} recovered"):
                await told(case, server, heard, lambda: tops(heard)[-1] == (410.1, 410.3))
                await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
    assert heard.rejected[case.instrument.venue, "disagrees"] >= 1


async def test_row_3_a_quiet_stream_that_is_right_is_left_alone(case: Case) -> None:
    """
    Many comparisons of a book that does not move find nothing, and the connection stays.
    """
    heard = Heard()
    async with case.server() as server:
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, compare_s=0.01, options=OFF) as feed:
            await begun(case, server, heard)
            asked = feed.rest.calls
            await server.until(lambda: feed.rest.calls >= asked + 10)
    assert not heard.rejected
    assert 1 == server.connections


async def test_row_4_a_crossed_book_is_refused_and_begun_anew(case: Case) -> None:
    """
    Bids above asks become no row; where the book is made of changes, three in a row mean a new snapshot.
    """
    heard = Heard()
    async with case.server() as server:
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, options=OFF):
            await begun(case, server, heard)
            for size in ("1", "2", "3"):
                await case.change(server, bids=[("500", size)])
            await heard.until(lambda: heard.rejected[case.instrument.venue, "crossed"] >= 3)
            await case.change(server, bids=[("500", "0"), ("399", "1")])
            await told(case, server, heard, lambda: heard.health(0)[-1] is Health.UP)
            assert (400.1, 400.3) == tops(heard)[-1]
    assert {(400.1, 400.3)} == set(tops(heard))


@pytest.mark.parametrize("case", GAPS, ids=lambda c: c.name)
async def test_row_6_a_gap_in_the_update_ids_means_a_new_book(case: Case) -> None:
    """
    After a lost update nothing is used until the book is built again, and then it is the venue's.
    """
    heard = Heard()
    async with case.server() as server:
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, options=OFF):
            await begun(case, server, heard)
            await case.change(server, bids=[("400.20", "5")], untold=True)
            with timed(f"row 6 {case.name} detected"):
                await case.change(server, asks=[("400.25", "1")])
                await heard.until(lambda: Health.DOWN in heard.health(0))
            with timed(f"row 6 {case.name} recovered"):
                await told(case, server, heard, lambda: tops(heard)[-1] == (400.2, 400.25))
            assert heard.health(0)[-1] is Health.UP
    assert (400.1, 400.25) not in tops(heard)


@pytest.mark.parametrize("how", ["twice", "swapped"])
async def test_row_7_repeated_and_reordered_messages_end_with_the_book_in_order(case: Case, how: str) -> None:
    """
    A message that comes twice changes nothing; two in each other's place never leave a book that was not the venue's.
    """
    heard, word = Heard(), case.book[0].encode() if "." in case.book[0] or case.book[0] == "l2Book" else b"depthUpdate"
    async with case.server() as server, FaultProxy(server.url) as proxy:
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, url=proxy.url, options=OFF, compare_s=0.05):
            await begun(case, server, heard)
            pick = nth(2, having=word)
            proxy.down.edits.append(duplicate(pick) if how == "twice" else swap(pick))
            for step in range(1, 6):
                await case.change(server, bids=[(f"400.1{step}", str(step))])
                await asyncio.sleep(0.002)  # the venue's time is in milliseconds: each message has its own
            await told(case, server, heard, lambda: tops(heard)[-1] == (400.15, 400.3))
            await heard.until(lambda: heard.health(0)[-1] is Health.UP)
    shown = [(400.1 + step / 100, 400.3) for step in range(6)]
    assert all(any(top == pytest.approx(one) for one in shown) for top in tops(heard))
    bids = [bid for bid, _ in tops(heard)]
    assert bids == sorted(bids)


async def test_row_12_a_right_that_is_lost_over_rest_leaves_the_stream_alone(case: Case) -> None:
    """
    401 in mid-session: the stream goes on, the refusal is counted, and that question is asked again after a minute:
    a book that is never compared again could be anybody's.
    """
    heard, minute = Heard(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        await (minute.wait() if seconds >= REFUSED_S else asyncio.sleep(0))

    async with case.server() as server:
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, compare_s=0.01, sleep=sleep, options=OFF) as feed:
            await begun(case, server, heard)
            server.refusals = [forbidden(401, calls)]
            await heard.until(lambda: heard.rejected[feed.venue, "entitlement_lost"] > 0)
            asked = feed.rest.calls
            await case.change(server, bids=[("400.20", "1")])
            await heard.until(lambda: tops(heard)[-1] == (400.2, 400.3))
            assert (asked, [Health.UP]) == (feed.rest.calls, heard.health(0))
            server.refusals = []
            minute.set()
            await server.until(lambda: feed.rest.calls > asked)


async def test_row_12_a_class_of_instruments_that_lost_its_right_heals_while_the_others_live() -> None:
    """
    401 for perps only: they are down for that, tokens go on, and perps are heard when the right is back.
    """
    spot, perps, heard, vitals = CASES[0], CASES[1], Heard(), Vitals()

    async def sleep(_: float) -> None:
        await asyncio.sleep(0.01)

    async with spot.server() as server:
        await spot.whole(server, *FIRST)
        await perps.whole(server, *FIRST)
        server.refusals = [forbidden(401, lambda request: calls(request) and "fapi" in request.path)]
        async with spot.feeding(server, heard, perps.instrument, sleep=sleep, vitals=vitals, options=OFF) as feed:
            await begun(spot, server, heard)
            await heard.until(lambda: heard.standing.state(1) == (Health.DOWN, Why.ENTITLEMENT))
            server.refusals = []
            await perps.followed(server, perps.book)
            await perps.change(server, bids=[("400.20", "1")])
            await heard.until(lambda: heard.standing.state(1) == (Health.UP, Why.NOTHING))
            assert [Health.UP] == heard.health(0)
            assert 2 == len(feed.taps)
    assert vitals.calls["rest"] > vitals.failures["entitlement_lost"] > 0
    assert vitals.used_ratio is not None


async def test_row_12_a_venue_that_refuses_the_list_of_markets_is_stopped(case: Case) -> None:
    """
    401 before anything is known ends this venue's feed, and says why.
    """
    heard = Heard()
    async with case.server() as server:
        server.refusals = [forbidden(401, calls)]
        async with case.feeding(server, heard, options=OFF) as feed:
            await heard.until(lambda: heard.rejected[feed.venue, "entitlement_lost"] > 0)
            with pytest.raises(EntitlementLost):
                await feed.run(Heard(), {case.instrument.name: 0})
    assert [Why.ENTITLEMENT] == heard.why(0)
    assert [Health.DOWN] == heard.health(0)


async def test_what_stood_against_a_class_that_lost_its_right_does_not_outlive_it() -> None:
    """
    Perps were halted when their right was lost: when it is back and they trade again, nothing stands against them.
    """
    spot, perps, heard, gate = CASES[0], CASES[1], Heard(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        await (gate.wait() if seconds == REFUSED_S else asyncio.sleep(0.01))

    async with spot.server() as server:
        await spot.whole(server, *FIRST)
        await perps.whole(server, *FIRST)
        options = {"funding_s": float("inf"), "status_s": 0.05}
        async with spot.feeding(server, heard, perps.instrument, sleep=sleep, options=options):
            await begun(spot, server, heard)
            await perps.followed(server, perps.book)
            await perps.change(server, bids=[("400.20", "1")])
            await heard.until(lambda: 1 in [row.instrument for row in heard.rows if row.kind is Kind.QUOTE])
            _status(server, perps, halted=True)
            await heard.until(lambda: heard.standing.state(1) == (Health.CLOSED, Why.HALTED))
            server.refusals = [forbidden(401, lambda request: calls(request) and "fapi" in request.path)]
            await perps.change(server, bids=[("400.20", "2")], untold=True)
            await perps.change(server, bids=[("400.20", "3")])  # a gap: the book is asked for anew, and refused
            await heard.until(lambda: Why.ENTITLEMENT in heard.standing.reasons(1))
            _status(server, perps, halted=False)
            server.refusals = []
            gate.set()
            await told(perps, server, heard, lambda: heard.standing.state(1) == (Health.UP, Why.NOTHING))


async def test_a_symbol_that_is_listed_later_comes_up() -> None:
    """
    One of two symbols is not listed at the start: it is down for that, and is heard soon after the venue lists it.
    """
    case, late, heard = CASES[0], token("binance", "NVDAB/USDT", "NVDAB"), Heard()
    async with case.server() as server:
        listing = server.listings.pop((binance.SPOT, "NVDABUSDT"))
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, late, options={**OFF, "status_s": 0.05}):
            await begun(case, server, heard)
            assert (Health.DOWN, Why.NOT_LISTED) == heard.standing.state(1)
            server.listings[binance.SPOT, "NVDABUSDT"] = listing
            await server.whole("NVDABUSDT", bids=[("120.1", "3")], asks=[("120.3", "2")])
            with timed("a late symbol comes up"):
                await heard.until(lambda: (120.1, 120.3) in tops(heard, 1))
                await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
            assert (Health.UP, Why.NOTHING) == heard.standing.state(1)
    assert {("binance", "symbol_unknown"): 1, ("binance", "newly_listed"): 1} == dict(heard.rejected)


async def test_a_class_of_which_nothing_is_listed_is_asked_for_again_while_another_lives() -> None:
    """
    The only perp is not listed at the start: tokens are streamed, and the perp is heard once the venue lists it.
    """
    spot, perps, heard, gate = CASES[0], CASES[1], Heard(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        await (gate.wait() if seconds == REFUSED_S else asyncio.sleep(0.01))

    async with spot.server() as server:
        listing = server.listings.pop((binance.FUTURES, "TSLAUSDT"))
        await spot.whole(server, *FIRST)
        async with spot.feeding(server, heard, perps.instrument, sleep=sleep, options=OFF):
            await begun(spot, server, heard)
            await heard.until(lambda: heard.standing.state(1) == (Health.DOWN, Why.NOT_LISTED))
            server.listings[binance.FUTURES, "TSLAUSDT"] = listing
            await perps.whole(server, *FIRST)
            gate.set()
            await perps.followed(server, perps.book)
            await told(perps, server, heard, lambda: heard.standing.state(1) == (Health.UP, Why.NOTHING))
            assert [Health.UP] == heard.health(0)


async def test_a_fault_of_ours_ends_the_feed_and_is_no_refusal(case: Case) -> None:
    """
    A sink that is broken is not taken for a book that ccxt cannot digest and tried again for ever: the feed ends with
    it, and whoever runs it is told.
    """

    class Broken(Heard):
        def put(self, *args: Any, **more: Any) -> None:
            if args[0] is Kind.QUOTE:
                raise KeyError("a fault")
            super().put(*args, **more)

    heard = Broken()
    async with case.server() as server:
        await case.whole(server, *FIRST)
        feed = CcxtFeed(setup_for(server, case.instrument, options=OFF, compare_s=float("inf")))
        running = asyncio.create_task(feed.run(heard, {case.instrument.name: 0}))
        await case.followed(server, case.book)
        await case.change(server, bids=[FIRST[0][0]])
        with pytest.raises(ExceptionGroup) as ended:
            async with asyncio.timeout(PATIENCE_S):
                await running
    assert ended.group_contains(KeyError)
    assert {(feed.venue, "unforeseen"): 1} == dict(heard.rejected)


@pytest.mark.parametrize("fault", [RuntimeError, KeyError])
async def test_a_book_is_not_believed_when_nobody_can_compare_it(fault: type[Exception]) -> None:
    """
    Whoever asks beside the stream falls over a fault that nobody foresaw: the feed ends with it, instead of going on
    unwatched.
    """

    def clock() -> int:
        raise fault("a fault")

    case, heard = CASES[0], Heard()
    async with case.server() as server:
        await case.whole(server, *FIRST)
        feed = CcxtFeed(setup_for(server, case.instrument, clock=clock))
        with pytest.raises(ExceptionGroup):
            async with asyncio.timeout(10):
                await feed.run(heard, {case.instrument.name: 0})


async def test_row_20_a_halt_is_a_state_of_the_instrument(case: Case) -> None:
    """
    The venue's trading status closes the instrument while its book still comes, and opens it again.
    """
    heard = Heard()
    async with case.server() as server:
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, options={**OFF, "status_s": 0.05}):
            await begun(case, server, heard)
            _status(server, case, halted=True)
            with timed(f"row 20 {case.name} detected"):
                await heard.until(lambda: (Health.CLOSED, Why.HALTED) == heard.standing.state(0))
            await case.change(server, bids=[("400.20", "1")])
            await heard.until(lambda: tops(heard)[-1] == (400.2, 400.3))
            _status(server, case, halted=False)
            await heard.until(lambda: (Health.UP, Why.NOTHING) == heard.standing.state(0))


def _status(server: Any, case: Case, *, halted: bool) -> None:
    """The trading status in the venue's own words."""
    if hasattr(server, "coins"):
        server.coins[case.at[0]].delisted = halted
        return
    words = {"binance": ("TRADING", "HALT"), "gate": ("tradable", "untradable")}
    known = words[case.instrument.venue] if case.unit == 1.0 else ("trading", "delisting")
    server.listings[case.at[1], case.at[0]].status = known[halted]


async def test_row_30_nothing_is_asked_before_retry_after(case: Case) -> None:
    """
    429 with Retry-After is waited out, by ccxt's own requests too: no ban follows, and the feed begins afterwards.
    """
    now, waits, heard = [0.0], list[float](), Heard()

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        waits.append(seconds)
        await asyncio.sleep(0)

    limit = Limit(retry_after_s=30.0, ban_s=120.0, clock=lambda: now[0])
    async with case.server() as server:
        server.refusals = [limit]
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, sleep=sleep, monotonic=lambda: now[0], options=OFF) as feed:
            await begun(case, server, heard)
            assert (1, Health.UP) == (feed.rest.limited, heard.health(0)[-1])
    assert ([429], 0) == (limit.answered, limit.early)
    assert sum(waits) >= 29.9


async def test_row_30_a_limit_in_mid_session_keeps_the_stream_and_is_waited_out(case: Case) -> None:
    """
    While the venue wants to be left alone, the stream goes on, the instrument is marked, and nobody asks early.
    """
    now, heard, gate = [0.0], Heard(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()
        now[0] += seconds

    async with case.server() as server:
        await case.whole(server, *FIRST)
        async with case.feeding(
            server, heard, compare_s=0.01, sleep=sleep, monotonic=lambda: now[0], options=OFF
        ) as feed:
            await begun(case, server, heard)
            limit = Limit(retry_after_s=20.0, ban_s=60.0, clock=lambda: now[0])
            server.refusals = [limit]
            await server.until(lambda: bool(limit.answered))
            await heard.until(lambda: heard.standing.state(0) == (Health.DEGRADED, Why.RATE_LIMITED))
            asked = len(server.asked)
            await case.change(server, bids=[("400.20", "1")])
            await heard.until(lambda: tops(heard)[-1] == (400.2, 400.3))
            assert (Health.DEGRADED, Why.RATE_LIMITED) == heard.standing.state(0)
            assert asked == len(server.asked)
            gate.set()
            await server.until(lambda: len(server.asked) > asked + 1)
            await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
    assert ([429], 0) == (limit.answered, limit.early)
    assert 1 == feed.rest.limited


async def test_row_30_where_403_is_the_firewalls_limit_it_is_no_lost_right() -> None:
    """
    Binance answers 403 to who asks too much: it is waited out, and the feed is not stopped.
    """
    case, heard, left = CASES[0], Heard(), [1]

    def once(request: Request) -> Any:
        answer = forbidden(403, calls)(request) if left[0] else None
        left[0] -= answer is not None
        return answer

    async with case.server() as server:
        server.refusals = [once]
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, options=OFF) as feed:
            await begun(case, server, heard)
    assert 1 == feed.rest.limited
    assert ("binance", "entitlement_lost") not in heard.rejected


async def test_row_18_the_clock_of_the_venue_is_told(case: Case) -> None:
    """
    A venue whose clock is five seconds ahead is told with the error of the measurement.
    """
    heard = Heard()
    async with case.server() as server:
        server.clock = lambda: time.time_ns() + 5 * 10**9
        await case.whole(server, *FIRST)
        async with case.feeding(server, heard, options={**OFF, "status_s": 60.0}) as feed:
            await heard.until(lambda: bool(heard.offsets))
    offset, error = heard.offsets[feed.venue]
    assert abs(offset - 5.0) <= error + 0.05
    assert not [row for row in heard.rows if row.kind is Kind.FUNDING]
