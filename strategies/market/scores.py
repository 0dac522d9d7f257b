"""How good forecasts with an error bar were: CRPS, log score, PIT and coverage of a Gaussian, and ratios of RMSEs.

CRPS of N(m, s^2) at y, with w = (y - m) / s: s (w (2 Phi(w) - 1) + 2 phi(w) - 1 / sqrt(pi)); Gneiting and Raftery 2007.
Log score: minus the log density. Of both, less is better. PIT: Phi(w), uniform where the error bar is honest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, pi, sqrt
from typing import Final

import numpy as np

from connectors.events import F8, I8, NAN

NINETY_FIVE: Final = 1.959963984540054
"""Sigmas to each side that hold 95 % of a Gaussian."""

FEWEST_CLUSTERS: Final = 6
"""With fewer, even clusters that all say the same do so by chance more than once in twenty times (2 / 2^5 = 6 %), and a
bootstrap of them is narrower than what it does not know."""


def pit(mean: F8, sd: F8, y: F8) -> F8:
    """Probability that the forecast gave to values below y."""
    return np.array([(1 + erf(w / sqrt(2))) / 2 for w in np.ravel((y - mean) / sd).tolist()]).reshape(np.shape(y))


def log_score(mean: F8, sd: F8, y: F8) -> F8:
    """Minus the log density at y."""
    return np.asarray(0.5 * np.log(2 * pi * sd**2) + 0.5 * ((y - mean) / sd) ** 2)


def crps(mean: F8, sd: F8, y: F8) -> F8:
    """Continuous ranked probability score at y, in the unit of y; |y - mean| where sd is 0."""
    sd, off = np.broadcast_to(sd, np.shape(y)), y - mean
    w = off / np.where(sd > 0, sd, 1.0)
    density = np.exp(-(w**2) / 2) / sqrt(2 * pi)
    spread = sd * (w * (2 * pit(mean, np.where(sd > 0, sd, 1.0), y) - 1) + 2 * density - 1 / sqrt(pi))
    return np.where(sd > 0, spread, np.abs(off))


def covered(mean: F8, sd: F8, y: F8, sigmas: float = NINETY_FIVE) -> F8:
    """1 where y lies within so many sigmas of the forecast, else 0."""
    return (np.abs(y - mean) <= sigmas * sd).astype(np.float64)


def rms(error: F8) -> float:
    """Root of the mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(error)))) if len(error) else NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number, and the 95 % interval that resampling whole clusters gives it."""

    value: float
    low: float
    high: float
    n: int
    clusters: int

    def against(self, level: float) -> str:
        """`below` or `above` a level; `cannot tell` where the interval holds it, or there are too few clusters."""
        if self.clusters < FEWEST_CLUSTERS:
            return "cannot tell"
        if self.high < level:
            return "below"
        return "above" if self.low > level else "cannot tell"


def rms_ratio(error: F8, other: F8, cluster: I8, chance: np.random.Generator, draws: int = 4000) -> Interval:
    """RMS of `error` over RMS of `other` (both NaN-free, [n]), clusters drawn with replacement."""
    return _resampled(np.stack((error**2, other**2), axis=1), cluster, chance, draws, _root_ratio)


def share_interval(hits: F8, cluster: I8) -> Interval:
    """Share of hits (1 or 0), with Wilson's interval of as many tries as there are clusters.

    Careful on purpose: members of a cluster tell less than so many tries, and a bootstrap of hits only has no width.
    """
    count = len(np.unique(cluster))
    if count == 0:
        return Interval(value=NAN, low=NAN, high=NAN, n=0, clusters=0)
    p, z2 = float(np.mean(hits)), NINETY_FIVE**2 / count
    middle, half = (p + z2 / 2) / (1 + z2), sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2)
    return Interval(value=p, low=max(0.0, middle - half), high=min(1.0, middle + half), n=len(hits), clusters=count)


def mean_ratio(values: F8, other: F8, cluster: I8, chance: np.random.Generator, draws: int = 4000) -> Interval:
    """Mean of values over mean of others, clusters drawn with replacement."""
    return _resampled(np.stack((values, other), axis=1), cluster, chance, draws, _ratio)


def _ratio(sums: F8) -> F8:
    """First over second sum."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def _root_ratio(sums: F8) -> F8:
    """Its root."""
    return np.sqrt(_ratio(sums))


def _resampled(pairs: F8, cluster: I8, chance: np.random.Generator, draws: int, of: Callable[[F8], F8]) -> Interval:
    """What `of` makes of the sums of pairs [n, 2], with quantiles over draws of as many clusters."""
    _, place = np.unique(cluster, return_inverse=True)
    count = int(place.max(initial=-1)) + 1
    sums = np.stack([np.bincount(place, column, count) for column in pairs.T], axis=1)
    if count == 0:
        return Interval(value=NAN, low=NAN, high=NAN, n=0, clusters=0)
    value = float(of(sums.sum(axis=0)))
    if count == 1:
        return Interval(value=value, low=NAN, high=NAN, n=len(pairs), clusters=1)
    drawn = of(sums[chance.integers(count, size=(draws, count))].sum(axis=1))
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return Interval(value=value, low=low, high=high, n=len(pairs), clusters=count)
