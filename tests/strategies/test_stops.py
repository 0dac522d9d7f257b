"""Stops: what is naked, what is lost, and from which moment and amount on the gate holds something back by itself."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from decimal import Decimal
from math import inf, nan, nextafter

import pytest

from connectors.events import NEVER, NS, Flag, Kind, Row
from connectors.orders import Conversion, ConversionState, Progress, Reason
from strategies.base import View
from strategies.execution.latch import Hold, Latch, Mode
from strategies.execution.limits import Limits
from strategies.execution.memory import Memory, net_usd
from strategies.execution.stops import loss_problem, marked, naked_usd, watch, wished
from strategies.market.columns import Facts
from tests.strategies.test_gate import TODAY, WIDE, filled, holding, lost, one_leg
from tests.strategies.test_risk import NOW, USDT, A, B, Case, P, Side, instruments, intent, quote
from tests.strategies.test_risk import S as SHARE

NAKED = replace(WIDE, max_naked_usd=100.0, max_naked_ns=NS)


def at(view: View, now: int) -> View:
    """The same at another moment."""
    return View(view.columns, view.ledger, now, view.woken)


def sure(**more: object) -> Memory:
    """A memory whose day has begun."""
    return Memory(day=TODAY, **more)  # type: ignore[arg-type]


# --- what is naked


@pytest.mark.parametrize(
    ("units", "usd"),
    [
        ({}, 0.0),
        ({"a": "2"}, 200.0),
        ({"a": "-2"}, 200.0),
        ({"a": "2", "b": "-0.5"}, 150.0),
        ({"a": "1", "b": "-1"}, 0),
    ],
)
def test_naked_is_the_sum_of_shares_at_the_fair_value(units: dict[str, str], usd: float) -> None:
    """
    What is bought at one place and sold at another is no exposure; the rest counts at 100 USD a share.
    """
    assert pytest.approx(usd) == naked_usd("S", holding(**units))


def test_a_unit_counts_as_the_shares_that_it_stands_for() -> None:
    """
    Two units of 1.5 shares each against three of one share are flat.
    """
    view = holding(a="2", b="-3")
    view.columns.set_shares_per_unit(A, 1.5)
    assert 0.0 == naked_usd("S", view)
    filled(view, B, "1")
    assert pytest.approx(100.0) == naked_usd("S", view)


def test_where_no_fair_value_is_known_the_last_mark_counts_a_share() -> None:
    """
    Without a believed source two shares count at the mid of the token over its shares; without any price at inf.
    """
    for shares in (1.0, 2.0):
        view = Case(universe=instruments(multiplier=shares)).view()
        view.columns.g[0, :] = nan
        filled(view, A, "2")
        assert pytest.approx(2 * 99.95) == naked_usd("S", view)
    view.columns.set_shares_per_unit(A, 3.0)  # as after a split: its quote counts no more
    assert inf == naked_usd("S", view)


def test_a_share_counts_what_is_its_own_and_no_more() -> None:
    """
    What another share holds is not naked in this one, and what is flat at an unknown unit does not matter.
    """
    view = Case(universe=instruments(underlying="R")).view()
    filled(view, A, "3")
    filled(view, B, "1")
    assert pytest.approx(100.0) == naked_usd("S", view)
    flat = holding(a="1", b="2")
    filled(flat, A, "-1", price="100")
    flat.columns.set_shares_per_unit(A, nan)
    assert pytest.approx(200.0) == naked_usd("S", flat)
    filled(flat, A, "1", price="101")
    assert inf == naked_usd("S", flat)


def test_what_a_mint_will_bring_hedges_what_was_sold() -> None:
    """
    Two were sold short at B; a mint of two into B is under way: nothing is naked, though nothing has come yet.
    """
    view = holding(b="-2")
    order = Conversion(id="c", issuer="i", mint=True, source=USDT, target=B, quantity=Decimal(200), expected=Decimal(2),
                       least=Decimal(2), sla_ns=NOW + NS, underlying="S", reason="test", fx=Decimal(1))  # fmt: skip
    view.ledger.convert(order, NOW)
    assert 0.0 == naked_usd("S", view)
    view.ledger.progress(Progress(id="c", state=ConversionState.SETTLED, ts=NOW, given=Decimal(200), got=Decimal(1)))
    assert pytest.approx(100.0) == naked_usd("S", view)


# --- how long it may stand


def test_at_the_limit_nothing_is_naked() -> None:
    """
    A hundred dollars are allowed: no time begins. A share of which nothing is held is naked by nothing.
    """
    memory = sure()
    watch(holding(a="1"), NAKED, memory)
    assert {} == memory.naked_since
    watch(Case().view(), replace(NAKED, max_naked_usd=0.0), memory)
    assert {} == memory.naked_since


def test_a_share_that_stood_naked_for_too_long_may_only_reduce_until_somebody_frees_it() -> None:
    """
    The hold tells amount and time with their limits, comes once, and again once it was lifted.
    """
    view, memory = holding(a="2"), sure()
    watch(view, NAKED, memory)
    late = at(view, NOW + 3 * NS)
    notes = watch(late, NAKED, memory)
    why = "200.00 USD without a hedge (above 100) for 3 s, allowed 1 s"
    expected = Hold(scope="underlying:S", mode=Mode.REDUCE, cause="naked", why=why, at=NOW + 3 * NS)
    assert (Latch((expected,)), ["hold"]) == (memory.latch, [note.kind for note in notes])
    assert [] == watch(late, NAKED, memory)
    memory.heed(Latch())
    assert ["hold"] == [note.kind for note in watch(late, NAKED, memory)]


def test_a_hold_by_another_cause_or_on_another_scope_does_not_stand_for_the_gates_own() -> None:
    """
    An operator's pause of the share, or a naked hold of another share, leaves the gate to set its own.
    """
    for scope, cause in (("underlying:S", "operator"), ("underlying:R", "naked")):
        other = Hold(scope=scope, mode=Mode.REDUCE, cause=cause, why="test", at=NOW)
        memory = sure(latch=Latch((other,)), naked_since={"S": NOW - 2 * NS})
        watch(holding(a="2"), NAKED, memory)
        assert [other.key, ("underlying:S", Mode.REDUCE, "naked")] == [hold.key for hold in memory.latch.holds]


# --- the result


def test_a_day_begins_with_its_result_and_is_told_once() -> None:
    """
    Forty were lost before midnight: the note holds the day and -40.
    """
    memory = Memory()
    (note,) = watch(lost("40"), WIDE, memory)
    assert ("day", TODAY, pytest.approx(-40.0)) == (note.kind, note.detail["day"], note.detail["net_usd"])
    assert [] == watch(lost("40"), WIDE, memory)


@pytest.mark.parametrize(
    ("limits", "memory", "expected"),
    [
        ({}, {}, None),
        ({"max_daily_loss_usd": Decimal("40.01")}, {}, None),
        ({"max_daily_loss_usd": Decimal("39.99")}, {}, (Reason.DAILY_LOSS, "40.00 USD lost today, allowed 39.99")),
        ({"max_daily_loss_usd": Decimal("30.01")}, {"day_start_net": -10.0}, None),
        ({"max_drawdown_usd": 50.01}, {"peak_usd": 10.0}, None),
        ({"max_drawdown_usd": 49.99}, {"peak_usd": 10.0},
         (Reason.DRAWDOWN, "50.00 USD below the peak, allowed 49.99")),
        ({"max_drawdown_usd": 50.0}, {"peak_usd": nan},
         (Reason.DRAWDOWN, "the peak begins anew, and not everything that is held has a believed price")),
        ({}, {"peak_usd": nan}, None),
    ],
)  # fmt: skip
def test_a_result_stops_openings_beyond_its_limit(
    limits: dict[str, object], memory: dict[str, object], expected: tuple[Reason, str] | None
) -> None:
    """
    Forty were lost: refused is what lies beyond the limit of a day or of the fall from the peak, and the words tell by
    how much.
    """
    assert expected == loss_problem(lost("40"), replace(WIDE, **limits), sure(**memory))  # type: ignore[arg-type]


def test_a_day_that_has_not_begun_or_a_position_without_a_price_is_no_result() -> None:
    """
    Both are refused with the same words; on the very first day of the count a result is one.
    """
    unknown = holding(a="1")
    unknown.columns.forget(A)
    unknown.ledger.adjust(P, Decimal(1), Decimal(1))
    for view, memory in ((lost("1"), Memory()), (lost("1"), Memory(day=-1))):
        found = loss_problem(view, WIDE, memory)
        assert found is not None
        assert (Reason.DAILY_LOSS, True) == (found[0], found[1].startswith("today's result is not known"))
    assert loss_problem(lost("1"), WIDE, Memory(day=0)) is None


def test_the_fall_is_judged_from_the_highest_result_and_the_hold_tells_it() -> None:
    """
    From 20 to -40: 60 below the peak, and only what reduces passes; at exactly the limit nothing is held.
    """
    limits = replace(WIDE, max_drawdown_usd=50.0)
    memory = sure(peak_usd=20.0, told_peak_usd=20.0)
    watch(lost("40"), limits, memory)
    why = "60.00 USD below the peak of 20.00, allowed 50"
    assert (Hold(scope="all", mode=Mode.REDUCE, cause="drawdown", why=why, at=NOW),) == memory.latch.holds
    even = sure(peak_usd=20.0, told_peak_usd=20.0)
    watch(lost("30"), replace(WIDE, max_drawdown_usd=20.0 - net_usd(lost("30"))), even)
    assert Latch() == even.latch


def test_a_peak_is_kept_at_once_and_told_when_it_is_worth_a_record() -> None:
    """
    Of 50 USD allowed a hundredth is half a dollar: a peak that is 0.4 higher is kept and not told, one of 0.6 is.
    """
    limits = replace(WIDE, max_drawdown_usd=50.0)
    for gain, told in ((0.4, False), (0.6, True)):
        memory = sure(peak_usd=10.0, told_peak_usd=10.0)
        notes = watch(lost(str(-10 - gain)), limits, memory)
        assert (["peak"] if told else []) == [note.kind for note in notes]
        assert pytest.approx((10 + gain, 10 + gain if told else 10.0)) == (memory.peak_usd, memory.told_peak_usd)


def test_a_peak_that_is_higher_by_just_so_much_is_told() -> None:
    """
    Of 50 USD allowed half a dollar.
    """
    view = lost("-10.5")
    memory = sure(told_peak_usd=net_usd(view) - 0.5)
    assert ["peak"] == [note.kind for note in watch(view, replace(WIDE, max_drawdown_usd=50.0), memory)]


def test_without_a_limit_no_peak_is_kept() -> None:
    """
    A drawdown that is off costs nothing.
    """
    memory = sure()
    assert [] == watch(lost("-40"), WIDE, memory)
    assert 0.0 == memory.peak_usd


def test_a_loss_and_a_fall_may_be_as_much_as_is_allowed() -> None:
    """
    The limit itself passes.
    """
    view = lost("40")
    memory = sure(day_start_net=-5.0, peak_usd=10.0)
    day, fall = -5.0 - net_usd(view), 10.0 - net_usd(view)
    assert loss_problem(view, replace(WIDE, max_daily_loss_usd=Decimal(day), max_drawdown_usd=fall), memory) is None
    assert loss_problem(view, replace(WIDE, max_daily_loss_usd=Decimal(day) - Decimal("1e-9")), memory) is not None
    assert loss_problem(view, replace(WIDE, max_drawdown_usd=nextafter(fall, 0)), memory) is not None


# --- what is believed


@pytest.mark.parametrize(
    ("case", "believed"),
    [
        (Case(), True),
        (Case(rows=(quote(A, 99.9, 100.0, flags=Flag.HALTED),)), False),
        (Case(at=NOW + 60 * NS), True),
        (Case(at=NOW + 60 * NS + 1), False),
    ],
)
def test_what_is_held_is_marked_while_its_quote_is_in_force(case: Case, believed: bool) -> None:
    """
    A halt or a quote that is too old makes a position unmarked, and only one that is held matters.
    """
    view = case.view()
    assert marked(view)
    filled(view, A, "1")
    assert believed is marked(view)
    filled(view, A, "-1", price="100")
    assert marked(view)


def test_what_is_held_against_a_coin_needs_the_coins_price_too() -> None:
    """
    The quote at B is fresh and that of its coin is not.
    """
    late = NOW + 61 * NS
    facts = {USDT: Facts(cost=0.001, max_age_ns=60 * NS)}
    view = Case(rows=(quote(B, 101.0, 101.1, at=late),), facts=facts, at=late).view()
    filled(view, B, "1")
    assert not marked(view)
    fresh = Row(ts_recv=late, instrument=USDT, kind=Kind.FX, bid=0.9999, ask=1.0001)
    view = Case(rows=(quote(B, 101.0, 101.1, at=late), fresh), facts=facts, at=late).view()
    filled(view, B, "1")
    assert marked(view)


def test_what_is_in_flight_must_be_marked_as_what_is_held() -> None:
    """
    All of it has left for an issuer, and its quote is halted.
    """
    view = Case(rows=(quote(A, 99.9, 100.0, flags=Flag.HALTED),)).view()
    filled(view, A, "1")
    order = Conversion(id="c", issuer="i", mint=False, source=A, target=SHARE, quantity=Decimal(1), expected=Decimal(1),
                       least=Decimal(1), sla_ns=NEVER, underlying="S", reason="test")  # fmt: skip
    view.ledger.convert(order, NOW)
    view.ledger.progress(Progress(id="c", state=ConversionState.JOURNALED, ts=NOW, given=Decimal(1)))
    assert not marked(view)


# --- who runs away


def test_so_many_wishes_are_allowed_and_one_more_halts_the_strategy_by_its_name() -> None:
    """
    The hold names strategy, count and limit; the count begins anew after it, so that one lift is enough.
    """
    limits: Limits = replace(WIDE, max_wishes_per_minute=2.0)
    memory = sure(wished={"y": deque([NOW] * 9)})
    for _ in range(2):
        wished(intent(), limits, memory, NOW)
    assert Latch() == memory.latch
    wished(intent(), limits, memory, NOW + 5)
    why = "3 wishes in a minute, allowed 2"
    assert (Hold(scope="strategy:x", mode=Mode.HALT, cause="runaway", why=why, at=NOW + 5),) == memory.latch.holds
    assert 0 == len(memory.wished["x"])
    wished(intent(), limits, memory, NOW + 6)
    assert 0 == len(memory.wished["x"])
    memory.heed(Latch())
    wished(intent(), limits, memory, NOW + 7)
    assert [NOW + 7] == list(memory.wished["x"])


def test_without_a_limit_wishes_are_not_counted() -> None:
    """
    Nothing is kept of them.
    """
    memory = sure()
    wished(one_leg(A, Side.BUY), WIDE, memory, NOW)
    assert {} == memory.wished
