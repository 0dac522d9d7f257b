"""`pegline backtest`: run the strategies over a tape and say what came of it, to the cent."""

from __future__ import annotations

import argparse
import json
import os
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bot.arguments import seed
from bot.commands.tape import moment
from bot.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.events import Rows
    from connectors.instruments import Universe
    from connectors.ports import Levels

BLOCK = 65_536

EPILOG = """\
The same engine as the daemon reads the tape instead of the venues; orders are filled on paper from what the tape
shows, after each venue's latency. The same tape, config and seed give the same journal hash.

edge seen      edge of every wish after costs, as it was when it was wished
edge captured  what the shares that were bought and sold within a trade brought, less the fees of all trades
worst naked    shares without a hedge at the fair value; the worst spell is USD x seconds until they were flat again
fill ratio     units filled of the units sent"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", required=True, metavar="C", help="config: venues, costs, strategies, limits")
    parser.add_argument("--tape", metavar="T", help="a folder made by `tape import`, `tape fetch`, `record` or `run`")
    parser.add_argument("--simulated", type=seed, metavar="SEED", help="the demo's market of this seed")
    parser.add_argument("--from", dest="start", type=moment, metavar="TIME", help="ISO time, UTC; first row")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="ISO time, UTC; exclusive")
    parser.add_argument("--seed", type=seed, metavar="N", help="of the paper venues' chance; default: [run] seed")
    parser.add_argument("--journal", metavar="FILE", help="keep every decision record in this new SQLite file")
    parser.add_argument("--trades", action="store_true", help="print every fill")
    parser.add_argument("--json", metavar="OUT", help="write the result as JSON to this file; - is stdout")


def run(args: argparse.Namespace) -> int:
    """Runs and reports. Raises UsageError, ConfigError, and DataError for a tape that cannot be used or a span of it
    that is empty.
    """
    _check(args)
    from bot.clock import monotonic_s
    from bot.config_file import load
    from bot.config_limits import trading
    from bot.paths import prepare_kernel

    begun = monotonic_s()
    config = load(Path(args.config), credentials=False)
    prepare_kernel()
    from bot.backtest import run_over
    from bot.backtest_report import as_json, fills, words
    from bot.match import match
    from connectors.errors import DataError

    watched = sys.stderr.isatty()
    source, universe, of, blocks, levels = _source(args)
    begin = next(blocks, None)  # before a journal is begun for nothing
    if begin is None:
        hint = f"pegline tape info {args.tape}" if args.tape else "look at --from and --to"
        raise DataError("no row in this span", where=source, hint=hint)

    def progress(rows: int) -> None:
        if watched:
            print(f"\r{rows:,} of {of:,} rows ", end="", file=sys.stderr, flush=True)

    journal = Path(args.journal) if args.journal else None
    try:
        result = run_over(
            config,
            universe,
            chain((begin,), blocks),
            seed=args.seed,
            journal_path=journal,
            progress=progress,
            levels=levels,
        )
    finally:
        if watched:
            print("\r\x1b[K", end="", file=sys.stderr)
    answer = as_json(
        result,
        match(config, universe),
        source=source,
        total_s=monotonic_s() - begun,
        trades=bool(trading(config)),
    )
    if args.json == "-":
        json.dump(answer, sys.stdout, indent=1)
        print()
        return 0
    if args.json:
        try:
            Path(args.json).write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot be written: {error.strerror}", where=args.json) from error
    print(words(answer))
    if args.trades:
        print(f"\n{fills(answer) or 'no fills'}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Everything that can be known to be wrong before the work begins. Raises UsageError."""
    if (args.tape is None) == (args.simulated is None):
        raise UsageError("give either --tape or --simulated")
    if args.start is not None and args.end is not None and not args.start < args.end:
        raise UsageError("--from must be before --to")
    for name, file in (("--json", args.json), ("--journal", args.journal)):
        if file and file != "-" and not _writable(Path(file)):
            raise UsageError(
                f"{name} {file} cannot be written: it is a folder, or its folder does not exist or is not yours"
            )
    if args.journal and Path(args.journal).exists():
        raise UsageError(
            f"--journal {args.journal} is there already, and a backtest begins a journal of its own",
            hint="name another file, or remove that one",
        )


def _writable(file: Path) -> bool:
    """Whether a file may be written, or made where it is absent."""
    place = file if file.exists() else file.absolute().parent
    return not file.is_dir() and place.exists() and os.access(place, os.W_OK)


def _source(args: argparse.Namespace) -> tuple[str, Universe, int, Iterator[Rows], Mapping[int, Levels]]:
    """What the rows are called, their universe, how many there are at most, the rows of the span in blocks, and the
    levels that DEPTH rows point to."""
    if args.tape is not None:
        from bot.backtest import columns_of
        from connectors.tape import open_tape

        tape = open_tape(Path(args.tape))
        blocks = tape.blocks(columns_of(tape), args.start, args.end, busy_caller=True)
        return str(args.tape), tape.universe, tape.rows(), blocks, tape.depth
    from bot.sessions import load_sessions
    from bot.wiring import simulated_market

    world, _ = simulated_market(args.simulated, sessions=load_sessions())
    ts = world.rows.ts_recv
    first = 0 if args.start is None else int(ts.searchsorted(args.start))
    last = len(ts) if args.end is None else int(ts.searchsorted(args.end))
    rows = world.rows[first:last]
    return f"simulated market, seed {args.simulated}", world.universe, len(rows), rows.blocks(BLOCK), {}
