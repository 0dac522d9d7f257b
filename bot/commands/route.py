"""`pegline route`: what selling or buying so many tokens at once brings or costs now, and where."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bot.arguments import positive
from bot.commands.sources import DEFAULT_CONFIG, add_sources, one_source
from bot.errors import ExitCode

if TYPE_CHECKING:
    from monitoring.routed import Routed

EPILOG = """\
TOKEN is a token (TSLAx), or an instrument (venue:SYMBOL) alone.

Where the answer comes from:
  --url URL    the running pegline whose page is there (run and demo print it)
  --tape TAPE  a tape, replayed up to --at, with the costs of --config
  neither      the daemon on the state folder of --config

All levels of all venues count together, each after its fees and other costs of [venues] and [costs]. What is quoted in
a coin is changed into USD: at the coin's market where its book and fee are known, and at its price for [costs] fx_bps,
whatever the size. What each order costs (gas) decides which venues are used. Sizes are not rounded to lots, and what
takes time (mint, redemption, a hedge) is told by pegline paths. A venue whose quote is stale, in doubt, without size or
without known costs is left out and named.

Ends with 8 where nothing can be sold or bought, 2 for a name that is not one token, 7 where a daemon does not
answer."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked, and whom."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("token", metavar="TOKEN", help="token or venue:SYMBOL")
    side = parser.add_mutually_exclusive_group(required=True)
    side.add_argument("--sell", type=positive, metavar="UNITS", help="so many units are sold")
    side.add_argument("--buy", type=positive, metavar="UNITS", help="so many units are bought")
    add_sources(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints the answer; 8 where nothing can be sold or bought.

    Raises UsageError, ConfigError, TapeError, VenueUnreachable and DataError as bot/quote_sources.py says.
    """
    one_source(args, "route")
    answer = _answer(args)
    if args.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(answer), indent=1).decode())
    else:
        from bot.routed_text import tell

        tell(answer)
    return ExitCode.OK if answer.filled else ExitCode.DATA_BROKEN


def _answer(args: argparse.Namespace) -> Routed:
    """From where the words say."""
    from bot.quote_sources import asked
    from monitoring.routed import SCHEMA, Routed

    buy = args.buy is not None
    units, what = (args.buy, "buy") if buy else (args.sell, "sell")
    if args.url is not None:
        return asked(args.url, what, Routed, SCHEMA, args.token, units)
    from bot.config_file import load

    config = load(args.config or Path(DEFAULT_CONFIG), credentials=False)
    if args.tape is not None:
        from bot.paths import prepare_kernel

        prepare_kernel()
        from bot.quote_sources import replayed
        from bot.quotes import Quotes
        from bot.routes import Routes
        from monitoring.quote_lines import Origin

        parts, tally = replayed(args.tape, config, args.token, args.at)
        where = str(args.tape)
        quotes = Quotes(config, parts, tally, lambda: Origin(how="tape", where=where))
        return Routes(config, parts, quotes).ask(args.token, units, buy=buy)
    from bot.lock import door
    from connectors.errors import DataError

    _, url = door(Path(config.run.state_dir).expanduser())
    if not url:
        hint = "start one with pegline run, or give --url URL or --tape TAPE"
        raise DataError(f"no daemon runs on {config.run.state_dir}", where="route", hint=hint)
    return asked(url, what, Routed, SCHEMA, args.token, units)
