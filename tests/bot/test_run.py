"""`pegline run` as its operator meets it: a process on local venues, its page, its signals, its restarts."""

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
import pytest

from bot.cli import main
from bot.commands.run import say
from bot.journal_reader import read, verify
from connectors.orders import Side
from connectors.tape import open_tape
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
feed = "ccxt"
exchange = "kraken"
url = "{kraken}"
taker_fee_bps = 26
latency_ms = 20
key_file = "{key}"
[venues.bybit]
kind = "cex"
feed = "ccxt"
exchange = "bybit"
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


@asynccontextmanager
async def running(config: Path) -> AsyncIterator[Daemon]:
    """`pegline run` on a config; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    daemon = Daemon(process)
    try:
        yield daemon
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await daemon.reading


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


async def test_a_daemon_through_a_trade_rubbish_a_restart_and_a_kill(tmp_path: Path) -> None:
    """
    It trades a gap between two venues once, counts rubbish, ends on SIGTERM, refuses a second start, goes on with
    its ledger, and survives kill -9 with a whole tape and journal; a key never shows.
    """
    key, state = tmp_path / "key", tmp_path / "state"
    key.write_text(f'key = "{CANARY}"\n')
    key.chmod(0o600)
    async with KrakenServer() as kraken, BybitServer() as bybit, YahooServer() as yahoo:
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(state=state, kraken=kraken.url, bybit=bybit.url, yahoo=yahoo.url, key=key))
        await kraken.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        await kraken.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        await bybit.book("TSLAXUSDT", bids=[("410.00", "3")], asks=[("410.20", "2")])
        async with running(config) as daemon:
            await daemon.says("page http")
            await yahoo.until(lambda: bool(yahoo.subscribed))
            await yahoo.price("TSLA", 401.25)
            await daemon.says("gap traded on paper")
            metrics = await daemon.shows(
                "metrics", lambda text: value(text, "pegline_inventory_usd", "bybit") is not None
            )
            assert 410.0 == value(metrics, "pegline_quote_price_usd", "bybit", 'side="bid"') / 0.99985  # type: ignore[operator]
            premium = value(metrics, "pegline_premium_ratio", "kraken")
            assert premium is not None
            assert abs(premium - (400.2 / 401.25 - 1)) < 1e-6
            assert "TSLAx" in await daemon.shows("", lambda text: "TSLAx" in text)
            assert '"status":"ready"' in await daemon.shows("healthz", lambda text: "ready" in text)
            await bybit.book("TSLAXUSDT", bids=[("411.00", "3")], asks=[("409.00", "2")])
            metrics = await daemon.shows(
                "metrics",
                lambda text: (value(text, "pegline_feed_rejected_messages_total", "bybit", "crossed") or 0) > 0,
            )
            assert CANARY not in metrics + daemon.said
            assert 9 == await asyncio.to_thread(main, ["run", "--config", str(config)])
            assert 0 == await asyncio.to_thread(main, ["reconcile", "--config", str(config)])
            assert 0 == await daemon.end(signal.SIGTERM)
        assert {0: 0.25, 1: -0.25} == positions(state)
        assert verify(state / "journal.sqlite").ok
        rows = open_tape(state / "tape").rows()
        assert rows > 4
        await bybit.book("TSLAXUSDT", bids=[("410.00", "3")], asks=[("410.20", "2")])
        yahoo.subscribed.clear()
        async with running(config) as daemon:
            await daemon.says("page http")
            await yahoo.until(lambda: bool(yahoo.subscribed))
            await yahoo.price("TSLA", 401.25)
            metrics = await daemon.shows(
                "metrics", lambda text: (value(text, "pegline_inventory_usd", "kraken") or 0) > 0
            )
            assert abs(value(metrics, "pegline_inventory_usd", "kraken") - 0.25 * 401.25) < 1e-6  # type: ignore[operator]
            await daemon.shows("metrics", lambda text: open_tape(state / "tape").rows() > rows)
            daemon.process.kill()
            await daemon.process.wait()
        assert {0: 0.25, 1: -0.25} == positions(state)
        assert verify(state / "journal.sqlite").ok
        assert await asyncio.to_thread(main, ["tape", "verify", str(state / "tape"), "--json"]) in (0, 5)
        async with running(config) as daemon:
            await daemon.says("page http")
            assert 130 == await daemon.end(signal.SIGINT)
    kept = [path for path in state.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if CANARY.encode() in path.read_bytes()]


def test_a_config_without_a_live_feed_cannot_run(tmp_path: Path) -> None:
    """
    Exit 2: there is nothing to listen to, and no state is made.
    """
    config = tmp_path / "config.toml"
    config.write_text(f'[run]\nstate_dir = "{tmp_path / "state"}"\n')
    assert 2 == main(["run", "--config", str(config)])
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("command", ["run", "record"])
@pytest.mark.parametrize("seconds", ["-5", "0", "nan", "inf"])
def test_a_time_that_cannot_be_is_refused(command: str, seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    --seconds is a number above zero, for the daemon and the recorder alike.
    """
    assert 2 == main([command, "--seconds", seconds])
    assert "is not a number above zero" in capsys.readouterr().err


def test_what_a_venue_says_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The narration of a run shows control characters of a venue's text written out.
    """
    say("bybit: bad message (\x1b[2J)")
    assert "pegline: bybit: bad message (\\x1b[2J)\n" == capsys.readouterr().err


def test_a_missing_key_file_is_exit_4(tmp_path: Path) -> None:
    """
    The config names a key file that is not there.
    """
    config = tmp_path / "config.toml"
    urls = dict.fromkeys(("kraken", "bybit", "yahoo"), "http://127.0.0.1:1")
    config.write_text(CONFIG.format(state=tmp_path / "state", key=tmp_path / "none", **urls))
    assert 4 == main(["run", "--config", str(config)])


async def test_a_halt_by_hand_is_noticed_recorded_and_outlives_a_restart(tmp_path: Path) -> None:
    """
    `touch KILL` while it runs: the page says so, nothing is traded although there is a gap, with the file deleted and
    the process killed it still holds, and unkill lifts it.
    """
    key, state = tmp_path / "key", tmp_path / "state"
    key.write_text(f'key = "{CANARY}"\n')
    key.chmod(0o600)
    async with KrakenServer() as kraken, BybitServer() as bybit, YahooServer() as yahoo:
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(state=state, kraken=kraken.url, bybit=bybit.url, yahoo=yahoo.url, key=key))
        await kraken.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        await kraken.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        await bybit.book("TSLAXUSDT", bids=[("400.10", "3")], asks=[("400.30", "2")])
        async with running(config) as daemon:
            await daemon.says("page http")
            await daemon.says("bybit is heard")
            (state / "KILL").touch()
            await daemon.says("held back: all HALT by flag")
            await daemon.shows("metrics", lambda text: value(text, "pegline_kill_switch_engaged", 'scope="all"') == 1)
            await yahoo.until(lambda: bool(yahoo.subscribed))
            await yahoo.price("TSLA", 401.25)
            await bybit.book("TSLAXUSDT", bids=[("410.00", "3")], asks=[("410.20", "2")])
            await daemon.shows(
                "metrics",
                lambda text: (value(text, "pegline_opportunities_skipped_total", 'reason="killed"') or 0) > 0,
            )
            daemon.process.kill()
            await daemon.process.wait()
        (state / "KILL").unlink()
        async with running(config) as daemon:
            await daemon.says("held back: all HALT by flag")
            assert 0 == main(["unkill", "--config", str(config), "--reason", "a drill"])
            await daemon.says("all is resumed by")
            assert -9 == await daemon.end(signal.SIGKILL)
    assert {} == positions(state)
