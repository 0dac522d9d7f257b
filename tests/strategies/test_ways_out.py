"""The ways out of a trade go by each instrument's own worth, price, coin, permit and fee."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import nan

import pytest

from connectors.events import NS, Kind, Row
from connectors.orders import Fill, Side
from strategies.execution import saga as S
from strategies.execution.exits import Exits, Lot, Offer
from tests.strategies.test_exits import (
    CLOSED,
    COARSE,
    NOBODY,
    RULES,
    TRADED,
    exits,
    found,
    known,
    market,
    sale,
    trade,
)  # fmt: skip
from tests.strategies.test_risk import NOW, USDT, A, B, P, intent, quote
from tests.strategies.test_risk import S as SHARE


def test_least_goes_by_the_worth_of_each_instrument_and_leaves_out_the_unknown() -> None:
    """
    Half a unit of two shares at B is one; where B is not known half a share at A is left.
    """
    case = market()
    for worth, least in ((2.0, "1.0"), (nan, "0.5")):
        ways = Exits(case.universe, [Lot(units=Decimal("0.5"))] * len(case.universe), known(case, 1.0, b=worth))
        assert Decimal(least) == ways.least(case.view(), intent())


def test_least_in_usd_goes_by_the_price_of_the_coin() -> None:
    """
    120 USD at bids of 101 in a coin of 0.98 USD are 1.2124 units, in lots 1.22.
    """
    case = market(Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801))
    ways = exits(case, lot=Lot(units=Decimal("0.01"), usd=Decimal(120)))
    assert Decimal("1.22") == ways.least(case.view(), intent(legs=intent().legs[1:]))


def test_least_is_the_lot_where_no_price_is_known() -> None:
    """
    As after a split: the last quote counts no more, and so many USD are no units.
    """
    case = market()
    view = case.view()
    for number in (A, B):
        view.columns.set_shares_per_unit(number, 2.0)
    assert Decimal("0.5") == exits(case).least(view, intent())


def test_an_instrument_whose_worth_is_unknown_is_no_way_out() -> None:
    """
    B is passed over, whatever a unit elsewhere is worth.
    """
    case = market()
    view = case.view()
    ways = Exits(case.universe, [COARSE] * len(case.universe), known(case, 1.0, b=nan))
    offer = ways.offer(view, trade(view), sale(), NOBODY, RULES)
    assert isinstance(offer, Offer)
    assert A == offer.leg.instrument


def test_a_cheap_share_is_sold_like_any_other() -> None:
    """
    Half a dollar is a price, and 120 USD of it are 240 units and more.
    """
    cheap = Row(ts_recv=NOW, instrument=SHARE, kind=Kind.REFERENCE, bid=0.4999, ask=0.5001)
    case = market(cheap, quote(A, 0.499, 0.5), quote(B, 0.505, 0.506))
    view = case.view()
    offer = exits(case).offer(view, S.begin(intent(), NOW), sale("300"), NOBODY, RULES)
    assert isinstance(offer, Offer)
    assert (B, Decimal("0.505")) == (offer.leg.instrument, offer.leg.seen)
    assert Decimal("238.0") == exits(case).least(view, intent(legs=intent().legs[1:]))


def test_an_instrument_that_is_no_way_out_hides_no_later_one() -> None:
    """
    The quote at A is old, or A is barred: B takes the sale in haste.
    """
    late = NOW + 61 * NS
    old = market(quote(B, 101.0, 101.1, at=late), Row(ts_recv=late, instrument=USDT, kind=Kind.FX, bid=0.9999,
                                                      ask=1.0001), at=late)  # fmt: skip
    assert isinstance(offer := found(old), Offer)
    assert B == offer.leg.instrument
    case = market()
    view = case.view()
    view.columns.permit(A, buy_from=2**62, sell_from=2**62, why="held back")
    offer = exits(case).offer(view, S.begin(intent(), NOW), sale(hasty=True), NOBODY, RULES)
    assert isinstance(offer, Offer)
    assert B == offer.leg.instrument


def test_a_side_that_is_barred_bars_no_other() -> None:
    """
    At B nothing may be bought: sales go there, and purchases to A.
    """
    case = market()
    view = case.view()
    view.columns.permit(B, buy_from=2**62, sell_from=0, why="held back")
    saga = S.begin(intent(legs=(*intent().legs, *intent(buy=B, sell=A).legs)), NOW)
    for side, at in ((Side.SELL, B), (Side.BUY, A)):
        offer = exits(case).offer(view, saga, sale(side=side, hasty=True), NOBODY, RULES)
        assert isinstance(offer, Offer)
        assert at == offer.leg.instrument
    view.columns.permit(A, buy_from=2**62, sell_from=2**62, why="held back")
    view.columns.permit(P, buy_from=2**62, sell_from=2**62, why="held back")
    assert isinstance(exits(case).offer(view, saga, sale(side=Side.BUY), NOBODY, RULES), str)


def test_what_is_short_where_nothing_may_be_traded_may_be_bought_back() -> None:
    """
    Five are short at A: five may be bought there, six may not.
    """
    case = market()
    view = case.view()
    short = Fill(id="f", client_id="c", instrument=A, side=Side.SELL, quantity=Decimal(5), price=Decimal(100),
                 fee=Decimal(0), fx=Decimal(1), ts=NOW)  # fmt: skip
    view.ledger.fill(short, seen=Decimal(100))
    for number in (A, B, P):
        view.columns.permit(number, buy_from=2**62, sell_from=2**62, why="held back")
    for shares, there in (("5", True), ("6", False)):
        offer = exits(case).offer(view, S.begin(intent(), NOW), sale(shares, side=Side.BUY), NOBODY, RULES)
        assert there is isinstance(offer, Offer)


@pytest.mark.parametrize(("side", "prices"), [(Side.BUY, (100.0, 100.05)), (Side.SELL, (100.05, 100.0))])
def test_in_haste_a_fee_counts_as_much_as_the_price(side: Side, prices: tuple[float, float]) -> None:
    """
    A is better by 5 bps and costs 8: the order goes to B, which costs nothing.
    """
    a, b = prices
    rows = (quote(A, a, a + 0.01), quote(B, b, b + 0.01)) if side is Side.SELL else (
        quote(A, a - 0.01, a), quote(B, b - 0.01, b)
    )  # fmt: skip
    offer = found(
        market(*rows, facts={A: replace(TRADED, cost=0.0008), B: replace(TRADED, cost=0.0), P: CLOSED}),
        sale(side=side, hasty=True),
    )
    assert isinstance(offer, Offer)
    assert B == offer.leg.instrument


def test_a_purchase_in_a_coin_is_bound_in_usd() -> None:
    """
    Five were sold for 505 USD; at B, in a coin of 0.98 USD, they may cost 506 / (5 x 0.98 x 1.001) coins a unit.
    """
    case = market(Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801), facts={A: CLOSED})
    saga = S.begin(intent(), NOW)
    saga.flow_usd, saga.units = Decimal(-505), {B: Decimal(-5)}
    rules = replace(RULES, max_loss_usd=Decimal(1))
    offer = exits(case).offer(case.view(), saga, sale(side=Side.BUY, give="500"), NOBODY, rules)
    assert isinstance(offer, Offer)
    assert (Decimal(506) / (5 * Decimal("0.98") * Decimal("1.001"))).quantize(Decimal("1e-9")) == (
        offer.leg.limit.quantize(Decimal("1e-9"))
    )


@pytest.mark.parametrize(("side", "limit"), [(Side.SELL, "101"), (Side.BUY, "100")])
def test_a_try_that_gives_nothing_takes_the_price_that_is_seen(side: Side, limit: str) -> None:
    """
    The limit is that price itself.
    """
    offer = found(market(), sale(side=side, give="0"))
    assert isinstance(offer, Offer)
    assert Decimal(limit) == offer.leg.limit == offer.leg.seen
