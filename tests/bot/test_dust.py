"""Dust that is worth less than a venue takes: kept, told, and sent only once it is worth enough."""

from __future__ import annotations

from decimal import Decimal

from connectors.orders import Leg, Side
from tests.bot.test_trades import A, B, C, Ran, S, plan

LOW = {at: (99.9, 100.3) for at in (A, B, C)} | {S: (100.0, 100.2)}
"""Half a share is worth 50 USD at the mid, and less for whoever sells it."""
HIGH = {at: (102.0, 102.4) for at in (A, B, C)} | {S: (102.1, 102.3)}


def usd_of(leg: Leg) -> Decimal:
    """What an order is worth at its limit."""
    return leg.quantity * leg.limit


def test_dust_below_a_venue_s_least_order_is_not_sent_and_stays_told() -> None:
    """
    Half a share is left of a trade: at the worst price that it may be sold at it is worth less than the 50 USD that
    venues take. Prices rise, and after the next trade it is swept up by an order of more than 50 USD.
    """
    ran = Ran({"t-1": ["part 9.5", "end"]}, wishes={1: plan(), 40: plan("u")}, lot="0.1", least_usd="50").until(30, LOW)
    assert 2 == len(ran.orders())
    assert {"S": Decimal("0.5")} == ran.engine.trades.dust and "0.5" == ran.notes()[-1].detail["dust"]
    ran.until(60, HIGH)
    ((leg, *_),) = [sent for id, sent in ran.venue.sent.items() if id.startswith("dust")]
    assert (Side.SELL, Decimal("0.5")) == (leg.side, leg.quantity)
    assert usd_of(leg) > 50 and {} == ran.engine.trades.dust
