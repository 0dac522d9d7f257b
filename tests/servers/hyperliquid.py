"""A local Hyperliquid with one builder-deployed dex of share perps: POST /info, and the websocket.

Shapes after the venue's public documentation and recorded messages (info: perpDexs, metaAndAssetCtxs with `dex`,
spotMeta, spotMetaAndAssetCtxs, l2Book, exchangeStatus; websocket: l2Book with whole books, trades, activeAssetCtx,
ping). A coin of the dex is named `xyz:TSLA`.
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

LEVELS = 20


@dataclass
class Coin:
    """One perp: its book, and what it costs to hold."""

    name: str
    book: Levels = field(default_factory=Levels)
    shown: tuple[list[Level], list[Level]] = ((), ())  # type: ignore[assignment]  # nothing was shown yet
    funding: str = "0.00000625"
    """Per hour."""
    oracle: str = "400.0"
    mark: str = "400.0"
    interest: str = "12345.6"
    delisted: bool = False


class HyperliquidServer(VenueServer):
    """See VenueServer; `book` sets levels and sends the whole book to who follows the coin."""

    def __init__(
        self,
        coins: Sequence[str] = ("BTC", "xyz:TSLA", "xyz:NVDA"),
        dexes: Sequence[str] = ("flx", "xyz"),
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Coins of the main dex and of the named ones, in their order; `clock` gives the venue's time, ns UTC."""
        super().__init__()
        self.clock = clock
        self.coins = {name: Coin(name) for name in coins}
        self.dexes = tuple(dexes)
        self.followers: dict[tuple[str, str], set[web.WebSocketResponse]] = {}
        """Clients of a subscription such as ("l2Book", "xyz:TSLA")."""
        self.frozen = False
        """The stream shows the last book again with new times; REST shows the book as it is."""
        self.maintenance = False
        """The venue says that something special is going on."""
        self.bodies: list[dict[str, Any]] = []
        """What was asked of /info."""

    def routes(self, app: web.Application) -> None:
        """POST /info, websocket /ws."""
        app.router.add_post("/info", self._info)
        app.router.add_get("/ws", self.socket)

    async def book(
        self, coin: str, *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), ts_ms: int | None = None
    ) -> None:
        """Changes levels (size 0 removes) and sends the whole book; `ts_ms` is the venue's time."""
        one = self.coins[coin]
        one.book.change(bids, asks)
        if not self.frozen or not one.shown[0]:
            one.shown = one.book.top(LEVELS)
        data = {"coin": coin, "time": self._ms() if ts_ms is None else ts_ms, "levels": _levels(*one.shown)}
        await self.push("l2Book", coin, data)

    async def whole(self, coin: str, *, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Makes the book this one."""
        changed = self.coins[coin].book.toward(bids, asks)
        await self.book(coin, bids=changed[0], asks=changed[1])

    async def trade(self, coin: str, price: str, size: str, *, sold: bool = False) -> None:
        """One print; `sold` where the taker sold."""
        one = {"coin": coin, "side": "A" if sold else "B", "px": price, "sz": size, "time": self._ms()}
        await self.push("trades", coin, [{**one, "hash": "0x0", "tid": self._ms(), "users": ["0xa", "0xb"]}])

    async def push(self, channel: str, coin: str, data: Any) -> None:
        """Any data, as it is, to who follows a channel of a coin; text goes out without an envelope."""
        text = data if isinstance(data, str) else json.dumps({"channel": channel, "data": data})
        for socket in list(self.followers.get((channel, coin), ())):
            with suppress(ConnectionError):  # it may just have gone
                await socket.send_str(text)

    async def follower(self, coin: str, connection: int = 1) -> None:
        """Waits until the `connection`-th websocket or a later one follows the book of a coin."""
        key = ("l2Book", coin)
        await self.until(
            lambda: self.connections >= connection and any(not s.closed for s in self.followers.get(key, ()))
        )

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """ping, subscribe, unsubscribe."""
        message = json.loads(text)
        if message["method"] == "ping":
            await socket.send_json({"channel": "pong"})
            return
        asked = message["subscription"]
        channel, coin = asked["type"], asked.get("coin", "")
        if coin not in self.coins:
            await socket.send_json({"channel": "error", "data": f"Invalid subscription {json.dumps(asked)}"})
            return
        await socket.send_json({"channel": "subscriptionResponse", "data": message})
        followers = self.followers.setdefault((channel, coin), set())
        if message["method"] == "unsubscribe":
            followers.discard(socket)
            return
        followers.add(socket)
        one = self.coins[coin]
        if channel == "l2Book" and one.shown[0]:
            data = {"coin": coin, "time": self._ms(), "levels": _levels(*one.shown)}
            with suppress(ConnectionError):
                await socket.send_json({"channel": "l2Book", "data": data})

    def _ms(self) -> int:
        return self.clock() // 1_000_000

    # --- POST /info

    async def _info(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.bodies.append(asked)
        kind = asked.get("type")
        if kind == "perpDexs":
            named = [{"name": dex, "fullName": dex, "deployer": "0x0", "oracleUpdater": None} for dex in self.dexes]
            return web.json_response([None, *named])
        if kind == "metaAndAssetCtxs":
            return web.json_response(self._meta(asked.get("dex", "")))
        if kind in ("spotMeta", "spotMetaAndAssetCtxs"):
            coin = {
                "index": 0,
                "isCanonical": True,
                "name": "USDC",
                "szDecimals": 8,
                "tokenId": "0x1",
                "weiDecimals": 8,
            }
            meta = {"tokens": [coin], "universe": []}
            return web.json_response(meta if kind == "spotMeta" else [meta, []])
        if kind == "l2Book" and asked.get("coin") in self.coins:
            top = self.coins[asked["coin"]].book.top(LEVELS)
            return web.json_response({"coin": asked["coin"], "time": self._ms(), "levels": _levels(*top)})
        if kind == "exchangeStatus":
            return web.json_response({"time": self._ms(), "specialStatuses": "upgrade" if self.maintenance else None})
        return web.json_response("Failed to deserialize the JSON body", status=422)

    def _meta(self, dex: str) -> list[Any]:
        """Universe and contexts of one dex; the empty name is the main one."""
        shown = [c for c in self.coins.values() if (c.name.partition(":")[0] if ":" in c.name else "") == dex]
        universe: list[dict[str, Any]] = []
        contexts = []
        for coin in shown:
            one: dict[str, Any] = {"name": coin.name, "szDecimals": 3, "maxLeverage": 10, "marginTableId": 10}
            universe.append({**one, "isDelisted": True} if coin.delisted else one)
            contexts.append(
                {
                    "funding": coin.funding,
                    "openInterest": coin.interest,
                    "prevDayPx": coin.oracle,
                    "dayNtlVlm": "1000000.0",
                    "premium": "0.0",
                    "oraclePx": coin.oracle,
                    "markPx": coin.mark,
                    "midPx": coin.mark,
                    "impactPxs": [coin.mark, coin.mark],
                    "dayBaseVlm": "2500.0",
                }
            )
        return [{"universe": universe, "marginTables": [], "collateralToken": 0}, contexts]


def _levels(bids: Sequence[Level], asks: Sequence[Level]) -> list[list[dict[str, Any]]]:
    return [[{"px": price, "sz": size, "n": 1} for price, size in side] for side in (bids, asks)]
