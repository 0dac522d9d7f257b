"""Whether an intent is small enough for what the operator allows, so that a strategy need not ask for what is refused.

It judges nothing else; the review does, and has the last word.
"""

from __future__ import annotations

from math import inf
from typing import Final

from connectors.orders import Intent
from strategies.base import View
from strategies.execution.caps import book_problem
from strategies.execution.limits import Limits

SIDES: Final = 3
"""Both sides of an intent, and a third for mids that are above the bids which it sells at."""


def fits(intent: Intent, view: View, limits: Limits) -> bool:
    """Whether its size passes the caps of orders, positions and names, were it alone."""
    if not intent.notional_usd <= limits.max_order_usd:
        return False
    caps = limits.caps
    smallest = min(caps.token_usd, caps.venue_usd, caps.issuer_usd, caps.chain_usd, float(limits.max_position_usd),
                   float(limits.max_gross_usd))  # fmt: skip
    if caps.stablecoin_usd == inf and _most_usd(intent, view) <= smallest:
        return True
    return book_problem(intent, (), view, limits) is None


def _most_usd(intent: Intent, view: View) -> float:
    """At least what all positions together may be worth once it and all orders under way have filled."""
    ledger, mark = view.ledger, view.columns.mark_usd
    usd = SIDES * float(intent.notional_usd)
    for owned in (ledger.held, ledger.away):
        for at, units in owned.items():
            if units:
                usd += abs(units) * mark(at)
    for (at, _), quantity in ledger.under_way().items():
        usd += float(quantity) * mark(at)
    return usd
