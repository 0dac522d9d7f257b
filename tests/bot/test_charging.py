"""What holding costs: funding of perps when venues pay it, borrow of shorts once a day; counted once, and restored."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from tests.bot.hedge_world import NOON, PERP, TOKEN, World, config, notes  # isort: skip - it chooses the kernel's cache

from bot.assembly import assemble
from bot.backtest import Result, run_over
from bot.charging import Charging
from bot.journal import Journal
from bot.journal_books import profit
from bot.journal_export import CHARGES
from bot.journal_export import charges as told_charges
from bot.journal_steps import only, runs_in, steps
from bot.restore import restore
from bot.sessions import load_sessions
from connectors.events import NS, Rows
from connectors.orders import Carry, Charge
from strategies.base import Note, Step
from strategies.execution.ledger import Ledger
from strategies.execution.memory import DAY_NS, Memory
from tests.bot.test_hedge import ran

HOUR = 3600


def held(rate: float, *, seconds: int = 2 * HOUR) -> World:
    """10 tokens bought and 10 perps sold some minutes after noon, held while the perp's funding is this an hour."""
    world = World(config(hedge={"horizon_s": 1e9})).lasts(60).lasts(60, token=99.0)
    world.fundings[PERP] = rate
    return world.lasts(seconds)


def charges(result: Result) -> list[Charge]:
    """All of a run, in order."""
    return [charge for step in result.records for charge in step.charges]


def test_who_is_short_earns_funding_at_every_moment_at_which_it_is_paid() -> None:
    """
    Two whole hours pass at 1 bps an hour of 1,000 USD: 10 cents each, once each, in the bridge with the other sign.
    """
    result = held(0.0001).run()
    assert [(Carry.FUNDING, Decimal("-0.1"), NOON + at * HOUR * NS) for at in (1, 2)] == [
        (one.kind, one.amount, one.ts) for one in charges(result)
    ]
    assert Decimal("-0.2") == -result.bridge.funding
    assert 2 == len({one.id for one in charges(result)})


def test_value_is_conserved_over_charges() -> None:
    """
    The parts of the bridge make up its net to the last digit, and without funding the net is less by what it brought.
    """
    with_it, without = held(0.0001).run().bridge, held(0.0).run().bridge
    parts = (with_it.gross_edge, with_it.slippage, with_it.fees, with_it.gas, with_it.issuer_fees, with_it.funding,
             with_it.borrow, with_it.fx, with_it.inventory_mark)  # fmt: skip
    assert with_it.net == sum(parts)
    assert Decimal("0.2") == with_it.net - without.net


def test_funding_that_is_not_told_is_no_funding_of_zero() -> None:
    """
    The rate was told for an hour and then no more: what the third hour costs is not known, and that is noted.
    """
    world = held(0.0001, seconds=HOUR)
    world.fundings.clear()
    result = world.lasts(3 * HOUR).run()
    assert {NOON + at * HOUR * NS for at in (1, 2, 3)} >= {one.ts for one in charges(result)}
    told = notes(result, "charge_unknown")
    assert told and ("funding", "its venue has not told the rate lately") == (
        told[0].detail["kind"],
        told[0].detail["why"],
    )


def test_what_fell_due_while_no_process_ran_is_told_by_name() -> None:
    """
    The process ends ten minutes after one and another begins ten after two: the funding of the perp that is held is
    told as not known, with from when to when. Within the hour nothing is told.
    """
    world = held(0.0001, seconds=HOUR + 600)
    _, records = ran(world)
    assert [] == unknown(records)
    _, again = ran(world.until(HOUR + 1200).lasts(60), records)
    assert [] == unknown(again)
    _, later = ran(world.until(2 * HOUR + 600).lasts(60), records)
    (note,) = unknown(later)
    assert (world.number(PERP), "funding") == (note.instrument, note.detail["kind"])
    why = r"no process ran from 2026-09-04 17:1\d:\d\d UTC to 2026-09-04 18:10:00 UTC"
    assert re.fullmatch(why, str(note.detail["why"]))


def test_the_borrow_of_a_midnight_without_a_process_is_told_by_name() -> None:
    """
    Short over midnight with no process: not known. Without a midnight in between, or long, nothing is told.
    """
    world = World(config())
    parts = assemble(world.config, world.universe, load_sessions(), Journal(None), executor=None)
    charging = Charging(parts.columns, parts.ledger, {}, {world.number(TOKEN): Decimal("0.001")})
    parts.ledger.positions[world.number(TOKEN)] = Decimal(-3)
    day = NOON // DAY_NS * DAY_NS
    assert ["borrow"] == [note.detail["kind"] for note in charging.missed(day - NS, day)]
    assert () == charging.missed(day, day + 20 * HOUR * NS)
    parts.ledger.positions[world.number(TOKEN)] = Decimal(3)
    assert () == charging.missed(day - NS, day)


def unknown(records: list[Step]) -> list[Note]:
    """Charges that are told as not known."""
    return [note for step in records for note in step.notes if note.kind == "charge_unknown"]


def test_charges_survive_a_restart_and_are_in_the_journals_profit(tmp_path: Path) -> None:
    """
    The ledger that a restart folds from the records has the cash and the funding of the one that wrote them, and so has
    `journal pnl`.
    """
    world, file = held(0.0001), tmp_path / "journal.db"
    result = run_over(world.config, world.universe, [Rows.of(world.rows)], journal_path=file)
    ledger = Ledger(world.universe)
    restore(steps(file), world.universe, ledger, Memory())
    assert Decimal("-0.2") == ledger.funding
    assert result.positions == {world.universe[at].name: units for at, units in ledger.positions.items() if units}
    number = world.number(TOKEN)
    assert Decimal(10) == ledger.holdings.units("hedge", number)
    told = profit(steps(file), runs_in(file))
    assert (result.bridge.funding, result.bridge.net) == (told.bridge.funding, told.bridge.net)


def test_charges_of_one_share_are_exported(tmp_path: Path) -> None:
    """
    Every charge is a row, with the name of its instrument and its exact amount; of another share there is none, and of
    a strategy none can be told.
    """
    world, file = held(0.0001), tmp_path / "journal.db"
    run_over(world.config, world.universe, [Rows.of(world.rows)], journal_path=file)
    runs = runs_in(file)
    rows = list(told_charges(only(steps(file), runs, underlying="T"), runs))
    assert [(PERP, "funding", "-0.1")] * 2 == [(row["instrument"], row["kind"], str(row["amount"])[:4]) for row in rows]
    assert set(CHARGES) == set(rows[0])
    assert [] == list(told_charges(only(steps(file), runs, underlying="other"), runs))
    assert [] == list(told_charges(only(steps(file), runs, strategy="hedge"), runs))
