"""What the strategy holds of a share."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

from connectors.exact import exact
from strategies.base import View
from strategies.execution.ledger import EXACT
from strategies.market import kernel as K

DRIFT: Final = Decimal("0.1")
"""Net shares up to this part of the larger side are a drift that is hedged anew; more is a trade that fell short, which
an operator was told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """All that it holds of one share."""

    units: dict[int, Decimal]
    shares: dict[int, Decimal]
    """What they are worth now; below 0 is short."""
    since_ns: int
    """When the oldest of it began."""

    @property
    def net(self) -> Decimal:
        """Net shares."""
        return sum(self.shares.values(), Decimal(0))

    @property
    def bought(self) -> int | None:
        """The instrument of which it is longest."""
        most = max(self.shares, key=lambda number: self.shares[number])
        return most if self.shares[most] > 0 else None

    @property
    def sold(self) -> int | None:
        """The instrument of which it is shortest."""
        least = min(self.shares, key=lambda number: self.shares[number])
        return least if self.shares[least] < 0 else None

    @property
    def broken(self) -> bool:
        """Whether it is no hedged pair any more."""
        larger = max(sum(max(side * one, Decimal(0)) for one in self.shares.values()) for side in (1, -1))
        return abs(self.net) > DRIFT * larger


def holding(view: View, strategy: str, underlying: str) -> Holding | str | None:
    """What a strategy holds of a share; None where it is nothing; why it cannot be told where a multiplier is not
    known."""
    universe, units, since = view.columns.universe, dict[int, Decimal](), view.now
    for number, held in view.ledger.holdings.of(strategy):
        if universe[number].underlying == underlying:
            units[number] = held.units
            since = min(since, held.since_ns)
    if not units:
        return None
    shares: dict[int, Decimal] = {}
    with localcontext(EXACT):
        for number, amount in units.items():
            worth = view.columns.f_rows[number][K.SHARES_PER_UNIT]
            if worth != worth:
                return f"{universe[number].name}: shares per unit are not known"
            shares[number] = amount * exact(worth)
    return Holding(units=units, shares=shares, since_ns=since)
