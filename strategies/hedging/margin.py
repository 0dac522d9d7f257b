"""Whether the collateral at a perp's venue carries what is held there, and at what price the venue would close it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

from strategies.base import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How a venue of perps lends."""

    usd: float
    """What lay there before the first fill."""
    maintenance: float
    """Equity below this part of what is held is closed by the venue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What lies at a venue of perps now, USD."""

    equity: float
    """Collateral, with what positions and funding have brought so far; nan while a price is not known."""
    worth: float
    """All positions, absolute."""

    def share(self, more_usd: float = 0.0) -> float:
        """Equity as a part of what is held, with so much more; inf where nothing is."""
        worth = self.worth + more_usd
        return self.equity / worth if worth else float("inf")

    def lacks(self, share: float) -> float:
        """USD that must be added for the equity to be this part of what is held."""
        return max(0.0, share * self.worth - self.equity)


def account(view: View, margin: Margin, perps: Iterable[int]) -> Account:
    """The account at a venue with these perps."""
    equity, worth, ledger = margin.usd, 0.0, view.ledger
    for number in perps:
        units = ledger.held.get(number, 0.0)
        if flow := ledger.flows.get(number):
            equity += float(flow) * view.columns.known_fx(number)
        if units:
            value = units * view.columns.mark_usd(number)
            equity += value
            worth += abs(value)
    return Account(equity=equity, worth=worth)


def liquidation_usd(view: View, margin: Margin, stands: Account, number: int) -> float:
    """USD per unit of a perp at which the venue closes what is held there, all other prices as they are; nan where it
    holds none of it.

    Equity + units (p - mark) = maintenance x (worth + |units| (p - mark)).
    """
    units, mark = view.ledger.held.get(number, 0.0), view.columns.mark_usd(number)
    slope = units - margin.maintenance * abs(units)
    return mark + (margin.maintenance * stands.worth - stands.equity) / slope if units else nan
