"""Premium statistics: from samples (time, premium in bps) to level, spread and spells outside a band.

A sample is a print of the token; between prints nothing is assumed. Absolute values are taken before quantiles, and
quantiles interpolate linearly. Absent results are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from connectors.events import F8, I8, NAN, NS

MAD_SD: Final = 1.482602218505602
"""Standard deviations of a normal law in one median absolute deviation: 1 / Phi^-1(3/4)."""


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


class Baseline(NamedTuple):
    """What is ordinary: the median and the median absolute deviation from it; NaN without samples."""

    median: float
    mad: float

    @property
    def scale(self) -> float:
        """One robust standard deviation."""
        return MAD_SD * self.mad

    def z(self, value: float) -> float:
        """Robust distance of a value in standard deviations; NaN where the deviation is 0 or not known."""
        return (value - self.median) / self.scale if self.mad > 0 else NAN


def baseline(values: F8) -> Baseline:
    """Median and median absolute deviation of samples."""
    if len(values) == 0:
        return Baseline(NAN, NAN)
    median = float(np.median(values))
    return Baseline(median, float(np.median(np.abs(values - median))))


class Executable(NamedTuple):
    """Premia as shares of the price: at the mid, and what is left of them after a trade through the issuer."""

    mid: float
    mint: float
    """Buy the share, mint, sell the token."""
    redeem: float
    """Buy the token, redeem, sell the share."""


def executable(
    *,
    share: tuple[float, float],
    token: tuple[float, float],
    multiplier: float,
    fx: float,
    fee_token: float = 0.0,
    fee_share: float = 0.0,
    fee_mint: float = 0.0,
    fee_redeem: float = 0.0,
) -> Executable:
    """Premium at the mids and by both ways through the issuer, from (bid, ask) of the share and of the token.

    `multiplier` shares per token, `fx` USD per quote coin, fees as shares of the price. The mint way is at most the
    premium, the redeem way at most -premium / (1 + premium); an alarm looks at the mid, a trade at the other two.
    """
    (s_bid, s_ask), (t_bid, t_ask) = share, token
    return Executable(
        mid=(t_bid + t_ask) * fx / (multiplier * (s_bid + s_ask)) - 1,
        mint=t_bid * fx * (1 - fee_token) / (multiplier * s_ask * (1 + fee_share) * (1 + fee_mint)) - 1,
        redeem=multiplier * s_bid * (1 - fee_share) * (1 - fee_redeem) / (t_ask * fx * (1 + fee_token)) - 1,
    )
