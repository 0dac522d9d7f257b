"""The native lanes beside ccxt.pro: CPU per frame, latency from socket to row, memory over millions of frames.

    python -m benchmarks.native                       frames per CPU second, ours and ccxt.pro's in turns
    python -m benchmarks.native latency --seconds 60  2,000 frames a second
    python -m benchmarks.native soak --venue kraken   7.2 million frames as fast as they go

The venue is another process; the frames are those of frames.py. Our checks are on: every Kraken frame's CRC32, every
Bybit frame's number. ccxt.pro runs without: its own Kraken check raises an AttributeError (4.5.90), its Bybit books
are not checked at all.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import socket as sockets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiohttp import web

from benchmarks import frames
from benchmarks.live import _quantiles, _rss_mb
from bot.clock import chance, monotonic_s, sleep
from bot.inbox import Inbox
from connectors.cex import bybit, kraken
from connectors.cex.ccxt_feed import build
from connectors.cex.quirks import QUIRKS
from connectors.events import Kind
from connectors.instruments import Instrument, Role, Universe
from connectors.ports import FeedSetup
from tests.servers.bybit import BybitServer
from tests.servers.kraken import KrakenServer

INSTRUMENTS: Final = {
    "kraken": Instrument(venue="kraken", symbol="TSLAx/USD", role=Role.TOKEN, token="TSLAx", underlying="TSLA"),
    "bybit": Instrument(venue="bybit", symbol="TSLAX/USDT", role=Role.TOKEN, token="TSLAx", quote="USDT"),
}
FEEDS: Final = {"kraken": kraken.feed, "bybit": bybit.feed}
DEPTHS: Final = {"kraken": 10, "bybit": 50}
"""The shallowest book of changes that each venue has."""
UNIT_NS: Final = {"kraken": 1_000, "bybit": 1_000_000}
"""How far apart the venue times of two frames are."""


class TimedInbox(Inbox):
    """An inbox that notes when the row of each frame came in; its clock is the venue's, so that no row is old."""

    def __init__(self, venue: str, count: int) -> None:
        """For frames with numbers up to `count`."""
        self.now = frames.START_NS
        super().__init__(Universe((INSTRUMENTS[venue],)), clock=lambda: self.now)
        self.came = np.zeros(count + 1, np.int64)
        self.newest = -1
        self._unit_ns = UNIT_NS[venue]

    def put(self, kind: Kind, instrument: int, *, ts_venue: int = 0, **fields: Any) -> None:
        """As Inbox, and the moment is noted."""
        if kind is Kind.QUOTE:
            self.now = ts_venue
            self.newest = (ts_venue - frames.START_NS) // self._unit_ns
            if self.newest < len(self.came):
                self.came[self.newest] = time.monotonic_ns()
        super().put(kind, instrument, ts_venue=ts_venue, **fields)


class CountingSink:
    """A sink that does no more than ccxt.pro does with a book of which nobody asks anything: it keeps the last one."""

    def __init__(self, count: int) -> None:
        """`done` is set by the row of frame `count`."""
        self.rows = 0
        self.refused: dict[str, int] = {}
        self.first, self.done = asyncio.Event(), asyncio.Event()
        self._count = count

    def put(
        self, kind: Kind, instrument: int, *, ts_venue: int, bid: float, ask: float, bid_size: float, ask_size: float
    ) -> None:
        """One more row."""
        self.rows += 1
        self.best = bid, ask
        if self.rows == 1:
            self.first.set()
        elif self.rows > self._count:
            self.done.set()

    def reject(self, venue: str, reason: str, detail: str = "") -> None:
        """One more refusal."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def ignore(self, *_: object, **__: object) -> None:
        """Nothing that this sink keeps."""

    depth = against = cleared = clock = frame = ignore


@asynccontextmanager
async def served(venue: str, count: int, rate: int, sent: str = "") -> AsyncIterator[str]:
    """The address of a venue in another process that sends `count` frames to who subscribes; rate 0 is all it can."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.native", "serve", "--venue", venue, "--frames", str(count),
        "--rate", str(rate), "--sent", sent, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None and server.stdin is not None
    try:
        yield (await server.stdout.readline()).decode().strip()
    finally:
        server.stdin.close()
        await server.wait()


async def native(venue: str, url: str, count: int, every: int = 0) -> dict[str, Any]:
    """Hears `count` frames through the lane and the inbox, with somebody who takes the blocks out."""
    feed, inbox = FEEDS[venue](setup_for(venue, url)), TimedInbox(venue, 0 if every else count)
    running = asyncio.create_task(feed.run(inbox, {INSTRUMENTS[venue].name: 0}))
    cpu = wall = 0.0
    rows, memory, due = 0, [], every
    async for block in inbox:
        if not cpu and inbox.newest >= 0:
            cpu, wall = time.process_time(), time.perf_counter()
        rows += int(np.count_nonzero(block.kind == Kind.QUOTE))
        if every and inbox.newest >= due:
            memory.append(_rss_mb())
            due += every
        if inbox.newest >= count:
            break
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    refused = {reason: n for (_, reason), n in inbox.rejected.items()}
    found = {"frames": count, "rows": rows - 1, "refused": refused, "cpu_s": cpu, "wall_s": wall}
    return {**found, "memory": memory, "came": inbox.came}


def setup_for(venue: str, url: str) -> FeedSetup:
    """What the lane is given."""
    return FeedSetup(
        venue=venue, instruments=(INSTRUMENTS[venue],), clock=time.time_ns, monotonic=monotonic_s, sleep=sleep,
        rng=chance(1), url=url, compare_s=float("inf"), options={"depth": DEPTHS[venue]},
    )  # fmt: skip


async def native_plain(venue: str, url: str, count: int) -> dict[str, Any]:
    """Hears them through the lane alone."""
    sink = CountingSink(count)
    running = asyncio.create_task(FEEDS[venue](setup_for(venue, url)).run(sink, {INSTRUMENTS[venue].name: 0}))
    await sink.first.wait()
    cpu, wall = time.process_time(), time.perf_counter()
    await sink.done.wait()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return {"rows": sink.rows - 1, "refused": sink.refused, "cpu_s": cpu, "wall_s": wall}


async def ccxt_plain(venue: str, url: str, count: int) -> dict[str, Any]:
    """Hears them through ccxt.pro as its manual has it; the awaiting task sees only some of the states."""
    import ccxt.pro

    quirk, symbol = QUIRKS[venue], INSTRUMENTS[venue].symbol
    lane = quirk.lane(Role.TOKEN)
    exchange = build(getattr(ccxt.pro, venue), lane, quirk, (symbol,), url)
    await exchange.load_markets(True, dict(lane.params))
    last_ms = (frames.START_NS + count * UNIT_NS[venue]) // 10**6
    cpu = wall = 0.0
    seen = 0
    while True:
        book = await exchange.watch_order_book(symbol, DEPTHS[venue])
        if not cpu:
            cpu, wall = time.process_time(), time.perf_counter()
        seen += 1
        if (book["timestamp"] or 0) >= last_ms:
            break
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await exchange.close()
    return {"frames": count, "states_seen": seen, "cpu_s": cpu, "wall_s": wall}


async def speed(venue: str, count: int, rounds: int) -> dict[str, Any]:
    """Frames per CPU second of both, in turns; the ratio is the median of the rounds'."""
    ours, theirs, rows = [], [], []
    for _ in range(rounds):
        for hear, into in ((native_plain, ours), (ccxt_plain, theirs)):
            async with served(venue, count, 0) as url:
                gc.collect()
                gc.freeze()
                found = await hear(venue, url, count)
                into.append(count / found["cpu_s"])
                if hear is native_plain:
                    rows.append(found["rows"])
    return {
        "venue": venue,
        "frames": count,
        "rows_of_each_round": rows,
        "native_frames_per_cpu_s": round(statistics.median(ours)),
        "ccxt_pro_frames_per_cpu_s": round(statistics.median(theirs)),
        "ratios": sorted(round(a / b, 1) for a, b in zip(ours, theirs, strict=True)),
        "note": "our checks are on; ccxt.pro runs without (its Kraken check raises an AttributeError in 4.5.90)",
    }


async def latency(venue: str, rate: int, seconds: float) -> dict[str, Any]:
    """From just before the venue hands a frame to its socket until its row is in the inbox."""
    count = int(rate * seconds)
    with tempfile.TemporaryDirectory() as folder:
        sent_file = str(Path(folder) / "sent.npy")
        async with served(venue, count, rate, sent_file) as url:
            gc.collect()
            gc.freeze()
            found = await native(venue, url, count)
        sent = np.load(sent_file)
    took = (found["came"] - sent)[1:]
    return {
        "venue": venue, "rate": rate, "frames": count, "rows": found["rows"], "refused": found["refused"],
        "rate_sent": round((count - 1) / ((sent[-1] - sent[1]) / 1e9), 1), "socket_to_row_us": _quantiles(took),
        "cpu_us_per_frame": round(found["cpu_s"] / count * 1e6, 1),
    }  # fmt: skip


async def soak(venue: str, count: int) -> dict[str, Any]:
    """Memory of the last quarter against the second."""
    async with served(venue, count, 0) as url:
        found = await native(venue, url, count, every=max(1, count // 400))
    memory = np.array(found["memory"])
    quarter = len(memory) // 4
    second, last = memory[quarter : 2 * quarter].mean(), memory[-quarter:].mean()
    return {
        "venue": venue, "frames": count, "rows": found["rows"], "refused": found["refused"],
        "frames_per_s": round(count / found["wall_s"]), "frames_per_cpu_s": round(count / found["cpu_s"]),
        "rss_mb_second_quarter": round(float(second), 2), "rss_mb_last_quarter": round(float(last), 2),
        "growth_percent": round(float(last / second - 1) * 100, 3),
    }  # fmt: skip


async def serve(venue: str, count: int, rate: int, sent_file: str) -> None:
    """The other process: prints its address, sends the frames to who subscribes, ends when its input does."""
    sent = np.zeros(count + 1, np.int64)

    async def stream(socket: web.WebSocketResponse, texts: Iterator[str]) -> None:
        request = socket._req
        assert request is not None and request.transport is not None
        line = request.transport.get_extra_info("socket")
        # As fast as they go: whole packets, so that the reader is not woken for each frame as it is by a slow sender.
        line.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_CORK, rate == 0)
        start = time.monotonic_ns()
        for number, text in enumerate(itertools.islice(texts, count + 1)):
            if rate:
                due = start + number * 1_000_000_000 // rate
                # The loop sleeps whole milliseconds, which would send two frames at a time; it gets its turn first.
                await asyncio.sleep(0)
                while (ahead := due - time.monotonic_ns()) > 0:
                    time.sleep(ahead / 1e9)  # noqa: ASYNC251 - nobody else lives in this process
            sent[number] = time.monotonic_ns()
            await socket.send_str(text)
        line.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_CORK, 0)
        if sent_file:
            np.save(sent_file, sent)

    make = frames.kraken if venue == "kraken" else frames.bybit
    made = make(depth=DEPTHS[venue])
    made = itertools.chain((next(made),), made)  # made ready before anybody waits
    tasks = []

    class Kraken(KrakenServer):
        def _snapshot(self, symbol: str, depth: int) -> str:
            (socket,) = self.subscribed.pop(symbol)
            tasks.append(asyncio.create_task(stream(socket, made)))
            return '{"channel":"heartbeat"}'

    class Bybit(BybitServer):
        async def said(self, socket: web.WebSocketResponse, text: str) -> None:
            await super().said(socket, text)
            if self.topics and not tasks:
                tasks.append(asyncio.create_task(stream(socket, made)))

    # A pause of the stand-in would send a burst after it, and that would be measured.
    gc.collect()
    gc.disable()
    async with Kraken() if venue == "kraken" else Bybit() as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Prints JSON objects, one for each venue."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="speed", choices=("speed", "latency", "soak", "serve"))
    parser.add_argument("--venue", choices=tuple(FEEDS), help="one only")
    parser.add_argument("--frames", type=int, help="speed: 30,000 a round; soak: 7.2 million")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=2000, help="frames a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--sent", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == "serve":
        asyncio.run(serve(args.venue, args.frames, args.rate, args.sent))
        return
    for venue in (args.venue,) if args.venue else tuple(FEEDS):
        if args.part == "speed":
            found = asyncio.run(speed(venue, args.frames or 30_000, args.rounds))
        elif args.part == "latency":
            found = asyncio.run(latency(venue, args.rate, args.seconds))
        else:
            found = asyncio.run(soak(venue, args.frames or 7_200_000))
        print(json.dumps(found, indent=2), flush=True)


if __name__ == "__main__":
    main()
