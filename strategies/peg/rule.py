"""The numbers of one alarm rule, and how often it will be wrong by its own account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt
from typing import Final

from connectors.events import NS
from strategies.market.cusum import arl, siegmund, threshold_for
from strategies.market.session import Session

HOUR_NS: Final = 3600 * NS
MONTH_NS: Final = 30 * 24 * HOUR_NS
WARNED: Final = 50
"""A strain may be told wrongly so many times as often as a depeg."""
EXACT_BELOW: Final = 6.0
"""Thresholds below this are computed exactly, in sd of the steps."""
_STEP: Final = 0.125
"""Long-run deviations are rounded up to this, so that few thresholds are computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Prices in bps, times in ns, `z` is a print's innovation over what is usual for that venue."""

    warn_bps: Mapping[Session, float]
    depeg_bps: Mapping[Session, float]
    """Bands: beyond them a premium is strained or depegged whatever is usual here. All there is to go by until
    `warm_prints` were heard."""
    clear_share: float = 0.7
    persist_ns: int = 60 * NS
    """How long a price must have been beyond a band."""
    min_sigmas: float = 3.0
    """And how far from the fair value, in its errors."""
    run_length: float = 100_000.0
    """Samples from one false alarm of the fast sum to the next, while nothing has changed."""
    fast_sigmas: float = 3.0
    """The jump that the fast sum finds soonest, in sd of a venue's prints."""
    cap_sigmas: float = 4.5
    """One print counts for no more."""
    prints: int = 5
    """So many prints must say it."""
    least_bps: float = 75.0
    """On average by at least so much; half of it is a strain."""
    each_share: float = 0.65
    """And each by this part of that: wrong prints do not make a depeg with what happens to be beside them."""
    mean_sigmas: float = 5.25
    """And so many sd of such an average, where prints that follow each other are alike; half is a strain. Prints have
    fatter tails than the run length of a sum assumes."""
    sample_ns: int = 60 * NS
    """Prints that follow each other faster are one sample: neighbours say the same thing twice."""
    warm_prints: int = 40
    """Samples after which it is known what is usual at a venue."""
    span_ns: int = 8 * HOUR_NS
    """The slow sum hears the average premium of such spans."""
    slow_run_length: float = 2_000.0
    """Spans from one false alarm of the slow sum to the next."""
    slow_sigmas: float = 1.0
    """The drift that the slow sum finds soonest, in sd of such averages."""
    coin_bps: float = 75.0
    """A coin whose ten-minute median is further than this from one dollar has left its peg. In March 2023 this names
    USDC once, on the 10th at 22:43 UTC, for three days; 100 bps names it at 23:11, takes it back at 23:57 and names it
    again at 00:41. Neither names it at any other time of those three weeks."""
    depth_usd: float = 25_000.0
    """What must rest at a single venue for it to speak for the token, where the issuer has failed as well."""

    @property
    def k(self) -> float:
        """Half of the jump to be found: what the fast sum takes off each sample."""
        return self.fast_sigmas / 2

    @property
    def warn_run_length(self) -> float:
        """Samples from one false strain of the fast sum to the next."""
        return max(10.0, self.run_length / WARNED)

    def fast_h(self, longrun: float) -> float:
        """The fast sum's threshold at a venue whose prints have this long-run sd (1 where they are independent)."""
        return _threshold(self.run_length, self.k, _up(longrun))

    def warn_h(self, longrun: float) -> float:
        """The fast sum's threshold for a strain."""
        return _threshold(self.warn_run_length, self.k, _up(longrun))

    @property
    def slow_h(self) -> float:
        """The slow sum's threshold."""
        return _threshold(self.slow_run_length, self.slow_sigmas / 2, 1.0)

    def false_alarms_per_month(
        self, sample_gap_ns: float, *, strains: bool = False, chance: float | None = None
    ) -> float:
        """Expected of both sums together at one venue that gives a sample every `sample_gap_ns` on average; where that
        is not known yet, one a second or as often as the rule takes them. Of depegs, or also of `strains`.

        From the in-control run lengths, as if samples were normal; that several prints must agree (`prints`,
        `least_bps`) only lowers that. Fat tails raise it: `chance`, that `prints` samples in a row bear out an alarm
        without cause, counts where it says more.
        """
        samples = MONTH_NS / max(sample_gap_ns, self.sample_ns, NS)
        fast = samples / (self.warn_run_length if strains else self.run_length)
        if chance is not None:
            fast = max(fast, samples / self.prints * chance)
        return fast + MONTH_NS / self.span_ns / self.slow_run_length


def _up(longrun: float) -> float:
    """A long-run sd, at least 1, rounded up."""
    steps = min(max(longrun, 1.0), 5.0) / _STEP
    return int(steps + 1 - 1e-9) * _STEP


@lru_cache(maxsize=1024)
def _threshold(run_length: float, k: float, longrun: float) -> float:
    """The h of a sum whose observations have sd 1 each, and `longrun` per root of their number when summed.

    Far from a print such a sum moves like a random walk of independent steps of sd `longrun`. A high threshold is that
    of Siegmund's approximation, good to 6 % of the run length there: the integral equation would hold up a tick.
    """
    low, high = 0.0, 200.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        # Both sides together alarm twice as often as one.
        low, high = (middle, high) if siegmund(k / longrun, middle) / 2 < run_length else (low, middle)
    if high < EXACT_BELOW:
        high = threshold_for(max(run_length, 1.01 * arl(k / longrun, 1e-9)), k / longrun)
    return longrun * high


def longrun_of(correlation: float) -> float:
    """Long-run sd of an AR(1) series of unit variance: sqrt((1 + phi) / (1 - phi)); at least 1."""
    phi = min(max(correlation, 0.0), 0.92)
    return sqrt((1 + phi) / (1 - phi))


def half_life_s(correlation: float, gap_s: float) -> float:
    """Half-life of an AR(1) series with this correlation of neighbours `gap_s` apart; at least a tenth of that."""
    if not correlation > 1e-3:
        return gap_s / 10
    return gap_s * log(2) / -log(min(correlation, 0.999))
