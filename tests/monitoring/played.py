"""A short run of the real engine over the simulated market, for the tests of what monitoring makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.assembly import Assembly, assemble
from bot.commands.demo import demo_config
from bot.config import Config
from bot.journal import Journal
from bot.sessions import load_sessions
from bot.show import Show
from bot.wiring import paper, paper_issuers
from connectors.events import Rows
from connectors.simulated.faults import Faults
from connectors.simulated.world import World, simulate
from monitoring.desk import Desk
from monitoring.facts import Facts, FeedState
from strategies.base import Step

FEEDS = (
    FeedState(venue="sim-alpha", feed="simulated", up=True, messages=12),
    FeedState(venue="sim-beta", feed="simulated", up=False, messages=3, rejected={"crossed": 2}),
)


@dataclass
class Played:
    """A run and everything that watched it."""

    world: World
    assembly: Assembly
    desk: Desk
    show: Show
    steps: list[Step]
    hash: str


def begun(world: World, seed: int, *, feeds: Sequence[FeedState] = FEEDS, without: Sequence[str] = ()) -> Played:
    """The engine over a world, before its first row, with the demo's strategies but those named in `without`."""
    config, steps = demo_config(seed, None), []
    journal = Journal(None)

    def seen(step: Step) -> None:
        steps.append(step)
        show.on_step(step)

    assembly = assemble(
        _without(config, without),
        world.universe,
        load_sessions(),
        journal,
        executor=paper(config, world.universe, seed),
        issuers=paper_issuers(config, world.universe, load_sessions(), seed),
        seed=seed,
        on_step=[seen],
    )
    facts = Facts(
        version="1.2.3",
        mode="dry_run",
        strategies=("cross_venue",),
        warn_bps=dict(config.strategies.peg_watch.warn_bps),
        depeg_bps=dict(config.strategies.peg_watch.depeg_bps),
        venue_kinds={name: table.kind for name, table in config.venues.items()},
    )
    desk = Desk(assembly.columns, facts=facts, feeds=lambda: feeds, use=assembly.engine.use)
    show = Show(desk, least=assembly.least, elapsed=lambda: 1.5)
    return Played(world, assembly, desk, show, steps, "")


def _without(config: Config, strategies: Sequence[str]) -> Config:
    """The same, but these strategies are switched off."""
    off = config.strategies.model_copy(update=dict.fromkeys(strategies))
    return config.model_copy(update={"strategies": off})


def play(
    seed: int = 3,
    off: Sequence[str] = (),
    rows: int | None = None,
    *,
    without: Sequence[str] = (),
    until_ns: int | None = None,
) -> Played:
    """
    A whole world, or its first `rows`, or those before a moment (ns UTC). Strategies that a test is not about are
    better left out: peg_watch takes half of a replay's time, hedge a fifth, mint_redeem a tenth.
    """
    world = simulate(seed, faults=Faults().without(off), sessions=load_sessions().codes_at)
    run = begun(world, seed, without=without)
    if until_ns is not None:
        rows = int(np.searchsorted(world.rows.ts_recv, until_ns))
    told: Rows = world.rows if rows is None else world.rows[:rows]
    for block in told.blocks(1000):
        run.assembly.engine.advance(block)
    run.assembly.engine.finish()
    run.hash = run.assembly.engine.dealer.scribe.hash()
    return run
