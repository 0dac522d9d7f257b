"""`pegline run` as a process beside a real chain: a multiplier changes and a token is paused, as its user sees it."""

from __future__ import annotations

import asyncio
import html
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from bot.clock import monotonic_s, sleep, wall_ns
from bot.journal_reader import read, verify
from connectors.evm.rpc import MULTICALL3
from connectors.registry import load_registry
from strategies.base import Note, Step
from tests.chain.models import Stock, robinhood
from tests.chain.parts import Parts
from tests.conformance.stall import Top
from tests.conformance.stall_kraken import TSLA, show
from tests.servers.anvil import Anvil, Deployed
from tests.servers.kraken import KrakenServer
from tests.servers.pyth import PythServer

PATIENCE_S = 60.0
START_S = 180.0
"""The first run after a change compiles the scan."""

AHEAD_S = 4
SHARE = "ab" * 32

CONFIG = """
[run]
state_dir = "{state}"
timer_s = 0.1
[http]
port = 0
[venues.chain]
kind = "dex"
feed = "onchain"
url = "{node} http://127.0.0.1:1/s3cr3t"
options = {{ poll_s = 0.3, max_block_age_s = 3600 }}
[instruments."chain:{token}"]
token = "TSLA"
issuer = "robinhood"
chain = "robinhood"
unit_model = "total_return"
[venues.pyth]
kind = "oracle"
feed = "pyth"
url = "{pyth}"
[instruments."pyth:{share}"]
role = "share"
underlying = "TSLA"
hours = "24/7"
"""
VENUE = """
[venues.{name}]
kind = "cex"
feed = "kraken"
exchange = "kraken"
url = "{url}"
taker_fee_bps = 1
latency_ms = 5
[instruments."{name}:TSLAx/USD"]
token = "TSLA"
issuer = "robinhood"
unit_model = "total_return"
multiplier = 1.0
basis = "unit"
"""
RULES = """
[gates]
maintenance_s = {ahead}
confirm_rows = 2
confirm_s = 1
[fair]
default_daily_vol_bps = 300.0
[strategies.cross_venue]
min_edge_bps = 100
size_units = 1
max_short_units = 10
max_long_units = 10
[strategies.peg_watch]
warn_bps = { pre = 100, regular = 100, post = 100, overnight = 100, weekend = 100, holiday = 100 }
depeg_bps = { pre = 200, regular = 200, post = 200, overnight = 200, weekend = 200, holiday = 200 }
clear_share = 0.7
persist_s = 0.1
min_sigmas = 0.0
[risk]
max_order_usd = 100000
max_position_usd = 100000
max_gross_usd = 200000
collar_bps = inf
max_orders_per_minute = 600
max_daily_loss_usd = 100000
sessions = ["pre", "regular", "post", "overnight", "weekend", "holiday"]
coin_band_bps = 500
need_fair = false
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


class Run:
    """The daemon, a chain, two exchanges and a source of the share."""

    def __init__(self, node: Anvil, stock: Stock, pyth: PythServer, venues: list[KrakenServer], url: str) -> None:
        """A unit is worth 400 USD at either exchange, and the share too."""
        self.node, self.stock, self.pyth, self.venues, self.url = node, stock, pyth, venues, url
        self.said = ""
        """All that the daemon said to its user, once it is over."""
        self.share, self.prices, self.turn = 400.0, [400.0, 400.0], 0
        self.session = aiohttp.ClientSession()
        self.seen: list[tuple[float, str, float | None]] = []
        """(seconds, note on the page, premium in the metrics) of the first exchange, whenever they were other ones."""

    async def prints(self) -> None:
        """Everybody prints, for ever."""
        while True:
            self.turn += 1
            for venue, price in zip(self.venues, self.prices, strict=True):
                await show(venue, TSLA, Top(f"{price - 0.05:.2f}", f"{price + 0.05:.2f}", f"{5 + self.turn % 7}"))
            if self.turn % 5 == 0:
                await self.pyth.say(SHARE, f"{self.share * 1e5:.0f}", f"{self.share * 10:.0f}")
            await sleep(0.2)

    async def get(self, path: str) -> str:
        """What the daemon serves."""
        async with self.session.get(self.url + path) as answer:
            return await answer.text()

    async def line(self) -> tuple[str, str]:
        """Premium and note of the first exchange on the page."""
        page = await self.get("")
        (row,) = [row for row in re.findall(r"<tr.*?</tr>", page, re.S) if ">left<" in row and ">TSLA<" in row]
        cells = [html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<td.*?</td>", row, re.S)]
        return cells[4], cells[-1]

    async def look(self) -> tuple[str, float | None, float]:
        """Note on the page and premium in the metrics of the first exchange, and how many orders were sent; where the
        page says nothing else before and after, premium and metrics must agree."""
        before, metrics, after = await self.line(), await self.get("metrics"), await self.line()
        found = re.search(r'^pegline_premium_ratio{[^}]*venue="left"[^}]*} (\S+)$', metrics, re.M)
        orders = sum(float(n) for n in re.findall(r"^pegline_orders_total{[^}]*} (\S+)$", metrics, re.M))
        (premium, note), value = after, float(found[1]) if found else None
        if before != after:
            return await self.look()
        assert (premium == "unknown") is (value is None), (after, value)
        if not self.seen or (note, value) != self.seen[-1][1:]:
            self.seen.append((round(monotonic_s(), 1), note, value))
        return note, value, orders

    async def until(self, condition: Callable[[str, float | None, float], bool]) -> None:
        """Looks until something is to be seen. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition(*await self.look()):
                await sleep(0.1)


async def listed(chain: Parts, node: Anvil) -> Stock:
    """Robinhood's token at the address that the registry has for it, code and storage."""
    stock = await robinhood(chain, node)
    (token,) = (t for t in load_registry().named("TSLA") if t.chain == "robinhood")
    made, stock.token = stock.token, Deployed(node, stock.token.artifact, token.contract)
    await node.rpc("anvil_setCode", token.contract, await node.rpc("eth_getCode", made.address, "latest"))
    for slot in range(20):
        word = await node.rpc("eth_getStorageAt", made.address, hex(slot), "latest")
        await node.rpc("anvil_setStorageAt", token.contract, hex(slot), word)
    return stock


@asynccontextmanager
async def running(chain: Parts, folder: Path) -> AsyncIterator[Run]:
    """`pegline run` as a process, until SIGTERM."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(Anvil(chain.anvil, chain_id=4663))
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        stock = await listed(chain, node)
        await node.rpc("evm_setIntervalMining", 1)
        pyth = await stack.enter_async_context(PythServer())
        await pyth.say(SHARE, "40000000", "4000")
        venues = [await stack.enter_async_context(KrakenServer()) for _ in range(2)]
        text = CONFIG.format(
            state=folder / "state", node=node.url, token=stock.token.address, pyth=pyth.url, share=SHARE
        )
        text += "".join(VENUE.format(name=name, url=v.url) for name, v in zip(("left", "right"), venues, strict=True))
        path = folder / "config.toml"
        path.write_text(text + RULES.replace("{ahead}", str(AHEAD_S)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", "--config", str(path), stderr=asyncio.subprocess.PIPE
        )
        stack.callback(lambda: process.returncode is None and process.kill())
        said, url = "", ""
        async with asyncio.timeout(START_S):
            while not url:
                line = (await process.stderr.readline()).decode()
                assert line, said
                said += line
                if found := re.search(r"page (http://\S+?),", said):
                    url = found[1]
        rest = asyncio.create_task(process.stderr.read())
        run = Run(node, stock, pyth, venues, url)
        printing = asyncio.create_task(run.prints())
        try:
            yield run
        finally:
            printing.cancel()
            await asyncio.gather(printing, return_exceptions=True)
            await run.session.close()
            process.send_signal(signal.SIGTERM)
            code = await process.wait()
            run.said = said + (await rest).decode()
            print(run.said, *run.seen, sep="\n")
        assert (0, False) == (code, "s3cr3t" in run.said)


@pytest.mark.timeout(500)
async def test_a_split_and_a_pause_are_seen_as_what_they_are(chain: Parts, tmp_path: Path) -> None:
    """
    57, 58. A split of 10:1 is announced, and the share follows three seconds late; then one of 2:1, in step. Around
    each the page says why the premium is unknown, metrics have none, nothing is ordered and nothing alarms, and after
    it the premium is what it was. While the issuer pauses the token a discount of 5 % is shown with that reason and not
    traded; it is traded when the pause is over. The journal tells the same.
    """
    async with running(chain, tmp_path) as run:
        await run.until(lambda note, premium, _: not note and premium is not None)
        for value, late_s in ((10.0, 3.0), (20.0, 0.0)):
            at = wall_ns() // 10**9 + AHEAD_S + 4
            await run.stock.change(value, at)
            await run.until(lambda note, premium, _: note == "its multiplier is changing" and premium is None)
            while wall_ns() / 1e9 < at + late_s:
                await run.look()
                await sleep(0.1)
            run.share = 400.0 / value
            await run.until(lambda note, premium, _: not note and premium is not None)
        assert [] == [bps for _, _, bps in run.seen if bps is not None and abs(bps) > 5e-4]
        assert 0 == (await run.look())[2]
        await run.stock.pause(True)
        await run.until(lambda note, premium, _: note == "its issuer has paused it" and premium is None)
        run.prices[1] = 380.0
        for _ in range(20):
            assert ("its issuer has paused it", None, 0) == await run.look()
            await sleep(0.1)
        await run.stock.pause(False)
        await run.until(lambda _, __, orders: orders > 0)
    told = [
        "not traded: TSLA on left, its issuer has paused it",
        "left: what its contract says counts again",
        "node down",
    ]
    assert [True] * 3 == [words in run.said for words in told]
    shown = [note for _, note, bps in run.seen if note and bps is None]
    assert {"its multiplier is changing", "its issuer has paused it"} <= set(shown)
    assert "outlier" not in shown
    journal = next((tmp_path / "state").rglob("*.sqlite*"))
    assert verify(journal).ok
    steps = [msgspec.msgpack.decode(record.payload, type=Step) for record in read(journal, kind="step")]
    notes = [(step, note) for step in steps for note in step.notes]
    assert [10.0, 20.0] == sorted({n.detail["new"] for _, n in notes if n.kind == "multiplier" and n.detail["new"] > 1})
    paused = [step.ts for step, n in notes if is_doubt(n, "doubt_cleared", "paused")]
    assert paused
    assert paused[0] <= min(step.ts for step in steps if step.wishes)
    states = [n.detail["to"] for step, n in notes if n.kind == "peg_state" and step.ts < paused[0]]
    assert not {"STRAINED", "DEPEGGED"} & set(states)


def is_doubt(note: Note, kind: str, why: str) -> bool:
    """Whether a note puts or takes away a doubt for a reason."""
    return note.kind == kind and note.detail.get("why") == why
