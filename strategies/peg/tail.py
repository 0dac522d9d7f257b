"""How often something quiet will pass a limit by chance: the tail of what was seen while nothing was wrong.

The largest of each block of neighbours is kept, as a part of the limit. Beyond the largest tenth of them an exponential
tail is assumed, of the mean by which they exceed it (peaks over threshold). A normal tail falls faster, so a rate is
stated too high; a power law falls more slowly, and the rate is too low far beyond what was seen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import exp
from typing import Final

KEPT: Final = 500
"""Blocks that are remembered."""
LEAST: Final = 60
"""Blocks without which nothing is told."""
HELD_BACK: Final = 3
"""The newest blocks are not believed yet: were something going wrong, they would be its beginning."""
PART: Final = 10
"""One block of so many makes the tail: of more the body would speak, of fewer chance."""


@dataclass(slots=True)
class Tail:
    """The memory of one series."""

    block: int = 1
    """So many values that follow each other count once: they say the same thing."""
    _kept: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _waiting: list[float] = field(default_factory=list)
    _largest: float = 0.0
    _heard: int = 0

    def hear(self, value: float, *, calm: bool = True) -> None:
        """Takes a value, as a part of the limit, from 0; what is not `calm` is believed once it is calm again."""
        self._largest = max(self._largest, value)
        self._heard += 1
        if self._heard >= self.block:
            self._waiting.append(self._largest)
            self._largest, self._heard = 0.0, 0
            if calm and len(self._waiting) > HELD_BACK:
                self._kept.extend(self._waiting[:-HELD_BACK])
                del self._waiting[:-HELD_BACK]

    def refuse(self) -> None:
        """What was heard since it was calm last, and a little before, was no chance."""
        self._waiting.clear()
        self._largest, self._heard = 0.0, 0

    @property
    def blocks(self) -> int:
        """That are remembered."""
        return len(self._kept)

    def beyond(self, part: float = 1.0) -> float | None:
        """The chance that the largest of a block is beyond this part of the limit; None where too little was heard."""
        if len(self._kept) < LEAST:
            return None
        sorted_ = sorted(self._kept, reverse=True)
        start = min(sorted_[len(sorted_) // PART], part)
        over = [value - start for value in sorted_ if value > start]
        if not over:
            return 0.0
        return len(over) / len(sorted_) * exp(-(part - start) * len(over) / sum(over))
