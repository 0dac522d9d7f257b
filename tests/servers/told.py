"""A Told that remembers, for tests of what a Talk makes of messages."""

from __future__ import annotations

from collections import Counter
from typing import Any

from connectors.cex.stream import Stream


class Remembering:
    """Everything that a Talk told."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.details: dict[str, str] = {}
        self.books: list[tuple[str, int, tuple[Any, ...], tuple[Any, ...]]] = []
        """(symbol, ns, best bid, best ask) of each state."""
        self.statuses: list[tuple[str, bool, str]] = []
        self.venue: list[tuple[bool, str]] = []
        self.unknown: list[str] = []
        self.pongs: list[int] = []

    def book(self, stream: Stream, ts_venue: int) -> None:
        """Remembers a state by its best levels."""
        bids, asks = stream.book.bids.levels, stream.book.asks.levels
        self.books.append((stream.symbol, ts_venue, (bids or [()])[0], (asks or [()])[0]))

    def lost(self, stream: Stream, why: str, detail: str = "") -> None:
        """As the listener does: nothing is applied before a snapshot."""
        stream.synced = False
        self.refuse(why, detail)

    def refuse(self, why: str, detail: str = "") -> None:
        """Remembers a reason."""
        self.refused[why] += 1
        self.details[why] = detail

    def traded(self, stream: Stream, is_open: bool, status: str) -> None:
        """Remembers a status."""
        self.statuses.append((stream.symbol, is_open, status))

    def venue_open(self, is_open: bool, status: str) -> None:
        """Remembers the venue's state."""
        self.venue.append((is_open, status))

    def unlisted(self, stream: Stream, detail: str) -> None:
        """Remembers a symbol."""
        self.unknown.append(stream.symbol)

    def pong(self, ns: int) -> None:
        """Remembers a time."""
        self.pongs.append(ns)
