"""One instrument as a native lane hears it, and the language between a venue's messages and the lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from connectors.cex.compare import Window
from connectors.cex.ladder import Ladder
from connectors.events import PRICE_OF
from connectors.instruments import Instrument
from connectors.ports import Level


class Stream:
    """The book of one instrument and how far it can be believed."""

    __slots__ = (
        "asks", "bad", "bids", "book", "depth_at", "disagrees", "good", "halted", "heard", "instrument", "kind",
        "number", "resyncs", "shown", "stamp", "symbol", "synced", "unlisted", "update", "window",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, number: int, symbol: str, book: Ladder) -> None:
        """`symbol` is the venue's own, as its messages spell it; `book` is empty."""
        self.instrument, self.number, self.symbol, self.book = instrument, number, symbol, book
        self.bids, self.asks = book.bids.levels, book.asks.levels
        """The book's own lists of levels, best first."""
        self.kind = PRICE_OF[instrument.role]
        self.synced = False
        """Whether the book stands on a snapshot; while it does not, changes are not applied."""
        self.update = 0
        """The venue's number of the last message that was applied, where it numbers them."""
        self.stamp = 0
        """The venue's time of it, in the venue's own unit."""
        self.heard = False
        """Whether its last state was a quote."""
        self.unlisted = self.halted = self.disagrees = False
        """What stands against it besides."""
        self.bad = 0
        """States in a row that were no quote."""
        self.resyncs = 0
        """Snapshots that had to be asked for anew in this life, and that good states have not made up for."""
        self.good = 0
        """States since the last of these."""
        self.shown: tuple[Sequence[Level], Sequence[Level]] | None = None
        """The levels of the last DEPTH row."""
        self.depth_at = float("-inf")
        """When that was, monotonic seconds."""
        self.window: Window | None = None
        """Set while a snapshot is on its way."""


class Told(Protocol):
    """What a Talk makes of messages."""

    def book(self, stream: Stream, ts_venue: int) -> None:
        """The book of a stream is now this, by the venue's time `ts_venue` (ns UTC, 0 where it says none)."""

    def lost(self, stream: Stream, why: str, detail: str = "") -> None:
        """A stream's book cannot be believed any more, and the word for it is counted; a snapshot must come first."""

    def refuse(self, why: str, detail: str = "") -> None:
        """A message, or a part of one, that says nothing; counted by `why`."""

    def traded(self, stream: Stream, is_open: bool, status: str) -> None:
        """The venue's trading status of an instrument."""

    def venue_open(self, is_open: bool, status: str) -> None:
        """The state of the whole venue."""

    def unlisted(self, stream: Stream, detail: str) -> None:
        """The venue does not know the symbol."""

    def say(self, text: str) -> None:
        """Something to say in return, now."""

    def pong(self, ns: int) -> None:
        """The answer to a ping; the venue's time in the middle of answering was `ns` UTC."""


class Talk(Protocol):
    """How one websocket of a venue is spoken: pure, no clock and no net."""

    def hello(self) -> tuple[str, ...]:
        """Texts that subscribe to everything, after each connect."""

    def anew(self, stream: Stream) -> tuple[str, ...]:
        """Texts after which the venue sends a snapshot of this stream; none where the next message is one anyway."""

    def ping(self) -> str:
        """A text that the venue answers; empty where it has none."""

    def read(self, data: str | bytes, told: Told) -> None:
        """Takes one message; raises nothing, whatever it is."""
