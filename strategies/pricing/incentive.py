"""Who pays the owners of a pool (LPs): fees of swaps, and a subsidy that ends. What is left when it does.

Free entry: money comes to a pool until what it earns there is what its owners ask for, (F + 365 I) / D = rho + LVR,
with fees F in USD a year, subsidy I in USD a day, value D (TVL) in USD, required return rho and LVR per year
(strategies/pricing/lvr.py). Own derivation; volume is taken not to depend on depth. Where it does, the fall is larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Final

DAYS: Final = 365.0


def subsidy_share(fees_per_day: float, subsidy_per_day: float) -> float:
    """Part of what LPs are paid that is subsidy, I / (f + I); NaN where nothing is paid or something is unknown.

    It is also the part of the pool's value, and so of the size that can be traded, that leaves when the subsidy ends
    (the cliff): D falls from (F + 365 I) / (rho + LVR) to F / (rho + LVR), whatever rho and LVR are.
    """
    income = fees_per_day + subsidy_per_day
    return subsidy_per_day / income if income > 0.0 else nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Income:
    """A pool's year. Anything may be NaN, and what follows from it is NaN then."""

    tvl_usd: float
    fees_usd_per_day: float
    subsidy_usd_per_day: float
    lvr_apr: float
    required_return: float
    """Per year, a part of one."""

    @property
    def fee_apr(self) -> float:
        """Fees per year as a share of the value."""
        return DAYS * self.fees_usd_per_day / self.tvl_usd

    @property
    def subsidy_apr(self) -> float:
        """Subsidy per year as a share of the value, while it is paid."""
        return DAYS * self.subsidy_usd_per_day / self.tvl_usd

    @property
    def net_apr(self) -> float:
        """What LPs earn over holding the same mix, per year."""
        return self.fee_apr + self.subsidy_apr - self.lvr_apr

    @property
    def breakeven_subsidy_per_day(self) -> float:
        """The least subsidy at which the value that is there may stay: max(0, (rho + LVR) D - F) / 365."""
        lacking = ((self.required_return + self.lvr_apr) * self.tvl_usd) / DAYS - self.fees_usd_per_day
        return 0.0 if lacking < 0.0 else lacking

    @property
    def tvl_with(self) -> float:
        """Value at which free entry stops while the subsidy is paid, USD."""
        return DAYS * (self.fees_usd_per_day + self.subsidy_usd_per_day) / (self.required_return + self.lvr_apr)

    @property
    def tvl_without(self) -> float:
        """Value that fees alone carry, USD."""
        return DAYS * self.fees_usd_per_day / (self.required_return + self.lvr_apr)


def breakeven_turnover_per_day(lvr_apr: float, fee: float) -> float:
    """Volume per day, as a share of the value, whose fees (a part of it) make up for LVR."""
    return lvr_apr / (DAYS * fee)
