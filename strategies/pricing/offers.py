"""What may be bought or sold of a share at one instrument now: levels, all costs, lots and least order, exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf, isfinite
from typing import NamedTuple

from connectors.exact import exact
from connectors.orders import Side
from connectors.ports import Level
from strategies.base import View
from strategies.market import kernel as K
from strategies.market.depth import behind

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a leg at an instrument must respect."""

    lot: Decimal
    """Smallest step of the quantity, in units."""
    least_usd: Decimal = ZERO
    """Smallest order."""


class Offer(NamedTuple):
    """One side of one instrument."""

    instrument: int
    buy: bool
    """We buy what is offered; else we sell into it."""
    levels: tuple[tuple[Decimal, Decimal], ...]
    """(price in quote coins, units), best first; no more units than there is room for."""
    usd: Decimal
    """Per quote coin."""
    shares: Decimal
    """Per unit."""
    rate: Decimal
    """All that a leg costs, as a share of its notional."""
    factor: Decimal
    """USD per share, all in but for what is fixed, of a price of one quote coin."""
    fixed_usd: Decimal
    """All that an order costs whatever its size."""
    lot: Decimal
    """Units."""
    least_usd: Decimal
    """Smallest order."""


def offer_of(view: View, number: int, *, buy: bool, terms: Terms, room: Decimal) -> Offer:
    """What an instrument with a quote in force offers now, up to `room` units of it."""
    columns = view.columns
    facts, f = columns.facts[number], columns.f_rows[number]
    costs = facts.costs
    rate, fixed = (exact(facts.cost or 0.0), ZERO) if costs is None else (costs.rate, costs.fixed_usd)
    usd, shares = exact(f[K.USD_PER_UNIT]), exact(f[K.SHARES_PER_UNIT])
    levels = _within(visible(view, number, buy=buy), room)
    factor = factor_of(usd, shares, rate, buy=buy)
    return Offer(number, buy, levels, usd, shares, rate, factor, fixed, terms.lot, terms.least_usd)


def factor_of(usd: Decimal, shares: Decimal, rate: Decimal, *, buy: bool) -> Decimal:
    """USD per share of a price of one quote coin, with what a leg costs."""
    each = usd * (1 + rate) if buy else usd * (1 - rate)
    return each if shares == 1 else each / shares


def visible(view: View, number: int, *, buy: bool) -> Sequence[Level]:
    """(price, units) that an order may still find, best first: the quote in force, less what we took of it and what our
    orders under way may take, and the levels of the book behind it. Nothing where no size is known.

    What we took since the venue's last print may be of any level, so until it prints again only the best one counts.
    """
    columns = view.columns
    price, left = columns.f_rows[number][K.ASK if buy else K.BID], view.left(number, Side.BUY if buy else Side.SELL)
    if columns.universe[number].one_price:
        half = columns.facts[number].assumed_half_spread or 0.0
        price *= 1 + half if buy else 1 - half
    levels = view.levels(number, view.now)
    if levels is None or columns.taken(number, bid=not buy):
        return ((price, left),) if 0.0 < left < inf else ()
    if not isfinite(left):
        return ()
    found: list[Level] = []
    beyond = 0.0
    """What orders under way may take that the levels so far do not hold."""
    for at, size in [(price, left), *behind(levels, price, bids=not buy)]:
        left, beyond = size - beyond, max(0.0, beyond - size)
        if left > 0.0:
            found.append((at, left))
    return found


def _within(levels: Sequence[Level], room: Decimal) -> tuple[tuple[Decimal, Decimal], ...]:
    """The first `room` units of levels, exactly."""
    if len(levels) == 1:
        price, size = levels[0]
        units = min(exact(size), room)
        return ((exact(price), units),) if units > 0 else ()
    found = []
    for price, size in levels:
        if room <= 0:
            break
        units = min(exact(size), room)
        found.append((exact(price), units))
        room -= units
    return tuple(found)
