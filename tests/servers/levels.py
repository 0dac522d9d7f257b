"""The book of a local venue, kept as the text that it sends: what is asked for, what changed, what was last shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

Level = tuple[str, str]
"""(price, size) as text."""


@dataclass
class Levels:
    """Bids and asks by price."""

    bids: dict[str, str] = field(default_factory=dict)
    asks: dict[str, str] = field(default_factory=dict)

    def change(self, bids: Sequence[Level] = (), asks: Sequence[Level] = ()) -> None:
        """Sets levels; size 0 removes one."""
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                side[price] = size
                if not Decimal(size):
                    del side[price]

    def toward(self, bids: Sequence[Level], asks: Sequence[Level]) -> tuple[list[Level], list[Level]]:
        """The changes that make this book that one."""
        changes = []
        for side, wanted in ((self.bids, dict(bids)), (self.asks, dict(asks))):
            gone = [(price, "0") for price in side if price not in wanted]
            changes.append(gone + [(price, size) for price, size in wanted.items() if side.get(price) != size])
        return changes[0], changes[1]

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """The best levels of both sides, best first."""
        bids = sorted(self.bids.items(), key=lambda level: -Decimal(level[0]))
        asks = sorted(self.asks.items(), key=lambda level: Decimal(level[0]))
        return bids[:count], asks[:count]
