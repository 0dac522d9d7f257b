"""The one place where the benchmarks meet our engine: what they call, and what they expect back."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.job import JobFill, universe
from connectors.events import Rows

if TYPE_CHECKING:
    from bot.config import Config

CONFIG: Final = Path(__file__).with_name("job.toml")


class Outcome(NamedTuple):
    """What a whole run over the job gave."""

    fills: list[JobFill]
    profit_usd: float
    wakes: int
    """How often the scan stopped and Python decided."""
    journal_hash: str


def scan_in_ram(rows: Rows, *, premia: bool) -> float:
    """Drives the compiled scan over all rows, with or without fair value and premia; returns its seconds.

    The job's edge rule stands at the lowest level that never fires on these rows, so that nothing wakes Python.
    """
    from bot.backtest import scan_in_ram as scan

    fired, seconds = scan(_config(), universe(), rows, premia=premia, level_bps=_level(rows))
    if fired:
        raise RuntimeError(f"the edge rule fired {fired} times; the level is too low")
    return seconds


@lru_cache(maxsize=1)
def _config() -> Config:
    from bot.config_file import load

    return load(CONFIG)


_levels: dict[tuple[int, int], float] = {}


def _level(rows: Rows) -> float:
    """The lowest edge (a multiple of 5 bps) that is never reached; searched once for a set of rows, untimed."""
    from bot.backtest import scan_in_ram as scan

    key = (len(rows), int(rows.ts_recv[0]))
    if key not in _levels:
        level = 20.0
        while scan(_config(), universe(), rows, premia=True, level_bps=level)[0]:
            level += 5.0
        _levels[key] = level
    return _levels[key]


def backtest(config: Path, tape: Path) -> Outcome:
    """The whole program over a tape: Parquet, scan, decisions, review, journal, paper fills. Raises ImportError."""
    from bot.backtest import backtest as run
    from bot.config_file import load
    from connectors.tape import open_tape

    result = run(load(config), open_tape(tape))
    fills = [
        JobFill(time_ns=f.ts, leg=f.instrument, side=1 if f.side == "buy" else -1, price=float(f.price))
        for f in result.fills
    ]
    return Outcome(fills, float(result.net_usd), result.wakes, result.journal_hash)


def wakes_us(rows: Rows) -> list[float]:
    """Microseconds of every decision wake over the rows: from the scan's stop to the record in the journal's chain.

    They are the engine's own methods, timed around; the journal has no file, as in a backtest.
    """
    from bot.backtest import run_over
    from bot.dealing import Dealer
    from bot.engine import Engine

    taken: list[float] = []
    whole, record = Engine._triggered, Dealer.record
    recorded = 0

    def timed(self: Engine, now: int, notes: list[Any]) -> None:
        start = time.perf_counter_ns()
        whole(self, now, notes)
        taken.append((recorded - start) / 1e3)

    def stamped(self: Dealer, *args: Any, **kwargs: Any) -> None:
        nonlocal recorded
        record(self, *args, **kwargs)
        recorded = time.perf_counter_ns()

    Engine._triggered, Dealer.record = timed, stamped  # type: ignore[method-assign]
    try:
        run_over(_config(), universe(), [rows])
    finally:
        Engine._triggered, Dealer.record = whole, record  # type: ignore[method-assign]
    return taken
