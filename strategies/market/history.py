"""What a series was like before: a bounded history that says how rare a value is, and a ring of the newest prints."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
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
    """The last `limit` values of a statistic of which more is worse; kept as 32-bit floats."""

    limit: int
    _values: array[float] = field(default_factory=lambda: array("f"))
    """As they came, from the start again where it is full."""
    _sorted: array[float] = field(default_factory=lambda: array("f"))
    """The same in order of size, so that a rank is two searches."""
    _oldest: int = 0

    def __len__(self) -> int:
        """How many values it holds."""
        return len(self._values)

    def add(self, value: float) -> None:
        """Takes one value, over the oldest where it is full; NaN is no value."""
        if value != value:
            return
        values, ranked, at = self._values, self._sorted, self._oldest
        if len(values) < self.limit:
            values.append(value)
            insort(ranked, values[-1])
            return
        del ranked[bisect_left(ranked, values[at])]
        values[at] = value
        insort(ranked, values[at])
        self._oldest = (at + 1) % self.limit

    @property
    def values(self) -> F8:
        """What it holds, in order of size."""
        return np.array(self._sorted, np.float64)

    @property
    def median(self) -> float:
        """NaN where it holds nothing."""
        ranked, half = self._sorted, len(self._sorted) // 2
        if not ranked:
            return NAN
        return ranked[half] if len(ranked) % 2 else _narrow((ranked[half - 1] + ranked[half]) / 2)

    def baseline(self) -> Baseline:
        """Median and MAD; NaN where it holds too little."""
        return baseline(self.values) if len(self) >= LEAST else Baseline(NAN, NAN)

    def tail(self, value: float) -> float:
        """P(a value at least this large), ties by halves: 0.5 is ordinary, small is rare. NaN where that is unknown.

        Never below 1 / (2 (n + 1)): what n values did not show may still be ordinary.
        """
        ranked = self._sorted
        if len(ranked) < LEAST or value != value:
            return NAN
        value = _narrow(value)
        above, below = len(ranked) - bisect_right(ranked, value), bisect_left(ranked, value)
        return (above + 0.5 * (len(ranked) - above - below) + 0.5) / (len(ranked) + 1)

    def tail_of_distance(self, value: float) -> float:
        """The same of how far a value lies from the median of what it holds, on either side."""
        ranked = self._sorted
        if len(ranked) < LEAST or value != value:
            return NAN
        middle = self.median
        low, high = sorted((_narrow(value), 2 * middle - _narrow(value)))
        beyond = len(ranked) - bisect_right(ranked, high) + bisect_left(ranked, low)
        nearer = max(0, bisect_left(ranked, high) - bisect_right(ranked, low))
        return (beyond + 0.5 * (len(ranked) - beyond - nearer) + 0.5) / (len(ranked) + 1)


def _narrow(value: float) -> float:
    """A float as a history keeps it, so that a value equals itself."""
    return array("f", (value,))[0]


class Ring:
    """The newest prints of one instrument at most one in `spacing_ns`: moment, premium, price, fair value, spread,
    depth."""

    COLUMNS: Final = ("premium_bps", "price", "fair", "spread_bps", "depth_usd")

    def __init__(self, room: int, spacing_ns: int) -> None:
        """Empty; `room` prints are kept."""
        self._room, self._count = room, 0
        # A quarter more than is kept: so they always stand side by side, and are moved to the front now and then.
        self._ts: I8 = np.zeros(room + max(1, room // 4), np.int64)
        self._values: F8 = np.zeros((len(self.COLUMNS), len(self._ts)))
        self.spacing_ns = spacing_ns
        self.last = 0
        """Moment of the newest print; 0 before the first."""

    def add(self, ts: int, *values: float) -> bool:
        """Takes a print unless it follows the last one too soon; the values stand in the order of COLUMNS."""
        at = self._count
        if at and ts - self.last < self.spacing_ns:
            return False
        if at == len(self._ts):
            at, old = self._room - 1, at - self._room + 1
            self._ts[:at], self._values[:, :at] = self._ts[old:].copy(), self._values[:, old:].copy()
        self._ts[at], self._values[:, at], self.last = ts, values, ts
        self._count = at + 1
        return True

    def since(self, start: int) -> tuple[I8, F8]:
        """Moments and values (prints x COLUMNS) of the prints at or after a moment, oldest first; to be read at once,
        the next prints may move them."""
        first, end = max(0, self._count - self._room), self._count
        first += int(self._ts[first:end].searchsorted(start))
        return self._ts[first:end], self._values[:, first:end].T


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
