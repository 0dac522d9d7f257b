"""A local Bybit: REST market calls, and the v5 public websockets (spot, linear) with order books of 1, 50, 200 levels.

Shapes after the venue's public documentation. Level 1 sends whole books, when the best level changes and, unchanged
under the same `u`, after 3 s; the deeper books send a snapshot, then what changes, numbered topic by topic.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Self

from aiohttp import web

from tests.servers.venue import VenueServer

Level = tuple[str, str]
Side = dict[str, str]
"""Price text -> size text."""

DEPTHS = (1, 50, 200)


class BybitServer(VenueServer):
    """See VenueServer; `book` sets a whole book, `delta` changes one, and both tell the subscribed."""

    def __init__(
        self,
        symbols: Sequence[tuple[str, str]] = (("TSLAX", "USDT"), ("NVDAX", "USDT")),
        linear: Sequence[tuple[str, str]] = (("TSLA", "USDT"),),
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """What is listed as spot and as perpetual, (base, quote); `clock` gives the venue's time, ns UTC."""
        super().__init__()
        self.clock = clock
        self.symbols, self.linear = tuple(symbols), tuple(linear)
        self.topics: dict[str, set[web.WebSocketResponse]] = {}
        """Clients that follow a topic such as `orderbook.1.TSLAXUSDT`."""
        self.books: dict[str, tuple[Side, Side]] = {}
        """Bids and asks of a symbol as they are."""
        self.status: dict[str, str] = {}
        """Of a symbol; `Trading` where nothing is said."""
        self.maintenance = False
        """The venue says that it is being worked on."""
        self.frozen = False
        """The stream repeats its last message in new envelopes; REST shows the book as it is."""
        self.repeat_s = 3.0
        """After how long level 1 says again what it said."""
        self.update: dict[str, int] = {}
        """The number of a topic's last message."""
        self._sequence = 7_961_638_000
        self._shown: dict[str, tuple[Side, Side]] = {}
        self._last: dict[str, dict[str, Any]] = {}
        self._quiet: set[str] = set()
        self._repeating: asyncio.Task[None] | None = None

    def routes(self, app: web.Application) -> None:
        """REST under /v5/market, websockets under /v5/public."""
        for name in ("instruments-info", "time", "orderbook", "tickers"):
            app.router.add_get(f"/v5/market/{name}", getattr(self, "_" + name.replace("-", "_")))
        app.router.add_get("/v5/system/status", self._system)
        app.router.add_get("/v5/public/spot", self.socket)
        app.router.add_get("/v5/public/linear", self.socket)

    async def __aenter__(self) -> Self:
        self._repeating = asyncio.create_task(self._repeat())
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        assert self._repeating is not None
        self._repeating.cancel()
        await super().__aexit__(*error)

    async def book(
        self, symbol: str, *, bids: Sequence[Level], asks: Sequence[Level], ts_ms: int | None = None
    ) -> None:
        """A new whole book of a symbol such as `TSLAXUSDT`, sent as a snapshot at every depth.

        `ts_ms` is the venue's time; the server's clock where it is not said.
        """
        self.books[symbol] = (dict(bids), dict(asks))
        self._sequence += 1
        for depth in DEPTHS:
            if self.frozen:
                await self._again(f"orderbook.{depth}.{symbol}")
                continue
            self._shown[symbol] = (dict(bids), dict(asks))
            self._count(symbol, depth)
            topic = f"orderbook.{depth}.{symbol}"
            await self._send(topic, "snapshot", *_top(self._shown[symbol], depth), ts_ms)

    async def delta(
        self, symbol: str, *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), ts_ms: int | None = None
    ) -> None:
        """A change of levels (size 0 removes): deep followers get what changed in their depth, level 1 a new best."""
        whole = self.books.setdefault(symbol, ({}, {}))
        for changes, side in ((bids, whole[0]), (asks, whole[1])):
            for price, size in changes:
                side[price] = size
                if not Decimal(size):
                    del side[price]
        self._sequence += 1
        before = self._shown.get(symbol, ({}, {}))
        if not self.frozen:
            self._shown[symbol] = (dict(whole[0]), dict(whole[1]))
        for depth in DEPTHS:
            topic = f"orderbook.{depth}.{symbol}"
            if self.frozen:
                await self._again(topic)
                continue
            old, new = _top(before, depth), _top(self._shown[symbol], depth)
            if old == new:
                continue
            self._count(symbol, depth)
            if depth == 1:
                await self._send(topic, "snapshot", *new, ts_ms)
            else:
                await self._send(topic, "delta", *(_news(a, b) for a, b in zip(old, new, strict=True)), ts_ms)

    async def restart(self, symbol: str) -> None:
        """The service has been started anew: every topic counts from 1 again, with a whole book."""
        for depth in DEPTHS:
            self.update[f"orderbook.{depth}.{symbol}"] = 0
        bids, asks = self.books[symbol]
        await self.book(symbol, bids=list(bids.items()), asks=list(asks.items()))

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
        unknown = [topic for topic in args if topic not in self._known()]
        if unknown:
            words = f"error:handler not found,topic:{unknown[0]}"
            await socket.send_json({**answer, "success": False, "ret_msg": words, "op": message["op"]})
            return
        await socket.send_json({**answer, "op": message["op"]})
        for topic in args:
            followers = self.topics.setdefault(topic, set())
            if message["op"] == "unsubscribe":
                followers.discard(socket)
                continue
            followers.add(socket)
            depth, symbol = int(topic.split(".")[1]), topic.split(".")[2]
            if symbol in self._shown:
                whole = self._message(topic, "snapshot", *_top(self._shown[symbol], depth), None)
                with suppress(ConnectionError):
                    await socket.send_json(whole)

    def _known(self) -> set[str]:
        names = [base + quote for base, quote in (*self.symbols, *self.linear)]
        return {f"orderbook.{depth}.{name}" for depth in DEPTHS for name in names}

    def _count(self, symbol: str, depth: int) -> None:
        topic = f"orderbook.{depth}.{symbol}"
        self.update[topic] = self.update.get(topic, 0) + 1

    def _message(
        self, topic: str, kind: str, bids: Sequence[Level], asks: Sequence[Level], ts_ms: int | None
    ) -> dict[str, Any]:
        stamp = self._ms() if ts_ms is None else ts_ms
        data = {"s": topic.split(".")[2], "b": bids, "a": asks, "u": self.update[topic], "seq": self._sequence}
        return {"topic": topic, "ts": stamp, "type": kind, "data": data, "cts": stamp}

    async def _send(
        self, topic: str, kind: str, bids: Sequence[Level], asks: Sequence[Level], ts_ms: int | None
    ) -> None:
        self._last[topic] = self._message(topic, kind, bids, asks, ts_ms)
        self._quiet.discard(topic)
        await self.push(topic, self._last[topic])

    async def _again(self, topic: str) -> None:
        """What was sent last, as if it were new: numbered on, and with the time of now."""
        if topic in self._last:
            self._count(topic.split(".")[2], int(topic.split(".")[1]))
            data = {**self._last[topic]["data"], "u": self.update[topic]}
            await self.push(topic, {**self._last[topic], "data": data, "ts": self._ms(), "cts": self._ms()})

    async def _repeat(self) -> None:
        """Level 1 without a change says again what it said."""
        while True:
            await asyncio.sleep(self.repeat_s)
            for topic in [t for t in self._last if t.startswith("orderbook.1.") and t in self._quiet]:
                if not self.mute:
                    await self.push(topic, {**self._last[topic], "ts": self._ms()})
            self._quiet = set(self._last)

    def _ms(self) -> int:
        return self.clock() // 1_000_000

    def _answer(self, result: Mapping[str, Any], code: int = 0, words: str = "OK") -> web.Response:
        said = {"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}, "time": self._ms()}
        return web.json_response(said)

    async def _system(self, _: web.Request) -> web.Response:
        """Announced works."""
        works = [{"id": "4d95b2a0", "title": "Upgrade", "state": "ongoing", "begin": "0", "end": "0", "href": ""}]
        return self._answer({"list": works if self.maintenance else []})

    def _listed(self, request: web.Request) -> list[tuple[str, str]] | None:
        """The instruments of a category that were asked for; None where the one is not listed."""
        shown = self.symbols if request.query.get("category", "spot") == "spot" else self.linear
        name = request.query.get("symbol", "")
        found = [pair for pair in shown if name in ("", "".join(pair))]
        return found if found or not name else None

    async def _time(self, _: web.Request) -> web.Response:
        now = self.clock()
        return self._answer({"timeSecond": str(now // 10**9), "timeNano": str(now)})

    async def _orderbook(self, request: web.Request) -> web.Response:
        found = self._listed(request)
        if not found or "symbol" not in request.query:
            return self._answer({}, 10001, "Not supported symbols")
        symbol = "".join(found[0])
        bids, asks = _top(self.books.get(symbol, ({}, {})), int(request.query.get("limit", "1")))
        stamp, number = self._ms(), self.update.get(f"orderbook.200.{symbol}", 0)
        numbers = {"ts": stamp, "u": number, "seq": self._sequence, "cts": stamp}
        return self._answer({"s": symbol, "b": bids, "a": asks, **numbers})

    async def _tickers(self, request: web.Request) -> web.Response:
        found = self._listed(request)
        if found is None:
            return self._answer({}, 10001, "Not supported symbols")
        rows = []
        for pair in found:
            symbol = "".join(pair)
            bids, asks = _top(self.books.get(symbol, ({}, {})), 1)
            bid, ask = (bids or [("", "")])[0], (asks or [("", "")])[0]
            best = {"bid1Price": bid[0], "bid1Size": bid[1], "ask1Price": ask[0], "ask1Size": ask[1]}
            rows.append({"symbol": symbol, **best, "lastPrice": bid[0], "volume24h": "0", "turnover24h": "0"})
        return self._answer({"category": request.query.get("category", "spot"), "list": rows})

    async def _instruments_info(self, request: web.Request) -> web.Response:
        category = request.query.get("category", "spot")
        rows = [self._info(category, *pair) for pair in self._listed(request) or ()]
        return self._answer({"category": category, "nextPageCursor": "", "list": rows})

    def _info(self, category: str, base: str, quote: str) -> dict[str, Any]:
        common = {
            "symbol": base + quote,
            "baseCoin": base,
            "quoteCoin": quote,
            "status": self.status.get(base + quote, "Trading"),
            "priceFilter": {"tickSize": "0.01"},
        }
        if category == "spot":
            lots = {"basePrecision": "0.001", "quotePrecision": "0.0000001", "minOrderQty": "0.001", "minOrderAmt": "5"}
            lots["maxOrderQty"] = "9999"
            return {**common, "innovation": "0", "marginTrading": "none", "lotSizeFilter": lots}
        lots = {"qtyStep": "0.01", "minOrderQty": "0.01", "maxOrderQty": "9999", "minNotionalValue": "5"}
        price = {"tickSize": "0.01", "minPrice": "0.01", "maxPrice": "199999.98"}
        return {
            **common,
            "contractType": "LinearPerpetual",
            "settleCoin": quote,
            "launchTime": "1700000000000",
            "deliveryTime": "0",
            "fundingInterval": 480,
            "lotSizeFilter": lots,
            "priceFilter": price,
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "10.00", "leverageStep": "0.01"},
        }


def _top(book: tuple[Side, Side], depth: int) -> tuple[list[Level], list[Level]]:
    """The best levels of both sides, best first."""
    bids, asks = (sorted(side.items(), key=lambda level: Decimal(level[0])) for side in book)
    return bids[::-1][:depth], asks[:depth]


def _news(old: list[Level], new: list[Level]) -> list[Level]:
    """What turns one view into another; a level that fell out of the view is said to be gone."""
    after, before = dict(new), dict(old)
    gone = [(price, "0") for price in before if price not in after]
    return gone + [level for level in new if before.get(level[0]) != level[1]]
