"""`pegline doctor`: machine, config, state folder and feeds: what is well, what is not, and what to do."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.config import Config
    from bot.findings import Line

EPILOG = """\
Looks at everything that a run needs: Python and packages, the config, the state folder (free disk, lock, journal,
tape), and asks every venue (clock, latency, entitlements, symbols, fees, rate budget). Each line is ok, warn or FAIL.

Ends with 3 where the config has mistakes, 4 where a credential is missing or refused, 7 where a venue cannot be
reached, 5 where another check failed; warnings end with 0."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    from bot.commands.venues import LIMIT_S

    parser.epilog = EPILOG
    parser.add_argument("--config", default="config.toml", metavar="CONFIG", help="default: config.toml")
    parser.add_argument("--offline", action="store_true", help="ask no venue")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="S", help=f"per venue, default {LIMIT_S:g} s")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints every line and a summary. Raises UsageError for a limit that is none."""
    from bot import checkup
    from bot.errors import UsageError
    from bot.findings import as_json, code_of, print_lines, summary
    from bot.terminal import coloured

    if not args.limit > 0:
        raise UsageError("--limit is a number of seconds above zero")
    path = Path(args.config)
    lines = list(checkup.machine())
    config, found = checkup.config_of(path)
    lines += found
    if config is not None:
        lines += checkup.packages(config)
        lines += checkup.state(config)
        lines += checkup.sources(config)
        lines += checkup.bases(config)
        if not args.offline:
            lines += _feeds(config, path.parent, args.limit)
    if args.json:
        print(as_json(lines))
    else:
        print_lines(lines, colour=coloured(sys.stdout, args.color))
        print(f"\n{summary(lines)}")
    return code_of(lines)


def _feeds(config: Config, folder: Path, limit_s: float) -> list[Line]:
    """What the venues say, and what their clocks say together about ours."""
    from bot import checkup
    from bot.commands.venues import Progress
    from bot.probes import asked, look
    from bot.universe import universe_of

    universe = universe_of(config)
    names = asked(config, universe)
    found = asyncio.run(look(config, universe, names, folder=folder, limit_s=limit_s, done=Progress(len(names))))
    return [*checkup.clock(found), *found]
