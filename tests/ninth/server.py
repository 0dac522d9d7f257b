"""A local Ninth: see tests/ninth/ninth.py for how it speaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from aiohttp import web

from tests.servers.venue import VenueServer

Level = tuple[str, str]


class NinthServer(VenueServer):
    """See VenueServer; `book` sets levels and tells the followers."""

    def __init__(self) -> None:
        super().__init__()
        self.books: dict[str, dict[str, dict[Decimal, Decimal]]] = {
            symbol: {"b": {}, "s": {}} for symbol in ("tslax_usd", "usdt_usd")
        }
        self.followers: dict[str, set[web.WebSocketResponse]] = {symbol: set() for symbol in self.books}
        self.numbers = dict.fromkeys(self.books, 100)
        self.counted: list[str] = []
        """Answers to greetings."""

    def routes(self, app: web.Application) -> None:
        """The websocket and a book."""
        app.router.add_get("/talk", self.socket)
        app.router.add_get("/book/{symbol}", self._book)

    async def greet(self, socket: web.WebSocketResponse) -> None:
        """The first count."""
        await socket.send_str('["count",41]')

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """`follow SYMBOL`, or the answer to a count."""
        word, _, rest = text.partition(" ")
        if word == "count":
            self.counted.append(rest)
            if rest != "42":
                await socket.close()
            return
        if rest not in self.books:
            await socket.send_str(json.dumps(["unknown", rest]))
            return
        self.followers[rest].add(socket)
        levels = [
            [side, _comma(p), int(q * 10**8)] for side, found in self.books[rest].items() for p, q in found.items()
        ]
        before = self.numbers[rest] - len(levels)
        await socket.send_str(json.dumps(["whole", rest, before, levels]))

    async def book(self, symbol: str, changes: Sequence[tuple[str, str, str]]) -> None:
        """Changes of (side, price, size); size 0 removes."""
        for side, price, size in changes:
            found = self.books[symbol][side]
            found[Decimal(price)] = Decimal(size)
            if not Decimal(size):
                del found[Decimal(price)]
        before, self.numbers[symbol] = self.numbers[symbol], self.numbers[symbol] + len(changes)
        levels = [[side, _comma(Decimal(p)), int(Decimal(q) * 10**8)] for side, p, q in changes]
        for socket in list(self.followers[symbol]):
            with suppress(ConnectionError):
                await socket.send_str(json.dumps(["change", symbol, before, levels]))

    async def _book(self, request: web.Request) -> web.Response:
        sides: Any = self.books.get(request.match_info["symbol"])
        if not sides or not (sides["b"] and sides["s"]):
            return web.json_response(None)
        return web.json_response([_comma(max(sides["b"])), _comma(min(sides["s"]))])


def _comma(price: Decimal) -> str:
    """A price as the venue writes it."""
    return str(price).replace(".", ",")
