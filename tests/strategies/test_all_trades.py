"""All trades of a run: what the fold of records keeps, and what may be asked of it, without an engine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs

from connectors.events import NS
from connectors.orders import Conversion, Fill, Intent, Leg, Outcome, Purpose, Reason, Report, Side
from strategies.base import Note
from strategies.execution import trades as T
from strategies.execution.exits import Lot
from strategies.execution.saga import Rules, Stage
from strategies.execution.trades import Trades
from tests.strategies.test_risk import NOW, USDT, A, B, Case, intent

RULES = Rules(retries=2, give_bps=Decimal(10), max_loss_usd=Decimal(50), naked_usd_s=1e12, max_unwinds=2)
LOT = Lot(units=Decimal("0.5"))
DOWN = Outcome.REFUSED


def trades(*, rules: Rules = RULES, worth: float = 1.0) -> Trades:
    """No trade yet; half a unit is the smallest order everywhere."""
    universe = Case().universe
    return Trades(universe, worth=([worth] * len(universe)).__getitem__, lots=[LOT] * len(universe), rules=rules)


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
    for name in ("S", "Q"):
        kept.noted(Note(kind="resumed", underlying=name), NOW)
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
    calm = trades()
    calm.approved(intent(legs=intent().legs[:1]), NOW)
    assert [] == calm.heard(said("x-1-0", outcome=DOWN), NOW)
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
