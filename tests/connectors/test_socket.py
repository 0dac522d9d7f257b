"""One websocket life and one REST life against a local venue that drops, closes, floods, refuses and stays silent."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from connectors.backoff import Backoff
from connectors.ends import Ends, why
from connectors.errors import (
    BadMessage,
    ConnectorError,
    EntitlementLost,
    FrameTooLarge,
    Maintenance,
    RateLimited,
    Silent,
    VenueUnreachable,
)
from connectors.events import Health, Why
from connectors.poll import Budget, Poll, retry_after_s
from connectors.socket import Line, Socket
from connectors.vitals import Vitals
from tests.servers.heard import Heard, no_wait
from tests.servers.refusals import Limit, maintenance
from tests.servers.venue import VenueServer

CANARY = "0123secret4567"


class Echo(VenueServer):
    """Answers every text message with itself, and GET /page with `body`."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b"page"
        self.headers: dict[str, str] = {}

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/ws", self.socket)
        app.router.add_get("/page", self._page)

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        await socket.send_str(text)

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(body=self.body, headers=self.headers)


class Lives:
    """What a Socket told."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.ends: list[ConnectorError] = []
        self.ups = 0
        self._heard = Heard()

    def hear(self, text: str | bytes) -> tuple[str, ...]:
        self.messages.append(text)
        self._heard.reject("", "told")
        if text == "poison":
            raise BadMessage("a state that cannot be trusted")
        return ("answer", "and another") if text == "question" else ()

    def ended(self, error: ConnectorError) -> None:
        self.ends.append(error)
        self._heard.reject("", "told")

    def up(self) -> None:
        self.ups += 1

    async def until_ends(self, count: int) -> None:
        await self._heard.until(lambda: len(self.ends) >= count)

    async def until_messages(self, count: int) -> None:
        await self._heard.until(lambda: len(self.messages) >= count)


@asynccontextmanager
async def living(server: Echo, lives: Lives, **line: object) -> AsyncIterator[tuple[Socket, asyncio.Task[None]]]:
    """A Socket that lives against the server."""
    spec = {"venue": "echo", "url": server.url + "/ws", "hello": ("hello",), **line}
    given = {name: spec.pop(name) for name in ("sleep", "vitals", "monotonic") if name in spec}
    socket = Socket(Line(**spec), rng=np.random.default_rng(1), **{"sleep": no_wait, **given})  # type: ignore[arg-type]
    task = asyncio.create_task(socket.live(lives.hear, lives.ended, lives.up))
    try:
        yield socket, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_dropped_line_is_made_again_and_says_hello_again() -> None:
    """After a reset the socket connects anew and repeats its subscriptions."""
    lives = Lives()
    async with Echo() as server, living(server, lives) as (socket, _):
        await lives.until_messages(1)
        server.drop()
        await lives.until_messages(2)
        assert ["hello", "hello"] == lives.messages
        assert 2 == socket.lives == lives.ups
    assert "disconnected" == lives.ends[0].word


async def test_a_clean_close_neither_freezes_nor_ends_the_loop() -> None:
    """A polite close is an end like any other: counted, and followed by a new life."""
    lives = Lives()
    async with Echo() as server, living(server, lives):
        await lives.until_messages(1)
        await server.close()
        await lives.until_messages(2)
    assert isinstance(lives.ends[0], VenueUnreachable)


async def test_silence_after_connecting_ends_a_life() -> None:
    """A venue that accepts the connection and says nothing is unreachable, not patient business."""
    lives = Lives()
    async with Echo() as server:
        server.mute = True
        async with living(server, lives, first_message_s=0.05):
            await lives.until_ends(2)
    assert "no message in time" in str(lives.ends[0])


async def test_a_line_that_stops_answering_pings_is_dead() -> None:
    """Connected but silent to our pings (half-open) ends the life within the heartbeat and half of it."""
    lives = Lives()

    class Deaf(Echo):
        async def socket(self, request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(autoping=False)
            await socket.prepare(request)
            await socket.send_str("first")
            async for _ in socket:
                pass
            return socket

    async with Deaf() as server, living(server, lives, heartbeat_s=0.1):
        await lives.until_messages(1)
        await lives.until_ends(1)
    assert isinstance(lives.ends[0], VenueUnreachable)


async def test_a_frame_over_the_limit_is_refused() -> None:
    """A frame longer than max_bytes is not read: the life ends with FrameTooLarge, counted under its own word."""
    lives = Lives()
    async with Echo() as server, living(server, lives, max_bytes=1000):
        await lives.until_messages(1)
        await server.flood(2000)
        await lives.until_ends(1)
    assert isinstance(lives.ends[0], FrameTooLarge)
    assert "frame_too_large" == lives.ends[0].word
    assert set(lives.messages) == {"hello"}


async def test_a_reader_may_end_a_life() -> None:
    """BadMessage out of the reader (a book out of step) begins a new life with new subscriptions."""
    lives = Lives()
    async with Echo() as server, living(server, lives):
        await lives.until_messages(1)
        await server.send("poison")
        await lives.until_messages(3)
    assert "bad_message" == lives.ends[0].word


async def test_a_reader_may_answer() -> None:
    """The texts that the reader gives back are sent in their order."""
    lives = Lives()
    async with Echo() as server, living(server, lives):
        await server.until(lambda: bool(server.heard))
        await server.send("question")
        await lives.until_messages(4)
        assert ["hello", "answer", "and another"] == server.heard


async def test_a_life_can_be_ended_from_outside_even_in_silence() -> None:
    """`end` takes effect without another message, with the error that it was given; before any life it does nothing."""
    lives = Lives()
    async with Echo() as server:
        Socket(Line(venue="echo", url=server.url), rng=np.random.default_rng(1), sleep=no_wait).end(BadMessage("no"))
        async with living(server, lives) as (socket, _):
            await lives.until_messages(1)
            socket.end(BadMessage("told so by another"))
            await lives.until_messages(2)
    assert ["told so by another"] == [error.what for error in lives.ends[:1]]


async def test_a_refused_handshake_leaves_only_where_the_right_is_missing_and_nobody_waits_for_it() -> None:
    """503 is tried again; 403 leaves the loop as EntitlementLost where the line says so."""
    lives = Lives()
    async with Echo() as server:
        server.refuse = (503, {})
        async with living(server, lives, refused_s=None) as (_, task):
            await lives.until_ends(2)
            server.refuse = (403, {})
            with pytest.raises(EntitlementLost):
                await task
    assert isinstance(lives.ends[0], Maintenance)


async def test_a_lost_right_is_asked_for_at_a_slow_pace_and_heals_when_it_is_back() -> None:
    """401 on the handshake waits a whole minute each time, and the first good handshake is a life like any other."""
    lives, waits = Lives(), Waits()
    async with Echo() as server:
        server.refuse = (401, {})
        async with living(server, lives, sleep=waits.sleep):
            await lives.until_ends(3)
            server.refuse = None
            await lives.until_messages(1)
    assert {60.0} == set(waits.seconds)
    assert {Why.ENTITLEMENT} == {why(end) for end in lives.ends}


async def test_a_limited_handshake_waits_as_long_as_the_venue_says() -> None:
    """429 on the handshake: no new connection before Retry-After, given as seconds or as a date."""
    lives, waits = Lives(), Waits()
    soon = {"Retry-After": "Thu, 01 Jan 1970 00:01:30 GMT", "Date": "Thu, 01 Jan 1970 00:00:30 GMT"}
    async with Echo() as server:
        server.refuse = (429, {"Retry-After": "7"})
        waits.then = lambda: setattr(server, "refuse", (418, soon) if waits.now < 60.0 else None)
        async with living(server, lives, sleep=waits.sleep, monotonic=lambda: waits.now):
            await lives.until_messages(1)
    assert 67.0 == round(waits.now, 9)
    assert [RateLimited, RateLimited] == [type(end) for end in lives.ends]


async def test_fault_30_a_limit_holds_for_calls_and_handshakes_alike() -> None:
    """Fault 30. The handshake is limited for 60 s: nor is anything called before, so that no ban follows."""
    lives, waits, vitals = Lives(), Waits(), Vitals()
    limit = Limit(60.0, 600.0, where=lambda request: True, clock=lambda: waits.now)
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refusals.append(limit)
        async with living(server, lives, sleep=waits.sleep, monotonic=lambda: waits.now, vitals=vitals):
            await lives.until_ends(1)
            assert b"page" == await polling(waits, vitals=vitals).get(session, server.url + "/page")
            await lives.until_messages(1)
    assert (0, [429]) == (limit.early, limit.answered)


async def test_a_stream_never_waits_longer_than_lets_it_be_back_in_five_seconds() -> None:
    """However long a venue is away, the pauses stay at or below 4 s, and are never a hot loop."""
    lives, waits = Lives(), Waits()
    async with Echo() as server:
        server.refuse = (503, {})
        async with living(server, lives, sleep=waits.sleep):
            await lives.until_ends(30)
    assert 3.0 <= min(waits.seconds[5:]) <= max(waits.seconds) <= 4.0
    assert waits.seconds[0] > 0.3


async def test_a_line_on_which_nothing_is_said_any_more_is_left() -> None:
    """Pongs come, messages do not: with an idle time-out the life ends as silent, and the next one begins."""
    lives = Lives()
    async with Echo() as server, living(server, lives, idle_s=0.2, heartbeat_s=0.05):
        await lives.until_messages(2)
    assert ("silent", Why.SILENT) == (lives.ends[0].word, why(lives.ends[0]))


async def test_a_line_that_speaks_is_not_idle() -> None:
    """As long as messages come within the idle time-out the life goes on."""
    lives = Lives()
    async with Echo() as server, living(server, lives, idle_s=1.0, repeat=("ping",), repeat_s=0.1, sleep=asyncio.sleep):
        await lives.until_messages(17)
    assert [] == lives.ends


@asynccontextmanager
async def mumbling(answer: bytes) -> AsyncIterator[str]:
    """The host and port of a server that answers every call with these bytes and hangs up."""

    async def mumble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(50)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(mumble, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "answer",
    [b"rubbish\r\n\r\n", b"HTTP/1.1 403 No\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation: /0123secret4567\r\n\r\n", b""],
)
async def test_a_key_in_an_address_is_in_no_error(answer: bytes) -> None:
    """Whatever a handshake or a call meets, the error, and what it was made of, do not repeat the address."""
    lives, path = Lives(), f"/v3/{CANARY}"
    async with Echo() as echo, mumbling(answer) as host, aiohttp.ClientSession() as session:
        async with living(echo, lives, url=f"ws://{host}{path}"):
            await lives.until_ends(1)
        with pytest.raises(ConnectorError) as caught:
            await polling(Waits(), tries=1).get(session, f"http://{host}{path}")
    for error in (lives.ends[0], caught.value):
        assert isinstance(error, VenueUnreachable | BadMessage | EntitlementLost)
        assert CANARY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "url", ["wss:/venue.example/0123secret4567", "ws://127.0.0.1:99999/0123secret4567", "venue.example/0123secret4567"]
)
async def test_a_mistyped_address_is_not_repeated(url: str) -> None:
    """An address that is none ends a life like one where nobody answers, and is not in its error."""
    lives = Lives()
    async with Echo() as echo, living(echo, lives, url=url):
        await lives.until_ends(1)
    assert isinstance(lives.ends[0], VenueUnreachable)
    assert CANARY not in "".join(traceback.format_exception(lives.ends[0]))


async def test_why_a_life_ended_stands_until_the_next_one_speaks() -> None:
    """
    Each end is counted under its word and makes the state; the next life takes it back, and NOT_HEARD stays the feed's.
    A venue in maintenance is closed, not down.
    """
    heard = Heard()
    ends = Ends(heard, "v", (0, 1))
    heard.against((0, 1), Why.NOT_HEARD)
    for error in (Silent("s"), VenueUnreachable("d"), Maintenance("m"), EntitlementLost("e"), RateLimited("r")):
        ends.ended(error)
    ends.over()
    expected = [
        (Health.DOWN, Why.NOT_HEARD),
        (Health.DOWN, Why.SILENT),
        (Health.DOWN, Why.DISCONNECTED),
        (Health.CLOSED, Why.MAINTENANCE),
        (Health.DOWN, Why.ENTITLEMENT),
        (Health.DOWN, Why.NOT_HEARD),
    ]
    told = list(zip(heard.health(1), heard.why(1), strict=True))
    assert expected == [state for at, state in enumerate(told) if not at or told[at - 1] != state]
    assert {"silent", "disconnected", "maintenance", "entitlement_lost", "rate_limited"} == {
        w for _, w in heard.rejected
    }


def test_backoff_doubles_up_to_its_cap_and_is_jittered() -> None:
    """Each wait lies in the upper half of a doubling limit; a success begins anew; the seed decides."""
    backoff = Backoff(np.random.default_rng(7), first_s=1.0, cap_s=8.0)
    waits = [backoff.next_s() for _ in range(6)]
    for limit, wait in zip([1.0, 2.0, 4.0, 8.0, 8.0, 8.0], waits, strict=True):
        assert limit / 2 <= wait <= limit
    assert len(set(waits)) == 6
    backoff.reset()
    assert backoff.next_s() <= 1.0
    again = Backoff(np.random.default_rng(7), first_s=1.0, cap_s=8.0)
    assert waits == [again.next_s() for _ in range(6)]


class Waits:
    """A door to wait through that notes for how long it was asked, and a clock that it moves."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.now = 0.0
        self.then = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.now += seconds
        self.then()
        await no_wait(seconds)


def polling(waits: Waits, tries: int = 3, **more: Any) -> Poll:
    """A Poll with a throttle that does not bind."""
    spec = {"per_period": 1000, "tries": tries, **more}
    rng = np.random.default_rng(1)
    return Poll("echo", clock=lambda: 0, rng=rng, sleep=waits.sleep, monotonic=lambda: waits.now, **spec)


async def test_a_poll_waits_as_long_as_the_venue_says() -> None:
    """429 with Retry-After waits exactly that long, then the answer comes."""
    waits = Waits()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refuse = (429, {"Retry-After": "7"})
        waits.then = lambda: setattr(server, "refuse", None)
        poll = polling(waits)
        assert b"page" == await poll.get(session, server.url + "/page", q="1")
        assert [("/page", {"q": "1"})] * 2 == server.asked
    assert [7.0] == waits.seconds
    assert (2, 1) == (poll.calls, poll.limited)


async def test_a_limit_costs_no_tries() -> None:
    """Ten times 429 without a word on how long, then a failure: it is still tried again; the pauses have doubled."""
    waits = Waits()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refuse = (429, {})
        after = {10: (500, {}), 11: None}
        waits.then = lambda: setattr(server, "refuse", after.get(len(waits.seconds), server.refuse))
        assert b"page" == await polling(waits, tries=2).get(session, server.url + "/page")
    assert 11 == len(waits.seconds)
    assert waits.seconds[0] <= 1.0 < 30.0 <= max(waits.seconds)


async def test_fault_30_nobody_calls_while_a_limit_stands_and_no_ban_follows() -> None:
    """
    Fault 30. A storm of ten callers meets a 429: none calls again before Retry-After, so that no ban follows; all are
    answered.
    """
    waits = Waits()
    limit = Limit(7.0, 600.0, clock=lambda: waits.now)
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refusals.append(limit)
        poll = polling(waits)
        answers = []
        for _ in range(10):
            answers.append(await poll.get(session, server.url + "/page"))
        assert [b"page"] * 10 == answers
    assert ([429], 0) == (limit.answered, limit.early)
    print(f"fault 30: recovered {waits.now - 7.0:.3f} s after the limit's end, {limit.early} calls before it")


async def test_fault_30_a_ban_is_sat_out_to_its_end() -> None:
    """Fault 30. 418 with ten minutes: nothing is asked before, whoever asks for whatever; then the answer comes."""
    waits = Waits()
    limit = Limit(600.0, 6000.0, clock=lambda: waits.now)
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refusals.append(limit)
        poll = polling(waits)
        asks = [poll.fetch(session, server.url + "/page", {}, urgent=urgent) for urgent in (False, True, False)]
        assert [b"page"] * 3 == [await ask for ask in asks]
    assert 0 == limit.early
    assert 600.0 <= waits.now < 601.0


async def test_who_cannot_wait_so_long_is_told_so_without_a_call() -> None:
    """With `max_wait_s` a longer Retry-After is raised, and until its end every further call is, unasked."""
    waits = Waits()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refuse = (429, {"Retry-After": "60"})
        poll = polling(waits, max_wait_s=10.0)
        for _ in range(2):
            with pytest.raises(RateLimited) as raised:
                await poll.get(session, server.url + "/page")
            assert 60.0 == raised.value.retry_after_s
        assert (1, []) == (len(server.asked), waits.seconds)


@pytest.mark.parametrize(
    ("budget", "headers", "expected"),
    [
        (Budget(used="X-Used", limit=6000.0), {"X-Used": "1500"}, 0.25),
        (Budget(left="X-Left", limit="X-Limit"), {"X-Left": "30", "X-Limit": "120"}, 0.75),
        (Budget(left="X-Left", limit="X-Limit"), {"X-Left": "30"}, None),
        (Budget(used="X-Used", limit="X-Limit"), {"X-Used": "x", "X-Limit": "10"}, None),
        (Budget(used="X-Used", limit="X-Limit"), {"X-Used": "1", "X-Limit": "0"}, None),
    ],
)
def test_a_budget_is_read_from_the_headers_that_a_venue_has(
    budget: Budget, headers: dict[str, str], expected: float | None
) -> None:
    """Used or left, of a number or of a header; what is not there or makes no sense says nothing."""
    assert expected == budget.used_ratio(headers)


async def test_the_reserve_of_a_budget_is_for_urgent_calls_only() -> None:
    """
    When the venue says that nine tenths are used, common calls wait for the next window, urgent ones go out at once.
    """
    waits, vitals = Waits(), Vitals()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.headers = {"X-Left": "10", "X-Limit": "100"}
        budget = Budget(left="X-Left", limit="X-Limit", window_s=60.0)
        poll = polling(waits, reserve=0.1, budgets=(budget,), vitals=vitals)
        await poll.fetch(session, server.url + "/page", {}, endpoint="page")
        await poll.fetch(session, server.url + "/page", {}, endpoint="page", urgent=True)
        assert [] == waits.seconds
        await poll.fetch(session, server.url + "/page", {}, endpoint="page")
    assert [60.0] == waits.seconds
    assert (0.9, 0.9) == (poll.used_ratio, vitals.used_ratio)
    assert ({"page": 3}, {}) == (vitals.calls, vitals.failures)


async def test_weights_fill_the_budget_and_leave_the_reserve() -> None:
    """Two calls of weight 4 are what a common caller gets of ten; an urgent one of weight 2 still fits beside them."""
    waits = Waits()
    poll = polling(waits, per_period=10, period_s=1000.0, reserve=0.2)
    answered = []

    async def ask(name: str, cost: int, urgent: bool = False) -> None:
        await poll.call(lambda: no_wait(0), cost=cost, urgent=urgent)
        answered.append(name)

    await ask("one", 4)
    await ask("two", 4)
    third = asyncio.create_task(ask("three", 1))
    await ask("urgent", 2, urgent=True)
    assert (["one", "two", "urgent"], 1.0) == (answered, poll.used_ratio)
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)


@pytest.mark.parametrize(
    ("status", "error"), [(503, Maintenance), (500, VenueUnreachable), (403, EntitlementLost), (404, BadMessage)]
)
async def test_a_poll_gives_up_with_the_last_error(status: int, error: type[ConnectorError]) -> None:
    """After its tries the poll raises what the last answer was; a missing right is not tried again."""
    waits, vitals = Waits(), Vitals()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refuse = (status, {})
        with pytest.raises(error) as raised:
            await polling(waits, vitals=vitals).get(session, server.url + "/page")
        assert type(raised.value) is error
        expected = 3 if issubclass(error, VenueUnreachable) else 1
        assert (expected, {error.word: expected}) == (len(server.asked), vitals.failures)


async def test_fault_31_a_page_for_people_is_no_answer() -> None:
    """Fault 31. HTML with status 200 or 503 where data was asked for is maintenance: never parsed, tried again."""
    waits = Waits()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.headers = {"Content-Type": "text/html; charset=utf-8"}
        waits.then = lambda: setattr(server, "headers", {})
        assert b"page" == await polling(waits).get(session, server.url + "/page")
        server.refusals.append(maintenance())
        with pytest.raises(Maintenance):
            await polling(waits).get(session, server.url + "/page")


async def test_an_endless_answer_is_refused() -> None:
    """A body over the limit is BadMessage before it is held in memory."""
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.body = b"x" * (33 << 20)
        with pytest.raises(BadMessage):
            await polling(Waits()).get(session, server.url + "/page")


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7.0), ("-1", 0.0), ("", None), ("soon", None), ("nan", None), ("Thu, 01 Jan 1970 00:01:30 GMT", 60.0)],
)
def test_retry_after_is_seconds_or_a_date(header: str, expected: float | None) -> None:
    """RFC 9110 allows both; anything else is no request to wait."""
    assert expected == retry_after_s(header, 30 * 10**9)
