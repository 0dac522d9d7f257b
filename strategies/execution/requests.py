"""The review of mints and redemptions: the only way from a wish to an issuer. What is not known refuses."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from connectors.exact import exact
from connectors.instruments import Role
from connectors.orders import Conversion, Reason, Side
from connectors.ports import Desk
from strategies.base import View

Problem = tuple[Reason, str]


def review_conversion(
    order: Conversion,
    earlier: tuple[Conversion, ...],
    view: View,
    desks: Mapping[str, Desk],
    most_usd: Decimal,
    *,
    held: bool = True,
) -> Problem | None:
    """What speaks against asking for it now, or None; `earlier` are those of the same moment that pass.

    Something is asked for once, only where the issuer takes it on and no other request for that share is open there,
    only with units that we hold (unless `held` is false: they are still to be bought) and that no order and no other
    request is going to take, and for no more than `most_usd` USD. Coins are not counted: the books begin without any.
    """
    ledger, universe = view.ledger, view.columns.universe
    desk = desks.get(order.issuer)
    if desk is None:
        return Reason.MODE, f"no door of the issuer {order.issuer} in this run"
    if order.id in ledger.conversions.all or any(order.id == one.id for one in earlier):
        return Reason.OPEN_PAIRS, f"{order.id} was asked for before"
    for open_ in (*(one.order for one in ledger.conversions.open()), *earlier):
        if (open_.issuer, open_.underlying) == (order.issuer, order.underlying):
            return Reason.OPEN_PAIRS, f"{open_.id} is still open at {order.issuer}"
    bounds = desk.bounds(mint=order.mint, source=order.source, target=order.target, now=view.now)
    if bounds.closed:
        return Reason.SESSION, f"{order.issuer}: {bounds.closed}"
    if not (order.quantity > 0 and order.expected > 0 and order.quantity >= bounds.least):
        return Reason.NO_SIZE, f"{order.issuer} takes at least {bounds.least} units"
    if order.quantity > bounds.most:
        return Reason.NO_SIZE, f"{order.issuer} takes at most {bounds.most} units now"
    source = universe[order.source]
    coins = Role.COIN in (source.role, universe[order.target].role)
    if coins and order.fx is None:
        return Reason.FX_UNKNOWN, f"{order.id}: what the coin is worth is not told"
    worth = order.fx if source.role is Role.COIN else exact(view.columns.mark_usd(order.source))
    if worth is None or not worth.is_finite() or not worth * order.quantity <= most_usd:
        return Reason.NOTIONAL, f"{source.name}: above {most_usd} USD, or without a price"
    free = _free(order, earlier, view)
    if held and source.role is not Role.COIN and order.quantity > free:
        return Reason.POSITION, f"{source.name}: {free} units are free, {order.quantity} wanted"
    return None


def _free(order: Conversion, earlier: tuple[Conversion, ...], view: View) -> Decimal:
    """Units of what is given that nothing else is going to take."""
    ledger = view.ledger
    waiting = [one.order for one in ledger.conversions.open() if not one.given] + list(earlier)
    asked = sum((one.quantity for one in waiting if one.source == order.source), Decimal(0))
    return ledger.position(order.source) - ledger.reserved(order.source, Side.SELL) - asked
