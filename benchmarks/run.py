"""How fast the engine is on the shared job, beside a plain Python loop, in one process, round by round.

python -m benchmarks.run                       5 million rows, 5 rounds; a table, and JSON as the last line
python -m benchmarks.run --rows 500000         a shorter look
python -m benchmarks.run --big                 also peak memory at 50 million rows
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import job, measure, ours
from connectors.events import Rows
from connectors.tape import open_tape

CACHE: Final = measure.ROOT / ".cache" / "benchmarks"
CONFIG: Final = Path(__file__).with_name("job.toml")
COLUMNS: Final = ("ts_recv", "instrument", "bid", "ask")
TOLERANCE_USD: Final = 1e-6
"""Profits are sums of some thousand floats; ours adds Decimals."""

Lists = tuple[list[int], list[int], list[float], list[float]]


def tape_of(rows: int, seed: int) -> Path:
    """The job's tape in the cache, made when it is absent."""
    path = CACHE / f"job-seed{seed}-{rows}.tape"
    if not path.exists():
        print(f"writing {path.name} ...", file=sys.stderr)
        partial = path.with_suffix(".partial")
        job.write_tape(partial, rows, seed)
        partial.rename(path)
    return path


def lists_of(rows: Rows) -> Lists:
    """The four columns of the plain loop."""
    return rows.ts_recv.tolist(), rows.instrument.tolist(), rows.bid.tolist(), rows.ask.tolist()


def plain_from_tape(tape: Path) -> tuple[list[job.JobFill], float]:
    """The plain loop including what it needs before: reading Parquet, and columns to lists."""
    return job.plain_loop(*lists_of(Rows.join(list(open_tape(tape).blocks(COLUMNS)))))


def check(result: ours.Outcome, fills: Sequence[job.JobFill], profit: float) -> dict[str, Any]:
    """Whether the engine did what the plain loop did: fill by fill, and the profit."""
    differs = next((at for at, pair in enumerate(zip(result.fills, fills, strict=False)) if pair[0] != pair[1]), None)
    if differs is None and len(result.fills) != len(fills):
        differs = min(len(result.fills), len(fills))
    return {
        "fills": len(result.fills),
        "profit_usd": result.profit_usd,
        "first_different_fill": differs,
        "same": differs is None and abs(result.profit_usd - profit) < TOLERANCE_USD,
        "journal_hash": result.journal_hash,
    }


def compare(rows: int, seed: int, rounds: int) -> dict[str, Any]:
    """Times all subjects, after one untimed run each that compiles and warms; checks the results against the loop."""
    tape = tape_of(rows, seed)
    block = job.in_ram(rows, seed)
    lists = lists_of(block)
    fills, profit = job.plain_loop(*lists)
    subjects: dict[str, Callable[[], object]] = {
        "plain loop, lists in RAM": lambda: job.plain_loop(*lists),
        "plain loop from Parquet": lambda: plain_from_tape(tape),
        "scan in RAM, bare": lambda: ours.scan_in_ram(block, premia=False),
        "scan in RAM, fair value and premia": lambda: ours.scan_in_ram(block, premia=True),
        "backtest from Parquet": lambda: ours.backtest(CONFIG, tape),
    }
    absent: dict[str, str] = {}
    result: dict[str, Any] | None = None
    wakes = 0
    for name, run in list(subjects.items()):
        try:
            outcome = run()
        except ImportError as error:
            absent[name] = str(error)
            del subjects[name]
            continue
        if isinstance(outcome, ours.Outcome):
            wakes = outcome.wakes
            result = check(outcome, fills, profit)
    for name, what in (("plain loop from Parquet", "plain"), ("backtest from Parquet", "backtest")):
        if name in subjects:  # each as its user runs it; here the loop's lists would be in the way of both
            subjects[name] = lambda what=what: alone(f"--only-{what}", rows, seed)["seconds"]  # type: ignore[misc]
    seconds = measure.interleaved(subjects, rounds)
    report: dict[str, Any] = {
        "schema": 1,
        "rows": rows,
        "seed": seed,
        "machine": measure.machine(),
        "plain": {"fills": len(fills), "profit_usd": profit},
        "engine": result,
        "absent": absent,
        "subjects": {name: measure.summary(s, rows) for name, s in seconds.items()},
    }
    if wakes:
        report["wake_us"] = alone("--only-wakes", rows, seed)
    return report


def alone(what: str, rows: int, seed: int) -> dict[str, Any]:
    """What a process of its own says: here the lists of the plain loop are in the way of memory and caches."""
    tape = tape_of(rows, seed)
    arguments = ["-m", "benchmarks.run", what, str(tape), "--rows", str(rows), "--seed", str(seed)]
    return measure.in_process_of_its_own(sys.executable, arguments)


def only_backtest(tape: Path) -> dict[str, Any]:
    """A backtest in this process, the memory that it took, and the seconds of a second, warm one."""
    outcome = ours.backtest(CONFIG, tape)
    peak_rss_mb = measure.peak_rss_mb()
    gc.collect()
    start = time.perf_counter()
    ours.backtest(CONFIG, tape)
    seconds = time.perf_counter() - start
    return {"fills": len(outcome.fills), "peak_rss_mb": peak_rss_mb, "seconds": seconds}


def only_plain(tape: Path) -> dict[str, Any]:
    """The plain loop from Parquet in this process."""
    start = time.perf_counter()
    plain_from_tape(tape)
    return {"seconds": time.perf_counter() - start}


def only_wakes(rows: int, seed: int) -> dict[str, Any]:
    """Microseconds of the wakes of five runs over the rows, after one that warms."""
    block = job.in_ram(rows, seed)
    runs = [sorted(ours.wakes_us(block)) for _ in range(6)][1:]
    return {
        "wakes": len(runs[0]),
        "medians": [round(statistics.median(taken), 1) for taken in runs],
        "median": statistics.median(statistics.median(taken) for taken in runs),
        "p99": statistics.median(taken[int(len(taken) * 0.99)] for taken in runs),
    }


def show(report: dict[str, Any]) -> str:
    """The report as a table: rows per second and the ratio to the plain loop of the same kind."""
    lines = []
    for name, s in report["subjects"].items():
        base = "plain loop from Parquet" if "Parquet" in name else "plain loop, lists in RAM"
        ratio = s["rows_per_s"] / report["subjects"][base]["rows_per_s"]
        lines.append(
            [name, f"{s['median_s']:.4f}", f"{s['best_s']:.4f}", f"{s['rows_per_s'] / 1e6:.2f} M", f"{ratio:.1f}"]
        )
    lines += [[name, "-", "-", "absent", "-"] for name in report["absent"]]
    text = measure.table(["subject", "median s", "best s", "rows/s", "times the plain loop"], lines)
    if "wake_us" in report:
        wake = report["wake_us"]
        text += f"\n\ndecide to journal: {wake['median']:.0f} us (p99 {wake['p99']:.0f}) over {wake['wakes']} wakes"
    for rows, megabytes in report.get("peak_rss_mb", {}).items():
        text += f"\npeak memory of a backtest of {int(rows):,} rows: {megabytes:.0f} MB"
    return text


def main() -> int:
    """Runs what was asked for; exit code 5 when the engine's fills are not the plain loop's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=job.ROWS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--big", action="store_true", help="also peak memory at 50 million rows (0.6 GB of disk)")
    parser.add_argument("--only-backtest", type=Path, metavar="TAPE", help=argparse.SUPPRESS)
    parser.add_argument("--only-plain", type=Path, metavar="TAPE", help=argparse.SUPPRESS)
    parser.add_argument("--only-wakes", type=Path, metavar="TAPE", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only_plain:
        print(json.dumps(only_plain(asked.only_plain)))
        return 0
    if asked.only_wakes:
        print(json.dumps(only_wakes(asked.rows, asked.seed)))
        return 0
    if asked.only_backtest:
        print(json.dumps(only_backtest(asked.only_backtest)))
        return 0
    report = compare(asked.rows, asked.seed, asked.rounds)
    if report["engine"] is not None:
        sizes = [asked.rows, *([50_000_000] if asked.big else [])]
        report["peak_rss_mb"] = {str(rows): alone("--only-backtest", rows, asked.seed)["peak_rss_mb"] for rows in sizes}
    print(show(report), file=sys.stderr)
    print(json.dumps(report))
    return 0 if report["engine"] is None or report["engine"]["same"] else 5


if __name__ == "__main__":
    sys.exit(main())
