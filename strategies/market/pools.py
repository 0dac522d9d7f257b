"""What is told of pools with incentives: what is paid to their liquidity and until when, and what is traded there.

Follows the REWARD and TRADE rows of the blocks that the engine is given, in step with the scan and however rows are cut
into blocks. A REWARD row tells all that is paid to a pool's liquidity from then on; the next one takes its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, nan
from typing import Final

import numpy as np

from connectors.events import NS, Flag, Kind, Rows
from connectors.instruments import Universe
from strategies.base import Note

DAY_NS: Final = 86_400 * NS
QUIET_NS: Final = 6 * 3600 * NS
"""Between two rows of a pool that lie further apart it was not heard, so what was traded there is not known. Shorter
silences count as such: pools rest, and of some tapes only trades are known. An outage that is taken for one makes fees
too small, and so a warning too early."""
ENOUGH_NS: Final = DAY_NS
"""Volume is a guess until it was heard for so long: sessions differ too much."""

_REWARD, _TRADE, _SUPERSEDED = int(Kind.REWARD), int(Kind.TRADE), int(Flag.SUPERSEDED)
"""As plain numbers: comparing an array with an enum takes five times as long."""
_FEW: Final = 32

INCENTIVE: Final = "incentive"
"""Note of a program: usd_per_day, ends (unix s, absent where unknown), by (row or config)."""
POOL_DAY: Final = "pool_day"
"""Note of a day that is over: day (since 1970, UTC), volume_usd, heard_s. A restart goes on from these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTerms:
    """What is known of a pool by hand; NaN is unknown."""

    usd_per_day: float = nan
    """What is paid to its liquidity until a row says otherwise."""
    ends_ns: int = 0
    """Until when, ns UTC; 0 is unknown."""
    fee: float = nan
    """What its liquidity gets of a swap, a part of one."""
    volume_usd_per_day: float = nan
    """Counts until a day of trades was heard."""
    tvl_usd: float = nan
    """Counts where no levels tell."""
    concentration: float = nan
    """A of the liquidity (strategies/pricing/lvr.py)."""
    top_lp_share: float = nan
    """Part of the liquidity that those own who would leave together."""
    required_return: float = nan
    """What its owners ask for, per year, a part of one."""


NO_TERMS: Final = PoolTerms()


@dataclass(frozen=True, slots=True)
class Program:
    """What is paid to the liquidity of a pool."""

    usd_per_day: float
    ends_ns: int
    """ns UTC; 0 is unknown."""
    by: str
    """row or config."""

    def runs(self, now: int) -> bool:
        """Whether it pays at `now` (ns)."""
        return self.usd_per_day > 0.0 and (not self.ends_ns or now < self.ends_ns)


@dataclass(slots=True)
class _Flow:
    """What was traded in one pool."""

    fresh: float = 0.0
    """Since the last look, in the quote currency."""
    heard_at: int = 0
    """Moment of the last trade."""
    until: int = 0
    """The last row, of trade or quote, that was counted."""
    told: bool = False
    """Whether trades of this pool are told at all; where none ever is, no volume is not zero volume."""
    days: deque[tuple[int, float, int]] = field(default_factory=deque)
    """(day since 1970, USD, ns heard), oldest first; the last one is today's."""
    noted: int = -1
    """The last day of which a note was given."""


class Pools:
    """Programs and volume by instrument."""

    def __init__(self, universe: Universe, terms: Mapping[int, PoolTerms], *, days: int = 7, on: bool = True) -> None:
        """`terms` by instrument; volume is that of today and the last `days` days. Nothing is followed unless `on`."""
        self.terms = dict(terms)
        self.programs: dict[int, Program] = {}
        self.news: list[int] = []
        """Instruments whose program was told or changed since somebody emptied this list."""
        self._days, self._on = days, on
        self._flows: dict[int, _Flow] = {number: _Flow() for number in terms}
        self._count = len(universe)
        self._rows: list[tuple[int, int, int, int, float, float]] = []
        """Rows of this block that are not applied yet, last one first: place, moment, instrument, kind, two numbers."""
        for number, one in self.terms.items():
            if one.usd_per_day == one.usd_per_day:
                self._tell(number, Program(one.usd_per_day, one.ends_ns, "config"))

    # --- rows

    def begin(self, rows: Rows) -> bool:
        """A new block; all of the last one has been passed. Whether any of its rows is heard here."""
        if not self._on:
            return False
        kinds = rows.kind
        if len(kinds) <= _FEW:  # what a live run is given: lists are ten times as fast as arrays there
            told = kinds.tolist()
            if _REWARD not in told and not (self._flows and _TRADE in told):
                return False
        at = np.flatnonzero((kinds == _REWARD) | (kinds == _TRADE))
        if len(at) and not (kinds[at] == _REWARD).any():
            # Where a program is told, trades behind it in this block may be of a pool that nobody followed before.
            at = at[np.isin(rows.instrument[at], list(self._flows))]
        at = at[rows.flags[at] & _SUPERSEDED == 0][::-1]
        if len(at):
            columns = (rows.ts_recv, rows.instrument, rows.kind, rows.bid, rows.ask, rows.ask_size)
            ts, numbers, found, bids, asks, sizes = (column[at].tolist() for column in columns)
            seconds = [a if kind == _REWARD else size for kind, a, size in zip(found, asks, sizes, strict=True)]
            self._rows = list(zip(at.tolist(), ts, numbers, found, bids, seconds, strict=True))
        return bool(self._rows)

    def pass_to(self, end: int) -> None:
        """The scan has applied the block's rows before `end`."""
        while self._rows and self._rows[-1][0] < end:
            _, ts, number, kind, first, second = self._rows.pop()
            if not 0 <= number < self._count:
                continue
            if kind == _REWARD:
                self._reward(number, first, second, ts)
            elif (flow := self._flows.get(number)) is not None and 0.0 < first < inf and 0.0 < second < inf:
                flow.fresh += first * second
                flow.heard_at, flow.told = ts, True

    def _reward(self, number: int, usd_per_day: float, ends_s: float, ts: int) -> None:
        """A row tells a program. What cannot be one is passed over; one that pays nothing has ended now."""
        if not 0.0 <= usd_per_day < inf:
            return
        ends_ns = round(ends_s * 1000) * (NS // 1000) if abs(ends_s) < 1e11 else 0
        if not usd_per_day:
            known = self.programs.get(number)
            ends_ns = known.ends_ns if known is not None and not known.runs(ts) else ts
        self._tell(number, Program(usd_per_day, ends_ns, "row"))

    def _tell(self, number: int, program: Program) -> None:
        known = self.programs.get(number)
        self._flows.setdefault(number, _Flow())
        if known is None or (known.usd_per_day, known.ends_ns) != (program.usd_per_day, program.ends_ns):
            self.programs[number] = program
            self.news.append(number)

    # --- readings

    def of(self, number: int) -> PoolTerms:
        """What is known of a pool by hand."""
        return self.terms.get(number, NO_TERMS)

    def look(self, number: int, now: int, fx: float, quoted_at: int) -> list[Note]:
        """Counts what was traded since the last look; gives a note for each day that is over.

        `fx` is USD per quote currency, `quoted_at` the moment of the pool's last quote. Time in which nothing was heard
        of the pool, or its coin had no price, does not count.
        """
        flow = self._flows[number]
        last = max(flow.heard_at, quoted_at)
        heard = last - flow.until if flow.until and last - flow.until <= QUIET_NS else 0
        flow.until = last
        usd, flow.fresh = flow.fresh * fx, 0.0
        notes: list[Note] = []
        today = now // DAY_NS
        if not flow.days or flow.days[-1][0] < today:
            if flow.told and flow.days and flow.days[-1][0] > flow.noted:
                flow.noted, volume, ns = flow.days[-1]
                detail: dict[str, float | str] = {"day": float(flow.noted), "volume_usd": volume, "heard_s": ns / NS}
                notes.append(Note(kind=POOL_DAY, instrument=number, detail=detail))
            flow.days.append((today, 0.0, 0))
        if heard and usd == usd:
            day, volume, ns = flow.days[-1]
            flow.days[-1] = (day, volume + usd, ns + heard)
        while flow.days[0][0] < today - self._days:
            flow.days.popleft()
        return notes

    def volume(self, number: int) -> tuple[float, str]:
        """USD traded per day and who says so: `seen`, `config`, or NaN and nobody."""
        flow = self._flows.get(number)
        if flow is not None and flow.told:
            heard = sum(ns for _, _, ns in flow.days)
            if heard >= ENOUGH_NS:
                return sum(usd for _, usd, _ in flow.days) / (heard / DAY_NS), "seen"
        by_hand = self.of(number).volume_usd_per_day
        return by_hand, "config" if by_hand == by_hand else ""

    # --- after a restart

    def remember(self, number: int, note: Note) -> None:
        """Takes a note of an earlier run. Today's config stands above a program that a row told then."""
        if note.kind == INCENTIVE:
            if note.detail.get("by") == "row" and self.of(number).usd_per_day != self.of(number).usd_per_day:
                ends_s = float(note.detail.get("ends", 0.0))
                self._tell(number, Program(float(note.detail["usd_per_day"]), round(ends_s * NS), "row"))
        elif note.kind == POOL_DAY and number in self._flows:
            flow = self._flows[number]
            usd, heard_s = float(note.detail["volume_usd"]), float(note.detail["heard_s"])
            flow.noted = int(note.detail["day"])
            flow.days.append((flow.noted, usd, round(heard_s * NS)))
            flow.told = True
