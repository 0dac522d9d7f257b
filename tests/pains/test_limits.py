"""Pains 11 to 13: what stops a bot, what does not, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.holds import Holds
from connectors.events import NS
from connectors.orders import Reason
from connectors.simulated.order_faults import OrderFault
from strategies.execution.latch import ALL, OPERATOR, Hold, Mode
from tests.pains.market import UA, UB, A, B, Market, after, plan, scripted


def test_pain_11_a_strategy_that_wants_to_trade_each_second_trades_as_often_as_allowed() -> None:
    """
    Sixty wishes in a minute, and the gate lets one share's trades pass 20 s apart, and up to 5,000 USD a day of both
    legs: three of 2 x 1,010 pass the first rule, two the second.
    """
    wishes = {second: plan(f"t{second}") for second in range(1, 61)}
    paced = Market(wishes=dict(wishes), trade_gap_ns=20 * NS).until(65)
    assert ["t1", "t21", "t41"] == [order.client_id.partition("-")[0] for order in paced.orders("a")]
    assert {Reason.COOLDOWN} == set(paced.reasons())
    turned = Market(wishes=dict(wishes), max_turnover_usd_per_day=5000.0).until(65)
    assert 2 == len(turned.orders("a"))
    assert {Reason.TURNOVER} == set(turned.reasons())


def test_pain_12_after_a_kill_nothing_is_sent_by_this_process_or_the_next(tmp_path: Path) -> None:
    """
    Killed while half a trade is open and its other leg lost: no order of any kind follows, through a restart; the
    operator is told of the half trade. Taken back, the other share trades.
    """
    wishes = {1: plan(), 4: plan("u"), 9: plan("v", buy=UA, sell=UB)}
    market, holds = Market({"b": scripted(OrderFault.REQUEST_LOST)}, wishes=wishes).until(2), Holds(tmp_path)
    holds.kill(Hold(scope=ALL, mode=Mode.HALT, cause=OPERATOR, why="fire", at=after(2)))
    market.engine.hold(holds.read(after(2)).latch, ())
    sent = sum(venue.sent for venue in market.venues.values())
    assert 2 == sent
    market.until(6)
    market.crash()
    market.engine.hold(Holds(tmp_path).read(after(6)).latch, ())
    market.until(80)
    assert sent == sum(venue.sent for venue in market.venues.values())
    assert {Reason.KILLED} <= set(market.reasons())
    assert "paged" == market.stages("t")[-1]
    holds.resume(ALL, (Mode.HALT,), why="out", by="ann", now=after(80))
    market.engine.hold(holds.read(after(80)).latch, ())
    market.wishes |= {84: plan("x", buy=UA, sell=UB)}
    market.until(90)
    assert {UA: 10, UB: -10} == {number: units for number, units in market.moved().items() if number in (UA, UB)}


def test_pain_12_a_loss_stops_only_where_something_was_traded_and_has_a_price() -> None:
    """
    Prices halve and nothing was traded: nothing stops. With a trade, a price that is too old makes no loss; the same
    price, fresh, does, and then nothing is opened.
    """
    market = Market(wishes={5: plan(), 20: plan("u")}, max_drawdown_usd=50.0).until(2)
    usual = dict(market.prices)
    market.prices |= {number: (bid / 2, ask / 2) for number, (bid, ask) in usual.items()}
    market.until(3)
    market.prices = usual
    market.until(6)
    assert [] == market.notes("hold")
    market.silent.add(A)
    market.prices[A] = (92.0, 92.1)
    market.until(12)
    assert [] == market.notes("hold")
    market.silent.clear()
    market.until(25)
    assert [("all", "REDUCE", "drawdown")] == [
        tuple(note.detail[key] for key in ("scope", "mode", "cause")) for note in market.notes("hold")
    ]
    assert {A: 10, B: -10} == market.moved()
    assert 1 == len(market.reasons())


@pytest.mark.parametrize(("allowed", "stops"), [(15.0, True), (25.0, False)])
def test_pain_13_a_fall_counts_from_the_peak_and_not_from_the_start(allowed: float, stops: bool) -> None:
    """
    10 USD up and then 10 below the start: 20 USD of fall stop where 15 are allowed, and not where 25 are.
    """
    market = Market(wishes={1: plan(), 20: plan("u", buy=UA, sell=UB)}, max_drawdown_usd=allowed).until(3)
    market.prices |= {A: (99.95, 100.05), B: (99.95, 100.05)}
    market.until(8)
    market.prices |= {A: (98.95, 99.05), B: (100.95, 101.05)}
    market.until(25)
    assert stops == (["drawdown"] == [note.detail["cause"] for note in market.notes("hold")])
    assert stops == (UA not in market.moved())


def test_pain_13_a_pause_ends_with_its_time_or_by_hand_and_stops_what_it_names() -> None:
    """
    One share paused until 10 s, then until further notice: its trades are refused, the other share's are not, and after
    the time, or a resume, it trades again.
    """
    plans = {5: plan("s5"), 7: plan("u7", buy=UA, sell=UB), 12: plan("s12"), 17: plan("s17"), 22: plan("s22")}
    market = Market(wishes=plans).until(2)
    paused = Hold(scope="underlying:S", mode=Mode.REDUCE, cause=OPERATOR, why="look", at=after(2), until=after(10))
    latch = market.engine.memory.latch
    market.engine.hold(latch.set(paused), ())
    market.until(15)
    market.engine.hold(latch.set(Hold(scope="underlying:S", mode=Mode.REDUCE, cause=OPERATOR, why="", at=1)), ())
    market.until(20)
    market.engine.hold(latch, ())
    market.until(25)
    assert ["u7-0", "s12-0", "s22-0"] == [order.client_id for order in market.orders("a")]
    assert [Reason.REDUCE_ONLY] * 2 == market.reasons()
