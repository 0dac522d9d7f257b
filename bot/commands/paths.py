"""`pegline paths`: every way that closes a token's premium, which is best, and why the others are not taken."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bot.arguments import positive
from bot.commands.sources import DEFAULT_CONFIG, add_sources, one_source
from bot.errors import ExitCode

if TYPE_CHECKING:
    from monitoring.closing import Closing

EPILOG = """\
TOKEN is a token (TSLAx), an instrument (venue:SYMBOL), or a share (TSLA: all its tokens, of all issuers).

Where the answer comes from:
  --url URL    the running pegline whose page is there (run and demo print it)
  --tape TAPE  a tape, replayed up to --at, with the costs and issuers of --config
  neither      the daemon on the state folder of --config

The ways: venue (the same token elsewhere, at once), issuer (another issuer's token of the share), refill (sell what is
held, mint it anew), mint (with a perp or the share sold until the tokens come; with nothing where nothing can be),
redeem, perp and share (a hedge until the premium is usual again), open (held until the share's market opens). Each for
the size or what is shown of it, with everything that it costs; a cost that is not known refuses it and is named. Ranked
by the edge, losses counted twice, for each hour that a dollar is locked.

What mint_redeem, cross_venue and hedge would do is said by themselves: a path is refused for their reasons too, where
they trade in that run. An issuer's price is what it has told while that holds, else it is reckoned from its fees; its
delay is the config's until requests of your own have shown another, by the hour of the day. A hedge is given up after
[strategies.hedge] horizon_s; without that table, when 99 in 100 of such are back. --json has each hour of the next day,
what costs and risks are made of, and all reasons.

Ends with 8 where no premium is known, 2 for a name that nobody has, 7 where a daemon does not answer."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked, and whom."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("token", metavar="TOKEN", help="token, venue:SYMBOL or share")
    parser.add_argument("--size", type=positive, metavar="USD", help="for a trade of this size (1,000)")
    add_sources(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints the answer; 8 where no premium of what was asked is known.

    Raises UsageError, ConfigError, TapeError, VenueUnreachable and DataError as bot/quote_sources.py says.
    """
    one_source(args, "paths")
    answer = _answer(args)
    if args.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(answer), indent=1).decode())
    else:
        from bot.closing_text import tell

        tell(answer)
    known = any(line.premium_bps is not None for line in answer.premia)
    return ExitCode.OK if known else ExitCode.DATA_BROKEN


def _answer(args: argparse.Namespace) -> Closing:
    """From where the words say."""
    from bot.quote_sources import asked
    from monitoring.closing import SCHEMA, Closing

    if args.url is not None:
        return asked(args.url, "paths", Closing, SCHEMA, args.token, args.size)
    from bot.config_file import load

    path = args.config or Path(DEFAULT_CONFIG)
    config = load(path, credentials=False)
    if args.tape is not None:
        from bot.paths import prepare_kernel

        prepare_kernel()
        from bot.closing import ClosingPaths
        from bot.quote_sources import replayed
        from monitoring.quote_lines import Origin

        parts, _ = replayed(args.tape, config, args.token, args.at, health=True)
        where = str(args.tape)
        return ClosingPaths(config, parts, lambda: Origin(how="tape", where=where)).ask(args.token, args.size)
    from bot.lock import door
    from connectors.errors import DataError

    _, url = door(Path(config.run.state_dir).expanduser())
    if not url:
        hint = "start one with pegline run, or give --url URL or --tape TAPE"
        raise DataError(f"no daemon runs on {config.run.state_dir}", where="paths", hint=hint)
    return asked(url, "paths", Closing, SCHEMA, args.token, args.size)
