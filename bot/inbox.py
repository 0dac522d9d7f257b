"""The door of the house: takes rows from every feed, judges whether they can be true, hands them out in order.

A feed calls `put` and never waits; the engine asks for what has arrived since its last look. A newer quote overtakes an
unread older one of the same instrument: both are handed out (the recorder keeps every row), the older one flagged
SUPERSEDED. Memory is bounded by `capacity`: when it is reached, overtaken rows are let go first and counted; fills and
conversions are always taken.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from connectors.events import NAN, NEVER, NS, ROW, Flag, Kind, Rows, Why
from connectors.instruments import Universe
from connectors.ports import Book, Level, Levels
from connectors.provenance import late_s
from connectors.standing import Standing, State

FUTURE_NS: Final = 5 * NS
"""A venue's clock may be ahead of ours by this much."""

ANCIENT_NS: Final = 60 * NS
"""A quote that is older than this by the venue's own time is no quote."""

REFERENCE_ANCIENT_NS: Final = 900 * NS
"""A share's price that is older than this by its source's own time, as a poll gives it before the open, is no news: it
would count as fresh, since errors grow from the time of receipt. A source that says that it is late may be later by
that (connectors/provenance.py)."""

CAPACITY: Final = 65_536
"""Unread rows kept at most, about 20 MB; a second of the fastest feed that we know is a tenth of it."""

HELD_UP_S: Final = 1.0
"""Without a beat for so long this process was held up: what it reads next has waited in the line meanwhile."""

PUNCTUAL_S: Final = 0.1
"""A beat that is no later than this finds the loop with nothing left to do: what had waited has been read."""

_DETAIL: Final = 200
"""Characters of a rejected message that are remembered, one message for each venue and reason."""

_PASS, _BOOK, _PRINT, _NEVER_DROPPED, _OURS = range(5)
_RULES: Final = tuple(
    {
        Kind.QUOTE: _BOOK,
        Kind.DEPTH: _BOOK,
        Kind.POOL: _BOOK,
        Kind.REFERENCE: _BOOK,
        Kind.FX: _BOOK,
        Kind.TRADE: _PRINT,
        Kind.FILL: _NEVER_DROPPED,
        Kind.CONVERSION: _NEVER_DROPPED,
        Kind.HEALTH: _OURS,
        Kind.TICK: _OURS,
    }.get(kind, _PASS)
    for kind in Kind
)
_AGES: Final = tuple(REFERENCE_ANCIENT_NS if kind is Kind.REFERENCE else ANCIENT_NS for kind in Kind)
_REFERENCE: Final = int(Kind.REFERENCE)
_INF: Final = float("inf")
_HELD_UP_NS: Final = round(HELD_UP_S * NS)
_ONE_PRICE: Final = int(Flag.ONE_PRICE)
_RAISED: Final = int(Flag.RAISED)
_SUPERSEDED: Final = int(Flag.SUPERSEDED)
_SAME_PRINT: Final = int(Flag.SAME_PRINT)

_Record = tuple[int, int, int, int, int, float, float, float, float, float]


class Inbox:
    """A Sink for the feeds and an async iterator of blocks for the engine; one loop, no threads."""

    def __init__(
        self, universe: Universe, *, clock: Callable[[], int], timer_s: float = 1.0, capacity: int = CAPACITY
    ) -> None:
        """`clock` gives ns UTC; after `timer_s` without a row a TICK row moves time."""
        self.rejected: Counter[tuple[str, str]] = Counter()
        """Messages and rows that went no further, by (venue, reason)."""
        self.details: dict[tuple[str, str], str] = {}
        """The last message behind each of these counts, cut short."""
        self.taken = 0
        """Rows that passed the door."""
        self.heard = [0] * len(universe)
        """The same by instrument, without those that we made ourselves."""
        self.superseded = 0
        """Rows that a newer one overtook before anybody looked."""
        self.let_go = 0
        """Overtaken rows that were dropped because the inbox was full: on no tape."""
        self.let_go_of: Counter[int] = Counter()
        """The same by instrument."""
        self.raised = 0
        """Rows whose receive time was raised to the last one, because the clock went back."""
        self.ticks = 0
        """TICK rows made in silence."""
        self.taps: list[Callable[[Rows], None]] = []
        """Called with every block that is handed out, before the engine sees it (the recorder stands here)."""
        self.keep_frame: Callable[[str, str | bytes], None] | None = None
        """Called with every raw message and its venue, where somebody keeps them."""
        self.standing = Standing()
        """What speaks against each instrument's stream."""
        self.origins: dict[int, float] = {}
        """By share instrument: where its last quote came from, as connectors/provenance.py packs it."""
        self.offsets: dict[str, tuple[float, float]] = {}
        """By venue: how far its clock is ahead of ours, and the error of that, in seconds."""
        self.levels: dict[int, Levels] = {}
        """What the DEPTH rows of this block and the one before it hold, by their `extra`."""
        self.behind_s = 0.0
        """How far the clock was behind the last row when it was last looked at; rows never run backwards."""
        self.held_up = False
        """Whether what is read now may be old, because this process was held up."""
        self._beat: int = NEVER
        self._punctual = 0
        self._clock = clock
        self._timer_s = timer_s
        self._capacity = capacity
        self._venues = tuple(i.venue for i in universe)
        self._count = len(universe)
        self._rows: list[_Record] = []
        self._unread = [-1] * self._count
        self._told: list[_Record | None] = [None] * self._count
        """The newest row of each instrument's book."""
        self._overtaken: list[int] = []
        self._last = 0
        self._awake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._silent_since = 0.0
        self._closed = False
        self._ahead_ns: list[int] = [0] * self._count
        self._depths = 0
        self._depths_before = 0

    def __len__(self) -> int:
        """How many rows wait to be handed out."""
        return len(self._rows)

    def put(
        self,
        kind: Kind,
        instrument: int,
        *,
        ts_venue: int = 0,
        bid: float = NAN,
        ask: float = NAN,
        bid_size: float = NAN,
        ask_size: float = NAN,
        extra: float = NAN,
        flags: int = 0,
    ) -> None:
        """Takes one row and stamps its receive time; an implausible one is counted by reason and goes no further."""
        now = self._clock()
        try:
            if not (instrument.__class__ is ts_venue.__class__ is flags.__class__ is int):
                instrument, ts_venue, flags = _whole(instrument), _whole(ts_venue), _whole(flags)
            if not 0 <= instrument < self._count:
                self._refuse(instrument, "unknown_instrument", instrument)
                return
            rule = _RULES[kind]
            if not (
                bid.__class__ is ask.__class__ is bid_size.__class__ is ask_size.__class__ is extra.__class__ is float
            ):
                bid, ask, extra = _real(bid), _real(ask), _real(extra)
                bid_size, ask_size = _real(bid_size), _real(ask_size)
            if ts_venue and not now - _AGES[kind] <= ts_venue - self._ahead_ns[instrument] <= now + FUTURE_NS:
                late_ns = round(late_s(extra) * NS) if kind == _REFERENCE and ts_venue <= now else 0
                if not (late_ns and now - _AGES[kind] - late_ns <= ts_venue - self._ahead_ns[instrument]):
                    self._refuse(instrument, "future" if ts_venue > now else "ancient", ts_venue)
                    return
            if rule == _BOOK:
                if not (0.0 < bid < ask < _INF or (flags & _ONE_PRICE and 0.0 < bid == ask < _INF)):
                    self._refuse(instrument, _implausible(bid, ask), (bid, ask))
                    return
                if bid_size < 0.0 or ask_size < 0.0:
                    self._refuse(instrument, "negative_size", (bid_size, ask_size))
                    return
                if bid_size == _INF or ask_size == _INF:
                    self._refuse(instrument, "not_finite", (bid_size, ask_size))
                    return
            elif rule == _PRINT and not 0.0 < bid == ask < _INF:
                self._refuse(instrument, _implausible(bid, ask), (bid, ask))
                return
        except (TypeError, ValueError, OverflowError, IndexError):
            self._refuse(instrument, "wrong_type", (kind, instrument, bid, ask, bid_size, ask_size, ts_venue))
            return
        rows = self._rows
        if len(rows) >= self._capacity and self._full() and rule != _NEVER_DROPPED:
            self._refuse(instrument, "inbox_full", len(self._rows))
            return
        rows = self._rows
        if now - self._beat > _HELD_UP_NS:
            now = self._hold(now)
        if now < self._last:
            now = self._last
            flags |= _RAISED
            self.raised += 1
        else:
            self._last = now
        row = (ts_venue, now, instrument, kind, flags, bid, ask, bid_size, ask_size, extra)
        if rule == _BOOK and not flags & _SAME_PRINT:
            if kind == _REFERENCE:
                self.origins[instrument] = extra
            before = self._unread[instrument]
            if before >= 0:
                self._overtaken.append(before)
            self._unread[instrument] = len(rows)
            self._told[instrument] = row
        rows.append(row)
        self.taken += 1
        if rule != _OURS:
            self.heard[instrument] += 1
        self._awake.set()

    def depth(self, instrument: int, bids: Sequence[Level], asks: Sequence[Level], *, ts_venue: int = 0) -> None:
        """Takes the top levels of a book as one DEPTH row; its `extra` is the key of `levels`.

        Where the last quote told the same best prices and sizes, and the venue's time is the same or not known, the row
        is no print of its own (SAME_PRINT): it must not make a quote young, nor give back what was taken of it.
        """
        try:
            levels = Book(_side(bids), _side(asks))
        except (TypeError, ValueError, OverflowError):
            self._refuse(instrument, "wrong_type", "levels of another shape")
            return
        if trouble := _trouble(levels):
            self._refuse(instrument, trouble, (levels.bids[:2], levels.asks[:2]))
            return
        before = self.taken
        (bid, bid_size), (ask, ask_size) = levels.bids[0], levels.asks[0]
        told = self._told[instrument] if instrument in range(self._count) else None
        same = told is not None and told[3] != Kind.DEPTH and ts_venue in (0, told[0])
        same = same and told is not None and (bid, ask, bid_size, ask_size) == told[5:9]
        self.put(
            Kind.DEPTH,
            instrument,
            ts_venue=ts_venue,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            extra=float(self._depths),
            flags=_SAME_PRINT if same else 0,
        )
        if self.taken > before:
            self.levels[self._depths] = levels
            self._depths += 1

    def against(self, instruments: Iterable[int], why: Why) -> None:
        """Something speaks against these instruments' streams."""
        for number, state in self.standing.against(instruments, why):
            self._stand(number, state)

    def cleared(self, instruments: Iterable[int], why: Why) -> None:
        """That reason no longer stands."""
        for number, state in self.standing.cleared(instruments, why):
            self._stand(number, state)

    def clock(self, venue: str, offset_s: float, error_s: float) -> None:
        """A venue's clock is known: the age of what it says is judged by its own time."""
        if not (-_INF < offset_s < _INF and 0.0 <= error_s < _INF):
            self.reject(venue, "not_finite", f"clock offset {offset_s}")
            return
        self.offsets[venue] = (offset_s, error_s)
        for number, name in enumerate(self._venues):
            if name == venue:
                self._ahead_ns[number] = round(offset_s * NS)

    def beat(self, late_s: float) -> None:
        """The loop lives; call it often (a quarter of `HELD_UP_S`) and say by how much later than it should be.

        What is put when no beat came for `HELD_UP_S` has waited unread: LOOP_LAG stands against every instrument and
        rows are stamped with the last beat, so that they age from there, until two punctual beats in a row.
        """
        now = self._clock()
        self.behind_s = max(0, self._last - now) / NS
        if late_s > HELD_UP_S:
            self._hold(now)
        self._punctual = self._punctual + 1 if late_s < PUNCTUAL_S else 0
        if self.held_up and self._punctual < 2:
            return
        self._beat = now
        if self.held_up:
            self.held_up = False
            self.cleared(range(self._count), Why.LOOP_LAG)

    def frame(self, venue: str, data: str | bytes) -> None:
        """Hands a raw message to whoever keeps them."""
        if self.keep_frame is not None:
            self.keep_frame(venue, data)

    def reject(self, venue: str, reason: str, detail: str = "") -> None:
        """Counts a message that never became a row, and remembers the last one of its kind."""
        self.rejected[venue, reason] += 1
        self.details[venue, reason] = detail[:_DETAIL]

    def take(self) -> Rows | None:
        """What has arrived since the last look as one block, or None; never waits."""
        if not self._rows:
            return None
        if self._depths > self._depths_before or self.levels:
            # The engine has looked at the block before this one by now; what it did not keep is gone.
            for old in [key for key in self.levels if key < self._depths_before]:
                del self.levels[old]
            self._depths_before = self._depths
        records = np.array(self._rows, dtype=ROW)
        self._rows = []
        self._unread = [-1] * self._count
        if self._overtaken:
            records["flags"][self._overtaken] |= _SUPERSEDED
            self.superseded += len(self._overtaken)
            self._overtaken = []
        block = Rows.from_records(records)
        for tap in self.taps:
            tap(block)
        return block

    def close(self) -> None:
        """Ends the iteration after what is still unread."""
        self._closed = True
        self._awake.set()

    def __aiter__(self) -> AsyncIterator[Rows]:
        """Block by block, until closed."""
        return self

    async def __anext__(self) -> Rows:
        """What has arrived since the last look; after `timer_s` of silence one TICK row."""
        while True:
            block = self.take()
            if block is not None:
                return block
            if self._closed:
                raise StopAsyncIteration
            self._awake.clear()
            loop = asyncio.get_running_loop()
            self._silent_since = loop.time()
            if self._timer is None:
                self._timer = loop.call_later(self._timer_s, self._silence, loop)
            await self._awake.wait()

    def _silence(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer for all waits: a row costs no timer of its own."""
        if self._awake.is_set():  # nobody waits, and there is no silence
            self._timer = None
            return
        wait_s = self._silent_since + self._timer_s - loop.time()
        if wait_s <= 0.0:
            wait_s = self._timer_s
            if self._count:
                self.ticks += 1
                self.put(Kind.TICK, 0)
        self._timer = loop.call_later(wait_s, self._silence, loop)

    def _hold(self, now: int) -> int:
        """The receive time of what is read while it may be old: the last moment at which it was surely not there."""
        if not self.held_up:
            self.held_up, self._punctual = True, 0
            self.against(range(self._count), Why.LOOP_LAG)
        return max(self._last, min(now, self._beat))

    def _stand(self, number: int, state: State) -> None:
        self.put(Kind.HEALTH, number, bid=float(state[0]), ask=float(state[1]))

    def _full(self) -> bool:
        """Lets overtaken rows go; True where the inbox is still full."""
        if self._overtaken:
            gone = set(self._overtaken)
            self.superseded += len(gone)
            self.let_go += len(gone)
            self.let_go_of.update(self._rows[at][2] for at in gone)
            self._rows = [row for at, row in enumerate(self._rows) if at not in gone]
            self._overtaken = []
            self._unread = [-1] * self._count
            for at, row in enumerate(self._rows):
                if _RULES[row[3]] == _BOOK and not row[4] & _SAME_PRINT:
                    self._unread[row[2]] = at
        return len(self._rows) >= self._capacity

    def _refuse(self, instrument: int, reason: str, detail: object) -> None:
        known = isinstance(instrument, int) and 0 <= instrument < self._count
        try:
            words = repr(detail)
        except ValueError:  # an integer of more digits than Python will print
            words = "an integer too long to print"
        self.reject(self._venues[instrument] if known else "", reason, words)


def _side(levels: Sequence[Level]) -> tuple[Level, ...]:
    """One side of a book as floats of our own. Raises TypeError, ValueError or OverflowError for what is none."""
    return tuple([(_real(price), _real(size)) for price, size in levels])


def _trouble(levels: Book) -> str:
    """Why these cannot be the levels of a book; empty where they can. The best ones are judged like a quote."""
    if not (levels.bids and levels.asks):
        return "empty_side"
    for side in levels:
        for _, size in side:
            if not 0.0 <= size < _INF:
                return "negative_size" if size < 0.0 else "not_finite"
    bids, asks = [p for p, _ in levels.bids], [p for p, _ in levels.asks]
    rising = all(low < high for low, high in pairwise(asks)) and all(low > high for low, high in pairwise(bids))
    if not rising:
        return "levels_out_of_order"
    return "" if bids[-1] > 0.0 and asks[-1] < _INF else _implausible(bids[-1], asks[-1])


def _implausible(bid: float, ask: float) -> str:
    """Why a pair of prices is no quote."""
    if not (-_INF < bid < _INF and -_INF < ask < _INF):
        return "not_finite"
    return "crossed" if bid > 0.0 and ask > 0.0 else "not_positive"


def _whole(value: object) -> int:
    """A whole number as an int. Raises TypeError for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError
    return int(value)


def _real(value: object) -> float:
    """A number as a float. Raises TypeError for what is no number (a string is none), OverflowError past a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError
    return float(value)
