"""`pegline quote`: what a token is worth now, by whose word, and how far each of its venues is from that."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.arguments import positive
from bot.commands.sources import DEFAULT_CONFIG, add_sources, one_source
from bot.errors import ExitCode

if TYPE_CHECKING:
    from bot.config import Config
    from monitoring.quote_lines import Quote

WAIT_S: Final = 10.0
EPILOG = """\
TOKEN is a token (TSLAx), an instrument (venue:SYMBOL), or a share (TSLA: all its tokens, of all issuers).

Where the answer comes from:
  --url URL    the running pegline whose page is there (run and demo print it)
  --tape TAPE  a tape, replayed up to --at; --config then gives gates, fees and widths (default: defaults)
  neither      the daemon on the state folder of --config; where none runs, the config's feeds are heard for a few
               seconds, which is too short to calibrate a basis or to find out who disagrees

Nobody judges itself: the fair value of a venue's line is by everybody else. A premium counts the coin at its price;
"coin at 1" as if it were worth a dollar. What is unknown is told with its reason. --json has everything, always.

Ends with 8 where no premium is known (of a share without tokens: no fair value), 2 for a name that nobody has, 7 where
a daemon does not answer."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked, and whom."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("token", metavar="TOKEN", help="token, venue:SYMBOL or share")
    parser.add_argument(
        "--size", type=positive, metavar="USD", help="what this size would pay and get, besides 1k, 10k and 50k"
    )
    parser.add_argument(
        "--explain", action="store_true", help="every term: who says what, how much it makes, and why not"
    )
    add_sources(parser)
    parser.add_argument("--wait", type=positive, default=WAIT_S, metavar="S", help=f"for feeds, at most ({WAIT_S:g} s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints the answer; 8 where it holds no premium and no fair value of what was asked.

    Raises UsageError, ConfigError, TapeError, VenueUnreachable and DataError as bot/quote_sources.py says.
    """
    one_source(args, "quote")
    answer = _answer(args)
    if args.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(answer), indent=1).decode())
    else:
        from bot.quote_text import tell

        tell(answer, explain=args.explain)
    judged = any(venue.premium_bps is not None for venue in answer.venues)
    valued = not answer.venues and any(share.fair is not None for share in answer.shares)
    return ExitCode.OK if judged or valued else ExitCode.DATA_BROKEN


def _answer(args: argparse.Namespace) -> Quote:
    """From where the words say."""
    from bot.quote_sources import of_daemon

    if args.url is not None:
        return of_daemon(args.url, args.token, args.size)
    if args.tape is not None:
        from bot.config import Config
        from bot.config_file import load
        from bot.paths import prepare_kernel
        from bot.quote_sources import of_tape

        config = Config() if args.config is None else load(args.config, credentials=False)
        prepare_kernel()
        return of_tape(args.tape, config, args.token, args.size, args.at)
    return _now(args)


def _now(args: argparse.Namespace) -> Quote:
    """From the daemon of a config, or from its feeds."""
    from bot.config_file import load
    from bot.lock import door
    from bot.quote_sources import of_daemon
    from connectors.errors import DataError, VenueUnreachable

    path = args.config or Path(DEFAULT_CONFIG)
    if args.config is None and not path.exists():
        raise DataError(
            f"there is no {path} here, so there is nobody to ask",
            where="quote",
            hint="--url URL asks a running pegline (run and demo print it), --tape TAPE a recording, "
            "--config FILE the daemon or the feeds of a config",
        )
    config = load(path, credentials=False)
    pid, url = door(Path(config.run.state_dir).expanduser())
    if url:
        try:
            answer = of_daemon(url, args.token, args.size)
        except VenueUnreachable:
            if _lives(pid):
                raise
        else:
            if answer.origin.pid == pid:
                return answer
    return _heard(args, config, path)


def _lives(pid: int) -> bool:
    """Whether there is a process of that number."""
    import os

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _heard(args: argparse.Namespace, config: Config, path: Path) -> Quote:
    """From the feeds, said so on stderr since it takes a while."""
    from bot.paths import prepare_kernel
    from bot.terminal import printable

    def say(text: str) -> None:
        print(f"pegline: {printable(text)}", file=sys.stderr, flush=True)

    say(f"no daemon runs on {config.run.state_dir}; hearing the feeds of {path} for up to {args.wait:g} s")
    prepare_kernel()
    from bot.quote_sources import of_feeds

    return asyncio.run(of_feeds(config, path.parent, args.token, args.size, wait_s=args.wait, warn=say))
