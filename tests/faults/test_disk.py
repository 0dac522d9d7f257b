"""The disk's faults: torn and turned bytes, full, refusing, slow, held by somebody else. Nothing leaves without its
record, and what is heard is watched all the same."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.holds import Holds
from bot.journal import Journal
from bot.journal_file import Durability, JournalError
from bot.journal_reader import read, verify
from bot.upkeep import free_ratio
from monitoring.facts import SLOW_S, LoopState
from strategies.execution.latch import ALL, Hold, Mode
from tests.bot.test_trades import plan
from tests.faults.crash_child import Life, break_disk
from tests.faults.market import Market, open_market
from tests.faults.test_books import NATIVE
from tests.faults.test_crashes import FRAME, Venue, lived, recovered
from tests.faults.test_feeds import report

ONE = NATIVE[:1]


def test_row_67_a_tail_that_is_torn_or_turned_anywhere(tmp_path: Path) -> None:
    """
    In the log of SQLite, which a crash leaves behind, the last commit is cut off or has a byte turned over: wherever
    that is, the records before it stand, no other is made up, and the journal goes on.
    """
    path, copy = tmp_path / "j.db", tmp_path / "copy.db"
    with Journal(path) as journal:
        for n in range(3):
            journal.append("step", n, b"payload %d" % n)
            journal.flush()
        written = [record.hash for record in read(path)]
        database, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    begin = len(log) - FRAME
    record = log.rindex(written[2]) - 40
    cuts = [log[:at] for at in (*range(begin, begin + 32), *range(record, record + 80), len(log) - 1)]
    turns = [log[:at] + bytes([log[at] ^ 0xFF]) + log[at + 1 :]
             for at in (*range(begin, begin + 24), *range(record, record + 80))]  # fmt: skip
    for torn in (*cuts, *turns):
        copy.write_bytes(database)
        Path(f"{copy}-wal").write_bytes(torn)
        Path(f"{copy}-shm").unlink(missing_ok=True)
        with Journal(copy, durability=Durability.BATCHED) as journal:
            assert 2 == journal.seq
            assert written[1].hex() == journal.hash()
            journal.append("step", 9, b"goes on")
    assert verify(copy).ok and 3 == verify(copy).records


def test_row_67_what_is_not_the_tail_stops_loudly(tmp_path: Path) -> None:
    """
    A byte of an earlier record is turned over in the file: the valid beginning is told, and nothing is written behind.
    """
    path = tmp_path / "j.db"
    with Journal(path) as journal:
        for n in range(3):
            journal.append("step", n, b"payload %d" % n)
    whole = path.read_bytes()
    at = whole.index(b"payload 1")
    path.write_bytes(whole[:at] + b"X" + whole[at + 1 :])
    verdict = verify(path)
    assert not verdict.ok and 1 == verdict.records


@pytest.mark.parametrize("second", [1, 4])
def test_row_68_nothing_leaves_without_its_record(second: int, tmp_path: Path) -> None:
    """
    The disk is full from a second on: what was decided in it and after it is refused by us and reaches no venue, the
    process goes on, and the next one, with room, has the venue's books and trades.
    """
    venue = Venue()
    life = Life(state=str(tmp_path), wishes={1: plan(), 4: plan("u")}, breaks_s=second)
    with lived(life, venue) as process:
        end = process.served()
        assert end is not None and 0 == process.ended()
    assert {1: [], 4: ["t-0", "t-1"]}[second] == list(venue.sent)
    assert ("unrecorded", "unrecorded") == end.refused[:2]
    assert verify(tmp_path / "journal.sqlite").ok
    recovered(tmp_path, venue, wishes={8: plan("v")})
    assert ["v-0", "v-1"] == list(venue.sent)[-2:]


@contextmanager
def held(journal: Path) -> Iterator[None]:
    """Another process has the journal."""
    other = sqlite3.connect(journal, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def say_something(market: Market, why: str) -> None:
    """Somebody pauses a token: that is recorded within a second."""
    hold = Hold(scope="token:T", mode=Mode.REDUCE, cause="operator", why=why, at=market.daemon.engine.now)
    state = market.daemon.doors.state
    assert state is not None
    Holds(state).set(hold)


def journal_of(market: Market) -> Path:
    """Where the daemon writes."""
    state = market.daemon.doors.state
    assert state is not None
    return state / "journal.sqlite"


def metrics(market: Market) -> dict[str, float]:
    """What has no labels, by name without prefix."""
    registry = market.daemon.desk.registry
    return {one.name.removeprefix("pegline_"): one.samples[0].value for one in registry.collect()
            if one.samples and not one.samples[0].labels}  # fmt: skip


async def watches_on(market: Market, step: int) -> None:
    """New books are seen as the venue shows them."""
    await market.show_all(step)
    await market.agrees()


async def ends_trading(market: Market, words: str) -> None:
    """The journal has failed: everything is halted and told, quotes are watched, and the file is whole."""
    await market.until(lambda: metrics(market)["journal_up"] == 0)
    await watches_on(market, 1)
    await market.until(lambda: any("nothing leaves any more" in text for text in market.said))
    (hold,) = [hold for hold in market.daemon.engine.memory.latch.holds if hold.scope == ALL]
    assert (Mode.HALT, "journal") == (hold.mode, hold.cause)
    assert re.search(words, hold.why)
    assert 0 == metrics(market)["journal_behind_seconds"]
    picture = market.daemon.desk.picture()
    assert any("nothing is recorded" in trouble for trouble in picture.troubles)
    assert "degraded" == market.daemon.desk.health(picture).status
    say_something(market, "later")  # what changes on disk lifts nothing
    await market.until(lambda: any(hold.why == "later" for hold in market.daemon.engine.memory.latch.holds))
    assert hold in market.daemon.engine.memory.latch.holds
    assert verify(journal_of(market)).ok


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("by", "words"), [("/dev/full", "disk is full"), ("/", "I/O error")], ids=["full", "eio"])
async def test_rows_68_and_69_a_disk_that_refuses_ends_trading_and_not_the_watch(by: str, words: str) -> None:
    """
    68, 69. Full, or with an error of the hardware: halted and told, quotes go on; at the end the run says so.
    """
    with pytest.raises(JournalError, match=words):
        async with open_market(ONE) as market:
            await market.agrees(patience_s=60)
            assert 1 == metrics(market)["journal_up"]
            with report(68, words) as times:
                break_disk(journal_of(market), by)
                say_something(market, "now")
                times["detected"] = await market.until(lambda: bool(market.daemon.keeper.failed))
            await ends_trading(market, words)


@pytest.mark.timeout(120)
async def test_rows_69_and_70_a_commit_that_takes_seconds_holds_up_orders_alone() -> None:
    """
    69, 70. Another process holds the journal for a while, as a disk does whose commit hangs: quotes are watched as
    ever, the wait is told; with the commit all is as before, and nothing is lost.
    """
    async with open_market(ONE) as market:
        await market.agrees(patience_s=60)
        daemon = market.daemon
        with held(journal_of(market)):
            say_something(market, "now")
            await market.until(lambda: daemon.keeper.behind_s > SLOW_S)
            await watches_on(market, 1)
            await market.until(lambda: any("the disk hangs" in text for text in market.said))
            assert metrics(market)["journal_waiting_records"] >= 1
            assert not daemon.keeper.durable(daemon.keeper.seq)
        await market.until(lambda: daemon.keeper.durable(daemon.keeper.seq))
        await market.until(lambda: not daemon.upkeep.loop_state().wants())
        assert 1 == metrics(market)["journal_up"]
        assert daemon.keeper.seq == verify(journal_of(market)).records


@pytest.mark.timeout(120)
async def test_row_70_a_journal_that_is_held_too_long_is_a_clear_failure() -> None:
    """
    70. Longer than five seconds: trading ends with the word of the lock, and the watch goes on, also when the other
    lets go.
    """
    with pytest.raises(JournalError, match="locked"):
        async with open_market(ONE) as market:
            await market.agrees(patience_s=60)
            with held(journal_of(market)):
                say_something(market, "now")
                await market.until(lambda: bool(market.daemon.keeper.failed))
            await ends_trading(market, "locked")


def test_a_disk_is_told_before_it_is_full(tmp_path: Path) -> None:
    """
    68. Less than a tenth is free: a sentence; the share is that of the file system.
    """
    assert {} == LoopState(disk_free_ratio=0.1).wants()
    assert "9.9%" in LoopState(disk_free_ratio=0.099).wants()["disk"]
    total, _, free = shutil.disk_usage(tmp_path)
    found = free_ratio(tmp_path)
    assert found is not None and abs(found - free / total) < 0.01
    assert free_ratio(tmp_path / "none") is None
