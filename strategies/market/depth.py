"""What a size would really cost: walking the levels of a book, and how much of it rests near the mid.

Only what the levels show is counted. Where they end before the size is filled the answer says so; nothing is guessed
beyond the last level.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, nan, sqrt
from typing import NamedTuple

from connectors.ports import Level, Levels


class Walk(NamedTuple):
    """A size taken from one side of a book, best price first."""

    units: float
    """Units that the levels hold, up to the size."""
    value: float
    """What they cost, quote currency."""
    worst: float
    """Price of the last level that was touched; nan where there was none."""
    enough: bool
    """Whether the levels hold the whole size."""

    @property
    def price(self) -> float:
        """Volume-weighted average price of the whole size; nan where the levels do not hold it."""
        return self.value / self.units if self.enough and self.units > 0.0 else nan


def for_units(side: Sequence[Level], units: float) -> Walk:
    """Takes `units` from one side, whose prices run away from the best. A size that is not above zero is not filled."""
    taken = value = 0.0
    worst = nan
    if not (isfinite(units) and units > 0.0):
        return Walk(0.0, 0.0, nan, enough=False)
    for price, size in side:
        if not size > 0.0:
            continue
        worst = price
        if taken + size >= units:
            return Walk(units, value + (units - taken) * price, price, enough=True)
        taken += size
        value += size * price
    return Walk(taken, value, worst, enough=False)


def for_value(side: Sequence[Level], value: float) -> Walk:
    """Takes units worth `value` (quote currency) from one side; else as `for_units`."""
    taken = spent = 0.0
    worst = nan
    if not (isfinite(value) and value > 0.0):
        return Walk(0.0, 0.0, nan, enough=False)
    for price, size in side:
        if not size > 0.0:
            continue
        worst = price
        if spent + size * price >= value:
            return Walk(taken + (value - spent) / price, value, price, enough=True)
        taken += size
        spent += size * price
    return Walk(taken, spent, worst, enough=False)


def behind(levels: Levels, best: float, *, bids: bool) -> list[Level]:
    """The levels of one side that lie behind the `best` price, which may be newer than they: each is worse than the one
    before, and what is not is left out."""
    found, last = list[Level](), best
    for price, size in levels.bids if bids else levels.asks:
        if size > 0.0 and (0.0 < price < last if bids else last < price < inf):
            found.append((price, size))
            last = price
    return found


class Resting(NamedTuple):
    """What rests on one side within a band of the mid."""

    value: float
    """Quote currency."""
    complete: bool
    """The levels reach beyond the band, so this is all of it; else it is at least this much."""


def resting(levels: Levels, share: float, *, bids: bool) -> Resting:
    """What rests within `share` of the mid (0.01 is 1 %, the edge included) on one side. Nothing for an empty side."""
    if not (levels.bids and levels.asks):
        return Resting(0.0, complete=False)
    mid = 0.5 * (levels.bids[0][0] + levels.asks[0][0])
    if bids:
        edge = mid * (1.0 - share)
        inside = [price * size for price, size in levels.bids if price >= edge]
        return Resting(sum(inside), complete=len(inside) < len(levels.bids))
    edge = mid * (1.0 + share)
    inside = [price * size for price, size in levels.asks if price <= edge]
    return Resting(sum(inside), complete=len(inside) < len(levels.asks))


def sellable(levels: Levels, share: float) -> Resting:
    """What can be sold at once at an average price no worse than `share` under the mid (0.01 is 1 %), quote currency.

    Not complete where the levels end before: then it is at least this much.
    """
    if not (levels.bids and levels.asks):
        return Resting(0.0, complete=False)
    least = 0.5 * (levels.bids[0][0] + levels.asks[0][0]) * (1.0 - share)
    units = value = 0.0
    for price, size in levels.bids:
        if value + price * size < least * (units + size):
            units_here = (value - least * units) / (least - price)
            return Resting(value + price * units_here, complete=True)
        units += size
        value += price * size
    return Resting(value, complete=False)


def pool_value(levels: Levels, fee: float) -> float:
    """Value of a pool of x y = k that would show these bids, quote currency; NaN without levels or a fee.

    A sale that takes the price from P to P s^2 gets V/2 (1 - s), on average P s (1 - fee) a unit: so s is the average
    bid over P (1 - fee), and V = 2 value / (1 - s). P is the root of best bid times best ask, in which the fee cancels.
    """
    if not (levels.bids and levels.asks):
        return nan
    units = sum(size for _, size in levels.bids)
    value = sum(price * size for price, size in levels.bids)
    if not units > 0.0:
        return nan
    left = value / units / (sqrt(levels.bids[0][0] * levels.asks[0][0]) * (1.0 - fee))
    return 2.0 * value / (1.0 - left) if left < 1.0 else nan
