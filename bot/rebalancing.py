"""What to move between venues, by hand, so that every token and coin lies evenly where it is traded.

Trades buy where it is cheap and sell where it is dear, so that tokens gather at one venue and money at the other, until
a limit of positions stops them. A plan is a proposal: pegline moves nothing. Once it is done, the accounts differ from
the books by exactly that, and `pegline reconcile --fix` takes it in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Final

import msgspec

from connectors.instruments import Role
from strategies.execution.ledger import EXACT, ZERO, Ledger

STEP: Final = Decimal("0.000001")
"""Units or coins; what is moved is a whole number of these."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer."""

    asset: str
    """A token or a coin."""
    source: str
    target: str
    """Venues."""
    amount: Decimal
    """Units or coins."""
    usd: Decimal | None
    """What it is worth; None where nothing tells a price."""


def balances(ledger: Ledger) -> dict[str, dict[str, Decimal]]:
    """By token or coin, what the books have at each venue where it has ever moved; below zero is owed there.

    Perps and shares are left out: nobody can move them; so is cash at no venue that trades (of an issuer, or a price).
    """
    trades = {one.venue for one in ledger.universe if one.role is not Role.COIN}
    found: dict[str, dict[str, Decimal]] = {}
    with localcontext(EXACT):
        for number, units in ledger.positions.items():
            one = ledger.universe[number]
            if one.role is Role.TOKEN:
                at = found.setdefault(one.asset, {})
                at[one.venue] = at.get(one.venue, ZERO) + units
        for (venue, coin), amount in ledger.cash_at.items():
            if venue in trades:
                found.setdefault(coin, {})[venue] = amount
    return found


def plan(held: Mapping[str, Mapping[str, Decimal]], usd_of: Callable[[str], Decimal | None]) -> tuple[Move, ...]:
    """Moves that even out each asset over its venues: from the one with most to the one with least, fewer than venues.

    `usd_of` gives USD per unit or coin.
    """
    moves: list[Move] = []
    for asset, at in sorted(held.items()):
        with localcontext(EXACT):
            even = (sum(at.values(), ZERO) / len(at)).quantize(STEP, ROUND_DOWN)
            off = {venue: amount - even for venue, amount in at.items()}
        price = usd_of(asset)
        for _ in range(len(off) - 1):
            source, target = max(off, key=lambda venue: off[venue]), min(off, key=lambda venue: off[venue])
            amount = min(off[source], -off[target]).quantize(STEP, ROUND_DOWN)
            if amount <= 0:
                break
            off[source] -= amount
            off[target] += amount
            usd = None if price is None else amount * price
            moves.append(Move(asset=asset, source=source, target=target, amount=amount, usd=usd))
    return tuple(moves)
