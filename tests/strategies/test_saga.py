"""One trade as a state machine: what each thing that a venue may say changes, and what is to be done next."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectors.events import NEVER, NS
from connectors.orders import Fill, Intent, Leg, Outcome, Purpose, Report, Side
from strategies.execution import saga as S
from strategies.execution.saga import Rules, Saga, Stage, Standing, Try, Turn

A, B, C = range(3)
"""Instruments of one share; a unit is a share."""
NOW = 1_000 * NS
RULES = Rules(
    retries=2,
    give_bps=Decimal(10),
    wait_ns=NS,
    max_loss_usd=Decimal(50),
    naked_usd_s=5_000.0,
    answer_within_ns=10 * NS,
    page_after_ns=100 * NS,
    cooldown_ns=30 * NS,
    max_unwinds=3,
)
LOT = Decimal("0.5")


def leg(instrument: int, side: Side, units: str = "10") -> Leg:
    """A leg around 100 USD."""
    return Leg(instrument=instrument, side=side, quantity=Decimal(units), limit=Decimal(100), seen=Decimal(100))


def plan(*, in_order: bool = False) -> Intent:
    """Ten units are bought at A and sold at B."""
    return Intent(
        id="t", strategy="x", legs=(leg(A, Side.BUY), leg(B, Side.SELL)), reason="", edge_bps=1.0,
        notional_usd=Decimal(1000), deadline_ns=NOW, underlying="S", in_order=in_order,
    )  # fmt: skip


def follow_up(saga: Saga, instrument: int, side: Side, units: str = "10") -> Intent:
    """The next round of a trade."""
    return msgspec.structs.replace(
        plan(), id=f"t.h{saga.rounds + 1}", trade="t", purpose=Purpose.HEDGE, legs=(leg(instrument, side, units),)
    )


def fill(saga: Saga, client_id: str, units: str, *, name: str = "1", price: str = "100") -> Fill:
    """A part of an order."""
    of = saga.orders[client_id].leg
    return Fill(
        id=f"{client_id}.{name}", client_id=client_id, instrument=of.instrument, side=of.side, quantity=Decimal(units),
        price=Decimal(price), fee=Decimal("0.5"), fx=Decimal(2), ts=NOW, gas_usd=Decimal("0.25"),
    )  # fmt: skip


def said(
    client_id: str, *fills: Fill, outcome: Outcome = Outcome.ACCEPTED, final: bool = True, **more: object
) -> Report:
    """A venue's word about an order."""
    intent_id, _, number = client_id.rpartition("-")
    return Report(
        client_id=client_id, intent_id=intent_id, leg=int(number), outcome=outcome, fills=fills, final=final, **more
    )  # type: ignore[arg-type]


def stands(saga: Saga, *, known: bool = True) -> Standing:
    """What a trade's units are worth where each is a share."""
    net = sum(saga.units.values(), saga.carried)
    return Standing(net if known else None, max(map(abs, saga.units.values()), default=Decimal(0)), LOT)


def next_of(saga: Saga, now: int = NOW, rules: Rules = RULES, *, known: bool = True) -> Turn | Try | None:
    """What is to be done."""
    return S.decide(saga, now, stands(saga, known=known), rules)


def half(units: str = "10", *, in_order: bool = False) -> Saga:
    """A trade whose purchase filled and whose sale was refused."""
    saga = S.begin(plan(in_order=in_order), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", units)), NOW)
    if not in_order:
        S.hear(saga, said("t-1", outcome=Outcome.REFUSED), NOW)
    return saga


def in_stage(stage: Stage, *, tries: int = 0, now: int = NOW) -> Saga:
    """A half trade that has come to a stage, after some tries that found nothing."""
    saga = half()
    S.turn(saga, stage, now)
    for _ in range(tries):
        S.declined(saga, now)
    return saga


def test_both_legs_filled_is_hedged() -> None:
    """
    The same shares bought and sold: nothing more to do, although both positions stand.
    """
    saga = S.begin(plan(), NOW)
    for client_id in ("t-0", "t-1"):
        assert next_of(saga) is None
        S.hear(saga, said(client_id, fill(saga, client_id, "10")), NOW)
    assert Turn(Stage.HEDGED, "") == next_of(saga)
    assert {A: Decimal(10), B: Decimal(-10)} == saga.units


def test_nothing_filled_is_flat() -> None:
    """
    Both orders were refused: the trade is over, and nothing is held.
    """
    saga = S.begin(plan(), NOW)
    for client_id in ("t-0", "t-1"):
        S.hear(saga, said(client_id, outcome=Outcome.REFUSED), NOW)
    assert Turn(Stage.FLAT, "") == next_of(saga)


@pytest.mark.parametrize(("filled", "stage"), [("0.499", Stage.FLAT), ("0.5", Stage.HEDGE)])
def test_less_than_can_be_traded_is_dust_and_a_lot_is_hedged(filled: str, stage: Stage) -> None:
    """
    Half a unit is the smallest order: below it the trade is over, from it on it is not.
    """
    turn = next_of(half(filled))
    assert isinstance(turn, Turn) and stage is turn.stage


def test_two_positions_that_differ_by_dust_are_hedged() -> None:
    """
    Ten were bought and 9.6 sold: what is left cannot be traded.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "10")), NOW)
    S.hear(saga, said("t-1", fill(saga, "t-1", "9.6")), NOW)
    assert Turn(Stage.HEDGED, "") == next_of(saga)


@pytest.mark.parametrize("in_order", [False, True])
def test_a_plan_in_order_sends_its_first_leg_alone(in_order: bool) -> None:
    """
    One order or both leave at once, under the plan's own client ids; the others follow what is filled.
    """
    saga = S.begin(plan(in_order=in_order), NOW)
    assert [NOW] * 4 == [saga.opened_ns, saga.told_ns, saga.tried_ns, saga.orders["t-0"].sent_ns]
    assert (["t-0"] if in_order else ["t-0", "t-1"]) == list(saga.orders)
    why = "the next leg" if in_order else "a leg fell short"
    assert Turn(Stage.HEDGE, why) == next_of(half(in_order=in_order))


def test_a_hedge_is_minus_the_net_shares_of_all_fills_so_far() -> None:
    """
    3 and 4 were bought in parts, 2 sold: 5 are to be sold, as soon as the sale has its final answer and not before.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "3"), final=False), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "4", name="2"), final=False), NOW)
    S.hear(saga, said("t-1", fill(saga, "t-1", "2"), final=False), NOW)
    assert next_of(saga) is None
    S.hear(saga, said("t-1"), NOW)
    S.turn(saga, Stage.HEDGE, NOW)
    assert Try(Stage.HEDGE, Side.SELL, Decimal(5), Decimal(10), False) == next_of(saga)


@pytest.mark.parametrize("units", ["0.7", "1"])
def test_less_than_a_share_is_hedged_on_its_own_side(units: str) -> None:
    """
    Bought, it is to be sold.
    """
    saga = half(units)
    S.turn(saga, Stage.HEDGE, NOW)
    found = next_of(saga)
    assert isinstance(found, Try) and (Side.SELL, Decimal(units)) == (found.side, found.shares)


def test_a_short_is_bought_back() -> None:
    """
    The sale filled and the purchase was refused: shares are to be bought.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-1", fill(saga, "t-1", "4")), NOW)
    S.hear(saga, said("t-0", outcome=Outcome.REFUSED), NOW)
    S.turn(saga, Stage.HEDGE, NOW)
    assert Try(Stage.HEDGE, Side.BUY, Decimal(4), Decimal(10), False) == next_of(saga)


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.ACCEPTED])
def test_an_order_without_a_final_answer_blocks_every_other_of_its_side(outcome: Outcome) -> None:
    """
    The purchase filled, the sale may still: nothing is sold, until an operator is told after 100 s.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "10")), NOW)
    S.hear(saga, said("t-1", outcome=outcome, final=False), NOW)
    assert next_of(saga, NOW + 100 * NS - 1) is None
    assert Turn(Stage.PAGED, "no final answer about t-1") == next_of(saga, NOW + 100 * NS)


def test_unknown_is_never_final() -> None:
    """
    A report that calls itself final and does not know is no answer; a later one is.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-0", outcome=Outcome.UNKNOWN, final=True), NOW)
    assert (False, Outcome.UNKNOWN) == (saga.orders["t-0"].final, saga.orders["t-0"].outcome)
    S.hear(saga, said("t-0", outcome=Outcome.REFUSED), NOW)
    assert (True, Outcome.REFUSED) == (saga.orders["t-0"].final, saga.orders["t-0"].outcome)


def test_an_acknowledgement_after_the_final_answer_changes_nothing() -> None:
    """
    News out of order: the order stays what its final answer said.
    """
    saga = half()
    S.hear(saga, said("t-1", outcome=Outcome.ACCEPTED, final=False), NOW)
    assert (True, Outcome.REFUSED) == (saga.orders["t-1"].final, saga.orders["t-1"].outcome)


def test_a_part_of_one_side_may_be_hedged_while_the_rest_of_that_side_is_open() -> None:
    """
    Four of ten bought, the rest unknown, the sale refused: four are sold; a purchase could not be sent.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-1", outcome=Outcome.REFUSED), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "4"), outcome=Outcome.UNKNOWN, final=False), NOW)
    assert Turn(Stage.HEDGE, "a leg fell short") == next_of(saga)
    S.turn(saga, Stage.HEDGE, NOW)
    found = next_of(saga)
    assert isinstance(found, Try) and (Side.SELL, Decimal(4)) == (found.side, found.shares)


@pytest.mark.parametrize("stage", [Stage.UNWIND, Stage.COOL])
def test_nothing_is_given_back_while_anything_is_open(stage: Stage) -> None:
    """
    The rest of the purchase may still fill: what is given back now could be bought again.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-1", outcome=Outcome.REFUSED), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "4"), final=False), NOW)
    S.turn(saga, stage, NOW - 90 * NS)
    assert next_of(saga) is None
    S.hear(saga, said("t-0"), NOW)
    assert isinstance(next_of(saga), Try)


def test_an_end_waits_for_every_order() -> None:
    """
    Net shares are zero while a purchase may still fill: no end yet, and an operator is told in time.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-1", outcome=Outcome.REFUSED), NOW)
    assert next_of(saga, NOW + NS) is None
    assert Turn(Stage.PAGED, "no final answer about t-0") == next_of(saga, NOW + 100 * NS)


def test_a_fill_counts_once_however_often_it_is_told() -> None:
    """
    By stream, by question and again after a restart: one fill, one cost.
    """
    saga = S.begin(plan(), NOW)
    for _ in range(3):
        S.hear(saga, said("t-0", fill(saga, "t-0", "10"), final=False), NOW)
    assert ({A: Decimal(10)}, Decimal(2000), Decimal("1.25")) == (saga.units, saga.flow_usd, saga.costs_usd)
    assert Decimal(10) == saga.orders["t-0"].filled


def test_a_report_with_an_id_counts_once() -> None:
    """
    Gas of a reverted swap is paid once.
    """
    saga = S.begin(plan(), NOW)
    for _ in range(2):
        assert not S.hear(saga, said("t-0", outcome=Outcome.REFUSED, id="n", gas_usd=Decimal(3)), NOW)
    assert Decimal(3) == saga.costs_usd
    S.hear(saga, said("t-1", outcome=Outcome.REFUSED, gas_usd=Decimal(1)), NOW)
    assert Decimal(4) == saga.costs_usd
    assert Decimal(-4) == S.result_usd(saga)


def test_what_a_fill_brought_and_cost_is_counted_with_its_sign() -> None:
    """
    Bought for 2,000 USD and sold for 2,020 (10 at 101, two USD a coin), 1.25 USD of costs each.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "10")), NOW)
    S.hear(saga, said("t-1", fill(saga, "t-1", "10", price="101")), NOW)
    assert (Decimal(-20), Decimal("2.5")) == (saga.flow_usd, saga.costs_usd)
    assert Decimal("17.5") == S.result_usd(saga)


def test_a_position_that_came_back_to_zero_is_none() -> None:
    """
    Ten bought and ten sold at one place: nothing is held there.
    """
    saga = half()
    S.sent(saga, follow_up(saga, A, Side.SELL), NOW)
    S.hear(saga, said("t.h1-0", fill(saga, "t.h1-0", "10")), NOW)
    assert {} == saga.units
    assert Turn(Stage.FLAT, "") == next_of(saga)


def test_an_overfill_is_told_once_and_hedged() -> None:
    """
    Twelve of ten: told when it happens, booked as it is, and two more are to be sold.
    """
    saga = S.begin(plan(), NOW)
    assert not S.hear(saga, said("t-0", fill(saga, "t-0", "10"), final=False), NOW)
    assert S.hear(saga, said("t-0", fill(saga, "t-0", "2", name="2"), final=False), NOW)
    assert not S.hear(saga, said("t-0", fill(saga, "t-0", "2", name="2")), NOW)
    S.hear(saga, said("t-1", fill(saga, "t-1", "10")), NOW)
    S.turn(saga, Stage.HEDGE, NOW)
    found = next_of(saga)
    assert isinstance(found, Try) and (Side.SELL, Decimal(2)) == (found.side, found.shares)


@pytest.mark.parametrize("end", [Stage.FLAT, Stage.HEDGED])
def test_a_late_fill_opens_an_ended_trade_again_with_all_its_tries(end: Stage) -> None:
    """
    A fill after the cancel: the trade goes on where its end was, and may try as often as before.
    """
    saga = in_stage(end, tries=2)
    S.hear(saga, said("t-1"), NOW)
    assert end is saga.stage
    S.hear(saga, said("t-1", fill(saga, "t-1", "4")), NOW + NS)
    assert (Stage.HEDGE, 0, NOW + NS) == (saga.stage, saga.tries, saga.tried_ns)


def test_a_paged_trade_stays_with_the_operator() -> None:
    """
    Late fills are booked, and nothing is sent any more.
    """
    saga = in_stage(Stage.PAGED)
    S.hear(saga, said("t-1", fill(saga, "t-1", "4")), NOW)
    assert (Stage.PAGED, Decimal(-4)) == (saga.stage, saga.units[B])
    assert next_of(saga, NOW + 10**15) is None
    assert NEVER == S.due(saga, NOW, RULES)


def test_a_reorg_takes_a_fill_back_and_the_order_is_open_again() -> None:
    """
    The fill of an ended trade did not happen: it is no longer counted, its order has no final answer, the trade no end.
    """
    saga = half()
    S.turn(saga, Stage.FLAT, NOW)
    gone = fill(saga, "t-0", "10")
    S.hear(saga, said("t-0", outcome=Outcome.UNKNOWN, final=False, undone=(gone,)), NOW)
    assert ({}, {}, Decimal(0), Decimal(0), Decimal(0)) == (
        saga.units, saga.fills, saga.flow_usd, saga.costs_usd, saga.orders["t-0"].filled,
    )  # fmt: skip
    assert (False, Outcome.UNKNOWN, Stage.HEDGE) == (
        saga.orders["t-0"].final, saga.orders["t-0"].outcome, saga.stage,
    )  # fmt: skip
    S.hear(saga, said("t-0", outcome=Outcome.UNKNOWN, final=False, undone=(gone,)), NOW)
    assert {} == saga.units
    S.hear(saga, said("t-0", gone), NOW)
    assert {A: Decimal(10)} == saga.units


def test_a_fill_that_only_moved_to_another_block_opens_its_trade_too() -> None:
    """
    Undone and told again in one report: as many fills as before, and the order is asked about again.
    """
    saga = half()
    S.turn(saga, Stage.FLAT, NOW)
    moved = msgspec.structs.replace(fill(saga, "t-0", "10"), id="other")
    S.hear(saga, said("t-0", moved, undone=(fill(saga, "t-0", "10"),), final=False), NOW)
    assert (Stage.HEDGE, False, {A: Decimal(10)}) == (saga.stage, saga.orders["t-0"].final, saga.units)


def test_tries_wait_twice_as_long_each_time_and_give_more_each_time() -> None:
    """
    Five tries: at once, after 1, 2, 4 and 8 s; the n-th gives n times 10 bps.
    """
    saga, rules = in_stage(Stage.HEDGE), Rules(**{**_plain(RULES), "retries": 5, "naked_usd_s": 1e12})
    now = NOW
    for tries, wait in enumerate((0, 1, 2, 4, 8)):
        if wait:
            assert next_of(saga, now + wait * NS - 1, rules) is None
            assert now + wait * NS in (S.due(saga, now + wait * NS - 1, rules), S.due(saga, now, rules))
        now += wait * NS
        wanted = Try(Stage.HEDGE, Side.SELL, Decimal(10), Decimal(10 * (tries + 1)), False)
        assert wanted == next_of(saga, now, rules)
        S.declined(saga, now)
    assert Turn(Stage.UNWIND, "it could not be hedged") == next_of(saga, now, rules)


def _plain(rules: Rules) -> dict[str, object]:
    return {name: getattr(rules, name) for name in rules.__dataclass_fields__}


def test_stages_follow_each_other_and_end_with_an_operator() -> None:
    """
    Hedge twice, unwind twice, rest, once more at the widest price at whatever venue is best, then an operator is told.
    """
    rules = Rules(**{**_plain(RULES), "naked_usd_s": 1e12})
    assert Turn(Stage.UNWIND, "it could not be hedged") == next_of(in_stage(Stage.HEDGE, tries=2), rules=rules)
    unwound = in_stage(Stage.UNWIND, tries=1)
    assert next_of(unwound, rules=rules) is None
    assert Try(Stage.UNWIND, Side.SELL, Decimal(10), Decimal(20), False) == next_of(unwound, NOW + NS, rules)
    assert Turn(Stage.COOL, "it could not be unwound") == next_of(in_stage(Stage.UNWIND, tries=2), rules=rules)
    cool = in_stage(Stage.COOL)
    assert next_of(cool, NOW + 30 * NS - 1, rules) is None
    assert NOW + 30 * NS == S.due(cool, NOW, rules)
    assert Try(Stage.COOL, Side.SELL, Decimal(10), Decimal(20), True) == next_of(cool, NOW + 30 * NS, rules)
    S.declined(cool, NOW + 30 * NS)
    end = Turn(Stage.PAGED, "it could be neither hedged nor unwound")
    assert end == next_of(cool, NOW + 30 * NS, rules)


def test_naked_for_too_long_it_hastens() -> None:
    """
    2,000 USD without a hedge: after 2.5 s tries follow each other every second, at the widest price and the best
    venue; and it does not rest.
    """
    saga = in_stage(Stage.HEDGE, tries=1)
    late = NOW + 2 * NS + NS // 2
    assert 5_000.0 == S.naked_usd_s(saga, late)
    assert late + 1 == S.due(saga, late - 1, RULES) or late == S.due(saga, late - 1, RULES)
    assert Try(Stage.HEDGE, Side.SELL, Decimal(10), Decimal(20), True) == next_of(saga, late)
    second = in_stage(Stage.HEDGE, tries=2, now=late)
    patient = Rules(**{**_plain(RULES), "retries": 3})
    assert next_of(second, late + NS - 1, patient) is None
    found = next_of(second, late + NS, patient)
    assert isinstance(found, Try) and found.hasty
    assert Turn(Stage.PAGED, "it could be neither hedged nor unwound") == next_of(in_stage(Stage.UNWIND, tries=2), late)
    assert isinstance(next_of(in_stage(Stage.COOL), late), Try)


def test_naked_time_counts_what_stands_alone_until_an_end() -> None:
    """
    2,000 USD for three seconds, nothing while both legs stand, nothing after the end.
    """
    saga = S.begin(plan(), NOW)
    S.hear(saga, said("t-0", fill(saga, "t-0", "10")), NOW + 5 * NS)
    assert 0.0 == saga.naked_usd_s
    S.hear(saga, said("t-1", fill(saga, "t-1", "10")), NOW + 8 * NS)
    assert 6_000.0 == saga.naked_usd_s == S.naked_usd_s(saga, NOW + 9 * NS)
    S.turn(saga, Stage.HEDGED, NOW + 9 * NS)
    late = half()
    S.turn(late, Stage.PAGED, NOW + 2 * NS)
    assert 4_000.0 == S.naked_usd_s(late, NOW + 50 * NS)


def test_with_nothing_allowed_an_operator_is_told_at_once() -> None:
    """
    Without [execution] a half trade is his.
    """
    found = next_of(half(), rules=Rules())
    assert Turn(Stage.PAGED, "a leg fell short, and nothing may be sent to repair it") == found
    saga = half()
    S.hear(saga, said("t-1", fill(saga, "t-1", "10")), NOW)
    assert Turn(Stage.HEDGED, "") == next_of(saga, rules=Rules())


def test_what_a_unit_is_worth_must_be_known() -> None:
    """
    While it is not, a try names no side, and nothing is sent while any order is open; tries are spent all the same.
    """
    saga = in_stage(Stage.HEDGE)
    assert Try(Stage.HEDGE, None, Decimal(0), Decimal(10), False) == next_of(saga, known=False)
    open_ = S.begin(plan(), NOW)
    S.hear(open_, said("t-0", fill(open_, "t-0", "10")), NOW)
    assert next_of(open_, known=False) is None


def test_a_sweep_begins_with_the_dust_of_others() -> None:
    """
    0.7 shares are carried in; sold they are gone, and their sale stands as a position.
    """
    intent = msgspec.structs.replace(plan(), id="dust-S-1", purpose=Purpose.HEDGE, legs=(leg(A, Side.SELL, "0.5"),))
    saga = S.sweep(intent, Decimal("0.7"), NOW)
    assert (Stage.HEDGE, 1, ["dust-S-1-0"]) == (saga.stage, saga.tries, list(saga.orders))
    assert [NOW] * 4 == [saga.opened_ns, saga.told_ns, saga.tried_ns, saga.orders["dust-S-1-0"].sent_ns]
    S.hear(saga, said("dust-S-1-0", fill(saga, "dust-S-1-0", "0.5")), NOW)
    assert Turn(Stage.HEDGED, "") == next_of(saga)


def test_the_next_look_is_when_something_may_change() -> None:
    """
    An order without an answer: when an operator would be told, 100 s after it was sent; nothing else is to come.
    """
    saga = S.begin(plan(), NOW)
    assert NOW + 100 * NS == S.due(saga, NOW, RULES)
    assert NEVER == S.due(saga, NOW + 100 * NS, RULES)


def test_a_try_may_be_due_as_early_as_in_haste() -> None:
    """
    After two tries the third comes after two seconds; it is looked at after one, since it may be in haste by then.
    """
    saga = in_stage(Stage.HEDGE, tries=2)
    rules = Rules(**{**_plain(RULES), "retries": 5, "naked_usd_s": 1e12})
    assert (NOW + NS, NOW + 2 * NS) == (S.due(saga, NOW, rules), S.due(saga, NOW + NS, rules))


def test_an_order_under_way_is_due_in_every_stage() -> None:
    """
    A hedge was sent: an operator is told after 100 s, whatever the next try waits for.
    """
    saga = S.begin(plan(), NOW)
    S.turn(saga, Stage.HEDGE, NOW)
    assert NOW + 100 * NS == S.due(saga, NOW, RULES)


def test_haste_is_due_by_what_has_stood_alone_already() -> None:
    """
    Of 5,000 USD x seconds 2,000 are used up after the first second; of 2,000 USD the rest lasts 1.5 s.
    """
    saga = half()
    S.hear(saga, said("t-1", outcome=Outcome.REFUSED), NOW + NS)
    assert 2_000.0 == saga.naked_usd_s
    assert NOW + 2 * NS + NS // 2 + 1 == S.due(saga, NOW + NS, RULES)


class Venue(RuleBasedStateMachine):
    """A trade against a venue that tells what it likes, when it likes; time goes on, and the process may die.

    The venue's own truth is kept beside, by order: what it filled. What the trade believes is compared with what was
    told, and its state with that of a twin that folds the same records.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.records: list[tuple[str, object, int]] = []
        self.saga = self._fold([("begin", plan(), NOW)])
        self.told: dict[str, Fill] = {}
        self.closed: set[str] = set()
        self.moves = 0

    def _fold(self, records: list[tuple[str, object, int]]) -> Saga:
        """A trade from its records alone."""
        saga: Saga | None = None
        self.records = list(records)
        for kind, what, now in records:
            saga = self._apply(saga, kind, what, now)
        assert saga is not None
        return saga

    def _apply(self, saga: Saga | None, kind: str, what: object, now: int) -> Saga:
        if saga is None:
            assert isinstance(what, Intent)
            return S.begin(what, now)
        if isinstance(what, Intent):
            S.sent(saga, what, now)
        elif isinstance(what, Report):
            S.hear(saga, what, now)
        elif isinstance(what, Stage):
            S.turn(saga, what, now)
        else:
            S.declined(saga, now)
        return saga

    def record(self, kind: str, what: object) -> None:
        """Writes down and folds."""
        self.records.append((kind, what, self.now))
        self._apply(self.saga, kind, what, self.now)

    @rule(data=st.data(), units=st.sampled_from(["0.25", "1", "4", "12"]), final=st.booleans(), twice=st.booleans())
    def fills(self, data: st.DataObject, units: str, final: bool, twice: bool) -> None:
        """A part of any order, whatever was said of it before; perhaps told twice."""
        client_id = data.draw(st.sampled_from(sorted(self.saga.orders)))
        part = fill(self.saga, client_id, units, name=str(len(self.records)))
        self.told[part.id] = part
        for _ in range(1 + twice):
            self.record("report", said(client_id, part, final=final))
        if final:
            self.closed.add(client_id)

    @rule(data=st.data(), outcome=st.sampled_from(Outcome), final=st.booleans())
    def answers(self, data: st.DataObject, outcome: Outcome, final: bool) -> None:
        """A word about any order without a fill."""
        client_id = data.draw(st.sampled_from(sorted(self.saga.orders)))
        self.record("report", said(client_id, outcome=outcome, final=final))
        if final and outcome is not Outcome.UNKNOWN:
            self.closed.add(client_id)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def undoes(self, data: st.DataObject) -> None:
        """A block with one fill is gone."""
        gone = self.told.pop(data.draw(st.sampled_from(sorted(self.told))))
        report = said(gone.client_id, outcome=Outcome.UNKNOWN, final=False, undone=(gone,))
        self.record("report", report)
        self.closed.discard(gone.client_id)

    @rule(seconds=st.sampled_from([0, 1, 5, 40, 200]))
    def waits(self, seconds: int) -> None:
        """Time passes."""
        self.now += seconds * NS

    @rule(approves=st.booleans(), venue=st.sampled_from([A, B, C]))
    def acts(self, approves: bool, venue: int) -> None:
        """One step of what is to be done; the review may refuse it."""
        self.act(approves, venue)

    def act(self, approves: bool, venue: int) -> bool:
        """Does what is to be done now; False where there is nothing."""
        move = next_of(self.saga, self.now)
        if isinstance(move, Turn):
            if move.stage in (Stage.FLAT, Stage.HEDGED):
                assert set(self.saga.orders) == self.closed
                assert abs(self.net()) < LOT
            self.record("note", move.stage)
        elif isinstance(move, Try):
            assert move.side is not None
            assert not [c for c, o in self.saga.orders.items() if c not in self.closed and o.leg.side is move.side]
            assert move.shares == abs(self.net())
            assert (move.side is Side.SELL) == (self.net() > 0)
            if approves:
                self.record("sent", follow_up(self.saga, venue, move.side, str(move.shares)))
            else:
                self.record("declined", None)
        return move is not None

    def net(self) -> Decimal:
        """Net shares by what was told, counted apart."""
        return sum((f.quantity if f.side is Side.BUY else -f.quantity for f in self.told.values()), Decimal(0))

    @invariant()
    def books_are_those_of_the_fills(self) -> None:
        """Exposure, cash and costs are sums over the fills that were told and not undone."""
        assert self.net() == sum(self.saga.units.values(), Decimal(0))
        flow = sum(
            ((1 if f.side is Side.BUY else -1) * f.quantity * f.price * f.fx for f in self.told.values()), Decimal(0)
        )
        assert flow == self.saga.flow_usd
        assert Decimal("1.25") * len(self.told) == self.saga.costs_usd
        assert set(self.told) == set(self.saga.fills)
        assert {c for c, o in self.saga.orders.items() if o.final} == self.closed

    @rule()
    def dies(self) -> None:
        """The process begins anew with nothing but the records: the state is the same."""
        before = self.saga
        self.saga = self._fold(self.records)
        assert before == self.saga

    def teardown(self) -> None:
        """Once the venue answers, the trade comes to an end within a bounded number of steps."""
        for steps in range(2 * RULES.retries + 8):
            for client_id in [c for c in self.saga.orders if c not in self.closed]:
                self.record("report", said(client_id, outcome=Outcome.REFUSED))
                self.closed.add(client_id)
            if self.saga.stage in S.ENDS:
                break
            while not self.act(True, C) and self.saga.stage not in S.ENDS:
                due = S.due(self.saga, self.now, RULES)
                assert due < NEVER, f"nothing is to come after {steps} steps"
                self.now = due
        assert self.saga.stage in S.ENDS
        assert self._fold(self.records) == self.saga


TestVenue = Venue.TestCase
TestVenue.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
