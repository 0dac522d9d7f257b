"""A local Yahoo: the pricing stream (JSON around base64 around protobuf) and the REST calls that yfinance makes.

The messages are made with the protobuf library and the message class of yfinance, not with our reader.
"""

from __future__ import annotations

import base64
import importlib
import json
import time
from typing import Any

from aiohttp import web

from tests.servers.venue import VenueServer


class YahooServer(VenueServer):
    """See VenueServer; `price` speaks on the stream, `bars` is what the chart of a symbol holds."""

    def __init__(self) -> None:
        super().__init__()
        # It takes seconds: later, a client would find the server silent meanwhile.
        self._message = importlib.import_module("yfinance.pricing_pb2").PricingData
        self.subscribed: set[str] = set()
        self.bars: dict[str, list[tuple[int, float]]] = {}
        """Start of a minute (unix s) and its close; a symbol that is absent is not known, an empty list has no bars."""
        self.delayed: dict[str, int] = {}
        """Minutes by which a symbol's exchange is delayed; a symbol that is absent says 0."""
        self.events: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
        """Splits and dividends of a symbol's chart, as Yahoo writes them."""
        self.listed: set[str] = set()
        """Symbols that the list of quotes knows; those that were spoken of, or have bars or a delay, are among them."""
        self.limited = False
        """Whether charts are answered with 429."""
        self.broken = False
        """Whether charts are answered with 403."""

    def routes(self, app: web.Application) -> None:
        """The stream at /, or the cookie page; charts and crumbs under their paths."""
        app.router.add_get("/", self._root)
        app.router.add_get("/v1/test/getcrumb", self._crumb)
        app.router.add_get("/v8/finance/chart/{symbol}", self._chart)
        app.router.add_get("/v7/finance/quote", self._quote)

    async def price(self, symbol: str, price: float, **fields: Any) -> None:
        """One pricing message; `time` (ms) is now where it is absent."""
        self.listed.add(symbol)
        fields.setdefault("time", time.time_ns() // 1_000_000)
        data = self._message(id=symbol, price=price, exchange="NMS", quote_type=8, market_hours=1, **fields)
        await self.pricing(data.SerializeToString())

    async def pricing(self, data: bytes) -> None:
        """Any bytes as a pricing message."""
        await self.send(json.dumps({"type": "pricing", "message": base64.b64encode(data).decode()}))

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """subscribe and unsubscribe; Yahoo acknowledges neither."""
        message = json.loads(text)
        self.subscribed |= set(message.get("subscribe", ()))
        self.subscribed -= set(message.get("unsubscribe", ()))

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.socket(request)
        answer = web.Response(text="")
        answer.set_cookie("A3", "local", domain="127.0.0.1")
        return answer

    async def _crumb(self, _: web.Request) -> web.Response:
        return web.Response(text="crumb0")

    async def _quote(self, request: web.Request) -> web.Response:
        symbols = request.query.get("symbols", "").split(",")
        known = self.listed | self.bars.keys() | self.delayed.keys()
        quotes = [
            {"symbol": s, "exchangeDataDelayedBy": self.delayed.get(s, 0), "marketState": "REGULAR"}
            for s in symbols
            if s in known
        ]
        return web.json_response({"quoteResponse": {"result": quotes, "error": None}})

    async def _chart(self, request: web.Request) -> web.Response:
        symbol = request.match_info["symbol"]
        if self.limited:
            return web.Response(status=429, text="Too Many Requests")
        if self.broken:
            return web.Response(status=403, text="Forbidden")
        if symbol not in self.bars:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return web.json_response({"chart": {"result": None, "error": error}}, status=404)
        return web.json_response({"chart": {"result": [self._result(symbol)], "error": None}})

    def _result(self, symbol: str) -> dict[str, Any]:
        bars = self.bars[symbol]
        now = int(time.time())
        period = {"timezone": "EST", "start": now - 20_000, "end": now + 20_000, "gmtoffset": -18_000}
        closes = [close for _, close in bars]
        quote = {name: closes for name in ("open", "high", "low", "close")} | {"volume": [100 for _ in bars]}
        return {
            "meta": {
                "currency": "USD",
                "symbol": symbol,
                "exchangeName": "NMS",
                "instrumentType": "EQUITY",
                "firstTradeDate": 1277818200,
                "regularMarketTime": now,
                "gmtoffset": -18_000,
                "timezone": "EST",
                "exchangeTimezoneName": "America/New_York",
                "regularMarketPrice": closes[-1] if closes else None,
                "chartPreviousClose": 400.0,
                "priceHint": 2,
                "currentTradingPeriod": {"pre": period, "regular": period, "post": period},
                "tradingPeriods": {"pre": [[period]], "regular": [[period]], "post": [[period]]},
                "dataGranularity": "1m",
                "range": "1d",
                "validRanges": ["1d", "5d", "1mo", "max"],
            },
            "events": self.events.get(symbol, {}),
            "timestamp": [at for at, _ in bars],
            "indicators": {"quote": [quote if bars else {}]},
        }
