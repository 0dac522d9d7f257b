"""Selling or buying so many units of a token at once, over all its venues and where their coins are changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Final, NamedTuple

from strategies.pricing import curve
from strategies.pricing.routing import Route, route
from strategies.pricing.swaps import Swaps, of_curve, side_by_side

TOKEN: Final = 0
"""Its place among the assets."""
USD_AT: Final = 1
_WANTED: Final = 2
"""What a purchase is for: the token, up to the units that were asked for."""
COINS: Final = 3
"""From here on."""


class Market(NamedTuple):
    """One side of one venue, all in but for what each order costs."""

    number: int
    """Of the instrument; -1: a coin at its price."""
    coin: str
    """That is changed into USD or bought with it; empty: the token is traded."""
    swaps: Swaps
    fixed_usd: float


def way_of(token: int, money: int, buy: bool) -> tuple[int, int]:
    """What is given and what is got."""
    return (money, token) if buy else (token, money)


def amounts(markets: Sequence[Market], way: Route) -> list[tuple[float, float]]:
    """What each market takes and gives in all."""
    ends = list(accumulate((len(market.swaps.rate) for market in markets), initial=0))
    return [(float(way.taken[a:b].sum()), float(way.given[a:b].sum())) for a, b in pairwise(ends)]


def best_sale(markets: list[Market], units: float, buy: bool) -> tuple[list[Market], Route, float]:
    """The markets to use, the way through them, and the bound over all of them in USD.

    Where orders cost something fixed, the venue without which most is left is dropped, until none is.
    """
    each = _worth(markets, units) if buy else 0.0
    way = _through(markets, units, each)
    bound = float(each * way.net[_WANTED]) - way.bound if buy else way.bound
    while dear := [at for at, (taken, _) in enumerate(amounts(markets, way)) if taken and markets[at].fixed_usd]:
        without = [markets[:at] + markets[at + 1 :] for at in dear]
        few, other = max(((few, _through(few, units, each)) for few in without), key=lambda one: _left(*one))
        if _left(few, other) <= _left(markets, way):
            break
        markets, way = few, other
    return markets, way, bound


def _worth(markets: Sequence[Market], units: float) -> float:
    """USD that make each unit worth buying wherever it is offered, whatever the orders cost."""
    dearest = prod(
        max([1.0, *(float((1 / market.swaps.rate).max()) for market in markets if bool(market.coin) == coin)])
        for coin in (True, False)
    )
    return 2 * dearest + sum(market.fixed_usd for market in markets) / units


def _left(markets: Sequence[Market], way: Route) -> float:
    """What a way is worth after what each order costs, USD."""
    used = zip(markets, amounts(markets, way), strict=True)
    return way.value - sum(market.fixed_usd for market, (taken, _) in used if taken)


def _through(markets: Sequence[Market], units: float, each: float) -> Route:
    """The best way through markets: of units that are held, or to buy them where `each` is worth something."""
    swaps = [market.swaps for market in markets]
    count = 1 + max([COINS, *(int(max(one.source.max(), one.target.max())) for one in swaps)])
    value, held = [0.0] * count, [0.0] * count
    value[USD_AT], value[_WANTED] = 1.0, each
    held[USD_AT], held[TOKEN] = each * units, 0.0 if each else units
    wanted = of_curve(curve.at_price(1.0, units if each else 0.0), TOKEN, _WANTED, buy=False)
    return route(side_by_side([*swaps, wanted]), value, held)
