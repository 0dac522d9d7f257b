"""`pegline demo`: the whole system on an invented market, with no key and no network."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.arguments import port, positive, seed
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.config import Config

EPILOG = """\
Four days of an invented market (a Friday in September 2026 to the Tuesday after Labor Day) pass in --seconds. Shares
move, tokens keep their peg or lose it, feeds drop, somebody mistypes a price. The daemon that you would run watches
and trades it on paper; all that is told comes from its decision records. The same --seed tells the same story."""

FRAME_S = 0.25
"""Seconds between two drawings of the live table."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which story, how long, and what may go wrong in it."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="which story (1)")
    parser.add_argument("--seconds", type=positive, metavar="N", help="real time that the four days take (60)")
    parser.add_argument("--speed", type=positive, metavar="X", help="market seconds per second, instead of --seconds")
    parser.add_argument("--port", type=port, metavar="P", help="port of page and metrics on loopback (any free one)")
    parser.add_argument(
        "--no-fault", action="append", default=[], metavar="NAME", help="leave out: outlier, depeg, frozen, ..."
    )
    parser.add_argument("--state", metavar="DIR", help="keep the journal in this new folder, for `pegline journal`")
    parser.add_argument("--json", action="store_true", help="no table; what happened, as JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Plays the story to its end. Raises UsageError, and ConnectorError for a port that is taken."""
    from bot.clock import monotonic_s

    begun = monotonic_s()
    pace = _pace(args)
    from bot.paths import prepare_kernel

    prepare_kernel()
    from bot.show import summary

    imported = monotonic_s()
    result, url = asyncio.run(play(args, pace, lambda: monotonic_s() - begun, {"import": imported - begun}))
    if args.json:
        json.dump(result, sys.stdout, indent=1)
        print()
    else:
        print(summary(result, url=url, pegline=_called()))
    return 0


def _called() -> str:
    """How this program is called from here."""
    return "pegline" if shutil.which("pegline") or not sys.argv[0].endswith("/pegline") else sys.argv[0]


def _pace(args: argparse.Namespace) -> dict[str, float]:
    """How fast the story goes, as words for `simulated_market`. Raises UsageError where it is said twice."""
    if args.seconds is not None and args.speed is not None:
        raise UsageError("--seconds and --speed say the same thing: give one of them")
    if args.speed is not None:
        return {"speed": float(args.speed)}
    return {"seconds": 60.0 if args.seconds is None else float(args.seconds)}


def demo_config(seed: int, port: int | None) -> Config:
    """The config that is shipped for the demo, with this seed and port (None: any free one)."""
    from importlib.resources import as_file, files

    from bot.config_file import load

    with as_file(files("bot").joinpath("data", "demo.toml")) as path:
        config = load(path)
    http = config.http.model_copy(update={"port": port or 0})
    return config.model_copy(update={"run": config.run.model_copy(update={"seed": seed}), "http": http})


def _state(folder: str | None) -> Path | None:
    """Where the journal goes. Raises UsageError where it cannot, and where there is one: a story begins a journal of
    its own."""
    from bot.told_state import JOURNAL

    try:
        begun = bool(folder) and (Path(str(folder)) / JOURNAL).exists()
    except OSError as error:
        raise UsageError(f"--state {folder} cannot be used: {error.strerror}", hint="name another folder") from error
    if begun:
        raise UsageError(f"--state {folder} holds a journal already", hint="name another folder, or remove that one")
    return Path(folder) if folder else None


async def play(
    args: argparse.Namespace, pace: dict[str, float], elapsed: Callable[[], float], timing: dict[str, float]
) -> tuple[dict[str, Any], str]:
    """Runs the daemon on the simulated market while the table is drawn; returns the result and where it was served."""
    from rich.console import Console

    from bot.clock import monotonic_s, sleep
    from bot.terminal import coloured

    before = elapsed()
    from bot.daemon import Daemon, Doors

    timing["kernel"] = elapsed() - before
    from bot.facts import facts_of
    from bot.sessions import load_sessions
    from bot.show import Show
    from bot.wiring import paper, paper_issuers, simulated_market
    from connectors.errors import RegistryError
    from monitoring.view import LiveView

    sessions, config = load_sessions(), demo_config(args.seed, args.port)
    try:
        world, feed = simulated_market(args.seed, off=args.no_fault, sessions=sessions, **pace)
    except RegistryError as error:
        raise UsageError(error.what, where="--no-fault", hint=error.hint) from None
    doors = Doors(
        feeds=[feed],
        executor=paper(config, world.universe, args.seed),
        issuers=paper_issuers(config, world.universe, sessions, args.seed),
        on_paper=True,
        clock=feed.now,
        monotonic=monotonic_s,
        sleep=sleep,
        state=_state(args.state),
        world_ends=True,
    )
    colour = coloured(sys.stderr, getattr(args, "color", "auto"))
    console = Console(stderr=True, no_color=not colour, force_terminal=None if colour else False)
    view = None if args.json else LiveView(console)

    def say(text: str) -> None:
        console.print(f"pegline: {text}", markup=False, highlight=False, soft_wrap=True)

    facts = facts_of(config, mode="dry_run", file="demo.toml")
    daemon = Daemon(config, world.universe, sessions, facts, doors, warn=say)
    show = Show(daemon.desk, least=daemon.parts.least, elapsed=elapsed, view=view)
    daemon.watch = show.on_step
    url = ""
    with view or contextlib.nullcontext():
        ended = asyncio.create_task(daemon.run(asyncio.Event()))
        try:
            while not ended.done():
                if daemon.server.url and not url:
                    url = daemon.server.url
                    say(f"page {url}, metrics {url}metrics")
                    say(f"one share in full, from another terminal: {_called()} quote TSLA --url {url}")
                show.refresh()
                await sleep(0.02 if show.first_premium_s is None else FRAME_S)
        finally:
            ended.cancel()
            await asyncio.wait([ended])
        ended.result()
        show.refresh()
    timing["total"] = elapsed()
    return show.result(seed=args.seed, rows=feed.said, timing=timing, journal_hash=daemon.journal.hash()), url
