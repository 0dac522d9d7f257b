"""On the demo, what `pegline paths` says that a strategy would do is what it does, and what it does is told so."""

from __future__ import annotations

import pytest

from bot.closing import ClosingPaths
from bot.sessions import load_sessions
from connectors.orders import Intent
from connectors.simulated.world import simulate
from monitoring.closing import PremiumLine
from monitoring.quote_lines import Origin
from strategies.base import Step
from strategies.closing.path import Path, Way
from strategies.mint_redeem import kind_of
from tests.monitoring.played import begun, demo_config

SEED, SECONDS, ROWS = 1, 36_000.0, 16_000
SIZE_USD = 1500.0
"""That of all strategies of the demo."""
KINDS = {Way.MINT: "first", Way.REFILL: "refill", Way.REDEEM: "redeem"}
Wished = tuple[Intent, set[str], tuple[PremiumLine, ...]]
"""A wish, the names of what it trades, and all paths of its share at that moment."""


@pytest.fixture(scope="module")
def wished() -> list[Wished]:
    """The first hours of a day of the demo's market."""
    world = simulate(SEED, seconds=SECONDS, sessions=load_sessions().codes_at)
    run, out = begun(world, SEED, without=("peg_watch",)), list[Wished]()
    engine, universe = run.assembly.engine, run.assembly.columns.universe
    ask = ClosingPaths(demo_config(SEED, None), run.assembly, lambda: Origin(how="daemon")).ask

    def told(step: Step) -> None:
        for wish in step.wishes:
            if wish.edge_bps > 0:
                names = {universe[leg.instrument].name for leg in wish.legs}
                out.append((wish, names, ask(wish.underlying, SIZE_USD).premia))

    engine.dealer.on_step = (*engine.dealer.on_step, told)
    engine.advance(world.rows[:ROWS])
    return out


def pairs(lines: tuple[PremiumLine, ...], names: set[str]) -> list[Path]:
    """Paths that trade these instruments."""
    return [path for line in lines for path in line.paths if {line.instrument, *path.others} == names]


def test_what_a_strategy_wishes_is_a_path_that_it_would_take(wished: list[Wished]) -> None:
    """
    A trade between venues, a hedge and a redemption are each told as its strategy's, at the moment of the wish: the
    redemption with the wish's edge, the trade with its profit, the hedge with what is expected of it.
    """
    for wish, names, lines in wished:
        if wish.strategy == "mint_redeem":
            (line,) = [line for line in lines if line.instrument in names]
            own = [path for path in line.paths if path.by == wish.strategy]
            assert [kind_of(wish)] == [KINDS[path.way] for path in own]
            assert pytest.approx(wish.edge_bps, abs=1e-6) == own[0].edge_bps
        elif wish.strategy == "hedge":
            assert any(f"hedge expects {wish.edge_bps:.1f} bps" in path.rather for path in pairs(lines, names))
        elif found := [path for path in pairs(lines, names) if path.way is Way.VENUE and not path.refused]:
            assert wish.sizing is not None
            assert {wish.strategy} == {path.by for path in found}
            assert [pytest.approx(wish.sizing.profit_usd)] * len(found) == [path.edge_usd for path in found]
    assert {"cross_venue", "hedge", "mint_redeem"} == {wish.strategy for wish, _, _ in wished}


def test_the_path_that_ranks_first_is_what_its_strategy_wishes(wished: list[Wished]) -> None:
    """
    Wherever a venue's best path is the strategy's that wishes something in its share, it is that wish: at an issuer a
    plan of the same kind, else the same instruments.
    """
    found = [
        (wish, names, line.instrument, line.paths[0])
        for wish, names, lines in wished
        for line in lines
        if line.paths and line.paths[0].by == wish.strategy
    ]
    assert len(found) > 5
    for wish, names, instrument, best in found:
        if best.way in KINDS:
            assert KINDS[best.way] == kind_of(wish)
        else:
            assert {instrument, *best.others} == names
