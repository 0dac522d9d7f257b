"""`pegline run` as a process on local venues: without a file to open, and told to end at a bad moment."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp
import pytest

from bot.clock import monotonic_s, sleep
from bot.holds import Holds
from bot.journal_reader import verify
from strategies.execution.latch import Hold, Mode
from tests.daemon import CONFIG, PATIENCE_S, place, value
from tests.faults.test_disk import held

SLOW_VENUE = ("taker_fee_bps = 10\nlatency_ms = 20", "taker_fee_bps = 10\nlatency_ms = 600000")
"""An order at one of the venues is on its way for ten minutes."""


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
        await here.gap()
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
    async with place(tmp_path, CONFIG.replace(*SLOW_VENUE)) as here:
        await here.gap()
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
