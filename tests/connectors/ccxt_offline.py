"""ccxt's own parsers behind the production tap, without a network: for frames by the thousand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import WSMessage, WSMsgType

from connectors.cex.instance import build
from connectors.cex.quirks import QUIRKS
from connectors.cex.states import States
from connectors.cex.tap import Tap
from connectors.events import PRICE_OF, Kind
from connectors.instruments import Role
from tests.connectors.ccxt_cases import Case
from tests.servers.heard import Heard


class Parsers:
    """One venue's instance and one of its lines, which nobody is at the other end of."""

    def __init__(self, pro: Any, venue: str, symbol: str, role: Role) -> None:
        """`symbol` is the one that is listened to; the instance is made by `build`."""
        self.symbol = symbol
        self.loop = asyncio.new_event_loop()
        self.heard = Heard()
        self.quirk, self.lane = QUIRKS[venue], QUIRKS[venue].lane(role)
        states = States(
            self.heard, lambda: 0.0, depth_every_s=float("inf"), depth_levels=10, in_order=self.quirk.self_healing
        )
        self.tap = Tap(venue, self.quirk, self.lane, self.heard, {symbol: (0, PRICE_OF[role])}, states)
        self.made = self.tap.watch(getattr(pro, venue))
        self.exchange: Any = None
        self.client: Any = None

    def build(self, url: str) -> None:
        """The instance, asking at `url`."""
        self.exchange = build(self.made, self.lane, self.quirk, (self.symbol,), url)

    def open(self, url: str) -> None:
        """The line, by the address that it would have."""

        async def opened() -> None:
            self.client = self.exchange.client(url)

        self.loop.run_until_complete(opened())
        self.fresh()

    def fresh(self, book: dict[str, Any] | None = None) -> None:
        """A new life, with this book (bids, asks, nonce) in ccxt's memory, as after a snapshot."""
        self.tap.begin()
        self.client.rejections.clear()
        self.exchange.orderbooks.clear()
        for memory in (self.heard.rows, self.heard.rejected, self.heard.details, self.heard.frames):
            memory.clear()
        for channel in ("books:", "orderbook:"):
            self.client.subscriptions[channel + self.symbol] = {"symbol": self.symbol, "limit": 100}
        if book is not None:
            made = self.exchange.order_book(dict(book))
            made["symbol"] = self.symbol
            self.exchange.orderbooks[self.symbol] = made

    def frame(self, data: Any, *, binary: bool = False) -> None:
        """One message comes in: texts and bytes as they are, the rest as JSON. What the tap lets out comes out here."""
        if isinstance(data, bytes) and not binary:
            data = data.decode("utf-8", "surrogateescape")
        said = data if isinstance(data, (str, bytes)) else json.dumps(data)

        async def arrive() -> None:
            self.client.handle_message(WSMessage(WSMsgType.BINARY if binary else WSMsgType.TEXT, said, None))

        self.loop.run_until_complete(arrive())

    def quotes(self) -> list[tuple[float, float, float, float, int]]:
        """What was heard of the book."""
        return [
            (r.bid, r.ask, r.bid_size, r.ask_size, r.ts_venue) for r in self.heard.rows if r.kind is not Kind.HEALTH
        ]

    def close(self) -> None:
        """Ends what ccxt holds open."""
        self.loop.run_until_complete(self.exchange.close())
        self.loop.close()


class Offline(Parsers):
    """A venue that has a local server, with the markets that this lists."""

    def __init__(self, pro: Any, case: Case, symbol: str = "") -> None:
        """`symbol` is listened to in place of the case's own."""
        venue, role = case.instrument.venue, Role(case.instrument.role)
        super().__init__(pro, venue, symbol or case.instrument.symbol, role)
        self.case = case
        self.loop.run_until_complete(self._load())
        # Binance tells spot from futures by the address of the line.
        spot = self.lane is self.quirk.lane(Role.TOKEN)
        self.open("ws://local/stream" if spot else "ws://local/ws")

    async def _load(self) -> None:
        async with self.case.server() as server:
            self.build(server.url)
            await self.exchange.load_markets(True, dict(self.lane.params))


class Line(Parsers):
    """A venue without a server, with one spot market that has this id."""

    def __init__(
        self, pro: Any, venue: str, market_id: str, symbol: str = "TSLAX/USDT", role: Role = Role.TOKEN
    ) -> None:
        """No addresses are replaced: nothing is asked."""
        super().__init__(pro, venue, symbol, role)
        self.build("")
        base, _, quote = symbol.partition("/")
        market = {"id": market_id, "symbol": symbol, "base": base, "quote": quote, "type": "spot"}
        self.exchange.set_markets([{**market, "spot": True, "active": True, "contract": False}])
        self.open("ws://local/ws")
