"""Which of two venues moves first, and how closely a token moves with its share, from prints alone.

Nothing is filled forward. A venue that prints seldom, filled forward, always seems to follow; the covariance of
Hayashi and Yoshida (2005) takes each move of one venue with the moves of the other over all intervals that overlap it,
so it needs no common times. Hoffmann, Rosenbaum and Yoshida (2013) shift one of the two: the side on which more of the
squared covariance lies is the one that leads.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from connectors.events import F8, I8, NAN, NS

LAGS_S: Final = tuple(range(20, 301, 20))
"""Both ways; between two of them the moves of prints that are ten seconds apart still overlap."""
LEAST_MOVES: Final = 30
QUIET: Final = 1e-4
"""One sigma of the share's moves below which nothing moves enough to tell how closely it is followed."""


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
    shifted = other_ts - lag_ns
    first = np.clip(np.searchsorted(shifted, ts[:-1], side="right") - 1, 0, len(other) - 1)
    last = np.clip(np.searchsorted(shifted, ts[1:], side="left"), 0, len(other) - 1)
    return float(np.sum(np.diff(x) * (other[last] - other[first])))


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
    lags = [0, *LAGS_S, *(-lag for lag in LAGS_S)]
    found = np.array([covariance(ts, x, other_ts, y, lag * NS) for lag in lags]) / scale
    ahead, behind = np.sum(found[1 : len(LAGS_S) + 1] ** 2), np.sum(found[len(LAGS_S) + 1 :] ** 2)
    best = int(np.argmax(np.abs(found)))
    side = float((ahead - behind) / (ahead + behind)) if ahead + behind > 0 else NAN
    return Lead(side, lags[best], float(found[best]))


def tracking_beta(ts: I8, price: F8, fair: F8, step_s: float = 300.0) -> float:
    """Slope of the token's moves on those of the fair value over steps of at least `step_s`; 1 is a token that follows.

    NaN with fewer than LEAST_MOVES / 2 steps, or where the fair value hardly moved.
    """
    if len(ts) < 2:
        return NAN
    kept, last = [0], int(ts[0])
    for at, moment in enumerate(ts.tolist()):
        if moment - last >= step_s * NS:
            kept.append(at)
            last = moment
    token, share = np.diff(np.log(price[kept])), np.diff(np.log(fair[kept]))
    if len(share) < LEAST_MOVES // 2 or not float(np.std(share)) > QUIET:
        return NAN
    return float(np.sum(token * share) / np.sum(share * share))
