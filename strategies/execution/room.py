"""Whether an intent is small enough for what the operator allows, so that a strategy need not ask for what is refused.

It judges nothing else; the review does, and has the last word.
"""

from __future__ import annotations

from connectors.orders import Intent
from strategies.base import View
from strategies.execution.caps import book_problem
from strategies.execution.limits import Limits


def fits(intent: Intent, view: View, limits: Limits) -> bool:
    """Whether its size passes the caps of orders, positions and names, were it alone."""
    return intent.notional_usd <= limits.max_order_usd and book_problem(intent, (), view, limits) is None
