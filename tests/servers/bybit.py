"""A local Bybit: spot instruments over REST, and the v5 public spot websocket with orderbook.1 and orderbook.50.

Shapes after the venue's public documentation. Level 1 sends whole snapshots; level 50 a snapshot, then deltas.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from tests.servers.venue import VenueServer

Level = tuple[str, str]


class BybitServer(VenueServer):
    """See VenueServer; `book` sets the whole top of a book, and tells the subscribed."""

    def __init__(self, symbols: Sequence[tuple[str, str]] = (("TSLAX", "USDT"), ("NVDAX", "USDT"))) -> None:
        super().__init__()
        self.symbols = tuple(symbols)
        self.topics: dict[str, set[web.WebSocketResponse]] = {}
        """Clients that follow a topic such as `orderbook.1.TSLAXUSDT`."""
        self.snapshots: dict[str, dict[str, Any]] = {}
        """The newest book of a symbol."""
        self.update = 0

    def routes(self, app: web.Application) -> None:
        """REST under /v5/market, websocket under /v5/public/spot."""
        app.router.add_get("/v5/market/instruments-info", self._instruments)
        app.router.add_get("/v5/market/time", self._time)
        app.router.add_get("/v5/public/spot", self.socket)

    async def book(
        self, symbol: str, *, bids: Sequence[Level], asks: Sequence[Level], ts_ms: int | None = None
    ) -> None:
        """A new whole book of a symbol such as `TSLAXUSDT`; `ts_ms` is the venue's time, now where it is absent."""
        self.update += 1
        stamp = time.time_ns() // 1_000_000 if ts_ms is None else ts_ms
        data = {"s": symbol, "b": list(bids), "a": list(asks), "u": self.update, "seq": self.update}
        self.snapshots[symbol] = {"ts": stamp, "type": "snapshot", "data": data, "cts": stamp}
        for topic in self._topics(symbol):
            await self.push(topic, {"topic": topic, **self.snapshots[symbol]})

    async def delta(self, symbol: str, *, bids: Sequence[Level] = (), asks: Sequence[Level] = ()) -> None:
        """A change of levels (size 0 removes) for the followers of level 50."""
        self.update += 1
        topic = f"orderbook.50.{symbol}"
        stamp = time.time_ns() // 1_000_000
        data = {"s": symbol, "b": list(bids), "a": list(asks), "u": self.update, "seq": self.update}
        await self.push(topic, {"topic": topic, "ts": stamp, "type": "delta", "data": data, "cts": stamp})

    async def push(self, topic: str, message: Any) -> None:
        """Any message, as it is, to the followers of a topic."""
        text = message if isinstance(message, str) else json.dumps(message)
        for socket in list(self.topics.get(topic, ())):
            with suppress(ConnectionError):  # it may just have gone
                await socket.send_str(text)

    async def follower(self, topic: str, connection: int = 1) -> None:
        """Waits until the `connection`-th websocket or a later one follows a topic."""
        await self.until(
            lambda: self.connections >= connection and any(not s.closed for s in self.topics.get(topic, ()))
        )

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """ping, subscribe, unsubscribe."""
        message = json.loads(text)
        answer = {"success": True, "ret_msg": "", "conn_id": "b2f6", "req_id": message.get("req_id", "")}
        if message["op"] == "ping":
            await socket.send_json({**answer, "ret_msg": "pong", "op": "ping"})
            return
        args = message.get("args", [])
        unknown = [topic for topic in args if topic.split(".")[-1] not in self._ids()]
        if unknown:
            text = f"error:handler not found,topic:{unknown[0]}"
            await socket.send_json({**answer, "success": False, "ret_msg": text, "op": message["op"]})
            return
        await socket.send_json({**answer, "op": message["op"]})
        for topic in args:
            followers = self.topics.setdefault(topic, set())
            if message["op"] == "unsubscribe":
                followers.discard(socket)
                continue
            followers.add(socket)
            snapshot = self.snapshots.get(topic.split(".")[-1])
            if snapshot is not None:
                await socket.send_json({"topic": topic, **snapshot})

    def _ids(self) -> set[str]:
        return {base + quote for base, quote in self.symbols}

    def _topics(self, symbol: str) -> tuple[str, ...]:
        return f"orderbook.1.{symbol}", f"orderbook.50.{symbol}"

    async def _time(self, _: web.Request) -> web.Response:
        now = time.time_ns()
        result = {"timeSecond": str(now // 10**9), "timeNano": str(now)}
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": result, "time": now // 10**6})

    async def _instruments(self, request: web.Request) -> web.Response:
        category = request.query.get("category", "spot")
        shown = self.symbols if category == "spot" else ()
        lots = {"basePrecision": "0.001", "quotePrecision": "0.0000001", "minOrderQty": "0.001", "minOrderAmt": "5"}
        rows = [
            {
                "symbol": base + quote,
                "baseCoin": base,
                "quoteCoin": quote,
                "innovation": "0",
                "status": "Trading",
                "marginTrading": "none",
                "lotSizeFilter": {**lots, "maxOrderQty": "9999"},
                "priceFilter": {"tickSize": "0.01"},
            }
            for base, quote in shown
        ]
        result = {"category": category, "list": rows}
        return web.json_response(
            {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": time.time_ns() // 10**6}
        )
