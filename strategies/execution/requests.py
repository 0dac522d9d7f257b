"""The review of mints and redemptions: the only way from a wish to an issuer. What is not known refuses."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import inf, isfinite

from connectors.exact import exact
from connectors.instruments import Role
from connectors.orders import Conversion, Reason, Side
from connectors.ports import Desk
from strategies.base import View
from strategies.market import kernel as K

Problem = tuple[Reason, str]


def review_conversion(
    order: Conversion,
    earlier: tuple[Conversion, ...],
    view: View,
    desks: Mapping[str, Desk],
    most_usd: Decimal,
    collar_bps: float,
    *,
    held: bool,
) -> Problem | None:
    """What speaks against asking for it now, or None; `earlier` are those of the same moment that pass.

    Something is asked for once, only where the issuer takes it on and no other request for that share is open there,
    only with units that we hold (unless `held` is false: they are still to be bought) and that no order and no other
    request is going to take, for no more than `most_usd` USD, and for what is worth at most `collar_bps` less than what
    is given, by the share's fair value. Coins are not counted: the books begin without any.
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
    if problem := _collar(order, view, collar_bps):
        return problem
    free = _free(order, earlier, view)
    if held and source.role is not Role.COIN and order.quantity > free:
        return Reason.POSITION, f"{source.name}: {free} units are free, {order.quantity} wanted"
    return None


def _collar(order: Conversion, view: View, collar_bps: float) -> Problem | None:
    """Whether the issuer would give much less than it takes, or nobody knows."""
    if collar_bps == inf:
        return None
    given = float(order.quantity) * _unit_usd(order, order.source, view)
    due = float(order.expected) * _unit_usd(order, order.target, view)
    if not (given > 0 and isfinite(due)):
        return Reason.FAIR_UNKNOWN, f"{order.id}: what {order.issuer} gives and takes has no price"
    less_bps = (1 - due / given) * 1e4
    if less_bps > collar_bps:
        what = f"{order.issuer} gives {due:.2f} USD for {given:.2f} USD"
        return Reason.COLLAR, f"{what}, {less_bps:.1f} bps less, allowed {collar_bps:g}"
    return None


def _unit_usd(order: Conversion, number: int, view: View) -> float:
    """USD per unit: of a coin as the order tells, which it must; else by the fair value of the share, and by the mark
    where there is none; NaN where unknown."""
    columns = view.columns
    if columns.universe[number].role is Role.COIN:
        assert order.fx is not None
        return float(order.fx)
    fair = columns.own(columns.underlyings.index(order.underlying), view.now)
    if fair is None:
        return columns.mark_usd(number)
    return fair.price * columns.f_rows[number][K.SHARES_PER_UNIT]


def _free(order: Conversion, earlier: tuple[Conversion, ...], view: View) -> Decimal:
    """Units of what is given that nothing else is going to take."""
    ledger = view.ledger
    waiting = [one.order for one in ledger.conversions.open() if not one.given] + list(earlier)
    asked = sum(one.quantity for one in waiting if one.source == order.source)
    return ledger.position(order.source) - ledger.reserved(order.source, Side.SELL) - asked
