"""What a plan's mint or redemption becomes once it is known what its legs have filled."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Final

from msgspec import structs

from connectors.client_ids import request_id
from connectors.instruments import Role
from connectors.orders import Conversion, Intent
from strategies.base import View
from strategies.execution.ledger import EXACT

DIGITS: Final = Decimal("1e-9")
"""What an issuer counts in; what is smaller is dust."""

SharesOf = Callable[[Decimal, int], Decimal | None]
"""Shares that units of an instrument are worth now; None where that is not known."""


def completed(plan: Intent, shares: Decimal, view: View, shares_of: SharesOf, *, since: int) -> Conversion | str:
    """The request for so many shares at today's soft quote, or why it cannot be made.

    Against a coin a mint is for the tokens that bring the shares; else what is given is worth them. `since` is the
    moment (ns) that the plan's own terms were made at.
    """
    then, universe = plan.then, view.columns.universe
    assert then is not None
    desk = view.desks.get(then.issuer)
    per_unit = shares_of(Decimal(1), then.target if then.mint else then.source)
    if desk is None or per_unit is None:
        return f"no door of {then.issuer}" if desk is None else "what a unit is worth in shares is not known"

    def quoted(quantity: Decimal) -> Decimal:
        soft = desk.quote(mint=then.mint, source=then.source, target=then.target, quantity=quantity, now=view.now)
        return Decimal(0) if soft is None else soft.expected

    with localcontext(EXACT):
        quantity = shares / per_unit
        if then.mint and universe[then.source].role is Role.COIN:
            due = quoted(then.quantity)
            quantity = then.quantity * quantity / due if due else Decimal(0)
        elif then.mint:
            given = shares_of(Decimal(1), then.source)
            quantity = shares / given if given else Decimal(0)
        quantity = quantity.quantize(DIGITS, ROUND_DOWN)
        expected = quoted(quantity) if quantity else Decimal(0)
        if not expected:
            return f"{then.issuer} gives no quote"
        part = quantity / then.quantity
        return structs.replace(
            then,
            id=request_id(plan.id, plan.fence),
            trade=plan.id,
            strategy=plan.strategy,
            quantity=quantity,
            expected=expected,
            least=(expected * then.least / then.expected).quantize(DIGITS, ROUND_DOWN),
            kept_usd=(then.kept_usd * part).quantize(DIGITS),
            sla_ns=view.now + then.sla_ns - since,
        )
