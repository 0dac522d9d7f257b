"""`pegline journal`: orders, trades, positions and profit of a journal; whether its chain holds; export."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.arguments import whole
from bot.commands.tape import moment
from bot.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bot.journal_steps import Runs
    from strategies.base import Step

SCHEMA: Final = 1
TOLD_EVERY: Final = 50_000
"""Records between two words of progress."""
VERBS: Final = {
    "orders": "every order that was sent: what was asked, what it filled, at what price and fee, and how it ended",
    "trades": "every trade: its plan, its rounds, what the orders filled, and its end",
    "venues": "how each venue has treated our orders: delay, refused, filled, slippage; beside another journal's",
    "positions": "what is held, per instrument and per share, and the cash; as of --to",
    "pnl": "the P&L bridge by UTC day and in all, with the marks that it rests on",
    "rebalance": "what to move between venues, by hand, so that tokens and coins lie evenly; moves nothing",
    "verify": "check every link of the hash chain: exit 5 with the first record that is not what was written",
    "export": "orders, fills, charges (funding, borrow) or whole decision records to a file: .csv, .jsonl or .parquet",
}
EPILOG: Final = """\
Reads the journal of a state folder, also while a daemon writes it and after kill -9; changes nothing. Positions and
profit are folded as a restart folds them. Times are UTC; --to is exclusive. Exit 8: there is no journal, or it cannot
be read."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verbs and their options."""
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(VERBS))
    for name, line in VERBS.items():
        verb = verbs.add_parser(name, help=line, description=line)
        where = verb.add_mutually_exclusive_group()
        where.add_argument("--state", type=Path, metavar="DIR", help="the state folder; default: that of the config")
        where.add_argument("--file", type=Path, metavar="FILE", help="a journal, such as backtest --journal made")
        where.add_argument("--config", default="config.toml", metavar="CONFIG", help="default: config.toml")
        if name == "export":
            verb.add_argument("what", choices=("orders", "fills", "charges", "steps"))
            verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="appears when all is written")
        else:
            verb.add_argument("--json", action="store_true", help="JSON on stdout, with a schema number")
        if name == "verify":
            continue
        if name not in ("positions", "pnl", "rebalance"):
            verb.add_argument("--from", dest="start", type=moment, metavar="TIME", help="first moment, ISO 8601")
        verb.add_argument("--to", dest="end", type=moment, metavar="TIME", help="up to this moment, ISO 8601")
        verb.add_argument("--strategy", default="", metavar="NAME", help="only what this strategy wished")
        verb.add_argument("--underlying", default="", metavar="TICKER", help="only this share")
        if name == "venues":
            verb.add_argument(
                "--against", type=Path, metavar="FILE", help="a journal to compare with, e.g. a real run's"
            )
        if name in ("orders", "trades"):
            verb.add_argument("--last", type=whole, default=40, metavar="N", help="how many a table shows (40)")


def run(args: argparse.Namespace) -> int:
    """Tells it. Raises UsageError, ConfigError, JournalError; CHECK_FAILED where the chain does not hold."""
    path = _journal(args)
    if args.verb == "verify":
        return _verify(path, as_json=args.json)
    from bot.journal_reader import folded

    with folded(path):
        return _tell(args, path)


def _tell(args: argparse.Namespace, path: Path) -> int:
    """What the records say."""
    from bot.journal_steps import runs_in

    runs = runs_in(path)
    _known(args.underlying, runs)
    if args.verb in ("orders", "trades"):
        return _list(args, path, runs)
    if args.verb == "venues":
        return _venues(args, path, runs)
    if args.verb == "export":
        return _export(args, path, runs)
    return _books(args, path, runs)


def _journal(args: argparse.Namespace) -> Path:
    """The file that is meant."""
    if args.file is not None:
        return Path(args.file)
    from bot.told_state import JOURNAL

    if args.state is not None:
        return Path(args.state) / JOURNAL
    from bot.config_file import load

    config = Path(args.config)
    if not config.exists():
        raise UsageError(f"there is no {config} here", hint="name a state folder with --state DIR, or a --file")
    return Path(load(config, credentials=False).run.state_dir).expanduser() / JOURNAL


def _known(underlying: str, runs: Runs) -> None:
    """Raises UsageError for a share that no run of the journal knows; a journal too old to say knows none."""
    instruments = runs.universe().instruments
    shares = {one.underlying for one in instruments} - {""}
    if not underlying or not shares or underlying in shares:
        return
    from bot.terminal import nearest

    of = {one.underlying for one in instruments if one.token == underlying}
    meant = min(of) if of else nearest(underlying, shares)
    hint = f"it is a token of {meant}: " if of else "did you mean this? " if meant else ""
    known = f"--underlying {meant}" if meant else f"known: {', '.join(sorted(shares))}"
    raise UsageError(f"{underlying} is no share of this journal", hint=hint + known)


def _steps(args: argparse.Namespace, path: Path, runs: Runs) -> Iterator[Step]:
    """The steps that the words ask for."""
    from bot.journal_steps import only, steps

    told = steps(path, start_ns=getattr(args, "start", None), end_ns=args.end, progress=_progress())
    return only(told, runs, strategy=args.strategy, underlying=args.underlying)


def _progress() -> Callable[[int], None]:
    """Tells on a terminal's stderr how far a long journal is read."""
    watched = sys.stderr.isatty()

    def tell(seq: int) -> None:
        if watched and seq % TOLD_EVERY == 0:
            print(f"\r\x1b[Krecord {seq:,} ", end="\r", file=sys.stderr, flush=True)

    return tell


def _list(args: argparse.Namespace, path: Path, runs: Runs) -> int:
    """Orders or trades, one at a time."""
    from bot import journal_orders, journal_text

    rows: Iterator[Mapping[str, Any]]
    if args.verb == "orders":
        rows = map(journal_text.order_row, journal_orders.orders(_steps(args, path, runs), runs))
    else:
        rows = map(journal_text.trade_row, journal_orders.trades(_steps(args, path, runs), runs))
    if args.json:
        _stream(args.verb, rows)
        return ExitCode.OK
    tell = journal_text.tell_orders if args.verb == "orders" else journal_text.tell_trades
    numbered = deque(enumerate(rows, 1), maxlen=args.last)
    tell([row for _, row in numbered], numbered[-1][0] if numbered else 0)
    return ExitCode.OK


def _venues(args: argparse.Namespace, path: Path, runs: Runs) -> int:
    """How venues treat our orders, here and in another journal of the same time span."""
    from bot.journal_orders import orders
    from bot.journal_steps import runs_in
    from bot.journal_venues import conduct, tell

    rows, against = conduct(orders(_steps(args, path, runs), runs)), None
    if args.against is not None:
        others = runs_in(args.against)
        against = conduct(orders(_steps(args, args.against, others), others))
    if args.json:
        print(json.dumps({"schema": SCHEMA, "venues": rows, "against": against}, indent=1))
    else:
        tell(rows, against)
    return ExitCode.OK


def _stream(what: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object whose rows are written as they come, so that any number of them takes no memory."""
    out = sys.stdout
    out.write(f'{{"schema": {SCHEMA}, "{what}": [')
    for at, row in enumerate(rows):
        out.write(f"{',' * (at > 0)}\n {json.dumps(row)}")
    out.write("\n]}\n")


def _books(args: argparse.Namespace, path: Path, runs: Runs) -> int:
    """Positions, profit, or what to move."""
    from bot.paths import prepare_kernel

    prepare_kernel()
    from bot import journal_books, journal_text

    told = _steps(args, path, runs)
    if args.verb == "positions":
        answer, tell = journal_text.books_json(journal_books.books(told, runs)), journal_text.tell_books
    elif args.verb == "rebalance":
        answer, tell = journal_text.moves_json(journal_books.profit(told, runs)), journal_text.tell_moves
    else:
        answer, tell = journal_text.profit_json(journal_books.profit(told, runs)), journal_text.tell_profit
    if args.json:
        print(json.dumps({"schema": SCHEMA, **answer}, indent=1))
    else:
        tell(answer)
    return ExitCode.OK


def _verify(path: Path, *, as_json: bool) -> int:
    """Whether the chain holds."""
    from bot.journal_reader import verify

    verdict = verify(path, _progress())
    if as_json:
        found = {"valid": verdict.records, "hash": verdict.hash, "fault": verdict.fault or None, "after": verdict.after}
        print(json.dumps({"schema": SCHEMA, "ok": verdict.ok, **found}, indent=1))
    elif verdict.ok:
        print(f"{verdict.records:,} records, every link holds; hash {verdict.hash}")
    else:
        print(f"{verdict.records:,} records are valid, up to hash {verdict.hash}")
        print(f"NOT VALID: {verdict.fault}; {verdict.after:,} records from there on are not vouched for")
    return ExitCode.OK if verdict.ok else ExitCode.CHECK_FAILED


def _export(args: argparse.Namespace, path: Path, runs: Runs) -> int:
    """Rows to a file."""
    from bot import journal_export as export

    if args.out.suffix not in export.FORMATS:
        raise UsageError(f"--out {args.out} has no known ending", hint=f"one of {', '.join(export.FORMATS)}")
    told = _steps(args, path, runs)
    if args.what == "orders":
        from bot import journal_orders, journal_text

        orders = map(journal_text.order_row, journal_orders.orders(told, runs))
        count = export.write(args.out, journal_text.ORDER, orders)
    elif args.what == "fills":
        count = export.write(args.out, export.FILLS, export.fills(told, runs))
    elif args.what == "charges":
        count = export.write(args.out, export.CHARGES, export.charges(told, runs))
    else:
        count = export.write(args.out, export.STEPS, export.records(told))
    print(f"{count:,} {args.what} in {args.out}")
    return ExitCode.OK
