"""One bet on the way back of a premium: what is bought, what is sold against it, what both cost and bring."""

from __future__ import annotations

from decimal import Decimal
from math import log
from typing import NamedTuple

import msgspec

from strategies.base import View
from strategies.closing.situation import Usual
from strategies.hedging.levels import Levels, days_to, levels
from strategies.market import kernel as K
from strategies.pricing.carry import Carried, carried
from strategies.pricing.costs import TAKEN, Costs

FINE = 6
"""Digits of a part of the price."""


class Quote(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What can be had at one instrument now, USD per share."""

    number: int
    bid: float
    ask: float
    shares_per_unit: float

    @property
    def mid(self) -> float:
        """Between the two."""
        return (self.bid + self.ask) / 2

    @property
    def half(self) -> float:
        """Half of the spread, a part of the mid."""
        return (self.ask - self.bid) / (self.ask + self.bid)


def quote(view: View, number: int) -> Quote | str:
    """The quote in force of an instrument that is traded; why there is none that counts."""
    columns = view.columns
    if why := columns.why_not_priced(number, view.now):
        return why
    f, facts = columns.f_rows[number], columns.facts[number]
    half = facts.assumed_half_spread or 0.0 if columns.universe[number].one_price else 0.0
    usd = f[K.USD_PER_SHARE]
    return Quote(
        number=number,
        bid=f[K.BID] * (1 - half) * usd,
        ask=f[K.ASK] * (1 + half) * usd,
        shares_per_unit=f[K.SHARES_PER_UNIT],
    )


class Taken(NamedTuple):
    """What going in and out of one leg costs, but for the spread."""

    share: float
    """A part of the price; 0 where something of it is not known."""
    why: str
    """What of it is not known, in words; empty where all is."""


def taken(costs: Costs, size_usd: Decimal) -> Taken:
    """The same of an instrument at the size of an entry."""
    known = costs.only(TAKEN)
    return Taken(2 * float(known.share(size_usd) or 0), known.why)


class Bet(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Bought here, sold there. All but `spread` and prices are parts of the price."""

    buy: Quote
    sell: Quote
    usual: Usual
    """Of the logarithm of the price of what is sold over that of what is bought."""
    fees: float
    """All that both legs cost in and out, but for the spreads."""
    carry: Carried
    why: str
    """What of its costs is not known, in words; empty where all are."""

    @property
    def away(self) -> float:
        """How far the mids are from what is usual, in favour."""
        return log(self.sell.mid / self.buy.mid) - self.usual.mean

    @property
    def spread(self) -> float:
        """Bid and ask of both, in and out."""
        return 2 * (self.buy.half + self.sell.half)

    @property
    def cost(self) -> float:
        """All that is paid for going in and out."""
        return self.fees + self.spread

    def levels(self, horizon_s: float) -> Levels:
        """Where it is entered and left, by costs to a hundredth of a basis point."""
        return levels(self.usual, max(round(self.cost, FINE), 10**-FINE), round(self.spread, FINE), horizon_s)

    def still_earns(self, leave: float) -> tuple[float, float]:
        """(what the way from here to a level brings after what holding costs until then, the days that it takes)."""
        days = days_to(self.usual, self.away, leave)
        return self.away - leave - self.carry.per_day * days, days


def bet(
    view: View,
    legs: tuple[Quote, Quote],
    costs: tuple[Costs, Costs],
    fees: tuple[Taken, Taken],
    usual: tuple[Usual, Usual],
    size_usd: Decimal,
    *,
    held: bool,
) -> Bet:
    """A bet of a size that is held, or may be; each pair is of (what is bought, what is sold)."""
    buy, sell = legs
    more = 0.0 if held else float(size_usd) / (sell.mid * sell.shares_per_unit)
    lent = view.ledger.held.get(sell.number, 0.0) - more < 0
    carry = carried(view, buy.number, costs[0]), carried(view, sell.number, costs[1], sold=True, lent=lent)
    both = dict(carry[0].parts)
    for component, per_day in carry[1].parts.items():
        both[component] = both.get(component, 0.0) + per_day
    whole = Carried(carry[0].per_day + carry[1].per_day, both, carry[0].why or carry[1].why)
    against = usual[1].against(usual[0])
    missing = fees[0].why or fees[1].why or whole.why
    return Bet(buy=buy, sell=sell, usual=against, fees=fees[0].share + fees[1].share, carry=whole, why=missing)
