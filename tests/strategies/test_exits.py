"""The ways out of a trade that fell short: which quote counts, what comes first, at what price and of what size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from math import nan

import pytest

from connectors.events import NS, Kind, Row
from connectors.orders import Fill, Leg, Outcome, Report, Side
from strategies.base import View
from strategies.execution import saga as S
from strategies.execution.exits import Exits, Lot, Offer
from strategies.execution.saga import Rules, Saga, Stage, Try
from strategies.market.columns import Facts
from tests.strategies.test_risk import NOW, USDT, A, B, Case, P, intent, quote
from tests.strategies.test_risk import S as SHARE

TRADED = Facts(cost=0.001, traded=True, max_age_ns=60 * NS)
RULES = Rules(retries=3, give_bps=Decimal(10), max_loss_usd=Decimal(10**6))
COARSE = Lot(units=Decimal("0.5"), usd=Decimal(120))
CLOSED = replace(TRADED, traded=False)
NOBODY: set[tuple[str, str, Side]] = set()


def market(*rows: Row, facts: dict[int, Facts] | None = None, at: int = NOW) -> Case:
    """The usual case after these rows, where the share itself is not traded."""
    return Case(rows=rows, facts={SHARE: CLOSED, **(facts or {})}, at=at)


def exits(case: Case, *, worth: float = 1.0, lot: Lot = COARSE, give: str = "0") -> Exits:
    """The ways out where every unit is worth so many shares."""
    return Exits(case.universe, [lot] * len(case.universe), known(case, worth), Decimal(give))


def known(case: Case, worth: float, **more: float) -> Callable[[int], float]:
    """Shares per unit of every instrument, some by venue, and of nothing else."""
    return [more.get(one.venue, worth) for one in case.universe].__getitem__


def trade(view: View, *, bought: str = "5", price: str = "100") -> Saga:
    """A trade that has bought at A and not sold at B."""
    plan = intent()
    saga = S.begin(plan, NOW)
    fill = Fill(id="f", client_id="x-1-0", instrument=A, side=Side.BUY, quantity=Decimal(bought),
                price=Decimal(price), fee=Decimal(0), fx=Decimal(1), ts=NOW)  # fmt: skip
    S.hear(saga, Report(client_id="x-1-0", intent_id="x-1", leg=0, outcome=Outcome.ACCEPTED, fills=(fill,)), NOW)
    for done in saga.fills.values():
        view.ledger.fill(done, seen=done.price)
    return saga


def sale(shares: str = "5", *, stage: Stage = Stage.HEDGE, side: Side | None = Side.SELL, give: str = "10",
         hasty: bool = False) -> Try:  # fmt: skip
    """A try to sell shares."""
    return Try(stage=stage, side=side, shares=Decimal(shares), give_bps=Decimal(give), hasty=hasty)


def found(case: Case, wanted: Try | None = None, *, rules: Rules = RULES, busy: set[tuple[str, str, Side]] = NOBODY,
          **more: object) -> Offer | str | None:  # fmt: skip
    """What is offered for a trade that has bought five at A."""
    view = case.view()
    ways = exits(case, **more)  # type: ignore[arg-type]
    return ways.offer(view, trade(view), wanted or sale(), busy, rules)


def test_an_offer_sells_the_shares_at_the_plans_own_leg_a_little_below_what_is_seen() -> None:
    """
    Five shares go to B, in whole lots, at the fresh bid less 10 bps; the offer tells its USD in the quote's coin.
    """
    case = market(quote(B, 101.0, 101.1))
    leg = Leg(instrument=B, side=Side.SELL, quantity=Decimal("5.0"), limit=Decimal("101") * Decimal("0.999"),
              seen=Decimal(101))  # fmt: skip
    assert Offer(leg, Decimal("5.0") * 101) == found(case)


def test_a_purchase_may_pay_a_little_more_than_is_seen() -> None:
    """
    A try to buy takes the ask, and up to the give above it; to give back what is short, at the instrument itself.
    """
    offer = found(market(), sale("5", side=Side.BUY))
    assert isinstance(offer, Offer)
    assert (A, Side.BUY, Decimal("100.1"), Decimal(100)) == (
        offer.leg.instrument, offer.leg.side, offer.leg.limit, offer.leg.seen,
    )  # fmt: skip


def test_units_are_shares_by_what_a_unit_is_worth_in_whole_lots() -> None:
    """
    At two shares a unit, five shares are 2.5 units; 4.9 are 2.45, of which two lots of a half are left out.
    """
    for shares, units in (("5", "2.5"), ("4.9", "2.0")):
        offer = found(market(), sale(shares), worth=2.0)
        assert isinstance(offer, Offer)
        assert Decimal(units) == offer.leg.quantity


def test_less_than_the_smallest_order_in_usd_is_no_offer() -> None:
    """
    120 USD at 100 a unit are 1.2 units, in whole lots 1.5: 1.4 shares are too few anywhere, 1.5 are enough.
    """
    assert isinstance(found(market(), sale("1.5")), Offer)
    why = found(market(), sale("1.4"))
    assert isinstance(why, str)
    assert "1.0 units are less than can be traded there" in why


def test_least_is_the_coarsest_of_the_plans_legs() -> None:
    """
    With lots of 0.5 and orders of 120 USD it is 1.5 shares, three where a unit is two; without a least order the lot.
    """
    case = market()
    view = case.view()
    assert Decimal("1.5") == exits(case).least(view, intent())
    assert Decimal("3.0") == exits(case, worth=2.0).least(view, intent())
    assert Decimal("0.5") == exits(case, lot=Lot(units=Decimal("0.5"))).least(view, intent())
    lots = [Lot(units=Decimal("0.1")), Lot(units=Decimal("0.7")), *[Lot(units=Decimal(9))] * 3]
    assert Decimal("0.7") == Exits(case.universe, lots, lambda _: 1.0, Decimal(0)).least(view, intent())


def test_least_is_enough_at_the_lowest_limit_of_a_try() -> None:
    """
    Bids of 101 sell 119.99 USD with 1.188 units; with limits down to 2 % below them it takes 1.213, in lots 1.22.
    """
    case = market()
    for give, units in (("0", "1.19"), ("200", "1.22")):
        lots = [Lot(units=Decimal("0.01"), usd=Decimal("119.99"))] * len(case.universe)
        ways = Exits(case.universe, lots, lambda _: 1.0, Decimal(give))
        assert Decimal(units) == ways.least(case.view(), intent(legs=intent().legs[1:]))


def test_least_of_a_plan_without_legs_is_that_of_its_share() -> None:
    """
    Dust has no leg of its own: the coarsest lot at which the share is traded counts, and no share at all has none.
    """
    case = market(facts={P: CLOSED})
    lots = [Lot(units=Decimal("0.1")), Lot(units=Decimal("0.7")), Lot(units=Decimal(4)), Lot(), Lot(units=Decimal(9))]
    ways, view = Exits(case.universe, lots, lambda _: 1.0, Decimal(0)), case.view()
    assert Decimal("0.7") == ways.least(view, intent(legs=()))
    assert Decimal(0) == ways.least(view, intent(legs=(), underlying="another"))


def test_what_no_unit_is_worth_anything_known_in_has_no_least() -> None:
    """
    Where shares per unit are unknown there is no least, no shares and no offer.
    """
    case = market()
    assert Decimal(0) == exits(case, worth=nan).least(case.view(), intent())
    assert None is exits(case, worth=nan).shares(Decimal(3), A)
    assert Decimal(6) == exits(case, worth=2.0).shares(Decimal(3), A)
    assert Decimal(3) == exits(case).shares(Decimal(3), A)
    assert "no venue of the share has a quote that counts" == found(case, worth=nan)


def test_a_try_without_a_side_says_what_is_not_known() -> None:
    """
    Net shares that nobody knows cannot be hedged.
    """
    assert "what a unit is worth in shares is not known" == found(market(), sale(side=None))


@pytest.mark.parametrize(
    "case",
    [
        market(at=NOW + 61 * NS),
        market(facts={number: CLOSED for number in (A, B, P)}),
        market(facts={number: Facts(cost=None, traded=True, max_age_ns=60 * NS) for number in (A, B, P)}),
    ],
    ids=["quotes are old", "nothing is traded", "costs are not known"],
)
def test_what_does_not_count_is_no_way_out(case: Case) -> None:
    """
    Old quotes, instruments that are not traded, and those whose costs are unknown are passed over.
    """
    assert "no venue of the share has a quote that counts" == found(case)


def test_another_venue_takes_the_place_of_one_whose_quote_is_old() -> None:
    """
    B is silent: the sale goes to A, where the units are.
    """
    late = NOW + 61 * NS
    case = market(quote(A, 99.9, 100.0, at=late), at=late)
    offer = found(case)
    assert isinstance(offer, Offer)
    assert (A, Decimal("99.9")) == (offer.leg.instrument, offer.leg.seen)


def test_a_doubted_instrument_is_no_way_out() -> None:
    """
    What somebody has spoken against is passed over while that stands.
    """
    case = market()
    view = case.view()
    view.columns.said[B] = "test"
    offer = exits(case).offer(view, trade(view), sale(), NOBODY, RULES)
    assert isinstance(offer, Offer)
    assert A == offer.leg.instrument


def test_one_price_counts_with_the_half_spread_that_is_assumed_of_it() -> None:
    """
    A series with one price of 100 sells at 99.5 and buys at 100.5 with 50 bps assumed; with none assumed never.
    """
    for half, price, side in ((0.005, "99.5", Side.SELL), (0.005, "100.5", Side.BUY)):
        case = market(facts={A: CLOSED, B: CLOSED, P: replace(TRADED, assumed_half_spread=half)})
        offer = found(case, sale(side=side))
        assert isinstance(offer, Offer)
        assert (P, Decimal(price)) == (offer.leg.instrument, offer.leg.seen.quantize(Decimal("0.1")))
    assert isinstance(found(market(facts={A: CLOSED, B: CLOSED, P: TRADED})), str)


def test_a_place_where_an_order_is_under_way_is_waited_for() -> None:
    """
    Where the only places left are taken, there is neither an offer nor a reason; another venue takes over where one is.
    """
    assert None is found(market(), busy={("S", venue, Side.SELL) for venue in "abp"})
    offer = found(market(), busy={("S", "b", Side.SELL)})
    assert isinstance(offer, Offer)
    assert A == offer.leg.instrument
    assert isinstance(found(market(), busy={("S", "b", Side.BUY)}), Offer)


def test_a_venue_that_was_asked_too_much_is_left_alone_until_its_moment() -> None:
    """
    Until then another one is taken, and where none is left the reason names it; from that moment on it is back.
    """
    case = market()
    view = case.view()
    ways, saga = exits(case), trade(view)
    ways.resting["b"] = NOW + 1
    offer = ways.offer(view, saga, sale(), NOBODY, RULES)
    assert isinstance(offer, Offer)
    assert (A, NOW + 1, 0) == (offer.leg.instrument, ways.rests_until(B), ways.rests_until(A))
    ways.resting.update(a=NOW + 1, p=NOW + 1)
    why = ways.offer(view, saga, sale(), NOBODY, RULES)
    assert isinstance(why, str)
    assert "its venue was asked too much" in why
    ways.resting["b"] = NOW
    offer = ways.offer(view, saga, sale(), NOBODY, RULES)
    assert isinstance(offer, Offer)
    assert B == offer.leg.instrument


def test_where_nothing_may_be_traded_what_is_held_there_may_still_be_given_back() -> None:
    """
    All are barred: five are held at A and go back there, also fewer; six do not, and the reason names a venue.
    """
    case = market()
    view = case.view()
    ways, saga = exits(case), trade(view)
    for number in (A, B, P):
        view.columns.permit(number, buy_from=2**62, sell_from=2**62, why="held back")
    for shares in ("5", "2"):
        offer = ways.offer(view, saga, sale(shares), NOBODY, RULES)
        assert isinstance(offer, Offer)
        assert A == offer.leg.instrument
    why = ways.offer(view, saga, sale("6"), NOBODY, RULES)
    assert isinstance(why, str)
    assert "held back" in why
    assert isinstance(ways.offer(view, saga, sale("5", side=Side.BUY), NOBODY, RULES), str)


def test_a_hedge_goes_to_the_plans_leg_and_an_unwind_to_where_the_units_are() -> None:
    """
    Though A pays more than B now, a hedge is sold at B; an unwind goes to A though B pays more.
    """
    better_a = market(quote(A, 102.0, 102.1))
    for case, stage, at in ((better_a, Stage.HEDGE, B), (market(), Stage.UNWIND, A)):
        offer = found(case, sale(stage=stage))
        assert isinstance(offer, Offer)
        assert at == offer.leg.instrument


def test_who_is_in_haste_takes_the_best_price_wherever_it_is() -> None:
    """
    A hasty hedge goes to A, which pays more after costs; a hasty unwind to B; costs decide between equal prices.
    """
    better_a = market(quote(A, 102.0, 102.1))
    dear_b = market(quote(A, 101.0, 101.1), facts={B: replace(TRADED, cost=0.002)})
    for case, stage, at in ((better_a, Stage.HEDGE, A), (market(), Stage.UNWIND, B), (dear_b, Stage.HEDGE, A)):
        offer = found(case, sale(stage=stage, hasty=True))
        assert isinstance(offer, Offer)
        assert at == offer.leg.instrument


def test_a_hasty_purchase_goes_where_it_is_cheapest_after_costs() -> None:
    """
    A asks 100 and B 101.1; once A costs two per cent more than B it goes to B, a series without a spread to neither.
    """
    for cost, at in ((0.001, A), (0.03, B)):
        offer = found(market(facts={A: replace(TRADED, cost=cost)}), sale(side=Side.BUY, hasty=True))
        assert isinstance(offer, Offer)
        assert at == offer.leg.instrument


def test_a_venue_that_refused_twice_comes_last() -> None:
    """
    One refusal at B changes nothing, after the second the sale goes to A.
    """
    case = market()
    view = case.view()
    ways, saga = exits(case), trade(view)
    sold = intent().legs[1]
    for count, at in ((1, B), (2, A)):
        saga.orders[f"x-1.h{count}-0"] = S.Order(leg=sold, sent_ns=NOW, outcome=Outcome.REFUSED, final=True)
        offer = ways.offer(view, saga, sale(), NOBODY, RULES)
        assert isinstance(offer, Offer)
        assert at == offer.leg.instrument


def test_the_worst_price_keeps_the_trade_within_the_loss_that_is_allowed() -> None:
    """
    Five were bought for 500: to lose at most one USD after 10 bps of fee, they go for 499 / (5 x 0.999) or better.
    """
    offer = found(market(quote(B, 99.95, 100.0)), rules=replace(RULES, max_loss_usd=Decimal(1)))
    assert isinstance(offer, Offer)
    assert Decimal("99.8999") == offer.leg.limit.quantize(Decimal("0.0001"))
    tight = found(
        market(quote(B, 99.95, 100.0), quote(A, 99.0, 100.0)), sale(give="50"),
        rules=replace(RULES, max_loss_usd=Decimal("0.9")),
    )  # fmt: skip
    assert isinstance(tight, Offer)
    assert (Decimal("499.1") / (5 * Decimal("0.999"))).quantize(Decimal("1e-9")) == tight.leg.limit.quantize(
        Decimal("1e-9")
    )


def test_what_would_lose_too_much_is_refused_with_the_price_and_the_limit() -> None:
    """
    All bids are so low that more than one USD would be lost: the reason says at what price, and of what limit.
    """
    low = tuple(quote(number, 99.0, 100.5) for number in (A, B))
    why = found(market(*low), rules=replace(RULES, max_loss_usd=Decimal(1)))
    assert isinstance(why, str)
    assert "at 99" in why
    assert "more than 1 USD" in why


def test_a_purchase_too_is_bound_by_the_loss_that_is_allowed() -> None:
    """
    Five were sold for 505 (they stand short): buying them back may cost at most 506 / (5 x 1.001) a unit.
    """
    case = market(quote(A, 100.9, 101.0))
    view = case.view()
    ways = exits(case)
    saga = S.begin(intent(), NOW)
    saga.flow_usd, saga.units = Decimal(-505), {B: Decimal(-5)}
    offer = ways.offer(view, saga, sale(side=Side.BUY, give="500"), NOBODY, replace(RULES, max_loss_usd=Decimal(1)))
    assert isinstance(offer, Offer)
    assert (Decimal(506) / (5 * Decimal("1.001"))).quantize(Decimal("1e-9")) == offer.leg.limit.quantize(
        Decimal("1e-9")
    )
    saga.flow_usd = Decimal(-503)
    assert isinstance(ways.offer(view, saga, sale(side=Side.BUY), NOBODY, replace(RULES, max_loss_usd=Decimal(1))), str)


def test_what_was_carried_in_is_not_bound_by_a_loss_of_its_own() -> None:
    """
    Dust of other trades has no price that it was bought at: only the give bounds it.
    """
    case = market()
    view = case.view()
    saga = S.begin(intent(), NOW)
    saga.carried = Decimal(5)
    offer = exits(case).offer(view, saga, sale(), NOBODY, replace(RULES, max_loss_usd=Decimal(-(10**6))))
    assert isinstance(offer, Offer)
    assert Decimal("100.899") == offer.leg.limit


def test_prices_in_a_coin_are_worth_what_the_coin_is() -> None:
    """
    B quotes 101.5 in a coin of 0.98 USD: an order moves USD, is bound by the loss in USD, and A is the better sale.
    """
    coin = Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801)
    case = market(quote(B, 101.5, 101.6), quote(A, 99.6, 100.0), coin)
    offer = found(case, sale(give="500"), rules=replace(RULES, max_loss_usd=Decimal(5)))
    assert isinstance(offer, Offer)
    bound = Decimal(495) / (5 * Decimal("0.98") * Decimal("0.999"))
    assert (B, Decimal("5.0") * Decimal("101.5") * Decimal("0.98")) == (offer.leg.instrument, offer.usd)
    assert bound.quantize(Decimal("1e-9")) == offer.leg.limit.quantize(Decimal("1e-9"))
    hasty = found(case, sale(hasty=True))
    assert isinstance(hasty, Offer)
    assert A == hasty.leg.instrument


def test_what_a_unit_is_worth_in_shares_decides_between_prices() -> None:
    """
    B pays more a unit, but a unit there is two shares: in haste the sale goes to A.
    """
    case = market()
    view = case.view()
    lots = [COARSE] * len(case.universe)
    ways = Exits(case.universe, lots, lambda number: 2.0 if number == B else 1.0, Decimal(0))
    offer = ways.offer(view, trade(view), sale(hasty=True), NOBODY, RULES)
    assert isinstance(offer, Offer)
    assert A == offer.leg.instrument


def test_fees_that_a_trade_has_paid_count_as_lost() -> None:
    """
    With 0.6 USD paid in fees only 0.4 of the one USD that may be lost are left for the price.
    """
    case = market(quote(B, 100.1, 100.2))
    view = case.view()
    saga = trade(view)
    saga.costs_usd = Decimal("0.6")
    offer = exits(case).offer(view, saga, sale(give="50"), NOBODY, replace(RULES, max_loss_usd=Decimal(1)))
    assert isinstance(offer, Offer)
    assert (Decimal("499.6") / (5 * Decimal("0.999"))).quantize(Decimal("1e-9")) == offer.leg.limit.quantize(
        Decimal("1e-9")
    )


def test_a_price_at_the_very_bound_is_taken() -> None:
    """
    Without any cost 500 paid and one USD to lose allow 99.8 exactly: a bid of 99.8 is an offer, 99.7 is not.
    """
    free = {number: replace(TRADED, cost=0.0) for number in (A, B)}
    for bid, there in ((99.8, True), (99.7, False)):
        case = market(quote(A, bid, 101.0), quote(B, bid, 101.0), facts=free)
        assert there is isinstance(found(case, rules=replace(RULES, max_loss_usd=Decimal(1))), Offer)


def test_a_short_is_unwound_where_it_stands() -> None:
    """
    Half a unit is short at B and as much is held at A: what is bought back is bought at B though A asks less.
    """
    case = market()
    saga = S.begin(intent(), NOW)
    ways = exits(case, lot=Lot(units=Decimal("0.5")))
    for units, side, at in (({B: "-0.5", A: "0.5"}, Side.BUY, B), ({B: "-0.5", A: "0.5"}, Side.SELL, A),
                            ({B: "-0.5"}, Side.BUY, B)):  # fmt: skip
        saga.units = {number: Decimal(held) for number, held in units.items()}
        offer = ways.offer(case.view(), saga, sale("0.5", stage=Stage.UNWIND, side=side), NOBODY, RULES)
        assert isinstance(offer, Offer)
        assert at == offer.leg.instrument


def test_a_quote_counts_to_its_last_nanosecond_and_a_permit_from_its_first() -> None:
    """
    At the moment a quote expires it still counts, one later it does not; at the moment a permit begins it holds.
    """
    last = NOW + 60 * NS
    for now, there in ((last, True), (last + 1, False)):
        assert there is isinstance(found(market(at=now)), Offer)
    case = market()
    view = case.view()
    for number in (A, B, P):
        view.columns.permit(number, buy_from=NOW, sell_from=NOW)
    offer = exits(case).offer(view, S.begin(intent(), NOW), sale(), NOBODY, RULES)
    assert isinstance(offer, Offer)


def test_what_is_held_counts_in_shares_where_nothing_may_be_traded() -> None:
    """
    Five units of two shares each are held at A: ten shares may be given back there, eleven may not.
    """
    case = market()
    view = case.view()
    ways, saga = exits(case, worth=2.0), trade(view)
    for number in (A, B, P):
        view.columns.permit(number, buy_from=2**62, sell_from=2**62, why="held back")
    for shares, there in (("10", True), ("11", False)):
        assert there is isinstance(ways.offer(view, saga, sale(shares), NOBODY, RULES), Offer)
