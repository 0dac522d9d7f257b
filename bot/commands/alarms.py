"""`pegline alarms score`: what the depeg alarms are worth on a tape, by depegs that are put into it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.arguments import positive, seed
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.config import Config
    from strategies.peg.rule import Rule

EPILOG = """\
The rule learns what is usual at each venue from the first part of the tape. Into the rest depegs are put, spread evenly
over shapes, sizes and sessions, at random times at which the state was known; never two at once on one share:

  jump             every venue of the token moves by the size at once
  ramp             the same in equal parts over five prints
  single_venue     one venue moves: the venue is to be called DEPEGGED, the token at most STRAINED
  stablecoin       the coin that it is quoted in moves, the token does not: the coin is to be named as the cause
  stale_reference  the share's sources repeat themselves while the token moves: UNKNOWN, for the reference

In time is the fifth print of that venue at which the whole size is there. Intervals are at 95 % (Wilson; Poisson for
rates); injections of one hour share its noise, so they are a little too narrow. Times are ts_recv. A candidate is
scored on the same injections beside the active rule."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb and its options."""
    raw: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="score")
    one = verbs.add_parser("score", help="recall, delay, precision and false alarms on a tape", epilog=EPILOG, **raw)
    one.add_argument("tape", type=Path, metavar="TAPE", help="folder of a tape")
    one.add_argument("--config", type=Path, metavar="FILE", help="its gates and rule; else defaults")
    one.add_argument(
        "--rule",
        default="",
        metavar="NAME|FILE",
        help="a candidate beside the active rule: shadow (that of --config, which it is by default), none, or a config",
    )
    one.add_argument("--injections", type=_count, default=500, metavar="N", help="how many in all (500)")
    one.add_argument("--sizes", type=_sizes, default="100,200,500", metavar="BPS,...", help="sizes (100,200,500)")
    one.add_argument("--split", type=_part, default=0.5, metavar="SHARE", help="part of the time to learn from (0.5)")
    one.add_argument("--seed", type=seed, default=1, metavar="N", help="of times, tokens and directions (1)")
    one.add_argument("--json", action="store_true", help="JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Scores and prints. Raises TapeError, ConfigError, UsageError, DataError for a tape that cannot be scored."""
    from bot.config import Config
    from bot.config_file import load
    from bot.paths import prepare_kernel

    prepare_kernel()
    from bot.alarms.score import score
    from bot.alarms.summary import summary
    from bot.alarms.table import print_score
    from connectors.events import Rows
    from connectors.tape import open_tape

    config = Config() if args.config is None else load(args.config, credentials=False)
    rule, candidate = _rules(config, args.rule)
    tape = open_tape(args.tape)
    rows = Rows.join(list(tape.blocks()))
    watched = sys.stderr.isatty()

    def progress(done: int, of: int) -> None:
        if watched:
            print(f"\rpass {done} of {of} ", end="", file=sys.stderr, flush=True)

    try:
        found = score(
            rows,
            tape.universe,
            config,
            rule,
            candidate,
            seed=args.seed,
            count=args.injections,
            sizes_bps=args.sizes,
            split=args.split,
            progress=progress,
        )
    finally:
        if watched:
            print("\r\x1b[K", end="", file=sys.stderr)
    told = summary(found)
    if args.json:
        print(json.dumps(told, indent=1, allow_nan=False))
    else:
        print_score(told)
    return 0


def _rules(config: Config, named: str) -> tuple[Rule, Rule | None]:
    """The active rule and the candidate."""
    from bot.config_file import load
    from bot.peg_rules import rule_of, shadow_of, starting_table

    table = config.strategies.peg_watch or starting_table()
    if named in ("", "shadow"):
        candidate = shadow_of(table)
        if named and candidate is None:
            raise UsageError(
                "there is no shadow rule", where="alarms score", hint="write [strategies.peg_watch.shadow] in --config"
            )
        return rule_of(table), candidate
    if named == "none":
        return rule_of(table), None
    other = load(Path(named), credentials=False).strategies.peg_watch
    if other is None:
        raise UsageError("there is no [strategies.peg_watch]", where=named, hint="write the candidate's numbers there")
    return rule_of(table), rule_of(other)


def _count(text: str) -> int:
    """A whole number of injections. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 100000")
    return int(text)


def _sizes(text: str) -> tuple[float, ...]:
    """Sizes in bps. Raises ArgumentTypeError."""
    sizes = tuple(positive(part) for part in text.split(","))
    if max(sizes) > 5000:
        raise argparse.ArgumentTypeError(f"{text!r}: a size is at most 5000 bps")
    return sizes


def _part(text: str) -> float:
    """A part of one. Raises ArgumentTypeError."""
    value = positive(text)
    if not value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value
