"""What trades hold and do next: shares, dust, tries, ends and questions, without an engine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs

from connectors.events import NEVER, NS
from connectors.orders import Intent, Leg, Outcome, Purpose, Side
from strategies.base import View
from strategies.execution import trades as T
from strategies.execution.exits import Lot
from strategies.execution.saga import Rules, Stage
from strategies.execution.trades import Trades
from tests.strategies.test_all_trades import DOWN, LOT, RULES, ended, fill, half, hedge, noted, said, trades
from tests.strategies.test_risk import NOW, A, B, Case, instruments, intent
from tests.strategies.test_risk import S as SHARE


def sweeping(units: str = "1", *, id: str = "dust-S-1") -> Intent:
    """An order that sells dust."""
    sold = Leg(instrument=B, side=Side.SELL, quantity=Decimal(units), limit=Decimal(90), seen=Decimal(101))
    return intent(id=id, strategy="dust", purpose=Purpose.HEDGE, legs=(sold,))


# --- what trades hold


def test_open_shares_are_fills_and_what_may_still_fill() -> None:
    """
    Three of five bought and the rest under way, a sale of five under way: zero; once the sale is refused, five, and
    with the purchase ended at three, three.
    """
    kept = trades()
    kept.approved(intent(), NOW)
    kept.heard(said("x-1-0", fill("x-1-0", "3"), final=False), NOW)
    assert {("x-1", "S"): Decimal(0)} == kept.open_shares()
    kept.heard(said("x-1-1", outcome=DOWN), NOW)
    assert {("x-1", "S"): Decimal(5)} == kept.open_shares()
    kept.heard(said("x-1-0"), NOW)
    assert {("x-1", "S"): Decimal(3)} == kept.open_shares()
    kept.approved(structs.replace(hedge(kept), legs=(structs.replace(hedge(kept).legs[0], instrument=A),)), NOW)
    assert {("x-1", "S"): Decimal(-2)} == kept.open_shares()


def test_an_order_that_filled_more_than_its_size_has_nothing_left() -> None:
    """
    Six of five and no final answer: six shares, and not five.
    """
    kept = half()
    kept.approved(intent(id="x-2", legs=intent().legs[:1]), NOW)
    kept.heard(said("x-2-0", fill("x-2-0", "6"), final=False), NOW)
    assert {("x-1", "S"): Decimal(5), ("x-2", "S"): Decimal(6)} == kept.open_shares()


def test_open_shares_count_what_a_unit_is_worth_and_leave_out_what_nobody_knows() -> None:
    """
    Five units of two shares are ten; where that is unknown the trade is left out.
    """
    assert {("x-1", "S"): Decimal(10)} == half(kept=trades(worth=2.0)).open_shares()
    assert {} == half(kept=trades(worth=float("nan"))).open_shares()


def test_what_a_trade_carried_in_is_its_own_from_the_begin() -> None:
    """
    A plan that rehedges two shares which its strategy holds.
    """
    kept = trades()
    kept.approved(intent(legs=intent().legs[1:], carried=Decimal(2)), NOW)
    assert {("x-1", "S"): Decimal(-3)} == kept.open_shares()


def test_the_smallest_order_is_enough_at_the_limit_of_the_last_try() -> None:
    """
    119.99 USD at bids of 101: after two tries that each give 1 % more it takes 1.22 units in lots of a hundredth.
    """
    case = Case()
    lots, rules = (
        [Lot(units=Decimal("0.01"), usd=Decimal("119.99"))] * len(case.universe),
        replace(RULES, give_bps=Decimal(100)),
    )
    kept = Trades(case.universe, worth=lambda _: 1.0, lots=lots, rules=rules)
    assert Decimal("1.22") == kept.exits.least(case.view(), hedge(kept))


# --- dust


def dusty(units: str = "1.2", *, rules: Rules = RULES) -> Trades:
    """Dust of an ended trade."""
    return ended(before=Stage.HEDGE, dust=units, kept=trades(rules=rules))


@pytest.mark.parametrize(("dust", "side", "at"), [("1.2", Side.SELL, B), ("-1.2", Side.BUY, A)])
def test_dust_that_can_be_traded_is_swept_up(dust: str, side: Side, at: int) -> None:
    """
    1.2 shares go in whole lots to the best place, as an order of nobody's strategy that reduces.
    """
    (wish,) = dusty(dust).think(Case().view()).wishes
    assert ("dust-S-1", "dust", Purpose.HEDGE, "", "S") == (
        wish.id, wish.strategy, wish.purpose, wish.trade, wish.underlying,
    )  # fmt: skip
    assert [(at, side, Decimal("1.0"))] == [(leg.instrument, leg.side, leg.quantity) for leg in wish.legs]
    assert (f"sweep up {dust} shares", NOW + RULES.answer_within_ns) == (wish.reason, wish.deadline_ns)
    assert (wish.notional_usd, 0.0) == (wish.legs[0].seen, wish.edge_bps)


@pytest.mark.parametrize(("dust", "sides"), [("0.49", []), ("0.5", [Side.SELL]), ("-0.49", []), ("-0.5", [Side.BUY])])
def test_dust_is_swept_up_from_the_smallest_order_on(dust: str, sides: list[Side]) -> None:
    """
    Half a unit is the smallest order.
    """
    assert sides == [wish.legs[0].side for wish in dusty(dust).think(Case().view()).wishes]


def test_dust_that_can_be_traded_nowhere_now_stays() -> None:
    """
    All quotes are old.
    """
    assert ((), ()) == dusty().think(Case(at=NOW + 61 * NS).view())[:2]


def test_dust_is_left_where_nothing_may_be_sent_or_its_share_is_in_a_trade() -> None:
    """
    Without [execution], or while a trade of the share is under way; one of another share does not matter.
    """
    assert () == dusty(rules=replace(RULES, retries=0)).think(Case().view()).wishes
    busy = dusty()
    busy.approved(intent(id="x-2"), NOW)
    assert () == busy.think(Case().view()).wishes
    other = dusty()
    other.dust["R"] = Decimal(9)
    other.approved(intent(id="x-2", underlying="R"), NOW)
    assert ["dust-S-1"] == [wish.id for wish in other.think(Case().view()).wishes]


def test_dust_is_tried_again_after_the_rest_under_the_next_number() -> None:
    """
    A sweep that was refused is counted, and the next one waits as long as a share rests.
    """
    kept = dusty()
    kept.refused(sweeping(), NOW)
    rest = NOW + RULES.cooldown_ns
    assert rest == kept.due(NOW, asked=False)
    view = Case(at=rest).view()
    assert () == kept.think(View(view.columns, view.ledger, rest - 1)).wishes
    assert ["dust-S-2"] == [wish.id for wish in kept.think(view).wishes]
    kept.refused(sweeping(id="dust-S-2"), NOW)
    assert ["dust-S-3"] == [wish.id for wish in kept.think(view).wishes]


def test_dust_of_a_share_that_rests_or_is_traded_keeps_no_other_from_being_swept_up() -> None:
    """
    The first share was just tried, the second has a trade under way: the third is swept up.
    """
    kept = trades()
    kept.dust.update(Q=Decimal(9), R=Decimal(9), S=Decimal(9))
    kept.refused(structs.replace(sweeping(), underlying="Q"), NOW)
    kept.approved(intent(underlying="R"), NOW)
    assert ["dust-S-1"] == [wish.id for wish in kept.think(Case().view()).wishes]


def test_dust_of_every_share_is_swept_up_in_one_look() -> None:
    """
    Two tokens of two shares.
    """
    case = Case(universe=instruments(underlying="R"))
    kept = Trades(case.universe, worth=lambda _: 1.0, lots=[LOT] * len(case.universe), rules=RULES)
    kept.dust.update(R=Decimal(9), S=Decimal(9))
    view = case.view()
    assert ["dust-R-1", "dust-S-1"] == [wish.id for wish in kept.think(view).wishes]


def test_a_sweep_takes_the_dust_with_it() -> None:
    """
    It is a trade of its own that begins with the dust; what it does not sell is dust again.
    """
    kept = dusty()
    kept.approved(sweeping(), NOW)
    saga = kept.open["dust-S-1"]
    assert ({}, Decimal("1.2"), Stage.HEDGE, 1) == (kept.dust, saga.carried, saga.stage, kept.swept["S"])
    assert (NOW, NOW) == (saga.opened_ns, kept.swept_ns["S"])
    assert {("dust-S-1", "S"): Decimal("0.2")} == kept.open_shares()
    kept.heard(said("dust-S-1-0", fill("dust-S-1-0", "1", at=B, side=Side.SELL)), NOW)
    thought = kept.think(Case().view())
    assert [("hedged", "0.2")] == [(note.detail["stage"], note.detail["dust"]) for note in thought.notes]
    kept.approved(sweeping(id="dust-R-1"), NOW)
    assert Decimal(0) == trades_of(sweeping()).open["dust-S-1"].carried


def trades_of(wish: Intent) -> Trades:
    """With one wish approved."""
    kept = trades()
    kept.approved(wish, NOW)
    return kept


# --- what is done next


def test_a_leg_that_fell_short_is_hedged_by_an_order_of_its_trade() -> None:
    """
    First the stage is noted, then the order comes: for the shares that are net, numbered, within the loss.
    """
    kept, view = half(), Case().view()
    (note,) = kept.think(view).notes
    assert noted(stage="hedge", why="a leg fell short") == note
    kept.noted(note, NOW)
    (wish,) = kept.think(view).wishes
    assert ("x-1.h1", "x", "x-1", Purpose.HEDGE, "S", "hedge 5 shares, try 1") == (
        wish.id, wish.strategy, wish.trade, wish.purpose, wish.underlying, wish.reason,
    )  # fmt: skip
    assert (NOW + RULES.answer_within_ns, Decimal(505), B, 0.0) == (
        wish.deadline_ns, wish.notional_usd, wish.legs[0].instrument, wish.edge_bps,
    )  # fmt: skip
    kept.noted(noted(stage="unwind"), NOW)
    (back,) = kept.think(view).wishes
    assert ("x-1.u1", Purpose.UNWIND, "unwind 5 shares, try 1", A) == (
        back.id, back.purpose, back.reason, back.legs[0].instrument,
    )  # fmt: skip


def test_two_trades_do_not_send_to_one_place_at_once() -> None:
    """
    Both would sell at B: the second goes to the next best place, which is the share itself.
    """
    kept = half()
    half(id="x-2", kept=kept)
    for id in ("x-1", "x-2"):
        kept.noted(noted(id, stage="hedge"), NOW)
    assert [("x-1.h1", B), ("x-2.h1", SHARE)] == [
        (wish.id, wish.legs[0].instrument) for wish in kept.think(Case().view()).wishes
    ]


def test_a_try_that_finds_no_offer_is_told() -> None:
    """
    All quotes are old: the note says that nothing could be sent, and why.
    """
    kept = half()
    kept.noted(noted(stage="hedge"), NOW)
    late = Case(at=NOW + 61 * NS).view()
    why = "no venue of the share has a quote that counts"
    assert [noted(event="no_offer", why=why)] == list(kept.think(late).notes)


def test_an_end_tells_what_is_left_and_how_long_it_was_naked() -> None:
    """
    500 USD for two seconds; what a page leaves is told as shares, what an end leaves as dust; the second unwind in a
    row says that the share is to be reduced only.
    """
    later = View(Case(at=NOW + 2 * NS).view().columns, Case().view().ledger, NOW + 2 * NS)
    paged = half(kept=trades(rules=replace(RULES, retries=0)))
    (note,) = paged.think(later).notes
    assert ("paged", "5", 1000.0) == (note.detail["stage"], note.detail["shares"], note.detail["naked_usd_s"])
    assert "dust" not in note.detail
    for before, told in ((0, False), (1, True)):
        kept = half("0.3")
        kept.unwinds["S"] = before
        kept.noted(noted(stage="unwind"), NOW)
        (note,) = kept.think(later).notes
        assert ("flat", "0.3") == (note.detail["stage"], note.detail["dust"])
        assert ("2 trades in a row had to be unwound" if told else None) == note.detail.get("reduce_only")
        assert "why" not in note.detail


def test_an_end_that_leaves_nothing_tells_no_shares_and_one_that_nobody_can_count_says_so() -> None:
    """
    A plan of which nothing filled is flat without dust; a page while a unit's worth is unknown tells that.
    """
    kept = trades()
    kept.approved(intent(), NOW)
    for leg in range(2):
        kept.heard(said(f"x-1-{leg}", outcome=DOWN), NOW)
    (note,) = kept.think(Case().view()).notes
    assert {"trade": "x-1", "stage": "flat", "naked_usd_s": 0.0} == note.detail
    unknown = half(kept=trades(rules=replace(RULES, retries=0), worth=float("nan")))
    (note,) = unknown.think(Case().view()).notes
    assert ("paged", "None") == (note.detail["stage"], note.detail["shares"])


def test_only_an_end_by_an_unwind_makes_a_row_of_them_longer() -> None:
    """
    After one unwind a trade that ends by its hedge does not ask to reduce the share only.
    """
    kept = half("0.3")
    kept.unwinds["S"] = 1
    kept.noted(noted(stage="hedge"), NOW)
    (note,) = kept.think(Case().view()).notes
    assert ("flat", None) == (note.detail["stage"], note.detail.get("reduce_only"))


def test_nothing_is_thought_of_where_nothing_is_open() -> None:
    """
    No trade and no dust: nothing is due either.
    """
    kept = trades()
    assert (T.Thought(), NEVER) == (kept.think(Case().view()), kept.due(NOW, asked=True))


# --- questions


def test_questions_come_after_the_patience_and_become_rarer_up_to_a_minute() -> None:
    """
    After 10 s, then 10, 20, 40 and from then on 60 s apart; the first is noted; unknown is asked about at once.
    """
    kept = trades()
    kept.approved(intent(legs=intent().legs[:1]), NOW)
    moments, now = [], NOW
    for _ in range(6):
        now = kept.due(now, asked=True)
        asks = kept.asks(now)
        if asks.queries:
            moments.append((now - NOW) // NS)
            assert ((("x-1-0", A),), (), ("asked",) if len(moments) == 1 else ()) == (
                asks.queries, asks.cancels, tuple(str(note.detail["event"]) for note in asks.notes),
            )  # fmt: skip
    assert [10, 20, 40, 80, 140, 200] == moments
    other = trades()
    other.approved(intent(legs=intent().legs[:1]), NOW)
    other.heard(said("x-1-0", outcome=Outcome.UNKNOWN, final=False), NOW)
    assert (("x-1-0", A),) == other.asks(NOW).queries
    assert NOW + RULES.page_after_ns == other.due(NOW, asked=False)


def test_an_order_that_is_open_again_is_asked_about_as_if_for_the_first_time() -> None:
    """
    It was asked about, answered, and its trade over; then its block is gone: the next question is noted anew.
    """
    kept = trades()
    kept.approved(intent(legs=intent().legs[:1]), NOW)
    later = NOW + RULES.answer_within_ns
    assert 1 == len(kept.asks(later).notes)
    kept.heard(said("x-1-0", fill("x-1-0", "5")), later)
    kept.noted(noted(stage="flat"), later)
    undone = said("x-1-0", outcome=Outcome.UNKNOWN, final=False, undone=(fill("x-1-0", "5"),))
    kept.heard(undone, later + NS)
    asks = kept.asks(later + NS)
    assert ((("x-1-0", A),), 1) == (asks.queries, len(asks.notes))


def test_an_order_that_stands_is_cancelled_at_every_question() -> None:
    """
    A cancel may be lost too; the note of the first says so.
    """
    kept = trades()
    kept.approved(intent(legs=intent().legs[:1]), NOW)
    kept.heard(said("x-1-0", final=False), NOW)
    for number in range(2):
        asks = kept.asks(kept.due(NOW if number == 0 else NOW + 10 * NS, asked=True))
        assert (("x-1-0", A),) == asks.cancels == asks.queries
        assert ([noted(event="cancel", why="x-1-0")] if number == 0 else []) == list(asks.notes)


def test_a_venue_that_wants_peace_is_not_asked_before_its_moment() -> None:
    """
    Its question is due at that moment, though the patience ended earlier.
    """
    kept = trades()
    kept.approved(intent(legs=intent().legs[:1]), NOW)
    kept.exits.resting["a"] = NOW + 30 * NS
    assert ((), NOW + 30 * NS) == (kept.asks(NOW + 29 * NS).queries, kept.due(NOW, asked=True))
    assert (("x-1-0", A),) == kept.asks(NOW + 30 * NS).queries
    assert SHARE not in {leg.instrument for leg in kept.live_legs()}
