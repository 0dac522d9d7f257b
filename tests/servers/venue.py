"""What all local venues share: an address on loopback, a list of what was asked, and a hand on every connection.

How a venue misbehaves is the same for all: `refusals` (maintenance, limit and ban, a lost right: refusals.py), `drop`,
`close`, `mute`, `flood`; what happens to messages on their way is the work of proxy.py.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.servers.listening import cleaned
from tests.servers.refusals import Refusal, Request

PATIENCE_S = 30.0


class VenueServer:
    """`async with KrakenServer() as server:` serves on `server.url`; the methods below make it misbehave."""

    cancels = False
    """Whether a client that is gone ends the handler of its call: for answers that do not end by themselves."""

    def __init__(self) -> None:
        self.url = ""
        self.sockets: list[web.WebSocketResponse] = []
        """Open websockets, oldest first."""
        self.connections = 0
        """Websockets that were ever opened."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        """REST calls: path and query."""
        self.heard: list[Any] = []
        """Websocket messages as they came."""
        self.refuse: tuple[int, dict[str, str]] | None = None
        """Status and headers that every REST call and handshake gets instead of an answer."""
        self.refusals: list[Refusal] = []
        """The first that answers a REST call or handshake, answers it."""
        self.pongs = 0
        """Pongs that clients sent."""
        self.mute = False
        """Nothing that is heard is answered: connected, but silent."""
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    def routes(self, app: web.Application) -> None:
        """Adds the venue's paths."""
        raise TypeError("a venue has paths")

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """One text message of a client."""

    async def greet(self, socket: web.WebSocketResponse) -> None:
        """What a client gets first."""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gate])
        self.routes(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=self.cancels)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.drop()
        assert self._runner is not None
        await cleaned(self._runner)

    @web.middleware
    async def _gate(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        if not websocket:
            self.asked.append((request.path, dict(request.query)))
            await self._tell()
        seen = Request(request.method, request.path, websocket, asyncio.get_running_loop().time())
        for refusal in list(self.refusals):
            if (said := refusal(seen)) is not None:
                return web.Response(status=said.status, headers=said.headers, text=said.body)
        if self.refuse is not None:
            status, headers = self.refuse
            return web.Response(status=status, headers=headers, text="<html>maintenance</html>")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """The websocket life of one client."""
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.sockets.append(socket)
        self.connections += 1
        await self.greet(socket)
        await self._tell()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.heard.append(message.data)
                    if not self.mute:
                        await self.said(socket, message.data)
                    await self._tell()
                elif message.type is WSMsgType.PING:
                    if not self.mute:
                        await socket.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    self.pongs += 1
                    await self._tell()
        finally:
            self.sockets.remove(socket)
            await self._tell()
        return socket

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something that a client does. Raises TimeoutError when it does not."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    async def send(self, text: str | bytes) -> None:
        """The same message to every open websocket, whatever it is."""
        for socket in list(self.sockets):
            if isinstance(text, bytes):
                await socket.send_bytes(text)
            else:
                await socket.send_str(text)

    async def settled(self) -> None:
        """Waits until every client has read all that was sent: a pong comes after what came before its ping."""
        expected = self.pongs + len(self.sockets)
        for socket in list(self.sockets):
            await socket.ping()
        await self.until(lambda: self.pongs >= expected)

    async def flood(self, size: int) -> None:
        """One text message of `size` bytes; a client that refuses it closes the line, which is no error here."""
        try:
            await self.send('{"channel":"book","data":"' + "x" * size + '"}')
        except (ConnectionError, RuntimeError):
            return

    def drop(self) -> None:
        """Resets every websocket: no close frame, no goodbye."""
        for socket in list(self.sockets):
            request = socket._req
            if request is not None and request.transport is not None:
                with suppress(OSError, AttributeError):  # so that RST is sent, not FIN
                    raw = request.transport.get_extra_info("socket")
                    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
                request.transport.abort()

    async def close(self, code: int = 1000) -> None:
        """Closes every websocket the polite way."""
        for socket in list(self.sockets):
            await socket.close(code=code)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
