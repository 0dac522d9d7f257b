"""All trades of a run: what the fold of records keeps, and what may be asked of it, without an engine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs

from connectors.events import NEVER, NS
from connectors.orders import Conversion, Fill, Intent, Leg, Outcome, Purpose, Reason, Report, Side
from strategies.base import Note, View
from strategies.execution import trades as T
from strategies.execution.exits import Lot
from strategies.execution.saga import Rules, Stage
from strategies.execution.trades import Trades
from tests.strategies.test_risk import NOW, USDT, A, B, Case, intent
from tests.strategies.test_risk import S as SHARE

RULES = Rules(retries=2, give_bps=Decimal(10), max_loss_usd=Decimal(50), naked_usd_s=1e12, max_unwinds=2)
LOT = Lot(units=Decimal("0.5"))
DOWN = Outcome.REFUSED


def trades(*, rules: Rules = RULES, worth: float = 1.0) -> Trades:
    """No trade yet; half a unit is the smallest order everywhere."""
    universe = Case().universe
    return Trades(universe, worth=lambda _: worth, lots=[LOT] * len(universe), rules=rules)


def fill(client_id: str, units: str, *, at: int = A, side: Side = Side.BUY, name: str = "1") -> Fill:
    """Units at 100 USD."""
    return Fill(id=f"{client_id}.{name}", client_id=client_id, instrument=at, side=side, quantity=Decimal(units),
                price=Decimal(100), fee=Decimal(0), fx=Decimal(1), ts=NOW)  # fmt: skip


def said(client_id: str, *fills: Fill, outcome: Outcome = Outcome.ACCEPTED, **more: object) -> Report:
    """A venue's word about an order."""
    name, _, leg = client_id.rpartition("-")
    return Report(client_id=client_id, intent_id=name, leg=int(leg), outcome=outcome, fills=fills, **more)  # type: ignore[arg-type]


def noted(trade: str = "x-1", **detail: float | str) -> Note:
    """A note about a trade."""
    return Note(kind="trade", underlying="S", detail={"trade": trade, **detail})


def half(units: str = "5", *, id: str = "x-1", kept: Trades | None = None) -> Trades:
    """A trade that has bought at A; its sale at B was refused."""
    kept = trades() if kept is None else kept
    kept.approved(intent(id=id), NOW)
    kept.heard(said(f"{id}-0", fill(f"{id}-0", units)), NOW)
    kept.heard(said(f"{id}-1", outcome=DOWN), NOW)
    return kept


def ended(stage: Stage = Stage.FLAT, *, before: Stage = Stage.UNWIND, dust: str = "0.2", id: str = "x-1",
          kept: Trades | None = None) -> Trades:  # fmt: skip
    """The same, come to an end."""
    kept = half(id=id, kept=kept)
    kept.noted(noted(id, stage=before.value), NOW)
    kept.noted(noted(id, stage=stage.value, dust=dust), NOW)
    return kept


def hedge(kept: Trades, id: str = "x-1.h1") -> Intent:
    """A later round that sells five at B."""
    sold = Leg(instrument=B, side=Side.SELL, quantity=Decimal(5), limit=Decimal(90), seen=Decimal(101))
    return intent(id=id, trade="x-1", purpose=Purpose.HEDGE, legs=(sold,))


def sweeping(units: str = "1", *, id: str = "dust-S-1") -> Intent:
    """An order that sells dust."""
    sold = Leg(instrument=B, side=Side.SELL, quantity=Decimal(units), limit=Decimal(90), seen=Decimal(101))
    return intent(id=id, strategy="dust", purpose=Purpose.HEDGE, legs=(sold,))


# --- plans and later rounds


def test_a_plan_begins_a_trade_with_an_order_for_each_leg() -> None:
    """
    It is under way for its strategy, its legs may fill, and reports without an intent's name get theirs.
    """
    kept = trades()
    plan = intent()
    kept.approved(plan, NOW)
    assert ({"x-1": "x"}, list(plan.legs)) == (kept.under_way(), kept.live_legs())
    assert (True, False) == (kept.under_way_in("S"), kept.under_way_in("R"))
    nameless = Report(client_id="x-1-1", intent_id="", leg=0, outcome=Outcome.ACCEPTED)
    assert ("x-1", 1) == (kept.named(nameless).intent_id, kept.named(nameless).leg)
    assert nameless != kept.named(nameless)
    unknown = Report(client_id="z-1", intent_id="", leg=0, outcome=Outcome.ACCEPTED)
    assert unknown is kept.named(unknown)
    mine = said("x-1-1")
    assert mine is kept.named(mine)
    assert ("x", plan.legs[1]) == (kept.strategy(mine), getattr(kept.order(mine), "leg", None))
    assert (None, None) == (kept.order(unknown), kept.order(structs.replace(mine, client_id="x-1-7")))


def test_a_later_round_is_its_trades_and_costs_a_try() -> None:
    """
    Its order is the trade's; refused, it costs a try as well; a refusal of a trade that nobody knows costs nothing.
    """
    kept = half()
    kept.noted(noted(stage="hedge"), NOW)
    wish = hedge(kept)
    kept.approved(wish, NOW + 1)
    saga = kept.open["x-1"]
    assert (1, 1, NOW + 1) == (saga.rounds, saga.tries, saga.tried_ns)
    assert "x-1.h1-0" in saga.orders
    assert ("x", wish.legs[0]) == (kept.strategy(said("x-1.h1-0")), getattr(kept.order(said("x-1.h1-0")), "leg", None))
    kept.refused(hedge(kept, "x-1.h2"), NOW + 2)
    assert (2, 2, NOW + 2) == (saga.rounds, saga.tries, saga.tried_ns)
    kept.refused(structs.replace(wish, trade="nobody"), NOW + 3)
    kept.refused(intent(id="x-9"), NOW + 3)
    assert (2, {"x-1"}, {}) == (saga.rounds, set(kept.open), dict(kept.swept))


def test_a_refused_round_of_a_trade_that_is_over_is_no_error() -> None:
    """
    It ended in the same moment: the refusal still counts as a try of it.
    """
    kept = ended()
    kept.refused(hedge(kept), NOW)
    assert (1, {}) == (kept.over["x-1"].rounds, kept.open)


def test_a_round_sent_for_a_trade_that_was_over_opens_it_again() -> None:
    """
    An order without an answer keeps it open; with its answer it is over again, and its dust is as it was.
    """
    kept = ended()
    kept.approved(hedge(kept), NOW)
    assert (["x-1"], []) == (list(kept.open), list(kept.over))
    kept.heard(said("x-1.h1-0", outcome=DOWN), NOW)
    assert ([], ["x-1"], {"S": Decimal("0.2")}) == (list(kept.open), list(kept.over), kept.dust)


def test_what_finds_no_offer_costs_a_try_and_other_events_none() -> None:
    """
    A note that nothing could be sent is a try; a question is not, nor is a note of another kind.
    """
    kept = half()
    kept.noted(noted(event="no_offer", why="all down"), NOW + 1)
    assert (1, NOW + 1) == (kept.open["x-1"].tries, kept.open["x-1"].tried_ns)
    kept.noted(noted(event="asked", why="x-1-0"), NOW + 2)
    kept.noted(Note(kind="day", detail={"day": 1}), NOW + 2)
    assert (1, Stage.LEGS) == (kept.open["x-1"].tries, kept.open["x-1"].stage)


# --- ends


@pytest.mark.parametrize(
    ("stage", "before", "unwinds", "cools"),
    [
        (Stage.FLAT, Stage.UNWIND, 1, True),
        (Stage.HEDGED, Stage.COOL, 1, True),
        (Stage.FLAT, Stage.HEDGE, 0, False),
        (Stage.HEDGED, Stage.HEDGE, 0, False),
        (Stage.PAGED, Stage.UNWIND, 0, False),
    ],
)
def test_an_end_after_an_unwind_counts_and_lets_the_share_rest(
    stage: Stage, before: Stage, unwinds: int, cools: bool
) -> None:
    """
    It does not matter whether something is left; a page is no end by an unwind, and dust is kept of what is no page.
    """
    kept = ended(stage, before=before)
    assert unwinds == kept.unwinds["S"]
    assert ({"S": NOW + RULES.cooldown_ns} if cools else {}) == kept.cooling
    assert ({} if stage is Stage.PAGED else {"S": Decimal("0.2")}) == kept.dust
    assert ({}, [], ["x-1"]) == (kept.under_way(), list(kept.open), list(kept.over))


def test_a_hedged_trade_ends_the_row_of_unwinds_and_a_flat_one_does_not() -> None:
    """
    One that ended without anything held proves nothing about the share; freeing the share ends the row as well.
    """
    for stage, unwinds in ((Stage.FLAT, 2), (Stage.HEDGED, 0)):
        kept = ended(id="x-1")
        ended(id="x-2", kept=kept)
        ended(stage, before=Stage.HEDGE, id="x-3", kept=kept)
        assert unwinds == kept.unwinds["S"]
    kept.unwinds.update(S=2, R=1)
    kept.noted(Note(kind="resumed", underlying="S"), NOW)
    assert {"R": 1} == {name: count for name, count in kept.unwinds.items() if count}


def test_dust_of_several_trades_is_summed_and_gone_at_zero() -> None:
    """
    0.2 and 0.1 are 0.3; after -0.3 there is none.
    """
    kept = ended(dust="0.2")
    ended(dust="0.1", id="x-2", kept=kept)
    assert {"S": Decimal("0.3")} == kept.dust
    ended(dust="-0.3", id="x-3", kept=kept)
    assert {} == kept.dust


def test_a_fill_after_the_end_takes_the_dust_back_into_its_trade() -> None:
    """
    The trade is open again, with all that it holds; a word without a fill leaves it over.
    """
    kept = ended()
    kept.heard(said("x-1-1", outcome=DOWN), NOW)
    assert ["x-1"] == list(kept.over)
    kept.heard(said("x-1-0", fill("x-1-0", "1", name="late")), NOW)
    assert ({}, ["x-1"], [], Decimal(0)) == (kept.dust, list(kept.open), list(kept.over), kept.open["x-1"].dust)


def test_more_than_was_asked_for_is_told_once() -> None:
    """
    Six of five: the note says how much of how much.
    """
    kept = trades()
    kept.approved(intent(), NOW)
    notes = kept.heard(said("x-1-0", fill("x-1-0", "6")), NOW)
    assert [noted(event="overfill", why="x-1-0 filled 6 of 5")] == notes
    assert [] == kept.heard(said("x-1-0", fill("x-1-0", "1", name="2")), NOW)


def test_the_last_answer_after_a_page_is_told() -> None:
    """
    An operator was told while an order had no answer: the trade stays open until it comes, and that is told.
    """
    kept = trades()
    kept.approved(intent(), NOW)
    kept.noted(noted(stage="paged"), NOW)
    assert (["x-1"], {}) == (list(kept.open), kept.under_way())
    assert [] == kept.heard(said("x-1-0", outcome=DOWN), NOW)
    notes = kept.heard(said("x-1-1", outcome=DOWN), NOW)
    assert [noted(event="answered", why="x-1-1 was the last order without an answer")] == notes
    assert ([], ["x-1"]) == (list(kept.open), list(kept.over))


def test_only_the_last_trades_that_are_over_are_remembered() -> None:
    """
    The oldest is forgotten, with its orders, when one more than is kept has ended.
    """
    kept = trades()
    for number in range(T.KEPT + 1):
        kept.approved(intent(id=f"x-{number}"), NOW)
        for leg in range(2):
            kept.heard(said(f"x-{number}-{leg}", outcome=DOWN), NOW)
        kept.noted(noted(f"x-{number}", stage="flat"), NOW)
    assert (T.KEPT, "x-1") == (len(kept.over), next(iter(kept.over)))
    assert (None, True) == (kept.order(said("x-0-0")), kept.order(said("x-1-0")) is not None)
    nameless = Report(client_id="x-0-1", intent_id="", leg=0, outcome=Outcome.ACCEPTED)
    assert nameless is kept.named(nameless)


# --- a restart


def test_after_a_restart_what_is_open_is_asked_about_at_once_and_bars_its_share() -> None:
    """
    Both orders are asked about at the first moment, and nothing is opened beside the trade until it is over.
    """
    kept = trades()
    kept.approved(intent(), NOW)
    assert () == kept.asks(NOW).queries
    kept.taken_up()
    assert NOW + 1 == kept.due(NOW, asked=True) or kept.asks(NOW).queries
    other = intent(id="y-1", strategy="y", buy=B, sell=A)
    found = kept.objection(other, NOW)
    assert (Reason.IN_FLIGHT, "x-1 must come to its end first") == found
    for leg in range(2):
        kept.heard(said(f"x-1-{leg}", outcome=DOWN), NOW)
    kept.noted(noted(stage="flat"), NOW)
    assert (None, set()) == (kept.objection(other, NOW), kept.restored)


def test_trades_of_an_earlier_version_are_forgotten_but_for_orders_without_an_answer() -> None:
    """
    Either all of them, or those whose orders all have their answer.
    """
    kept = half()
    kept.approved(intent(id="x-2"), NOW)
    kept.forget_finals()
    assert ["x-2"] == list(kept.open)
    kept.forget_all()
    assert {} == kept.open


# --- who may open


def test_a_share_rests_after_an_unwind_until_its_moment() -> None:
    """
    A nanosecond before the end of the rest nothing is opened in it, from then on it is.
    """
    kept = ended(before=Stage.UNWIND)
    until = NOW + RULES.cooldown_ns
    plan = intent(id="x-2")
    assert (Reason.COOLDOWN, "S rests after an unwind") == kept.objection(plan, until - 1)
    assert None is kept.objection(plan, until)


def test_legs_in_order_need_execution() -> None:
    """
    Without tries the second leg could never be sent.
    """
    plan = intent(in_order=True)
    assert None is trades().objection(plan, NOW)
    found = trades(rules=replace(RULES, retries=0)).objection(plan, NOW)
    assert (Reason.MODE, "its second leg may not be sent: there is no [execution]") == found
    assert None is trades(rules=replace(RULES, retries=0)).objection(intent(), NOW)


def test_one_order_of_each_share_venue_and_side_is_under_way() -> None:
    """
    The same side at the same venue waits, by whomever it is wished, also beside others of the moment; the other side
    does not, nor does anything once there is an answer.
    """
    kept = trades()
    assert None is kept.objection(intent(), NOW)
    kept.approved(intent(), NOW)
    same, other = intent(id="y-1", strategy="y"), intent(id="y-2", strategy="y", buy=B, sell=A)
    expected = (Reason.IN_FLIGHT, "another order to buy S at a is under way")
    assert (expected, None) == (kept.objection(same, NOW), kept.objection(other, NOW))
    assert expected == trades().objection(same, NOW, beside=[intent()])
    assert None is trades().objection(other, NOW, beside=[intent()])
    kept.heard(said("x-1-0", outcome=DOWN), NOW)
    sold = (Reason.IN_FLIGHT, "another order to sell S at b is under way")
    assert sold == kept.objection(same, NOW)
    kept.heard(said("x-1-1", outcome=DOWN), NOW)
    assert None is kept.objection(same, NOW)


@pytest.mark.parametrize("stage", [Stage.HEDGE, Stage.UNWIND, Stage.COOL])
def test_nothing_is_opened_beside_a_trade_that_is_being_repaired(stage: Stage) -> None:
    """
    It bars its own share, and no other one.
    """
    kept = half()
    kept.noted(noted(stage=stage.value), NOW)
    assert (Reason.IN_FLIGHT, "x-1 must come to its end first") == kept.objection(intent(id="x-2"), NOW)
    assert None is kept.objection(intent(id="x-2", underlying="R"), NOW)


def test_one_request_of_a_share_is_under_way_at_an_issuer() -> None:
    """
    A trade that is going to mint at an issuer bars another one that would; not one at another issuer, or without any.
    """
    then = Conversion(id="m", issuer="i", mint=True, source=USDT, target=A, quantity=Decimal(500), expected=Decimal(5),
                      least=Decimal(5), sla_ns=NOW + NS, underlying="S", reason="")  # fmt: skip
    kept = trades()
    kept.approved(intent(then=then), NOW)
    beside = {"id": "y-1", "buy": B, "sell": A}
    assert (Reason.IN_FLIGHT, "x-1 waits for i or is going to") == kept.objection(intent(then=then, **beside), NOW)
    assert None is kept.objection(intent(then=structs.replace(then, issuer="j"), **beside), NOW)
    assert None is kept.objection(intent(**beside), NOW)


def test_a_venue_that_was_asked_too_much_gets_no_plan_until_its_moment() -> None:
    """
    The later of its words counts; other venues are free.
    """
    kept = trades()
    kept.approved(intent(), NOW)
    kept.heard(said("x-1-1", outcome=DOWN, retry_ns=NOW + 9), NOW)
    kept.heard(said("x-1-1", outcome=DOWN, retry_ns=NOW + 5), NOW)
    kept.heard(said("x-1-0", outcome=DOWN), NOW)
    assert {"b": NOW + 9} == kept.exits.resting
    found = kept.objection(intent(id="x-2"), NOW + 8)
    assert (Reason.ORDER_RATE, "b was asked too much and wants peace") == found
    assert None is kept.objection(intent(id="x-2"), NOW + 9)
    assert None is kept.objection(intent(id="x-2", legs=intent().legs[:1]), NOW + 8)


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
    assert wish.legs[0].seen == wish.notional_usd


@pytest.mark.parametrize(("dust", "swept"), [("0.49", False), ("0.5", True), ("-0.49", False), ("-0.5", True)])
def test_dust_is_swept_up_from_the_smallest_order_on(dust: str, swept: bool) -> None:
    """
    Half a unit is the smallest order.
    """
    assert swept is bool(dusty(dust).think(Case().view()).wishes)


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


def test_a_sweep_takes_the_dust_with_it() -> None:
    """
    It is a trade of its own that begins with the dust; what it does not sell is dust again.
    """
    kept = dusty()
    kept.approved(sweeping(), NOW)
    saga = kept.open["dust-S-1"]
    assert ({}, Decimal("1.2"), Stage.HEDGE, 1) == (kept.dust, saga.carried, saga.stage, kept.swept["S"])
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
    assert (NOW + RULES.answer_within_ns, Decimal(505), B) == (
        wish.deadline_ns, wish.notional_usd, wish.legs[0].instrument,
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
