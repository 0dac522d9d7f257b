"""A local Hermes: the latest prices by REST, and the stream of server-sent events.

Shapes after the public documentation of Hermes: `parsed` updates with integer prices as text, one `data:` an event.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

from aiohttp import web

from tests.servers.venue import VenueServer


class PythServer(VenueServer):
    """See VenueServer; `say` changes a price and tells the streams, which stand among the sockets."""

    cancels = True

    def __init__(self) -> None:
        super().__init__()
        self.updates: dict[str, dict[str, Any]] = {}
        self.streams: list[tuple[web.StreamResponse, list[str]]] = []
        self.token = ""
        """What a bearer must be; empty wants none."""
        self.denied = 0
        """Status of a refusal that everybody gets; 0 is none."""
        self.limited = ""
        """Retry-After of a 429 that every call gets; empty is none."""

    def routes(self, app: web.Application) -> None:
        """REST and the stream."""
        app.router.add_get("/v2/updates/price/latest", self._latest)
        app.router.add_get("/v2/updates/price/stream", self._stream)

    async def say(self, id_: str, price: str, conf: str, *, expo: int = -5, at: int = 0, **more: Any) -> None:
        """A new price of an id, published at `at` (unix s; 0 is now)."""
        value = {"price": price, "conf": conf, "expo": expo, "publish_time": at or int(time.time())}
        self.updates[id_] = {"id": id_, "price": {**value, **more}, "ema_price": value, "metadata": {"slot": 1}}
        for stream, ids in list(self.streams):
            if id_ in ids:
                await self._event(stream, self._body([id_]))

    async def raw(self, text: str) -> None:
        """Any text on every stream."""
        for stream, _ in list(self.streams):
            with suppress(ConnectionError):
                await stream.write(text.encode())

    async def send(self, text: str | bytes) -> None:
        """Any one event, on every stream."""
        await self.raw(f"data:{text if isinstance(text, str) else text.decode()}\n\n")

    def end(self) -> None:
        """Cuts every stream."""
        for stream, _ in list(self.streams):
            request = stream._req
            if request is not None and request.transport is not None:
                request.transport.abort()
        self.streams.clear()

    def _body(self, ids: list[str]) -> dict[str, Any]:
        parsed = [self.updates[id_] for id_ in ids if id_ in self.updates]
        return {"binary": {"encoding": "hex", "data": ["504e"]}, "parsed": parsed}

    def _no(self, request: web.Request) -> web.Response | None:
        if self.limited:
            return web.Response(status=429, headers={"Retry-After": self.limited}, text="Too Many Requests")
        if self.denied:
            return web.Response(status=self.denied, text="denied")
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, text="unauthorized")
        return self._unknown(request)

    async def _latest(self, request: web.Request) -> web.Response:
        return self._no(request) or web.json_response(self._body(request.query.getall("ids[]", [])))

    def _unknown(self, request: web.Request) -> web.Response | None:
        """As Hermes does it, unless it is asked to pass over them."""
        unknown = [id_ for id_ in request.query.getall("ids[]", []) if id_ not in self.updates]
        if unknown and request.query.get("ignore_invalid_price_ids") != "true":
            return web.Response(status=404, text=f"Price ids not found: {', '.join(unknown)}")
        return None

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._no(request)) is not None:
            return refused
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        ids = request.query.getall("ids[]", [])
        self.streams.append((stream, ids))
        self.sockets.append(stream)  # type: ignore[arg-type]  # dropped as those are
        self.connections += 1
        if not self.mute:
            await self._event(stream, self._body(ids))
        await self._tell()
        try:
            await asyncio.Event().wait()
        finally:
            self.streams = [(other, of) for other, of in self.streams if other is not stream]
            self.sockets = [other for other in self.sockets if other is not stream]
            await self._tell()
        return stream

    async def _event(self, stream: web.StreamResponse, body: dict[str, Any]) -> None:
        with suppress(ConnectionError):
            await stream.write(f"data:{json.dumps(body)}\n\n".encode())
