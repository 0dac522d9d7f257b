"""Sees every state that ccxt makes of a venue's frames, in the moment in which it is made, and counts them all.

ccxt hands a book to the task that awaits it, and frames that arrive before the task wakes are merged into one state
(measured: 3,000 frames, 3 wakes). So nobody awaits here: the tap stands where ccxt resolves or rejects
(`client.resolve`, `client.reject`), where it takes a frame (`client.handle_message`) and where it applies one to a
book (`handle_order_book`), and reads the book there and then. What cannot be seen even so is counted as merged: book
frames that ended neither in a state nor in an error.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from connectors.cex.book import read_trade
from connectors.cex.foreseen import UNFORESEEN, refusal
from connectors.cex.quirks import Lane, Quirk
from connectors.cex.sequence import GAP, REPEATED
from connectors.cex.states import States
from connectors.errors import BadMessage
from connectors.events import Kind, Why
from connectors.ports import Sink

RESYNC_AFTER: Final = 3
"""Unreadable states of one instrument in a row after which the book is not believed to mend by itself."""

P = ParamSpec("P")
T = TypeVar("T")


def _ours(hook: Callable[Concatenate[Tap, P], T]) -> Callable[Concatenate[Tap, P], T | None]:
    """A hook that ccxt calls. What is raised in it is a fault of ours, and must not reach ccxt, which takes it for a
    frame that it cannot digest, or for a book to give up; None then.
    """

    @functools.wraps(hook)
    def guarded(tap: Tap, /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return hook(tap, *args, **kwargs)
        except Exception as error:
            tap.fail(error)
            return None

    return guarded


class Tap:
    """What one ccxt instance says, as rows; and whether its connections still live."""

    def __init__(
        self, venue: str, quirk: Quirk, lane: Lane, sink: Sink, targets: Mapping[str, tuple[int, Kind]], states: States
    ) -> None:
        """`targets` gives number and kind of the row for each unified symbol; `states` takes what could be read."""
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
        self.prints = 0
        """Prints that were put into the sink."""
        self.repeated = 0
        """Frames that had been seen before and changed nothing."""
        self.ended = asyncio.Event()
        """Set when this life is over."""
        self.why = ""
        """The word for its end."""
        self.detail = ""
        """What is known of it."""
        self.error: Exception | None = None
        """ccxt's refusal behind it, where there is one."""
        self.fault: Exception | None = None
        """What our own code raised where ccxt called it; whoever runs the feed must be told."""
        self.listed = asyncio.Event()
        """Set when the instance knows its markets."""
        self.heard: set[int] = set()
        """Numbers of the instruments that have a live quote in this life."""
        self.kept = states
        """Where what could be read goes."""
        self.targets = targets
        """Number and kind of the row for each unified symbol."""
        self._venue = venue
        self._quirk = quirk
        self._rule = lane.sequence
        self._sink = sink
        self._bad: dict[str, int] = {}
        self._sequence: dict[str, int] = {}
        self._by_line: dict[int, int] = {}
        self._newest_trade: dict[str, Any] = {}
        self._everything = False
        self._in_book_frame = False
        self._broken_books = 0
        self._no_states = 0

    @property
    def merged(self) -> int:
        """Book frames whose states were never seen by themselves."""
        return max(0, self.book_frames - self.states - self.ignored - self._broken_books - self._no_states)

    def begin(self) -> None:
        """A new life: nothing heard yet, counts go on."""
        self.ended = asyncio.Event()
        self.why = self.detail = ""
        self.error = None
        self.heard.clear()
        self._bad.clear()
        self._sequence.clear()
        self._by_line.clear()
        self.kept.forget()

    def end(self, why: str, detail: str = "") -> None:
        """This life is over; the first reason stands, and no later state is believed."""
        if not self.ended.is_set():
            self.why, self.detail = why, detail
            self.ended.set()

    def fail(self, error: Exception) -> None:
        """A fault of our own code: no later state is believed, and the feed ends with it."""
        self.fault = self.fault or error
        self.end(UNFORESEEN, f"{type(error).__name__}: {error}")

    def silent(self) -> None:
        """Every instrument that was heard is down."""
        self._sink.against(sorted(self.heard), Why.NOT_HEARD)
        self.heard.clear()

    @property
    def answered(self) -> bool:
        """Whether anything at all was heard in this life."""
        return bool(self._by_line)

    def quiet(self) -> bool:
        """Whether some connection brought nothing at all since this was last asked."""
        dead = any(count == 0 for count in self._by_line.values())
        self._by_line = dict.fromkeys(self._by_line, 0)
        return dead

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

            def handle_order_book(self, client: Any, message: Any, *more: Any) -> Any:
                if not tap.follows(message):
                    return None
                states = tap.states + tap.ignored
                done = super().handle_order_book(client, message, *more)
                tap.applied(states)
                return done

            def on_error(self, client: Any, error: Exception) -> None:
                super().on_error(client, error)
                tap.end("disconnected", f"{type(error).__name__}: {error}")

            def on_close(self, client: Any, error: Any) -> None:
                super().on_close(client, error)
                tap.end("disconnected", f"closed: {error}")

        return Watched

    def attach(self, client: Any) -> None:
        """Stands in one client's way of frames, of states and of refusals."""
        handle, resolve, reject = client.handle_message, client.resolve, client.reject
        client.handle_message = lambda message: self.frame(handle, message, id(client))

        def seen(result: Any, message_hash: Any) -> Any:
            self.resolved(result, message_hash)
            return resolve(result, message_hash)

        def refused(error: Any, message_hash: Any = None) -> Any:
            # ccxt tells only who waits for the next state, and nobody does: its checks of ids and snapshots end here.
            # A refusal of everything at once is mostly a closed line, which on_error and on_close tell.
            if message_hash is None:
                self._everything = True
            elif not self._everything:
                self.refuse(error)
            try:
                return reject(error, message_hash)
            finally:
                if message_hash is None:
                    self._everything = False
                    if type(error).__name__ not in ("NetworkError", "RequestTimeout"):
                        self.refuse(error)

        client.resolve, client.reject = seen, refused

    @_ours
    def resolved(self, result: Any, message_hash: Any) -> None:
        """ccxt has made something of a frame: a book, prints or a best bid and ask."""
        if isinstance(result, dict) and "bids" in result and "asks" in result:
            self.state(result)
        elif isinstance(result, list) and str(message_hash).startswith("trade"):
            self.trades(result)
        elif isinstance(result, dict) and "bid" in result and "ask" in result:
            self.quote(result)

    @_ours
    def refuse(self, error: Any) -> None:
        """ccxt gives up a book or a subscription: this life is over."""
        self.error = self.error or (error if isinstance(error, Exception) else None)
        foreseen = not isinstance(error, BaseException) or refusal(error) != UNFORESEEN
        self.end("book_refused" if foreseen else UNFORESEEN, f"{type(error).__name__}: {str(error)[:120]}")

    @_ours
    def frame(self, handle: Callable[[Any], None], message: Any, line: int = 0) -> None:
        """One websocket message. What ccxt cannot digest is counted; raised, it would end ccxt's reader unseen."""
        self.frames += 1
        self._by_line[line] = self._by_line.get(line, 0) + 1
        self._in_book_frame = False
        data = getattr(message, "data", None)
        if isinstance(data, Exception):
            too_large = getattr(data, "code", None) == 1009
            self._sink.reject(self._venue, "frame_too_large" if too_large else "bad_frame", str(data))
        elif isinstance(data, (str, bytes)) and data:
            self._sink.frame(self._venue, data)
            if isinstance(data, str) and data[0].isspace():
                # JSON may begin with whitespace (RFC 8259, 2); ccxt takes what does for a word.
                message = message._replace(data=data.lstrip())
        try:
            handle(message)
        except Exception as error:
            self.broken += 1
            if self._in_book_frame:
                self._broken_books += 1
            reason = refusal(error)
            self._sink.reject(self._venue, reason, f"{type(error).__name__}: {error}")
            if reason == UNFORESEEN or (reason != "not_json" and not self._quirk.self_healing):
                self.end("book_broken")
        finally:
            self._in_book_frame = False

    @_ours
    def decoded(self, message: Any) -> bool:
        """One frame as ccxt decoded it, before ccxt acts on it; False where it is nothing for ccxt."""
        if self._quirk.objects_only and not isinstance(message, dict):
            self._sink.reject(self._venue, "wrong_type", f"a frame that is a {type(message).__name__}")
            return False
        return True

    @_ours
    def follows(self, message: Any) -> bool:
        """A frame that carries a book, before it is applied; False where it must not be."""
        self.book_frames += 1
        self._in_book_frame = True
        rule = self._rule
        if rule is None or rule.at not in message:
            return True
        try:
            verdict = rule.judge(message, self._sequence)
        except BadMessage as error:
            self._no_states += 1
            self._sink.reject(self._venue, "wrong_type", str(error))
            self.end("book_broken")
            return False
        if verdict == GAP:
            self._no_states += 1
            self._sink.reject(self._venue, "sequence_gap", str(message[rule.at])[:120])
            self.end("sequence_gap", "an update is missing")
        elif verdict == REPEATED:
            self._no_states += 1
            self.repeated += 1
        return verdict not in (GAP, REPEATED)

    @_ours
    def applied(self, states_before: int) -> None:
        """A frame was applied; without a new state it was kept by ccxt for later, or seen before."""
        if self.states + self.ignored == states_before:
            self._no_states += 1

    def state(self, book: dict[str, Any]) -> None:
        """One state of a book: a row, or a counted reason."""
        target = self.targets.get(book.get("symbol") or "")
        if target is None or self.ended.is_set():
            self.ignored += 1
            return
        self.states += 1
        if not self._in_book_frame:
            self.book_frames += 1
        number, kind = target
        symbol = book["symbol"]
        reason = self.kept.take(symbol, number, kind, book, self._hear)
        if reason:
            self._unreadable(symbol, number, reason)
            return
        self._bad.pop(symbol, None)
        self.emitted += 1

    def quote(self, ticker: dict[str, Any]) -> None:
        """A best bid and ask without a book, of a class of instruments that has none."""
        size = ticker.get("bidVolume"), ticker.get("askVolume")
        sides = [[ticker.get("bid"), size[0]]], [[ticker.get("ask"), size[1]]]
        self.state({**ticker, "bids": sides[0], "asks": sides[1]})

    def trades(self, cache: list[Any]) -> None:
        """The prints that are new in ccxt's memory of one symbol, oldest first."""
        symbol = str(cache[-1].get("symbol")) if cache and isinstance(cache[-1], dict) else ""
        target = self.targets.get(symbol)
        if target is None or self.ended.is_set():
            return
        newest, fresh = self._newest_trade.get(symbol), []
        for trade in reversed(cache):
            if trade is newest:
                break
            fresh.append(trade)
        self._newest_trade[symbol] = cache[-1]
        for trade in reversed(fresh):
            read = read_trade(trade)
            if isinstance(read, str):
                self._sink.reject(self._venue, read, f"a print of {symbol}")
                continue
            price, size, taker, at = read
            size *= self.kept.unit(symbol)
            self.prints += 1
            self._sink.put(Kind.TRADE, target[0], ts_venue=at, bid=price, ask=price, ask_size=size, extra=taker)

    def _hear(self, number: int) -> None:
        """The first readable state of an instrument in this life."""
        if number not in self.heard:
            self.heard.add(number)
            self._sink.cleared([number], Why.NOT_HEARD)

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
