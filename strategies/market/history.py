"""What a series was like before: a bounded history that says how rare a value is, and a ring of the newest prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from connectors.events import F8, I8, NAN, NS
from strategies.market.peg_stats import Baseline, baseline

LEAST: Final = 12
"""A history of fewer values says nothing."""
DAY_NS: Final = 86_400 * NS


@dataclass(slots=True)
class History:
    """The last `limit` values of a statistic of which more is worse."""

    limit: int
    _values: np.ndarray[tuple[int], np.dtype[np.float32]] = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        """Empty."""
        self._values = np.empty(0, np.float32)

    def __len__(self) -> int:
        """How many values it holds."""
        return min(self._count, self.limit)

    def add(self, value: float) -> None:
        """Takes one value, over the oldest where it is full; NaN is no value."""
        if value != value:
            return
        if self._count < self.limit:
            if self._count >= len(self._values):  # grown by halves: most histories stay short
                room = min(self.limit, max(16, len(self._values) * 3 // 2))
                self._values = np.concatenate((self._values, np.empty(room - len(self._values), np.float32)))
            self._values[self._count] = value
        else:
            self._values[self._count % self.limit] = value
        self._count += 1

    @property
    def values(self) -> F8:
        """What it holds, in no order."""
        return self._values[: len(self)].astype(np.float64)

    def baseline(self) -> Baseline:
        """Median and MAD; NaN where it holds too little."""
        return baseline(self.values) if len(self) >= LEAST else Baseline(NAN, NAN)

    def tail(self, value: float) -> float:
        """P(a value at least this large), ties by halves: 0.5 is ordinary, small is rare. NaN where that is unknown.

        Never below 1 / (2 (n + 1)): what n values did not show may still be ordinary.
        """
        return self._rank(self._values[: len(self)], np.float32(value))

    def tail_of_distance(self, value: float) -> float:
        """The same of how far a value lies from the median of what it holds, on either side."""
        held = self._values[: len(self)]
        if len(held) < LEAST:
            return NAN
        middle = np.float32(np.median(held))
        return self._rank(np.abs(held - middle), np.abs(np.float32(value) - middle))

    def _rank(self, held: np.ndarray[tuple[int], np.dtype[np.float32]], asked: np.float32) -> float:
        if len(held) < LEAST or asked != asked:
            return NAN
        return float((np.count_nonzero(held > asked) + 0.5 * np.count_nonzero(held == asked) + 0.5) / (len(held) + 1))


class Ring:
    """The newest prints of one instrument at most one in `spacing_ns`: moment, premium, price, fair value, spread,
    depth."""

    COLUMNS: Final = ("premium_bps", "price", "fair", "spread_bps", "depth_usd")

    def __init__(self, room: int, spacing_ns: int) -> None:
        """Empty; `room` prints are kept."""
        self._ts: I8 = np.zeros(room, np.int64)
        self._values: F8 = np.zeros((room, len(self.COLUMNS)))
        self._count = 0
        self.spacing_ns = spacing_ns

    @property
    def last(self) -> int:
        """Moment of the newest print; 0 before the first."""
        return int(self._ts[(self._count - 1) % len(self._ts)]) if self._count else 0

    def add(self, ts: int, *values: float) -> bool:
        """Takes a print unless it follows the last one too soon; the values stand in the order of COLUMNS."""
        if self._count and ts - self.last < self.spacing_ns:
            return False
        at = self._count % len(self._ts)
        self._ts[at], self._values[at] = ts, values
        self._count += 1
        return True

    def since(self, start: int) -> tuple[I8, F8]:
        """Moments and values (prints x COLUMNS) of the prints at or after a moment, oldest first."""
        room = len(self._ts)
        order = np.arange(max(0, self._count - room), self._count) % room
        order = order[self._ts[order] >= start]
        return self._ts[order], self._values[order]


@dataclass(slots=True)
class Trend:
    """The median slope between readings (Theil and Sen): where a quantity goes, whatever a few of them say."""

    room: int = 48
    _ts: list[int] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)

    def add(self, ts: int, value: float) -> None:
        """Takes one reading; NaN is none."""
        if value == value:
            self._ts.append(ts)
            self._values.append(value)
            del self._ts[: -self.room], self._values[: -self.room]

    def per_day(self) -> float:
        """Change a day as a share of the median reading; NaN below LEAST readings."""
        if len(self._ts) < LEAST:
            return NAN
        ts, values = np.array(self._ts, np.float64) / DAY_NS, np.array(self._values)
        later, sooner = np.triu_indices(len(ts), 1)
        middle = float(np.median(values))
        return float(np.median((values[later] - values[sooner]) / (ts[later] - ts[sooner]))) / middle if middle else NAN
