"""What an Ornstein-Uhlenbeck premium does by itself: time outside a band, the way to a level, its variance ratio.

They are what observed spells and swings are held against: more time outside than this is not ordinary reversion.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import erf, erfc, exp, expm1, pi, sqrt
from typing import Final

import numpy as np

from connectors.events import F8, I8, NAN, NS

_TWO: Final = sqrt(2)
_ROOT: Final = sqrt(2 * pi)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
LAG_SLACK: Final = 0.25
"""Pairs of prints count for a lag when their distance is within this share of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """How a Gaussian AR(1) around 0 visits the outside of a band. The continuous process would cross without end."""

    fraction: float
    """Share of the steps outside."""
    entry_probability: float
    """Of a step from inside to outside."""
    mean_steps: float
    """Length of a visit."""
    steps_between: float
    """From one entry to the next."""


def outside(band: float, sd: float, phi: float, mean: float = 0.0) -> Outside:
    """Visits to |x| > band of an AR(1) with stationary mean and sd and coefficient phi (0 <= phi < 1).

    The share is the normal law's; the entry probability is the bivariate normal's, by Gauss-Legendre over the inside.
    """
    low, high, rest = (-band - mean) / sd, (band - mean) / sd, sqrt(1 - phi * phi)
    fraction, entry = above(high) + above(-low), 0.0
    edges = sorted({low, *(e for e in (low + 6 * rest, high - 6 * rest) if low < e < high), high})
    for start, end in pairwise(edges):
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            x = (start + end) / 2 + (end - start) / 2 * node
            leave = above((high - phi * x) / rest) + above((phi * x - low) / rest)
            entry += weight * (end - start) / 2 * exp(-x * x / 2) / sqrt(2 * pi) * leave
    return Outside(
        fraction=fraction,
        entry_probability=entry,
        mean_steps=fraction / entry if entry > 0 else NAN,
        steps_between=1 / entry if entry > 0 else NAN,
    )


def above(z: float) -> float:
    """P(N(0, 1) > z)."""
    return 0.5 * erfc(z / _TWO)


def passage_time(x: float, target: float, *, theta: float, kappa: float, sigma: float) -> float:
    """Mean time of an OU process from x to a target, in the unit of 1 / kappa.

    Upwards it is the integral from x to the target of sqrt(2 pi) exp(z^2 / 2) Phi(z) / (kappa s) dy with
    z = (y - theta) / s and s = sigma / sqrt(2 kappa); downwards the mirror image.
    """
    s = sigma / sqrt(2 * kappa)
    low, high = (x - theta) / s, (target - theta) / s
    if high < low:
        low, high = -low, -high
    total, pieces = 0.0, max(1, int(high - low))
    for piece in range(pieces):
        start, width = low + (high - low) * piece / pieces, (high - low) / pieces
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            total += weight * width / 2 * mills(start + width * (node + 1) / 2)
    return total / kappa


def mills(z: float) -> float:
    """sqrt(2 pi) exp(z^2 / 2) Phi(z); far below 0 by its series, where Phi alone is lost."""
    if z < -20:
        return -1 / z * (1 - 1 / z**2 + 3 / z**4)
    return _ROOT * exp(z * z / 2) * 0.5 * (erfc(-z / _TWO) if z < 0 else 1 + erf(z / _TWO))


def variance_ratio_ou(kappa: float, dt: float, q: int) -> float:
    """Variance of moves over q steps over q times that of one step, for an OU process; 1 for a random walk.

    (1 - e^{-kappa dt q}) / (q (1 - e^{-kappa dt})).
    """
    return expm1(-kappa * dt * q) / (q * expm1(-kappa * dt))


def variance_ratio(ts: I8, x: F8, step_s: float, q: int, *, least: int = 30) -> float:
    """The same of prints at irregular times, from pairs whose distance is near one step or q; nothing is filled in.

    NaN where one of the two lags has fewer than `least` pairs. Each print has at most one partner a lag, the nearest.
    """
    squares = []
    for lag_ns in (step_s * NS, q * step_s * NS):
        after = np.searchsorted(ts, ts + np.int64(lag_ns))
        before = np.maximum(after - 1, 0)
        after = np.minimum(after, len(ts) - 1)
        nearer = np.abs(ts[after] - ts - lag_ns) < np.abs(ts[before] - ts - lag_ns)
        partner = np.where(nearer, after, before)
        gap = (ts[partner] - ts).astype(np.float64)
        near = np.abs(gap - lag_ns) <= LAG_SLACK * lag_ns
        if int(near.sum()) < least:
            return NAN
        # Each square is brought to its lag as a random walk's would be, so uneven partners do not bias a ratio of 1.
        squares.append(float(np.mean((x[partner] - x)[near] ** 2 * (lag_ns / gap[near]))))
    return squares[1] / (q * squares[0]) if squares[0] > 0 else NAN
