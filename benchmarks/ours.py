"""The one place where the benchmarks meet our engine: what they call, and what they expect back."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from benchmarks.job import JobFill
from connectors.events import Rows


class Outcome(NamedTuple):
    """What a whole run over the job gave."""

    fills: list[JobFill]
    profit_usd: float
    wakes: int
    """How often the scan stopped and Python decided."""
    journal_hash: str


def scan_in_ram(rows: Rows, *, premia: bool) -> int:
    """Drives the compiled scan over all rows, with or without fair value and premia; returns the rows that it saw.

    Raises ImportError where the engine is absent.
    """
    from bot.backtest import scan_in_ram as scan

    return int(scan(rows, premia=premia))


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
