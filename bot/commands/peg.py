"""`pegline peg`: premium statistics of every token on a tape, by session."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.arguments import positive
from bot.commands.tape import duration, moment
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.config import Config
    from bot.peg_fair import Looked
    from bot.peg_samples import Samples
    from connectors.tape import Tape

FAIR = "fair"
EPILOG = """\
A premium is sampled when the token prints; silent markets are not filled forward. Against `fair` the bot's own fair
value counts, which refuses stale and frozen sources; against an instrument its last price counts, whatever its age.
Times are ts_recv, sessions are those of New York. share_outside counts prints; a spell outside ends at the first print
inside, or before a silence longer than --gap. The half-life is that of an Ornstein-Uhlenbeck process fitted to
neighbouring prints, with a 95 % interval. "all venues" of a token is the median of their last premia; of tokens of two
issuers one is held against the other. --json tells more: distances in errors of the fair value (..._sigmas), the same
with the coin at one dollar (..._at_par_...), what is ordinary (baseline_bps, mad_bps, without the newest hour), what
that process would do by itself (ordinary_..., to_band_s, variance_ratio_ou), what is left after the venue's cost
(executable_..., where --config tells it), and against `fair` the health score of 100 with its parts, each the share of
earlier readings that were at least as bad. --html draws it: premia with the fair value's band, sessions
shaded, spells marked, hours of the week, score and parts; one file that asks nobody for anything."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The tape, what to compare with, and how."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tape", type=Path, metavar="TAPE", help="folder of a tape")
    parser.add_argument(
        "--against", default=FAIR, metavar="fair|INSTRUMENT", help=f"{FAIR} (default), or a venue:symbol of the tape"
    )
    parser.add_argument("--from", dest="start", type=moment, metavar="TIME", help="first moment, ISO 8601, UTC")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="moment after the last, ISO 8601, UTC")
    parser.add_argument("--band", type=positive, metavar="BPS", help="what counts as outside (default: see --config)")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="its gates and depeg thresholds; else defaults, no band"
    )
    parser.add_argument(
        "--gap", type=duration, default="30m", metavar="SPAN", help="a longer silence ends a spell (30m)"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with pictures and tables, too")


def run(args: argparse.Namespace) -> int:
    """Prints the statistics. Raises TapeError, RegistryError for an unknown instrument, ConfigError, UsageError."""
    from bot.paths import prepare_kernel

    prepare_kernel()
    from bot.config_file import load
    from bot.peg import gap_of, judged, samples_against, statistics
    from connectors.instruments import Role
    from connectors.tape import open_tape

    if args.start is not None and args.end is not None and not args.start < args.end:
        raise UsageError("--from must be before --to", where="peg")
    config = None if args.config is None else load(args.config, credentials=False)
    tape = open_tape(args.tape)
    looked: Looked | None = None
    if args.against == FAIR:
        looked = _fair(tape, config, args)
        samples, tokens = looked.samples, list(tape.universe.where(role=Role.TOKEN))
    else:
        samples = samples_against(tape, args.against, args.start, args.end)
        tokens = judged(tape.universe, args.against)
    band = _band(args.band, config)
    found = statistics(
        samples,
        tape.universe,
        tokens,
        args.against,
        gap_ns=gap_of(args.gap),
        band_bps=band,
        unknown=looked.unknown if looked else None,
        health=looked.health if looked else None,
        costs=looked.costs if looked else None,
    )
    if args.html is not None:
        _page(args, tape, samples, tokens, found, band, looked)
    if args.json:
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        _tables(found, args.gap, band)
    return 0


def _fair(tape: Tape, config: Config | None, args: argparse.Namespace) -> Looked:
    """Samples on our own fair value, and on stderr whose word it was and who was not believed."""
    from bot.config import Config
    from bot.peg_fair import fair_look, origins

    looked = fair_look(tape, config or Config(), args.start, args.end)
    for number in sorted({*looked.sources, *looked.unknown}):
        told = [f"{name} at {count:,} prints" for name, count in looked.sources.get(number, {}).items()]
        if looked.unknown.get(number):
            missing = looked.unknown[number]
            whys = ", ".join(f"{why}: {count:,}" for why, count in missing.items())
            told.append(f"unknown at {sum(missing.values()):,} prints, which are no samples ({whys})")
        print(f"fair value for {tape.universe[number].name}: {', '.join(told)}", file=sys.stderr)
    for name, streams in origins(tape, args.start, args.end).items():
        print(f"{name} came from {', '.join(streams)}", file=sys.stderr)
    for name, reasons in looked.refused.items():
        refused = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in reasons.items())
        print(f"rows not believed: {name}: {refused}", file=sys.stderr)
    return looked


def _page(
    args: argparse.Namespace,
    tape: Tape,
    samples: Samples,
    tokens: list[int],
    found: list[dict[str, Any]],
    band: dict[str, float] | None,
    looked: Looked | None,
) -> None:
    """Writes the page. Raises UsageError where the file cannot be written."""
    from bot.peg import gap_of
    from bot.peg_html import document
    from bot.peg_svg import Track

    tracks = {}
    for token in tokens:
        its = samples.of(samples.instrument == token)
        tracks[tape.universe[token].name] = Track(
            ts=its.ts,
            premium_bps=its.premium_bps,
            error_bps=its.error_bps,
            band_bps=band,
            gap_ns=gap_of(args.gap),
            unknown_ts=looked.unknown_ts.get(token, ()) if looked else (),
            scores=looked.scores.get(token, ()) if looked else (),
        )
    text = document(f"Premia of {args.tape.resolve().name} against {args.against}", tracks, found)
    try:
        args.html.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(args.html)) from None
    print(f"wrote {args.html}", file=sys.stderr)


def _band(bps: float | None, config: Config | None) -> dict[str, float] | None:
    """The band by session: --band, else the depeg thresholds of the config, else none."""
    from bot.peg import SESSIONS

    if bps is not None:
        return dict.fromkeys(SESSIONS, bps)
    watch = None if config is None else config.strategies.peg_watch
    return None if watch is None else {session: float(limit) for session, limit in watch.depeg_bps.items()}


def _tables(found: list[dict[str, Any]], gap_s: float, band: dict[str, float] | None) -> None:
    """A table for each token with a line for each session, notes below it."""
    from bot.tables import print_table

    columns = ("session", "n", "mean", "sd", "median", "sigmas", "50%", "95%", "max", "outside", "longest", "half-life")
    for (token, instrument, against), group in groupby(found, lambda f: (f["token"], f["instrument"], f["against"])):
        lines = list(group)
        title = f"{token} on {instrument}: premium in bps against {against}"
        print_table(columns, [_line(line) for line in lines], title=title, numbers=columns[1:], whole=columns)
        for line in lines:
            if line["note"]:
                print(f"  {line['session']}: {line['note']}")
        print()
    outside = "no band: --band BPS or --config FILE" if band is None else "share of prints, longest spell"
    print(
        "50%, 95%, max: of the absolute premium; sigmas: median distance in errors of the fair value", file=sys.stderr
    )
    print("half-life: of deviations from the mean", file=sys.stderr)
    print(f"outside: {outside}; a silence over {gap_s / 60:g} min ends a spell", file=sys.stderr)


def _line(line: dict[str, Any]) -> list[str]:
    """One session as cells."""
    share = line["share_outside"]
    return [
        line["session"],
        str(line["n"]),
        _number(line["mean_bps"], "+.1f"),
        _number(line["sd_bps"], ".1f"),
        _number(line["median_bps"], "+.1f"),
        _number(line["median_abs_sigmas"], ".1f"),
        *(_number(line[name], ".1f") for name in ("median_abs_bps", "p95_abs_bps", "max_abs_bps")),
        "-" if share is None else f"{share:.1%}",
        _time(line["longest_outside_s"]),
        _time(line["half_life_s"]),
    ]


def _number(value: float | None, form: str) -> str:
    """A number, or a dash where it is absent."""
    return "-" if value is None else format(value, form)


def _time(seconds: float | None) -> str:
    """Seconds in the unit that a person would use, or a dash."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g}{unit}"
    return f"{seconds / 86_400:.3g}d"
