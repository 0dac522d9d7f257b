"""`pegline demo`: the whole system on an invented market, with no key and no network."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.config import Config
    from bot.show import Show

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
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which story (1)")
    parser.add_argument("--seconds", type=float, metavar="N", help="real time that the four days take (60)")
    parser.add_argument("--speed", type=float, metavar="X", help="market seconds per second, instead of --seconds")
    parser.add_argument("--port", type=int, metavar="P", help="port of page and metrics on loopback (any free one)")
    parser.add_argument(
        "--no-fault", action="append", default=[], metavar="NAME", help="leave out: outlier, depeg, frozen, ..."
    )
    parser.add_argument("--json", action="store_true", help="no table; what happened, as JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Plays the story to its end. Raises UsageError, RegistryError for an unknown fault, ConnectorError for a port."""
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
        print(summary(result, url=url))
    return 0


def _pace(args: argparse.Namespace) -> dict[str, float]:
    """How fast the story goes, as words for `simulated_market`. Raises UsageError for times that are none."""
    if args.seconds is not None and args.speed is not None:
        raise UsageError("--seconds and --speed say the same thing: give one of them")
    if args.seed < 0:
        raise UsageError("--seed is a number from 0 up")
    for name, value in (("--seconds", args.seconds), ("--speed", args.speed)):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} is a number above zero")
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


@dataclass
class Stage:
    """A daemon at work: what the demo needs of it."""

    show: Show
    url: str
    rows: Callable[[], int]
    journal_hash: Callable[[], str]
    ended: asyncio.Task[None]
    """Done when the world has come to its end and everything is decided."""


async def play(
    args: argparse.Namespace, pace: dict[str, float], elapsed: Callable[[], float], timing: dict[str, float]
) -> tuple[dict[str, Any], str]:
    """Runs the daemon on the simulated market while the table is drawn; returns the result and where it was served."""
    from rich.console import Console

    from bot.clock import sleep
    from bot.terminal import coloured
    from monitoring.view import LiveView

    colour = coloured(sys.stderr, getattr(args, "color", "auto"))
    console = Console(stderr=True, no_color=not colour, force_terminal=None if colour else False)
    with contextlib.ExitStack() as screen:
        view = None if args.json else screen.enter_context(LiveView(console))
        async with contextlib.AsyncExitStack() as stack:
            stage = await launch(args, pace, elapsed, timing, view, stack)
            while not stage.ended.done():
                stage.show.refresh()
                await sleep(0.02 if stage.show.first_premium_s is None else FRAME_S)
            await stage.ended
            stage.show.refresh()
            timing["total"] = elapsed()
            result = stage.show.result(
                seed=args.seed, rows=stage.rows(), timing=timing, journal_hash=stage.journal_hash()
            )
    return result, stage.url


async def launch(
    args: argparse.Namespace,
    pace: dict[str, float],
    elapsed: Callable[[], float],
    timing: dict[str, float],
    view: Any,
    stack: contextlib.AsyncExitStack,
) -> Stage:
    """Puts feed, inbox, engine, paper executor and page together; everything that must end is entered on `stack`."""
    from importlib.metadata import version
    from platform import python_version

    before = elapsed()
    from bot.assembly import assemble

    timing["kernel"] = elapsed() - before
    from bot.inbox import Inbox
    from bot.server import Server
    from bot.sessions import load_sessions
    from bot.show import Show
    from bot.wiring import paper, simulated_market
    from monitoring.desk import Desk
    from monitoring.facts import Facts, FeedState
    from strategies.base import Step

    sessions, config = load_sessions(), demo_config(args.seed, args.port)
    world, feed = simulated_market(args.seed, off=args.no_fault, sessions=sessions, **pace)
    universe = world.universe
    inbox = Inbox(universe, clock=feed.now, timer_s=config.run.timer_s)
    steps: list[Step] = []
    scribe = Digest()
    assembly = assemble(
        config,
        universe,
        sessions,
        scribe,
        executor=paper(config, universe, args.seed),
        on_step=[steps.append],
    )
    peg = config.strategies.peg_watch

    def feeds() -> list[FeedState]:
        down = desk.tally.down
        venues = dict.fromkeys(instrument.venue for instrument in universe)
        prints = assembly.columns.prints
        heard = {venue: int(sum(prints[at] for at, i in enumerate(universe) if i.venue == venue)) for venue in venues}
        return [
            FeedState(
                venue=venue,
                feed="simulated",
                up=venue not in down,
                messages=heard[venue],
                rejected={reason: count for (where, reason), count in inbox.rejected.items() if where == venue},
            )
            for venue in venues
        ]

    facts = Facts(
        version=version("pegline"),
        mode="dry_run",
        python=python_version(),
        config_file="demo.toml",
        venue_kinds={name: table.kind for name, table in config.venues.items()},
        strategies=("cross_venue",),
        warn_bps={name: bps for name, bps in peg.warn_bps.items()} if peg else {},
    )
    desk = Desk(assembly.columns, facts=facts, feeds=feeds)
    show = Show(desk, elapsed=elapsed, view=view)

    async def consume() -> None:
        async for block in inbox:
            assembly.engine.advance(block)
            for step in steps:
                show.on_step(step)
            steps.clear()

    async def whole() -> None:
        consumer = asyncio.create_task(consume())
        try:
            await feed.run(inbox, {instrument.name: at for at, instrument in enumerate(universe)})
            inbox.close()
            await consumer
        finally:
            consumer.cancel()

    server = await stack.enter_async_context(
        Server(
            registry=desk.registry,
            picture=desk.picture,
            health=desk.health,
            host=config.http.host,
            port=config.http.port,
        )
    )
    ended = asyncio.create_task(whole())
    stack.callback(ended.cancel)
    print(f"pegline: page {server.url}, metrics {server.url}metrics", file=sys.stderr)
    return Stage(show, server.url, lambda: feed.said, scribe.hexdigest, ended)


class Digest:
    """A journal that keeps only the hash of what it was told."""

    def __init__(self) -> None:
        """Nothing told yet."""
        from hashlib import sha256

        self._hash = sha256()
        self._count = 0

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Takes one record into the hash; returns its number."""
        self._hash.update(f"{kind} {ts} {len(payload)} ".encode())
        self._hash.update(payload)
        self._count += 1
        return self._count

    def hexdigest(self) -> str:
        """The hash of everything so far."""
        return self._hash.hexdigest()
