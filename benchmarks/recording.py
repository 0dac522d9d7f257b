"""The recorder measured: rows and levels at a steady rate through the real inbox onto a real disk.

    python -m benchmarks.recording --seconds 180 --rate 2000

Says what the disk was given, what a flush takes, how late the loop's own beats came meanwhile, and the memory of this
process in each quarter of the run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live import _quantiles, _rss_mb
from bot.clock import sleep, wall_ns
from bot.inbox import Inbox
from bot.recorder import Recorder
from connectors.events import Kind, Rows
from connectors.instruments import Instrument, Role, Universe
from connectors.ports import Levels
from connectors.tape import DayWriter, open_tape

INSTRUMENTS = 50
LEVELS = 10


class Timed:
    """A writer that knows how long each flush took."""

    def __init__(self, writer: DayWriter) -> None:
        self.writer, self.took_ns = writer, list[int]()

    def append(self, rows: Rows, levels: Mapping[int, Levels] | None = None) -> None:
        """Begins the time."""
        self._start = time.perf_counter_ns()
        self.writer.append(rows, levels)

    def flush(self) -> None:
        """Ends it."""
        self.writer.flush()
        self.took_ns.append(time.perf_counter_ns() - self._start)

    def close(self) -> None:
        """As the writer."""
        self.writer.close()


async def measure(folder: Path, seconds: float, rate: int) -> dict[str, Any]:
    """`rate` rows a second and a book of every instrument once a second, for `seconds`."""
    universe = Universe(
        tuple(Instrument(venue="v", symbol=f"s{n}", role=Role.TOKEN, underlying="A") for n in range(INSTRUMENTS))
    )
    inbox = Inbox(universe, clock=wall_ns)
    writer = Timed(DayWriter(folder, universe))
    recorder = Recorder(writer, sleep=sleep, levels=inbox.levels)
    inbox.taps.append(recorder.append)
    writing = asyncio.create_task(recorder.run())
    rng = np.random.default_rng(1)
    steps, sizes = rng.integers(-2, 3, 100_003), np.round(rng.lognormal(1, 1.5, 100_003), 4)
    mids = rng.integers(10_000, 60_000, INSTRUMENTS).tolist()
    late: list[int] = []
    memory: list[float] = []
    start, cpu, put = time.monotonic(), time.process_time(), 0
    next_depth = 0.0
    while (gone := time.monotonic() - start) < seconds:
        while put < gone * rate:
            number = put % INSTRUMENTS
            mids[number] += int(steps[put % 100_003])
            bid = mids[number] / 100
            inbox.put(
                Kind.QUOTE, number, bid=bid, ask=bid + 0.02, bid_size=float(sizes[put % 100_003]),
                ask_size=float(sizes[(put + 7) % 100_003]), ts_venue=wall_ns() - 5_000_000,
            )  # fmt: skip
            put += 1
        if gone >= next_depth:
            next_depth += 1.0
            memory.append(_rss_mb())
            for number in range(INSTRUMENTS):
                cents, at = mids[number], (put + 31 * number) % 90_000
                inbox.depth(
                    number,
                    [((cents - n) / 100, float(sizes[at + n])) for n in range(LEVELS)],
                    [((cents + 2 + n) / 100, float(sizes[at + 20 + n])) for n in range(LEVELS)],
                )
        inbox.take()
        due = time.monotonic_ns() + 1_000_000
        await asyncio.sleep(0.001)
        late.append(time.monotonic_ns() - due)
    cpu = time.process_time() - cpu
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await recorder.close()
    quarter = max(1, len(memory) // 4)
    return {
        "rows_taken": inbox.taken,
        "flush_us": _quantiles(np.array(writer.took_ns)),
        "loop_late_us": _quantiles(np.array(late)),
        "cpu_share_of_a_core": round(cpu / seconds, 3),
        "rss_mb_by_quarter": [round(float(np.mean(memory[n * quarter : (n + 1) * quarter])), 1) for n in range(4)],
    }


def on_disk(folder: Path) -> dict[str, Any]:
    """What the recording came to."""
    tape = open_tape(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    side = sum(file.stat().st_size for file in folder.rglob("depth-*"))
    return {
        "rows_on_tape": tape.rows(),
        "books_on_tape": len(tape.depth),
        "bytes_a_row": round((size - side) / tape.rows(), 1),
        "bytes_a_book": round(side / max(1, len(tape.depth)), 1),
    }


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--rate", type=int, default=2000, help="rows a second")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        found = {"schema": 1, "seconds": args.seconds, **asyncio.run(measure(out, args.seconds, args.rate))}
        print(json.dumps({**found, **on_disk(out)}, indent=2))


if __name__ == "__main__":
    main()
