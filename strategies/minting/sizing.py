"""How large a plan is: what it trades first, and its legs in whole lots of what their venues show."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import isfinite
from typing import Final

from connectors.exact import exact
from connectors.instruments import Role
from connectors.orders import Leg, Side
from strategies.base import View
from strategies.market import kernel as K
from strategies.minting.case import NAME, Look, Way, sides_of

_BPS: Final = Decimal(10_000)
Kin = tuple[int, Side]
"""An instrument and what is done with it."""


def hedge_for(view: View, way: Way, fair: float, *, permitted: bool = True) -> int | None:
    """What hedges most cheaply; where it must be `permitted`, of what may be sold now."""
    found: list[tuple[float, int]] = []
    for number in way.hedges:
        sides = sides_of(view, number, fair)
        if sides is not None and (not permitted or view.now >= view.columns.k_rows[number][K.SELL_FROM]):
            found.append((sides[1] - sides[0], number))
    return min(found)[1] if found else None


def first_of(
    view: View, way: Way, look: Look, kind: str, lot: Decimal, *, permitted: bool = True
) -> tuple[int, Side, Decimal] | str:
    """What a plan trades first, on which side, and at most how many units of it; a word where it cannot begin."""
    ledger, worth = view.ledger, view.columns.f_rows
    if kind == "refill":
        held = ledger.free(NAME, way.token)
        return (way.token, Side.SELL, min(look.units, held)) if held >= lot else "nothing_held"
    if kind == "first":
        hedge = hedge_for(view, way, look.fair, permitted=permitted)
        if hedge is None:
            return "no_hedge"
        per_token, per_hedge = (exact(worth[number][K.SHARES_PER_UNIT]) for number in (way.token, hedge))
        return hedge, Side.SELL, look.units * per_token / per_hedge
    if ledger.position(way.token) < ledger.reserved(way.token, Side.SELL):
        # What would only cover a short position is not there to be given.
        return "short_there"
    return way.token, Side.BUY, look.units


def kin_of(view: View, way: Way, first: int, side: Side) -> list[Kin]:
    """All that is traded beside the issuer: the first leg, and in kind the shares on the other side."""
    if view.columns.universe[way.other].role is Role.COIN:
        return [(first, side)]
    return [(first, side), (way.other, Side.SELL if side is Side.BUY else Side.BUY)]


def legs_of(
    view: View, kin: Sequence[Kin], most: Decimal, lots: Sequence[Decimal], slippage_bps: Decimal | None
) -> tuple[Leg, ...]:
    """Legs at what their venues show, at most so many units of the first, that are worth the same shares in whole lots;
    none where there is no size."""
    columns = view.columns
    worth = {number: exact(columns.f_rows[number][K.SHARES_PER_UNIT]) for number, _ in kin}
    if not all(one.is_finite() and one > 0 for one in worth.values()):
        return ()
    shares = most * worth[kin[0][0]]
    for number, side in kin:
        seen = view.left(number, side)
        shares = min(shares, exact(seen) * worth[number]) if isfinite(seen) else Decimal(0)
    for number, _ in sorted(kin, key=lambda one: -lots[one[0]] * worth[one[0]]):
        step = lots[number] * worth[number]
        shares = shares // step * step
    legs = [
        _leg(view, number, side, shares / worth[number] // lots[number] * lots[number], slippage_bps)
        for number, side in kin
    ]
    return tuple(legs) if all(leg.quantity > 0 for leg in legs) else ()


def _leg(view: View, number: int, side: Side, quantity: Decimal, slippage_bps: Decimal | None) -> Leg:
    """One leg with its worst price; without a slippage limit it takes the quotes in force."""
    seen = exact(view.columns.f_rows[number][K.ASK if side is Side.BUY else K.BID])
    if slippage_bps is None:
        limit = Decimal("Infinity") if side is Side.BUY else Decimal(0)
    else:
        give = seen * slippage_bps / _BPS
        limit = seen + give if side is Side.BUY else seen - give
    return Leg(instrument=number, side=side, quantity=quantity, limit=limit, seen=seen)
