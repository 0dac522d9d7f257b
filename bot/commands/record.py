"""`pegline record`: write every accepted row of the feeds to a tape, a tape for each day."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.arguments import positive
from bot.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bot.config import Config
    from bot.frames import Frames
    from bot.inbox import Inbox
    from bot.listening import Listening
    from bot.recorder import Recorder
    from bot.steady import SteadyClock
    from connectors.instruments import Universe
    from connectors.ports import Feed
    from connectors.tape import DayWriter

SCHEMA = 2

EPILOG = """\
Every row that the door lets in is kept as it came: quotes that a newer one overtook, levels of the books, states of
the streams, trades, funding. DIR gets one tape for each day (UTC), DIR/2026-11-26 and so on; `tape info`, `tape
verify`, `peg` and `backtest` take one day or the whole DIR. Started again, the recording goes on; when the
instruments have changed, the rest of the day is a tape of its own (DIR/2026-11-26.2).

The disk is written once a second and never waited for: after kill -9 or a power cut at most the last second is
missing, and the tape is whole. When the disk is full the recording ends with exit 8; what was written stays.

--frames keeps the venues' raw messages too, with their time of receipt, as DIR/frames/DAY/VENUE-00000.jsonl.gz (zcat
reads them). They take two to five times the room of the rows; the oldest files go when --frames-mb is reached.

At the end it says what is on no tape and why, by venue: `rejected` did not pass the door (crossed, ancient, future,
not_finite, ...), `dropped` passed it and was lost (the inbox was full, the disk was behind)."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--config", default="config.toml", metavar="CONFIG", help="default: config.toml")
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", metavar="DIR", help="new, empty or a recording; default: tape under [run] state_dir")
    parser.add_argument("--frames", action="store_true", help="keep the venues' raw messages as well")
    parser.add_argument(
        "--frames-mb", type=_megabytes, default=2000, metavar="N", help="room for all of them (2000), the oldest go"
    )
    parser.add_argument(
        "--seconds", type=positive, metavar="N", help="stop by itself; default: until Ctrl-C or SIGTERM"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Records until it is told to stop, then prints what is on the tape; exit 130 after Ctrl-C.

    Raises ConfigError, UsageError where the config has no live feed, AlreadyRunning where another pegline keeps the
    state, TapeError where the tape cannot be written, and ConnectorError when no feed is left.
    """
    from bot.clock import monotonic_ns, wall_ns
    from bot.config_file import load
    from bot.errors import UsageError
    from bot.frames import Frames
    from bot.keys import secrets
    from bot.lock import StateLock
    from bot.paths import state_dir
    from bot.steady import SteadyClock
    from bot.universe import universe_of
    from bot.wiring import live_feeds
    from connectors.tape import DayWriter

    path = Path(args.config)
    config = load(path, credentials=False)
    universe = universe_of(config)
    clock = SteadyClock(wall_ns, monotonic_ns)
    feeds = live_feeds(config, universe, path.parent, clock=clock)
    if not feeds:
        raise UsageError("no venue of this config has a live feed", hint='write feed = "ccxt" or "yahoo" in [venues.*]')
    state = None if args.out else state_dir(config.run.state_dir)
    out = Path(args.out) if state is None else state / "tape"
    writer = DayWriter(out, universe, {"made_by": "pegline record", "feeds": [feed.venue for feed in feeds]})
    with ExitStack() as held:
        held.enter_context(StateLock(state or out))
        writer.begin(clock())
        frames = None
        if args.frames:
            frames = Frames(
                out / "frames",
                clock=clock,
                total_bytes=args.frames_mb * 1_000_000,
                secrets=secrets(path.parent, {name: venue.key_file for name, venue in config.venues.items()}),
            )
        summary, interrupted = asyncio.run(
            _record(config, universe, feeds, writer, frames, clock, seconds=args.seconds)
        )
    if args.json:
        print(json.dumps(summary, indent=2))
    else:
        _show(summary)
    return 130 if interrupted else 0


def _megabytes(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of megabytes")
    return int(text)


def _show(summary: dict[str, Any]) -> None:
    """The summary for people."""
    print(
        f"{summary['tape']}: {summary['rows']:,} rows, "
        f"{summary['superseded']:,} of them overtaken before they were read"
    )
    if summary["frames"]:
        kept = ", ".join(f"{n:,} of {venue}" for venue, n in summary["frames"]["kept"].items()) or "none"
        print(f"  raw messages: {kept}; {summary['frames']['removed_files']} old files removed to make room")
    for what in ("rejected", "dropped"):
        for venue, reasons in summary[what].items():
            print(f"  {venue} {what}: " + ", ".join(f"{n:,} {reason}" for reason, n in reasons.items()))


async def _record(
    config: Config,
    universe: Universe,
    feeds: Sequence[Feed],
    writer: DayWriter,
    frames: Frames | None,
    clock: SteadyClock,
    *,
    seconds: float | None,
) -> tuple[dict[str, Any], bool]:
    """Feeds into the inbox, the inbox onto the tape; returns the summary, and whether Ctrl-C ended it."""
    from bot.clock import sleep
    from bot.inbox import Inbox
    from bot.listening import Listening
    from bot.recorder import Recorder

    inbox = Inbox(universe, clock=clock, timer_s=config.run.timer_s)
    listening = Listening(feeds, inbox, universe, sleep=sleep, warn=_warn, steady=clock)
    recorder = Recorder(writer, sleep=sleep, levels=inbox.levels, frames=frames)
    inbox.taps.append(recorder.append)
    if frames is not None:
        inbox.keep_frame = frames.keep
    print(f"pegline: recording {len(universe)} instruments of {len(feeds)} feeds to {writer.folder}", file=sys.stderr)
    ended: list[int] = []

    def stop(number: int) -> None:
        ended.append(number)
        inbox.close()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    if seconds is not None:
        loop.call_later(seconds, inbox.close)
    works = (listening.run(), recorder.run(), _drain(inbox), _beats(inbox, listening, sleep))
    tasks = [asyncio.create_task(work) for work in works]
    if sys.stderr.isatty():
        tasks.append(asyncio.create_task(_tell(inbox, recorder, sleep)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        inbox.take()
        await recorder.close()
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)
    return _summary(writer.folder, universe, inbox, recorder, frames), signal.SIGINT in ended


def _summary(out: Path, universe: Universe, inbox: Inbox, recorder: Recorder, frames: Frames | None) -> dict[str, Any]:
    """What is on the tape, and what is not, by venue and reason."""
    lost = [((universe[number].venue, "inbox_full"), count) for number, count in inbox.let_go_of.items()]
    lost += [((universe[number].venue, reason), count) for (number, reason), count in recorder.dropped.items()]
    if frames is not None:
        lost += [((venue, "frames_disk_behind"), count) for venue, count in frames.dropped.items()]
    return {
        "schema": SCHEMA,
        "tape": str(out),
        "rows": recorder.rows,
        "superseded": inbox.superseded,
        "let_go": inbox.let_go,
        "raised": inbox.raised,
        "ticks": inbox.ticks,
        "rejected": _by_venue(inbox.rejected.items()),
        "dropped": _by_venue(lost),
        "frames": None if frames is None else {"kept": dict(frames.kept), "removed_files": frames.removed},
    }


def _by_venue(counts: Iterable[tuple[tuple[str, str], int]]) -> dict[str, dict[str, int]]:
    """Counts of (venue, reason) as a table of tables."""
    found: dict[str, dict[str, int]] = {}
    for (venue, reason), count in sorted(counts):
        reasons = found.setdefault(venue or "unknown", {})
        reasons[reason] = reasons.get(reason, 0) + count
    return found


async def _tell(inbox: Inbox, recorder: Recorder, sleep: Callable[[float], Awaitable[None]]) -> None:
    """A line that is written over once a second, for whoever watches a terminal."""
    before = 0
    while True:
        await sleep(1.0)
        rejected, rate, before = sum(inbox.rejected.values()), inbox.taken - before, inbox.taken
        lost = inbox.let_go + sum(recorder.dropped.values())
        print(
            f"\r\x1b[K{recorder.rows:,} rows on the tape, {rate:,} a second, {rejected:,} rejected, {lost:,} dropped ",
            end="",
            file=sys.stderr,
            flush=True,
        )


async def _drain(inbox: Inbox) -> None:
    """Looks at the inbox as an engine would, so that the taps see every row."""
    async for _ in inbox:
        pass


async def _beats(inbox: Inbox, listening: Listening, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Sees that the loop lives, and that the clock follows the venues' where the machine's jumps."""
    from bot.clock import monotonic_s
    from bot.listening import BEAT_S

    inbox.beat(0.0)
    while True:
        due = monotonic_s() + BEAT_S
        await sleep(BEAT_S)
        inbox.beat(max(0.0, monotonic_s() - due))
        listening.compare_clocks()


def _warn(text: str) -> None:
    print(f"pegline: {printable(text)}", file=sys.stderr, flush=True)
