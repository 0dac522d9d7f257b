"""One websocket life and one REST life against a local venue that drops, closes, floods, refuses and stays silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from connectors.backoff import Backoff
from connectors.errors import BadMessage, ConnectorError, EntitlementLost, RateLimited, VenueUnreachable
from connectors.poll import Poll, retry_after_s
from connectors.socket import FrameTooLarge, Line, Socket, reason
from tests.servers.heard import Heard, no_wait
from tests.servers.venue import VenueServer


class Echo(VenueServer):
    """Answers every text message with itself, and GET /page with `body`."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b"page"

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/ws", self.socket)
        app.router.add_get("/page", self._page)

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        await socket.send_str(text)

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(body=self.body)


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
    socket = Socket(Line(**spec), rng=np.random.default_rng(1), sleep=no_wait)  # type: ignore[arg-type]
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
    assert "disconnected" == reason(lives.ends[0])


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
    assert "frame_too_large" == reason(lives.ends[0])
    assert set(lives.messages) == {"hello"}


async def test_a_reader_may_end_a_life() -> None:
    """BadMessage out of the reader (a book out of step) begins a new life with new subscriptions."""
    lives = Lives()
    async with Echo() as server, living(server, lives):
        await lives.until_messages(1)
        await server.send("poison")
        await lives.until_messages(3)
    assert "bad_message" == reason(lives.ends[0])


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


async def test_a_refused_handshake_stops_only_where_the_right_is_missing() -> None:
    """503 is tried again; 403 leaves the loop as EntitlementLost."""
    lives = Lives()
    async with Echo() as server:
        server.refuse = (503, {})
        async with living(server, lives) as (_, task):
            await lives.until_ends(2)
            server.refuse = (403, {})
            with pytest.raises(EntitlementLost):
                await task
    assert isinstance(lives.ends[0], VenueUnreachable)


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
    """A door to wait through that notes for how long it was asked."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.then = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.then()
        await no_wait(seconds)


def polling(waits: Waits, tries: int = 3) -> Poll:
    """A Poll with a throttle that does not bind."""
    rng = np.random.default_rng(1)
    return Poll("echo", clock=lambda: 0, rng=rng, sleep=waits.sleep, per_period=1000, tries=tries)


async def test_a_poll_waits_as_long_as_the_venue_says() -> None:
    """429 with Retry-After waits at least that long, then the answer comes."""
    waits = Waits()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refuse = (429, {"Retry-After": "7"})
        waits.then = lambda: setattr(server, "refuse", None)
        poll = polling(waits)
        assert b"page" == await poll.get(session, server.url + "/page", q="1")
        assert [("/page", {"q": "1"})] * 2 == server.asked
    assert [7.0] == waits.seconds
    assert (2, 1) == (poll.calls, poll.limited)


@pytest.mark.parametrize(
    ("status", "error"), [(429, RateLimited), (503, VenueUnreachable), (403, EntitlementLost), (404, BadMessage)]
)
async def test_a_poll_gives_up_with_the_last_error(status: int, error: type[ConnectorError]) -> None:
    """After its tries the poll raises what the last answer was; a missing right is not tried again."""
    waits = Waits()
    async with Echo() as server, aiohttp.ClientSession() as session:
        server.refuse = (status, {})
        with pytest.raises(error):
            await polling(waits).get(session, server.url + "/page")
        assert (3 if error in (RateLimited, VenueUnreachable) else 1) == len(server.asked)


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
