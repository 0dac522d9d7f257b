"""Pace and words of the review: what a refusal tells, and the last value that still passes."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from decimal import Decimal
from math import inf, nan

import pytest
from msgspec.structs import replace as replaced

from connectors.events import NS, Kind, Row
from connectors.orders import Leg, Purpose, Reason, Refused, Side
from strategies.base import View
from strategies.execution.funds import Funds, FundsRule
from strategies.execution.latch import Hold, Latch, Mode, hold_of, scopes_of
from strategies.execution.limits import Limits
from strategies.execution.memory import DAY_NS, Memory, net_usd, new_day, turnover
from strategies.execution.risk import review
from strategies.execution.stops import hold_note, naked_usd
from strategies.market.session import Session
from tests.strategies.test_gate import TODAY, WIDE, filled, hold, holding, leg, lost, one_leg
from tests.strategies.test_risk import LIMITS, NOW, USDT, A, B, Case, P, instruments, intent


def refusal(view: View, wish: object, limits: Limits = WIDE, memory: Memory | None = None) -> Refused | None:
    """The first refusal."""
    refused = review((wish,), view, limits, memory or Memory(day=TODAY), {"x": 1})[1]  # type: ignore[arg-type]
    return refused[0] if refused else None


@pytest.mark.parametrize(
    ("limits", "memory", "wish", "expected"),
    [
        ({}, {}, {"deadline_ns": NOW - 2 * NS}, (Reason.DEADLINE, "the deadline has passed 2 s ago")),
        ({"max_orders_per_minute": 3}, {"sent": deque([NOW, NOW])}, {},
         (Reason.ORDER_RATE, "2 orders in the last minute, allowed 3")),
        ({"sessions": frozenset({Session.PRE})}, {}, {},
         (Reason.SESSION, "session regular is not among those allowed")),
        ({}, {"open_intents": {"x-0": "x"}}, {}, (Reason.OPEN_PAIRS, "1 trades under way, allowed 1")),
        ({"max_order_usd": Decimal(500)}, {}, {}, (Reason.NOTIONAL, "505.00 USD, allowed 500")),
        ({"trade_gap_ns": 4 * NS}, {"opened": {"S": NOW - NS}}, {},
         (Reason.COOLDOWN, "S: 1 s since the last trade, 4 needed")),
        ({"max_turnover_usd_per_day": 1000.0}, {}, {}, (Reason.TURNOVER, "S: 1010.00 USD today, allowed 1000")),
    ],
)  # fmt: skip
def test_a_refusal_tells_the_number_and_the_limit(
    limits: dict[str, object], memory: dict[str, object], wish: dict[str, object], expected: tuple[Reason, str]
) -> None:
    """
    Whoever reads it need not look anything up.
    """
    found = refusal(Case().view(), intent(**wish), replace(WIDE, **limits), Memory(day=TODAY, **memory))  # type: ignore[arg-type]
    assert found is not None
    assert expected == (found.reason, found.detail)


def test_what_is_naked_may_be_as_much_as_is_allowed() -> None:
    """
    Two naked shares are 200 USD: refused below that, and the words tell both.
    """
    view = holding(a="2")
    for most, expected in ((naked_usd("S", view), None), (199.99, "S: 200.00 USD without a hedge, allowed 199.99")):
        found = refusal(view, intent(), replace(WIDE, max_naked_usd=most))
        assert expected == (found and found.detail)


def test_a_strategy_without_a_place_opens_nothing() -> None:
    """
    A strategy that nobody gave a number of trades has none.
    """
    refused = review((intent(strategy="z"),), Case().view(), WIDE, Memory(), {"x": 1})[1]
    assert [(Reason.OPEN_PAIRS, "0 trades under way, allowed 0")] == [(one.reason, one.detail) for one in refused]


def test_orders_of_all_legs_count_up_to_the_limit_of_a_minute() -> None:
    """
    Two legs after two orders are four: four are allowed, and of three not one leg too many passes.
    """
    for most, passes in ((4, True), (3, False)):
        memory = Memory(sent=deque([NOW, NOW]))
        assert passes is (refusal(Case().view(), intent(), replace(WIDE, max_orders_per_minute=most), memory) is None)


def test_hedges_have_orders_of_their_own_and_openings_do_not_use_them() -> None:
    """
    One order a minute and two more for hedges: after two orders a hedge still passes, after three it does not.
    """
    limits = replace(WIDE, max_orders_per_minute=1, hedge_orders_per_minute=2)
    closing = one_leg(B, Side.SELL, purpose=Purpose.HEDGE, trade="t")
    for sent, expected in ((2, None), (3, "3 orders in the last minute, allowed 3")):
        found = refusal(holding(a="5"), closing, limits, Memory(day=TODAY, sent=deque([NOW] * sent)))
        assert expected == (found and found.detail)
    opening = refusal(holding(a="5"), one_leg(B, Side.SELL), limits, Memory(day=TODAY, sent=deque([NOW])))
    assert opening is not None and opening.reason is Reason.ORDER_RATE


def test_a_hold_that_lets_run_says_nothing_and_the_next_scope_does() -> None:
    """
    What is held to reduce is refused with the hold and why this order does not pass it.
    """
    memory = Memory(day=TODAY, latch=Latch((hold("token:T", Mode.RUN), hold("venue:a", Mode.REDUCE))))
    found = refusal(Case().view(), intent(), memory=memory)
    assert found is not None
    assert "venue:a REDUCE by operator: test; this brings nothing nearer to zero" == found.detail
    assert refusal(Case().view(), intent(), memory=Memory(latch=Latch((hold("token:T", Mode.RUN),)))) is None


def test_books_that_differ_bar_what_touches_them_and_does_not_close() -> None:
    """
    At B the venue's account says something else: no opening there, by the name of the instrument and the difference;
    what closes passes, and so does what is elsewhere.
    """
    differs = {B: "3 units more at the venue"}
    found = refusal(Case().view(), intent(), memory=Memory(day=TODAY, differs=differs))
    assert found is not None
    assert (Reason.REDUCE_ONLY, "b:T/USDT: 3 units more at the venue") == (found.reason, found.detail)
    closing = one_leg(B, Side.SELL, purpose=Purpose.HEDGE, trade="t")
    assert refusal(holding(a="5"), closing, memory=Memory(day=TODAY, differs=differs)) is None
    assert refusal(Case().view(), one_leg(A, Side.BUY), memory=Memory(day=TODAY, differs=differs)) is None


# --- wishes that are not what they say


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"legs": ()}, "0 legs of 505 USD"),
        ({"legs": (replaced(leg(A, Side.BUY), instrument=5),)}, "there is no instrument 5"),
        ({"underlying": "Z"}, "a:T/USD is of S, the intent of Z"),
        ({"underlying": ""}, "a:T/USD is of S, the intent of none"),
        ({"legs": (replaced(leg(A, Side.BUY), instrument=USDT),)}, "r:USDT is of no share, the intent of S"),
        ({"notional_usd": Decimal(400)}, "a:T/USD: 500.00 USD, and the intent says 400.00"),
    ],
)
def test_a_wish_that_is_not_what_it_says_is_told_apart_and_the_next_one_is_judged(
    wish: dict[str, object], says: str
) -> None:
    """
    The refusal holds the wish and what is wrong with it.
    """
    wrong = intent(id="x-0", **wish)
    approved, refused = review((wrong, intent()), Case().view(), WIDE, Memory(day=TODAY), {"x": 1})
    assert [(wrong, Reason.MALFORMED, says)] == [(one.intent, one.reason, one.detail) for one in refused]
    assert ["x-1"] == [one.intent.id for one in approved]


def test_a_leg_is_worth_what_its_coin_is() -> None:
    """
    Five at 101 coins of 0.98 USD are 494.90 USD: an intent of 485 says so to within a twentieth, one of 471 does not.
    """
    fallen = Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801)
    view = Case(rows=(fallen,)).view()
    limits = replace(WIDE, coin_band_bps=inf)
    for usd, expected in (("485", None), ("471", "b:T/USDT: 494.90 USD, and the intent says 471.00")):
        found = refusal(view, intent(legs=(leg(B, Side.SELL),), notional_usd=Decimal(usd)), limits)
        assert expected == (found and found.detail)


def test_a_coin_has_no_fair_value_of_a_share() -> None:
    """
    An intent of no share is refused where a fair value is needed, and in words.
    """
    coin = Leg(instrument=USDT, side=Side.BUY, quantity=Decimal(5), limit=Decimal(1), seen=Decimal(1))
    found = refusal(Case().view(), intent(underlying="", legs=(coin,)))
    assert found is not None
    assert (Reason.FAIR_UNKNOWN, "no believed source for the share, or its error is too wide") == (
        found.reason, found.detail,
    )  # fmt: skip


# --- our own orders and settled funds


def test_a_self_trade_tells_how_many_units_stand_against_it() -> None:
    """
    One is under way, two were wished before and three are of the order itself: six units.
    """
    view = Case().view()
    view.ledger.reserve(leg(A, Side.SELL, "1"))
    wishes = (
        one_leg(A, Side.SELL, "2", id="x-1"),
        intent(id="x-2", legs=(leg(A, Side.BUY, "1"), leg(A, Side.SELL, "3"))),
    )
    refused = review(wishes, view, WIDE, Memory(), {"x": 9})[1]
    assert [("x-2", Reason.SELF_TRADE, "a:T/USD: 6 units of ours on the other side are under way")] == [
        (one.intent.id, one.reason, one.detail) for one in refused
    ]


@pytest.mark.parametrize(("usd", "passes"), [("1031.03", True), ("1031.02", False)])
def test_settled_funds_pay_for_all_purchases_of_a_moment(usd: str, passes: bool) -> None:
    """
    Five were wished before and five are now, at 103 each with 10 bps of fee: 1,031.03 USD; sales elsewhere and at the
    venue itself take nothing.
    """
    memory = Memory(funds=Funds(rules={"a": FundsRule(usd=Decimal(usd))}))
    wishes = (one_leg(A, Side.BUY, id="x-1"), one_leg(B, Side.SELL, id="x-2"), one_leg(A, Side.BUY, id="x-3"))
    refused = review(wishes, Case().view(), WIDE, memory, {"x": 9})[1]
    assert ([] if passes else [("x-3", Reason.UNSETTLED)]) == [(one.intent.id, one.reason) for one in refused]
    if refused:
        assert "a: 1031.03 USD to pay, 1031.02 settled" == refused[0].detail


def test_without_a_collar_a_purchase_is_paid_at_its_limit_or_where_it_has_none_at_the_ask() -> None:
    """
    Five at 110 with a fee of 10 bps are 550.55 USD; at any price 500.50.
    """
    for limit, usd in (("110", "550.55"), ("inf", "500.50")):
        wish = intent(legs=(leg(A, Side.BUY, limit=limit),))
        for more, passes in (("0", True), ("-0.01", False)):
            memory = Memory(funds=Funds(rules={"a": FundsRule(usd=Decimal(usd) + Decimal(more))}))
            found = refusal(Case().view(), wish, replace(WIDE, collar_bps=inf), memory)
            assert passes is (found is None)


def test_without_a_collar_what_is_under_way_is_paid_at_the_ask() -> None:
    """
    One is under way at 100 and five are bought up to 110, with a fee of 10 bps: 650.65 USD.
    """
    view = Case().view()
    view.ledger.reserve(leg(A, Side.BUY, "1"))
    wish = intent(legs=(leg(A, Side.BUY, limit="110"),))
    for usd, passes in (("650.6501", True), ("650.6499", False)):
        memory = Memory(day=TODAY, funds=Funds(rules={"a": FundsRule(usd=Decimal(usd))}))
        assert passes is (refusal(view, wish, replace(WIDE, collar_bps=inf), memory) is None)


def test_a_purchase_in_a_coin_takes_its_usd() -> None:
    """
    Five at 102 coins of 0.98 USD, with a fee of 10 bps: 500.30 USD.
    """
    fallen = Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801)
    wish = intent(legs=(leg(B, Side.BUY, limit="102"),))
    limits = replace(WIDE, collar_bps=inf, coin_band_bps=inf)
    for usd, passes in (("500.30", True), ("500.29", False)):
        memory = Memory(day=TODAY, funds=Funds(rules={"b": FundsRule(usd=Decimal(usd))}))
        assert passes is (refusal(Case(rows=(fallen,)).view(), wish, limits, memory) is None)


def test_a_venue_without_a_rule_hides_none_with_one() -> None:
    """
    Bought at B, where nothing limits it, and at A, where a dollar lies.
    """
    memory = Memory(day=TODAY, funds=Funds(rules={"a": FundsRule(usd=Decimal(1))}))
    found = refusal(Case().view(), intent(legs=(leg(B, Side.BUY), leg(A, Side.BUY))), memory=memory)
    assert found is not None and found.reason is Reason.UNSETTLED


def test_what_settles_later_is_not_spent_now() -> None:
    """
    Ten were sold today and settle on the next trading day: there is a dollar.
    """
    view = Case().view()
    funds = Funds(rules={"a": FundsRule(usd=Decimal(1), settle_days=1)}, sessions=view.columns.sessions)
    funds.hear(filled(view, A, "-10"), "a")
    found = refusal(view, one_leg(A, Side.BUY), memory=Memory(day=TODAY, funds=funds))
    assert found is not None
    assert "a: 515.51 USD to pay, 1.00 settled" == found.detail


# --- the memory


def test_an_approval_counts_orders_turnover_and_place() -> None:
    """
    Two legs are two orders and both sides of turnover; a later round takes no place and opens nothing.
    """
    memory = Memory()
    memory.approve(intent(), NOW)
    memory.approve(intent(id="x-1.h1", trade="x-1", purpose=Purpose.HEDGE, legs=(leg(B, Side.SELL),)), NOW + 1)
    assert ([NOW, NOW, NOW + 1], {"x-1": "x"}, {"S": NOW}) == (list(memory.sent), memory.open_intents, memory.opened)
    assert {"S": (TODAY, Decimal(1515))} == memory.turnover
    assert (Decimal(1515), Decimal(0), Decimal(0)) == (
        memory.turned("S", NOW), memory.turned("S", NOW + DAY_NS), memory.turned("Z", NOW),
    )  # fmt: skip
    assert [Decimal(1010), Decimal(505)] == [turnover(one) for one in (intent(), one_leg(A, Side.BUY))]


def test_a_minute_old_is_forgotten_for_every_strategy() -> None:
    """
    Exactly a minute is old, a nanosecond less is not.
    """
    old, young = NOW - 60 * NS, NOW - 60 * NS + 1
    memory = Memory(sent=deque([old, young]), wished={"x": deque([old, old, young]), "y": deque([young])})
    memory.forget(NOW)
    assert ([young], [young], [young]) == (list(memory.sent), list(memory.wished["x"]), list(memory.wished["y"]))


def test_only_a_drawdown_that_was_taken_back_begins_the_peak_anew() -> None:
    """
    Another hold that is lifted, or a drawdown that stands on, leaves the peak as it is.
    """
    fall, other = hold(mode=Mode.REDUCE, cause="drawdown"), hold("token:T", Mode.REDUCE)
    memory = Memory(peak_usd=7.0, latch=Latch((fall, other)))
    memory.heed(Latch((fall,)))
    assert (7.0, (fall,)) == (memory.peak_usd, memory.latch.holds)
    memory.heed(Latch())
    assert memory.peak_usd != memory.peak_usd


def test_a_day_begins_once_with_the_result_of_its_first_moment() -> None:
    """
    Forty were lost before; the same day does not begin again, though more is lost then; the next day does.
    """
    memory = Memory()
    assert new_day(lost("40"), memory)
    assert (TODAY, pytest.approx(-40.0)) == (memory.day, memory.day_start_net)
    assert not new_day(lost("60"), memory)
    assert pytest.approx(-40.0) == memory.day_start_net
    later = lost("60")
    assert new_day(View(later.columns, later.ledger, NOW + DAY_NS), memory)
    assert pytest.approx(-60.0) == memory.day_start_net


def test_the_result_is_cash_and_every_position_at_its_mark() -> None:
    """
    One bought for 99.95 at A and two sold for 105 at B whose mid is 101.05; what is flat may have no price.
    """
    view = Case().view()
    filled(view, A, "1")
    filled(view, B, "-2", price="105")
    assert pytest.approx(2 * (105 - 101.05)) == net_usd(view)
    view.ledger.adjust(P, Decimal(1), Decimal(0))
    view.ledger.adjust(P, Decimal(-1), Decimal(0))
    view.columns.set_shares_per_unit(P, nan)
    assert pytest.approx(2 * (105 - 101.05)) == net_usd(view)


# --- the latch


def test_a_hold_says_scope_mode_cause_who_and_why() -> None:
    """
    A person and a reason are left out where there is none; what a record holds is the whole of it.
    """
    one = Hold(scope="venue:a", mode=Mode.REDUCE, cause="operator", why="fire", at=NOW, by="ann", until=NOW + NS)
    short = Hold(scope="all", mode=Mode.HALT, cause="flag", why="", at=NOW)
    assert ("venue:a REDUCE by operator ann: fire", "all HALT by flag") == (str(one), str(short))
    assert one == hold_of(hold_note(one).detail)


def test_scopes_of_an_intent_are_those_of_every_leg() -> None:
    """
    Issuer and venue of both legs, each once; a share that nobody names is no scope.
    """
    universe = instruments(issuer="i")
    assert (
        "strategy:x", "underlying:S", "token:T", "venue:a", "issuer:i", "venue:b",
    ) == scopes_of(intent(), universe)  # fmt: skip
    assert "underlying:" not in scopes_of(intent(underlying="", legs=()), universe)


def test_the_strictest_hold_of_all_scopes_counts_and_all_is_one_of_them() -> None:
    """
    Of a run, a pause and a halt the halt; one whose time is over, or of another scope, is none.
    """
    run, pause, halt = (hold(scope, mode) for scope, mode in
                        (("token:T", Mode.RUN), ("all", Mode.REDUCE), ("venue:a", Mode.HALT)))  # fmt: skip
    latch = Latch((run, pause, halt))
    assert (halt, pause) == (latch.strictest(("token:T", "venue:a"), NOW), latch.strictest(("token:T",), NOW))
    assert None is Latch((hold("venue:z"), hold("token:T", until=NOW - 1))).strictest(("token:T", "venue:a"), NOW)


def test_the_usual_limits_let_the_usual_intent_pass() -> None:
    """
    So that every refusal above has one cause.
    """
    assert refusal(Case().view(), intent(), LIMITS) is None
