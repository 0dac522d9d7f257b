"""Settled funds: what may be spent at a venue whose rule says so. Proceeds of a sale count from their settlement on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

import numpy as np

from connectors.orders import Fill, Side
from strategies.execution.ledger import EXACT
from strategies.market.session import Session, SessionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class FundsRule:
    """What a venue lets us spend."""

    usd: Decimal
    """What lay there before the first fill."""
    settle_days: int = 0
    """Trading days after its own on which a sale settles (T+1 is 1); 0: its proceeds may be spent at once."""


def settles_at(ts: int, days: int, sessions: SessionTable) -> int:
    """When a sale at `ts` (ns UTC) settles: at the open of the `days`-th trading day after its own.

    A trade outside regular and post hours belongs to the next trading day. Beyond the table it never settles.
    """
    if days == 0:
        return ts
    opens = sessions.starts[sessions.codes == Session.REGULAR]
    place = int(np.searchsorted(opens, ts, side="right"))
    place += days - 1 + (sessions.at(ts) not in (Session.REGULAR, Session.POST))
    return int(opens[place]) if place < len(opens) else 2**62


@dataclass(slots=True)
class Funds:
    """USD at each venue with a rule, folded from fills, each at the FX of its moment."""

    rules: Mapping[str, FundsRule] = field(default_factory=dict)
    """By venue."""
    sessions: SessionTable | None = None
    """For venues where a sale settles later."""
    flow: dict[str, Decimal] = field(default_factory=dict)
    """What fills brought and took at each venue, fees and gas included."""
    due: dict[str, list[tuple[int, Decimal]]] = field(default_factory=dict)
    """Proceeds of sales by venue, and when each settles (ns UTC)."""

    def hear(self, fill: Fill, venue: str, *, undone: bool = False) -> None:
        """Takes a new fill at a venue, or takes one back that did not happen."""
        rule = self.rules.get(venue)
        if rule is None:
            return
        with localcontext(EXACT):
            sign = 1 if fill.side is Side.SELL else -1
            usd = (sign * fill.quantity * fill.price - fill.fee) * fill.fx - fill.gas_usd
            usd = -usd if undone else usd
            self.flow[venue] = self.flow.get(venue, Decimal(0)) + usd
        if fill.side is Side.SELL and rule.settle_days and self.sessions is not None:
            when = settles_at(fill.ts, rule.settle_days, self.sessions)
            self.due.setdefault(venue, []).append((when, usd))

    def spendable(self, venue: str, now: int) -> Decimal | None:
        """USD that may be spent at a venue; None where no rule limits it."""
        rule = self.rules.get(venue)
        if rule is None:
            return None
        waiting = [(when, usd) for when, usd in self.due.get(venue, ()) if when > now]
        if venue in self.due:
            self.due[venue] = waiting
        with localcontext(EXACT):
            return rule.usd + self.flow.get(venue, Decimal(0)) - sum(usd for _, usd in waiting)
