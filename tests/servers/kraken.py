"""A local Kraken: REST lists that hide tokenized assets until asked, and the v2 websocket with checksummed books.

Shapes after the venue's public documentation (websocket v2: status, book, heartbeat, ping, instrument, subscribe;
REST: AssetPairs, Assets, SystemStatus, Time). Like the venue it knows `TSLAx/USD` and refuses `TSLAX/USD`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from tests.servers.venue import VenueServer

Level = tuple[str, str]


@dataclass
class Pair:
    """One pair of the venue, and its book as price text -> quantity text."""

    wsname: str
    base: str
    quote: str
    aclass: str
    price_decimals: int
    lot_decimals: int
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    time: str = ""

    @property
    def altname(self) -> str:
        """The name of REST calls."""
        return self.wsname.replace("/", "")

    def side(self, which: str) -> list[tuple[Decimal, Decimal]]:
        """Ten best levels, best first."""
        return sorted(getattr(self, which).items(), reverse=which == "bids")[:10]

    def checksum(self) -> int:
        """CRC32 over the ten best asks, then bids: price and quantity without point and leading zeros."""
        text = ""
        for side in ("asks", "bids"):
            for price, quantity in self.side(side):
                for number, decimals in ((price, self.price_decimals), (quantity, self.lot_decimals)):
                    text += f"{number:.{decimals}f}".replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())


def pairs() -> tuple[Pair, ...]:
    """What this Kraken lists."""
    return (
        Pair("TSLAx/USD", "TSLAx", "ZUSD", "tokenized_asset", 2, 8),
        Pair("AAPLx/USD", "AAPLx", "ZUSD", "tokenized_asset", 2, 8),
        Pair("USDT/USD", "USDT", "ZUSD", "currency", 5, 8),
        Pair("XBT/USD", "XXBT", "ZUSD", "currency", 1, 8),
    )


class KrakenServer(VenueServer):
    """See VenueServer; `book` sets what a pair's book is, and tells the subscribed."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs = {pair.wsname: pair for pair in pairs()}
        self.subscribed: dict[str, set[web.WebSocketResponse]] = {}
        """Clients that follow the book of a pair."""
        self.corrupt_checksum = False

    def routes(self, app: web.Application) -> None:
        """REST under /0/public, websocket under /v2."""
        app.router.add_get("/0/public/{method}", self._rest)
        app.router.add_get("/v2", self.socket)

    async def book(
        self, symbol: str, *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), time: str = ""
    ) -> None:
        """Sets levels (price, quantity as text; quantity 0 removes) and sends the update to who follows the pair."""
        pair = self.pairs[symbol]
        for levels, side in ((bids, pair.bids), (asks, pair.asks)):
            for price, quantity in levels:
                side[Decimal(price)] = Decimal(quantity)
                if not Decimal(quantity):
                    del side[Decimal(price)]
        pair.time = time
        data = {
            "symbol": symbol,
            "bids": [{"price": float(p), "qty": float(q)} for p, q in bids],
            "asks": [{"price": float(p), "qty": float(q)} for p, q in asks],
            "checksum": pair.checksum() ^ self.corrupt_checksum,
        }
        if time:
            data["timestamp"] = time
        await self.push(symbol, {"channel": "book", "type": "update", "data": [data]})

    async def push(self, symbol: str, message: Any) -> None:
        """Any message, as it is, to who follows the book of a pair."""
        text = message if isinstance(message, str) else json.dumps(message)
        for socket in list(self.subscribed.get(symbol, ())):
            with suppress(ConnectionError):  # it may just have gone
                await socket.send_str(text)

    async def follower(self, symbol: str, connection: int = 1) -> None:
        """Waits until the `connection`-th websocket or a later one follows the book of a pair."""
        await self.until(
            lambda: self.connections >= connection and any(not s.closed for s in self.subscribed.get(symbol, ()))
        )

    async def greet(self, socket: web.WebSocketResponse) -> None:
        """The status channel speaks first."""
        data = {"system": "online", "api_version": "v2", "connection_id": 12834, "version": "2.0.4"}
        await socket.send_json({"channel": "status", "type": "update", "data": [data]})

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """ping, subscribe, unsubscribe; channels book and instrument."""
        message = json.loads(text)
        stamp = {"time_in": "2026-08-14T15:00:00.000001Z", "time_out": "2026-08-14T15:00:00.000002Z"}
        if "req_id" in message:
            stamp["req_id"] = message["req_id"]
        if message["method"] == "ping":
            await socket.send_json({"method": "pong", **stamp})
            return
        params = message["params"]
        if params["channel"] == "instrument":
            await socket.send_json(self._instruments(bool(params.get("include_tokenized_assets"))))
            return
        for symbol in params["symbol"]:
            pair = self.pairs.get(symbol)
            if pair is None:
                error = f"Currency pair not supported {symbol}"
                await socket.send_json({"error": error, "method": message["method"], "success": False, **stamp})
                continue
            followers = self.subscribed.setdefault(symbol, set())
            result = {"channel": "book", "depth": params.get("depth", 10), "snapshot": True, "symbol": symbol}
            await socket.send_json({"method": message["method"], "result": result, "success": True, **stamp})
            if message["method"] == "unsubscribe":
                followers.discard(socket)
                continue
            followers.add(socket)
            await socket.send_json(self._snapshot(pair))

    def _snapshot(self, pair: Pair) -> dict[str, Any]:
        data = {
            "symbol": pair.wsname,
            "bids": [{"price": float(p), "qty": float(q)} for p, q in pair.side("bids")],
            "asks": [{"price": float(p), "qty": float(q)} for p, q in pair.side("asks")],
            "checksum": pair.checksum(),
        }
        if pair.time:
            data["timestamp"] = pair.time
        return {"channel": "book", "type": "snapshot", "data": [data]}

    def _instruments(self, tokenized: bool) -> dict[str, Any]:
        shown = [p for p in self.pairs.values() if tokenized or p.aclass == "currency"]
        data = [
            {
                "symbol": p.wsname,
                "base": p.wsname.partition("/")[0],
                "quote": "USD",
                "status": "online",
                "price_precision": p.price_decimals,
                "qty_precision": p.lot_decimals,
                "price_increment": 10.0**-p.price_decimals,
                "qty_increment": 10.0**-p.lot_decimals,
            }
            for p in shown
        ]
        return {"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": data}}

    async def _rest(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        asked = request.query.get("aclass_base", "currency")
        if method == "AssetPairs":
            result: Any = {p.altname: self._pair(p) for p in self.pairs.values() if p.aclass == asked}
        elif method == "Assets":
            assets = {"ZUSD": ("USD", 4), "USDT": ("USDT", 8), "XXBT": ("XBT", 10)}
            result = {
                name: {"aclass": "currency", "altname": alt, "decimals": d, "display_decimals": 2, "status": "enabled"}
                for name, (alt, d) in assets.items()
            }
        elif method == "SystemStatus":
            result = {"status": "online", "timestamp": "2026-08-14T15:00:00Z"}
        else:
            return web.json_response({"error": ["EGeneral:Unknown method"]})
        return web.json_response({"error": [], "result": result})

    def _pair(self, pair: Pair) -> dict[str, Any]:
        return {
            "altname": pair.altname,
            "wsname": pair.wsname,
            "aclass_base": pair.aclass,
            "base": pair.base,
            "aclass_quote": "currency",
            "quote": pair.quote,
            "lot": "unit",
            "cost_decimals": 5,
            "pair_decimals": pair.price_decimals,
            "lot_decimals": pair.lot_decimals,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4], [10000, 0.35]],
            "fees_maker": [[0, 0.25], [10000, 0.2]],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": "0.01",
            "costmin": "0.5",
            "tick_size": f"{10.0**-pair.price_decimals:.{pair.price_decimals}f}",
            "status": "online",
        }
