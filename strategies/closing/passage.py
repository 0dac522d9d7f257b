"""How long an Ornstein-Uhlenbeck deviation takes to its mean, what is earned until then, and how far it goes first.

In stationary standard deviations y dy = -kappa y dt + sqrt(2 kappa) dW, from z > 0 to the first zero. By reflection
P(T > t) = 2 Phi(z / sqrt(e^(2 kappa t) - 1)) - 1, and e^(kappa t) y is a martingale until then. Standard results; own
derivations of the moments.
"""

from __future__ import annotations

from math import ceil, erf, exp, expm1, inf, log, log1p, pi, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

from strategies.market.excursions import mills

_NORMAL: Final = NormalDist()
_STEPS: Final = 200
_FAR: Final = 12.0
"""Stationary deviations behind which only the exponent of the scale function counts."""
_NEVER: Final = 30.0
"""Stationary deviations that are reached after e^450 relaxations."""


def quantile(z: float, kappa: float, part: float) -> float:
    """Time by which this part of all such deviations is back, in the unit of 1 / kappa."""
    return log1p((z / _NORMAL.inv_cdf(1 - part / 2)) ** 2) / (2 * kappa)


class Held(NamedTuple):
    """A bet on the way back that is given up at a horizon, in stationary standard deviations."""

    gain: float
    """Expected."""
    sd: float
    open: float
    """Probability that it is given up."""
    time: float
    """Expected until the end, in the unit of 1 / kappa."""


def held(z: float, kappa: float, horizon: float) -> Held:
    """Held until it is back or the horizon comes.

    What is left at the horizon has mean z e^(-kappa h) (counting 0 where it was back), its second moment is that of
    the reflected normal law.
    """
    left, var = z * exp(-kappa * horizon), -expm1(-2 * kappa * horizon)
    root = sqrt(var)
    there = erf(left / root / sqrt(2))
    square = (left * left + var) * there + 2 * left * root * exp(-left * left / (2 * var)) / sqrt(2 * pi)
    times = (min(horizon, quantile(z, kappa, (at + 0.5) / _STEPS)) for at in range(_STEPS))
    return Held(z - left, sqrt(max(0.0, square - left * left)), there, sum(times) / _STEPS)


def farthest(z: float, probability: float) -> float:
    """How far it goes before it is back in so many of all cases: S(z) / S(b) = probability, S(b) = int_0^b e^(u^2/2).

    The scale function of the process; b by bisection. Far out S(b) is e^(b^2/2) / b, so that b^2 is z^2 + 2 ln(1 / p).
    """
    if z > _FAR:
        return sqrt(z * z - 2 * log(probability))
    goal, low, high = _scale(z) / probability, z, z + 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _scale(middle) < goal else (low, middle)
    return high


def _scale(b: float) -> float:
    """int_0^b e^(u^2/2) du, by Simpson's rule."""
    step = b / _STEPS
    inside = sum((4 if at % 2 else 2) * exp((at * step) ** 2 / 2) for at in range(1, _STEPS))
    return step / 3 * (1 + inside + exp(b * b / 2))


def reached(low: float, high: float, kappa: float) -> float:
    """Expected time from `low` up to `high`, in the unit of 1 / kappa; inf where it is beyond all numbers.

    Standard: the integral of sqrt(2 pi) e^(y^2/2) Phi(y) from `low` to `high`, over kappa.
    """
    if high > _NEVER:
        return inf
    count = max(20, 2 * ceil(5 * (high - low)))
    step = (high - low) / count
    inside = sum([(4 if at % 2 else 2) * mills(low + at * step) for at in range(1, count)])
    return step / 3 * (mills(low) + inside + mills(high)) / kappa
