"""Pains 9, 10, 23 and 25: what was lost or forgotten, books that do not say what the venue says, and its keys."""

from __future__ import annotations

from decimal import Decimal

from connectors.client_ids import client_id
from connectors.orders import Reason, Side
from connectors.simulated.order_faults import Foreign, NewRights, OrderFault, OrderFaults, Spell, Trouble, Withdrawal
from tests.pains.market import FENCE, UA, UB, A, B, C, Market, after, plan, scripted

HEDGED = {A: Decimal(10), B: Decimal(-10)}
PAIR = {UA: Decimal(10), UB: Decimal(-10)}


def test_pain_09_an_order_that_was_lost_and_traded_is_found_when_its_venue_is_back() -> None:
    """
    The sale trades, its answer is lost, and b cannot be reached for ten minutes: the operator is told and nothing is
    sold again, S rests and U is traded. When b answers, the sale is booked once, under b's own id, and all is even.
    """
    gone = scripted(OrderFault.ACK_LOST, spells=(Spell(Trouble.DOWN, after(11.5), after(600)),))
    wishes = {11: plan(), 300: plan("again"), 400: plan("u", buy=UA, sell=UA + 2)}
    market = Market({"b": gone}, wishes=wishes, compared=True).until(500)
    assert {A: Decimal(10), UA: Decimal(10), UA + 2: Decimal(-10)} == market.held()
    assert "paged" == market.stages("t")[-1]
    assert [Reason.IN_FLIGHT] == market.reasons()
    market.until(700)
    assert {**HEDGED, UA: Decimal(10), UA + 2: Decimal(-10)} == market.held() == market.moved()
    assert {fill.id for fill in market.venues["b"].fills} <= {fill.id for fill in market.engine.ledger.recent}
    assert {} == market.engine.memory.differs
    assert market.over()


def test_pain_09_what_stands_of_an_earlier_start_is_cancelled_and_another_hands_order_is_not() -> None:
    """
    At b stand an order with the mark of an earlier start that no record knows, and one by hand: the first is cancelled
    before it can fill hours later, the second is told and left, and trading goes on.
    """
    lost = client_id("lost", 0, f"{FENCE}00000")
    events = tuple(
        Foreign(after(5), id, B, Side.SELL, Decimal(1), Decimal(150), trades=False) for id in (lost, "by hand")
    )
    market = Market({"b": OrderFaults(events=events)}, wishes={40: plan()}, compared=True).until(60)
    assert [False, True] == [market.venues["b"].orders[id].stands for id in (lost, "by hand")]
    told = {(note.detail["what"], note.detail["subject"]) for note in market.notes("difference")}
    assert {("unknown_order", lost), ("foreign_order", "by hand")} == told
    assert HEDGED == market.held() == market.moved()


def test_pain_10_after_a_restart_the_open_pair_is_known_and_neither_closed_nor_opened_again() -> None:
    """
    A hedged pair stands when the process dies. The next one holds the same pair, opens nothing before it has compared
    every venue with its books, then trades as ever, and a third one holds both pairs.
    """
    market = Market(wishes={11: plan()}, compared=True).until(15)
    market.crash()
    market.wishes |= {20: plan("later", buy=UA, sell=UB)}
    market.until(15.1)
    assert {A, B, C, UA, UB, UA + 2} == set(market.engine.memory.differs)
    market.until(30)
    market.crash()
    market.until(60)
    assert {**HEDGED, **PAIR} == market.held() == market.moved()
    assert {} == market.engine.memory.differs


def test_pain_23_a_difference_bars_its_venue_alone_and_no_fill_is_made_up_for_it() -> None:
    """
    Four tokens of S are taken out at a by hand: nothing is booked for them, a is only reduced, b and c trade on; the
    operator's word, with its evidence, brings the books to the venue's, and a restart does not apply it twice.
    """
    taken = OrderFaults(events=(Withdrawal(after(5), "ST", Decimal(4)),))
    wishes = {25: plan("s"), 27: plan("c", buy=C, sell=B)}
    market = Market({"a": taken}, wishes=wishes, compared=True).until(35)
    assert {A, UA} == set(market.engine.memory.differs)
    assert [Reason.REDUCE_ONLY] == market.reasons()
    assert {C: Decimal(10), B: Decimal(-10)} == market.held() == market.moved()
    comparer = market.engine.dealer.comparer
    assert "" == comparer.agree("a", "balance", "ST", "-4", reason="sold by hand", by="ann", now=after(35))
    (note,) = market.notes("adjust")
    assert "holds 86 ST" in str(note.detail["evidence"])
    market.wishes |= {50: plan("again")}
    market.until(40)
    market.crash()
    market.until(55)
    assert {} == market.engine.memory.differs
    assert Decimal(86 + 10) == market.engine.ledger.positions[A] == market.venues["a"].balances["ST"]


def test_pain_23_a_fill_in_dispute_bars_what_was_traded_and_nothing_else_at_its_venue() -> None:
    """
    The purchase of S at a was told one per cent dearer than a's own list says: S is not traded there, U is.
    """
    wishes = {11: plan(), 35: plan("s"), 36: plan("u", buy=UA, sell=UB)}
    market = Market({"a": scripted(OrderFault.WRONG_PRICE)}, wishes=wishes, compared=True).until(40)
    assert {A} == set(market.engine.memory.differs)
    assert [Reason.REDUCE_ONLY] == market.reasons()
    assert {**HEDGED, **PAIR} == market.held() == market.moved()


def test_pain_23_restarts_double_nothing_and_drop_no_order_that_works() -> None:
    """
    Half of the purchase trades and the rest stands while the process dies three times: the order is still known, what
    it fills counts once, and books and venues are equal to the unit.
    """
    slow = scripted(OrderFault.PARTIAL_SILENCE)
    market = Market({"a": slow}, wishes={11: plan(in_order=True)}, compared=True).until(12)
    for seconds in (12.5, 13, 13.5):
        market.crash()
        market.until(seconds)
    market.until(60)
    assert {A: Decimal(5), B: Decimal(-5)} == market.held() == market.moved()
    for at, venue in ((A, "a"), (B, "b"), (C, "c")):
        assert market.engine.ledger.positions[at] == market.venues[venue].balances["ST"]
    assert {} == market.engine.memory.differs
    assert market.over()


def test_pain_25_a_key_that_may_take_money_out_trades_nothing_at_its_venue() -> None:
    """
    In the fifth second a's key gains the right to withdraw: the operator is told which and where, a is only reduced,
    b and c trade on, and a trades again once the key is one that may not.
    """
    rights = OrderFaults(
        events=(NewRights(after(5), ("read", "trade", "withdraw")), NewRights(after(30), ("read", "trade")))
    )
    wishes = {15: plan("s"), 16: plan("c", buy=C), 45: plan("later")}
    market = Market({"a": rights}, wishes=wishes, compared=True).until(25)
    assert {A, UA} == set(market.engine.memory.differs)
    assert ["at a the key may withdraw"] == [
        str(note.detail["evidence"]).partition(" as of")[0] for note in market.notes("difference")
    ]
    assert [Reason.REDUCE_ONLY] == market.reasons()
    assert {C: Decimal(10), B: Decimal(-10)} == market.held()
    market.until(50)
    assert {A: Decimal(10), C: Decimal(10), B: Decimal(-20)} == market.held() == market.moved()
