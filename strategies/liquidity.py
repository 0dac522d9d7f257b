"""The liquidity cliff: pools whose depth is paid for by a subsidy that ends, and what could still be sold afterwards.

By free entry (strategies/pricing/incentive.py) a pool loses, when its incentive ends, the part of its depth that is the
incentive's part of what its liquidity is paid; who holds its token then can sell that much less of it. The warning
comes while that part is above `warn_share` and the end nearer than `warn_days`; it has hysteresis, and stays for
`hold_days` after the end, since not everybody leaves at once. Liquidity that leaves earlier than `warn_days` before the
end is not foreseen by this rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from math import isfinite, nan, sqrt
from typing import Final

import msgspec

from connectors.events import NS
from connectors.instruments import Universe
from strategies.base import Decision, Every, Note, View, Wake
from strategies.market import kernel as K
from strategies.market.depth import pool_value, sellable
from strategies.market.pools import DAY_NS, INCENTIVE, Pools, PoolTerms, Program
from strategies.pricing.incentive import Income, subsidy_share
from strategies.pricing.lvr import full_range_exit, lvr_apr

BANDS: Final = (0.01, 0.02)
"""How far under the mid the average price of a sale may be; the first one makes the cap."""

EVERY_NS: Final = 60 * NS
"""How often a pool is looked at."""

SLACK_DAYS: Final = 0.5
"""A warning is taken back only when the end has moved this far beyond the limit."""

VARIANCE_DAYS: Final = 332.0
"""Regular trading days of variance in a year: 252 with their nights (0.295 each), 52 weekends (0.078) and ten holidays
(0.15), the rates of strategies/market/fair.py. A gap over closed hours costs a pool as much as the same variance in
small steps, up to terms of its square."""


class Cliff(IntEnum):
    """Whether a pool's depth is about to leave."""

    UNKNOWN = 0
    CLEAR = 1
    WARNING = 2


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """What could be sold at once in a pool, USD; NaN is unknown."""

    band: float
    """How far under the mid the average price may be, a part of it."""
    now: float
    after: float
    """Once the incentive is over, by free entry."""
    complete: bool
    """Else `now` and `after` are at least this much: the levels that are told end before."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One pool at one moment; NaN is unknown."""

    instrument: int
    state: Cliff
    usd_per_day: float
    """What is paid to its liquidity now."""
    ends_ns: int
    """0 is unknown."""
    days: float
    """To the end; negative after it."""
    volume_usd_per_day: float
    volume_by: str
    fees_usd_per_day: float
    subsidy_share: float
    """Part of what its liquidity is paid that is subsidy; for some days after the end, what it was."""
    tvl_usd: float
    lvr_usd_per_day: float
    breakeven_usd_per_day: float
    """The least subsidy at which the value that is there would stay."""
    top_lp_share: float
    exits: tuple[Exit, ...]
    cap_usd: float
    """What should be held at most, so that it could be sold in the first band after the end, and after the largest
    owners have left."""


@dataclass(slots=True)
class _Watch:
    """The memory of one pool."""

    state: Cliff = Cliff.UNKNOWN
    share: float = nan
    """While the incentive ran."""
    after: tuple[float, ...] = ()
    """Exits that were foreseen then."""


@dataclass(kw_only=True)
class Liquidity:
    """The strategy: it never wishes, it remarks programs, days of volume, and every change of a pool's state."""

    pools: Pools
    warn_share: float = 0.5
    warn_days: float = 7.0
    clear_share: float = 0.8
    hold_days: float = 3.0
    name: str = "liquidity"
    cooldown_ns: int = 0
    refusal_backoff_ns: int = 0
    max_open: int = 0
    readings: dict[int, Reading] = field(default_factory=dict)
    """The last one of each pool with a program."""
    _watches: dict[int, _Watch] = field(default_factory=dict)
    _next: int = 0

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick of the clock."""
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """It never trades."""
        return False, False

    def decide(self, view: View) -> Decision:
        """Notes of what is new about pools with incentives."""
        pools = self.pools
        if not pools.programs or (view.now < self._next and not pools.news):
            return Decision()
        self._next = (view.now // EVERY_NS + 1) * EVERY_NS
        notes = [self._program(number, pools.programs[number]) for number in pools.news]
        pools.news.clear()
        for number, program in sorted(pools.programs.items()):
            fx = view.columns.known_fx(number)
            notes += pools.look(number, view.now, fx, view.columns.k.item(number, K.TS))
            watch = self._watches.setdefault(number, _Watch())
            reading = self._read(view, number, program, watch)
            self.readings[number] = reading
            if reading.state is not watch.state:
                notes.append(_change(watch.state, reading, self._why(reading)))
                watch.state = reading.state
        return Decision(notes=tuple(notes))

    def _program(self, number: int, program: Program) -> Note:
        detail: dict[str, float | str] = {"usd_per_day": program.usd_per_day, "by": program.by}
        if program.ends_ns:
            detail["ends"] = program.ends_ns / NS
        return Note(kind=INCENTIVE, instrument=number, detail=detail)

    def _read(self, view: View, number: int, program: Program, watch: _Watch) -> Reading:
        """Everything that can be said of a pool now."""
        terms, now, runs = self.pools.of(number), view.now, program.runs(view.now)
        volume, by = self.pools.volume(number)
        fees, paid = volume * terms.fee, program.usd_per_day if runs else 0.0
        days = (program.ends_ns - now) / DAY_NS if program.ends_ns else nan
        deep, exits = _exits(view, number, terms)
        if runs:
            share = watch.share = subsidy_share(fees, paid)
            watch.after = tuple(one * (1.0 - share) for one, _ in exits)
            after = watch.after
        else:
            gone = days <= -self.hold_days or not isfinite(watch.share)
            share = 0.0 if gone else watch.share
            after = tuple(one for one, _ in exits) if gone else watch.after
        annual = sqrt(VARIANCE_DAYS * view.columns.g.item(view.columns.group(number), K.VOL2))
        tvl = terms.tvl_usd if deep != deep else deep / terms.concentration
        effective = tvl * terms.concentration if deep != deep else deep
        lost = lvr_apr(annual) * effective
        income = Income(
            tvl_usd=tvl,
            fees_usd_per_day=fees,
            subsidy_usd_per_day=paid,
            lvr_apr=lost / tvl,
            required_return=terms.required_return,
        )
        found = tuple(
            Exit(band=band, now=one, after=left, complete=complete)
            for band, (one, complete), left in zip(BANDS, exits, after or (nan,) * len(BANDS), strict=True)
        )
        alone = found[0].now * (1.0 - terms.top_lp_share)
        return Reading(
            instrument=number,
            state=self.state_of(share, days, watch.state),
            usd_per_day=paid,
            ends_ns=program.ends_ns,
            days=days,
            volume_usd_per_day=volume,
            volume_by=by,
            fees_usd_per_day=fees,
            subsidy_share=share,
            tvl_usd=tvl,
            lvr_usd_per_day=lost / 365.0,
            breakeven_usd_per_day=income.breakeven_subsidy_per_day,
            top_lp_share=terms.top_lp_share,
            exits=found,
            cap_usd=min((usd for usd in (found[0].after, alone) if isfinite(usd)), default=nan),
        )

    def state_of(self, share: float, days: float, before: Cliff) -> Cliff:
        """The state by the rule; a warning is not lost for want of a number."""
        held = before is Cliff.WARNING
        limit = self.warn_share * (self.clear_share if held else 1.0)
        far = self.warn_days + (SLACK_DAYS if held else 0.0)
        if share <= limit or days >= far or days <= -self.hold_days:
            return Cliff.CLEAR
        return Cliff.WARNING if held or (isfinite(share) and isfinite(days)) else Cliff.UNKNOWN

    def _why(self, reading: Reading) -> str:
        """Why a pool is in its state, in a word."""
        if reading.state is Cliff.WARNING:
            return "ends" if reading.days > 0.0 else "ended"
        if reading.state is Cliff.UNKNOWN:
            return "end unknown" if isfinite(reading.subsidy_share) else "fees unknown"
        if not reading.usd_per_day:
            return "over"
        return "fees carry it" if reading.subsidy_share <= self.warn_share else "far from its end"


def _exits(view: View, number: int, terms: PoolTerms) -> tuple[float, tuple[tuple[float, bool], ...]]:
    """Value of an x y = k pool of this depth in USD, and (USD, complete) of what can be sold now in each band: by the
    levels in force, else by the value that is known by hand; NaN where neither is."""
    levels, fx = view.levels(number, view.now), view.columns.known_fx(number)
    if levels is not None:
        sales = [sellable(levels, band) for band in BANDS]
        return pool_value(levels, terms.fee) * fx, tuple((one.value * fx, one.complete) for one in sales)
    whole = terms.tvl_usd * terms.concentration
    return nan, tuple((full_range_exit(whole, band, terms.fee), True) for band in BANDS)


def _change(before: Cliff, reading: Reading, why: str) -> Note:
    """The note of a change of state, with the numbers behind it that are known."""
    numbers = {
        "subsidy_share": reading.subsidy_share,
        "days": reading.days,
        "usd_per_day": reading.usd_per_day,
        "fees_usd_per_day": reading.fees_usd_per_day,
        "lvr_usd_per_day": reading.lvr_usd_per_day,
        "breakeven_usd_per_day": reading.breakeven_usd_per_day,
        "tvl_usd": reading.tvl_usd,
        "top_lp_share": reading.top_lp_share,
        "cap_usd": reading.cap_usd,
    }
    for one in reading.exits:
        numbers[f"exit_{one.band:g}_now_usd"], numbers[f"exit_{one.band:g}_after_usd"] = one.now, one.after
    detail: dict[str, float | str] = {"from": before.name, "to": reading.state.name, "why": why}
    detail |= {name: value for name, value in numbers.items() if isfinite(value)}
    return Note(kind="liquidity_cliff", instrument=reading.instrument, detail=detail)
