"""A simulated venue as it is: orders, fills and balances by its own books, whatever it tells anybody.

It moves only when somebody passes time: what was sent arrives at its moment, whether its sender still lives or not.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from math import isfinite
from typing import Final

from msgspec import structs

from connectors.events import NEVER, NS
from connectors.exact import exact
from connectors.instruments import Universe
from connectors.orders import Fill, Leg, OpenOrder, Side
from connectors.ports import Books
from connectors.simulated.order_faults import (
    NO_RULES,
    STANDS,
    Event,
    Foreign,
    NewRights,
    NewRules,
    OrderFault,
    OrderFaults,
    Rules,
    Trouble,
    Withdrawal,
)

ZERO = Decimal(0)
FEE_COIN: Final = "SIMFEE"
"""What WRONG_FEE_COIN takes its fee in; one is worth ten of any quote currency."""
PENALTY_NS: Final = 10 * NS
"""What a request during a ban adds to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How an instrument trades at its venue."""

    fee: Decimal = ZERO
    """A share of the notional."""
    rules: Rules = NO_RULES
    short: bool = False
    """Whether its balance may go below zero."""


@dataclass(slots=True)
class Order:
    """One order by the venue's own books."""

    client_id: str
    instrument: int
    side: Side
    quantity: Decimal
    limit: Decimal
    fault: OrderFault | None = None
    fills: list[Fill] = field(default_factory=list)
    stands: bool = False
    """What is left of it may still trade."""

    @property
    def filled(self) -> Decimal:
        """Units traded so far."""
        return sum((fill.quantity for fill in self.fills), ZERO)


@dataclass(frozen=True, slots=True)
class Turned:
    """A request that the venue did not take: one word why, and until when (ns UTC) it wants no other; 0 is not said."""

    why: str
    until: int = 0


class Venue:
    """The truth of one venue. Deterministic: the same orders, books and faults give the same books of its own."""

    def __init__(
        self,
        name: str,
        universe: Universe,
        terms: Mapping[int, Terms],
        balances: Mapping[str, Decimal],
        faults: OrderFaults | None = None,
    ) -> None:
        """`terms` of the instruments that it trades; `balances` of ours at the start, by `Instrument.asset` or coin."""
        self.name, self.universe = name, universe
        self.terms, self.rules = dict(terms), {number: one.rules for number, one in terms.items()}
        self.faults = faults or OrderFaults()
        self.balances: dict[str, Decimal] = dict(balances)
        self.orders: dict[str, Order] = {}
        self.turned: dict[str, Turned] = {}
        self.fills: list[Fill] = []
        self.rights: tuple[str, ...] = ("read", "trade")
        self.banned_until = 0
        """ns UTC."""
        self.ban_extended = 0
        """How often a request made a ban longer."""
        self.sent = 0
        """Orders that were sent here, whether they arrived or not."""
        self.struck: Counter[str] = Counter()
        """How often each thing that goes wrong has befallen an order or request."""
        self._arriving: list[tuple[int, int, Order]] = []
        self._events: list[Event] = sorted(self.faults.events, key=lambda event: event.at)
        self._taken: dict[tuple[int, Side], tuple[int, Decimal]] = {}

    # --- what reaches it

    def send(self, client_id: str, leg: Leg, arrives: int) -> OrderFault | None:
        """An order is on its way, to arrive at `arrives` (ns UTC); gives what will befall it."""
        fault = self.faults.of(self.sent, client_id)
        self.sent += 1
        if fault is not None:
            self.struck[fault.value] += 1
        if fault is not OrderFault.REQUEST_LOST:
            order = Order(client_id, leg.instrument, leg.side, leg.quantity, leg.limit, fault)
            heapq.heappush(self._arriving, (arrives, self.sent, order))
        return fault

    @property
    def next_ns(self) -> int:
        """When something happens next, ns UTC; NEVER where nothing is to come."""
        events, arriving = self._events, self._arriving
        return min(events[0].at if events else NEVER, arriving[0][0] if arriving else NEVER)

    def pass_to(self, now: int, books: Books) -> None:
        """All that happens by `now` (ns UTC), in order; what arrives meets these books."""
        while self._events or self._arriving:
            event = self._events[0].at if self._events else now + 1
            arrival = self._arriving[0][0] if self._arriving else now + 1
            if min(event, arrival) > now:
                return
            if event <= arrival:
                self._happens(self._events.pop(0), books)
            else:
                at, _, order = heapq.heappop(self._arriving)
                self._arrives(order, at, books)

    def refuses(self, now: int) -> Turned | None:
        """Why no request is served at `now`, or None. A request during a ban prolongs it."""
        if now < self.banned_until:
            self.banned_until += PENALTY_NS
            self.ban_extended += 1
            self.struck[Trouble.RATE.value] += 1
            return Turned(Trouble.RATE.value, self.banned_until)
        for spell in self.faults.spells:
            if spell.begin <= now < spell.end:
                self.banned_until = spell.end if spell.what is Trouble.RATE else 0
                self.struck[spell.what.value] += 1
                return Turned(spell.what.value, self.banned_until)
        return None

    def cancel(self, client_id: str) -> None:
        """Nothing more of this order trades."""
        self.orders[client_id].stands = False

    def fill_rest(self, client_id: str, now: int, books: Books) -> None:
        """What is left of a standing order trades as far as it can, and then nothing more of it does."""
        order = self.orders[client_id]
        self._trade(order, order.quantity - order.filled, now, books)
        order.stands = False

    # --- its books

    def standing(self) -> tuple[OpenOrder, ...]:
        """Every order that stands, whoever placed it."""
        return tuple(
            OpenOrder(client_id=o.client_id, instrument=o.instrument, side=o.side, left=o.quantity - o.filled)
            for o in self.orders.values()
            if o.stands
        )

    def _arrives(self, order: Order, now: int, books: Books) -> None:
        """An order reaches the venue: it is turned away, or it trades."""
        problem = self.refuses(now) or self._problem(order)
        if problem is not None:
            self.turned[order.client_id] = problem
            return
        self.orders[order.client_id] = order
        wanted = order.quantity
        if order.fault in STANDS:
            wanted /= 2
            order.stands = True
        elif order.fault is OrderFault.OVER_FILL:
            wanted += wanted / 2
        self._trade(order, wanted, now, books)

    def _problem(self, order: Order) -> Turned | None:
        """What speaks against an order by the venue's own rules."""
        terms = self.terms.get(order.instrument)
        if terms is None:
            return Turned("not_listed")
        if order.client_id in self.orders:
            return Turned("duplicate")
        rules, value = self.rules[order.instrument], order.quantity * order.limit
        off = (rules.lot and order.quantity % rules.lot) or (rules.tick and order.limit % rules.tick)
        if off or value < rules.least or not order.quantity > 0:
            return Turned("rules")
        instrument = self.universe[order.instrument]
        selling = order.side is Side.SELL
        needs, has = (order.quantity, instrument.asset) if selling else (value * (1 + terms.fee), instrument.quote)
        if not (selling and terms.short) and self.balances.get(has, ZERO) < needs:
            return Turned("balance")
        return None

    def _trade(self, order: Order, wanted: Decimal, now: int, books: Books) -> None:
        """Trades up to `wanted` units at the best level in force, and no more than what we left of it."""
        at, buying = order.instrument, order.side is Side.BUY
        shown, fx = books.ask(at) if buying else books.bid(at), books.fx(at)
        size = books.ask_size(at) if buying else books.bid_size(at)
        if not (isfinite(shown) and isfinite(size) and isfinite(fx)):
            return
        price = exact(shown)
        if (price > order.limit) if buying else (price < order.limit):
            return
        print_, taken = self._taken.get((at, order.side), (-1, ZERO))
        taken = taken if print_ == books.prints(at) else ZERO
        left = exact(size) + exact(books.taken(at, bid=not buying)) - taken
        lot = self.rules[at].lot or Decimal("1e-9")
        quantity = (min(wanted, left) / lot).to_integral_value(ROUND_DOWN) * lot
        if not quantity > 0:
            return
        self._taken[at, order.side] = books.prints(at), taken + quantity
        fee = quantity * price * self.terms[at].fee
        fill = Fill(
            id=f"{self.name}.{len(self.fills) + 1}",
            client_id=order.client_id,
            instrument=at,
            side=order.side,
            quantity=quantity,
            price=price,
            fee=fee,
            fx=exact(fx),
            ts=now,
        )
        self._book(order, fill)

    def _book(self, order: Order, fill: Fill) -> None:
        """Adds a fill to the order, the list and the balances."""
        instrument = self.universe[fill.instrument]
        units = fill.quantity if fill.side is Side.BUY else -fill.quantity
        if order.fault is OrderFault.WRONG_FEE_COIN:
            self._move(FEE_COIN, -fill.fee / 10)
            fill = structs.replace(fill, fee=ZERO)
        self._move(instrument.asset, units)
        self._move(instrument.quote, -units * fill.price - fill.fee)
        order.fills.append(fill)
        self.fills.append(fill)

    def _move(self, asset: str, amount: Decimal) -> None:
        self.balances[asset] = self.balances.get(asset, ZERO) + amount

    def _happens(self, event: Event, books: Books) -> None:
        """Something that no order of ours brought about."""
        self.struck[type(event).__name__] += 1
        if isinstance(event, NewRules):
            self.rules[event.instrument] = event.rules
        elif isinstance(event, Withdrawal):
            self._move(event.asset, -event.amount)
        elif isinstance(event, NewRights):
            self.rights = event.rights
        else:
            self._foreign(event, books)

    def _foreign(self, event: Foreign, books: Books) -> None:
        """Somebody else's order on our account."""
        order = Order(event.client_id, event.instrument, event.side, event.quantity, event.limit)
        self.orders[event.client_id] = order
        order.stands = not event.trades
        if event.trades:
            fill = Fill(
                id=f"{self.name}.{len(self.fills) + 1}",
                client_id=event.client_id,
                instrument=event.instrument,
                side=event.side,
                quantity=event.quantity,
                price=event.limit,
                fee=ZERO,
                fx=exact(books.fx(event.instrument)),
                ts=event.at,
            )
            self._book(order, fill)
