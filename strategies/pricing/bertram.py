"""Where to enter and leave a reverting premium so that it earns most over time: Bertram's two levels.

dX = -alpha X dt + eta dW is the deviation from its mean (log). A cycle enters at a, leaves at m > a, and waits until X
is back at a; it earns m - a - c, with c what both trades cost. Times are in the unit of 1 / alpha. Bertram 2010,
Physica A 389 (11) 2234-2243, for the problem and E[T]; the root by Dawson's integral and V[T] by one quadrature are own
derivations.
"""

from __future__ import annotations

from itertools import pairwise
from math import exp, inf, pi, sinh, sqrt
from typing import Final, NamedTuple

import numpy as np

from strategies.market.excursions import mills

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_STEP: Final = 0.25
"""Step of Dawson's sum; its error is e^(-(pi / (2 h))^2) = 7e-18."""
_FAR: Final = 9.0
"""Standard deviations behind which a normal law has nothing that counts."""

_HOPELESS: Final = 25.0
"""Stationary deviations that a premium reaches once in e^(25^2 / 2) relaxations: never."""


class Cycle(NamedTuple):
    """A way of trading a premium again and again."""

    enter: float
    leave: float
    profit: float
    """Of one cycle, log."""
    mean_time: float
    var_time: float

    @property
    def rate(self) -> float:
        """Expected profit per unit of time."""
        return self.profit / self.mean_time

    @property
    def rate_var(self) -> float:
        """Variance of the profit per unit of time: (m - a - c)^2 V[T] / E[T]^3."""
        return self.profit**2 * self.var_time / self.mean_time**3 if self.mean_time < inf else 0.0


def best_cycle(alpha: float, eta: float, cost: float) -> Cycle:
    """The cycle of the highest rate, which is symmetric: a = -m. Raises ValueError as `best_level`."""
    level = best_level(alpha, eta, cost)
    return cycle(alpha, eta, cost, enter=-level, leave=level)


def best_level(alpha: float, eta: float, cost: float) -> float:
    """The m of the best cycle, without its moments, which take a hundred times as long.

    With z = m sqrt(alpha) / eta the condition erfi(z) = (2 z - c sqrt(alpha) / eta) e^(z^2) / sqrt(pi) is
    z - D(z) = c sqrt(alpha) / (2 eta), whose left side rises from 0: Newton's steps from above. Raises ValueError for
    numbers that are not above 0; without a cost the best cycles are infinitely small.
    """
    if not (0 < alpha < inf and 0 < eta < inf and 0 < cost < inf):
        raise ValueError(f"no levels for alpha {alpha}, eta {eta}, cost {cost}")
    asked = cost * sqrt(alpha) / (2 * eta)
    # Both are above the root: D is below 0.55, and z - D is above z^3 / 2 where z is below 0.7.
    z = asked + 0.55 if asked > 0.17 else (2 * asked) ** (1 / 3)
    while True:
        step = (z - dawson(z) - asked) / (2 * z * dawson(z))
        if not step > 1e-15 * z:
            break
        z -= step
    return z * eta / sqrt(alpha)


def cycle(alpha: float, eta: float, cost: float, *, enter: float, leave: float) -> Cycle:
    """Moments of the cycle between two levels. Raises ValueError where `enter` is not below `leave`."""
    if not enter < leave:
        raise ValueError(f"a cycle enters below where it leaves, not at {enter} and {leave}")
    deviation = eta / sqrt(2 * alpha)
    low, high = enter / deviation, leave / deviation
    if max(-low, high) > _HOPELESS:
        return Cycle(enter, leave, leave - enter - cost, inf, inf)
    mean = sqrt(2 * pi) * (_rise(high) - _rise(low)) / alpha
    return Cycle(enter, leave, leave - enter - cost, mean, (_var(low, high) + _var(-high, -low)) / alpha**2)


def dawson(x: float) -> float:
    """D(x) = e^(-x^2) times the integral of e^(t^2) from 0 to x, to a few roundings.

    Rybicki 1989 (Computers in Physics 3, 85): sampled at the odd multiples of a step. Far out it is its own series.
    """
    if abs(x) > 12:
        return 1 / (2 * x) * (1 + 1 / (2 * x**2) * (1 + 3 / (2 * x**2) * (1 + 5 / (2 * x**2) * (1 + 7 / (2 * x**2)))))
    last = int((abs(x) + 7) / _STEP)
    parts = (
        exp(-((n * _STEP) ** 2) - x * x) * sinh(2 * x * n * _STEP) / n if abs(x) * n * _STEP < 300 else 0.0
        for n in range(1, last, 2)
    )
    return 2 / sqrt(pi) * sum(parts)


def _rise(y: float) -> float:
    """The integral of e^(t^2 / 2) from 0 to y."""
    return sqrt(2) * exp(y * y / 2) * dawson(y / sqrt(2))


def _var(low: float, high: float) -> float:
    """Variance of the first time at `high` from `low` of dY = -Y dt + sqrt(2) dW.

    It solves V'' - y V' = -2 (T')^2 with T' = -mills(y), so V is the integral of 2 mills(r)^2 e^(-r^2 / 2) over all r
    below `high`, times the integral of e^(s^2 / 2) from max(low, r) to it.
    """
    top, total = _rise(high), 0.0
    edges = np.concatenate((np.arange(low - _FAR, low - 0.5), np.linspace(low, high, int(2 * (high - low)) + 2)))
    for start, end in pairwise(edges.tolist()):
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            r = start + (end - start) * (node + 1) / 2
            total += weight * (end - start) * mills(r) ** 2 * exp(-r * r / 2) * (top - _rise(max(low, r)))
    return total
