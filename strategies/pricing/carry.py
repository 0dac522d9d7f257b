"""What holding one leg costs a day, as its config and its venue tell it now: capital, funding, borrow."""

from __future__ import annotations

from typing import Final, NamedTuple

from connectors.instruments import Role
from strategies.base import View
from strategies.market.funding import EIGHT_HOURS_S
from strategies.pricing.costs import Component, Costs, Missing

DAY_S: Final = 86_400.0
_BPS: Final = 1e-4


class Carried(NamedTuple):
    """What holding a leg costs a day, a part of its worth; below 0 it earns."""

    per_day: float
    parts: dict[Component, float]
    why: str
    """What of it is not known, in words; empty where all is."""


def carried(view: View, number: int, costs: Costs, *, sold: bool = False, lent: bool = False) -> Carried:
    """What holding an instrument costs: capital; a perp its funding, paid by who is long where it is above 0; what is
    sold and must be `lent` its borrow."""
    instrument = view.columns.universe[number]
    needed = {Component.CAPITAL}
    if lent and instrument.role is not Role.PERP:
        needed.add(Component.BORROW)
    parts = {one.component: float(one.bps_per_day) * _BPS for one in costs.known if one.component in needed}
    missing = [one for one in costs.missing if one.component in needed]
    if instrument.role is Role.PERP:
        told = view.fundings.get(number)
        if told is None or not told.stands(view.now):
            missing.append(Missing(Component.FUNDING, f"{instrument.venue} has not told it lately"))
        else:
            daily = told.per_eight_hours * DAY_S / EIGHT_HOURS_S
            parts[Component.FUNDING] = -daily if sold else daily
    return Carried(sum(parts.values()), parts, Costs(missing=tuple(missing)).why if missing else "")
