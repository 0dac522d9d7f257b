"""The newest state of each book of one ccxt instance: quotes out of it at once, levels now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.cex.book import Best, read_book, read_levels, venue_time
from connectors.cex.compare import Window
from connectors.events import Kind
from connectors.ports import Level, Sink

BACKWARDS_NS: Final = 10_000_000_000
"""A whole book that is older than the one before it by less than this came out of order; by more, the venue has set
its clock."""

Levels = tuple[tuple[Level, ...], tuple[Level, ...]]


class States:
    """Takes books as ccxt resolves them; remembers the live ones for their levels and for comparison."""

    def __init__(
        self, sink: Sink, monotonic: Callable[[], float], *, depth_every_s: float, depth_levels: int, in_order: bool
    ) -> None:
        """At most one DEPTH row per token or perp in `depth_every_s`; `in_order` refuses books that go back in time."""
        self.best: dict[int, Best] = {}
        """The newest readable state of each instrument, in units."""
        self.units: Mapping[str, float] = {}
        """Units per contract by symbol; one where a symbol is absent."""
        self._sink = sink
        self._monotonic = monotonic
        self._every_s, self._count = depth_every_s, depth_levels
        self._in_order = in_order
        self._books: dict[int, tuple[str, Any]] = {}
        self._said: dict[int, Levels] = {}
        self._due: dict[int, float] = {}
        self._newest: dict[int, int] = {}
        self._windows: dict[int, Window] = {}

    def forget(self) -> None:
        """A new life: no state of the last one counts."""
        for memory in (self.best, self._books, self._said, self._due, self._newest):
            memory.clear()

    def unit(self, symbol: str) -> float:
        """Units per contract of a symbol."""
        return self.units.get(symbol, 1.0)

    def take(self, symbol: str, number: int, kind: Kind, book: Mapping[str, Any], hear: Callable[[int], None]) -> str:
        """Puts one state as a row; `hear` is told first. The reason where it is no quote, else empty."""
        best = read_book(book)
        if isinstance(best, str):
            self.best.pop(number, None)
            self._books.pop(number, None)
            return best
        try:
            ts_venue = venue_time(book)
        except (TypeError, ValueError, OverflowError):
            return "wrong_type"
        if self._in_order and ts_venue:
            if 0 < self._newest.get(number, 0) - ts_venue < BACKWARDS_NS:
                return "out_of_order"
            self._newest[number] = ts_venue
        hear(number)
        bid, ask, bid_size, ask_size = best
        unit = self.unit(symbol)
        if unit != 1.0:
            bid_size, ask_size = bid_size * unit, ask_size * unit
        self.best[number] = (bid, ask, bid_size, ask_size)
        if number in self._windows:
            self._windows[number].saw(bid, ask)
        self._sink.put(kind, number, ts_venue=ts_venue, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size)
        if kind is Kind.QUOTE and self._every_s != float("inf"):
            self._books[number] = (symbol, book)
            if self._monotonic() >= self._due.get(number, float("-inf")):
                self._say(number)
        return ""

    def flush(self) -> None:
        """Says the levels of books that changed since they were last said, and whose time has come."""
        now_s = self._monotonic()
        for number in list(self._books):
            if now_s >= self._due.get(number, float("-inf")):
                self._say(number)

    def open(self, number: int) -> Window:
        """What the best prices of an instrument have been from now on. Raises KeyError where it has no book."""
        self._windows[number] = Window.at(*self.best[number][:2])
        return self._windows[number]

    def close(self, number: int) -> None:
        """Nobody looks any more."""
        self._windows.pop(number, None)

    def _say(self, number: int) -> None:
        """One DEPTH row, if the levels are not those of the last one."""
        symbol, book = self._books[number]
        unit = self.unit(symbol)
        bids, asks = (read_levels(book[side], self._count, unit) for side in ("bids", "asks"))
        if not (bids and asks and bids[0][0] < asks[0][0]) or self._said.get(number) == (bids, asks):
            return
        self._said[number] = (bids, asks)
        self._due[number] = self._monotonic() + self._every_s
        try:
            ts_venue = venue_time(book)
        except (TypeError, ValueError, OverflowError):
            return
        self._sink.depth(number, bids, asks, ts_venue=ts_venue)
