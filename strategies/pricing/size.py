"""How much of a good thing to do: Kelly's fraction, and the size at which impact has eaten the edge."""

from __future__ import annotations

from typing import NamedTuple


def kelly_binary(win: float, odds: float) -> float:
    """Part of the capital that grows fastest on a bet won with probability `win` that pays `odds` for one: (p b - (1 -
    p)) / b (Kelly 1956). Negative: do not bet."""
    return (win * odds - (1.0 - win)) / odds


def kelly_gaussian(mean: float, variance: float) -> float:
    """The same for a return with this mean and variance, small ones: mean / variance."""
    return mean / variance


class ImpactSize(NamedTuple):
    """Sizes in USD where impact grows with the root of size."""

    best: float
    """Of the largest profit."""
    profit: float
    """At that size: a third of the edge is left, USD."""
    zero: float
    """From which on nothing is left."""


def impact_size(edge: float, daily_vol: float, volume_usd_per_day: float, coefficient: float = 1.0) -> ImpactSize:
    """Where an edge (part of the price) meets an impact of Y s sqrt(Q / ADV).

    Profit is Q (e - Y s sqrt(Q / ADV)), so Q* = ADV (2 e / (3 Y s))^2 with Q* e / 3, and none is left at
    ADV (e / (Y s))^2.
    """
    reach = edge / (coefficient * daily_vol)
    best = volume_usd_per_day * (2.0 / 3.0 * reach) ** 2
    return ImpactSize(best, best * edge / 3.0, volume_usd_per_day * reach * reach)
