"""`pegline record` and the recorder: every accepted row on the tape, overtaken ones too, whatever ends it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.cli import main
from bot.config_file import load
from bot.inbox import Inbox
from bot.lock import StateLock
from bot.recorder import Recorder
from bot.universe import universe_of
from connectors.errors import TapeError
from connectors.events import NS, Flag, Kind, Rows
from connectors.instruments import Role, UnitModel
from connectors.ports import Levels
from connectors.tape import TapeWriter, open_tape
from tests.servers.kraken import KrakenServer
from tests.servers.venue import PATIENCE_S
from tests.servers.yahoo import YahooServer

NOW = 1_786_720_800 * NS

CONFIG = """
schema_version = 1
[run]
state_dir = "{state}"
[venues.kraken]
kind = "cex"
feed = "kraken"
exchange = "kraken"
url = "{kraken}"
[venues.yahoo]
kind = "broker"
feed = "yahoo"
url = "{yahoo}"
[instruments."kraken:TSLAx/USD"]
token = "TSLAx"
issuer = "xstocks"
unit_model = "rebasing"
[instruments."kraken:USDT/USD"]
role = "coin"
coin = "USDT"
[instruments."yahoo:TSLA"]
role = "share"
underlying = "TSLA"
hours = "extended"
"""


def config_at(folder: Path, kraken: str = "http://127.0.0.1:1", yahoo: str = "http://127.0.0.1:1") -> Path:
    """A config file that listens to local venues."""
    path = folder / "config.toml"
    path.write_text(CONFIG.format(state=folder / "state", kraken=kraken, yahoo=yahoo))
    return path


def test_a_config_becomes_a_universe_with_what_the_registry_knows(tmp_path: Path) -> None:
    """Instruments are numbered in the order of the file; the underlying of a token comes from the registry."""
    universe = universe_of(load(config_at(tmp_path)))
    assert ["kraken:TSLAx/USD", "kraken:USDT/USD", "yahoo:TSLA"] == [i.name for i in universe]
    token = universe[0]
    assert (Role.TOKEN, "TSLA", UnitModel.REBASING) == (token.role, token.underlying, token.unit_model)


async def _line(reader: asyncio.StreamReader, words: str) -> None:
    """Reads until a line holds the words."""
    async with asyncio.timeout(PATIENCE_S):
        while words not in (line := (await reader.readline()).decode()):
            assert line, f"ended before saying {words!r}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_recording_holds_what_the_venues_said(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Told to stop, the command leaves a whole tape with the rows of every feed, and a summary on stdout."""
    async with KrakenServer() as kraken, YahooServer() as yahoo:
        await kraken.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        await kraken.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        words = ["record", "--config", str(config_at(tmp_path, kraken.url, yahoo.url)), "--json"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        try:
            await _line(process.stderr, "recording 3 instruments")
            await yahoo.until(lambda: bool(yahoo.subscribed))
            await yahoo.price("TSLA", 401.25)
            await kraken.follower("TSLAx/USD")
            await kraken.follower("USDT/USD")
            await kraken.settled()
            await yahoo.settled()
            process.send_signal(number)
            async with asyncio.timeout(PATIENCE_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert code == process.returncode, err.decode()
    summary = json.loads(out)
    tape = open_tape(tmp_path / "state" / "tape")
    rows = [row for block in tape.blocks() for row in block]
    assert summary["rows"] == len(rows), summary
    prices = {(row.instrument, row.kind): (row.bid, row.ask) for row in rows}
    assert (400.10, 400.30) == prices[0, Kind.QUOTE]
    assert (0.9998, 0.9999) == prices[1, Kind.FX]
    assert (401.25, 401.25) == prices.get((2, Kind.REFERENCE)), (summary, err.decode(), prices)


def test_a_config_without_live_feeds_has_nothing_to_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 with what to write, and no tape is begun."""
    path = config_at(tmp_path)
    path.write_text(path.read_text().replace('feed = "kraken"', 'feed = "none"').replace('"yahoo"\nurl', '"none"\nurl'))
    out = tmp_path / "out"
    assert 2 == main(["record", "--config", str(path), "--out", str(out), "--seconds", "0.01"])
    assert "feed =" in capsys.readouterr().err
    assert not out.exists()


def test_a_second_recording_on_the_same_state_is_refused(tmp_path: Path) -> None:
    """Exit 9 while another process holds the state."""
    with StateLock(tmp_path / "state"):
        assert 9 == main(["record", "--config", str(config_at(tmp_path)), "--seconds", "0.01"])


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    """--out names a new folder; one with something in it is exit 8."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    words = ["record", "--config", str(config_at(tmp_path)), "--out", str(tmp_path / "out"), "--seconds", "0.01"]
    assert 8 == main(words)


def test_recordings_end_by_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--seconds ends the run with exit 0 and a valid tape of passing time, even when no venue could be reached."""
    path = config_at(tmp_path)
    path.write_text(
        path.read_text().replace('feed = "kraken"', 'feed = "none"').replace("[run]", "[run]\ntimer_s = 0.05")
    )
    assert 0 == main(["record", "--config", str(path), "--out", str(tmp_path / "out"), "--seconds", "0.2"])
    assert "rejected" in capsys.readouterr().out
    kinds = {row.kind for block in open_tape(tmp_path / "out").blocks() for row in block}
    assert {Kind.TICK, Kind.HEALTH} == kinds


async def _never(_: float) -> None:
    """A door to wait through that stays shut."""
    await asyncio.Event().wait()


async def test_the_recorder_keeps_overtaken_rows_in_order(tmp_path: Path) -> None:
    """What the scan skips is on the tape all the same, with its flag; after close the tape holds every row."""
    universe = universe_of(load(config_at(tmp_path)))
    inbox = Inbox(universe, clock=lambda: NOW)
    recorder = Recorder(TapeWriter(tmp_path / "tape", universe), sleep=_never)
    inbox.taps.append(recorder.append)
    for price in (1.0, 2.0, 3.0):
        inbox.put(Kind.QUOTE, 0, bid=price, ask=price + 0.5)
    inbox.take()
    await recorder.flush()
    assert 3 == open_tape(tmp_path / "tape").rows() == recorder.rows
    inbox.put(Kind.QUOTE, 0, bid=4.0, ask=4.5)
    inbox.take()
    await recorder.close()
    rows = Rows.join(list(open_tape(tmp_path / "tape").blocks()))
    assert [1.0, 2.0, 3.0, 4.0] == list(rows.bid)
    assert [Flag.SUPERSEDED, Flag.SUPERSEDED, Flag(0), Flag(0)] == [row.flags for row in rows]


async def test_a_disk_that_refuses_is_an_error_of_the_recorder() -> None:
    """A failed write leaves `run` as the TapeError that it is; nothing is lost silently."""

    class Full:
        """A tape on a full disk."""

        def append(self, rows: Rows, levels: Mapping[int, Levels] | None = None) -> None:
            raise TapeError("no space left on device")

        def flush(self) -> None:
            """Nothing to do."""

        def close(self) -> None:
            """Nothing to do."""

    async def at_once(_: float) -> None:
        return

    recorder = Recorder(Full(), sleep=at_once)
    recorder.append(Rows.of([]))
    with pytest.raises(TapeError):
        await recorder.run()
