"""Splits and dividends of a share: told ahead, traded around, and never mistaken for a depeg.

From the ex-moment on the underlying's instruments are in maintenance until a source of the share has printed after it.
A split moves prices by its ratio, and not everywhere at once: what was quoted before is forgotten, and from every
instrument only prices on the new side of the geometric middle are believed. A token stays in maintenance until it has
printed there itself. A dividend's expected drop is told; one below SMALL_BPS pauses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite, nan, sqrt
from typing import Final

from connectors.events import NS
from strategies.base import Note
from strategies.market import kernel as K
from strategies.market.columns import Columns

BIG: Final = 1.25
"""A ratio at least this far from one, either way, can be told from what a share does in a day."""

SMALL_BPS: Final = 5.0
"""A dividend below this share of the price is within what a fair value may be off."""

KEPT_NS: Final = 3600 * NS
"""After a split has shown, prices of before are still refused for so long: delayed sources repeat them."""

LATE_NS: Final = 7 * 24 * 3600 * NS
"""A split that is told so late, as after a restart, still pauses tokens that have not followed it."""

BY_HAND: Final = "the file kept by hand"

SAME_NS: Final = 5 * 24 * 3600 * NS
"""Two dates of one ratio closer than this are one event about whose date sources disagree."""


@dataclass(slots=True)
class Event:
    """One action of one underlying at one moment."""

    group: int
    ex_ns: int
    ratio: float
    cash: float
    said: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By source: ratio and cash (0 for none), as told."""
    begun: int = 0
    shown: int = 0
    """When a source of the share first printed after it; 0: not yet."""
    waiting: set[int] = field(default_factory=set)
    """Instruments that have not printed on the new side yet."""
    banded: set[int] = field(default_factory=set)

    @property
    def big(self) -> bool:
        """Whether prices before and after can be told apart."""
        return not 1 / BIG < self.ratio < BIG


class Corporate:
    """The events that are known, and which instruments they bar from trading."""

    def __init__(self, columns: Columns) -> None:
        """No event is known."""
        self.columns = columns
        self.changed = False
        """Whether the last call changed who may be traded."""
        self._events: dict[tuple[int, int], Event] = {}
        self._live: list[Event] = []

    def barred(self, number: int) -> bool:
        """Whether an event keeps an instrument from being traded now."""
        return any(
            (not event.shown and event.group == self.columns.group(number)) or number in event.waiting
            for event in self._live
        )

    def told(
        self, number: int, ratio: float, ex_s: float, cash: float, now: int, *, by_hand: bool = False
    ) -> tuple[list[Note], Event | None]:
        """A source tells an event; gives the notes, and the event where its beginning is to be scheduled."""
        self.changed = False
        columns, instrument = self.columns, self.columns.universe[number]
        source = BY_HAND if by_hand else instrument.venue
        detail: dict[str, float | str] = {"venue": source}
        detail |= {name: v for name, v in (("ratio", ratio), ("ex", ex_s), ("cash", cash)) if isfinite(v)}
        told = Note(kind="action_scheduled", instrument=number, underlying=instrument.underlying, detail=detail)
        if not (isfinite(ex_s) and 0 < ratio < inf and (cash > 0 or ratio != 1)) or not instrument.underlying:
            return [Note(kind="action_refused", instrument=number, detail=detail)], None
        group, ex_ns = columns.group(number), round(ex_s) * NS
        event = self._events.get((group, ex_ns))
        notes: list[Note] = []
        other = self._other_date(group, ex_ns, ratio, cash)
        if other is not None and event is None:
            notes.append(self._disagree(told, "ex", other.ex_ns / NS))
        words = (ratio, cash if isfinite(cash) else 0.0)
        if event is None:
            event = self._events[group, ex_ns] = Event(group, ex_ns, ratio, cash)
            event.said[source] = words
            if ex_ns > now:
                return [told, *notes], event
            if event.big and now - ex_ns <= LATE_NS:
                notes += self._begin(event, now, late=True)
            return [told, *notes], None
        known = event.said.get(source) == words or _same(event, ratio, cash)
        event.said[source] = words
        if known:
            return notes, None
        return [*notes, self._disagree(told, "ratio", event.ratio)], None

    def begin(self, event: Event, due: int) -> list[Note]:
        """The ex-moment of an event has come."""
        self.changed = False
        running = (e for e in self._live if e.group == event.group and abs(e.ex_ns - event.ex_ns) < SAME_NS)
        if any(e.ratio == event.ratio for e in running if event.big):
            return []  # it is the same event, of which another source told another date
        return self._begin(event, due, late=False)

    def of_time(self, now: int) -> list[Note]:
        """Looks at what has been printed since; notes of events that have shown."""
        self.changed = False
        notes: list[Note] = []
        for event in list(self._live):
            if not event.shown:
                notes += self._look_for_the_share(event, now)
            if event.shown:
                followed = {at for at in event.waiting if self._printed(at, event)}
                event.waiting -= followed
                self.changed = self.changed or bool(followed)
                if now - event.shown >= KEPT_NS:
                    for at in event.banded - event.waiting:
                        self.columns.band(at, nan, nan)
                    event.banded &= event.waiting
                    if not event.waiting:
                        self._live.remove(event)
        return notes

    def _begin(self, event: Event, now: int, *, late: bool) -> list[Note]:
        """Everything of the underlying pauses; a split's old prices are forgotten."""
        columns = self.columns
        fair = None if late else columns.own(event.group, now)
        drop_bps = event.cash / fair.price * 1e4 if fair is not None and event.cash > 0 else nan
        detail: dict[str, float | str] = {"ratio": event.ratio}
        detail |= {name: v for name, v in (("cash", event.cash), ("drop_bps", drop_bps)) if isfinite(v)}
        if fair is not None:
            detail["expected"] = (fair.price - (event.cash if event.cash > 0 else 0.0)) / event.ratio
        note = Note(kind="action_begun", underlying=columns.underlyings[event.group], detail=detail)
        if event.ratio == 1.0 and drop_bps < SMALL_BPS:
            return [note]
        event.begun = event.ex_ns if late else now
        self._live.append(event)
        self.changed = True
        if event.big:
            members = self._members(event.group)
            event.waiting = {at for at in members if columns.k[at, K.ROLE] & K.EVIDENCE == 0}
            if not late:
                if fair is not None:
                    self._band(event, members, fair.price / sqrt(event.ratio))
                for at in members:
                    columns.forget(at)
        return [note]

    def _look_for_the_share(self, event: Event, now: int) -> list[Note]:
        """Whether a believed source has printed after the event."""
        columns = self.columns
        found = [
            at
            for at in self._members(event.group)
            if columns.k[at, K.ROLE] & K.EVIDENCE
            and columns.k[at, K.REFUSAL] == K.OK
            and columns.k[at, K.REF_TS] > event.begun
        ]
        if not found:
            return []
        event.shown = now
        self.changed = True
        price = float(columns.f[found[0], K.REF_MID])
        if event.big:
            self._band(event, sorted(event.waiting), price * sqrt(event.ratio))
            for at in sorted(event.waiting):
                if not columns.f[at, K.BAND_LOW] <= columns.f[at, K.MID_USD] <= columns.f[at, K.BAND_HIGH]:
                    columns.forget(at)
        source = columns.universe[found[0]].name
        detail: dict[str, float | str] = {"price": price, "source": source, "ratio": event.ratio}
        return [Note(kind="action_shown", underlying=columns.underlyings[event.group], detail=detail)]

    def _band(self, event: Event, numbers: list[int], middle: float) -> None:
        """From now on only prices on the new side of `middle` (USD per share) are believed."""
        low, high = (0.0, middle) if event.ratio > 1 else (middle, inf)
        for at in numbers:
            self.columns.band(at, low, high)
        event.banded |= set(numbers)

    def _printed(self, at: int, event: Event) -> bool:
        """Whether an instrument has a believed price of after the event."""
        k = self.columns.k
        return bool(k[at, K.REFUSAL] == K.OK and k[at, K.TS] > event.begun and self.columns.f[at, K.MID_USD] > 0)

    def _members(self, group: int) -> list[int]:
        """Numbers of everything that stands for the underlying."""
        return list(self.columns.universe.where(underlying=self.columns.underlyings[group]))

    def _other_date(self, group: int, ex_ns: int, ratio: float, cash: float) -> Event | None:
        """The same event under another date."""
        for (of, at), event in self._events.items():
            if of == group and 0 < abs(at - ex_ns) < SAME_NS and _same(event, ratio, cash):
                return event
        return None

    def _disagree(self, told: Note, what: str, other: float) -> Note:
        detail = {**told.detail, "about": what, "other": other}
        return Note(kind="action_disagrees", instrument=told.instrument, underlying=told.underlying, detail=detail)


def _same(event: Event, ratio: float, cash: float) -> bool:
    """Whether two sources mean the same: ratios to a millionth, cash to a hundredth of it, absent cash is absent."""
    alike = abs(event.ratio - ratio) <= 1e-6 * ratio
    if event.cash == event.cash and cash == cash:
        return alike and abs(event.cash - cash) <= 0.01 * cash
    return alike and (event.cash == event.cash) == (cash == cash)
