"""The best trade between offers of one share: which to take and how much of each, in orders that can be sent.

Two offers of one level each have a closed form, and so has a size that the best two can fill whole; everything else is
the search of strategies/pricing/lots.py, which gives the same there (tested). Lots of tokens that are worth different
numbers of shares may never meet. Then orders are multiples of the coarsest lot, rounded down to whole lots of their
own, and what is bought differs from what is sold by less than a lot.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from math import lcm
from typing import Final, NamedTuple

from strategies.pricing.choice import Venue, best_trade
from strategies.pricing.curve import book
from strategies.pricing.lots import Book, size_in_lots, unit_of
from strategies.pricing.offers import ZERO, Offer

MEETS: Final = 10
"""Lots meet where a common multiple of them is at most so many of the coarsest."""
LOOKS: Final = 100
"""How long the search goes on; then it tells how far it may be from the best."""
NO_SIZE: Final = "no_size"
"""What pays by its price shows no size, or there is no room for it."""
TOO_SMALL: Final = "too_small"
"""What pays is too little for what is fixed, for lots, or for the least orders."""
NOTHING_USD: Final = Decimal("1e-12")
"""A gap that is no more is rounding."""
_EXACT: Final = Context(prec=50)


class Leg(NamedTuple):
    """One order."""

    offer: Offer
    units: Decimal
    value: Decimal
    """What its levels ask or pay for them, in quote coins."""
    worst: Decimal
    """Price of the last level that it takes."""


class Crossing(NamedTuple):
    """A trade, after all costs; USD."""

    legs: tuple[Leg, ...]
    shares: Decimal
    """Bought."""
    bought_usd: Decimal
    """Without costs."""
    sold_usd: Decimal
    profit_usd: Decimal
    fixed_usd: Decimal
    """Of the costs, what does not depend on the size."""
    marginal_buy: Decimal
    """What the last share costs, all in but what is fixed."""
    marginal_sell: Decimal
    """What the last share brings."""
    gap_usd: Decimal
    """No trade brings more than this beyond it, where each share must bring the edge that is asked for."""


class Grid(NamedTuple):
    """In which steps lots of several instruments can be traded against each other."""

    shares: Decimal
    """Of one step."""
    units: tuple[Decimal, ...]
    """The same for each instrument."""
    meets: bool
    """They are whole lots."""
    alike: bool
    """They are one lot."""


class _Side(NamedTuple):
    """An offer and what its levels cost or bring, USD per share, as far as they can be part of a trade."""

    offer: Offer
    prices: list[Decimal]


def cross(
    offers: Sequence[Offer], *, size_usd: Decimal | None, size_units: Decimal | None, edge_usd: Decimal, max_legs: int
) -> Crossing | str:
    """The most profitable trade, or one word why there is none: NO_SIZE or TOO_SMALL.

    It buys at most what the cheapest offer would sell for `size_usd`, or `size_units` of it. Each share must bring more
    than `edge_usd` (at least 0) after its own costs, and all of them more than that after what is fixed. With more than
    `max_legs` orders the smallest are left out. What that may cost, or lots of different sizes, the gap says.
    """
    buy, sell, lowest, highest = None, None, ZERO, ZERO
    for one in offers:
        if one.levels:
            price = one.levels[0][0] * one.factor
            if one.buy and (buy is None or price < lowest):
                buy, lowest = one, price
            elif not one.buy and (sell is None or price > highest):
                sell, highest = one, price
    if buy is None or sell is None or lowest + edge_usd >= highest:
        return NO_SIZE
    cap = _cap(buy, size_usd, size_units)
    if len(offers) == 2 and len(buy.levels) == len(sell.levels) == 1:
        return _pair(buy, sell, cap, edge_usd) or TOO_SMALL
    made = _pair(buy, sell, cap, edge_usd) if _fill_it(offers, buy, sell, cap) else None
    return made or _best(offers, lowest + edge_usd, highest - edge_usd, cap, edge_usd, max_legs) or TOO_SMALL


def _fill_it(offers: Sequence[Offer], buy: Offer, sell: Offer, cap: Decimal) -> bool:
    """Whether the cheapest and the dearest offer hold all that may be traded, and no other could make up for a worse
    price by what is fixed or by its lot."""
    if any([one.fixed_usd for one in offers]) or not _grid(offers).alike:
        return False
    return buy.levels[0][1] * buy.shares >= cap <= sell.levels[0][1] * sell.shares


def _pair(buy: Offer, sell: Offer, cap: Decimal, edge: Decimal) -> Crossing | None:
    """The best trade between the best levels of two offers: each step brings the same, so all are made or none. None
    where they bring nothing, or less than a least order."""
    grid = _grid((buy, sell))
    (ask, asked), (bid, wanted) = buy.levels[0], sell.levels[0]
    possible = min(asked / grid.units[0], wanted / grid.units[1], cap / grid.shares)
    count = possible // 1
    bought, sold = count * grid.units[0], count * grid.units[1]
    if not grid.meets:
        bound = possible * grid.shares * (bid * sell.factor - ask * buy.factor - edge) - buy.fixed_usd - sell.fixed_usd
        return _told(_rounded(((buy, bought), (sell, sold))), bound, edge)
    shares, paid, received = count * grid.shares, bought * ask, sold * bid
    if paid * buy.usd < buy.least_usd or received * sell.usd < sell.least_usd:
        return None
    cost, brings = ask * buy.factor, bid * sell.factor
    fixed = buy.fixed_usd + sell.fixed_usd
    profit = shares * (brings - cost) - fixed
    if not profit > edge * shares:
        return None
    gap = ZERO if grid.alike else (possible - count) * grid.shares * (brings - cost - edge)
    return Crossing(
        (Leg(buy, bought, paid, ask), Leg(sell, sold, received, bid)),
        shares, paid * buy.usd, received * sell.usd, profit, fixed, cost, brings, gap,
    )  # fmt: skip


def _best(
    offers: Sequence[Offer], lowest: Decimal, highest: Decimal, cap: Decimal, edge: Decimal, max_legs: int
) -> Crossing | None:
    """The best trade by the search. A level is worth a look below `highest` where one buys, above `lowest` where one
    sells; one at which no share pays may complete a lot, and what that could bring is in the gap."""
    every = [_Side(one, [price * one.factor for price, _ in one.levels]) for one in offers if one.levels]
    sides = [
        _Side(offer, good)
        for offer, prices in every
        if (good := [price for price in prices if (price < highest if offer.buy else price > lowest)])
    ]
    legs, bound = _searched(sides, cap, edge)
    if any(_usd(offer, units) < offer.least_usd for offer, units in legs):
        # What takes no heed of least orders still bounds what does.
        legs, _ = _searched(every, cap, edge, heed_least=True)
    while len(legs) > max_legs:
        least = min(legs, key=lambda leg: leg[1] * leg[0].shares)[0]
        every = [one for one in every if one.offer is not least]
        legs, _ = _searched(every, cap, edge, heed_least=True)
    return _told(legs, bound, edge)


def _cap(cheapest: Offer, size_usd: Decimal | None, size_units: Decimal | None) -> Decimal:
    """The most shares that may be bought. Raises ValueError without any size."""
    if size_usd is not None:
        return size_usd / (cheapest.levels[0][0] * cheapest.usd) * cheapest.shares
    if size_units is None:
        raise ValueError("neither a size in USD nor in units")
    return size_units * cheapest.shares


def _grid(offers: Sequence[Offer]) -> Grid:
    first = offers[0]
    if all([one.lot == first.lot and one.shares == first.shares for one in offers]):
        lots = (first.lot,) * len(offers)
        return Grid(_EXACT.multiply(first.lot, first.shares), lots, meets=True, alike=True)
    return grid_of(tuple([(one.lot, one.shares) for one in offers]))


@lru_cache(maxsize=4096)
def grid_of(lots: tuple[tuple[Decimal, Decimal], ...]) -> Grid:
    """The steps of instruments with these lots (units) and shares per unit."""
    with localcontext(_EXACT):
        held = [lot * shares for lot, shares in lots]
        unit = unit_of(held)
        counts = [int(one / unit) for one in held]
        step = lcm(*counts)
        if step > MEETS * max(counts):
            coarsest = max(held)
            return Grid(coarsest, tuple(coarsest / shares for _, shares in lots), meets=False, alike=False)
        units = tuple(lot * (step // count) for (lot, _), count in zip(lots, counts, strict=True))
        return Grid(step * unit, units, meets=True, alike=max(counts) == min(counts))


def _usd(offer: Offer, units: Decimal) -> Decimal:
    """What so many units of the best level are worth."""
    return units * offer.levels[0][0] * offer.usd if offer.least_usd else ZERO


def _searched(
    sides: Sequence[_Side], cap: Decimal, edge: Decimal, *, heed_least: bool = False
) -> tuple[list[tuple[Offer, Decimal]], Decimal]:
    """Units of each order by the search over lots, and what no trade can pass."""
    grid = _grid([one.offer for one in sides])
    books = [_book(one, grid, edge, heed_least=heed_least) for one in sides]
    found = size_in_lots(books, cap=cap, looks=LOOKS)
    orders = [(sides[order.book].offer, order.tokens) for order in found.orders]
    if grid.alike:
        return orders, found.bound_usd
    if not grid.meets:
        orders = _rounded([(offer, shares / offer.shares) for offer, shares in orders])
    return orders, Decimal(best_trade([_venue(one, edge) for one in sides], cap=float(cap)).profit_usd)


def _book(side: _Side, grid: Grid, edge: Decimal, *, heed_least: bool) -> Book:
    """An offer for the search; where lots do not meet it is in shares, and its lot is the coarsest of all."""
    offer = side.offer
    levels, lot, shares = offer.levels[: len(side.prices)], offer.lot, offer.shares
    if not grid.meets:
        levels = tuple((price / shares, units * shares) for price, units in levels)
        lot, shares = grid.shares, Decimal(1)
    return Book(
        asks=levels if offer.buy else (),
        bids=() if offer.buy else levels,
        lot=lot,
        least_notional=offer.least_usd / offer.usd if heed_least else ZERO,
        fee=offer.rate,
        usd=offer.usd,
        shares=shares,
        carry=edge if offer.buy else ZERO,
        fixed_usd=offer.fixed_usd,
    )


def _venue(side: _Side, edge: Decimal) -> Venue:
    """The same without lots, which no lots can pass."""
    offer = side.offer
    curve = book(
        [(float(price), float(units)) for price, units in offer.levels[: len(side.prices)]],
        buy=offer.buy,
        fee=float(offer.rate),
        usd=float(offer.usd),
        shares=float(offer.shares),
        carry=float(edge) if offer.buy else 0.0,
    )
    fixed = float(offer.fixed_usd)
    return Venue(buy=curve, fixed_usd=fixed) if offer.buy else Venue(sell=curve, fixed_usd=fixed)


def _rounded(legs: Sequence[tuple[Offer, Decimal]]) -> list[tuple[Offer, Decimal]]:
    """Whole lots, so that what is bought and what is sold differ by less than one."""
    whole = [(offer, units // offer.lot * offer.lot) for offer, units in legs]
    whole = [(offer, units) for offer, units in whole if units]
    net = sum((units * offer.shares * (1 if offer.buy else -1) for offer, units in whole), ZERO)
    heavy = [at for at, (offer, _) in enumerate(whole) if offer.buy is (net > 0)]
    if heavy:
        at = min(heavy, key=lambda at: whole[at][0].lot * whole[at][0].shares)
        offer, units = whole[at]
        whole[at] = offer, units - abs(net) // (offer.lot * offer.shares) * offer.lot
    return [(offer, units) for offer, units in whole if units > 0]


def _told(legs: Sequence[tuple[Offer, Decimal]], bound: Decimal, edge: Decimal) -> Crossing | None:
    """What orders come to; None where they do not bring what is asked for, or one is smaller than it may be."""
    made = [_leg(offer, units) for offer, units in legs]
    buys, sells = ([leg for leg in made if leg.offer.buy is side] for side in (True, False))
    if not (buys and sells) or any(leg.value * leg.offer.usd < leg.offer.least_usd for leg in made):
        return None
    bought, sold = (sum((leg.units * leg.offer.shares for leg in side), ZERO) for side in (buys, sells))
    paid, received = (
        sum((leg.value * leg.offer.factor * leg.offer.shares for leg in side), ZERO) for side in (buys, sells)
    )
    marginal_buy = max(leg.worst * leg.offer.factor for leg in buys)
    fixed = sum((leg.offer.fixed_usd for leg in made), ZERO)
    # What is over is worth what the last share costs; what is short must still be bought for that.
    profit = received - paid - fixed + (bought - sold) * marginal_buy
    beyond = profit - edge * bought
    if not beyond > 0:
        return None
    gap = bound - beyond
    return Crossing(
        legs=tuple(made),
        shares=bought,
        bought_usd=sum((leg.value * leg.offer.usd for leg in buys), ZERO),
        sold_usd=sum((leg.value * leg.offer.usd for leg in sells), ZERO),
        profit_usd=profit,
        fixed_usd=fixed,
        marginal_buy=marginal_buy,
        marginal_sell=min(leg.worst * leg.offer.factor for leg in sells),
        gap_usd=gap if gap > NOTHING_USD else ZERO,
    )


def _leg(offer: Offer, units: Decimal) -> Leg:
    """So many units of an offer's best levels."""
    value, worst, left = ZERO, ZERO, units
    for price, size in offer.levels:
        if left <= 0:
            break
        taken = min(left, size)
        value, worst, left = value + taken * price, price, left - taken
    return Leg(offer, units, value, worst)
