"""Rows 38, 39 and 65 to 69 of the fault matrix: what befalls the process, its disk and its strategies.

Rows 40, 67 and 70 to 72 need real files and processes: tests/bot/test_lock.py, tests/bot/test_fence.py,
tests/bot/test_journal.py and tests/faults/test_crashes.py stand for them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from bot.simulation.fault import Fault
from bot.simulation.scene import stage
from connectors.events import NEVER, NS
from connectors.exact import exact
from connectors.instruments import Universe
from connectors.orders import Intent, Leg, Reason, Side
from connectors.simulated.short import START_NS
from strategies.base import Decision, Every, View, Wake
from strategies.market import kernel as K
from tests.simulation.played import Played


class Presser:
    """A strategy that wishes the same thing again and again, from a moment on."""

    cooldown_ns, refusal_backoff_ns = 0, 0

    def __init__(self, name: str, wish: Callable[[View, int], tuple[Leg, ...]], *, wishes: int, from_s: float) -> None:
        """`wishes` of them at each tick."""
        self.name, self.max_open, self._wish, self._wishes = name, 1000, wish, wishes
        self._from = START_NS + round(from_s * NS)

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick."""
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """Always."""
        return True, True

    def decide(self, view: View) -> Decision:
        """So many wishes at once."""
        if view.now < self._from:
            return Decision()
        legs = self._wish(view, 0)
        return Decision(
            tuple(
                Intent(id=f"{self.name}-{view.seq}-{at}", strategy=self.name, legs=legs, reason="", edge_bps=1.0,
                       notional_usd=Decimal(100), deadline_ns=NEVER, underlying="TSLA")
                for at in range(self._wishes)
            )
        )  # fmt: skip


def pair(view: View, at: int, *, crossed: bool = False) -> tuple[Leg, ...]:
    """A little of a token bought at alpha and sold at beta; or (`crossed`) bought and sold at alpha."""
    universe = stage().universe
    alpha, beta = universe.number("sim-alpha:simTSLA/USD"), universe.number("sim-beta:simTSLA/USDT")
    other = alpha if crossed else beta
    ask, bid = (exact(view.columns.f_rows[n][c]) for n, c in ((alpha, K.ASK), (other, K.BID)))
    units = Decimal("0.1")
    return (
        Leg(instrument=alpha, side=Side.BUY, quantity=units, limit=ask, seen=ask),
        Leg(instrument=other, side=Side.SELL, quantity=units, limit=bid, seen=bid),
    )


def test_row_38_two_orders_of_ours_never_meet() -> None:
    """
    A strategy wishes to buy and sell at one instrument: refused as self-trade, and nothing of it leaves.
    """
    wash = lambda: (Presser("wash", lambda view, at: pair(view, at, crossed=True), wishes=1, from_s=30.0),)  # noqa: E731
    played = Played(more=wash)
    reasons = [one.reason for step in played.steps for one in step.refused if one.intent.strategy == "wash"]
    assert Reason.SELF_TRADE in reasons and {Reason.SELF_TRADE, Reason.IN_FLIGHT} >= set(reasons)
    assert not [wish for wish, _ in played.approved if wish.strategy == "wash"]
    assert played.outcome.ok


def test_row_39_a_runaway_strategy_is_halted_and_the_others_trade_on() -> None:
    """
    A thousand wishes at each tick: the pace holds, the strategy is halted and stays so, and cross_venue goes on.
    """
    played = Played(more=lambda: (Presser("mad", pair, wishes=1000, from_s=30.0),))
    holds = [one for one in played.notes("hold") if one["scope"] == "strategy:mad"]
    assert [("HALT", "runaway")] == list(dict.fromkeys((one["mode"], one["cause"]) for one in holds))
    mine = [step.ts for wish, step in played.approved if wish.strategy == "mad"]
    assert len(mine) <= 20 and max(mine, default=0) <= START_NS + 40 * NS
    assert [wish for wish, step in played.approved if wish.strategy == "cross_venue" and step.ts > START_NS + 120 * NS]
    assert played.outcome.ok


@pytest.mark.parametrize("how", ["crash_before", "crash_torn", "crash_after"])
@pytest.mark.parametrize("number", [4, 5, 6, 7, 11])
def test_row_65_a_process_that_dies_at_a_record_is_taken_over(how: str, number: int) -> None:
    """
    Before, in the middle of, and after the write: restarted once, every trade ends, books are those of the venues.
    """
    played = Played(Fault(what=how, number=number))
    assert (1, ()) == (played.outcome.restarts, played.outcome.breaches)
    assert played.outcome.trades <= sum(played.outcome.ends.values())


def test_row_66_a_process_that_dies_between_two_legs_evens_them_before_anything_new() -> None:
    """
    One venue has its leg and the other has not: the restart asks about both, evens the trade, and only then opens.
    """
    played = Played(Fault(what="crash_sending", number=2))
    assert (1, ()) == (played.outcome.restarts, played.outcome.breaches)
    restart = played.driver.lives[1]
    half = [trade for trade in played.notes() if trade.get("event") == "asked"]
    assert half
    trade = half[0]["trade"]
    end = next(
        step.ts for step in played.steps for note in step.notes
        if note.kind == "trade" and note.detail["trade"] == trade and note.detail.get("stage") in ("hedged", "flat")
    )  # fmt: skip
    share = next(wish.underlying for wish, _ in played.approved if wish.id == trade)
    opened = [step.ts for wish, step in played.approved if not wish.trade and wish.underlying == share]
    assert not [ts for ts in opened if restart <= ts < end]
    assert end - restart < 10 * NS
    print(f"recovered after {(end - restart) / NS:.2f} s")


def test_row_68_with_a_full_disk_nothing_leaves_and_the_next_process_goes_on() -> None:
    """
    No record, no order, until the operator has made room and started it again; then it trades.
    """
    played = Played(Fault(what="disk_full", number=12, for_s=50.0))
    assert (1, ()) == (played.outcome.restarts, played.outcome.breaches)
    restart = played.driver.lives[1]
    failed = played.steps[10].ts
    assert not [at for at in played.driver.truth.sent.values() if failed + NS < at < restart]
    assert [at for at in played.driver.truth.sent.values() if at > restart]


def test_row_69_with_a_slow_disk_orders_wait_for_it_or_never_leave() -> None:
    """
    Five seconds to be durable: what leaves does so no earlier, and what was not sent in time is told as refused.
    """
    played = Played(Fault(what="slow_disk", number=3, for_s=120.0))
    assert () == played.outcome.breaches
    begun = played.steps[2].ts
    recorded = {wish.client_id(leg): step.ts for wish, step in played.approved for leg in range(len(wish.legs))}
    slow = {
        id: at - recorded[id] for id, at in played.driver.truth.sent.items() if begun <= recorded[id] < begun + 115 * NS
    }
    late = [report for report in played.reports if report.reason == "deadline"]
    assert slow or late
    assert all(5 * NS <= waited for waited in slow.values())


def test_row_79_a_kill_stops_all_orders_and_an_unkill_lets_them_go_on() -> None:
    """
    The file is there from second 60 to 110: nothing leaves meanwhile, and trades go on after it.
    """
    played = Played(Fault(what="kill", at_s=60.0, for_s=50.0))
    assert played.outcome.ok
    begin, end = START_NS + 60 * NS, START_NS + 110 * NS
    sent = played.driver.truth.sent.values()
    assert not [at for at in sent if begin <= at < end]
    assert [at for at in sent if at > end]
    assert {"all"} == {one["scope"] for one in played.notes("hold")}
