"""The bot over a tape: the same engine, blocks of rows instead of a socket, fills on paper, and what came of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from bot.assembly import Assembly, assemble, refused_rows
from bot.clock import monotonic_s
from bot.config import Config
from bot.converting import IssuersOf
from bot.costs import to_pay
from bot.exposure import Exposure
from bot.journal import Journal
from bot.journal_file import Durability
from bot.marks import coin_usd, unit_usd
from bot.sessions import load_sessions
from bot.told import Told, fills_of
from bot.wiring import paper, paper_issuers
from connectors.events import NEVER, Rows
from connectors.instruments import Role, Universe
from connectors.orders import Fill
from connectors.ports import Levels
from connectors.tape import Tape
from strategies.base import Step
from strategies.execution.ledger import Bridge
from strategies.market import kernel as K
from strategies.pricing.costs import Component

COLUMNS = ("ts_recv", "instrument", "kind", "flags", "bid", "ask", "bid_size", "ask_size")
"""The columns that the scan reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a backtest came to."""

    rows: int
    seconds: float
    wakes: int
    steps: int
    dropped_dues: int
    bridge: Bridge
    due: Mapping[Component, Decimal]
    """USD that the trades have made due and that no venue charges; not in the bridge."""
    records: list[Step]
    """Every decision record, in order."""
    journal_hash: str
    refused_rows: dict[str, dict[str, int]]
    positions: dict[str, Decimal]
    first_ns: int
    last_ns: int
    names: tuple[str, ...]
    """Instruments by number."""
    worst_naked_usd: float
    worst_naked_usd_s: float
    """Largest USD x seconds of one spell without a hedge."""
    assumed: dict[str, tuple[float, float]]
    """Series with one price that are filled at an assumed half-spread (bps) and size (units): no market, a guess."""
    watched_only: tuple[str, ...]
    """Tokens that cannot be traded, each with the reason."""

    naked: dict[str, tuple[float, float]]
    """Net shares of each underlying that were left without a hedge at the end, and their USD."""
    universe: Universe

    @property
    def told(self) -> Told:
        """What the records say: counted here and not while the tape runs, since it takes a twentieth of the time."""
        return Told(self.universe, self.records)

    @property
    def net_usd(self) -> Decimal:
        """Net profit, USD."""
        return self.bridge.net

    @property
    def after_usd(self) -> Decimal:
        """Net profit less what is still to pay, USD."""
        return self.bridge.net - sum(self.due.values(), Decimal(0))

    @property
    def fills(self) -> list[Fill]:
        """Every fill in order."""
        return fills_of(self.records)


def backtest(
    config: Config,
    tape: Tape,
    *,
    seed: int | None = None,
    journal_path: Path | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    block: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Result:
    """Runs the config's strategies over a tape; fills on paper; the journal is written only where a path is given.

    `block` cuts the rows into blocks of at most that many (None: as they are stored); it changes nothing but the time
    it takes. Raises TapeError for a broken tape, ConfigError where the config lacks what a strategy needs.
    """
    blocks = tape.blocks(columns_of(tape), start_ns, end_ns, busy_caller=True)
    if block is not None:
        blocks = (part for rows in blocks for part in rows.blocks(block))
    return run_over(
        config, tape.universe, blocks, seed=seed, journal_path=journal_path, progress=progress, levels=tape.depth
    )


def columns_of(tape: Tape) -> tuple[str, ...]:
    """The columns that a run over a tape reads: `extra` only where DEPTH rows point to levels."""
    return (*COLUMNS, "extra") if tape.depth else COLUMNS


def run_over(
    config: Config,
    universe: Universe,
    blocks: Iterable[Rows],
    *,
    seed: int | None = None,
    journal_path: Path | None = None,
    progress: Callable[[int], None] = lambda rows: None,
    levels: Mapping[int, Levels] | None = None,
    world: Config | None = None,
    issuers: IssuersOf | None = None,
) -> Result:
    """The same over blocks of rows from anywhere, in order of ts_recv. `world` says what is charged, where that is not
    what `config` believes; `issuers` are those on paper by it, unless others are given."""
    seed = config.run.seed if seed is None else seed
    issuers = issuers or paper_issuers(world or config, universe, load_sessions(), seed)
    records: list[Step] = []

    def hear(step: Step) -> None:
        records.append(step)
        exposure.hear(step)

    with Journal(journal_path, durability=Durability.BATCHED) as journal:
        parts = assemble(
            config,
            universe,
            load_sessions(),
            journal,
            executor=paper(world or config, universe, seed),
            issuers=issuers,
            seed=seed,
            on_step=(hear,),
            levels=levels,
            charged=world,
        )
        exposure = Exposure(parts.columns, parts.least)
        start = monotonic_s()
        first = -1
        gc.freeze()  # what stands now is not looked through again for garbage while the tape runs
        for rows in blocks:
            if first < 0 and len(rows):
                first = int(rows.ts_recv[0])
            parts.engine.advance(rows)
            progress(parts.engine.counts.rows)
        parts.engine.finish()
        gc.unfreeze()
        seconds = monotonic_s() - start
        journal_hash = journal.hash()
    due = to_pay(world or config, universe, fills_of(records), parts.engine.now)
    return _result(parts, records, exposure, seconds, journal_hash, first, due)


def bridge_of(parts: Assembly) -> Bridge:
    """The P&L bridge of a run at its last marks."""
    columns = parts.columns
    return parts.ledger.bridge(partial(unit_usd, columns), partial(coin_usd, columns))


def _result(
    parts: Assembly,
    records: list[Step],
    exposure: Exposure,
    seconds: float,
    journal_hash: str,
    first: int,
    due: Mapping[Component, Decimal],
) -> Result:
    engine = parts.engine
    names = parts.columns.universe
    exposure.until(engine.now)
    return Result(
        rows=engine.counts.rows,
        seconds=seconds,
        wakes=engine.counts.wakes,
        steps=engine.dealer.steps,
        dropped_dues=engine.counts.dropped_dues,
        bridge=bridge_of(parts),
        due=due,
        records=records,
        journal_hash=journal_hash,
        refused_rows=refused_rows(parts.columns),
        positions={names[at].name: units for at, units in sorted(parts.ledger.positions.items()) if units},
        first_ns=first,
        last_ns=engine.now,
        names=tuple(instrument.name for instrument in names),
        naked=exposure.left(),
        universe=names,
        worst_naked_usd=exposure.worst_usd,
        worst_naked_usd_s=exposure.worst_usd_s,
        assumed={
            instrument.name: (half * 1e4, parts.columns.facts[at].assumed_size)
            for at, instrument in enumerate(names)
            if instrument.one_price
            and parts.columns.facts[at].traded
            and (half := parts.columns.facts[at].assumed_half_spread) is not None
        },
        watched_only=tuple(_watched_only(parts)),
    )


def _watched_only(parts: Assembly) -> Iterable[str]:
    """Tokens that no trade can touch, and why."""
    for at, instrument in enumerate(parts.columns.universe):
        facts = parts.columns.facts[at]
        if instrument.role is Role.TOKEN:
            if not facts.traded:
                yield f"{instrument.name} (not in the config)"
            elif facts.cost is None:
                yield f"{instrument.name} (no fee in [venues.{instrument.venue}])"
            elif instrument.one_price and facts.assumed_half_spread is None:
                yield f"{instrument.name} (one price, and no spread and size assumed for it)"


def scan_in_ram(config: Config, universe: Universe, rows: Rows, *, premia: bool, level_bps: float) -> tuple[int, float]:
    """Drives the scan alone over one block: no strategies, no wakes; for benchmarks.

    The edge rule of every underlying stands at `level_bps`. Returns (times it fired, seconds in the scan).
    """
    parts = assemble(config, universe, load_sessions(), Journal(None), executor=None, judge=premia)
    columns = parts.columns
    columns.levels[:] = level_bps
    for number in range(len(universe)):
        columns.permit(number, buy_from=0, sell_from=0)
    columns.enter_session(int(rows.ts_recv[0]))
    at = fired = 0
    start = monotonic_s()
    while at < len(rows):
        at, why = columns.scan(rows, at, NEVER)
        fired += bool(why & K.TRIGGER)
    return fired, monotonic_s() - start
