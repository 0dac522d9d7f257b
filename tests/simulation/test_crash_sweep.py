"""The process dies at every record in turn: before, in the middle of and after its write, and while orders leave."""

from __future__ import annotations

import os
from decimal import Decimal
from functools import cache

import pytest

from bot.simulation.driver import DOWN_NS
from bot.simulation.fault import Fault, Process
from bot.simulation.scene import scene_of
from connectors.events import NS
from strategies.execution.ledger import Ledger
from tests.simulation.played import Played
from tests.simulation.still import FAULTS, still, thinkers

HOW = (Process.CRASH_BEFORE, Process.CRASH_TORN, Process.CRASH_AFTER)
EVERY = 1 if os.environ.get("PEGLINE_SWEEP") else 75
"""In markets that move every 75th record is taken; all of them where PEGLINE_SWEEP is set."""
BUSY = (3, 11)
"""Seeds whose scenes are swept, with their faults."""


def played(*faults: Fault) -> Played:
    """The still market, in which what is bought costs the same whenever it is bought."""
    return Played(*FAULTS, *faults, more=thinkers, records=still(), without=("mint_redeem", "hedge"))


@cache
def twin() -> Played:
    """The same without a crash."""
    return played()


def books(run: Played) -> tuple[dict[int, Decimal], dict[str, Decimal], Decimal, Decimal, int]:
    """What a run leaves: positions, cash, fees, what issuers took, and how many fills."""
    assert run.driver.parts is not None
    ledger: Ledger = run.driver.parts.ledger
    units = {number: held for number, held in ledger.positions.items() if held}
    return units, {coin: +cash for coin, cash in ledger.cash.items()}, ledger.fees, ledger.issuer_fees, ledger.fills


def recovered_ns(run: Played) -> int:
    """From the crash to the end of the last trade that was open then."""
    restart = run.driver.lives[1]
    opened = {wish.id: step.ts for wish, step in run.approved if not wish.trade}
    ends = {
        str(note.detail["trade"]): step.ts for step in run.steps for note in step.notes
        if note.kind == "trade" and note.detail.get("stage") in ("flat", "hedged", "paged")
    }  # fmt: skip
    return max([0, *(ends[id] - restart for id, at in opened.items() if at < restart <= ends[id])]) + DOWN_NS


def test_the_swept_scene_uses_every_kind_of_record() -> None:
    """
    Start, plans, refusals, reports, a hedge, questions, a mint with its whole course, holds, marks: else the sweep
    would not show what a crash does to them.
    """
    steps = twin().steps
    kinds = {note.kind for step in steps for note in step.notes}
    assert {"start", "day", "trade", "hold", "resumed", "conversion", "conversion_refused", "marks"} <= kinds
    assert {"start", "timer", "due", "trade", "issuer", "hold", "end"} <= {step.cause for step in steps}
    assert {"hedge"} <= {wish.purpose.value for wish, _ in twin().approved}
    assert any(step.refused for step in steps) and any(step.conversions for step in steps)
    assert ["accepted", "journaled", "delivered", "settled"] == [w.state.value for step in steps for w in step.progress]
    assert () == twin().outcome.breaches


@pytest.mark.parametrize("how", HOW)
def test_a_crash_at_every_record_leaves_the_books_of_the_twin_without_one(how: Process) -> None:
    """
    Positions, cash, fees and number of fills are those of the uncrashed twin to the last digit, what was open is over
    within ten seconds, and nothing that must always hold is broken.
    """
    wanted, worst = books(twin()), 0
    for number in range(1, len(twin().steps)):
        run = played(Fault(what=how, number=number))
        assert (number, 1, ()) == (number, run.outcome.restarts, run.outcome.breaches)
        assert (number, wanted) == (number, books(run))
        worst = max(worst, recovered_ns(run))
    print(f"{how.value}: recovered after at most {worst / NS:.2f} s")
    assert worst <= 10 * NS


def test_a_crash_while_orders_leave_leaves_the_books_of_the_twin_without_one() -> None:
    """
    At each sending in turn: one venue has its leg, the other has not. What lacks may be evened in fewer orders.
    """
    *wanted, _ = books(twin())
    assert 4 <= twin().driver.sendings
    for number in range(1, twin().driver.sendings + 1):
        run = played(Fault(what=Process.CRASH_SENDING, number=number))
        assert (number, 1, ()) == (number, run.outcome.restarts, run.outcome.breaches)
        *found, _ = books(run)
        assert (number, wanted) == (number, found)
        assert recovered_ns(run) <= 10 * NS


@pytest.mark.parametrize("seed", BUSY)
def test_a_crash_at_any_record_of_a_busy_scene_conserves_value(seed: int) -> None:
    """
    Where the crash changes what the market offers the books differ from the twin's; they are those of the venues, to
    the smallest unit, and every trade has an end.
    """
    scene = scene_of(seed)
    records = len(Played(*scene.faults, seed=seed).steps)
    for number in range(2, records, EVERY):
        for how in HOW:
            run = Played(*scene.faults, Fault(what=how, number=number), seed=seed)
            assert (number, how, ()) == (number, how, run.outcome.breaches)
            assert run.outcome.trades <= sum(run.outcome.ends.values())
