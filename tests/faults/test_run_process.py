"""`pegline run` as a process on every venue at once: what its metrics say is what the venues show."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.clock import sleep
from connectors.instruments import Role
from tests.conformance.stall import Stall, Top
from tests.faults.market import book_of, config_of
from tests.faults.test_feeds import everyone

PATIENCE_S = 60.0


async def show(stall: Stall, server: Any, step: int) -> dict[str, Top]:
    """Every instrument of a venue shows a new book; by name."""
    shown = {}
    for instrument in stall.instruments:
        shown[instrument.name] = top = book_of(instrument, step)
        await stall.show(server, instrument, top)
    return shown


def told(metrics: str, label: str, family: str, more: str = "") -> float | None:
    """The value of a sample whose label has this text; None where there is none."""
    found = re.search(rf"^pegline_{family}{{[^}}]*{re.escape(label)}[^}}]*{more}[^}}]*}} (\S+)$", metrics, re.M)
    return float(found[1]) if found else None


@pytest.mark.timeout(240)
async def test_one_run_streams_every_venue_at_once(tmp_path: Path) -> None:
    """
    One process on all local venues: its token quotes, references and coins are those of the servers, through changes;
    SIGTERM ends it well.
    """
    async with AsyncExitStack() as stack:
        servers = {s.venue: await stack.enter_async_context(s.server()) for s in everyone()}
        urls = {venue: server.url for venue, server in servers.items()}
        shown: dict[str, Top] = {}
        for stall in everyone():
            shown |= await show(stall, servers[stall.venue], 0)
        path = tmp_path / "config.toml"
        path.write_text(config_of(everyone(), urls, tmp_path, compare_s=5.0))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", "--config", str(path), stderr=asyncio.subprocess.PIPE
        )
        stack.callback(lambda: process.returncode is None and process.kill())
        assert process.stderr is not None
        said, url = "", ""
        async with asyncio.timeout(PATIENCE_S):
            while not url:
                said += (await process.stderr.readline()).decode()
                if found := re.search(r"page (http://\S+?),", said):
                    url = found[1]
        reading = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            for step in range(1, 4):
                async with asyncio.timeout(PATIENCE_S):
                    while True:
                        for stall in everyone():
                            if not stall.snapshots or step > 1:
                                shown |= await show(stall, servers[stall.venue], step)
                        async with session.get(url + "metrics") as answer:
                            metrics = await answer.text()
                        wrong = differences(metrics, shown)
                        if not wrong:
                            break
                        await sleep(0.2)
            assert not wrong, wrong
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert 0 == await process.wait()
        assert "fault of its adapter" not in said + (await reading).decode()


def differences(metrics: str, shown: dict[str, Top]) -> dict[str, object]:
    """What the metrics say otherwise than the venues; by instrument."""
    wrong: dict[str, object] = {}
    for stall in everyone():
        for instrument in stall.instruments:
            top = shown[instrument.name]
            mid = (float(top.bid) + float(top.ask)) / 2
            if instrument.role is Role.TOKEN:
                coin = (
                    1.0 if instrument.quote == "USD" else told(metrics, f'"{instrument.quote}"', "stablecoin_price_usd")
                )
                bid = told(metrics, f'instrument="{instrument.name}"', "quote_price_usd", 'side="bid"')
                if coin is None or bid is None or abs(bid / coin - float(top.bid)) > 1e-9 * bid:
                    wrong[instrument.name] = (top, bid, coin)
            elif instrument.role is Role.SHARE:
                said = told(metrics, f'source="{instrument.name}"', "reference_price_usd")
                if said is None or abs(said - mid) > 1e-9 * mid:
                    wrong[instrument.name] = (top, said)
    return wrong
