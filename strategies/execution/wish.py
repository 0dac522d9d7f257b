"""What speaks against a wish by itself: numbers that are none, and words about itself that its legs do not bear out."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Final

from connectors.exact import exact
from connectors.orders import Intent, Leg, Reason
from strategies.execution.legs import Problem
from strategies.market.columns import Columns

ROUNDING: Final = Decimal("1.05")
"""A leg may be worth so many times what its intent says, for a price that moved since."""


def wish_problem(intent: Intent, columns: Columns) -> Problem | None:
    """Why an intent must not even be judged: checks by its share or its size would look at something else than its
    legs. A limit may be infinite, which is none; every other number is finite.
    """
    if not intent.legs or not intent.notional_usd.is_finite():
        return Reason.MALFORMED, f"{len(intent.legs)} legs of {intent.notional_usd} USD"
    for leg in intent.legs:
        if why := _leg_problem(leg, intent, columns):
            return Reason.MALFORMED, why
    return None


def _leg_problem(leg: Leg, intent: Intent, columns: Columns) -> str | None:
    """What of a leg is no number, or is not as its intent says."""
    if not 0 <= leg.instrument < len(columns.universe):
        return f"there is no instrument {leg.instrument}"
    one = columns.universe[leg.instrument]
    if one.underlying != intent.underlying:
        return f"{one.name} is of {one.underlying or 'no share'}, the intent of {intent.underlying or 'none'}"
    if not (leg.quantity.is_finite() and leg.seen.is_finite()) or leg.limit.is_nan():
        return f"{one.name}: quantity {leg.quantity}, seen {leg.seen}, limit {leg.limit}"
    rate = columns.known_fx(leg.instrument)
    if isfinite(rate) and (usd := leg.quantity * leg.seen * exact(rate)) > intent.notional_usd * ROUNDING:
        return f"{one.name}: {usd:.2f} USD, and the intent says {intent.notional_usd:.2f}"
    return None
