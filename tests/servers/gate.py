"""A local Gate: spot pairs and USDT contracts over REST, and the v4 websockets with books by update id.

Shapes after the venue's public documentation and a capture of 2021 (REST: currency_pairs, contracts, order_book with
`id`, time; websocket: spot.obu, whole first and then U to u; spot.order_book_update and futures.order_book_update,
which need the REST book to begin with; trades). Sizes of contracts are numbers of contracts.
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
    """One pair or contract, its book, and what it costs to hold."""

    market: str
    id: str
    status: str = ""
    """tradable, untradable, buyable or sellable for a pair; trading or delisting for a contract."""
    book: Levels = field(default_factory=Levels)
    update: int = 28_606_980
    last: tuple[Sequence[Level], Sequence[Level]] = ((), ())
    fee: str = "0.2"
    """In percent; of pairs only."""
    units: str = "0.01"
    """What one contract is worth in units."""
    rate: str = "0.0001"
    interval_s: int = 14_400
    mark: str = "0"
    index: str = "0"
    interest: str = "0"
    """Contracts held."""


class GateServer(VenueServer):
    """See VenueServer; `book` changes a book and tells who follows it."""

    def __init__(
        self,
        spot: Sequence[str] = ("TSLAX_USDT", "NVDAX_USDT"),
        futures: Sequence[str] = ("TSLAX_USDT",),
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """What is listed; `clock` gives the venue's time, ns UTC."""
        super().__init__()
        self.clock = clock
        listed = [Listing(SPOT, name, "tradable") for name in spot]
        listed += [Listing(FUTURES, name, "trading") for name in futures]
        self.listings = {(listing.market, listing.id): listing for listing in listed}
        self.followers: dict[tuple[str, str], set[web.WebSocketResponse]] = {}
        """Clients of a channel and what they named, such as ("spot.obu", "ob.TSLAX_USDT.50")."""
        self.frozen = False
        """The stream says its last change again under new ids and times; REST shows the book as it is."""

    def routes(self, app: web.Application) -> None:
        """REST under /api/v4; websockets under /ws/v4/ (spot) and /v4/ws/usdt (contracts)."""
        for path, answer in (
            ("/spot/currencies", self._currencies),
            ("/spot/currency_pairs", self._pairs),
            ("/margin/currency_pairs", self._nothing),
            ("/spot/time", self._time),
            ("/spot/order_book", self._order_book(SPOT)),
            ("/futures/usdt/contracts", self._contracts),
            ("/futures/usdt/contracts/{name}", self._contract),
            ("/futures/usdt/order_book", self._order_book(FUTURES)),
        ):
            app.router.add_get("/api/v4" + path, answer)
        app.router.add_get("/ws/v4/", self.socket)
        app.router.add_get("/v4/ws/usdt", self.socket)

    async def book(
        self, name: str, *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), market: str = SPOT,
        untold: bool = False,
    ) -> None:  # fmt: skip
        """Changes levels (size 0 removes) and sends the change; `untold` loses it on the way: a gap."""
        listing = self.listings[market, name]
        first = listing.update + 1
        listing.book.change(bids, asks)
        listing.update += 2
        if untold:
            return
        if self.frozen:
            bids, asks = listing.last
        listing.last = (bids, asks)
        change: dict[str, Any] = {"t": self._ms(), "U": first, "u": listing.update}
        if market == SPOT:
            for level in ("50", "400"):
                named = f"ob.{name}.{level}"
                said = {**change, "s": named, "b": list(bids), "a": list(asks)}
                await self.push("spot.obu", named, said)
            old = {**change, "e": "depthUpdate", "E": self._ms() // 1000, "s": name, "b": list(bids), "a": list(asks)}
            await self.push("spot.order_book_update", name, old)
        else:
            said = {**change, "s": name, "b": _objects(bids), "a": _objects(asks)}
            await self.push("futures.order_book_update", name, said)

    async def whole(self, name: str, *, bids: Sequence[Level], asks: Sequence[Level], market: str = SPOT) -> None:
        """Makes the book this one."""
        changed = self.listings[market, name].book.toward(bids, asks)
        await self.book(name, bids=changed[0], asks=changed[1], market=market)

    async def trade(self, name: str, price: str, size: str, *, sold: bool = False, market: str = SPOT) -> None:
        """One print; `sold` where the taker sold."""
        common = {"id": self._ms(), "create_time": self._ms() // 1000, "create_time_ms": f"{self._ms()}.0"}
        if market == SPOT:
            one = {"side": "sell" if sold else "buy", "currency_pair": name, "amount": size, "price": price}
            await self.push("spot.trades", name, {**common, **one})
            return
        signed = f"-{size}" if sold else size
        one = {"contract": name, "size": float(signed), "price": price, "create_time_ms": self._ms()}
        await self.push("futures.trades", name, [{**common, **one}])

    async def push(self, channel: str, named: str, result: Any) -> None:
        """Any result, as it is, to who follows a channel under that name; text goes out without an envelope."""
        said = {"time": self._ms() // 1000, "time_ms": self._ms(), "channel": channel, "event": "update"}
        text = result if isinstance(result, str) else json.dumps({**said, "result": result})
        for socket in list(self.followers.get((channel, named), ())):
            with suppress(ConnectionError):  # it may just have gone
                await socket.send_str(text)

    async def follower(self, name: str, connection: int = 1, *, market: str = SPOT) -> None:
        """Waits until the `connection`-th websocket or a later one follows a book."""
        key = ("spot.obu", f"ob.{name}.50") if market == SPOT else ("futures.order_book_update", name)
        await self.until(
            lambda: self.connections >= connection and any(not s.closed for s in self.followers.get(key, ()))
        )

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """subscribe and unsubscribe to any channel; ping."""
        message = json.loads(text)
        channel, payload = message["channel"], message.get("payload", [])
        answer = {"time": self._ms() // 1000, "id": message.get("id"), "channel": channel}
        if channel.endswith(".ping"):
            await socket.send_json({**answer, "channel": channel.replace("ping", "pong"), "event": ""})
            return
        answer |= {"event": message["event"], "payload": payload}
        names = payload[:1] if "order_book" in channel else payload
        unknown = [name for name in names if not self._knows(channel, name)]
        if unknown:
            error = {"code": 2, "message": f"unknown currency pair {unknown[0]}"}
            await socket.send_json({**answer, "error": error, "result": {"status": "fail"}})
            return
        await socket.send_json({**answer, "result": {"status": "success"}})
        for name in names:
            followers = self.followers.setdefault((channel, name), set())
            (followers.add if message["event"] == "subscribe" else followers.discard)(socket)
            if channel == "spot.obu" and message["event"] == "subscribe":
                await self._first(socket, name)

    async def _first(self, socket: web.WebSocketResponse, named: str) -> None:
        """The whole book, which comes first on spot.obu."""
        _, name, level = named.split(".")
        listing = self.listings[SPOT, name]
        bids, asks = listing.book.top(int(level))
        result = {"t": self._ms(), "full": True, "s": named, "u": listing.update, "b": bids, "a": asks}
        said = {"channel": "spot.obu", "result": result, "time_ms": self._ms(), "event": "update"}
        with suppress(ConnectionError):
            await socket.send_json(said)

    def _knows(self, channel: str, named: str) -> bool:
        name = named.split(".")[1] if channel == "spot.obu" else named
        return (channel.split(".")[0], name) in self.listings

    def _ms(self) -> int:
        return self.clock() // 1_000_000

    # --- REST

    def _order_book(self, market: str) -> Callable[[web.Request], Any]:
        async def live(request: web.Request) -> web.Response:
            name = request.query.get("currency_pair" if market == SPOT else "contract", "")
            listing = self.listings.get((market, name))
            if listing is None:
                said = {"label": "INVALID_CURRENCY_PAIR", "message": f"Invalid currency pair {name}"}
                return web.json_response(said, status=400)
            bids, asks = listing.book.top(int(request.query.get("limit", "10")))
            stamp: float = self._ms() if market == SPOT else self._ms() / 1000
            both: dict[str, Any] = {"current": stamp, "update": stamp, "id": listing.update}
            shown = (bids, asks) if market == SPOT else (_objects(bids), _objects(asks))
            return self._json(both | {"bids": shown[0], "asks": shown[1]})

        return live

    def _json(self, said: Any) -> web.Response:
        return web.json_response(said, headers={"X-Gate-RateLimit-Requests-Remain": "199"})

    async def _nothing(self, _: web.Request) -> web.Response:
        return self._json([])

    async def _currencies(self, _: web.Request) -> web.Response:
        return self._json([])

    async def _time(self, _: web.Request) -> web.Response:
        return self._json({"server_time": self._ms()})

    async def _pairs(self, _: web.Request) -> web.Response:
        return self._json(
            [
                {
                    "id": i.id,
                    "base": i.id.split("_")[0],
                    "quote": i.id.split("_")[1],
                    "fee": i.fee,
                    "min_base_amount": "0.001",
                    "min_quote_amount": "3",
                    "amount_precision": 3,
                    "precision": 2,
                    "trade_status": i.status,
                    "sell_start": 0,
                    "buy_start": 0,
                    "type": "normal",
                }
                for i in self.listings.values()
                if i.market == SPOT
            ]
        )

    async def _contracts(self, _: web.Request) -> web.Response:
        return self._json([self._shown(i) for i in self.listings.values() if i.market == FUTURES])

    async def _contract(self, request: web.Request) -> web.Response:
        listing = self.listings.get((FUTURES, request.match_info["name"]))
        if listing is None:
            return web.json_response({"label": "CONTRACT_NOT_FOUND"}, status=400)
        return self._json(self._shown(listing))

    def _shown(self, listing: Listing) -> dict[str, Any]:
        return {
            "name": listing.id,
            "type": "direct",
            "quanto_multiplier": listing.units,
            "leverage_min": "1",
            "leverage_max": "20",
            "mark_price": listing.mark,
            "index_price": listing.index,
            "last_price": listing.mark,
            "maker_fee_rate": "-0.00005",
            "taker_fee_rate": "0.00075",
            "order_price_round": "0.01",
            "order_price_deviate": "0.5",
            "order_size_min": 1,
            "order_size_max": 1000000,
            "funding_rate": listing.rate,
            "funding_rate_indicative": listing.rate,
            "funding_interval": listing.interval_s,
            "funding_next_apply": (self._ms() // 1000 // listing.interval_s + 1) * listing.interval_s,
            "position_size": float(listing.interest),
            "in_delisting": False,
            "status": listing.status,
            "create_time": 1751328000,
        }


def _objects(levels: Sequence[Level]) -> list[dict[str, Any]]:
    """Levels as contracts have them."""
    return [{"p": price, "s": float(size)} for price, size in levels]
