"""Listens to one websocket of a venue: which books may be believed, what becomes a row, how a broken one is begun anew.

A book that cannot be believed is asked for anew on the same connection; one that will not mend ends the connection. In
between nothing of it is used: NOT_HEARD stands against the instrument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from connectors.cex.stream import Stream, Talk
from connectors.ends import Ends
from connectors.errors import BadMessage, ConnectorError, SymbolUnknown, VenueUnreachable
from connectors.events import Why
from connectors.offset import offset
from connectors.ports import FeedSetup, Sink
from connectors.socket import Line, Socket

UNREADABLE: Final = 3
"""States in a row that are no quote, after which a book is begun anew."""

RESYNCS: Final = 3
"""Snapshots asked for anew on one connection, after which the connection is."""

MENDED: Final = 1_000
"""Good states that make up for one of them."""

PING_S: Final = 15.0
"""How often a venue is pinged in its own words; Bybit recommends every 20 s."""

_INF: Final = float("inf")


class Listener:
    """The lives of one websocket, and what they tell the sink. It is the Told of its Talk."""

    def __init__(
        self,
        setup: FeedSetup,
        line: Line,
        talk: Talk,
        streams: Sequence[Stream],
        sink: Sink,
        woken: Callable[[], None],
    ) -> None:
        """`woken` is called when a life has begun, and when a book that the venue's snapshot disagreed with is back."""
        self.streams = tuple(streams)
        self.socket = Socket(line, rng=setup.rng, sleep=setup.sleep, vitals=setup.vitals)
        self._setup = setup
        self._venue = setup.venue
        self._talk = talk
        self._woken = woken
        self._clock, self._monotonic = setup.clock, setup.monotonic
        self._wants_depth = setup.depth_every_s < _INF
        self._sink = sink
        # Looked up once: these are called for every frame.
        self._frame, self._put, self._read = sink.frame, sink.put, talk.read
        self._say: list[str] = []
        self._ending: ConnectorError | None = None
        self._pinged_ns = 0
        self._closed = False
        self._ends = Ends(sink, setup.venue, [s.number for s in self.streams])
        self._timers: dict[Stream | str, asyncio.TimerHandle] = {}

    async def run(self) -> ConnectorError:
        """Listens until an error comes that does not say RETRY, and gives that."""
        try:
            await self.socket.live(self.hear, self._ended, self._up)
        except ConnectorError as error:
            return error
        finally:
            for timer in self._timers.values():
                timer.cancel()
        raise AssertionError("a socket lives until it is cancelled")

    def hear(self, data: str | bytes) -> Sequence[str]:
        """Takes one message; gives the texts to say in return. Raises the ConnectorError that ends this life."""
        self._frame(self._venue, data)
        self._read(data, self)
        if self._ending is not None:
            ending, self._ending = self._ending, None
            raise ending
        if not self._say:
            return ()
        say, self._say = self._say, []
        return say

    def end(self, error: ConnectorError) -> None:
        """Ends this life."""
        self._ending = error
        self.socket.end(error)

    def book(self, stream: Stream, ts_venue: int) -> None:
        """One state of a book: a row, or a counted reason."""
        bids, asks = stream.bids, stream.asks
        if not (bids and asks):
            self._no_quote(stream, "empty_side")
            return
        bid, bid_size = bids[0]
        ask, ask_size = asks[0]
        if not bid < ask:
            self._no_quote(stream, "crossed")
            return
        if not stream.heard:
            self._begun(stream)
        stream.good += 1
        if stream.window is not None:
            stream.window.saw(bid, ask)
        self._put(stream.kind, stream.number, ts_venue=ts_venue, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size)
        if self._wants_depth:
            self._depth(stream, ts_venue)

    def lost(self, stream: Stream, why: str, detail: str = "") -> None:
        """Counts why, and asks for a snapshot; where too many were needed, for a new connection."""
        self.refuse(why, f"{stream.instrument.symbol} {detail}".rstrip())
        stream.synced = False
        self._silent((stream,))
        texts = self._talk.anew(stream)
        if not texts:
            return
        if stream.good >= MENDED:
            stream.resyncs = 0
        stream.good = 0
        stream.resyncs += 1
        if stream.resyncs > RESYNCS:
            self.end(BadMessage(f"the book of {stream.instrument.symbol} does not mend", where=self._venue))
        else:
            self._say.extend(texts)

    def refuse(self, why: str, detail: str = "") -> None:
        """Counts a message that says nothing."""
        self._sink.reject(self._venue, why, detail)

    def traded(self, stream: Stream, is_open: bool, status: str) -> None:
        """HALTED stands against an instrument as long as the venue's status is not open."""
        if is_open == stream.halted:
            stream.halted = not is_open
            (self._sink.cleared if is_open else self._sink.against)([stream.number], Why.HALTED)

    def venue_open(self, is_open: bool, status: str) -> None:
        """MAINTENANCE stands against all instruments as long as the venue is not open."""
        if is_open == self._closed:
            self._closed = not is_open
            told = self._sink.cleared if is_open else self._sink.against
            told([s.number for s in self.streams], Why.MAINTENANCE)

    def unlisted(self, stream: Stream, detail: str) -> None:
        """Says it once in a life. Where no instrument is left, this venue stops."""
        self.refuse("symbol_unknown", f"{stream.instrument.symbol}: {detail}")
        stream.unlisted = True
        self._sink.against([stream.number], Why.NOT_LISTED)
        if all(s.unlisted for s in self.streams):
            names = ", ".join(s.instrument.symbol for s in self.streams)
            self.end(SymbolUnknown(f"none of {names} is listed", where=self._venue))

    def say(self, text: str) -> None:
        """Something to say in return, once the message is read."""
        self._say.append(text)

    def pong(self, ns: int) -> None:
        """The venue's clock against ours, by the middle of question and answer."""
        found = offset(self._pinged_ns, ns, self._clock(), grain_ns=1_000)
        if found is not None:
            self._sink.clock(self._venue, *found)
        self._pinged_ns = 0

    def disagrees(self, stream: Stream, detail: str) -> None:
        """The stream's book is not the venue's: it is counted, and the connection is made anew."""
        stream.disagrees = True
        self.refuse("book_disagrees", f"{stream.instrument.symbol} {detail}")
        self._sink.against([stream.number], Why.DISAGREES)
        self.end(BadMessage(f"the book of {stream.instrument.symbol} is not the venue's", where=self._venue))

    def agrees(self, stream: Stream) -> None:
        """The stream's book is the venue's."""
        if stream.disagrees:
            stream.disagrees = False
            self._sink.cleared([stream.number], Why.DISAGREES)

    def _up(self) -> None:
        """A life has begun: every book must come in the time that a first message has."""
        self._ends.over()
        if self._closed:  # until the venue says otherwise in this life; an end may have taken that reason with it
            self._sink.against([s.number for s in self.streams], Why.MAINTENANCE)
        self._after("late", self._setup.first_message_s, self._late)
        self._ping()
        self._woken()

    def _ping(self) -> None:
        """Lets the venue know that we are there, and asks its time where the answer tells it."""
        text = self._talk.ping()
        if text:
            self._pinged_ns = self._clock()
            self.socket.say(text)
            self._after("ping", PING_S, self._ping)

    def _after(self, name: Stream | str, seconds: float, then: Callable[..., None], *args: Stream) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, then, *args)

    def _late(self) -> None:
        """The books that have not come by now are counted and asked for again; where none came, the life is no good."""
        late = [s for s in self.streams if not (s.heard or s.unlisted)]
        for stream in late:
            self.refuse("no_first_message", stream.instrument.symbol)
            if not stream.synced:
                self._say.extend(self._talk.anew(stream))
        if late and len(late) == sum(not s.unlisted for s in self.streams):
            self.end(VenueUnreachable("no book in time after subscribing", where=self._venue))
        elif late:
            self._after("late", self._setup.first_message_s, self._late)

    def _begun(self, stream: Stream) -> None:
        """The first quote of a life or of a new snapshot."""
        stream.heard = True
        stream.bad = 0
        if stream.unlisted:
            stream.unlisted = False
            self._sink.cleared([stream.number], Why.NOT_LISTED)
        self._sink.cleared([stream.number], Why.NOT_HEARD)
        if stream.disagrees:
            self._woken()

    def _no_quote(self, stream: Stream, why: str) -> None:
        """A state that is no quote: what was heard before it is no longer true."""
        self.refuse(why, stream.instrument.symbol)
        self._silent((stream,))
        stream.bad += 1
        if why == "crossed" and stream.bad >= UNREADABLE:
            stream.bad = 0
            self.lost(stream, "book_unreadable")

    def _silent(self, streams: Iterable[Stream]) -> None:
        down = [s.number for s in streams if s.heard]
        for stream in streams:
            stream.heard = False
            stream.window = None
        if down:
            self._sink.against(down, Why.NOT_HEARD)

    def _ended(self, error: ConnectorError) -> None:
        """A life is over: all books are empty until the next one."""
        self._ends.ended(error)
        self._silent(self.streams)
        self._say.clear()
        self._ending = None
        self._pinged_ns = 0
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for stream in self.streams:
            stream.synced = False
            stream.book.clear()
            stream.bad = stream.good = stream.resyncs = 0

    def _depth(self, stream: Stream, ts_venue: int) -> None:
        """A DEPTH row where the top levels have changed, now or as soon as it is due."""
        if stream in self._timers:
            return
        wait_s = stream.depth_at + self._setup.depth_every_s - self._monotonic()
        if wait_s > 0.0:
            self._after(stream, wait_s, self._depth_due, stream)
            return
        count = self._setup.depth_levels
        top = (stream.book.bids.levels[:count], stream.book.asks.levels[:count])
        if top != stream.shown:
            stream.shown = top
            stream.depth_at = self._monotonic()
            self._sink.depth(stream.number, *top, ts_venue=ts_venue)

    def _depth_due(self, stream: Stream) -> None:
        """What was held back is said with the venue's time left open: the levels may be older than now."""
        del self._timers[stream]
        if stream.heard:
            self._depth(stream, 0)
