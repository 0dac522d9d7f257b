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
from connectors.events import Kind
from connectors.instruments import Role
from tests.connectors.ccxt_cases import Case
from tests.servers.heard import Heard


class Offline:
    """One venue's instance and one of its lines, which nobody is at the other end of."""

    def __init__(self, pro: Any, case: Case, symbol: str = "") -> None:
        """Its markets come from the case's local server; `symbol` is listened to in place of the case's own."""
        self.case, self.symbol = case, symbol or case.instrument.symbol
        self.loop = asyncio.new_event_loop()
        self.heard = Heard()
        venue = case.instrument.venue
        quirk, lane = QUIRKS[venue], QUIRKS[venue].lane(Role(case.instrument.role))
        states = States(
            self.heard, lambda: 0.0, depth_every_s=float("inf"), depth_levels=10, in_order=quirk.self_healing
        )
        self.tap = Tap(venue, quirk, lane, self.heard, {self.symbol: (0, Kind.QUOTE)}, states)
        self.exchange: Any = None
        self.client: Any = None
        self.loop.run_until_complete(self._load(pro, quirk, lane))

    async def _load(self, pro: Any, quirk: Any, lane: Any) -> None:
        async with self.case.server() as server:
            venue = self.case.instrument.venue
            self.exchange = build(self.tap.watch(getattr(pro, venue)), lane, quirk, (self.symbol,), server.url)
            await self.exchange.load_markets(True, dict(lane.params))
        # Binance tells spot from futures by the address of the line.
        self.client = self.exchange.client("ws://local/stream" if lane is quirk.lane(Role.TOKEN) else "ws://local/ws")

    def fresh(self, book: dict[str, Any] | None = None) -> None:
        """A new life, with this book (bids, asks, nonce) in ccxt's memory, as after a snapshot."""
        self.tap.begin()
        self.client.rejections.clear()
        self.exchange.orderbooks.clear()
        self.heard.rows.clear()
        self.heard.rejected.clear()
        self.client.subscriptions.clear()
        if book is not None:
            made = self.exchange.order_book(dict(book))
            made["symbol"] = self.symbol
            self.exchange.orderbooks[self.symbol] = made
            self.client.subscriptions["orderbook:" + self.symbol] = {"symbol": self.symbol, "limit": 100}

    def frame(self, data: Any) -> None:
        """One text message comes in. Whatever the production tap lets escape, escapes here."""
        text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
        text = text if isinstance(text, str) else json.dumps(text)

        async def arrive() -> None:
            self.client.handle_message(WSMessage(WSMsgType.TEXT, text, None))

        self.loop.run_until_complete(arrive())

    def close(self) -> None:
        """Ends what ccxt holds open."""
        self.loop.run_until_complete(self.exchange.close())
        self.loop.close()
