"""A market in which no price moves, and a strategy that wants a position to grow step by step: what is bought costs
the same whenever it is bought, so that a run and its crashed twin must come to the same books.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from bot.simulation.fault import Fault
from bot.simulation.scene import stage
from connectors.events import NAN, NS, ROW
from connectors.exact import exact
from connectors.instruments import Role, Universe
from connectors.orders import Intent, Leg, Side
from connectors.simulated.short import START_NS, Records, style_of
from strategies.base import Decision, Every, Strategy, View, Wake
from strategies.market import kernel as K
from tests.simulation.test_rows_issuer import Minter

SECONDS = 330
ALPHA, BETA = "sim-alpha:simTSLA/USD", "sim-beta:simTSLA/USDT"
STEP = Decimal(3)
"""Units."""
STEPS = 4
FAULTS = (
    Fault(what="over_fill", where="sim-alpha", number=0),
    Fault(what="pause", where=ALPHA, at_s=100.0, for_s=30.0),
)
"""The first purchase fills half as much again, which is hedged; an operator pauses the token for a while."""


def still() -> Records:
    """Everything prints each second, at once, at 200 USD a share and one a coin; no gap pays."""
    parts = []
    at = np.arange(0.0, SECONDS, 1.0)
    for number, one in enumerate(stage().universe):
        style = style_of(one)
        mid = 1.0 if one.role is Role.COIN else 200.0 * (one.multiplier or 1.0)
        records = np.empty(len(at), dtype=ROW)
        records["ts_recv"] = START_NS + (at * NS).astype(np.int64) + number
        records["ts_venue"], records["instrument"], records["kind"] = records["ts_recv"], number, style.kind
        records["flags"], records["extra"] = 0, NAN
        half = np.full(len(at), 1e-5 if one.role is Role.COIN else 0.05)
        if one.role is Role.SHARE:
            half[::2] += 0.01  # what never changes is held to be frozen
        records["bid"], records["ask"] = mid - half, mid + half
        records["bid_size"] = records["ask_size"] = 1000.0
        parts.append(records)
    joined = np.concatenate(parts)
    return joined[np.argsort(joined["ts_recv"], kind="stable")]


class Grower:
    """Buys at alpha and sells at beta until alpha holds what it should by now: three units more every half minute."""

    name, cooldown_ns, refusal_backoff_ns, max_open = "grower", NS, NS, 1

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick."""
        self.alpha, self.beta = universe.number(ALPHA), universe.number(BETA)
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """Always."""
        return True, True

    def decide(self, view: View) -> Decision:
        """What lacks, while none of it is on the way."""
        due = STEP * min(STEPS, (view.now - START_NS) // (30 * NS))
        lacks = due - view.ledger.position(self.alpha) - view.ledger.reserved(self.alpha, Side.BUY)
        if not lacks > 0:
            return Decision()
        rows = view.columns.f_rows
        ask, bid = exact(rows[self.alpha][K.ASK]), exact(rows[self.beta][K.BID])
        if not (ask.is_finite() and bid.is_finite()):
            return Decision()
        legs = (
            Leg(instrument=self.alpha, side=Side.BUY, quantity=lacks, limit=ask, seen=ask),
            Leg(instrument=self.beta, side=Side.SELL, quantity=lacks, limit=bid, seen=bid),
        )
        wish = Intent(
            id=f"grower-{view.now}-{view.seq}", strategy=self.name, legs=legs, reason="", edge_bps=0.0,
            notional_usd=lacks * ask, deadline_ns=view.now + 2 * NS, underlying="TSLA",
        )  # fmt: skip
        return Decision((wish,))


def thinkers() -> Sequence[Strategy]:
    """Who thinks there: the grower, and one mint."""
    return Grower(), Minter(persists=True)
