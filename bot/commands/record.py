"""`pegline record`: write every accepted row of the feeds to a tape."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.config import Config
    from bot.inbox import Inbox
    from connectors.ports import Feed

SCHEMA = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--config", default="config.toml", metavar="CONFIG", help="default: config.toml")
    parser.add_argument("--out", metavar="DIR", help="a new folder; default: tape under [run] state_dir, continued")
    parser.add_argument("--seconds", type=float, metavar="N", help="stop by itself; default: until Ctrl-C or SIGTERM")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Records until it is told to stop, then prints what is on the tape; exit 130 after Ctrl-C.

    Raises ConfigError, UsageError where the config has no live feed, AlreadyRunning where another pegline keeps the
    state, TapeError where the tape cannot be written, and ConnectorError when no feed is left.
    """
    from bot.config_file import load
    from bot.lock import StateLock
    from bot.paths import state_dir

    config = load(Path(args.config), credentials=False)
    with ExitStack() as held:
        if args.out is None:
            state = state_dir(config.run.state_dir)
            held.enter_context(StateLock(state))
            out, resume = state / "tape", True
        else:
            out, resume = Path(args.out), False
        summary, interrupted = asyncio.run(
            _record(config, Path(args.config).parent, out, resume=resume, seconds=args.seconds)
        )
    if args.json:
        print(json.dumps(summary, indent=2))
    else:
        print(f"{out}: {summary['rows']} rows, {summary['superseded']} of them overtaken before they were read")
        for venue, reasons in summary["rejected"].items():
            print(f"  {venue} rejected: " + ", ".join(f"{n} {reason}" for reason, n in reasons.items()))
    return 130 if interrupted else 0


async def _record(
    config: Config, folder: Path, out: Path, *, resume: bool, seconds: float | None
) -> tuple[dict[str, Any], bool]:
    """Feeds into the inbox, the inbox onto the tape; returns the summary, and whether Ctrl-C ended it."""
    from bot.clock import sleep, wall_ns
    from bot.errors import UsageError
    from bot.inbox import Inbox
    from bot.recorder import Recorder
    from bot.universe import universe_of
    from bot.wiring import live_feeds
    from connectors.tape import TapeWriter

    universe = universe_of(config)
    feeds = live_feeds(config, universe, folder)
    if not feeds:
        raise UsageError("no venue of this config has a live feed", hint='write feed = "ccxt" or "yahoo" in [venues.*]')
    inbox = Inbox(universe, clock=wall_ns, timer_s=config.run.timer_s)
    writer = TapeWriter(out, universe, {"made_by": "pegline record", "feeds": [f.venue for f in feeds]}, resume=resume)
    recorder = Recorder(writer, sleep=sleep)
    inbox.taps.append(recorder.append)
    print(f"pegline: recording {len(universe)} instruments of {len(feeds)} feeds to {out}", file=sys.stderr)
    ended: list[int] = []

    def stop(number: int) -> None:
        ended.append(number)
        inbox.close()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    if seconds is not None:
        loop.call_later(seconds, inbox.close)
    numbers = {i.name: at for at, i in enumerate(universe)}
    listening = asyncio.gather(*(_listen(feed, inbox, numbers) for feed in feeds))
    tasks = [asyncio.ensure_future(t) for t in (listening, recorder.run(), _drain(inbox))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if listening in done and not ended:
            raise listening.result()[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        inbox.take()
        await recorder.close()
    rejected: dict[str, dict[str, int]] = {}
    for (venue, reason), count in sorted(inbox.rejected.items()):
        rejected.setdefault(venue or "unknown", {})[reason] = count
    summary = {
        "schema": SCHEMA,
        "tape": str(out),
        "rows": recorder.rows,
        "superseded": inbox.superseded,
        "let_go": inbox.let_go,
        "raised": inbox.raised,
        "ticks": inbox.ticks,
        "rejected": rejected,
    }
    return summary, signal.SIGINT in ended


async def _drain(inbox: Inbox) -> None:
    """Looks at the inbox as an engine would, so that the taps see every row."""
    async for _ in inbox:
        pass


async def _listen(feed: Feed, inbox: Inbox, numbers: dict[str, int]) -> Exception:
    """One feed until it gives up for good; the others go on, and the operator is told."""
    from connectors.errors import ConnectorError

    try:
        await feed.run(inbox, numbers)
    except ConnectorError as error:
        print(f"pegline: {feed.venue} stopped: {error}", file=sys.stderr)
        return error
    return ConnectorError("the feed ended", where=feed.venue)
