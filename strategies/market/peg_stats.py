"""Premium statistics: from samples (time, premium in bps) to level, spread, spells outside a band and half-life.

A sample is a print of the token; between prints nothing is assumed. Absolute values are taken before quantiles, and
quantiles interpolate linearly. Absent results are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import Final

import numpy as np

from connectors.events import F8, I8, NAN, NS

MIN_PAIRS: Final = 30
"""Fewer pairs of neighbouring prints than this tell no half-life."""
MAX_PAIRS: Final = 20_000
"""With more pairs the prints are thinned evenly; the maximum of the likelihood hardly moves, the time does."""
PRINTS_PER_HALF_LIFE: Final = 6.6
"""A half-life shorter than the median time between prints over this leaves 1 % of a deviation to the next print."""
RANDOM_WALK_DROP: Final = 2.86**2 / 2
"""How much better in log-likelihood reversion must be than a random walk with drift: Dickey-Fuller's 5 % point with a
constant, t = -2.86. The usual chi-square point is too mild here, because the null stands at the edge."""
INTERVAL_DROP: Final = 3.841458820694124 / 2
"""Drop in log-likelihood at the ends of a 95 % profile interval: the chi-square point of one parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Where the premium lies, bps; NaN where there are too few samples."""

    n: int
    mean: float
    sd: float
    """With n - 1."""
    median: float
    median_abs: float
    p95_abs: float
    max_abs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OuFit:
    """The most likely Ornstein-Uhlenbeck process: dx = kappa (theta - x) dt + sigma dW; time in the unit of `dt`."""

    kappa: float
    sigma: float
    theta: float
    loglik: float

    @property
    def half_life(self) -> float:
        """ln 2 / kappa."""
        return log(2) / self.kappa


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLife:
    """How fast half of a deviation is gone, with a 95 % interval in seconds; NaN and a note where it cannot be told."""

    seconds: float = NAN
    low: float = NAN
    high: float = NAN
    note: str = ""


def level(premium_bps: F8) -> Level:
    """Mean, spread and quantiles of samples in bps."""
    n = len(premium_bps)
    if n == 0:
        return Level(n=0, mean=NAN, sd=NAN, median=NAN, median_abs=NAN, p95_abs=NAN, max_abs=NAN)
    absolute = np.abs(premium_bps)
    return Level(
        n=n,
        mean=float(np.mean(premium_bps)),
        sd=float(np.std(premium_bps, ddof=1)) if n > 1 else NAN,
        median=float(np.median(premium_bps)),
        median_abs=float(np.median(absolute)),
        p95_abs=float(np.quantile(absolute, 0.95)),
        max_abs=float(np.max(absolute)),
    )


def share_outside(premium_bps: F8, band_bps: F8) -> float:
    """Share of the prints (not of time) with |premium| above the band of their moment; NaN without prints or band.

    Prints, because a premium exists only when the token prints: weighing by time would fill silent markets forward.
    """
    if len(premium_bps) == 0 or np.isnan(band_bps).any():
        return NAN
    return float(np.mean(np.abs(premium_bps) > band_bps))


def longest_outside_s(ts: I8, premium_bps: F8, band_bps: F8, gap_ns: int) -> float:
    """Seconds of the longest spell outside the band; 0 where there is none, NaN without prints or band.

    A spell starts at the first print outside. It ends at the first print inside, or at the last print before a silence
    longer than `gap_ns`, or at the last print of all.
    """
    if len(ts) == 0 or np.isnan(band_bps).any():
        return NAN
    outside = np.abs(premium_bps) > band_bps
    silence = np.diff(ts) > gap_ns
    breaks = np.concatenate(([True], silence))
    starts = np.flatnonzero(outside & (breaks | np.concatenate(([True], ~outside[:-1]))))
    if len(starts) == 0:
        return 0.0
    stops = np.flatnonzero(~outside | np.concatenate((silence, [True])))
    ends = stops[np.searchsorted(stops, starts)]
    return float(np.max(ts[ends] - ts[starts])) / NS


def ou_profile(x0: F8, x1: F8, dt: F8, kappa: float) -> OuFit:
    """The best theta and sigma at one kappa, from pairs x0 -> x1 after dt, with their log-likelihood.

    Exact transition of irregular times: mean theta + (x0 - theta) phi, variance sigma^2 (1 - phi^2) / (2 kappa) with
    phi = exp(-kappa dt). Both theta (weighted least squares) and sigma profile out in closed form.
    """
    weight = -np.expm1(-kappa * dt)
    variance = -np.expm1(-2 * kappa * dt) / (2 * kappa)
    step = x1 - x0 * (1 - weight)
    theta = float(np.sum(weight * step / variance) / np.sum(weight * weight / variance))
    sigma2 = float(np.mean((step - theta * weight) ** 2 / variance))
    if not sigma2 > 0:
        return OuFit(kappa=kappa, sigma=0.0, theta=theta, loglik=inf)
    loglik = -0.5 * (len(dt) * (np.log(2 * np.pi * sigma2) + 1) + float(np.sum(np.log(variance))))
    return OuFit(kappa=kappa, sigma=float(np.sqrt(sigma2)), theta=theta, loglik=float(loglik))


def ou_fit(x0: F8, x1: F8, dt: F8) -> OuFit:
    """The maximum of the likelihood over kappa: a grid of twelve decades around 1 / median(dt), then golden section."""
    grid = np.geomspace(1e-8, 1e4, 121) / float(np.median(dt))
    best = int(np.argmax([ou_profile(x0, x1, dt, float(kappa)).loglik for kappa in grid]))
    low, high = (float(np.log(grid[min(max(at, 0), len(grid) - 1)])) for at in (best - 1, best + 1))
    golden = (5**0.5 - 1) / 2
    inner = [high - golden * (high - low), low + golden * (high - low)]
    value = [ou_profile(x0, x1, dt, float(np.exp(at))).loglik for at in inner]
    while high - low > 1e-9:
        if value[0] >= value[1]:
            high, inner[1], value[1] = inner[1], inner[0], value[0]
            inner[0] = high - golden * (high - low)
            value[0] = ou_profile(x0, x1, dt, float(np.exp(inner[0]))).loglik
        else:
            low, inner[0], value[0] = inner[0], inner[1], value[1]
            inner[1] = low + golden * (high - low)
            value[1] = ou_profile(x0, x1, dt, float(np.exp(inner[1]))).loglik
    return ou_profile(x0, x1, dt, float(np.exp((low + high) / 2)))


def half_life(ts: I8, premium_bps: F8, gap_ns: int) -> HalfLife:
    """Half-life of deviations from their own mean, by the exact OU likelihood, with a 95 % profile interval.

    Pairs are neighbouring prints at most `gap_ns` apart; of several prints of one instant the last one counts. It is
    not told, with the reason in `note`: too few pairs, no movement, no better than a random walk (Dickey-Fuller, 5 %),
    or faster than the prints can show. With an unknown mean the estimate is a little short (Kendall).
    """
    last = np.concatenate((ts[1:] > ts[:-1], [True])) if len(ts) else np.zeros(0, dtype=bool)
    ts, x = ts[last], premium_bps[last]
    if len(ts) > MAX_PAIRS:
        every = -(-len(ts) // MAX_PAIRS)
        ts, x = ts[::every], x[::every]
    near = np.diff(ts) <= gap_ns
    x0, x1, dt = x[:-1][near], x[1:][near], np.diff(ts)[near] / NS
    if len(dt) < MIN_PAIRS:
        return HalfLife(note=f"{len(dt)} pairs of prints within the gap; a half-life needs {MIN_PAIRS}")
    if np.ptp(x1 - x0) == 0:
        return HalfLife(note="the premium does not move")
    found = ou_fit(x0, x1, dt)
    slowest = 1e-7 / float(np.median(dt))
    if not found.loglik - ou_profile(x0, x1, dt, slowest).loglik >= RANDOM_WALK_DROP:
        return HalfLife(note="no return to a mean that differs from a random walk at 5 %")
    floor = found.loglik - INTERVAL_DROP
    high = log(2) / _edge(x0, x1, dt, found.kappa, slowest, floor)
    if found.half_life * PRINTS_PER_HALF_LIFE < float(np.median(dt)):
        return HalfLife(note=f"too fast for these prints: below {max(high, found.half_life):.3g} s")
    fastest = _edge(x0, x1, dt, found.kappa, 1e4 / float(np.min(dt)), floor)
    return HalfLife(seconds=found.half_life, low=log(2) / fastest, high=high)


def _edge(x0: F8, x1: F8, dt: F8, inside: float, outside: float, floor: float) -> float:
    """The kappa between two at which the profile falls to `floor`; `outside` itself where it does not fall so far."""
    if ou_profile(x0, x1, dt, outside).loglik >= floor:
        return outside
    near, far = log(inside), log(outside)
    while abs(far - near) > 1e-7:
        middle = (near + far) / 2
        if ou_profile(x0, x1, dt, float(np.exp(middle))).loglik >= floor:
            near = middle
        else:
            far = middle
    return float(np.exp((near + far) / 2))
