"""Where net shares can be brought to zero now, and at what worst price: what a try of a trade becomes an order of.

Only quotes in force count, of instruments that are traded and that nothing speaks against; where nothing may be traded
now, what is held there may be given back all the same. A try to hedge goes to the plan's own leg first, one to unwind
to where the units are; where that venue is down or has refused twice, to the best price of any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from math import isfinite, nan
from typing import NamedTuple

from connectors.exact import exact
from connectors.instruments import Universe
from connectors.orders import Intent, Leg, Outcome, Side
from strategies.base import View
from strategies.execution.ledger import ZERO
from strategies.execution.saga import Rules, Saga, Stage, Try
from strategies.market import kernel as K
from strategies.market.columns import Columns

BPS = Decimal(10_000)
WORN = 2
"""A venue that has refused so many orders of a trade is taken after the others."""

Claim = tuple[str, str, Side]
"""(underlying, venue, side): one order of each is under way at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """How little of an instrument can be traded."""

    units: Decimal = Decimal("0.000001")
    """Smallest step of the quantity."""
    usd: Decimal = ZERO
    """Smallest order."""


class Offer(NamedTuple):
    """One way out."""

    leg: Leg
    usd: Decimal
    """What it moves, at the price seen."""


class Exits:
    """The ways out at one moment."""

    def __init__(
        self, universe: Universe, lots: Sequence[Lot], worth: Callable[[int], float], give_bps: Decimal = ZERO
    ) -> None:
        """`lots` by instrument; `worth` gives shares per unit, NaN where unknown. No try takes a price that is worse
        than the quote by more than `give_bps`."""
        self._universe, self._lots, self._worth, self._give_bps = universe, tuple(lots), worth, give_bps
        self.resting: dict[str, int] = {}
        """Until when (ns) a venue that was asked too much wants to hear nothing, by its own word."""

    def rests_until(self, number: int) -> int:
        """Until when (ns) the venue of an instrument wants to hear nothing; 0 where it never said so."""
        return self.resting.get(self._universe[number].venue, 0)

    def shares(self, units: Decimal, number: int) -> Decimal | None:
        """What units of an instrument are worth now; None where that is not known."""
        worth = self._worth(number)
        if worth == 1.0:
            return units
        return units * exact(worth) if isfinite(worth) else None

    def least(self, view: View, plan: Intent) -> Decimal:
        """Fewest shares that can be traded at every instrument of a plan; a plan without any stands for its share."""
        numbers = {leg.instrument for leg in plan.legs}
        return self._least(view.columns, numbers) if numbers else self.least_of(view.columns, plan.underlying)

    def least_of(self, columns: Columns, underlying: str) -> Decimal:
        """Fewest shares of an underlying that can be traded wherever it is traded: less is dust."""
        return self._least(columns, self._traded(columns, underlying))

    def _least(self, columns: Columns, numbers: Iterable[int]) -> Decimal:
        """Fewest shares that can be traded at each of these instruments; 0 where none of them has a known unit."""
        found = [self.shares(self._least_units(columns, number), number) for number in numbers]
        return max([shares for shares in found if shares is not None], default=ZERO)

    def quoted(self, view: View, underlying: str) -> bool:
        """Whether any instrument of a share that is traded has a quote that counts."""
        return any(
            self._seen(view, n, side) is not None for n in self._traded(view.columns, underlying) for side in Side
        )

    def offer(self, view: View, saga: Saga, wanted: Try, busy: set[Claim], rules: Rules) -> Offer | str | None:
        """The best way out for a try; why there is none; None where its place is taken by an order under way."""
        side, plan = wanted.side, saga.plan
        if side is None:
            return "what a unit is worth in shares is not known"
        ways: list[tuple[tuple[bool, bool, Decimal], int, Decimal]] = []
        taken, barred = False, ""
        for number in self._traded(view.columns, plan.underlying):
            seen = self._seen(view, number, side)
            if seen is None:
                continue
            if (plan.underlying, self._universe[number].venue, side) in busy:
                taken = True
                continue
            if view.now < self.rests_until(number):
                barred = f"{self._universe[number].name}: its venue was asked too much"
                continue
            if self._barred(view, side, number, wanted.shares):
                barred = f"{self._universe[number].name}: {view.columns.why_barred[number]}"
                continue
            ways.append((self._rank(view, saga, wanted, number, seen), number, seen))
        why = barred or "no venue of the share has a quote that counts"
        for _, number, seen in sorted(ways):
            made = self._made(view, saga, wanted, number, seen, rules)
            if isinstance(made, Offer):
                return made
            why = made
        return None if taken and not ways else why

    def _traded(self, columns: Columns, underlying: str) -> list[int]:
        """Instruments of a share that may be traded in this run."""
        if underlying not in columns.underlyings:
            return []
        members = columns.members_of[columns.underlyings.index(underlying)]
        return [n for n in members if columns.facts[n].traded and columns.facts[n].cost is not None]

    def _least_units(self, columns: Columns, number: int) -> Decimal:
        """The smallest order of an instrument, in units, that is large enough at the lowest limit that a try could
        have; of its lot alone where it has no price."""
        lot = self._lots[number]
        usd = _price(columns, number, Side.SELL) * columns.known_fx(number)
        if not (lot.usd and usd > 0):
            return lot.units
        lowest = exact(usd) * (1 - self._give_bps / BPS)
        lots = (lot.usd / lowest / lot.units).to_integral_value(ROUND_CEILING)
        return max(lot.units, lots * lot.units)

    def _seen(self, view: View, number: int, side: Side) -> Decimal | None:
        """The price at which an order would begin to fill; None where there is none that counts."""
        columns, k = view.columns, view.columns.k_rows[number]
        if k[K.REFUSAL] != K.OK or view.now > k[K.EXPIRES] or number in columns.said or columns.doubted(number):
            return None
        if not (isfinite(self._worth(number)) and isfinite(columns.known_fx(number))):
            return None
        price = _price(columns, number, side)
        return exact(price) if price > 0 else None

    def _barred(self, view: View, side: Side, number: int, shares: Decimal) -> bool:
        """Whether an instrument may not be traded now, other than to give back what is held of it."""
        k, buying = view.columns.k_rows[number], side is Side.BUY
        if view.now >= k[K.BUY_FROM if buying else K.SELL_FROM]:
            return False
        held = view.ledger.position(number)
        return (-held if buying else held) * exact(self._worth(number)) < shares

    def _rank(self, view: View, saga: Saga, wanted: Try, number: int, seen: Decimal) -> tuple[bool, bool, Decimal]:
        """What comes first is smallest: not worn out, where the trade wants it, at the best price."""
        side = wanted.side
        orders = saga.orders.values()
        worn = sum(o.outcome is Outcome.REFUSED for o in orders if o.leg.instrument == number) >= WORN
        if wanted.stage is Stage.UNWIND:
            held = saga.units.get(number, ZERO)
            at_home = held > 0 if side is Side.SELL else held < 0
        else:
            at_home = any(leg.instrument == number and leg.side is side for leg in saga.plan.legs)
        cost = exact(view.columns.facts[number].cost or 0.0)
        usd = seen * exact(view.columns.known_fx(number)) / exact(self._worth(number))
        net = usd * (1 + cost) if side is Side.BUY else -usd * (1 - cost)
        return worn, not at_home and not wanted.hasty, net

    def _made(self, view: View, saga: Saga, wanted: Try, number: int, seen: Decimal, rules: Rules) -> Offer | str:
        """The order at one instrument, or why it cannot be."""
        name, lot = self._universe[number].name, self._lots[number].units
        assert wanted.side is not None
        buying = wanted.side is Side.BUY
        units = wanted.shares / exact(self._worth(number))
        quantity = units // lot * lot
        if quantity < self._least_units(view.columns, number):
            return f"{name}: {quantity} units are less than can be traded there"
        fx, cost = exact(view.columns.known_fx(number)), exact(view.columns.facts[number].cost or 0.0)
        limit = seen * (1 + wanted.give_bps / BPS) if buying else seen * (1 - wanted.give_bps / BPS)
        if not saga.carried:
            # result + what the rest brings, fees paid, must not be below the loss that is allowed
            spare = rules.max_loss_usd - saga.flow_usd - saga.costs_usd
            bound = spare / (units * fx * (1 + cost)) if buying else -spare / (units * fx * (1 - cost))
            limit = min(limit, bound) if buying else max(limit, bound)
            if limit < seen if buying else limit > seen:
                return f"{name}: at {seen} it would lose more than {rules.max_loss_usd} USD"
        leg = Leg(instrument=number, side=wanted.side, quantity=quantity, limit=limit, seen=seen)
        return Offer(leg, quantity * seen * fx)


def _price(columns: Columns, number: int, side: Side) -> float:
    """What an order would begin to fill at by the last quote, in its quote currency; NaN where unknown."""
    buying, f = side is Side.BUY, columns.f_rows[number]
    if not columns.universe[number].one_price:
        return f[K.ASK if buying else K.BID]
    half = columns.facts[number].assumed_half_spread
    return nan if half is None else f[K.BID] * (1 + half if buying else 1 - half)
