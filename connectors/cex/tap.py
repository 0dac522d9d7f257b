"""Sees every state that ccxt makes of a venue's frames, in the moment in which it is made, and counts them all.

ccxt hands a book to the task that awaits it, and frames that arrive before the task wakes are merged into one state
(measured: 3,000 frames, 3 wakes). So nobody awaits here: the tap stands where ccxt resolves a state (`client.resolve`)
and where it takes a frame (`client.handle_message`), and reads the book there and then. What cannot be seen even so is
counted as merged: book frames that ended neither in a state nor in an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.cex.book import read_book, venue_time
from connectors.cex.quirks import Quirk
from connectors.events import Kind, Why
from connectors.ports import Sink

RESYNC_AFTER: Final = 3
"""Unreadable states of one instrument in a row after which the book is not believed to mend by itself."""


class Tap:
    """What one ccxt instance says, as rows; and whether its connection still lives."""

    def __init__(self, venue: str, quirk: Quirk, sink: Sink, targets: Mapping[str, tuple[int, Kind]]) -> None:
        """`targets` gives number and kind of the row for each unified symbol."""
        self.frames = 0
        """Websocket messages of any sort, heartbeats included."""
        self.book_frames = 0
        """Frames that carried a book."""
        self.states = 0
        """Books that ccxt resolved."""
        self.emitted = 0
        """States that were put into the sink."""
        self.rejected = 0
        """States that could not be read."""
        self.broken = 0
        """Frames over which ccxt broke."""
        self.ignored = 0
        """States of symbols that were not asked for, or after the end of a life."""
        self.ended = asyncio.Event()
        """Set when this life is over."""
        self.why = ""
        """The word for its end."""
        self.heard: set[int] = set()
        """Numbers of the instruments that have a live quote in this life."""
        self._venue = venue
        self._quirk = quirk
        self._sink = sink
        self._targets = targets
        self._bad: dict[str, int] = {}
        self._in_book_frame = False
        self._broken_books = 0

    @property
    def merged(self) -> int:
        """Book frames whose states were never seen by themselves."""
        return max(0, self.book_frames - self.states - self.ignored - self._broken_books)

    def begin(self) -> None:
        """A new life: nothing heard yet, counts go on."""
        self.ended = asyncio.Event()
        self.why = ""
        self.heard.clear()
        self._bad.clear()

    def end(self, why: str) -> None:
        """This life is over; the first reason stands, and no later state is believed."""
        if not self.ended.is_set():
            self.why = why
            self.ended.set()

    def silent(self) -> None:
        """Every instrument that was heard is down."""
        self._sink.against(sorted(self.heard), Why.NOT_HEARD)
        self.heard.clear()

    def watch(self, exchange: Any) -> Any:
        """A subclass of a ccxt.pro exchange whose clients are tapped."""
        tap = self

        class Watched(exchange):  # type: ignore[misc]  # ccxt has no types
            """The exchange as it is, with its frames and states seen."""

            def client(self, url: str) -> Any:
                known = url in (self.clients or {})
                client = super().client(url)
                if not known:
                    tap.attach(client)
                return client

            def handle_message(self, client: Any, message: Any) -> None:
                if tap.decoded(message):
                    super().handle_message(client, message)

            def on_error(self, client: Any, error: Exception) -> None:
                super().on_error(client, error)
                tap.end("disconnected")

            def on_close(self, client: Any, error: Any) -> None:
                super().on_close(client, error)
                tap.end("disconnected")

        return Watched

    def attach(self, client: Any) -> None:
        """Stands in one client's way of frames and of states."""
        handle, resolve = client.handle_message, client.resolve
        client.handle_message = lambda message: self.frame(handle, message)

        def seen(result: Any, message_hash: Any) -> Any:
            if isinstance(result, dict) and "bids" in result and "asks" in result:
                self.state(result)
            return resolve(result, message_hash)

        client.resolve = seen

    def frame(self, handle: Callable[[Any], None], message: Any) -> None:
        """One websocket message. What ccxt cannot digest is counted; raised, it would end ccxt's reader unseen."""
        self.frames += 1
        self._in_book_frame = False
        data = getattr(message, "data", None)
        if isinstance(data, Exception):
            too_large = getattr(data, "code", None) == 1009
            self._sink.reject(self._venue, "frame_too_large" if too_large else "bad_frame", str(data))
        try:
            handle(message)
        except Exception as error:
            self.broken += 1
            if self._in_book_frame:
                self._broken_books += 1
            reason = "not_json" if isinstance(error, ValueError) and not self._in_book_frame else "wrong_type"
            self._sink.reject(self._venue, reason, f"{type(error).__name__}: {error}")
            if reason != "not_json" and not self._quirk.self_healing:
                self.end("book_broken")

    def decoded(self, message: Any) -> bool:
        """One frame as ccxt decoded it, before ccxt acts on it; False where it is nothing for ccxt."""
        key, prefix = self._quirk.book_frame
        if not prefix:
            return True
        if not isinstance(message, dict):
            # ccxt would let it pass without a word.
            self._sink.reject(self._venue, "wrong_type", f"a frame that is a {type(message).__name__}")
            return False
        if str(message.get(key, "")).startswith(prefix):
            self.book_frames += 1
            self._in_book_frame = True
        return True

    def state(self, book: dict[str, Any]) -> None:
        """One state of a book: a row, or a counted reason."""
        target = self._targets.get(book.get("symbol") or "")
        if target is None or self.ended.is_set():
            self.ignored += 1
            return
        self.states += 1
        if not self._quirk.book_frame[1]:
            self.book_frames += 1
        number, kind = target
        best = read_book(book)
        if isinstance(best, str):
            self._unreadable(book["symbol"], number, best)
            return
        try:
            ts_venue = venue_time(book)
        except (TypeError, ValueError, OverflowError):
            self._unreadable(book["symbol"], number, "wrong_type")
            return
        if number not in self.heard:
            self.heard.add(number)
            self._sink.cleared([number], Why.NOT_HEARD)
        bid, ask, bid_size, ask_size = best
        self._bad.pop(book["symbol"], None)
        self.emitted += 1
        self._sink.put(kind, number, ts_venue=ts_venue, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size)

    def _unreadable(self, symbol: str, number: int, reason: str) -> None:
        """Counts a state that is no quote; too many of them in a row need a new snapshot."""
        self.rejected += 1
        self._sink.reject(self._venue, reason, symbol)
        if reason == "empty_side":
            if number in self.heard:
                self.heard.discard(number)
                self._sink.against([number], Why.NOT_HEARD)
            return
        self._bad[symbol] = self._bad.get(symbol, 0) + 1
        if self._bad[symbol] >= RESYNC_AFTER and not self._quirk.self_healing:
            self.end("book_unreadable")
