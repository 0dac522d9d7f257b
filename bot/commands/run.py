"""`pegline run`: the daemon on your config, on paper."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from bot.arguments import positive
from bot.terminal import printable

if TYPE_CHECKING:
    from bot.config import Config
    from bot.daemon import Daemon

LOOK_S = 2.0
"""How often the command looks for news about its feeds."""

EPILOG = """\
Listens to the venues of the config, judges every quote, alarms, and trades on paper: orders are filled from what was
really seen, nothing is ever sent. What it decides goes to a journal under [run] state_dir, every row to a tape beside
it. Stop it with Ctrl-C or SIGTERM; the next start goes on with the same paper ledger."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", default="config.toml", metavar="CONFIG", help="default: config.toml")
    parser.add_argument(
        "--seconds", type=positive, metavar="N", help="stop by itself; default: until Ctrl-C or SIGTERM"
    )


def run(args: argparse.Namespace) -> int:
    """Runs until it is told to stop; 0 after SIGTERM or --seconds, 130 after Ctrl-C.

    Raises ConfigError, UsageError where the config has no live feed, AlreadyRunning where another pegline keeps the
    state, ConnectorError when no feed is left, TapeError when the disk refuses, and at the end JournalError when it has
    refused records.
    """
    from bot.config_file import load
    from bot.paths import prepare_kernel

    path = Path(args.config)
    config = load(path)
    prepare_kernel()
    return asyncio.run(_run(config, path, blake2b(path.read_bytes(), digest_size=8).hexdigest(), args.seconds))


async def _run(config: Config, file: Path, digest: str, seconds: float | None) -> int:
    """Puts the daemon together, handles the signals, and narrates on stderr."""
    from bot.clock import monotonic_ns, monotonic_s, sleep, wall_ns
    from bot.daemon import Daemon, Doors
    from bot.errors import UsageError
    from bot.facts import facts_of
    from bot.paths import state_dir
    from bot.sessions import load_sessions
    from bot.steady import SteadyClock
    from bot.universe import universe_of
    from bot.wiring import live_feeds, paper, paper_accounts, paper_issuers
    from connectors.vitals import Vitals
    from strategies.base import Step

    universe = universe_of(config)
    clock, vitals = SteadyClock(wall_ns, monotonic_ns), dict[str, Vitals]()
    feeds = live_feeds(config, universe, file.parent, clock=clock, vitals=vitals)
    if not feeds:
        raise UsageError("no venue of this config has a live feed", hint='write feed = "ccxt" or "yahoo" in [venues.*]')
    executor = paper(config, universe, config.run.seed)
    doors = Doors(
        feeds=feeds,
        executor=executor,
        accounts=paper_accounts(universe, executor),
        issuers=paper_issuers(config, universe, load_sessions(), config.run.seed),
        on_paper=True,
        clock=clock,
        steady=clock,
        monotonic=monotonic_s,
        sleep=sleep,
        vitals=vitals,
        state=state_dir(config.run.state_dir),
    )
    facts = facts_of(config, mode="dry_run", file=file.name, digest=digest)
    daemon = Daemon(config, universe, load_sessions(), facts, doors, warn=say)

    def narrate(step: Step) -> None:
        for line in daemon.desk.on_step(step):
            say(str(line))

    daemon.watch = narrate
    stop = asyncio.Event()
    ended: list[int] = []

    def end(number: int) -> None:
        ended.append(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    say(f"dry run on {len(universe)} instruments of {len(feeds)} feeds; state in {doors.state}")
    if daemon.unfinished:
        say(f"{len(daemon.unfinished)} trades were under way when the last run ended; they come first")
    running = asyncio.create_task(daemon.run(stop))
    while not running.done() and not daemon.server.url:
        await sleep(0.01)
    if daemon.server.url:
        say(f"page {daemon.server.url}, metrics {daemon.server.url}metrics, health {daemon.server.url}healthz")
    telling = asyncio.create_task(_tell_feeds(daemon, sleep))
    try:
        await running
    finally:
        telling.cancel()
    counts = daemon.engine.counts
    say(f"stopped after {counts.rows:,} rows and {daemon.engine.dealer.steps:,} records; journal and tape are on disk")
    return 130 if signal.SIGINT in ended else 0


async def _tell_feeds(daemon: Daemon, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Says once of every venue that it is heard, and once of every kind of trouble with it; the metrics count all."""
    inbox, told = daemon.inbox, set[tuple[str, str]]()
    while True:
        await sleep(LOOK_S)
        prints = daemon.parts.columns.prints.tolist()
        heard = {i.venue for i, quotes in zip(daemon.universe, prints, strict=True) if quotes}
        for venue in sorted(heard - {venue for venue, what in told if not what}):
            told.add((venue, ""))
            say(f"{venue} is heard")
        for venue, reason in [key for key in inbox.rejected if key not in told]:
            told.add((venue, reason))
            detail = inbox.details.get((venue, reason), "")
            say(f"{venue}: {reason.replace('_', ' ')}{f' ({detail})' if detail else ''}; counted from now on")


def say(text: str) -> None:
    """One line of narration on stderr."""
    print(f"pegline: {printable(text)}", file=sys.stderr, flush=True)
