"""From which premium on to mint, where that is done again and again and capital that waits earns nothing else.

What one mint earns, and on what process, is that of strategies/pricing/mint_economics.py. Own derivation.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, sqrt
from typing import Final, NamedTuple

import numpy as np

from strategies.market.excursions import above, mills
from strategies.pricing.mint_economics import Premium

_NODES: Final = tuple(zip(*(column.tolist() for column in np.polynomial.legendre.leggauss(16)), strict=True))
"""Of the integral over a piece that is at most a quarter or a standard deviation wide."""
_FAR: Final = 9.0
"""Standard deviations behind which a normal law has nothing that counts."""
_HOPELESS: Final = 30.0
"""Stationary deviations that a premium reaches once in e^(30^2 / 2) relaxations: never."""


class Entry(NamedTuple):
    """From which premium on to mint, over and over again."""

    premium: float
    """inf where no premium that ever comes pays."""
    rate: float
    """Long-run profit per unit of time and of capital."""
    profit: float
    """Expected of one mint."""
    wait: float
    """Mean time from a sale until the premium is there again."""


def renewal(premium: Premium, entry: float, *, delay: float, cost: float) -> Entry:
    """What minting at each return to `entry` earns: (mu_T - cost) / (T + wait) by renewal and reward.

    The wait is the mean way from X_T up to the entry: the integral over y below it of P(X_T < y) times the speed of
    the way there, sqrt(2 pi) e^(z^2 / 2) Phi(z) / (kappa S) with z = (y - theta) / S.
    """
    mean, sd = premium.ahead(entry, delay)
    scale = premium.stationary_sd
    top, middle, width = (entry - premium.theta) / scale, (mean - premium.theta) / scale, sd / scale
    wait = inf
    if top < _HOPELESS:
        bottom = min(middle, top) - _FAR * width
        edges = np.linspace(bottom, top, max(2, int((top - bottom) / max(width, 0.25)) + 2)).tolist()
        wait = 0.0
        for start, end in pairwise(edges):
            for node, weight in _NODES:
                z = start + (end - start) * (node + 1) / 2
                wait += weight * (end - start) / 2 * above((middle - z) / width) * mills(z)
        wait /= premium.kappa
    return Entry(entry, (mean - cost) / (delay + wait), mean - cost, wait)


def best_entry(premium: Premium, *, delay: float, cost: float) -> Entry:
    """The entry of the highest rate; `cost` is all that a mint and its sale cost.

    What one mint earns is affine in the entry and the wait is convex in it, so the rate has one peak; golden section.
    Raises ValueError for a delay that is not above 0.
    """
    if not delay > 0:
        raise ValueError(f"a delay of {delay} makes no cycle")
    scale = premium.stationary_sd
    zero = (cost - premium.theta) / scale * premium.decay(delay) if cost != premium.theta else 0.0
    low, high = premium.theta + scale * max(zero, -_HOPELESS), premium.theta + scale * _HOPELESS
    if not low < high:
        return Entry(inf, 0.0, 0.0, inf)
    golden = (sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    rates = [renewal(premium, at, delay=delay, cost=cost).rate for at in (left, right)]
    while high - low > 1e-9 * scale:
        if rates[0] >= rates[1]:
            high, right = right, left
            left = high - golden * (high - low)
            rates = [renewal(premium, left, delay=delay, cost=cost).rate, rates[0]]
        else:
            low, left = left, right
            right = low + golden * (high - low)
            rates = [rates[1], renewal(premium, right, delay=delay, cost=cost).rate]
    return renewal(premium, (low + high) / 2, delay=delay, cost=cost)
