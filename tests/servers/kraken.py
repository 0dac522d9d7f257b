"""A local Kraken: REST calls that hide tokenized assets until asked, and the v2 websocket with checksummed books.

Shapes after the venue's public documentation (websocket v2: status, book, heartbeat, ping, instrument, subscribe;
REST: AssetPairs, Assets, Depth, SystemStatus, Ticker, Time). Like the venue it knows `TSLAx/USD` and refuses
`TSLAX/USD`, writes numbers in full precision, sends each follower what changed in the depth that it asked for, and
leaves it to the follower to forget what fell out of it.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from aiohttp import web

from tests.servers.venue import VenueServer

Level = tuple[str, str]
Levels = list[tuple[Decimal, Decimal]]
"""(price, quantity), best first."""

DEPTHS = (10, 25, 100, 500, 1000)


@dataclass
class Pair:
    """One pair of the venue, and its book as price -> quantity."""

    wsname: str
    base: str
    quote: str
    aclass: str
    price_decimals: int
    lot_decimals: int
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    time: str = ""
    status: str = "online"

    @property
    def altname(self) -> str:
        """The name of REST calls."""
        return self.wsname.replace("/", "")

    def side(self, which: str, depth: int = 10) -> Levels:
        """The best levels, best first."""
        return sorted(getattr(self, which).items(), reverse=which == "bids")[:depth]

    def checksum(self) -> int:
        """CRC32 over the ten best asks, then bids: price and quantity without point and leading zeros."""
        text = ""
        for side in ("asks", "bids"):
            for price, quantity in self.side(side):
                for number, decimals in ((price, self.price_decimals), (quantity, self.lot_decimals)):
                    text += f"{number:.{decimals}f}".replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())

    def wire(self, levels: Iterable[tuple[Decimal, Decimal]]) -> str:
        """Levels as the stream has them."""
        p, q = self.price_decimals, self.lot_decimals
        return "[" + ",".join(f'{{"price":{price:.{p}f},"qty":{qty:.{q}f}}}' for price, qty in levels) + "]"


def pairs() -> tuple[Pair, ...]:
    """What this Kraken lists."""
    return (
        Pair("TSLAx/USD", "TSLAx", "ZUSD", "tokenized_asset", 2, 8),
        Pair("AAPLx/USD", "AAPLx", "ZUSD", "tokenized_asset", 2, 8),
        Pair("USDT/USD", "USDT", "ZUSD", "currency", 5, 8),
        Pair("USDC/USD", "USDC", "ZUSD", "currency", 4, 8),
        Pair("XBT/USD", "XXBT", "ZUSD", "currency", 1, 8),
    )


class KrakenServer(VenueServer):
    """See VenueServer; `book` sets what a pair's book is, and tells the subscribed."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock` gives the venue's time, ns UTC."""
        super().__init__()
        self.clock = clock
        self.pairs = {pair.wsname: pair for pair in pairs()}
        self.subscribed: dict[str, dict[web.WebSocketResponse, int]] = {}
        """Clients that follow the book of a pair, and at which depth."""
        self.instruments: dict[web.WebSocketResponse, bool] = {}
        """Clients that follow the list of pairs, and whether with tokenized assets."""
        self.corrupt_checksum = False
        self.frozen = False
        """The stream repeats its last change in new envelopes; REST shows the book as it is."""
        self.system = "online"
        self.heartbeat_s = 1.0
        self._shown: dict[str, Pair] = {}
        self._last: dict[tuple[str, int], tuple[str, str, int]] = {}
        self._quiet: set[web.WebSocketResponse] = set()
        self._beating: asyncio.Task[None] | None = None

    def routes(self, app: web.Application) -> None:
        """REST under /0/public, websocket under /v2."""
        app.router.add_get("/0/public/{method}", self._rest)
        app.router.add_get("/v2", self.socket)

    async def __aenter__(self) -> Self:
        self._beating = asyncio.create_task(self._beat())
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        assert self._beating is not None
        self._beating.cancel()
        await super().__aexit__(*error)

    async def book(
        self, symbol: str, *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), time: str = ""
    ) -> None:
        """Sets levels (price, quantity as text; quantity 0 removes) and sends what changed to who follows the pair.

        `time` is the venue's time of the change; the server's clock where it is not said.
        """
        pair = self.pairs[symbol]
        for levels, side in ((bids, pair.bids), (asks, pair.asks)):
            for price, quantity in levels:
                side[Decimal(price)] = Decimal(quantity)
                if not Decimal(quantity):
                    del side[Decimal(price)]
        pair.time = time or self._now()
        if self.frozen:
            await self._repeat(symbol)
            return
        shown = self._seen(symbol)
        depths = sorted(set(self.subscribed.get(symbol, {}).values()))
        before = {(d, side): dict(shown.side(side, d)) for d in depths for side in ("bids", "asks")}
        shown.bids, shown.asks, shown.time = dict(pair.bids), dict(pair.asks), pair.time
        for depth in depths:
            news = {}
            for side in ("bids", "asks"):
                old, new = before[depth, side], dict(shown.side(side, depth))
                gone = [(price, Decimal(0)) for price in old if price not in getattr(shown, side)]
                news[side] = gone + [level for level in new.items() if old.get(level[0]) != level[1]]
            if news["bids"] or news["asks"]:
                bids_text, asks_text = shown.wire(news["bids"]), shown.wire(news["asks"])
                self._last[symbol, depth] = (bids_text, asks_text, shown.checksum())
                await self._send(symbol, depth, self._text("update", shown, bids_text, asks_text, shown.checksum()))

    async def trading(self, symbol: str, status: str) -> None:
        """The trading status of a pair is now this, and who follows the list of pairs is told."""
        pair = self.pairs[symbol]
        pair.status = status
        for socket, tokenized in list(self.instruments.items()):
            if tokenized or pair.aclass == "currency":
                await self._say(socket, json.dumps(self._instruments("update", [pair])))

    async def state(self, system: str) -> None:
        """The state of the whole venue is now this, and everybody is told."""
        self.system = system
        for socket in list(self.sockets):
            await self.greet(socket)

    async def push(self, symbol: str, message: Any) -> None:
        """Any message, as it is, to who follows the book of a pair."""
        text = message if isinstance(message, str) else json.dumps(message)
        for socket in list(self.subscribed.get(symbol, ())):
            await self._say(socket, text)

    async def follower(self, symbol: str, connection: int = 1) -> None:
        """Waits until the `connection`-th websocket or a later one follows the book of a pair."""
        await self.until(
            lambda: self.connections >= connection and any(not s.closed for s in self.subscribed.get(symbol, ()))
        )

    async def greet(self, socket: web.WebSocketResponse) -> None:
        """The status channel speaks first."""
        data = {"system": self.system, "api_version": "v2", "connection_id": 12834, "version": "2.0.4"}
        await self._say(socket, json.dumps({"channel": "status", "type": "update", "data": [data]}))

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """ping, subscribe, unsubscribe; channels book and instrument."""
        came = self._now()
        message = json.loads(text)
        answer = {"method": message["method"], "time_in": came, "time_out": self._now()}
        if "req_id" in message:
            answer["req_id"] = message["req_id"]
        if message["method"] == "ping":
            await self._say(socket, json.dumps({**answer, "method": "pong"}))
            return
        params = message["params"]
        if params["channel"] == "instrument":
            tokenized = bool(params.get("include_tokenized_assets"))
            result = {"channel": "instrument", "snapshot": True}
            await self._say(socket, json.dumps({**answer, "result": result, "success": True}))
            self.instruments[socket] = tokenized
            shown = [p for p in self.pairs.values() if tokenized or p.aclass == "currency"]
            await self._say(socket, json.dumps(self._instruments("snapshot", shown)))
            return
        depth = params.get("depth", 10)
        for symbol in params["symbol"]:
            error = "" if symbol in self.pairs else f"Currency pair not supported {symbol}"
            error = error or ("" if depth in DEPTHS else "Book depth not supported")
            if error:
                await self._say(socket, json.dumps({**answer, "error": error, "success": False, "symbol": symbol}))
                continue
            followers = self.subscribed.setdefault(symbol, {})
            result = {"channel": "book", "depth": depth, "snapshot": True, "symbol": symbol}
            await self._say(socket, json.dumps({**answer, "result": result, "success": True}))
            if message["method"] == "unsubscribe":
                followers.pop(socket, None)
                continue
            followers[socket] = depth
            await self._say(socket, self._snapshot(symbol, depth))

    async def _say(self, socket: web.WebSocketResponse, text: str) -> None:
        self._quiet.discard(socket)
        with suppress(ConnectionError):  # it may just have gone
            await socket.send_str(text)

    async def _send(self, symbol: str, depth: int, text: str) -> None:
        for socket, asked in list(self.subscribed.get(symbol, {}).items()):
            if asked == depth:
                await self._say(socket, text)

    async def _repeat(self, symbol: str) -> None:
        """What was sent last, with the time of now."""
        for depth in sorted(set(self.subscribed.get(symbol, {}).values())):
            shown = self._seen(symbol)
            bids, asks, checksum = self._last.get((symbol, depth), ("[]", "[]", shown.checksum()))
            shown.time = self._now()
            await self._send(symbol, depth, self._text("update", shown, bids, asks, checksum))

    async def _beat(self) -> None:
        """A heartbeat to every client that was told nothing since the last."""
        while True:
            await asyncio.sleep(self.heartbeat_s)
            for socket in list(self.sockets):
                if socket in self._quiet and not self.mute and any(socket in s for s in self.subscribed.values()):
                    with suppress(ConnectionError):
                        await socket.send_str('{"channel":"heartbeat"}')
            self._quiet = set(self.sockets)

    def _seen(self, symbol: str) -> Pair:
        """A pair as the stream shows it."""
        pair = self.pairs[symbol]
        if symbol not in self._shown:
            self._shown[symbol] = Pair(
                pair.wsname, pair.base, pair.quote, pair.aclass, pair.price_decimals, pair.lot_decimals
            )
        return self._shown[symbol]

    def _snapshot(self, symbol: str, depth: int) -> str:
        pair = self._seen(symbol)
        bids, asks = pair.wire(pair.side("bids", depth)), pair.wire(pair.side("asks", depth))
        return self._text("snapshot", pair, bids, asks, pair.checksum())

    def _text(self, kind: str, pair: Pair, bids: str, asks: str, checksum: int) -> str:
        """A message of the book channel; json.dumps would write 3.00000000 as 3.0."""
        stamp = f',"timestamp":"{pair.time}"' if pair.time else ""
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{pair.wsname}","bids":{bids},"asks":{asks},'
            f'"checksum":{checksum ^ self.corrupt_checksum}{stamp}}}]}}'
        )

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock() // 1000 / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _instruments(self, kind: str, shown: Sequence[Pair]) -> dict[str, Any]:
        data = [
            {
                "symbol": p.wsname,
                "base": p.wsname.partition("/")[0],
                "quote": "USD",
                "status": p.status,
                "qty_precision": p.lot_decimals,
                "qty_increment": 10.0**-p.lot_decimals,
                "qty_min": 0.01,
                "price_precision": p.price_decimals,
                "price_increment": 10.0**-p.price_decimals,
                "cost_precision": 5,
                "cost_min": 0.5,
                "marginable": False,
                "has_index": True,
            }
            for p in shown
        ]
        return {"channel": "instrument", "type": kind, "data": {"assets": [], "pairs": data}}

    async def _rest(self, request: web.Request) -> web.Response:
        method, query = request.match_info["method"], request.query
        if method in ("AssetPairs", "Depth", "Ticker"):
            found = self._asked(query.get("pair", ""), query.get("aclass_base") or query.get("asset_class", "currency"))
            if query.get("pair") and not found:
                return web.json_response({"error": ["EQuery:Unknown asset pair"]})
            count = int(query.get("count", "100"))
            show = {"AssetPairs": self._pair, "Depth": lambda p: self._depth(p, count), "Ticker": self._ticker}[method]
            result: Any = {p.altname: show(p) for p in found}
        elif method == "Assets":
            assets = {"ZUSD": ("USD", 4), "USDT": ("USDT", 8), "XXBT": ("XBT", 10)}
            result = {
                name: {"aclass": "currency", "altname": alt, "decimals": d, "display_decimals": 2, "status": "enabled"}
                for name, (alt, d) in assets.items()
            }
        elif method == "SystemStatus":
            result = {"status": self.system, "timestamp": self._now()[:19] + "Z"}
        elif method == "Time":
            seconds = self.clock() // 10**9
            words = datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %y %H:%M:%S +0000")
            result = {"unixtime": seconds, "rfc1123": words}
        else:
            return web.json_response({"error": ["EGeneral:Unknown method"]})
        return web.json_response({"error": [], "result": result})

    def _asked(self, name: str, aclass: str) -> list[Pair]:
        """The pairs of a class, or the one of that name."""
        return [p for p in self.pairs.values() if p.aclass == aclass and name in ("", p.altname, p.wsname)]

    def _depth(self, pair: Pair, count: int) -> dict[str, Any]:
        seconds = self.clock() // 10**9
        return {
            side: [[f"{p:.{pair.price_decimals}f}", f"{q:.3f}", seconds] for p, q in pair.side(side, count)]
            for side in ("asks", "bids")
        }

    def _ticker(self, pair: Pair) -> dict[str, Any]:
        best = {name: pair.side(side, 1) for name, side in (("a", "asks"), ("b", "bids"))}
        return {
            name: [f"{levels[0][0]:.{pair.price_decimals}f}", "1", f"{levels[0][1]:.3f}"]
            for name, levels in best.items()
            if levels
        }

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
            "status": pair.status,
        }
