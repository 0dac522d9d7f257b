"""The fault proxy itself: plain aiohttp clients see every fault that it is asked for, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.servers import proxy as faults
from tests.servers.proxy import FaultProxy, each, nth
from tests.servers.refusals import Limit, forbidden, maintenance
from tests.servers.venue import VenueServer


class Plain(VenueServer):
    """Answers every text message with itself, GET /page with `page`, POST /page with what was posted."""

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/ws", self.socket)
        app.router.add_get("/page", self._page)
        app.router.add_post("/page", self._posted)
        app.router.add_get("/stream", self._stream)

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        await socket.send_str(text)

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text="page")

    async def _posted(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for word in (b"one,", b"two"):
            await answer.write(word)
        return answer


@asynccontextmanager
async def between() -> AsyncIterator[tuple[Plain, FaultProxy, aiohttp.ClientSession]]:
    """A server, the proxy in front of it, and a client that knows only the proxy."""
    async with Plain() as server, FaultProxy(server.url) as proxy, aiohttp.ClientSession() as session:
        yield server, proxy, session


async def heard(ws: aiohttp.ClientWebSocketResponse, count: int) -> list[str]:
    """The next `count` text messages."""
    async with asyncio.timeout(20):
        return [await ws.receive_str() for _ in range(count)]


async def nothing(ws: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether nothing comes for a while."""
    with pytest.raises(TimeoutError):
        await ws.receive(timeout=0.1)
    return True


async def test_without_faults_everything_passes_as_it_is() -> None:
    """REST (lengths, chunks, bodies up) and websocket (small, 16-bit and 64-bit lengths, pings, close) pass through."""
    long = ["x" * size for size in (0, 125, 126, 65_535, 65_536, 300_000)]
    async with between() as (server, proxy, session):
        async with session.get(proxy.url + "/page") as answer:
            assert (200, "page") == (answer.status, await answer.text())
        async with session.get(proxy.url + "/stream") as answer:
            assert "one,two" == await answer.text()
        async with session.post(proxy.url + "/page", data=b"z" * 200_000) as answer:
            assert b"z" * 200_000 == await answer.read()
        async with session.ws_connect(proxy.url + "/ws") as ws:
            for text in long:
                await ws.send_str(text)
            assert long == await heard(ws, len(long))
            settled = asyncio.create_task(server.settled())
            await asyncio.sleep(0)  # the ping goes out first
            await server.send("after the ping")
            assert ["after the ping"] == await heard(ws, 1)
            await settled
            await ws.close()
            assert 1000 == ws.close_code
        assert long == server.heard
        assert (6, 7, 7) == (proxy.up.messages, proxy.down.messages, proxy.down.passed)
    assert [r.path for r in proxy.requests] == ["/page", "/stream", "/page", "/ws"]
    assert [r.websocket for r in proxy.requests] == [False, False, False, True]


async def test_compressed_messages_are_made_readable_for_the_edits() -> None:
    """A client that offers compression gets a plain stream, so that an edit sees what was said."""
    async with between() as (_, proxy, session):
        proxy.down.edits.append(faults.corrupt(each(), b"hello", b"HELLO"))
        async with session.ws_connect(proxy.url + "/ws", compress=15) as ws:
            await ws.send_str("hello")
            assert ["HELLO"] == await heard(ws, 1)


async def test_a_reset_is_a_reset_on_both_sides() -> None:
    """RST: the client's read ends at once without a close frame, the server's too; a new connection works."""
    async with between() as (server, proxy, session):
        async with session.ws_connect(proxy.url + "/ws") as ws:
            await server.until(lambda: len(server.sockets) == 1)
            proxy.reset()
            message = await ws.receive(timeout=20)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            await server.until(lambda: not server.sockets)
        async with session.ws_connect(proxy.url + "/ws") as ws:
            await ws.send_str("again")
            assert ["again"] == await heard(ws, 1)


async def test_a_server_that_resets_is_seen_to_reset() -> None:
    """A reset by the server behind it passes through the proxy."""
    async with between() as (server, proxy, session), session.ws_connect(proxy.url + "/ws") as ws:
        await server.until(lambda: len(server.sockets) == 1)
        server.drop()
        message = await ws.receive(timeout=20)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_a_proxy_that_refuses_lets_nobody_in() -> None:
    """While `refusing` stands every new connection is reset; after it they pass."""
    async with between() as (_, proxy, session):
        proxy.refusing = True
        with pytest.raises(aiohttp.ClientError):
            await session.get(proxy.url + "/page")
        proxy.heal()
        async with session.get(proxy.url + "/page") as answer:
            assert 200 == answer.status


async def test_a_black_hole_is_silent_and_gives_back_late_what_it_held() -> None:
    """Held down: the server hears, the client hears nothing, both stay connected; released, all arrives in order."""
    async with between() as (server, proxy, session), session.ws_connect(proxy.url + "/ws") as ws:
        proxy.down.hold()
        await ws.send_str("a")
        await ws.send_str("b")
        await server.until(lambda: len(server.heard) == 2)
        assert await nothing(ws)
        assert (False, 1) == (ws.closed, len(server.sockets))
        proxy.down.release()
        assert ["a", "b"] == await heard(ws, 2)


async def test_a_black_hole_may_stand_on_the_way_up() -> None:
    """Held up: the server speaks and is heard, what the client says does not arrive until the release."""
    async with between() as (server, proxy, session), session.ws_connect(proxy.url + "/ws") as ws:
        proxy.up.hold()
        await ws.send_str("unheard")
        await server.send("heard")
        assert ["heard"] == await heard(ws, 1)
        assert [] == server.heard
        proxy.heal()
        await server.until(lambda: server.heard == ["unheard"])


async def test_delay_shifts_everything_and_keeps_the_order() -> None:
    """With a delay the echoes come late, all of them, in order."""
    async with between() as (_, proxy, session), session.ws_connect(proxy.url + "/ws") as ws:
        proxy.down.delay_s = 0.2
        start = time.monotonic()
        for text in "abc":
            await ws.send_str(text)
        assert ["a", "b", "c"] == await heard(ws, 3)
        assert time.monotonic() - start >= 0.2


async def test_a_slow_way_lets_through_what_it_may() -> None:
    """20,000 bytes at 100,000 a second need at least about a fifth of a second, and arrive whole."""
    async with between() as (_, proxy, session), session.ws_connect(proxy.url + "/ws") as ws:
        proxy.down.bytes_per_s = 100_000
        start = time.monotonic()
        await ws.send_str("y" * 20_000)
        assert ["y" * 20_000] == await heard(ws, 1)
        assert time.monotonic() - start >= 0.15


async def test_a_cut_ends_the_connection_in_mid_message() -> None:
    """After so many bytes the connection is reset: the client never gets the message, and a body is incomplete."""
    async with between() as (_, proxy, session):
        async with session.ws_connect(proxy.url + "/ws") as ws:
            proxy.down.cut_after = 50
            await ws.send_str("z" * 100)
            message = await ws.receive(timeout=20)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        proxy.down.cut_after = 30
        with pytest.raises(aiohttp.ClientError):
            await session.get(proxy.url + "/page")


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda: faults.drop(nth(2)), ["m1", "m3", "m4"]),
        (lambda: faults.drop(nth(1, having=b"3")), ["m1", "m2", "m4"]),
        (lambda: faults.duplicate(nth(2)), ["m1", "m2", "m2", "m3", "m4"]),
        (lambda: faults.flood(each(b"4"), 50), ["m1", "m2", "m3", *["m4"] * 50]),
        (lambda: faults.swap(nth(2)), ["m1", "m3", "m2", "m4"]),
        (lambda: faults.late(nth(1), 0.2), ["m2", "m3", "m4", "m1"]),
        (lambda: faults.corrupt(nth(3)), ["m1", "m2", "m4", "m4"]),
        (lambda: faults.corrupt(nth(3), rb"m", b"\xff"), None),
    ],
)
async def test_messages_are_dropped_doubled_flooded_swapped_late_and_corrupt(edit, expected) -> None:  # type: ignore[no-untyped-def]
    """Each edit does its one thing to the messages that it picks, and leaves the others and their order alone."""
    async with between() as (_, proxy, session), session.ws_connect(proxy.url + "/ws") as ws:
        proxy.down.edits.append(edit())
        for text in ("m1", "m2", "m3", "m4"):
            await ws.send_str(text)
        if expected is None:  # no text any more: the client must end the connection by itself
            assert ["m1", "m2"] == await heard(ws, 2)
            assert aiohttp.WSMsgType.ERROR == (await ws.receive(timeout=20)).type
            return
        assert expected == await heard(ws, len(expected))
        assert len(expected) == proxy.down.passed
        proxy.heal()
        await ws.send_str("whole")
        assert ["whole"] == await heard(ws, 1)


async def test_messages_of_the_client_are_edited_too() -> None:
    """An edit on the way up changes what the server hears."""
    async with between() as (server, proxy, session), session.ws_connect(proxy.url + "/ws") as ws:
        proxy.up.edits.append(faults.corrupt(each(), b"subscribe", b"unsubscribe"))
        await ws.send_str("subscribe me")
        await server.until(lambda: server.heard == ["unsubscribe me"])


async def test_a_maintenance_page_stands_before_everything() -> None:
    """503 in HTML for calls and handshakes; the server behind hears of neither."""
    async with between() as (server, proxy, session):
        proxy.refusals.append(maintenance())
        async with session.get(proxy.url + "/page") as answer:
            assert (503, "text/html") == (answer.status, answer.content_type)
            assert "<html>" in await answer.text()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(proxy.url + "/ws")
        assert ([], 0) == (server.asked, server.connections)


async def test_a_lost_right_may_concern_one_path_only() -> None:
    """401 or 403 for what `where` names; the rest passes on the same connection."""
    async with between() as (_, proxy, session):
        proxy.refusals.append(forbidden(401, lambda request: request.path == "/stream"))
        async with session.get(proxy.url + "/stream") as answer:
            assert 401 == answer.status
        async with session.get(proxy.url + "/page") as answer:
            assert 200 == answer.status


async def test_who_calls_before_retry_after_is_banned_and_longer_each_time() -> None:
    """429 with Retry-After first; an early call gets 418 and a ban; after its end calls pass."""
    now = [100.0]
    limit = Limit(7.0, 60.0, clock=lambda: now[0])
    async with between() as (_, proxy, session):
        proxy.refusals.append(limit)

        async def status() -> tuple[int, str | None]:
            async with session.get(proxy.url + "/page") as answer:
                return answer.status, answer.headers.get("Retry-After")

        assert (429, "7") == await status()
        now[0] += 6.9
        assert (418, "60") == await status()
        now[0] += 59.9
        assert (418, "60") == await status()
        now[0] += 60.0
        assert (200, None) == await status()
    assert 2 == limit.early


async def test_a_lost_answer_was_an_act_all_the_same() -> None:
    """The server answers, the client gets a broken connection; a late answer comes whole."""
    async with between() as (server, proxy, session):
        proxy.lost = lambda request: request.path == "/page"
        with pytest.raises(aiohttp.ClientError):
            await session.post(proxy.url + "/page", data=b"order")
        assert ["/page"] == [path for path, _ in server.asked]
        proxy.heal()
        proxy.late_s = lambda _: 0.2
        start = time.monotonic()
        async with session.get(proxy.url + "/page") as answer:
            assert "page" == await answer.text()
        assert time.monotonic() - start >= 0.2
