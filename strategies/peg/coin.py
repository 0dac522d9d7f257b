"""A quote coin and its dollar: off its peg when the median of ten minutes is, and enough prints say so."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from connectors.events import NS
from strategies.peg.tail import Tail

WINDOW_NS: Final = 600 * NS
"""Ten minutes."""
LEAST_PRINTS: Final = 3
"""Prints in the window that lie beyond the limit on the same side: a thin market's single print is none."""
MONTH_NS: Final = 30 * 86_400 * NS
CLEAR_SHARE: Final = 0.6
"""It is back when the median is within this share of the limit."""


@dataclass(slots=True)
class CoinWatch:
    """The last ten minutes of one coin's price in USD."""

    limit_bps: float
    off: bool = False
    since: int = 0
    """When the median passed the limit, ns UTC."""
    bps: float = 0.0
    """The median over one dollar, less one; what it was last while nobody speaks."""
    tail: Tail = field(default_factory=Tail)
    """Of the median at the end of each ten minutes in which it held its peg and spoke."""
    _told: int = 0
    """When the last such ten minutes ended."""
    _heard: deque[tuple[int, float]] = field(default_factory=deque)

    def hear(self, usd: float, ts: int) -> None:
        """Takes a print of `ts`."""
        if usd > 0:
            self._heard.append((ts, usd))

    def look(self, now: int) -> bool:
        """Judges the window that ends at `now`; True where the coin left its peg or came back to it.

        The median is of time: each print holds until the next, and the one before the window until its first.
        """
        heard = self._heard
        while len(heard) > 1 and heard[1][0] <= now - WINDOW_NS:
            heard.popleft()
        if not heard:
            return False
        begin = now - WINDOW_NS
        spans = []
        for at, (ts, usd) in enumerate(heard):
            end = heard[at + 1][0] if at + 1 < len(heard) else now
            spans.append((usd, max(0, end - max(ts, begin))))
        self.bps = (_median(spans) - 1) * 1e4
        side = 1 if self.bps > 0 else -1
        beyond = sum(1 for ts, usd in heard if ts > begin and (usd - 1) * 1e4 * side > self.limit_bps)
        if not self.off and now - self._told >= WINDOW_NS and heard[-1][0] > begin:
            self.tail.hear(abs(self.bps) / self.limit_bps)
            self._told = now
        if self.off:
            if abs(self.bps) < CLEAR_SHARE * self.limit_bps:
                self.off = False
                return True
            return False
        if abs(self.bps) > self.limit_bps and beyond >= LEAST_PRINTS:
            self.off, self.since = True, now
            self.tail.refuse()
            return True
        return False

    def false_alarms_per_month(self) -> float | None:
        """Expected by the tail of the medians while it held its peg, were it heard all the time; None where too few of
        them are known. That several prints must say so only lowers it."""
        chance = self.tail.beyond()
        return None if chance is None else MONTH_NS / WINDOW_NS * chance


def _median(spans: list[tuple[float, int]]) -> float:
    """The value at half of the whole weight; of a window without length, its last value."""
    total = sum(weight for _, weight in spans)
    if not total:
        return spans[-1][0]
    left = total / 2
    for value, weight in sorted(spans):
        left -= weight
        if left <= 0:
            return value
    return spans[-1][0]
