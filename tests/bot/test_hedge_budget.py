"""Orders that close have a budget of their own, which no opening and no venue's limit can use up."""

from __future__ import annotations

from dataclasses import replace

from connectors.orders import Reason
from tests.bot.test_trades import LIMITS, C, Ran, plan


def test_fault_30_openings_that_use_up_the_minute_and_a_429_leave_the_hedge_its_orders() -> None:
    """
    Both orders of the minute are the plan's, and b answers 429: the hedge leaves for c, as the first of two that are
    kept for hedges, while a second plan is refused by the rate.
    """
    ran = Ran({"t-1": ["rate 5"]}, wishes={1: plan(), 10: plan("again")})
    ran.engine.dealer.limits = replace(LIMITS, max_orders_per_minute=2, hedge_orders_per_minute=2)
    ran.until(12)
    assert [("t.h1-0", C, "sell", 10)] == ran.orders()[2:]
    assert ["hedge", "hedged"] == ran.stages() and ran.over()
    assert [Reason.ORDER_RATE] == ran.reasons()
    refused = next(one for step in ran.steps for one in step.refused)
    assert "3 orders in the last minute, allowed 2" == refused.detail
