"""At what deviation a hedged premium is entered and given back, and what holding it until then brings.

Bertram's optimum for what both legs cost in and out. What holding costs shifts no level: in the long run a position is
open for half of the time, so a carry of r per unit of time lowers every cycle's rate by r / 2 alike. But it decides
whether a position pays at all, and whether it still does.

A deviation is the logarithm of the price of what is sold over that of what is bought, less its usual mean: above 0
there is something to earn.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import NamedTuple

from strategies.closing.passage import reached
from strategies.closing.situation import Usual
from strategies.pricing.bertram import best_level
from strategies.pricing.carry import DAY_S


class Levels(NamedTuple):
    """Where to enter and where to leave; deviations of mids."""

    enter: float
    leave: float


@lru_cache(maxsize=1024)
def levels(usual: Usual, cost: float, spread: float, horizon_s: float) -> Levels:
    """`cost` is all that both legs cost in and out, `spread` the part of it that is bid and ask; parts of the price.

    Bertram's exit lies as far beyond the mean as the entry before it. Where costs are large against what is usual, that
    is so rare that nobody should wait for it: where the mean time from the mean to it is longer than the horizon, the
    goal is what can be had at the mean, half of the spread beyond it.
    """
    level = best_level(usual.kappa, usual.sd * sqrt(2 * usual.kappa), cost)
    if reached(0.0, level / usual.sd, usual.kappa) <= horizon_s:
        return Levels(level, -level)
    return Levels(cost - spread / 2, -spread / 2)


def days_to(usual: Usual, away: float, leave: float) -> float:
    """Expected time until a deviation has come to the level, days of 24 h."""
    return reached(-away / usual.sd, -leave / usual.sd, usual.kappa) / DAY_S if away > leave else 0.0
