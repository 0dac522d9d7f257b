"""What each strategy holds: its own part of the positions, folded from the fills of its trades and from its mints and
redemptions.

The ledger knows what is held at an instrument, whoever wanted it; a strategy that comes back to what it holds must know
its own part, after a restart too.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from connectors.orders import Fill, Side

ZERO = Decimal(0)


class Held(msgspec.Struct):
    """Units that a strategy holds of one instrument; negative is short."""

    units: Decimal
    since_ns: int
    """When it began to hold any, ns UTC."""


class Holdings:
    """Units by strategy and instrument; what has come back to zero is left out."""

    def __init__(self) -> None:
        """Nobody holds anything."""
        self._of: dict[str, dict[int, Held]] = {}

    def hear(self, strategy: str, fill: Fill, *, undone: bool = False) -> None:
        """A new fill of a strategy's trade, or (`undone`) one that did not happen after all."""
        units = fill.quantity if (fill.side is Side.BUY) is not undone else -fill.quantity
        self.move(strategy, fill.instrument, units, fill.ts)

    def move(self, strategy: str, instrument: int, units: Decimal, ts: int) -> None:
        """Units came to a strategy at `ts` (ns UTC), or (below zero) left it."""
        mine = self._of.setdefault(strategy, {})
        held = mine.setdefault(instrument, Held(ZERO, ts))
        held.units += units
        if not held.units:
            del mine[instrument]

    def adjusted(self, instrument: int, units: Decimal, before: Decimal) -> None:
        """An operator's word brings units to a position of `before`, or (below zero) takes them.

        As far as that brings the position nearer to zero it is taken from what nobody holds, then from the strategy
        that holds most of that side, and so on. All else is nobody's: no strategy begins to hold something by a word.
        """
        way = -1 if before < 0 else 1
        held = [(way * mine[instrument].units, name) for name, mine in self._of.items() if instrument in mine]
        nobodys = way * before - sum((amount for amount, _ in held), ZERO)
        gone = min(-way * units, way * before) - max(nobodys, ZERO)
        for amount, name in sorted(held, key=lambda one: (-one[0], one[1])):
            lost = min(gone, amount)
            if lost <= 0:
                return
            self.move(name, instrument, -way * lost, 0)
            gone -= lost

    def of(self, strategy: str) -> Iterator[tuple[int, Held]]:
        """What a strategy holds, by number of the instrument, in order of number."""
        return iter(sorted(self._of.get(strategy, {}).items()))

    def of_others(self, strategy: str, instrument: int) -> Decimal:
        """Units of an instrument that all other strategies hold; what one of them is short takes nothing away."""
        units = ZERO
        for name, mine in self._of.items():
            if name != strategy and instrument in mine and mine[instrument].units > 0:
                units += mine[instrument].units
        return units

    def units(self, strategy: str, instrument: int) -> Decimal:
        """Units that a strategy holds of an instrument."""
        held = self._of.get(strategy, {}).get(instrument)
        return ZERO if held is None else held.units
