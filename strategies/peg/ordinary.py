"""What is usual at one venue: centre, spread and memory of its premium while the peg held.

This is the forecast that a print is held against, as it was before anything changed: a filter that follows a premium
wherever it goes expects a depeg after its first print, and would no longer be surprised by the second.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

import numpy as np

from connectors.events import F8
from strategies.peg.rule import half_life_s, longrun_of

KEPT: Final = 500
"""Samples that are remembered."""
HELD_BACK: Final = 12
"""The newest samples are not believed yet: were the peg breaking, they would make that usual."""
GUESSED_BPS: Final = 50.0
"""One sigma of a premium of which nothing is known."""
SHRUNK: Final = 20
"""The spread is that of so many samples of that guess more."""
EVERY: Final = 10
"""So many samples are taken in before the numbers are made anew."""
NORMAL_MAD: Final = 1.4826
"""Standard deviations in a median absolute deviation of a normal distribution."""


@dataclass(slots=True)
class Ordinary:
    """The memory of one venue; premia and spreads in bps."""

    centre_bps: float = 0.0
    spread_bps: float = GUESSED_BPS
    """One sigma of a print about the centre, without the error of the fair value."""
    correlation: float = 0.0
    """Of neighbouring samples."""
    gap_ns: float = 0.0
    """Mean time from one sample to the next."""
    count: int = 0
    """Samples that were believed."""
    longrun: float = 1.0
    """sd per root of the number of samples, of their sum; 1 where they are independent."""
    _kept: array[float] = field(default_factory=lambda: array("d"))
    """ts, premium and one sigma of the fair value of each sample, one after the other."""
    _fresh: deque[tuple[int, float, float]] = field(default_factory=deque)
    _due: int = 0

    def hear(self, premium_bps: float, error_bps: float, ts: int, *, calm: bool) -> None:
        """Takes the premium of a sample at `ts`; while the peg is not `calm` it is forgotten, with the newest."""
        if not calm:
            self._fresh.clear()
            return
        self._fresh.append((ts, premium_bps, error_bps))
        if len(self._fresh) <= HELD_BACK:
            return
        self._kept.extend(self._fresh.popleft())
        del self._kept[: -3 * KEPT]
        self.count += 1
        self._due += 1
        if self._due >= EVERY:
            self._due = 0
            self._tell()

    def remember(self, centre_bps: float, spread_bps: float, correlation: float, gap_ns: float, count: int) -> None:
        """Goes on from what an earlier run had found."""
        self.centre_bps, self.spread_bps = centre_bps, spread_bps
        self.correlation, self.gap_ns, self.count = correlation, gap_ns, count
        self.longrun = longrun_of(correlation)

    @property
    def half_life_s(self) -> float:
        """Of a deviation, by the correlation of neighbours."""
        return half_life_s(self.correlation, self.gap_ns / 1e9)

    def sd_bps(self, error_bps: float) -> float:
        """One sigma of a print's premium, where one sigma of the fair value is `error_bps`."""
        return sqrt(self.spread_bps**2 + error_bps**2)

    def innovation(self, premium_bps: float, error_bps: float) -> float:
        """How far a print is from what was to be expected, in sd: N(0, 1) while the peg is ordinary."""
        return (premium_bps - self.centre_bps) / self.sd_bps(error_bps)

    def _tell(self) -> None:
        """Centre, spread, correlation and gap of what is kept."""
        ts, premium, error = np.frombuffer(self._kept).reshape(-1, 3).T
        if len(ts) < EVERY:
            return
        # Only some of the samples are of this run after a restart: the earlier run's numbers fade out.
        part = len(ts) / (len(ts) + max(0, min(self.count, KEPT) - len(ts)))
        centre = _median(premium)
        whole = (NORMAL_MAD * _median(np.abs(premium - centre))) ** 2
        own = max(whole - _median(error) ** 2, whole / 16)
        spread = sqrt((len(ts) * own + SHRUNK * GUESSED_BPS**2) / (len(ts) + SHRUNK))
        gaps = ts[1:] - ts[:-1]
        near = gaps <= 3 * _median(gaps)
        z = np.minimum(np.maximum((premium - centre) / np.sqrt(own + error**2 + 1e-12), -4), 4)
        before, after = z[:-1][near], z[1:][near]
        power = sqrt(_mean(before * before) * _mean(after * after)) if len(before) else 0.0
        correlation = _mean(before * after) / power if power > 0 else 0.0
        self.centre_bps += part * (centre - self.centre_bps)
        self.spread_bps += part * (spread - self.spread_bps)
        self.correlation += part * (correlation - self.correlation)
        self.gap_ns += part * (float(ts[-1] - ts[0]) / (len(ts) - 1) - self.gap_ns)
        self.longrun = longrun_of(self.correlation)


def _median(values: F8) -> float:
    """The median of a few hundred finite numbers, in a fifth of the time of numpy's."""
    ordered, half = values.copy(), len(values) // 2
    ordered.sort()
    return float(ordered[half] + ordered[-1 - half]) / 2


def _mean(values: F8) -> float:
    """The mean of a few hundred numbers, without what numpy's looks at before."""
    return float(np.add.reduce(values)) / len(values)
