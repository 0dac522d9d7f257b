"""`pegline run` as a process on local venues, for the tests of what its operator sees."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from bot.journal_reader import read
from connectors.orders import Side
from strategies.base import Step
from tests.servers.bybit import BybitServer
from tests.servers.kraken import KrakenServer
from tests.servers.yahoo import YahooServer

PATIENCE_S = 90.0
CANARY = "canary-7c1f0e55"

CONFIG = """
[run]
state_dir = "{state}"
timer_s = 0.2
[http]
port = 0
[venues.kraken]
kind = "cex"
feed = "kraken"
url = "{kraken}"
taker_fee_bps = 26
latency_ms = 20
key_file = "{key}"
[venues.bybit]
kind = "cex"
feed = "bybit"
url = "{bybit}"
taker_fee_bps = 10
latency_ms = 20
[venues.yahoo]
kind = "broker"
feed = "yahoo"
url = "{yahoo}"
[instruments."kraken:TSLAx/USD"]
token = "TSLAx"
unit_model = "rebasing"
lot = 0.25
[instruments."bybit:TSLAX/USDT"]
token = "TSLAx"
unit_model = "rebasing"
quote = "USDT"
lot = 0.25
[instruments."kraken:USDT/USD"]
role = "coin"
coin = "USDT"
[instruments."yahoo:TSLA"]
role = "share"
underlying = "TSLA"
hours = "24/7"
[strategies.cross_venue]
min_edge_bps = 50
size_units = 0.25
max_short_units = 0.25
max_long_units = 0.25
[risk]
max_order_usd = 1000
max_position_usd = 1000
max_gross_usd = 2000
collar_bps = 1000
max_orders_per_minute = 60
max_daily_loss_usd = 100
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


class Daemon:
    """A running `pegline run` and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Of a process just started."""
        self.process, self.said, self.url = process, "", ""
        self.changed = asyncio.Condition()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            async with self.changed:
                self.said += line.decode()
                if found := re.search(r"page (http://\S+/),", self.said):
                    self.url = found[1]
                self.changed.notify_all()

    async def says(self, words: str) -> None:
        """Waits until it has said the words."""
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: words in self.said or self.reading.done())
        assert words in self.said, self.said

    async def shows(self, path: str, condition: Callable[[str], bool]) -> str:
        """Asks for a path, again and again, until its text is as wished."""
        text = ""
        async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
            while True:
                async with session.get(self.url + path) as answer:
                    text = await answer.text()
                if condition(text):
                    return text

    async def end(self, number: signal.Signals) -> int:
        """Sends a signal; the exit code, which must come within ten seconds."""
        self.process.send_signal(number)
        async with asyncio.timeout(10):
            await self.process.wait()
        await self.reading
        assert self.process.returncode is not None
        return self.process.returncode


class Place:
    """Local venues of one token, a source of its share, and a config that knows them."""

    def __init__(self, kraken: KrakenServer, bybit: BybitServer, yahoo: YahooServer, folder: Path, config: str) -> None:
        """Writes the config, and a key that only its owner can read."""
        self.kraken, self.bybit, self.yahoo = kraken, bybit, yahoo
        self.state, self.config, self.key = folder / "state", folder / "config.toml", folder / "key"
        self.key.write_text(f'key = "{CANARY}"\n')
        self.key.chmod(0o600)
        urls = {"kraken": kraken.url, "bybit": bybit.url, "yahoo": yahoo.url}
        self.config.write_text(config.format(state=self.state, key=self.key, **urls))

    async def show(self, bid: str = "400.10") -> None:
        """The token's book at Kraken."""
        await self.kraken.book("TSLAx/USD", bids=[(bid, "3")], asks=[("400.30", "2")])

    async def gap(self, usd: int = 10) -> None:
        """The token's book at Bybit, so much dearer."""
        await self.bybit.book("TSLAXUSDT", bids=[(f"{400 + usd}.00", "3")], asks=[(f"{400 + usd}.20", "2")])

    @asynccontextmanager
    async def running(self, shell: str = 'exec "$0" "$@"', *, share: bool = True) -> AsyncIterator[Daemon]:
        """`pegline run`, when its page is there and, with `share`, has heard of the share; killed if it still runs."""
        self.yahoo.subscribed.clear()
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", shell, sys.executable, "-m", "bot", "run", "--config", str(self.config),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        daemon = Daemon(process)
        try:
            await daemon.says("page http")
            if share:
                await self.share()
            yield daemon
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await daemon.reading
            print(daemon.said)

    async def share(self) -> None:
        """The share's price, when somebody asks for it."""
        await self.yahoo.until(lambda: bool(self.yahoo.subscribed))
        await self.yahoo.price("TSLA", 401.25)


@asynccontextmanager
async def place(folder: Path, config: str = CONFIG) -> AsyncIterator[Place]:
    """Open venues; the token costs nearly the same at both."""
    async with KrakenServer() as kraken, BybitServer() as bybit, YahooServer() as yahoo:
        here = Place(kraken, bybit, yahoo, folder, config)
        await kraken.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        await here.show()
        await here.gap(0)
        yield here


def value(metrics: str, name: str, *labels: str) -> float | None:
    """The value of the first sample of a metric whose labels hold all of the words."""
    for line in metrics.splitlines():
        if line.startswith(name + "{") and all(label in line for label in labels):
            return float(line.rsplit(" ", 1)[1])
    return None


def positions(state: Path) -> dict[int, float]:
    """Units by instrument, folded from the journal's records alone."""
    held: dict[int, float] = {}
    for record in read(state / "journal.sqlite", kind="step"):
        for report in msgspec.msgpack.decode(record.payload, type=Step).reports:
            for fill in report.fills:
                sign = 1 if fill.side is Side.BUY else -1
                held[fill.instrument] = held.get(fill.instrument, 0.0) + sign * float(fill.quantity)
    return held
