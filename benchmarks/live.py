"""The live path measured: a local Bybit in another process, a real socket, ccxt, the inbox, and what stands behind.

    python -m benchmarks.live --seconds 60 --rate 2000

The server writes when it sent each frame (CLOCK_MONOTONIC, one clock for both processes) into an array on disk; the
frame's ask size is its number, so a row tells which frame it came from without the venue's format being bent. Latency
is from just before the server hands a frame to its socket until the block with its row has been handed out by the
inbox, and, with an engine behind it, until `advance` has returned.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bot.clock import chance, monotonic_s, sleep, wall_ns
from bot.inbox import Inbox
from connectors.cex.ccxt_feed import CcxtFeed
from connectors.events import Flag, Kind, Row, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.ports import FeedSetup

BYBIT = Instrument(
    venue="bybit", symbol="TSLAX/USDT", role=Role.TOKEN, token="TSLAx", underlying="TSLA", quote="USDT", multiplier=1.0
)
TOPIC = "orderbook.1.TSLAXUSDT"


UNIVERSE = Universe(
    (
        msgspec.structs.replace(BYBIT, unit_model=UnitModel.REBASING),
        Instrument(
            venue="other", symbol="TSLAx/USD", role=Role.TOKEN, token="TSLAx", underlying="TSLA",
            unit_model=UnitModel.REBASING,
        ),
        Instrument(venue="share", symbol="TSLA", role=Role.SHARE, underlying="TSLA"),
        Instrument(venue="fx", symbol="USDT/USD", role=Role.COIN, coin="USDT"),
    )
)  # fmt: skip

CONFIG = """
[venues.bybit]
kind = "cex"
taker_fee_bps = 10
latency_ms = 5
[venues.other]
kind = "cex"
taker_fee_bps = 10
latency_ms = 5
[venues.share]
kind = "oracle"
[venues.fx]
kind = "oracle"
[instruments."bybit:TSLAX/USDT"]
token = "TSLAx"
unit_model = "rebasing"
quote = "USDT"
[instruments."other:TSLAx/USD"]
token = "TSLAx"
unit_model = "rebasing"
[instruments."share:TSLA"]
role = "share"
underlying = "TSLA"
[instruments."fx:USDT/USD"]
role = "coin"
coin = "USDT"
[gates]
max_quote_age_s = inf
max_fx_age_s = inf
[fair]
max_error_bps = inf
max_silence_days = inf
[strategies.cross_venue]
min_edge_bps = 20
size_units = 0.01
max_short_units = 1000
max_long_units = 1000
[strategies.peg_watch]
warn_bps = { pre = 100, regular = 100, post = 100, overnight = 100, weekend = 100, holiday = 100 }
depeg_bps = { pre = 300, regular = 300, post = 300, overnight = 300, weekend = 300, holiday = 300 }
[risk]
max_order_usd = 1000
max_position_usd = 1e6
max_gross_usd = 1e6
collar_bps = 1000
max_orders_per_minute = 1000
max_daily_loss_usd = 1e6
sessions = ["pre", "regular", "post", "overnight", "weekend", "holiday"]
coin_band_bps = 100
hedge_orders_per_minute = 0
max_wishes_per_minute = inf
max_turnover_usd_per_day = inf
trade_gap_s = 0
max_drawdown_usd = inf
max_naked_usd = inf
max_naked_s = inf
caps.token_usd = inf
caps.venue_usd = inf
caps.issuer_usd = inf
caps.chain_usd = inf
caps.stablecoin_usd = inf
"""
"""A second venue that stays 2 % cheaper, so that the engine decides, trades on paper and writes its journal (FULL)."""


def engine(folder: Path) -> tuple[Callable[[Rows], object], Callable[[], dict[str, Any]]]:
    """The daemon's engine with both strategies and a durable journal; and what it did, to be asked at the end."""
    from bot.paths import prepare_kernel

    prepare_kernel()
    from bot.assembly import assemble
    from bot.config_file import load
    from bot.journal import Journal
    from bot.sessions import load_sessions
    from bot.wiring import paper

    path = folder / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    config = load(path)
    journal = Journal(folder / "journal.sqlite")
    parts = assemble(config, UNIVERSE, load_sessions(), journal, executor=paper(config, UNIVERSE, 1))
    now = wall_ns()
    start = [
        Row(ts_recv=now, instrument=3, kind=Kind.FX, bid=0.9999, ask=1.0001),
        Row(ts_recv=now, instrument=2, kind=Kind.REFERENCE, bid=399.9, ask=400.1),
        Row(ts_recv=now, instrument=1, kind=Kind.QUOTE, bid=391.8, ask=392.0, bid_size=1e6, ask_size=1e6),
    ]
    parts.engine.advance(Rows.of(start))

    def tell() -> dict[str, Any]:
        counts = parts.engine.counts
        journal.close()
        return {
            "rows": counts.rows - len(start),
            "wakes": counts.wakes,
            "records": parts.engine.dealer.steps,
            "fills": parts.ledger.fills,
            "quotes_believed": int(parts.columns.prints[0]),
        }

    return parts.engine.advance, tell


def measure(
    *,
    seconds: float = 60.0,
    rate: int = 2000,
    universe: Universe | None = None,
    advance: Callable[[Rows], object] | None = None,
) -> dict[str, Any]:
    """Runs `rate` frames a second for `seconds` through everything and returns what was measured.

    `universe` must hold the instrument `bybit:TSLAX/USDT`; `advance` is called with every block, as a live engine is.
    """
    universe = universe or Universe((BYBIT,))
    with tempfile.TemporaryDirectory() as folder:
        sent_file = Path(folder) / "sent.npy"
        return asyncio.run(_measure(seconds, rate, universe, advance, sent_file))


async def _measure(
    seconds: float, rate: int, universe: Universe, advance: Callable[[Rows], object] | None, sent_file: Path
) -> dict[str, Any]:
    frames = int(seconds * rate)
    number = universe.number(BYBIT.name)
    inbox = Inbox(universe, clock=wall_ns)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.live", "--serve", str(sent_file), "--rate", str(rate),
        "--seconds", str(seconds), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None and server.stdin is not None
    url = (await server.stdout.readline()).decode().strip()
    instruments = (universe[number],)
    feed = CcxtFeed(
        FeedSetup(
            venue="bybit", instruments=instruments, clock=wall_ns, monotonic=monotonic_s, rng=chance(1), sleep=sleep,
            url=url,
        )
    )  # fmt: skip
    feeding = asyncio.create_task(feed.run(inbox, {BYBIT.name: number}))
    handed, decided = np.zeros(frames + 1, np.int64), np.zeros(frames + 1, np.int64)
    rows_out = blocks = superseded = 0
    largest = 0
    cpu = rss = 0.0
    async for rows in inbox:
        now = time.monotonic_ns()
        quotes = rows.kind == Kind.QUOTE
        seq = rows.ask_size[quotes].astype(np.int64)
        handed[seq] = now
        if advance is not None:
            advance(rows)
        decided[seq] = time.monotonic_ns()
        if not len(seq):
            continue
        if seq[0] == 0:  # the snapshot, of size 0.5: subscribed, so the clock of the run starts
            server.stdin.write(b"go\n")
            cpu, rss = time.process_time(), _rss_mb()
        rows_out += len(seq)
        blocks += 1
        largest = max(largest, len(rows))
        superseded += int(np.count_nonzero(rows.flags[quotes] & Flag.SUPERSEDED))
        if seq[-1] == frames:
            break
    cpu = time.process_time() - cpu
    rss_end = _rss_mb()
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    server.stdin.write_eof()
    await server.wait()
    sent = np.load(sent_file)
    seen = handed[1:] > 0
    return {
        "schema": 1,
        "frames_sent": frames,
        "rate_wanted": rate,
        "rate_sent": round(frames / ((sent[-1] - sent[1]) / 1e9), 1) if frames > 1 else None,
        "frames_read": feed.count("book_frames") - 1,
        "rows_emitted": feed.count("emitted") - 1,
        "rows_handed_out": rows_out - 1,
        "merged_by_ccxt": feed.count("merged"),
        "overtaken_in_inbox": superseded,
        "let_go_by_inbox": inbox.let_go,
        "frames_without_a_row": int(np.count_nonzero(~seen)),
        "rejected": {f"{venue}:{reason}": n for (venue, reason), n in inbox.rejected.items()},
        "blocks": blocks - 1,
        "largest_block": largest,
        "to_inbox_us": _quantiles((handed - sent)[1:][seen]),
        "to_decision_us": _quantiles((decided - sent)[1:][seen]) if advance is not None else None,
        "cpu_us_per_frame": round(cpu / frames * 1e6, 1),
        "cpu_share_of_a_core": round(cpu / max(1e-9, (handed.max() - sent[1]) / 1e9), 3),
        "rss_mb_start": round(rss, 1),
        "rss_mb_end": round(rss_end, 1),
    }


def _quantiles(ns: np.ndarray[Any, Any]) -> dict[str, float]:
    """Microseconds."""
    names = ("p50", "p99", "p999", "max")
    return dict(zip(names, np.quantile(ns / 1e3, [0.5, 0.99, 0.999, 1.0]).round(1).tolist(), strict=True))


def _rss_mb() -> float:
    """Memory of this process now; where the system does not say, the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


async def _serve(sent_file: Path, rate: int, seconds: float) -> None:
    """The other process: waits for a line, sends the frames in step with the clock, writes when each was sent."""
    from tests.servers.bybit import BybitServer

    frames = int(seconds * rate)
    sent = np.zeros(frames + 1, np.int64)
    async with BybitServer() as server:
        await server.book("TSLAXUSDT", bids=[("400", "1")], asks=[("401", "0.5")])
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        (socket,) = server.topics[TOPIC]
        start = time.monotonic_ns()
        for seq in range(1, frames + 1):
            due = start + seq * 1_000_000_000 // rate
            while (ahead := due - time.monotonic_ns()) > 0:  # noqa: ASYNC110 - it paces, it waits for nothing
                await asyncio.sleep(ahead / 1e9)
            cents = seq % 50
            ms = time.time_ns() // 1_000_000
            text = (
                f'{{"topic":"{TOPIC}","ts":{ms},"type":"snapshot","data":{{"s":"TSLAXUSDT","b":[["400.{cents:02d}",'
                f'"1.5"]],"a":[["401.00","{seq}"]],"u":{seq + 1},"seq":{seq + 1}}},"cts":{ms}}}'
            )
            sent[seq] = time.monotonic_ns()
            await socket.send_str(text)
        np.save(sent_file, sent)
        await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=2000, help="frames a second")
    parser.add_argument("--serve", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(_serve(Path(args.serve), args.rate, args.seconds))
    else:
        with tempfile.TemporaryDirectory() as folder:
            advance, tell = engine(Path(folder))
            found = measure(seconds=args.seconds, rate=args.rate, universe=UNIVERSE, advance=advance)
            found["engine"] = tell()
        if found["rows_emitted"] != found["rows_handed_out"]:
            raise SystemExit(f"rows were lost: {found}")
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
