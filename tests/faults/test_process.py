"""`pegline run` as a process on local venues: without a file to open, and told to end at a bad moment."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from bot.clock import monotonic_s, sleep
from bot.holds import Holds
from bot.journal_reader import verify
from strategies.execution.latch import Hold, Mode
from tests.bot.test_run import CONFIG, PATIENCE_S, Daemon, value
from tests.faults.test_disk import held
from tests.servers.bybit import BybitServer
from tests.servers.kraken import KrakenServer
from tests.servers.yahoo import YahooServer

SLOW_VENUE = ("taker_fee_bps = 10\nlatency_ms = 20", "taker_fee_bps = 10\nlatency_ms = 600000")
"""An order at one of the venues is on its way for ten minutes."""


class Place:
    """Local venues with a gap between two of them, and a config for them."""

    def __init__(self, kraken: KrakenServer, bybit: BybitServer, yahoo: YahooServer, folder: Path) -> None:
        self.kraken, self.bybit, self.yahoo = kraken, bybit, yahoo
        self.state, self.config, key = folder / "state", folder / "config.toml", folder / "key"
        key.write_text('key = "none"\n')
        key.chmod(0o600)
        text = CONFIG.format(state=self.state, kraken=kraken.url, bybit=bybit.url, yahoo=yahoo.url, key=key)
        for name in ("kraken", "bybit"):
            text = text.replace(f'feed = "ccxt"\nexchange = "{name}"', f'feed = "{name}"')
        self.config.write_text(text)

    async def show(self, bid: str) -> None:
        """The token's book at Kraken."""
        await self.kraken.book("TSLAx/USD", bids=[(bid, "3")], asks=[("400.30", "2")])

    @asynccontextmanager
    async def running(self, shell: str = 'exec "$0" "$@"') -> AsyncIterator[Daemon]:
        """`pegline run`, heard from all venues; killed at the end if it still runs."""
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", shell, sys.executable, "-m", "bot", "run", "--config", str(self.config),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        daemon = Daemon(process)
        try:
            await daemon.says("page http")
            await self.yahoo.until(lambda: bool(self.yahoo.subscribed))
            await self.yahoo.price("TSLA", 401.25)
            yield daemon
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await daemon.reading
            print(daemon.said)


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """Open venues."""
    async with KrakenServer() as kraken, BybitServer() as bybit, YahooServer() as yahoo:
        here = Place(kraken, bybit, yahoo, folder)
        await kraken.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        await here.show("400.10")
        await bybit.book("TSLAXUSDT", bids=[("410.00", "3")], asks=[("410.20", "2")])
        yield here


@pytest.mark.timeout(240)
async def test_row_72_without_a_file_to_open_venues_that_are_there_stay(tmp_path: Path) -> None:
    """
    Callers of the page take every file that the process may open: it says so, in words and as a metric, and its venues
    are heard as before; when the callers are gone it answers others again.
    """
    async with (
        place(tmp_path) as here,
        here.running('ulimit -n 64; exec "$0" "$@"') as daemon,
        AsyncExitStack() as stack,
    ):
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def shows(name: str, *labels: str, above: float) -> None:
            """Asks over the connection that is there, until a value is high enough."""
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    async with session.get(daemon.url + "metrics") as answer:
                        lines = (await answer.text()).splitlines()
                    found = [line.split()[-1] for line in lines if line.startswith(f"pegline_{name}")
                             and all(label in line for label in labels)]  # fmt: skip
                    if found and float(found[0]) > above:
                        return
                    await sleep(0.05)

        bid = ("quote_price_usd", 'instrument="kraken:TSLAx/USD"', 'side="bid"')
        await shows(*bid, above=400.0)
        port = int(daemon.url.rsplit(":", 1)[1].strip("/"))
        callers = stack.enter_context(ExitStack())
        for _ in range(80):
            callers.enter_context(socket.create_connection(("127.0.0.1", port)))
        begun = monotonic_s()
        await daemon.says("of the open files that are allowed are in use")
        print(f"fault 72: told after {monotonic_s() - begun:.2f} s")
        await shows("open_files_ratio", above=0.9)
        await daemon.says("recording stopped")
        await here.show("400.20")
        await shows(*bid, above=400.15)
        callers.close()
        assert "quote_price_usd" in await daemon.shows("metrics", lambda text: True)
        assert 0 == await daemon.end(signal.SIGTERM)
    assert verify(here.state / "journal.sqlite").ok


@pytest.mark.timeout(240)
async def test_row_80_sigterm_with_a_trade_under_way_and_while_the_disk_hangs(tmp_path: Path) -> None:
    """
    One leg has traded and the other is on its way: it ends within ten seconds and with 0, and the next start begins
    with that trade. That one ends within ten seconds too while a record waits for a journal that another process holds,
    and says what is not safe. The journal is whole.
    """
    async with place(tmp_path) as here:
        here.config.write_text(here.config.read_text().replace(*SLOW_VENUE))
        journal = here.state / "journal.sqlite"
        async with here.running() as daemon:
            await daemon.shows("metrics", lambda text: (value(text, "pegline_trades_open", "legs") or 0.0) > 0)
            begun = monotonic_s()
            assert 0 == await daemon.end(signal.SIGTERM)
            print(f"fault 80: ended after {monotonic_s() - begun:.2f} s")
        assert verify(journal).ok
        async with here.running() as daemon:
            await daemon.says("1 trades were under way when the last run ended")
            await daemon.shows("metrics", lambda text: value(text, "pegline_quote_price_usd", "bybit") is not None)
            with held(journal):
                Holds(here.state).set(Hold(scope="token:T", mode=Mode.REDUCE, cause="operator", why="look", at=1))
                await daemon.says("token:T")
                begun = monotonic_s()
                assert 8 == await daemon.end(signal.SIGTERM)
                print(f"fault 80: ended after {monotonic_s() - begun:.2f} s, while the disk hung")
            assert "Traceback" not in daemon.said
            assert "safe up to record" in daemon.said or "locked" in daemon.said
        assert verify(journal).ok
