"""Pain 10, where it hurts most: a token held against a perp, and the process dies in between."""

from __future__ import annotations

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import Assembly, assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.wiring import paper  # noqa: E402
from connectors.events import Rows  # noqa: E402
from strategies.base import Step  # noqa: E402
from tests.bot.hedge_world import PERP, TOKEN, World, config  # noqa: E402


def begun(world: World, earlier: list[Step]) -> Assembly:
    """A process of the bot on the records of those before it; what it decides is added to them."""
    parts = assemble(
        world.config, world.universe, load_sessions(), Journal(None), executor=paper(world.config, world.universe, 1),
        seed=1, on_step=(earlier.append,),
    )  # fmt: skip
    parts.engine.restore(tuple(earlier))
    return parts


def fills(world: World, steps: list[Step]) -> list[tuple[str, str, float]]:
    """Instrument, side and units of every fill of the records."""
    told = [fill for step in steps for report in step.reports for fill in report.fills]
    return [(world.universe[one.instrument].name, one.side.value, float(one.quantity)) for one in told]


@pytest.mark.parametrize("deaths", [0, 1, 3])
def test_pain_10_a_pair_of_token_and_perp_is_entered_once_and_closed_once_through_restarts(deaths: int) -> None:
    """
    Ten tokens are bought and ten perps sold against them; the process dies so many times while they stand. None of the
    next ones enters again or closes early; the last one closes both when the premium is back.
    """
    world, steps = World(config()).lasts(60).lasts(60, token=99.0), list[Step]()
    parts = begun(world, steps)
    for death in range(deaths + 1):
        parts.engine.advance(Rows.of(world.rows))
        assert [(TOKEN, "buy", 10.0), (PERP, "sell", 10.0)] == fills(world, steps)
        world.rows.clear()
        world.lasts(60)
        if death < deaths:
            parts = begun(world, steps)
    world.lasts(60, token=100.4)
    parts.engine.advance(Rows.of(world.rows))
    assert [(TOKEN, "sell", 10.0), (PERP, "buy", 10.0)] == fills(world, steps)[2:]
    assert [] == [units for units in parts.ledger.positions.values() if units]
