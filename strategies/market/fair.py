"""Fair value of a share, first form: the best source, with an error that grows with age, faster in some sessions.

Error model. A source said price S at `as_of`; at a later t one sigma of log(fair / S) is the square root of

    source_error^2 + (half_spread / 1.5)^2 + daily_vol^2 * (W(t) - W(as_of))

where W is the variance clock (French and Roll 1986): it counts regular trading days, and each session lets it run at
its own rate. It stands still for nobody: a quote that has not changed for a weekend is a weekend less certain.

The fit (scripts/fit_widths.py, first half in time of each file; one sigma = the width that covers 68.27 %, a quantile,
because returns have fat tails and a standard deviation would be a third too wide):

- daily_vol: open-to-close log returns of the last 252 days of the first half: AAPL 121, AMZN 163, TSLA 266 bps (year to
  November 2023), SPY 61 (year to March 2025). A later year is calmer (AAPL 102, AMZN 135, TSLA 234, SPY 61): write
  today's into the config.
- night (post 4 h + overnight 8 h + pre 5.5 h): 0.295 regular days, from 1,677 closes to next opens. These returns
  cannot tell the three parts apart; their shape is taken from the oracles of five share perps in August 2026 (variance
  per hour against regular: post 0.054, overnight 0.083, pre 0.287). Lean's few days of minute quotes of AAPL (three,
  none with earnings) agree for pre (0.39) and say less for post (0.02).
- weekend: 48 h add 0.078 days (374 spans of 0.373 with their night); holiday: 24 h add 0.15 days (86 spans: long
  weekends and early closes).

One-sigma coverage on the second half (AAPL, AMZN, TSLA to May 2026; SPY to March 2026), aim 68 %. A constant width has
0.85 daily sigmas whatever the age, which covers 68.27 % of the first half:

    class of span        spans   this model   constant width   closed markets at rest
    regular day          2,126      73.5 %        67.1 %             73.5 %
    night                1,650      70.2 %        84.4 %              0.4 %
    weekend                378      60.8 %        74.1 %              0.3 %
    holiday                 98      70.4 %        78.6 %              1.0 %
    all of these         4,252      71.0 %        74.7 %             37.0 %
    regular, 5 min       9,116      76.1 %       100.0 %             76.1 %
    regular, 30 min      8,534      77.1 %        98.8 %             77.1 %
    regular, 2 h         7,854      80.8 %        92.4 %             80.8 %

The rows within a day use the volatility of the 252 days before them. They are wide for TSLA, whose spring of 2026 was
calmer than the year before, and near 70 % for SPY.

Silence. A source that does not speak any more makes no fair value once `max_silence_days` of W have passed, whatever
the error is: a limit on the error alone lets a share with a daily volatility of 61 bps be silent for months. Two days,
the default, are read off the same widths: the longest time between two regular sessions (an early close, a holiday and
the weekend) has 0.55; from one close to the next there are 1.30, over a long weekend 1.53, so a tape of daily closes
stays known. A source that stops at an open is out by the end of the next day; 12 calendar days have 10.5.
"""

from __future__ import annotations

from enum import IntEnum
from math import inf, sqrt
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from connectors.events import F8, I8, NAN
from strategies.market.session import Session, SessionTable

HOUR_NS: Final = 3600 * 10**9
BPS: Final = 1e4

SESSION_DAYS_PER_HOUR: Final[dict[Session, float]] = {
    Session.PRE: 0.0345,
    Session.REGULAR: 1 / 6.5,
    Session.POST: 0.0065,
    Session.OVERNIGHT: 0.0099,
    Session.WEEKEND: 0.0016,
    Session.HOLIDAY: 0.0064,
    Session.UNKNOWN: inf,
}
"""Regular trading days of variance per hour of a session; the fit stands in this file's docstring. In an unknown
session the error is infinite, so nothing is judged by it."""

RATE_PER_NS: Final[F8] = np.array([SESSION_DAYS_PER_HOUR[session] / HOUR_NS for session in Session])
"""Regular trading days of variance per nanosecond, by Session code."""

DEFAULT_DAILY_VOL_BPS: Final[dict[str, float]] = {"AAPL": 121.0, "AMZN": 163.0, "SPY": 61.0, "TSLA": 266.0}
"""One-sigma move of a share over a regular session, where the config names none; from the fit above."""

SPREAD_SIGMAS: Final = 1.5
"""A half-spread counts as this many sigmas of the mid."""


class RefRefusal(IntEnum):
    """Why a reference quote is not believed; OK means that it is."""

    OK = 0
    CROSSED = 1
    WIDE = 2
    STUB = 3
    FROZEN = 4
    HALTED = 5
    OUT_OF_HOURS = 6
    NOT_FINITE = 7


class FairValue(msgspec.Struct, frozen=True, gc=False):
    """What one share is worth in USD, one sigma of doubt about it, who said so and when."""

    price: float
    error: float
    """One sigma in USD."""
    source: int
    """Number of the share source in it; -1 where it stands on witnesses alone."""
    as_of: int
    """When that source spoke, ns UTC; 0 without one."""
    witnesses: int = 0
    """Independent witnesses in it besides that source."""
    own: float = 1.0
    """How much of it, from 0 to 1, that source alone makes up."""
    stretch: float = 1.0
    """How many times its error is what it would be if those who speak did not contradict each other."""

    @property
    def error_bps(self) -> float:
        """One sigma in bps of the price."""
        return self.error / self.price * BPS

    def sigmas(self, price: float) -> float:
        """How many sigmas another price of the share lies above (+) or below (-) this one."""
        return (price - self.price) / self.error


class VarianceClock(NamedTuple):
    """W at each change of session, in regular trading days since the table began; linear in between."""

    edges: I8
    """Starts of the sessions and the end of the last one, ns UTC: n + 1 of them."""
    days: F8
    """W at each edge."""
    rates: F8
    """Days per ns in each of the n spans."""

    def at(self, ns: int) -> float:
        """W at a moment, in regular trading days; NaN outside the table."""
        return float(self.many(np.array([ns]))[0])

    def many(self, ns: npt.ArrayLike) -> F8:
        """W at many moments (ns UTC), in their shape; NaN outside the table."""
        moments = np.asarray(ns, dtype=np.int64)
        place = np.searchsorted(self.edges, moments, side="right") - 1
        inside = (place >= 0) & (moments <= self.edges[-1])
        span = np.clip(place, 0, len(self.rates) - 1)
        return np.where(inside, self.days[span] + (moments - self.edges[span]) * self.rates[span], NAN)


def variance_clock(table: SessionTable, rate_per_ns: F8 = RATE_PER_NS) -> VarianceClock:
    """The variance clock of a session table; `rate_per_ns` holds days of variance per ns by Session code."""
    edges = np.append(table.starts, np.int64(table.until))
    rates = rate_per_ns[table.codes]
    return VarianceClock(edges, np.concatenate(([0.0], np.cumsum(np.diff(edges) * rates))), rates)


def fair_value(
    *,
    bid: float,
    ask: float,
    source: int,
    as_of: int,
    now: int,
    clock: VarianceClock,
    daily_vol_bps: float,
    source_error_bps: float,
    max_error_bps: float = inf,
    max_silence_days: float = inf,
) -> FairValue | None:
    """The fair value that a source's last quote gives at `now` (ns UTC), or None where it is unknown.

    Unknown means: the quote is crossed, not positive or not finite, it lies in the future, the moment is outside the
    session table, one sigma is above `max_error_bps`, or more than `max_silence_days` of variance have passed. Which of
    several sources to take is the caller's choice: the one with the smallest error. The formula is the error model in
    this file's docstring.
    """
    if not (0 < bid <= ask < inf and as_of <= now):
        return None
    mid = (bid + ask) / 2
    half_spread_bps = (ask - bid) / 2 / mid * BPS
    days = clock.at(now) - clock.at(as_of)
    variance = source_error_bps**2 + (half_spread_bps / SPREAD_SIGMAS) ** 2 + daily_vol_bps**2 * days
    if not (variance <= max_error_bps**2 and days <= max_silence_days) or variance == inf:
        return None
    return FairValue(price=mid, error=mid * sqrt(variance) / BPS, source=source, as_of=as_of)
