"""What a journal tells of instruments and marks, so that it can be valued without the config that made it."""

from __future__ import annotations

from decimal import Decimal

from bot.paths import prepare_kernel

prepare_kernel()

import msgspec  # noqa: E402 - the kernel's cache must be chosen first

from bot.backtest import Result, run_over  # noqa: E402
from bot.commands.demo import demo_config  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.wiring import simulated_market  # noqa: E402
from connectors.instruments import Instrument  # noqa: E402


def ran(rows: int) -> Result:
    """The first rows of the demo's market."""
    world, _ = simulated_market(1, sessions=load_sessions())
    return run_over(demo_config(1, None), world.universe, [world.rows[:rows]])


def test_the_first_record_tells_the_instruments() -> None:
    """
    Not only their names: the universe of the run can be built from it.
    """
    result = ran(1)
    (start,) = (note for note in result.records[0].notes if note.kind == "start")
    told = msgspec.json.decode(str(start.detail["universe"]), type=tuple[Instrument, ...])
    assert tuple(result.universe) == told


def test_the_last_record_marks_what_is_held() -> None:
    """
    Everything that is held has a mark above zero; where nothing was traded there is no such record.
    """
    result = ran(20_000)
    last = result.records[-1]
    assert "end" == last.cause
    (marks,) = (note for note in last.notes if note.kind == "marks")
    assert {*result.positions} <= {*marks.detail}
    assert all(Decimal(repr(usd)) > 0 for usd in marks.detail.values())
    assert "end" not in {step.cause for step in ran(10).records}
