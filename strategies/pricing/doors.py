"""The primary market as a priced venue: what a share costs by a mint, and brings by a redemption, at an issuer now."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

from connectors.exact import exact
from connectors.instruments import Role
from connectors.ports import Bounds, Soft
from strategies.base import View
from strategies.market import kernel as K


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One direction of an issuer for one token, at the size asked for."""

    mint: bool
    source: int
    target: int
    quantity: Decimal
    """Units of the source."""
    soft: Soft
    bounds: Bounds
    shares: float
    """What the token side of it is worth in shares."""
    cost: float
    """What it costs, as a share of what is given: the fee in kind and in cash, and against a coin the issuer's spread
    over `fair` too."""


class Pair(NamedTuple):
    """A request that could be made of an issuer."""

    source: int
    target: int
    quantity: Decimal
    """Units of the source."""
    per_source: float
    """Shares a unit of it is worth."""
    per_target: float


def pair_of(view: View, *, mint: bool, token: int, other: int, shares: float, fair: float, usd: float) -> Pair | None:
    """A request for about so many shares, which are worth `fair` USD each; `usd` is the price of the coin or share on
    the other side, per unit. None where a unit has no known worth."""
    columns = view.columns
    per_token = columns.f_rows[token][K.SHARES_PER_UNIT]
    cash = columns.universe[other].role is Role.COIN
    per_other = usd / fair if cash else columns.f_rows[other][K.SHARES_PER_UNIT]
    if not (isfinite(per_token) and isfinite(per_other) and fair > 0 and shares > 0):
        return None
    source, target = (other, token) if mint else (token, other)
    per_source, per_target = (per_other, per_token) if mint else (per_token, per_other)
    return Pair(source, target, exact(round(shares / per_source, 9)), per_source, per_target)


def cost_of(pair: Pair, soft: Soft, *, mint: bool, fair: float) -> float:
    """What an issuer that says so takes, as Door.cost has it."""
    gives, gets = float(pair.quantity) * pair.per_source, float(soft.expected) * pair.per_target
    fee = float(soft.fee_usd) / fair
    return (gives + fee) / gets - 1 if mint else 1 - (gets - fee) / gives


def door_of(
    view: View, issuer: str, *, mint: bool, token: int, other: int, shares: float, fair: float, usd: float
) -> Door | str:
    """The door for a request as `pair_of` has it. A word says why there is none."""
    desk = view.desks.get(issuer)
    if desk is None:
        return "no_door"
    source, target = (other, token) if mint else (token, other)
    bounds = desk.bounds(mint=mint, source=source, target=target, now=view.now)
    if bounds.closed:
        return "issuer_closed"
    pair = pair_of(view, mint=mint, token=token, other=other, shares=shares, fair=fair, usd=usd)
    if pair is None:
        return "fair_unknown"
    quantity = pair.quantity
    if not bounds.least <= quantity <= bounds.most:
        return "below_issuer_least" if quantity < bounds.least else "above_issuer_most"
    soft = desk.quote(mint=mint, source=source, target=target, quantity=quantity, now=view.now)
    if soft is None or not soft.expected > 0:
        return "no_issuer_quote"
    return Door(
        mint=mint,
        source=source,
        target=target,
        quantity=quantity,
        soft=soft,
        bounds=bounds,
        shares=float(soft.expected) * pair.per_target if mint else float(quantity) * pair.per_source,
        cost=cost_of(pair, soft, mint=mint, fair=fair),
    )
