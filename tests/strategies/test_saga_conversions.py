"""A trade that ends in a mint or redemption: when it is asked for, and what each thing that comes of it means."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from connectors.events import NEVER, NS
from connectors.orders import Conversion, ConversionState, Fill, Intent, Leg, Outcome, Progress, Report, Side
from strategies.execution import saga as S
from strategies.execution.conversions import Conversions, Running
from strategies.execution.saga import Ask, Rules, Saga, Stage, Standing, Try, Turn

TOKEN, SHARE, COIN = range(3)
NOW, LATE = 1_000 * NS, 5_000 * NS
RULES = Rules(
    retries=2, give_bps=D(10), wait_ns=NS, max_loss_usd=D(50), naked_usd_s=5_000.0, answer_within_ns=10 * NS,
    page_after_ns=100 * NS, cooldown_ns=30 * NS,
)  # fmt: skip


def order(*, mint: bool = True, id: str = "t.c1") -> Conversion:
    """Ten tokens for 1,000 coins, or the other way round."""
    source, target, given, due = (COIN, TOKEN, D(1000), D(10)) if mint else (TOKEN, COIN, D(10), D(1000))
    return Conversion(
        id=id, issuer="i", mint=mint, source=source, target=target, quantity=given, expected=due, least=due,
        sla_ns=LATE, underlying="S", reason="", trade="t",
    )  # fmt: skip


def sold(*, mint: bool = True, units: str = "10", legs: tuple[int, ...] = (TOKEN,)) -> Saga:
    """A trade whose legs filled: sold at the first and bought at the second, or the other way round to redeem."""
    side, other = (Side.SELL, Side.BUY) if mint else (Side.BUY, Side.SELL)
    made = tuple(
        Leg(instrument=at, side=one, quantity=D(10), limit=D(100), seen=D(100))
        for at, one in zip(legs, (side, other), strict=False)
    )
    plan = Intent(
        id="t", strategy="x", legs=made, reason="", edge_bps=1.0, notional_usd=D(1000), deadline_ns=NOW,
        underlying="S", then=order(mint=mint),
    )  # fmt: skip
    saga = S.begin(plan, NOW)
    for number, leg in enumerate(made):
        fill = Fill(
            id=f"f{number}", client_id=f"t-{number}", instrument=leg.instrument, side=leg.side, quantity=D(units),
            price=D(100), fee=D(0), fx=D(1), ts=NOW,
        )  # fmt: skip
        fills = (fill,) if D(units) else ()
        report = Report(client_id=f"t-{number}", intent_id="t", leg=number, outcome=Outcome.ACCEPTED, fills=fills)
        S.hear(saga, report, NOW)
    return saga


def asked(saga: Saga, *words: tuple[ConversionState, str, str]) -> Running:
    """Its request, after an issuer's words: a state, units given and got."""
    assert saga.plan.then is not None
    S.turn(saga, Stage.CONVERT, NOW)
    S.asked(saga, saga.plan.then.id, NOW)
    requests = Conversions()
    requests.ask(saga.plan.then, NOW)
    for at, (state, given, got) in enumerate(words):
        requests.hear(Progress(id=saga.asked, state=state, ts=NOW + at, given=D(given), got=D(got)))
    return requests.all[saga.asked]


def next_of(saga: Saga, request: Running | None = None, now: int = NOW) -> Turn | Try | Ask | None:
    """What is to be done, where every token and share is one share."""
    units = dict(saga.units)
    for number, more in () if request is None else request.changes:
        if number != COIN:
            units[number] = units.get(number, D(0)) + more
    held = max((abs(one) for one in units.values()), default=D(0))
    return S.decide(saga, now, Standing(sum(units.values(), D(0)), held, D("0.5"), request), RULES)


@pytest.mark.parametrize("mint", [True, False])
def test_what_the_leg_filled_is_asked_for(mint: bool) -> None:
    """
    Sold six of ten: a mint of six; bought six: a redemption of six.
    """
    saga = sold(mint=mint, units="6")
    assert Turn(Stage.CONVERT, "what its legs filled") == next_of(saga)
    S.turn(saga, Stage.CONVERT, NOW)
    assert Ask(D(6)) == next_of(saga)


def test_nothing_filled_is_flat_and_asks_for_nothing() -> None:
    """
    The order was refused: the trade is over.
    """
    assert Stage.FLAT is next_of(sold(units="0")).stage


def test_legs_that_close_each_other_are_converted_once_they_do() -> None:
    """
    In kind: both filled, the mint is for what was filled, and the trade ends hedged where no issuer takes it on.
    """
    saga = sold(legs=(TOKEN, SHARE))
    assert Stage.CONVERT is next_of(saga).stage
    S.turn(saga, Stage.CONVERT, NOW)
    assert Ask(D(10)) == next_of(saga)
    for _ in range(RULES.retries):
        S.declined(saga, NOW)
    assert Stage.HEDGED is next_of(saga).stage


def test_legs_that_filled_nothing_are_flat_and_the_smallest_order_is_converted() -> None:
    """
    In kind: half a unit is the smallest order.
    """
    nothing = sold(legs=(TOKEN, SHARE), units="0")
    assert Stage.FLAT is next_of(nothing).stage
    assert Stage.FLAT is S.decide(nothing, NOW, Standing(D(0), D(0), D(0)), RULES).stage
    assert Stage.CONVERT is next_of(sold(legs=(TOKEN, SHARE), units="0.5")).stage


def test_a_leg_that_closes_what_its_strategy_held_is_hedged_and_not_converted() -> None:
    """
    Ten were carried into the trade and ten are sold: the mint was to cover what is covered already.
    """
    saga = sold()
    saga.carried = D(10)
    stands = Standing(D(0), D(10), D("0.5"))
    assert Stage.HEDGED is S.decide(saga, NOW, stands, RULES).stage


def test_what_is_left_of_two_legs_is_hedged_and_not_minted() -> None:
    """
    In kind: the sale filled and the purchase did not, which no mint closes.
    """
    saga = sold(legs=(TOKEN, SHARE), units="0")
    fill = Fill(id="f", client_id="t-0", instrument=TOKEN, side=Side.SELL, quantity=D(10), price=D(100), fee=D(0),
                fx=D(1), ts=NOW)  # fmt: skip
    S.hear(saga, Report(client_id="t-0", intent_id="t", leg=0, outcome=Outcome.ACCEPTED, fills=(fill,)), NOW)
    assert Turn(Stage.HEDGE, "a leg fell short") == next_of(saga)


def test_without_a_taker_it_is_hedged_after_as_many_tries_as_any() -> None:
    """
    Two tries that found no quote, a pause between them; then the sale is bought back like any leg that fell short.
    """
    saga = sold()
    S.turn(saga, Stage.CONVERT, NOW)
    S.declined(saga, NOW)
    assert None is next_of(saga)
    assert Ask(D(10)) == next_of(saga, now=NOW + NS)
    S.declined(saga, NOW + NS)
    assert Turn(Stage.HEDGE, "the issuer does not take it on") == next_of(saga, now=NOW + NS)
    S.turn(saga, Stage.HEDGE, NOW + NS)
    assert (Side.BUY, D(10)) == next_of(saga, now=NOW + NS)[1:3]


def test_while_the_issuer_works_nothing_is_done_and_no_naked_time_counts() -> None:
    """
    Requested, accepted, journaled, unknown: the sold side is covered by what is due.
    """
    for words in ((), (("accepted", "0", "0"),), (("journaled", "1000", "0"),), (("unknown", "0", "0"),)):
        saga = sold()
        request = asked(saga, *((ConversionState(state), given, got) for state, given, got in words))
        assert None is next_of(saga, request, LATE)
        assert 0.0 == S.naked_usd_s(saga, LATE)
        assert NEVER == S.due(saga, NOW, RULES)


def test_of_what_was_carried_in_nothing_is_asked_for() -> None:
    """
    Ten were sold and two of them were held before: eight are to be minted.
    """
    saga = sold()
    S.turn(saga, Stage.CONVERT, NOW)
    assert Ask(D(8)) == S.decide(saga, NOW, Standing(D(-8), D(10), D("0.5")), RULES)


@pytest.mark.parametrize(("retries", "asks"), [(0, 1), (1, 1), (3, 3)])
def test_an_issuer_is_asked_as_often_as_a_hedge_is_tried_and_once_at_least(retries: int, asks: int) -> None:
    """
    The pauses grow as between hedges.
    """
    saga, rules = sold(), replace(RULES, retries=retries)
    S.turn(saga, Stage.CONVERT, NOW)
    stands, now, made = Standing(D(-10), D(10), D("0.5")), NOW, []
    while isinstance(S.decide(saga, now, stands, rules), Ask):
        made.append((now - NOW) // NS)
        S.declined(saga, now)
        pause = NS << saga.tries - 1
        assert not isinstance(S.decide(saga, now + pause - 1, stands, rules), Ask)
        now += pause
    assert [0, 1, 3][:asks] == made


def test_a_request_that_is_open_again_is_waited_for() -> None:
    """
    It was repaired, and then the issuer takes it on all the same: what it will bring covers what was sold.
    """
    saga = sold()
    request = asked(saga, (ConversionState.ACCEPTED, "0", "0"))
    S.turn(saga, Stage.HEDGE, NOW)
    assert Turn(Stage.CONVERT, "the issuer has not ended it") == next_of(saga, request)


def test_a_request_that_covers_too_little_is_no_reason_to_wait() -> None:
    """
    Twelve were sold and ten will come: two are bought back.
    """
    saga = sold(units="12")
    assert Turn(Stage.HEDGE, "the issuer fell short") == next_of(saga, asked(saga))


def test_while_a_worth_is_unknown_the_issuer_is_waited_for() -> None:
    """
    Nothing could be sent.
    """
    saga = sold()
    assert None is S.decide(saga, NOW, Standing(None, D(0), D(0), asked(saga)), RULES)


def test_a_mint_that_settles_leaves_it_flat() -> None:
    """
    What was sold has come back.
    """
    saga = sold()
    assert Stage.FLAT is next_of(saga, asked(saga, (ConversionState.SETTLED, "1000", "10"))).stage


@pytest.mark.parametrize(
    ("state", "given", "got", "short"), [("rejected", "0", "0", "10"), ("settled", "1000", "8", "2")]
)
def test_what_does_not_come_is_hedged(state: str, given: str, got: str, short: str) -> None:
    """
    Rows 55 and 56: rejected, all that was sold is bought back; settled short, what lacks is.
    """
    saga = sold()
    request = asked(saga, (ConversionState(state), given, got))
    assert Turn(Stage.HEDGE, "the issuer fell short") == next_of(saga, request)
    S.turn(saga, Stage.HEDGE, NOW)
    assert (Side.BUY, D(short)) == next_of(saga, request)[1:3]
    assert S.naked_usd_s(saga, NOW + NS) > 0


def test_a_rejected_redemption_is_sold_again() -> None:
    """
    Row 55: the tokens are still ours, and go back to the market.
    """
    saga = sold(mint=False)
    request = asked(saga, (ConversionState.REJECTED, "0", "0"))
    S.turn(saga, Stage.HEDGE, NOW)
    assert (Side.SELL, D(10)) == next_of(saga, request)[1:3]


def test_late_or_failed_is_told_and_nothing_is_sold_on_one_word() -> None:
    """
    Row 54: past its promised time, and when the issuer says that it has failed, an operator is told; once.
    """
    saga = sold()
    request = asked(saga, (ConversionState.JOURNALED, "1000", "0"))
    assert None is next_of(saga, request, LATE)
    move = next_of(saga, request, LATE + 1)
    assert (Stage.PAGED, "t.c1 is late at i") == move
    S.turn(saga, Stage.PAGED, LATE + 1)
    assert None is next_of(saga, request, LATE + 2)
    other = sold()
    assert Stage.PAGED is next_of(other, asked(other, (ConversionState.FAILED, "1000", "0"))).stage
