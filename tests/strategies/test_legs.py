"""One leg before the review: permits, coins, costs and the collar, each at its very limit and in its words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import inf, nan, nextafter

import pytest

from connectors.events import NEVER, Kind, Row
from connectors.orders import Leg, Reason, Side
from strategies.base import View
from strategies.execution.legs import Problem, leg_problem, within_collar
from strategies.execution.limits import Limits
from strategies.market.columns import Facts
from strategies.pricing.costs import Component, Costs, Missing
from tests.strategies.test_gate import WIDE, leg
from tests.strategies.test_risk import NOW, USDT, A, B, Case, intent

FALLEN = Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801)


def problem(view: View, one: Leg, limits: Limits = WIDE, *, fair: float = 100.0, eased: bool = False) -> Problem | None:
    """What speaks against a leg."""
    return leg_problem(one, view, limits, fair, eased=eased)


# --- permits


@pytest.mark.parametrize(
    ("one", "permit"), [(leg(A, Side.BUY), (NEVER, 0)), (leg(A, Side.SELL), (0, NEVER))], ids=["buy", "sell"]
)
def test_a_side_that_is_barred_bars_no_other_and_says_which(one: Leg, permit: tuple[int, int]) -> None:
    """
    The words tell the side; from the first nanosecond of a permit on nothing is barred.
    """
    view = Case().view()
    buy, sell = permit
    view.columns.permit(A, buy_from=buy, sell_from=sell)
    found = problem(view, one)
    why = f"a:T/USD: no {one.side.value} orders now: stream down, new multiplier or no room"
    assert (Reason.MAINTENANCE, why) == found
    view.columns.permit(A, buy_from=sell, sell_from=buy)
    assert problem(view, one) is None
    view.columns.permit(A, buy_from=NOW, sell_from=NOW)
    assert problem(view, one) is None
    view.columns.permit(A, buy_from=NOW + 1, sell_from=NOW + 1)
    assert problem(view, one) is not None


# --- coins and costs


def test_a_coin_may_be_as_far_from_a_dollar_as_is_allowed() -> None:
    """
    The band itself passes; the least less does not.
    """
    view = Case(rows=(FALLEN,)).view()
    away = abs(view.columns.known_fx(B) - 1) * 1e4
    sale = leg(B, Side.SELL)
    wide = replace(WIDE, collar_bps=inf)
    assert problem(view, sale, replace(wide, coin_band_bps=away)) is None
    found = problem(view, sale, replace(wide, coin_band_bps=nextafter(away, 0)))
    assert (Reason.COIN_BAND, "USDT at 0.9800 USD, allowed 200 bps") == found


@pytest.mark.parametrize(
    ("costs", "why"),
    [
        (None, "no fee is configured"),
        (Costs(missing=(Missing(Component.GAS, "no price of gas"),)), "gas is not known: no price of gas"),
    ],
)
def test_a_cost_that_is_unknown_is_named(costs: Costs | None, why: str) -> None:
    """
    Whoever reads it sees what to write into the config.
    """
    view = Case(facts={A: Facts(cost=None, costs=costs, traded=True)}).view()
    found = problem(view, leg(A, Side.BUY))
    assert found is not None
    assert (Reason.COST_UNKNOWN, f"a:T/USD: {why}") == found


# --- the collar


def test_a_price_may_be_as_far_away_as_the_collar_allows() -> None:
    """
    At 102 a fair value of 100 is 200 bps away: that collar passes, the least less does not, and the words say so.
    """
    view, one = Case().view(), leg(A, Side.BUY, seen="102")
    away = abs(102.0 / 100.0 - 1) * 1e4
    assert problem(view, one, replace(WIDE, collar_bps=away)) is None
    found = problem(view, one, replace(WIDE, collar_bps=nextafter(away, 0)))
    assert (Reason.COLLAR, "a:T/USD: 200 bps from the fair value, allowed 200") == found


def test_where_the_fair_value_is_unknown_the_collar_of_what_closes_lies_around_the_quote() -> None:
    """
    The words say around what; an opening has none then, and is judged by whether it needs a fair value elsewhere.
    """
    view, one = Case().view(), leg(A, Side.BUY, seen="105")
    found = problem(view, one, fair=nan, eased=True)
    assert (Reason.COLLAR, "a:T/USD: 505 bps from the quote in force, allowed 300") == found
    assert problem(view, one, fair=nan) is None


def test_without_a_collar_any_price_passes() -> None:
    """
    Ten times the fair value.
    """
    assert problem(Case().view(), leg(A, Side.BUY, seen="1000"), replace(WIDE, collar_bps=inf)) is None


@pytest.mark.parametrize(
    ("side", "limit", "passes"),
    [(Side.SELL, "0", False), (Side.SELL, "0.5", True), (Side.BUY, "inf", False), (Side.BUY, "1000", True)],
)
def test_what_closes_without_a_collar_needs_a_worst_price_of_its_own(side: Side, limit: str, passes: bool) -> None:
    """
    Any number is one, also below a dollar; nothing and infinity are none.
    """
    found = problem(Case().view(), leg(A, side, limit=limit), replace(WIDE, collar_bps=inf), eased=True)
    expected = (Reason.COLLAR, "a:T/USD: no worst price, and no collar to give it one")
    assert (None if passes else expected) == found


def test_limits_are_brought_within_the_collar_and_those_within_stay() -> None:
    """
    300 bps around 100: a purchase up to 110 becomes one up to 103, one up to 101 stays, and so do sales from 90 and 99.
    """
    legs = tuple(
        leg(A, side, limit=limit)
        for side, limit in ((Side.BUY, "110"), (Side.BUY, "101"), (Side.SELL, "90"), (Side.SELL, "99"))
    )
    sent = within_collar(intent(legs=legs), Case().view(), WIDE, 100.0, eased=False)
    assert [Decimal("103.0"), Decimal(101), Decimal("97.0"), Decimal(99)] == [one.limit for one in sent.legs]


# --- what no cap can speak against


def test_below_the_least_cap_nothing_is_counted_but_where_cash_in_a_coin_has_one() -> None:
    """
    Of all caps the least one; cash is not among the positions that are summed.
    """
    caps = replace(WIDE.caps, token_usd=900.0, venue_usd=800.0, issuer_usd=700.0, chain_usd=600.0)
    limits = replace(WIDE, caps=caps, max_position_usd=Decimal(500), max_gross_usd=Decimal(400))
    assert 400.0 == limits.harmless_usd
    assert 500.0 == replace(limits, max_gross_usd=Decimal(10**9)).harmless_usd
    assert 0.0 == replace(limits, caps=replace(caps, stablecoin_usd=10.0**9)).harmless_usd
