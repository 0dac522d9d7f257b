"""Which of two venues moves first, and how closely a token moves with its share, from prints alone.

Nothing is filled forward. A venue that prints seldom, filled forward, always seems to follow; the covariance of
Hayashi and Yoshida (2005) takes each move of one venue with the moves of the other over all intervals that overlap it,
so it needs no common times. Hoffmann, Rosenbaum and Yoshida (2013) shift one of the two: the side on which more of the
squared covariance lies is the one that leads.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, NamedTuple

import numpy as np
from numba import njit, types

from connectors.events import F8, I8, NAN, NS
from strategies.market.kernel import KEPT

LAGS_S: Final = tuple(range(20, 301, 20))
"""Both ways; between two of them the moves of prints that are ten seconds apart still overlap."""
LEAST_MOVES: Final = 30
QUIET: Final = 1e-4
"""One sigma of the share's moves below which nothing moves enough to tell how closely it is followed."""

_I, _F = (types.Array(one, 1, "A", readonly=True) for one in (types.int64, types.float64))


class Lead(NamedTuple):
    """How two venues stand to each other."""

    side: float
    """From -1 (the other venue leads) to 1 (this one does); NaN where too little moved."""
    lag_s: float
    """By how much the largest covariance is shifted: above 0 the other venue follows."""
    correlation: float
    """At that lag."""


def covariance(ts: I8, x: F8, other_ts: I8, other: F8, lag_ns: int) -> float:
    """Sum of products of moves over overlapping intervals, the other series taken `lag_ns` later than it was."""
    if len(ts) < 2 or len(other_ts) < 2:
        return NAN
    return float(_covariances(ts, x, other_ts, other, np.array([lag_ns]))[0])


@njit(types.float64[::1](_I, _F, _I, _F, _I), cache=KEPT)
def _covariances(ts, x, other_ts, other, lags):  # type: ignore[no-untyped-def]
    """`covariance` of several lags: both series are walked through once for each."""
    found, end = np.zeros(len(lags)), len(other_ts) - 1
    for n in range(len(lags)):
        lag, first, last = lags[n], 0, 0
        for at in range(len(ts) - 1):
            # From the last print of the other one by the start of this interval to the first one by its end.
            begins, ends = ts[at] + lag, ts[at + 1] + lag
            while first < end and other_ts[first + 1] <= begins:
                first += 1
            while last < end and other_ts[last] < ends:
                last += 1
            found[n] += (x[at + 1] - x[at]) * (other[last] - other[first])
            first = max(first, last - 1)
    return found


def lead(ts: I8, price: F8, other_ts: I8, other: F8) -> Lead:
    """Who leads, from prints (ns UTC, USD per share) of two venues over the time that both cover."""
    nothing = Lead(NAN, NAN, NAN)
    if not (len(ts) and len(other_ts)):
        return nothing
    start, end = max(ts[0], other_ts[0]), min(ts[-1], other_ts[-1])
    here, there = (ts >= start) & (ts <= end), (other_ts >= start) & (other_ts <= end)
    ts, x, other_ts, y = ts[here], np.log(price[here]), other_ts[there], np.log(other[there])
    if min(len(ts), len(other_ts)) < LEAST_MOVES:
        return nothing
    scale = float(np.sqrt(np.sum(np.diff(x) ** 2) * np.sum(np.diff(y) ** 2)))
    if not scale > 0:
        return nothing
    lags = np.array([0, *LAGS_S, *(-lag for lag in LAGS_S)])
    found = _covariances(ts, x, other_ts, y, lags * NS) / scale
    ahead, behind = np.sum(found[1 : len(LAGS_S) + 1] ** 2), np.sum(found[len(LAGS_S) + 1 :] ** 2)
    best = int(np.argmax(np.abs(found)))
    side = float((ahead - behind) / (ahead + behind)) if ahead + behind > 0 else NAN
    return Lead(side, int(lags[best]), float(found[best]))


def tracking_beta(ts: I8, price: F8, fair: F8, step_s: float = 300.0) -> float:
    """Slope of the token's moves on those of the fair value over steps of at least `step_s`; 1 is a token that follows.

    NaN with fewer than LEAST_MOVES / 2 steps, or where the fair value hardly moved.
    """
    if len(ts) < 2:
        return NAN
    moments, step, kept, at = ts.tolist(), round(step_s * NS), [], 0
    while at < len(moments):
        kept.append(at)
        at = bisect_left(moments, moments[at] + step)
    token, share = np.diff(np.log(price[kept])), np.diff(np.log(fair[kept]))
    if len(share) < LEAST_MOVES // 2 or not float(np.std(share)) > QUIET:
        return NAN
    return float(np.sum(token * share) / np.sum(share * share))
