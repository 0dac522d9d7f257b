"""`pegline run` as its operator meets it: a process on local venues, its page, its signals, its restarts."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest

from bot.cli import main
from bot.commands.run import say
from bot.journal_reader import verify
from connectors.tape import open_tape
from tests.daemon import CANARY, CONFIG, place, positions, value

BY_CCXT = re.sub(r'feed = "(kraken|bybit)"', r'feed = "ccxt"\nexchange = "\1"', CONFIG)


@pytest.mark.timeout(300)
async def test_a_daemon_through_a_trade_rubbish_a_restart_and_a_kill(tmp_path: Path) -> None:
    """
    It trades a gap between two venues once, counts rubbish, ends on SIGTERM, refuses a second start, goes on with
    its ledger, and survives kill -9 with a whole tape and journal; a key never shows.
    """
    async with place(tmp_path, BY_CCXT) as here:
        config, state = here.config, here.state
        await here.gap()
        async with here.running() as daemon:
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
            await here.bybit.book("TSLAXUSDT", bids=[("411.00", "3")], asks=[("409.00", "2")])
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
        await here.gap()
        async with here.running() as daemon:
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
        async with here.running(share=False) as daemon:
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
    async with place(tmp_path) as here:
        flag = here.state / "KILL"
        async with here.running(share=False) as daemon:
            await daemon.says("bybit is heard")
            flag.touch()
            await daemon.says("held back: all HALT by flag")
            await daemon.shows("metrics", lambda text: value(text, "pegline_kill_switch_engaged", 'scope="all"') == 1)
            await here.share()
            await here.gap()
            await daemon.shows(
                "metrics",
                lambda text: (value(text, "pegline_opportunities_skipped_total", 'reason="killed"') or 0) > 0,
            )
            daemon.process.kill()
            await daemon.process.wait()
        flag.unlink()
        async with here.running(share=False) as daemon:
            await daemon.says("held back: all HALT by flag")
            assert 0 == main(["unkill", "--config", str(here.config), "--reason", "a drill"])
            await daemon.says("all is resumed by")
            assert -9 == await daemon.end(signal.SIGKILL)
    assert {} == positions(here.state)
