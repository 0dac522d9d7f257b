"""The primary market as a priced venue: what a share costs by a mint, and brings by a redemption, at an issuer now."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

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


def door_of(
    view: View, issuer: str, *, mint: bool, token: int, other: int, shares: float, fair: float, usd: float
) -> Door | str:
    """The door for about so many shares, which are worth `fair` USD each; `usd` is the price of the coin or share on
    the other side, per unit. A word says why there is none."""
    columns = view.columns
    per_token = columns.f_rows[token][K.SHARES_PER_UNIT]
    cash = columns.universe[other].role is Role.COIN
    per_other = usd / fair if cash else columns.f_rows[other][K.SHARES_PER_UNIT]
    source, target = (other, token) if mint else (token, other)
    desk = view.desks.get(issuer)
    if desk is None:
        return "no_door"
    bounds = desk.bounds(mint=mint, source=source, target=target, now=view.now)
    if bounds.closed:
        return "issuer_closed"
    if not (isfinite(per_token) and isfinite(per_other) and fair > 0 and shares > 0):
        return "fair_unknown"
    per_source, per_target = (per_other, per_token) if mint else (per_token, per_other)
    quantity = exact(round(shares / per_source, 9))
    if not bounds.least <= quantity <= bounds.most:
        return "below_issuer_least" if quantity < bounds.least else "above_issuer_most"
    soft = desk.quote(mint=mint, source=source, target=target, quantity=quantity, now=view.now)
    if soft is None or not soft.expected > 0:
        return "no_issuer_quote"
    gives, gets = float(quantity) * per_source, float(soft.expected) * per_target
    fee = float(soft.fee_usd) / fair
    cost = (gives + fee) / gets - 1 if mint else 1 - (gets - fee) / gives
    return Door(
        mint=mint, source=source, target=target, quantity=quantity, soft=soft, bounds=bounds,
        shares=gets if mint else gives, cost=cost,
    )  # fmt: skip
