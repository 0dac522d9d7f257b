"""A two-sided CUSUM on standardised innovations, and how long it runs: until a false alarm, and until a true one.

    up = max(0, up + z - k),  down = max(0, down - z - k),  alarm while either is at least h

An observation z is N(0, 1) while nothing has changed, and k is half of the shift that is to be found soonest. The mean
run length L(s) from a sum s solves L(s) = 1 + Phi(k - s - m) L(0) + int_0^h phi(y - s + k - m) L(y) dy where m is the
shift; it is solved at Gauss-Legendre nodes (Nystrom), and both sides together have 1 / L = 1 / L_up + 1 / L_down
(Page 1954; Lucas and Crosier 1982). A level that moves by d shows in the innovations of an AR(1) as d (1 - phi) after
the first one, so a slow drift is nearly invisible there: averages over spans that are long beside the half-life, put
into a second CUSUM, see it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import erf, expm1, inf, isfinite, log, sqrt
from typing import Final

import numpy as np

from connectors.events import F8

OVERSHOOT: Final = 1.166
"""Siegmund's correction: a sum of normal steps is this far beyond 0 and h together, in sd, when it passes them."""
NODES_PER_SD: Final = 8
LONGEST_RUN: Final = 1e9
"""Longer run lengths are lost in the rounding of the integral equation, and nobody could check them."""


@dataclass(slots=True)
class Cusum:
    """The detector of one series. Raises ValueError for a k below 0 or an h that is not above 0."""

    k: float
    h: float
    cap: float = inf
    """One observation counts for at most this many sigmas, so that a single wild print cannot raise an alarm while
    cap - k < h. It only lengthens the in-control run."""
    up: float = 0.0
    down: float = 0.0
    up_since: int = 0
    """Moment of the observation with which the sum left 0 last: the likeliest beginning of the change."""
    down_since: int = 0

    def __post_init__(self) -> None:
        """Refuses what can never be quiet or never alarm."""
        if not (self.k >= 0 and 0 < self.h < inf and self.cap > self.k):
            raise ValueError(f"a CUSUM needs k >= 0, h > 0 and a cap above k, not k={self.k}, h={self.h}, {self.cap}")

    def hear(self, z: float, ts: int) -> int:
        """Takes one observation of moment `ts`: +1 or -1 while a side is in alarm (the larger one), else 0.

        An observation that is not finite says nothing. The sums stop at 2 h, so that an alarm does not outlast its
        cause by as long as that lasted; who wants a fresh start after an alarm calls `reset`.
        """
        if not isfinite(z):
            return self.alarm
        z = min(max(z, -self.cap), self.cap)
        if self.up == 0.0:
            self.up_since = ts
        if self.down == 0.0:
            self.down_since = ts
        self.up = min(max(0.0, self.up + z - self.k), 2 * self.h)
        self.down = min(max(0.0, self.down - z - self.k), 2 * self.h)
        return self.alarm

    @property
    def alarm(self) -> int:
        """+1 or -1 for the side in alarm, 0 for none."""
        if max(self.up, self.down) < self.h:
            return 0
        return 1 if self.up >= self.down else -1

    @property
    def since(self) -> int:
        """When the larger sum left 0."""
        return self.up_since if self.up >= self.down else self.down_since

    def reset(self) -> None:
        """Begins anew."""
        self.up = self.down = 0.0


@dataclass(slots=True)
class Spans:
    """Averages of a series over whole spans of the clock, for a CUSUM of slow drift. Silent spans have no average."""

    span_ns: int
    _span: int = -1
    _count: int = 0
    _sum: float = 0.0

    def hear(self, value: float, ts: int) -> tuple[float, int] | None:
        """Takes one value; with the first of a later span, gives the mean of the span before and its count."""
        if not isfinite(value):
            return None
        span, done = ts // self.span_ns, None
        if span != self._span:
            if self._count:
                done = self._sum / self._count, self._count
            self._span, self._count, self._sum = span, 0, 0.0
        self._count += 1
        self._sum += value
        return done


def mean_variance(span_s: float, half_life_s: float, count: int) -> float:
    """Variance of the mean of `count` values within a span, as a share of the variance of one value of an OU process.

    That of its integral over the span, 2 (q - 1 + e^-q) / q^2 with q = kappa * span, and at least 1 / count.
    Neighbouring means correlate by about 1 / (2 q): a stated run length holds for spans of ten half-lives and more.
    """
    q = log(2) / half_life_s * span_s
    whole = 2 * (q + expm1(-q)) / q**2 if q > 1e-4 else 1 - q / 3
    return max(whole, 1 / count)


def run_length_brownian(drift: float, h: float) -> float:
    """Mean time for a Brownian motion of this drift and variance 1, held at 0 from below, to reach h.

    (e^{-2 d h} + 2 d h - 1) / (2 d^2), and h^2 without drift. On the scale of the log-likelihood ratio of a shift mu,
    whose h is h / mu here, its drift is -mu / 2 before the change and mu / 2 after it.
    """
    if abs(drift) * h < 1e-4:
        return h * h * (1 - 2 * drift * h / 3)
    return (expm1(-2 * drift * h) + 2 * drift * h) / (2 * drift * drift)


def siegmund(k: float, h: float, shift: float = 0.0) -> float:
    """Siegmund's approximation of the one-sided mean run length, in observations; within a few per cent."""
    return run_length_brownian(shift - k, h + OVERSHOOT)


def arl(k: float, h: float, shift: float = 0.0, *, two_sided: bool = True) -> float:
    """Mean number of observations to an alarm from a fresh start, when the mean has moved by `shift` sd.

    Good to 1e-6 where it is below 1e9; inf beyond.
    """
    one = _run_length(k, h, shift)
    return 1 / (1 / one + 1 / _run_length(k, h, -shift)) if two_sided else one


def threshold_for(run_length: float, k: float, *, two_sided: bool = True) -> float:
    """The h with which a false alarm comes once in `run_length` observations on average.

    Raises ValueError for one above 1e9, and for one that every h above 0 exceeds.
    """
    shortest = arl(k, 1e-9, two_sided=two_sided)
    if not shortest <= run_length <= LONGEST_RUN:
        raise ValueError(f"with k={k} a run length is {shortest:.3g} to {LONGEST_RUN:g} observations, not {run_length}")
    near = _bisect(lambda h: siegmund(k, h) / (1 + two_sided), run_length, 0.0, 200.0, 1e-3)
    return _bisect(lambda h: arl(k, h, two_sided=two_sided), run_length, max(0.0, near - 0.5), near + 0.5, 1e-7)


def _bisect(rising: Callable[[float], float], aim: float, low: float, high: float, tolerance: float) -> float:
    """Where a rising function reaches `aim`, between two places."""
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < aim else (low, middle)
    return (low + high) / 2


@lru_cache(maxsize=256)
def _run_length(k: float, h: float, shift: float) -> float:
    """The one-sided mean run length L(0) by the integral equation."""
    count = 16 + int(NODES_PER_SD * h)
    nodes, weights = _nodes(count)
    y, w = h / 2 * (nodes + 1), h / 2 * weights
    start = np.concatenate(([0.0], y))
    density = np.exp(-0.5 * (y[None, :] - start[:, None] + k - shift) ** 2) / sqrt(2 * np.pi)
    to_zero = np.array([0.5 * (1 + erf((k - s - shift) / sqrt(2))) for s in start.tolist()])
    system = np.eye(count + 1) - np.column_stack((to_zero, density * w))
    length = float(np.linalg.solve(system, np.ones(count + 1))[0])
    return length if 0 < length < LONGEST_RUN * 1e3 else inf


@lru_cache(maxsize=64)
def _nodes(count: int) -> tuple[F8, F8]:
    """Gauss-Legendre nodes and weights on [-1, 1]: a search for a threshold asks for the same ones again and again."""
    return np.polynomial.legendre.leggauss(count)
