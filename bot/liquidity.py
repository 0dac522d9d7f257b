"""Pools with incentives on a tape: the watch alone over its rows, what it remarked, how each pool stands at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot.assembly import assemble
from bot.config import Config, Liquidity, Strategies
from bot.journal import Journal
from bot.sessions import load_sessions
from connectors.events import NS, Rows
from connectors.instruments import Universe
from connectors.ports import Levels
from monitoring.decisions import Tally
from monitoring.narrate import Line, Narrator
from monitoring.pools import PoolLine, pool_lines
from strategies.base import Step
from strategies.liquidity import EVERY_NS

KINDS = ("incentive", "liquidity_cliff")
"""Kinds of notes that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What came of it."""

    pools: tuple[PoolLine, ...]
    """As of the last row."""
    lines: tuple[Line, ...]
    """In order of time."""
    rows: int
    last_ns: int
    absent: tuple[str, ...]
    """Pools of the config that are no instruments of the tape."""


def watch(
    config: Config, universe: Universe, blocks: Iterable[Rows], levels: Mapping[int, Levels], *, since_ns: int = 0
) -> Watched:
    """Runs nothing but the watch over pools; a config without [strategies.liquidity] has its defaults.

    Events are told from `since_ns` on; what came before is known all the same.
    """
    alone = Strategies(liquidity=(config.strategies.liquidity or Liquidity()).model_copy(update={"enabled": True}))
    run = config.run.model_copy(update={"timer_s": EVERY_NS / NS})
    config = config.model_copy(update={"strategies": alone, "run": run})
    tally = Tally(universe)
    narrator, lines = Narrator(universe, tally), list[Line]()

    def tell(step: Step) -> None:
        tally.fold(step)
        lines.extend(line for line in narrator.tell(step) if line.kind in KINDS and line.ts >= since_ns)

    parts = assemble(
        config, universe, load_sessions(), Journal(None), executor=None, doubt=False, on_step=(tell,), levels=levels
    )
    for rows in blocks:
        parts.engine.advance(rows)
    parts.engine.finish()
    readings = () if parts.liquidity is None else parts.liquidity.readings.values()
    pools = pool_lines(universe, readings)
    names = {instrument.name for instrument in universe}
    return Watched(
        pools=pools,
        lines=tuple(lines),
        rows=parts.engine.counts.rows,
        last_ns=parts.engine.now,
        absent=tuple(name for name in config.pools if name not in names),
    )
