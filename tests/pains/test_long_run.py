"""Pain 25, the part about days: what a bot keeps in memory has an end, however long it trades and listens."""

from __future__ import annotations

import gc
import tracemalloc
from decimal import Decimal

from connectors.orders import Intent
from strategies.execution.trades import KEPT
from tests.pains.market import A, B, Market, plan


class ToAndFro(dict[int, Intent]):
    """A wish for each second: there, and back."""

    def pop(self, second: int, default: object = None) -> Intent:
        """One unit."""
        return plan(f"t{second}", units=1, buy=(A, B)[second % 2], sell=(B, A)[second % 2])


def test_pain_25_memory_is_flat() -> None:
    """
    Of 1,050 trades the last thousand are remembered, and the books know of all fills; a hundred seconds of quotes,
    8,000 of them, then leave less than 100 kB behind.
    """
    market = Market(wishes=ToAndFro(), max_orders_per_minute=1000, max_daily_loss_usd=Decimal(10**6))
    market.until(1050.5)
    assert (KEPT, 0) == (len(market.engine.trades.over), len(market.engine.trades.open))
    assert 2 * 1050 == market.engine.ledger.fills
    market.engine.strategies[0].wishes = {}  # type: ignore[attr-defined]
    market.until(1060)
    gc.collect()
    tracemalloc.start()
    try:
        market.until(1080)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        market.until(1180)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000
    assert 2 * 1050 == market.engine.ledger.fills
