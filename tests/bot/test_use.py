"""How much of each limit is used, and how naked trades under way are, while they run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client import generate_latest

from monitoring.desk import Desk
from monitoring.facts import Facts
from monitoring.page import page
from strategies.execution.limits import Limits
from strategies.execution.use import use_of
from tests.bot.test_trades import LIMITS, Ran

FACTS = Facts(version="1", mode="dry_run", strategies=("x",), warn_bps={}, depeg_bps={}, venue_kinds={})


def test_a_trade_under_way_tells_how_long_it_has_been_naked() -> None:
    """
    The sale is refused again and again: ten shares of 100 USD stand without a hedge, and the longer the more; what has
    an end counts there.
    """
    ran = Ran({"sell": ["refuse"]}).until(2)
    early = ran.engine.use().naked_usd_s["x"]
    assert 0 < early < 1000 * 1.1
    ran.until(12)
    assert early + 9 * 1000 < ran.engine.use().naked_usd_s["x"] < 12 * 1000
    ran.until(60)
    assert "paged" == ran.stages()[-1] and {} == ran.engine.use().naked_usd_s


def test_metrics_and_page_tell_both_while_it_runs() -> None:
    """
    The series of the strategy and of each limit that is on, and the words on the page.
    """
    ran = Ran({"sell": ["refuse"]}).until(12)
    desk = Desk(ran.columns, facts=FACTS, use=ran.engine.use)
    for step in ran.steps:
        desk.on_step(step)
    text = generate_latest(desk.registry).decode()
    naked = ran.engine.use().naked_usd_s["x"]
    assert f'pegline_trade_naked_usd_seconds{{strategy="x"}} {naked}' in text
    assert 'pegline_risk_limit_used_ratio{limit="gross"}' in text
    assert 'limit="drawdown"' not in text
    assert f"{naked:,.0f} USD x s without a hedge" in page(desk.picture(), desk.health(desk.picture()))


@pytest.mark.parametrize(
    ("limit", "limits", "used"),
    [
        ("position", replace(LIMITS, max_position_usd=Decimal(2000)), 10 * 101.05 / 2000),
        ("gross", replace(LIMITS, max_gross_usd=Decimal(4000)), 10 * (99.95 + 101.05) / 4000),
        ("venue", replace(LIMITS, caps=replace(LIMITS.caps, venue_usd=1000.0)), 10 * 101.05 / 1000),
        ("naked", replace(LIMITS, max_naked_usd=500.0), 10 * 100 / 500),
        ("turnover", replace(LIMITS, max_turnover_usd_per_day=20_000.0), 2020 / 20_000),
        ("orders_per_minute", replace(LIMITS, max_orders_per_minute=10), 2 / 10),
        ("daily_loss", replace(LIMITS, max_daily_loss_usd=Decimal(5)), 10 * 0.05 / 5),
        ("drawdown", replace(LIMITS, max_drawdown_usd=1.0), 10 * 0.05),
    ],
)
def test_use_is_a_share_of_the_limit(limit: str, limits: Limits, used: float) -> None:
    """
    Ten bought at 100 stand at 99.95, two orders of 1,010 USD left within the minute, and the sale, at 101.05, counts
    as done where that is worse.
    """
    ran = Ran({"t-1": ["silence"]}).until(3)
    engine = ran.engine
    found = use_of(engine.dealer.view(engine.now), limits, engine.memory, ())
    assert pytest.approx(used, rel=1e-9) == found.limits[limit]


def test_limits_that_are_off_are_left_out() -> None:
    """
    Infinite ones have no use; after an hour without orders that of orders is 0.
    """
    ran = Ran().until(3)
    found = use_of(ran.engine.dealer.view(ran.engine.now + 3600 * 10**9), LIMITS, ran.engine.memory, ()).limits
    assert {"position", "gross", "daily_loss", "orders_per_minute"} == found.keys()
    assert 0.0 == found["orders_per_minute"]
