"""An executor on paper: it fills from the book in force when an order would have arrived, and from nothing else.

An order reaches its venue after the venue's latency. It may be refused (a seeded share of orders), and takes at most a
share of the size that is left of what was seen: of the best level, and of those behind it as far as its limit goes.
What it took stays taken until the venue prints again. A series with one price is filled only where the config assumes a
spread and a size for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from math import isfinite

from connectors.exact import exact
from connectors.orders import Approved, Fill, Intent, Leg, OpenOrder, Outcome, Report, Side, Statement
from connectors.ports import Books

ZERO = Decimal(0)
KEPT = 1_000
"""Fills that are remembered, for whoever reads the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTerms:
    """How the venue of one instrument treats an order on paper."""

    latency_ns: int
    fee: Decimal
    """Taker fee, a share of the notional."""
    lot: Decimal
    fixed_usd: Decimal = ZERO
    """Cost of an order that fills, whatever its size, such as gas."""
    reject_share: float = 0.0
    fill_share: float = 1.0
    assumed_half_spread: Decimal | None = None
    """For a series with one price: fill this far on the wrong side of it."""


class PaperExecutor:
    """Fills approved orders from what was seen. Deterministic for a seed: chance hangs on the order's id alone."""

    def __init__(self, terms: dict[int, PaperTerms], seed: int) -> None:
        """`terms` by instrument; an order at another instrument is refused."""
        self.terms = terms
        self.seed = seed
        self.waiting: dict[int, list[tuple[Intent, int]]] = {}
        self.questions: dict[int, list[str]] = {}
        """Client ids that were asked about, by when they are answered."""
        self.fills: deque[Fill] = deque(maxlen=KEPT)

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Takes an order at `now` (ns); returns when each leg arrives at its venue, each moment once."""
        dues: list[int] = []
        for number, leg in enumerate(order.intent.legs):
            terms = self.terms.get(leg.instrument)
            due = now + (terms.latency_ns if terms else 0)
            if due not in self.waiting or due not in dues:
                dues.append(due)
            self.waiting.setdefault(due, []).append((order.intent, number))
        return tuple(dues)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """Reports of all legs that arrive at `due`, in the order of submission."""
        taken: dict[tuple[int, Side], Decimal] = {}
        reports = [self._arrive(intent, number, due, books, taken) for intent, number in self.waiting.pop(due, ())]
        return (*reports, *filter(None, [self._known(client_id) for client_id in self.questions.pop(due, ())]))

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks what became of an order; it is answered at once. One of an earlier run died with the venue on paper."""
        self.questions.setdefault(now, []).append(client_id)
        return (now,)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """An order on paper fills or ends when it arrives; there is nothing to cancel."""
        return ()

    def _known(self, client_id: str) -> Report | None:
        """What can be said of an order that was asked about; nothing new while it has not arrived."""
        if any(intent.client_id(leg) == client_id for waiting in self.waiting.values() for intent, leg in waiting):
            return None
        return Report(
            client_id=client_id,
            intent_id="",
            leg=0,
            outcome=Outcome.REFUSED,
            reason="unknown",
            detail="the venue on paper does not know it",
        )

    def _arrive(
        self, intent: Intent, number: int, due: int, books: Books, taken: dict[tuple[int, Side], Decimal]
    ) -> Report:
        """What the venue answers to one leg, given what earlier legs of this moment took."""
        leg = intent.legs[number]
        client_id = intent.client_id(number)
        terms = self.terms.get(leg.instrument)

        if terms is None:
            return _refused(intent, number, "no paper venue for this instrument")
        if terms.reject_share and self._chance(f"{intent.id}-{number}") < terms.reject_share:
            return _refused(intent, number, "rejected by the venue")
        buying = leg.side is Side.BUY
        price_seen = books.ask(leg.instrument) if buying else books.bid(leg.instrument)
        size_seen = books.ask_size(leg.instrument) if buying else books.bid_size(leg.instrument)
        fx = books.fx(leg.instrument)
        if not (isfinite(price_seen) and price_seen > 0 and isfinite(fx)):
            return _refused(intent, number, "no quote in force")
        if not (isfinite(size_seen) and size_seen > 0):
            return _refused(intent, number, "no size left of what was seen")
        price = exact(price_seen)
        if terms.assumed_half_spread is not None:
            price *= 1 + terms.assumed_half_spread if buying else 1 - terms.assumed_half_spread
        if (price > leg.limit) if buying else (price < leg.limit):
            return _refused(intent, number, f"price beyond the limit: {price}, allowed {leg.limit}")
        # What we took of this print before counts against our share of it, not against the rest.
        before = books.taken(leg.instrument, bid=not buying)
        left = exact((size_seen + before) * terms.fill_share)
        if before:
            left -= exact(before)
        side = leg.instrument, leg.side
        if side in taken:
            left -= taken[side]
        quantity = leg.quantity
        if left < quantity or quantity % terms.lot:
            quantity = min(quantity, left) // terms.lot * terms.lot
        if not quantity > 0:
            return _refused(intent, number, "no size left of what was seen")
        parts = [(price, quantity)]
        if side not in taken and quantity < leg.quantity:
            parts += _behind(leg, leg.quantity - quantity, terms, books)
        filled = sum([units for _, units in parts], ZERO)
        taken[side] = taken.get(side, ZERO) + filled
        fills = tuple(
            [
                Fill(
                    id=f"{client_id}.{at}",
                    client_id=client_id,
                    instrument=leg.instrument,
                    side=leg.side,
                    quantity=units,
                    price=each,
                    fee=units * each * terms.fee,
                    fx=exact(fx),
                    ts=due,
                    gas_usd=terms.fixed_usd if at == 1 else ZERO,
                )
                for at, (each, units) in enumerate(parts, 1)
            ]
        )
        self.fills += fills
        detail = "" if filled == leg.quantity else f"partial: {filled} of {leg.quantity}"
        return Report(
            client_id=client_id, intent_id=intent.id, leg=number, outcome=Outcome.ACCEPTED, fills=fills, detail=detail
        )

    def _chance(self, order: str) -> float:
        """A number in [0, 1) that depends on the seed and what the strategy called the order, and on nothing else: not
        on the start that sends it."""
        digest = blake2b(f"{self.seed}:{order}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64


class PaperAccount:
    """The account at one venue on paper, which is as old as its process: orders and fills by the executor's own list,
    and what lies there, and was traded before, by the books' word."""

    def __init__(
        self,
        venue: str,
        instruments: Sequence[int],
        executor: PaperExecutor,
        believed: Callable[[], tuple[Mapping[str, Decimal], Sequence[Fill]]],
    ) -> None:
        """`instruments` of the venue by number; `believed` gives its balances and its last fills by the books."""
        self.venue, self._here, self._executor, self._believed = venue, frozenset(instruments), executor, believed
        self._reads: dict[int, list[int]] = {}

    def read(self, since: int, now: int) -> tuple[int, ...]:
        """Asks for balances, open orders and fills; they are told at once."""
        self._reads.setdefault(now, []).append(since)
        return (now,)

    def statements(self, due: int) -> tuple[Statement, ...]:
        """What was read by `due`."""
        return tuple(self._statement(since, due) for since in self._reads.pop(due, ()))

    def _statement(self, since: int, as_of: int) -> Statement:
        balances, earlier = self._believed()
        own = {fill.id: fill for fill in self._executor.fills if fill.instrument in self._here}
        fills = {fill.id: fill for fill in earlier} | own
        orders = tuple(
            OpenOrder(client_id=intent.client_id(leg), instrument=one.instrument, side=one.side, left=one.quantity)
            for waiting in self._executor.waiting.values()
            for intent, leg in waiting
            if (one := intent.legs[leg]).instrument in self._here
        )
        return Statement(
            venue=self.venue,
            as_of=as_of,
            balances=dict(balances),
            orders=orders,
            fills=tuple(fill for fill in fills.values() if fill.ts >= since),
            rights=("read", "trade"),
        )


def _behind(leg: Leg, wanted: Decimal, terms: PaperTerms, books: Books) -> list[tuple[Decimal, Decimal]]:
    """(price, units) that the levels behind the best one give, as far as the limit goes."""
    buying, found = leg.side is Side.BUY, list[tuple[Decimal, Decimal]]()
    for seen, size in books.behind(leg.instrument, bid=not buying):
        price = exact(seen)
        units = min(wanted, exact(size * terms.fill_share)) // terms.lot * terms.lot
        if wanted < terms.lot or (price > leg.limit if buying else price < leg.limit):
            break
        if units > 0:
            found.append((price, units))
            wanted -= units
    return found


def _refused(intent: Intent, number: int, detail: str) -> Report:
    """The venue says no to one leg."""
    client_id = intent.client_id(number)
    return Report(client_id=client_id, intent_id=intent.id, leg=number, outcome=Outcome.REFUSED, detail=detail)
