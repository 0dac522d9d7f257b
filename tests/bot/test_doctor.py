"""`pegline doctor`: what is wrong is found, named with a remedy, and ends with its code; what is well is ok."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from bot.checkup import clock
from bot.cli import main
from bot.findings import Line, State, code_of, lines_of
from bot.journal import Journal
from bot.lock import StateLock
from connectors.ports import Finding
from strategies.base import Note, Step
from tests.bot.test_venues_command import Asked, ask, cex, write
from tests.servers.kraken import KrakenServer

BASE = """
[venues.gate]
kind = "cex"
[venues.r]
kind = "oracle"
[instruments."gate:TSLAON/USDT"]
token = "TSLAon"
multiplier = 1.0043
[instruments."r:TSLA"]
role = "share"
underlying = "TSLA"
"""


async def offline(capsys: pytest.CaptureFixture[str], path: Path) -> Asked:
    """The doctor without venues."""
    return await ask(capsys, "doctor", "--offline", "--json", "--config", str(path))


def journal(folder: Path, *notes: Note) -> Path:
    """A journal of one run over BASE that told these notes."""
    import msgspec

    (folder / "state").mkdir(exist_ok=True)
    path = folder / "state" / "journal.sqlite"
    start = Note(kind="start", detail={"instruments": "gate:TSLAON/USDT\nr:TSLA"})
    with Journal(path) as kept:
        for number, note in enumerate((start, *notes), 1):
            step = Step(seq=number, ts=number, cause="timer", notes=(note,))
            kept.append("step", number, msgspec.msgpack.encode(step))
    return path


async def test_a_machine_that_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Python, cache, config, folder, lock, journal and tape are ok, or say why not; nothing fails, and the exit is 0.
    """
    told = await offline(capsys, write(tmp_path, BASE))
    assert 0 == told.code
    for place, what in (("machine", "python"), ("config", "file"), ("state", "folder"), ("state", "lock")):
        assert ["ok"] == told.states(place, what)
    assert ["warn"] == told.states("sources", "share"), "one witness cannot be told from a late one"
    text = (await ask(capsys, "doctor", "--offline", "--config", str(tmp_path / "config.toml"))).out
    assert "0 failed" in text
    assert 100 >= max(map(len, text.splitlines()))


async def test_mistakes_of_the_config_are_lines_and_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every mistake is a line of its own; the machine is looked at all the same.
    """
    told = await offline(capsys, write(tmp_path, "[gates]\nplausible = 3\nstub = 1\n"))
    assert 3 == told.code
    assert 2 == len(told.found("config", "mistake"))
    assert ["ok"] == told.states("machine", "python")
    absent = await offline(capsys, tmp_path / "none.toml")
    assert 3 == absent.code


async def test_a_journal_that_was_changed_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    One changed byte in its last records: exit 5 with what to do. Untouched it is ok.
    """
    config = write(tmp_path, BASE)
    path = journal(tmp_path, Note(kind="fair_known", underlying="TSLA"))
    assert ["ok"] == (await offline(capsys, config)).states("state", "journal")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET ts = ts + 1 WHERE seq = 2")
    connection.close()
    told = await offline(capsys, config)
    assert 5 == told.code
    (found,) = told.found("state", "journal")
    assert ("fail", True) == (found["state"], "record 2" in found["detail"])


async def test_a_run_beside_it_is_seen_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    While another process holds the state the doctor names it, and takes nothing from it.
    """
    config = write(tmp_path, BASE)
    with StateLock(tmp_path / "state"):
        told = await offline(capsys, config)
        assert 0 == told.code
        assert "runs on this state" in told.found("state", "lock")[0]["detail"]
    assert "free" == (await offline(capsys, config)).found("state", "lock")[0]["detail"]


@pytest.mark.parametrize("basis, state", [("unit", "ok"), ("ambiguous", "warn"), ("impossible", "fail"), ("", "warn")])
async def test_what_a_price_is_of_comes_from_the_journal(
    basis: str, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Told by an earlier run, ambiguous, impossible, or not yet.
    """
    config = write(tmp_path, BASE)
    journal(tmp_path, *([Note(kind="basis", instrument=0, detail={"basis": basis})] if basis else []))
    told = await offline(capsys, config)
    assert [state] == told.states("basis", "price_of")
    assert (5 if state == "fail" else 0) == told.code


async def test_venues_are_asked_and_our_clock_is_judged_by_all_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Two of three venues are five seconds ahead of us: our own clock is told as wrong; exit 5.
    """

    def ahead() -> int:
        return time.time_ns() + 5 * 10**9  # noqa: TID251 - a stand-in for the world

    async with KrakenServer() as a, KrakenServer(ahead) as b, KrakenServer(ahead) as c:
        tables = [cex(name, server.url, "TSLAx/USD", feed="kraken") for name, server in (("a", a), ("b", b), ("c", c))]
        told = await ask(capsys, "doctor", "--json", "--config", str(write(tmp_path, *tables)))
    assert 5 == told.code
    (ours,) = told.found("machine", "wall_clock")
    assert "fail" == ours["state"]
    assert abs(ours["value"] + 5) < 1.5
    assert (["ok"], ["fail"]) == (told.states("a", "clock"), told.states("b", "clock"))


def found(**more: Any) -> list[Line]:
    """The line of one finding."""
    return lines_of("v", [Finding(**more)], taker_fee_bps=26.0)


def test_a_fee_that_differs_is_weighed_by_who_says_it() -> None:
    """
    Read for this account it fails, published for a tier it is a warning, the same it is ok.
    """
    own = found(what="fees", ok=True, value=40.0, unit="bps", detail="taker by this account")
    listed = found(what="fees", ok=False, value=40.0, unit="bps", detail="taker by the venue's list")
    same = found(what="fees", ok=True, value=26.0, unit="bps", detail="taker")
    assert [State.FAIL, State.WARN, State.OK] == [line.state for line in (*own, *listed, *same)]
    assert "the config says 26" in own[0].detail


def test_of_several_failures_the_most_basic_one_is_the_exit_code() -> None:
    """
    A right that is refused before a venue that is gone before a check that failed; warnings are 0.
    """
    gone = found(what="reachable", ok=False)
    refused = found(what="entitlement", ok=False)
    wrong = found(what="symbol", ok=False)
    assert [0, 5, 7, 4] == [
        int(code_of(lines)) for lines in (found(what="status", ok=None), wrong, wrong + gone, gone + refused + wrong)
    ]
    assert all(line.hint for line in (*gone, *wrong))


def test_one_venue_cannot_judge_our_clock() -> None:
    """
    With one answer, or none, it is a warning.
    """
    one = found(what="clock", ok=False, value=5.0, unit="s")
    assert [State.WARN] == [line.state for line in clock(one)]
    assert [State.WARN] == [line.state for line in clock([])]
    assert [State.FAIL] == [line.state for line in clock(one + one)]


def test_help_says_what_the_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    """
    `pegline help doctor` and the topic on bases.
    """
    assert 0 == main(["help", "doctor"])
    assert "7 where a venue cannot be" in capsys.readouterr().out
    assert 0 == main(["help", "basis"])
    assert "calibrate" in capsys.readouterr().out
    assert 2 == main(["doctor", "--limit", "-1", "--offline"])
