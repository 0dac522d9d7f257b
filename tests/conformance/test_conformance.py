"""What every connector must do, whatever its venue; each case has a number that reports can name."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from bot.clock import monotonic_s
from connectors.events import Health, Kind, Row
from tests.conformance.ear import Ear
from tests.conformance.stall import Stall, Top, stalls
from tests.servers.heard import Heard, no_wait

STALLS = stalls()
FIRST, SECOND, THIRD = Top("400.1", "400.3"), Top("400.2", "400.3", "5", "2"), Top("399", "399.5", "1", "7")
OTHER = Top("0.9998", "0.9999", "5000", "7000")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case, by its number, for the connectors for which it can be."""
    if "stall" in metafunc.fixturenames:
        case = metafunc.function.__name__[5:8].upper()
        metafunc.parametrize("stall", [s for s in STALLS if case not in s.never], ids=lambda s: s.name, indirect=True)


@pytest.fixture
def stall(request: pytest.FixtureRequest) -> Stall:
    """Each connector in turn. ccxt takes seconds to import; no case should wait for it."""
    if request.param.feed == "ccxt":
        importlib.import_module("ccxt.pro")
    return request.param  # type: ignore[no-any-return]


@contextmanager
def timed(stall: Stall, case: str) -> Iterator[None]:
    """Prints how long something took; nothing is asserted about it."""
    begun = monotonic_s()
    yield
    print(f"{case} {stall.name}: {monotonic_s() - begun:.3f} s")


def prices(heard: Heard, stall: Stall, number: int = 0) -> list[Row]:
    """Rows of one instrument with its best bid and ask."""
    return [row for row in heard.quotes(number) if row.kind in (stall.kind, Kind.FX)]


def told(stall: Stall, heard: Heard, number: int = 0) -> list[Top]:
    """What these rows say."""
    return [stall.told(row) for row in prices(heard, stall, number)]


async def begun(stall: Stall, server: Any, heard: Heard, connection: int = 1) -> None:
    """Every instrument is followed and has been heard."""
    await stall.follows(server, connection)
    if not stall.snapshots:
        await opened(stall, server)
    await heard.until(lambda: all(heard.quotes(at) for at in range(len(stall.instruments))))


async def opened(stall: Stall, server: Any) -> None:
    """Every instrument of the venue has a book."""
    for at, instrument in enumerate(stall.instruments):
        await stall.show(server, instrument, OTHER if at else FIRST)


def test_a_case_that_is_left_out_is_one_of_the_suite_and_says_why() -> None:
    """
    The table of what cannot be for whom, printed: every entry names a case and a reason, and most cases are for all.
    """
    cases = {name[5:8].upper() for name in globals() if name.startswith("test_c")}
    table = [(stall.name, case, why) for stall in STALLS for case, why in sorted(stall.never.items())]
    for row in table:
        print("{:<10} {} {}".format(*row))
    assert 15 == len(cases)
    assert all(case in cases and why for _, case, why in table)
    assert max(len(stall.never) for stall in STALLS) <= 4
    assert {"pools", "onchain"} <= {stall.feed for stall in STALLS}


async def test_c01_what_the_venue_shows_is_what_is_heard(stall: Stall) -> None:
    """
    C01. The first row is the venue's book, each change is heard, and nothing is heard that was not shown.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
            for top in (SECOND, THIRD):
                await stall.show(server, stall.instruments[0], top)
                await heard.until(lambda t=top: told(stall, heard)[-1] == stall.expects(t))  # type: ignore[misc]
            assert stall.expects(OTHER) == told(stall, heard, 1)[-1]
    assert [stall.expects(top) for top in (FIRST, SECOND, THIRD)] == list(dict.fromkeys(told(stall, heard)))


async def test_c02_an_instrument_is_up_from_its_first_row_on(stall: Stall) -> None:
    """
    C02. Nobody says UP before the first price, and then it is said once.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
            rows = list(heard.rows)
    for number in range(len(stall.instruments)):
        said = [row.kind for row in rows if row.instrument == number and row.kind not in (Kind.SESSION, Kind.ACTION)]
        assert 1 == said.count(Kind.HEALTH)
        assert Kind.HEALTH in said[:2]


async def test_c03_after_a_reset_the_book_is_built_anew_before_use(stall: Stall) -> None:
    """
    C03. A reset connection is down; it comes back by itself, subscribed, with the book of that moment.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
            with timed(stall, "C03 detected"):
                server.drop()
                await heard.until(lambda: Health.DOWN in heard.health(0))
            if not stall.snapshots:
                await stall.follows(server, 2)
            await stall.show(server, stall.instruments[0], THIRD)
            with timed(stall, "C03 recovered"):
                await heard.until(lambda: told(stall, heard)[-1] == stall.expects(THIRD))
            await heard.until(lambda: heard.health(0)[-1] is Health.UP)
            down = next(at for at, row in enumerate(heard.rows) if row.instrument == 0 and row.bid == Health.DOWN)
            after = [stall.told(row) for row in prices(heard, stall) if row.ts_recv > down]
    assert stall.expects(THIRD) == after[-1]
    assert set(after) <= {stall.expects(FIRST), stall.expects(THIRD)}


async def test_c04_rubbish_is_counted_and_the_feed_goes_on(stall: Stall) -> None:
    """
    C04. What is no message at all is counted, becomes no row, and the next book is heard.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
            for rubbish in ("{", '{"x":', "[1,2,3]", "null", "7", '"text"', "\x00\xff", "[" * 5000 + "]" * 5000):
                before = heard.rejected.total()
                await server.send(rubbish)
                await heard.until(lambda n=before: heard.rejected.total() > n)  # type: ignore[misc]
                await stall.follows(server, 1)
            await stall.show(server, stall.instruments[0], SECOND)
            await heard.until(lambda: told(stall, heard)[-1] == stall.expects(SECOND))
    assert {stall.expects(FIRST), stall.expects(SECOND)} == set(told(stall, heard))


async def test_c05_a_frame_of_a_hundred_megabytes_is_refused(stall: Stall) -> None:
    """
    C05. The frame is counted and not held; the feed is back on a new connection.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
            await server.flood(100_000_000)
            await begun(stall, server, heard, 2)
            await heard.until(lambda: Health.DOWN in heard.health(0) and heard.health(0)[-1] is Health.UP)
    assert 1 <= heard.rejected[stall.instruments[0].venue, "frame_too_large"]


async def test_c06_a_crossed_book_becomes_no_row(stall: Stall) -> None:
    """
    C06. Bid above ask is counted as crossed; the next sane book is heard.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
            await stall.show(server, stall.instruments[0], Top("401", "400.5"))
            venue = stall.instruments[0].venue
            await heard.until(lambda: heard.rejected[venue, stall.crossed] > 0)
            await stall.show(server, stall.instruments[0], THIRD)
            await heard.until(lambda: told(stall, heard)[-1] == stall.expects(THIRD))
    assert all(row.bid < row.ask for row in prices(heard, stall))


async def test_c07_an_unlisted_symbol_is_said_and_the_others_go_on(stall: Stall) -> None:
    """
    C07. A symbol that the venue does not have is named; its neighbours are streamed.
    """
    wrong = msgspec.structs.replace(stall.instruments[0], symbol=stall.unlisted)
    heard = Ear((*stall.instruments, wrong))
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard, extra=(wrong,)):
            await begun(stall, server, heard)
            await heard.until(lambda: any(stall.unlisted in words for words in heard.details.values()))
    assert [] == heard.quotes(len(stall.instruments))


async def test_c08_silence_after_the_connect_is_a_fault(stall: Stall) -> None:
    """
    C08. Connected but never answered: the first message has a time-out, and a new connection is made.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        server.mute = True
        async with stall.listening(server, heard, first_message_s=0.05):
            await heard.until(lambda: heard.rejected.total() >= 2)
            await server.until(lambda: server.connections >= 2)
    assert [] == heard.quotes(0)


async def test_c09_a_maintenance_page_is_survived(stall: Stall) -> None:
    """
    C09. 503 with HTML on every call is counted and tried again until the venue is back.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        server.refuse = (503, {})
        await opened(stall, server)
        async with stall.listening(server, heard):
            await heard.until(lambda: heard.rejected.total() >= 2)
            server.refuse = None
            await begun(stall, server, heard)
    assert stall.expects(FIRST) == told(stall, heard)[0]


async def test_c10_told_to_stop_it_stops_and_closes_its_connections(stall: Stall) -> None:
    """
    C10. A cancelled feed leaves no task and no open connection behind.
    """
    heard = Ear(stall.instruments)
    before = asyncio.all_tasks()
    async with stall.server() as server:
        standing = asyncio.all_tasks() - before
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
        await server.until(lambda: not server.sockets)
        left = {task for task in asyncio.all_tasks() - before - standing if "Server" not in repr(task)}
        assert not {task for task in left if "connectors" in repr(task)}


async def test_c11_raw_messages_are_handed_on_as_they_came(stall: Stall) -> None:
    """
    C11. Whoever keeps raw frames gets every message of the venue's stream, unchanged and under its name.
    """
    heard = Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard):
            await begun(stall, server, heard)
            await server.send('{"just":"so"}')
            await heard.until(lambda: any("just" in str(data) for _, data in heard.frames))
    assert {stall.venue} == {venue for venue, _ in heard.frames}
    assert {'{"just":"so"}', b'{"just":"so"}'} & {data for _, data in heard.frames}


async def test_c12_levels_are_told_at_most_as_often_as_asked(stall: Stall) -> None:
    """
    C12. With a book of levels the DEPTH rows begin with the best prices, on both sides in order; switched off there
    are none.
    """
    heard, silent = Ear(stall.instruments), Ear(stall.instruments)
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, silent):
            await begun(stall, server, silent)
            await stall.show(server, stall.instruments[0], SECOND)
            await silent.until(lambda: told(stall, silent)[-1] == stall.expects(SECOND))
        async with stall.listening(server, heard, depth_every_s=0.001):
            await begun(stall, server, heard)
            for top in (FIRST, THIRD):
                await stall.show(server, stall.instruments[0], top)
                await heard.until(lambda t=top: told(stall, heard)[-1] == stall.expects(t))  # type: ignore[misc]
    depths = [row for row in heard.rows if row.kind is Kind.DEPTH]
    assert bool(depths) == stall.levels
    assert not [row for row in silent.rows if row.kind is Kind.DEPTH]
    for row in depths:
        bids, asks = heard.levels[int(row.extra)]
        assert (bids[0][0], asks[0][0]) == (row.bid, row.ask)
        assert sorted(bids, reverse=True) == list(bids)
        assert sorted(asks) == list(asks)


async def test_c13_a_probe_says_what_is_there_and_what_is_not(stall: Stall) -> None:
    """
    C13. Asked without streaming, the connector finds its symbols, misses the one that is not listed, and opens no
    stream of prices; a venue that does not answer is a finding, no error.
    """
    wrong = msgspec.structs.replace(stall.instruments[0], symbol=stall.unlisted)
    async with stall.server() as server:
        await opened(stall, server)
        feed: Any = stall.feed_of(server, extra=(wrong,))
        found = await feed.probe()
        symbols = {f.subject: f.ok for f in found if f.what == "symbol"}
        assert all(symbols[i.symbol] is True for i in stall.instruments), found
        assert symbols[stall.unlisted] is False, found
        server.refuse = (503, {})
        refused = await stall.feed_of(server).probe()
    assert any(f.ok is not True for f in refused)


async def test_c14_a_right_that_is_refused_is_told_and_isolated(stall: Stall) -> None:
    """
    C14. 401 on every call and handshake: it is counted as such, no row comes, nobody hammers the venue; and when the
    right is back, so is the feed, by itself or by its next start.
    """
    heard = Ear(stall.instruments)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await no_wait(seconds)

    async with stall.server() as server:
        server.refuse = (401, {})
        await opened(stall, server)
        async with stall.listening(server, heard, sleep=sleep):
            await heard.until(lambda: heard.rejected[stall.venue, "entitlement_lost"] > 0)
            assert [] == heard.quotes(0)
            server.refuse = None
            asked = len(server.asked)
        assert [] == heard.quotes(0) or len(server.asked) > asked
        again = Ear(stall.instruments)
        async with stall.listening(server, again):
            await begun(stall, server, again)
    assert stall.expects(FIRST) == told(stall, again)[0]


CANARY = "canary-2f81d9"


async def test_c15_a_key_is_in_nothing_that_is_said(stall: Stall) -> None:
    """
    C15. Whatever goes wrong, the venue's key and secret are in no rejected detail, no row, no raw frame, no finding.
    """
    heard = Ear(stall.instruments)
    key = {name: f"{CANARY}-{name}" for name in ("key", "secret", "apiKey", "password", *stall.key)}
    async with stall.server() as server:
        await opened(stall, server)
        async with stall.listening(server, heard, key=lambda: key):
            await heard.until(lambda: bool(heard.rows) or heard.rejected.total() > 0)
            await server.send("{")
            server.drop()
            server.refuse = (503, {})
            await heard.until(lambda: heard.rejected.total() > 1)
        found = await stall.feed_of(server, key=lambda: key).probe()
    said = repr((heard.details, dict(heard.rejected), heard.rows, heard.frames, found))
    assert CANARY not in said
