"""`pegline tape`: import, fetch, look at and verify recorded data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bot.tape_facts import TapeFacts
    from bot.tape_verify import Verdict

_NS: Final = 1_000_000_000
_INTERVALS: Final = ("1m", "5m", "15m", "30m", "1h", "1d")
_NUMBERS: Final = ("rows", "rows/h", "longest gap", "gaps")
_MAP_HELP: Final = """\
A map is a TOML file that says which column of which file is which instrument's price:

  [[source]]
  files = "snapshots*.csv.gz"              # a glob among the FILEs given
  time = { column = "ts", format = "iso8601", offset_s = 0 }   # or unix_s, unix_ms, unix_ns

  [[source.series]]
  instrument = "bsc-pool:TSLAB/USD"        # venue:symbol
  kind = "QUOTE"                           # QUOTE TRADE REFERENCE FX FUNDING MULTIPLIER REWARD SUPPLY
  token = "TSLAB"                          # what the registry knows of it need not be written
  where = { symbol = "TSLA" }              # the lines of this series
  price = "dex_usd"                        # or bid = "..." and ask = "..."

offset_s is a bar's length where the time column is its OPEN. Lines that cannot be used are counted by
reason and set aside in DIR/rejects.csv; nothing is repaired. A line whose price cells are empty is absent."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The four verbs and their options."""
    raw: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="import|fetch|info|verify")

    into = verbs.add_parser("import", help="make a tape from CSV or Parquet files and a map", epilog=_MAP_HELP, **raw)
    into.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV, CSV.gz or Parquet")
    into.add_argument("--map", required=True, type=Path, dest="map_file", metavar="MAP.toml", help="what is what")
    into.add_argument("--out", required=True, type=Path, metavar="DIR", help="the tape to make")
    into.add_argument("--force", action="store_true", help="replace a tape that is there")
    into.add_argument("--json", action="store_true", help="the summary as JSON on stdout")

    fetch = verbs.add_parser("fetch", help="make a tape from an exchange's candles or Yahoo's share prices")
    fetch.add_argument("symbol", metavar="SYMBOL", help="TSLA, or an exchange's pair such as TSLAx/USD")
    fetch.add_argument("--source", required=True, metavar="yahoo|EXCHANGE", help="yahoo, or an exchange id of ccxt")
    fetch.add_argument("--from", required=True, dest="start", type=moment, metavar="TIME", help="ISO 8601, UTC")
    fetch.add_argument("--to", required=True, dest="end", type=moment, metavar="TIME", help="ISO 8601, UTC, exclusive")
    fetch.add_argument("--out", required=True, type=Path, metavar="DIR", help="the tape to make")
    fetch.add_argument("--force", action="store_true", help="replace a tape that is there")
    fetch.add_argument("--interval", default="5m", choices=_INTERVALS, help="length of a bar (5m)")
    fetch.add_argument("--underlying", default="", metavar="TICKER", help="share behind a token the registry lacks")
    fetch.add_argument("--multiplier", type=float, metavar="X", help="shares per unit of the token, if you know it")
    fetch.add_argument("--url", default="", help="another address of the source, such as a local stand-in")

    info = verbs.add_parser("info", help="instruments, rows, spans, gaps and rates of a tape")
    check = verbs.add_parser("verify", help="check every row of a tape: exit 5 for odd rows, 8 for a corrupt tape")
    for verb in (info, check):
        verb.add_argument("tape", type=Path, metavar="TAPE", help="a tape's folder")
        verb.add_argument("--gap", type=duration, default=1800.0, metavar="TIME", help="silence that counts (30m)")
        verb.add_argument("--json", action="store_true", help="JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Runs the verb; see its own docstring for what it raises."""
    verbs: dict[str, Callable[[argparse.Namespace], int]] = {
        "import": _import,
        "fetch": _fetch,
        "info": _info,
        "verify": _verify,
    }
    return verbs[args.verb](args)


def moment(text: str) -> int:
    """An ISO 8601 time or date as ns UTC; without a zone it is UTC. Raises ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time (write e.g. 2026-08-22T00:00Z)") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    whole = found - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (whole.days * 86_400 + whole.seconds) * _NS + whole.microseconds * 1000
    if not -(2**63) <= ns < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is beyond what can be told in ns (1677-09-22 to 2262-04-11)")
    return ns


def duration(text: str) -> float:
    """`90`, `90s`, `30m`, `2h` or `1d` in seconds. Raises ArgumentTypeError."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(text[-1:], 0)
    try:
        value = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration (write e.g. 90s, 30m, 2h)")
    return value


def _import(args: argparse.Namespace) -> int:
    """Raises ImportFailed as bot.tape_import.import_tape."""
    from dataclasses import asdict

    from bot.tape_import import import_tape
    from bot.tape_rows import REASONS

    watched = sys.stderr.isatty()

    def progress(file: str, lines: int) -> None:
        print(f"\r{file}: {lines:,} lines ", end="", file=sys.stderr, flush=True)

    try:
        done = import_tape(
            args.files, args.map_file, args.out, force=args.force, progress=progress if watched else None
        )
    finally:
        if watched:
            print("\r\x1b[K", end="", file=sys.stderr)
    if args.json:
        _emit({"schema": 1, **asdict(done)})
    for file in done.files:
        said = f"{file.file}: {file.lines:,} lines"
        if file.backwards:
            said += (
                f", time goes back {file.backwards:,} times (first at line {file.backwards_line}); the tape is sorted"
            )
        _say(said)
    for series in done.series:
        left = [f"{n:,} {what}" for n, what in ((series.absent, "empty"), (series.dropped, "dropped")) if n]
        left += [f"{series.rejected:,} rejected"] if series.rejected else []
        _say(f"  {series.instrument} {series.kind}: {series.rows:,} rows{' (' + ', '.join(left) + ')' if left else ''}")
    for reason, count in done.rejected.items():
        _say(f"rejected {count:,}: {REASONS[reason]} ({reason}), see {Path(done.tape) / 'rejects.csv'}")
    _say(f"{done.tape}: {done.rows:,} rows, {_when(done.first_ns)} to {_when(done.last_ns)}")
    return ExitCode.OK


def _fetch(args: argparse.Namespace) -> int:
    """Raises DataError where the source has no data, ConnectorError where it cannot be reached."""
    from bot.tape_fetch import fetch_tape

    if not args.start < args.end:
        raise UsageError("--from must be before --to", where="tape fetch")
    count, skipped = fetch_tape(
        args.symbol,
        source=args.source,
        start_ns=args.start,
        end_ns=args.end,
        interval=args.interval,
        out=args.out,
        url=args.url,
        underlying=args.underlying,
        multiplier=args.multiplier,
        force=args.force,
    )
    for reason, n in skipped.items():
        _say(f"left out {n:,} bars: {reason}")
    _say(f"{args.out}: {count:,} rows; look at it with: pegline tape info {args.out}")
    return ExitCode.OK


def _info(args: argparse.Namespace) -> int:
    """Raises TapeError for a tape that cannot be read."""
    from dataclasses import asdict

    from bot.tape_facts import facts
    from connectors.tape import open_tape

    found = facts(open_tape(args.tape), args.gap)
    if args.json:
        _emit({"schema": 1, **asdict(found)})
    else:
        _show_facts(found)
    return ExitCode.OK


def _verify(args: argparse.Namespace) -> int:
    """Raises TapeError for a part that cannot be decoded."""
    from dataclasses import asdict

    from bot.tape_verify import BAD, CORRUPT, verify
    from connectors.tape import open_tape

    verdict = verify(open_tape(args.tape), args.gap)
    code = {CORRUPT: ExitCode.DATA_BROKEN, BAD: ExitCode.CHECK_FAILED}.get(verdict.level or "", ExitCode.OK)
    if args.json:
        _emit({"schema": 1, **asdict(verdict), "level": verdict.level})
    else:
        _show_verdict(verdict)
    return code


def _show_facts(found: TapeFacts) -> None:
    """The facts as a table for people."""
    parts = "1 part" if found.parts == 1 else f"{found.parts} parts"
    print(f"{found.tape}: {found.rows:,} rows in {parts}, {found.bytes / 1e6:.1f} MB")
    print(f"{_when(found.first_ns)} to {_when(found.last_ns)}")
    head = ("instrument", "role", "rows", "kinds", "first", "last", "rows/h", "longest gap", "gaps")
    table = [head]
    for one in found.instruments:
        table.append(
            (
                one.instrument,
                one.role.lower(),
                f"{one.rows:,}",
                "+".join(one.kinds) or "-",
                _when(one.first_ns),
                _when(one.last_ns),
                "-" if one.per_hour is None else f"{one.per_hour:,.1f}",
                _span(one.longest_gap_s),
                str(one.gaps),
            )
        )
    widths = [max(len(row[at]) for row in table) for at in range(len(head))]
    for row in table:
        cells = zip(head, row, widths, strict=True)
        print("  ".join(f"{cell:{'>' if name in _NUMBERS else '<'}{width}}" for name, cell, width in cells).rstrip())
    print(f"a gap is a silence longer than {_span(found.gap_s)}")


def _show_verdict(verdict: Verdict) -> None:
    """The findings as lines for people."""
    for finding in verdict.findings:
        if not finding.count:
            print(f"ok       {finding.check + ':':<20}{0:>8} {finding.what}")
            continue
        place = f"first: {finding.part} row {finding.row}" + (f" {finding.instrument}" if finding.instrument else "")
        print(f"{finding.level:<8} {finding.check + ':':<20}{finding.count:>8,} {finding.what}; {place}")
    print(f"{verdict.tape}: {verdict.rows:,} rows checked, worst finding: {verdict.level or 'none'}")


def _emit(what: dict[str, Any]) -> None:
    """JSON on stdout."""
    print(json.dumps(what, indent=1, allow_nan=False))


def _say(text: str) -> None:
    """Talk on stderr."""
    print(text, file=sys.stderr)


def _when(ns: int | None) -> str:
    """A time for people, to the second."""
    return "-" if ns is None else datetime.fromtimestamp(ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _span(seconds: float | None) -> str:
    """A duration for people."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}{unit}"
    return f"{seconds:g}s"
