"""A local Binance: spot and USD-M futures over REST, and their websockets with book diffs by update id.

Shapes after the venue's public documentation and recorded messages (REST: exchangeInfo, depth, time; futures also
fundingInfo, premiumIndex, openInterest; websocket: SUBSCRIBE on /ws and combined on /stream; depth@100ms with U and u
on spot, and pu on futures; bookTicker; trade). A change of a book takes two update ids, as when one order moved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.levels import Level, Levels
from tests.servers.venue import VenueServer

SPOT, FUTURES = "spot", "futures"


@dataclass
class Listing:
    """One symbol, its book, and what it costs to hold."""

    market: str
    base: str
    quote: str
    status: str = "TRADING"
    book: Levels = field(default_factory=Levels)
    update: int = 50_093_239_200
    told: int = 50_093_239_200
    """The last update id that the stream showed."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last diff that was sent."""
    rate: str = "0.00010000"
    """Funding per period."""
    mark: str = "0"
    index: str = "0"
    interest: str = "0"
    hours: int | None = None
    """Hours between fundings, where fundingInfo lists the contract."""

    @property
    def id(self) -> str:
        """The symbol in the venue's spelling."""
        return self.base + self.quote


class BinanceServer(VenueServer):
    """See VenueServer; `book` changes a book and tells who follows it."""

    def __init__(
        self,
        spot: Sequence[tuple[str, str]] = (("TSLAB", "USDT"), ("NVDAB", "USDT"), ("BTC", "USDT")),
        futures: Sequence[tuple[str, str]] = (("TSLA", "USDT"),),
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """What is listed, (base, quote); `clock` gives the venue's time, ns UTC."""
        super().__init__()
        self.clock = clock
        listed = [Listing(SPOT, *pair) for pair in spot] + [Listing(FUTURES, *pair) for pair in futures]
        self.listings = {(listing.market, listing.id): listing for listing in listed}
        self.followers: dict[tuple[str, str], set[web.WebSocketResponse]] = {}
        """Clients of a stream such as ("spot", "tslabusdt@depth@100ms")."""
        self.frozen = False
        """The stream says its last diff again under new ids and times; REST shows the book as it is."""
        self.weight = 0
        """Request weight used in this minute, as every REST answer tells it."""
        self._markets: dict[web.WebSocketResponse, tuple[str, bool]] = {}

    def routes(self, app: web.Application) -> None:
        """REST under /api/v3 and /fapi/v1; websockets as the venue has them."""
        for path, market in (("/api/v3", SPOT), ("/fapi/v1", FUTURES)):
            for name in ("exchangeInfo", "depth", "time", "fundingInfo", "premiumIndex", "openInterest"):
                app.router.add_get(f"{path}/{name}", self._rest(market, getattr(self, "_" + name)))
        for path in ("/ws", "/ws/{number}", "/stream", "/public/ws/{number}", "/market/ws/{number}", "/public/stream"):
            app.router.add_get(path, self.socket)

    async def book(
        self, symbol: str, *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), market: str = SPOT,
        untold: bool = False,
    ) -> None:  # fmt: skip
        """Changes levels (size 0 removes) and sends the diff; `untold` loses it on the way: a gap."""
        listing = self.listings[market, symbol]
        first = listing.update + 1
        listing.book.change(bids, asks)
        listing.update += 2
        if untold:
            listing.told = listing.update
            return
        if self.frozen and listing.last:
            bids, asks = listing.last["b"], listing.last["a"]
        stamp = self.clock() // 1_000_000
        diff: dict[str, Any] = {"e": "depthUpdate", "E": stamp, "s": symbol, "U": first, "u": listing.update}
        if market == FUTURES:
            diff |= {"T": stamp - 1, "pu": listing.told}
        diff |= {"b": list(bids), "a": list(asks)}
        listing.told, listing.last = listing.update, diff
        await self.push(symbol, "depth@100ms", diff, market=market)
        if not self.frozen:
            await self._ticker(listing)

    async def whole(self, symbol: str, *, bids: Sequence[Level], asks: Sequence[Level], market: str = SPOT) -> None:
        """Makes the book this one."""
        changed = self.listings[market, symbol].book.toward(bids, asks)
        await self.book(symbol, bids=changed[0], asks=changed[1], market=market)

    async def trade(self, symbol: str, price: str, size: str, *, sold: bool = False, market: str = SPOT) -> None:
        """One print; `sold` where the taker sold."""
        stamp = self.clock() // 1_000_000
        said = {"e": "trade", "E": stamp, "s": symbol, "t": stamp, "p": price, "q": size, "T": stamp, "m": sold}
        await self.push(
            symbol, "trade", {**said, "M": True} if market == SPOT else {**said, "X": "MARKET"}, market=market
        )

    async def push(self, symbol: str, stream: str, message: Any, *, market: str = SPOT) -> None:
        """Any message, as it is, to the followers of a stream; wrapped on a combined connection."""
        name = f"{symbol.lower()}@{stream}"
        for socket in list(self.followers.get((market, name), ())):
            combined = self._markets[socket][1]
            said = {"stream": name, "data": message} if combined and not isinstance(message, str) else message
            with suppress(ConnectionError):  # it may just have gone
                await socket.send_str(said if isinstance(said, str) else json.dumps(said, separators=(",", ":")))

    async def follower(self, symbol: str, connection: int = 1, *, market: str = SPOT) -> None:
        """Waits until the `connection`-th websocket or a later one follows the diffs of a symbol."""
        stream = (market, f"{symbol.lower()}@depth@100ms")
        await self.until(
            lambda: self.connections >= connection and any(not s.closed for s in self.followers.get(stream, ()))
        )

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """SUBSCRIBE, UNSUBSCRIBE."""
        message = json.loads(text)
        market = self._markets[socket][0]
        for name in message.get("params", []):
            followers = self.followers.setdefault((market, name), set())
            (followers.add if message["method"] == "SUBSCRIBE" else followers.discard)(socket)
        await socket.send_json({"result": None, "id": message["id"]})

    async def greet(self, socket: web.WebSocketResponse) -> None:
        """Nothing is said; the address tells the market, and on a combined connection the streams."""
        request = socket._req
        assert request is not None
        market = FUTURES if request.path.startswith(("/public", "/market")) else SPOT
        self._markets[socket] = (market, request.path.endswith("stream"))
        for name in filter(None, request.query.get("streams", "").split("/")):
            self.followers.setdefault((market, name), set()).add(socket)

    async def _ticker(self, listing: Listing) -> None:
        bids, asks = listing.book.top(1)
        if bids and asks:
            said = {"u": listing.update, "s": listing.id, "b": bids[0][0], "B": bids[0][1]}
            said |= {"a": asks[0][0], "A": asks[0][1]}
            await self.push(listing.id, "bookTicker", said, market=listing.market)

    # --- REST

    def _rest(self, market: str, answer: Callable[[str, web.Request], Any]) -> Callable[[web.Request], Any]:
        async def live(request: web.Request) -> web.Response:
            self.weight += 5
            said = answer(market, request)
            refused = isinstance(said, dict) and "code" in said
            headers = {"X-MBX-USED-WEIGHT-1M": str(self.weight)}
            return web.json_response(said, status=400 if refused else 200, headers=headers)

        return live

    def _found(self, market: str, request: web.Request) -> Listing | None:
        return self.listings.get((market, request.query.get("symbol", "")))

    def _time(self, market: str, _: web.Request) -> Any:
        return {"serverTime": self.clock() // 1_000_000}

    def _depth(self, market: str, request: web.Request) -> Any:
        listing = self._found(market, request)
        if listing is None:
            return _UNKNOWN
        bids, asks = listing.book.top(int(request.query.get("limit", "100")))
        said: dict[str, Any] = {"lastUpdateId": listing.update}
        if market == FUTURES:
            said |= {"E": self.clock() // 1_000_000, "T": self.clock() // 1_000_000}
        return said | {"bids": bids, "asks": asks}

    def _exchangeInfo(self, market: str, _: web.Request) -> Any:
        shown = [_listed(listing) for listing in self.listings.values() if listing.market == market]
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}]
        info = {"timezone": "UTC", "serverTime": self.clock() // 1_000_000, "rateLimits": limits}
        return info | {"exchangeFilters": [], "symbols": shown}

    def _premiumIndex(self, market: str, request: web.Request) -> Any:
        listing = self._found(market, request)
        if listing is None:
            return _UNKNOWN
        now = self.clock() // 1_000_000
        hour = 3_600_000
        return {
            "symbol": listing.id,
            "markPrice": listing.mark,
            "indexPrice": listing.index,
            "estimatedSettlePrice": listing.index,
            "lastFundingRate": listing.rate,
            "interestRate": "0.00010000",
            "nextFundingTime": (now // hour + 1) * hour,
            "time": now,
        }

    def _fundingInfo(self, market: str, _: web.Request) -> Any:
        caps = {"adjustedFundingRateCap": "0.02000000", "adjustedFundingRateFloor": "-0.02000000"}
        return [
            {"symbol": i.id, **caps, "fundingIntervalHours": i.hours, "disclaimer": False}
            for i in self.listings.values()
            if i.market == market and i.hours is not None
        ]

    def _openInterest(self, market: str, request: web.Request) -> Any:
        listing = self._found(market, request)
        if listing is None:
            return _UNKNOWN
        return {"symbol": listing.id, "openInterest": listing.interest, "time": self.clock() // 1_000_000}


_UNKNOWN = {"code": -1121, "msg": "Invalid symbol."}


def _listed(listing: Listing) -> dict[str, Any]:
    """A symbol as exchangeInfo has it."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "9000.000", "stepSize": "0.001"},
    ]
    said = {
        "symbol": listing.id,
        "status": listing.status,
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
    }
    if listing.market == SPOT:
        return said | {
            "quoteAssetPrecision": 8,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [*filters, {"filterType": "NOTIONAL", "minNotional": "5.00000000"}],
            "permissions": [],
            "permissionSets": [["SPOT"]],
        }
    return said | {
        "pair": listing.id,
        "contractType": "TRADIFI_PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1769610600000,
        "marginAsset": listing.quote,
        "pricePrecision": 2,
        "quantityPrecision": 2,
        "underlyingType": "EQUITY",
        "filters": [*filters, {"filterType": "MIN_NOTIONAL", "notional": "5"}],
    }
