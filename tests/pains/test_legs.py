"""Pains 1 to 8: what becomes of a trade's legs when venues fail, answer late, answer twice, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.orders import Approved, Outcome, Purpose, Reason, Side
from connectors.ports import Asked
from connectors.simulated.order_faults import OrderFault, OrderFaults, Spell, Trouble
from tests.bot.test_trades import Ran
from tests.pains.market import A, B, C, Market, after, plan, scripted

HEDGED = {A: Decimal(10), B: Decimal(-10)}


def test_pain_01_a_leg_that_is_lost_on_the_way_without_a_word_is_made_good() -> None:
    """
    One leg trades and the other never arrives, with no error anywhere: it is asked about, found not to be, and sold
    under another id. The trade ends, and the venues' own books are even.
    """
    market = Market({"b": scripted(OrderFault.REQUEST_LOST)}).until(4)
    assert {A: Decimal(10)} == market.moved()
    market.until(10)
    assert ["t.h1-0"] == [order.client_id for order in market.orders("b")]
    assert HEDGED == market.moved() == market.held()
    assert "hedged" == market.stages("t")[-1]
    assert market.over()


def test_pain_01_both_legs_stand_in_the_record_before_the_first_is_sent() -> None:
    """
    Whatever happens after the first order has left, the records know of the second.
    """

    class Door:
        """Looks at the records whenever an order passes."""

        def __init__(self, executor: Asked) -> None:
            self.inner, self.known = executor, list[int]()
            self.answer, self.query, self.cancel = executor.answer, executor.query, executor.cancel

        def submit(self, order: Approved, now: int) -> tuple[int, ...]:
            """Counts the legs that records know of this intent."""
            wishes = [one for step in market.steps for one in step.wishes if one.id in step.approved]
            self.known.append(sum(len(one.legs) for one in wishes if one.id == order.intent.id))
            return self.inner.submit(order, now)

    market = Market(door=Door)  # type: ignore[arg-type]
    market.until(3)
    assert isinstance(market.engine.executor, Door)
    assert [2] == market.engine.executor.known
    assert HEDGED == market.moved()


def test_pain_02_a_leg_that_fails_is_tried_again_given_back_and_then_its_share_rests() -> None:
    """
    b and c are down while the market falls: each try is priced from the bid of its moment, then what was bought goes
    back to where it came from, the share rests, and after that a trade is made as ever.
    """
    down = OrderFaults(spells=(Spell(Trouble.DOWN, after(0), after(20)),))
    market = Market({"b": down, "c": down}, wishes={1: plan(), 9: plan("u"), 40: plan("v")}).until(1)
    for tenth in range(11, 90):
        market.prices |= {at: (market.prices[at][0] - 0.01, market.prices[at][1]) for at in (A, B, C)}
        market.until(tenth / 10)
    market.until(50)
    tries = [wish for step in market.steps for wish in step.wishes if wish.trade == "t"]
    assert [Purpose.HEDGE, Purpose.HEDGE, Purpose.UNWIND] == [wish.purpose for wish in tries]
    assert tries[1].legs[0].seen < tries[0].legs[0].seen
    assert ["hedge", "unwind", "flat"] == market.stages("t")
    assert [Reason.COOLDOWN] == market.reasons()
    assert ["hedged"] == market.stages("v")
    assert HEDGED == market.moved() == market.held()


@pytest.mark.parametrize("fault", [OrderFault.FILL_AFTER_CANCEL, OrderFault.CANCEL_REFUSED, OrderFault.CANCEL_LOST])
def test_pain_03_what_fills_while_it_is_cancelled_is_hedged(fault: OrderFault) -> None:
    """
    Half of the purchase trades and the rest stands; when it is cancelled the rest trades, or the cancel is lost and
    the next one is not. What is sold is what was bought, in the venues' own books.
    """
    market = Market({"a": scripted(fault)}, wishes={1: plan(in_order=True)}).until(3)
    assert {A: Decimal(5), B: Decimal(-5)} == market.moved()
    market.until(30)
    bought = Decimal(5) if fault is OrderFault.CANCEL_LOST else Decimal(10)
    assert {A: bought, B: -bought} == market.moved() == market.held()
    assert "hedged" == market.stages("t")[-1]
    assert market.over()


parts = st.lists(st.sampled_from(["0.5", "1", "1.5", "2"]), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(bought=parts, sold=parts)
def test_pain_04_however_many_fills_there_are_their_sum_is_hedged(bought: list[str], sold: list[str]) -> None:
    """
    Each leg fills in any number of parts, and the last one of the purchase is told again later: each counts once, and
    net shares end at zero.
    """
    words = [*(f"part {units}" for units in bought), "end"]
    ran = Ran({"t-0": words, "t-1": [*(f"part {units}" for units in sold), "end"]}).until(5)
    again = ran.venue.filled["t-0"][-1]
    ran.engine.dealer.heard((ran.venue._report("t-0", Outcome.ACCEPTED, again),), ran.engine.now + 1)
    ran.until(10)
    total = max(sum(map(Decimal, bought)), sum(map(Decimal, sold)))
    assert {A: total, B: -total} == ran.positions
    assert "hedged" == ran.stages()[-1]
    assert ran.over()


def test_pain_05_while_a_leg_has_no_answer_no_other_takes_its_place_or_its_depth() -> None:
    """
    b answers nearly five seconds late: a second trade of the same side there is refused, one elsewhere is not, and
    what a strategy may still count on at b is less by what is under way.
    """
    slow = scripted(OrderFault.JUST_UNDER)
    market = Market({"b": slow}, wishes={1: plan(), 2: plan("u"), 3: plan("v", sell=C), 9: plan("w")}).until(2.5)
    assert [Reason.IN_FLIGHT] == market.reasons()
    assert 40 == market.engine.dealer.view(market.engine.now).left(B, Side.SELL)
    market.until(12)
    assert ["t-1", "w-1"] == [order.client_id for order in market.orders("b")]
    assert {A: Decimal(30), B: Decimal(-20), C: Decimal(-10)} == market.moved() == market.held()


def test_pain_06_a_price_that_ran_away_parks_no_order() -> None:
    """
    b's bid falls below the limit while the sale is on its way: nothing of it stands at b, the sale goes to c at once,
    and when b is back at its price the next trade goes there.
    """
    market = Market(wishes={1: plan(), 4: plan("u")}).until(0.9)
    market.prices[B] = (89.0, 89.1)
    market.until(1.1)
    assert [Decimal(0)] == [order.filled for order in market.orders("b")]
    assert not market.venues["b"].standing()
    assert {A: Decimal(10), C: Decimal(-10)} == market.moved()
    market.prices[B] = (101.0, 101.1)
    market.until(8)
    assert {A: Decimal(20), B: Decimal(-10), C: Decimal(-10)} == market.moved() == market.held()
    assert ["hedged", "hedged"] == [stage for stage in market.stages() if stage != "hedge"]
    assert market.over()


FAULTS = [None, OrderFault.ACK_LOST, OrderFault.REQUEST_LOST, OrderFault.DUPLICATE_FILL, OrderFault.FILL_BEFORE_ACK]


@pytest.mark.parametrize("fault", FAULTS)
def test_pain_07_whenever_the_process_dies_each_leg_trades_once(fault: OrderFault | None) -> None:
    """
    The process is killed every fifth of a second of a trade, and begins anew: the venues have had ten units bought
    and ten sold, and our books say so.
    """
    for tenth in range(11, 75, 6 if fault else 2):
        market = Market({"b": scripted(*([fault] if fault else []))}).until(tenth / 10)
        market.crash()
        market.until(25)
        assert HEDGED == market.moved() == market.held()
        assert market.over()


@pytest.mark.parametrize("fault", [OrderFault.JUST_OVER, OrderFault.ACK_LOST, OrderFault.RECORDED_5XX])
def test_pain_08_an_order_without_an_answer_is_not_sent_again(fault: OrderFault) -> None:
    """
    The sale trades at b and the answer is late, lost or a server error: b has had one sale of ten, its reservation
    stood until b was asked, and the trade is hedged with it.
    """
    market = Market({"b": scripted(fault)}).until(1.9)
    reserved = Decimal(0 if fault is OrderFault.RECORDED_5XX else 10)
    assert reserved == market.engine.ledger.reserved(B, Side.SELL)
    market.until(20)
    assert [("t-1", Decimal(10))] == [(order.client_id, order.filled) for order in market.orders("b")]
    assert HEDGED == market.moved() == market.held()
    assert ["hedged"] == market.stages("t")
    assert market.over()
