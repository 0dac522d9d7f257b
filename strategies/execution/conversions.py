"""Mints and redemptions under way: what of them has moved, what is in flight, what is late, and what is owed to us.

An issuer's word carries totals and its own moment, so that it may come twice, late and in any order: the newest word
holds, whenever it was heard. UNKNOWN says nothing of amounts, and does not reopen what has ended. A failed one stays in
flight, hedge and all, until the issuer or an operator closes it (SETTLED): nobody sells a hedge on one word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from connectors.orders import CONVERTED, Conversion, ConversionState, Progress

ZERO: Final = Decimal(0)
LAST: Final = 200
"""Conversions of one direction of an issuer that are learned from: it may be another one after a year."""
_USD: Final = Decimal("1e-12")
_CLOSED: Final = frozenset({ConversionState.SETTLED, ConversionState.REJECTED})
_RANK: Final = {state: number for number, state in enumerate(ConversionState)}


class Why(StrEnum):
    """Why something is owed to us."""

    SHORT = "short"
    """Settled with less than the least that was agreed."""
    FAILED = "failed"
    """Given, and neither delivered nor returned."""


class Claim(NamedTuple):
    """What an issuer owes us of one conversion."""

    id: str
    """Of the conversion."""
    issuer: str
    instrument: int
    """What is owed."""
    units: Decimal
    why: Why


class Moved(NamedTuple):
    """What a word changed, in units that now have left or come on top of what had."""

    given: Decimal
    got: Decimal
    fee_usd: Decimal
    kept_usd: Decimal


@dataclass(slots=True)
class Running:
    """One conversion and the newest words about it."""

    order: Conversion
    since: int
    """When it was asked for, ns UTC."""
    word: Progress | None = None
    """The newest that knows anything."""
    unknown_ts: int = -1
    """Of the newest that knows nothing."""
    news: int = 0
    """Words that changed something."""

    @property
    def state(self) -> ConversionState:
        """Where it stands."""
        known = ConversionState.REQUESTED if self.word is None else self.word.state
        newer = self.unknown_ts > (-1 if self.word is None else self.word.ts)
        return ConversionState.UNKNOWN if newer and known not in CONVERTED else known

    @property
    def given(self) -> Decimal:
        """Units of the source that have left."""
        return ZERO if self.word is None else self.word.given

    @property
    def got(self) -> Decimal:
        """Units of the target that have come."""
        return ZERO if self.word is None else self.word.got

    @property
    def closed(self) -> bool:
        """Nothing of it is in flight any more."""
        return self.state in _CLOSED

    @property
    def due(self) -> Decimal:
        """Units of the target that are due for all that was given."""
        return self.order.expected * (self.given / self.order.quantity)

    @property
    def away(self) -> Decimal:
        """Units of the source that are in flight: given, and the other side has not come for them."""
        if self.closed or not self.given:
            return ZERO
        return self.given * max(ZERO, 1 - self.got / self.due) if self.due else self.given

    @property
    def changes(self) -> tuple[tuple[int, Decimal], tuple[int, Decimal]]:
        """What all of it makes of what we hold, (instrument, units): what comes, and what goes below zero. Until it is
        closed that is what was agreed: the price of a request is fixed when it is made."""
        order = self.order
        if self.closed:
            return (order.target, self.got), (order.source, -self.given)
        return (order.target, max(order.expected, self.got)), (order.source, -max(order.quantity, self.given))

    @property
    def coming(self) -> tuple[tuple[int, Decimal], tuple[int, Decimal]]:
        """Of `changes`, what has not moved yet."""
        (target, came), (source, went) = self.changes
        return (target, came - self.got), (source, went + self.given)

    @property
    def kept_usd(self) -> Decimal:
        """Fee in kind on what has come, USD."""
        if not self.got or not self.order.expected:
            return ZERO
        return (self.order.kept_usd * min(Decimal(1), self.got / self.order.expected)).quantize(_USD)

    @property
    def claim(self) -> Claim | None:
        """What is owed: all that lacks of a failed one, or of a settled one below its least."""
        order, why = self.order, Why.FAILED if self.state is ConversionState.FAILED else Why.SHORT
        if self.state not in (ConversionState.FAILED, ConversionState.SETTLED) or not self.given:
            return None
        if why is Why.SHORT and self.got >= order.least * (self.given / order.quantity):
            return None
        units = self.due - self.got
        return Claim(order.id, order.issuer, order.target, units, why) if units > 0 else None


@dataclass(slots=True)
class Conversions:
    """Every conversion that was asked for, by id; a fold over requests and words."""

    all: dict[str, Running] = field(default_factory=dict)
    under_way: dict[str, Running] = field(default_factory=dict)
    """Those that are not closed; a failed one is among them."""
    last: dict[tuple[str, bool], deque[Running]] = field(default_factory=dict)
    """The newest by issuer and direction (True: mint): what may be learned of how it is."""
    paged: set[str] = field(default_factory=set)
    """Those whose lateness was told."""

    def ask(self, order: Conversion, now: int) -> bool:
        """One is asked for at `now` (ns UTC); False where that id was asked for before."""
        if order.id in self.all:
            return False
        one = self.all[order.id] = self.under_way[order.id] = Running(order, now)
        self.last.setdefault((order.issuer, order.mint), deque(maxlen=LAST)).append(one)
        return True

    def hear(self, word: Progress) -> Moved | None:
        """Takes an issuer's word; None where it is about nothing of ours. What is old or known moves nothing."""
        one = self.all.get(word.id)
        if one is None:
            return None
        given, got, kept = one.given, one.got, one.kept_usd
        fee = ZERO if one.word is None else one.word.fee_usd
        if word.state is ConversionState.UNKNOWN:
            one.unknown_ts = max(one.unknown_ts, word.ts)
        elif one.word is None or _key(word) > _key(one.word):
            one.word, one.news = word, one.news + 1
            if one.closed:
                self.under_way.pop(word.id, None)
            else:
                self.under_way[word.id] = one
        left = ZERO if one.word is None else one.word.fee_usd
        return Moved(one.given - given, one.got - got, left - fee, one.kept_usd - kept)

    def open(self) -> Iterator[Running]:
        """Those that are not closed; a failed one is among them."""
        return iter(self.under_way.values())

    def claims(self) -> tuple[Claim, ...]:
        """All that is owed to us."""
        return tuple(claim for one in self.all.values() if (claim := one.claim) is not None)

    def overdue(self, now: int) -> tuple[Running, ...]:
        """Those past their promised time at `now` whose lateness was not told yet; each is given once."""
        late = tuple(o for o in self.open() if now > o.order.sla_ns and o.order.id not in self.paged)
        self.paged.update(one.order.id for one in late)
        return late

    def next_sla(self, now: int) -> int | None:
        """When the next one becomes overdue, ns UTC; None where none will."""
        return min((o.order.sla_ns for o in self.open() if o.order.sla_ns >= now), default=None)


def _key(word: Progress) -> tuple[int, int, Decimal, Decimal, Decimal]:
    """Orders the words about one conversion; two that tie are the same."""
    return word.ts, _RANK[word.state], word.given, word.got, word.fee_usd
