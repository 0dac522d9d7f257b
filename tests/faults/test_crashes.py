"""Processes that die: at each write of the journal, between two legs, without memory, killed while they hang.

The venue outlives them and knows what it was sent; a second process takes over where the first one died.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.clock import monotonic_s
from bot.holds import KILL
from bot.journal_reader import read, verify
from connectors.orders import Fill, Leg, Outcome, Report, Side
from tests.bot.test_trades import BEGIN, MS, A, B, plan
from tests.faults.crash_child import End, Life, live

FORKS = multiprocessing.get_context("forkserver")
"""Children are forked from a process that has read all modules and nothing else."""
FORKS.set_forkserver_preload(["tests.faults.crash_child"])


class Venue:
    """What the world outside knows: it fills each order whole, refuses those it is told to, and says so later."""

    def __init__(self, refuses: tuple[str, ...] = (), *, after_ms: int = 100) -> None:
        self.refuses, self.sent, self.asked = refuses, dict[str, Leg](), list[str]()
        self.after_ms = after_ms
        self.dues: dict[int, list[str]] = {}
        self.on_order: Callable[[str], None] = lambda client_id: None
        """Called when an order has come and its sender was not told so yet."""

    def order(self, client_id: str, leg: Leg, now: int) -> int:
        """Takes an order; the same one twice is what must never be."""
        assert client_id not in self.sent, f"{client_id} was sent twice"
        self.sent[client_id] = leg
        self.on_order(client_id)
        return self._later(client_id, now)

    def query(self, client_id: str, now: int) -> int:
        """Says it again."""
        self.asked.append(client_id)
        return self._later(client_id, now)

    def _later(self, client_id: str, now: int) -> int:
        due = now + self.after_ms * MS
        self.dues.setdefault(due, []).append(client_id)
        return due

    def answer(self, due: int) -> tuple[Report, ...]:
        """What is told at a moment."""
        return tuple(self._report(client_id) for client_id in self.dues.pop(due, ()))

    def filled(self, client_id: str) -> bool:
        """Whether an order traded."""
        return client_id in self.sent and client_id not in self.refuses

    def _report(self, client_id: str) -> Report:
        if not self.filled(client_id):
            return Report(client_id=client_id, intent_id="", leg=0, outcome=Outcome.REFUSED, reason="venue")
        leg = self.sent[client_id]
        fill = Fill(id=f"{client_id}.1", client_id=client_id, instrument=leg.instrument, side=leg.side,
                    quantity=leg.quantity, price=leg.seen, fee=Decimal(0), fx=Decimal(1), ts=BEGIN)  # fmt: skip
        return Report(client_id=client_id, intent_id="", leg=0, outcome=Outcome.ACCEPTED, fills=(fill,))

    @property
    def positions(self) -> dict[int, Decimal]:
        """What our account holds."""
        held: dict[int, Decimal] = {}
        for client_id, leg in self.sent.items():
            if self.filled(client_id):
                sign = 1 if leg.side is Side.BUY else -1
                held[leg.instrument] = held.get(leg.instrument, Decimal(0)) + sign * leg.quantity
        return {number: units for number, units in held.items() if units}


class Process:
    """One life of the bot, served by the venue until its end."""

    def __init__(self, life: Life, venue: Venue) -> None:
        self.pipe, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=live, args=(theirs, life))
        self.process.start()
        theirs.close()
        self.venue = venue

    def kill(self) -> None:
        """As the system would: at once."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)

    def served(self, hangs: Callable[[], None] = lambda: None) -> End | None:
        """Answers what it asks until it ends by itself, which gives its last word, or dies."""
        try:
            while True:
                what, *words = self.pipe.recv()
                if what == "end":
                    return words[0]  # type: ignore[no-any-return]
                told: Any = hangs() if what == "hangs" else getattr(self.venue, what)(*words)
                self.pipe.send(told)
        except (EOFError, ConnectionError):
            return None

    def ended(self) -> int:
        """How."""
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode


@contextmanager
def lived(life: Life, venue: Venue) -> Iterator[Process]:
    """A process, gone at the end."""
    process = Process(life, venue)
    try:
        yield process
    finally:
        process.process.kill()
        process.process.join()
        process.pipe.close()


def recovered(state: Path, venue: Venue, **more: Any) -> End:
    """A second life goes on from the journal: all is over, and its books are what the venue's account says."""
    assert not (state / "journal.sqlite").exists() or verify(state / "journal.sqlite").ok
    with lived(Life(state=str(state), **more), venue) as process:
        end = process.served()
        assert end is not None and 0 == process.ended()
    assert 0 == end.open
    assert venue.positions == end.positions
    return end


def died(state: Path, venue: Venue, *dies: Any) -> None:
    """A first life on two plans that ends by kill -9."""
    state.mkdir()
    with lived(Life(state=str(state), wishes=TWO, dies=dies), venue) as process:
        assert process.served() is None
        assert -signal.SIGKILL == process.ended()


def killer(process: Process, count: int) -> Callable[[str], None]:
    """Kills the process when the venue has so many orders, before it is told that the last one came."""

    def kill(client_id: str) -> None:
        if len(process.venue.sent) == count:
            process.kill()

    return kill


FRAME = 24 + 4096
"""Of SQLite's log: a commit ends with one."""


def records(state: Path) -> int:
    """How many a journal holds."""
    return len(list(read(state / "journal.sqlite")))


EACH_THIRD = "PEGLINE_SWEEP" in os.environ
"""Whether each write is torn in three places; else each in one of them, in turn."""
REFUSED = ("t-1",)
"""The second leg of the first plan is refused, so that a hedge must follow."""
TWO = {1: plan(), 5: plan("u")}
HEDGED = {A: Decimal(10), B: Decimal(-10)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> End:
    """A life that nobody ends: plan, refusal, hedge, end; and a plan that is filled."""
    venue = Venue(REFUSED)
    with lived(Life(state=str(tmp_path_factory.mktemp("whole")), wishes=TWO), venue) as process:
        end = process.served()
    assert end is not None
    assert {A: 20, B: -20} == end.positions == venue.positions
    assert ["t-0", "t-1", "t.h1-0", "u-0", "u-1"] == list(venue.sent)
    return end


@pytest.mark.parametrize("what", ["begin", "commit", "send"])
def test_row_65_kill_9_at_each_journal_write(what: str, whole: End, tmp_path: Path) -> None:
    """
    Before a transaction, with its records in it, or durable and not sent yet: the next process has each trade at its
    end, no order twice, and the books of the venue.
    """
    assert whole.points[what] >= 3
    traded = 0
    for number in range(1, whole.points[what] + 1):
        venue, state = Venue(REFUSED), tmp_path / str(number)
        died(state, venue, what, number)
        held = recovered(state, venue).positions
        assert 0 == sum(held.values())
        traded += bool(held)
    assert traded >= 2


def test_row_65_a_write_that_the_disk_has_half(whole: End, tmp_path: Path) -> None:
    """
    The last commit is torn at a third of it, and what it allowed was not sent: the next process goes on without it.
    """
    for number in range(1, whole.points["send"] + 1):
        for third in range(3) if EACH_THIRD else [number % 3]:
            venue, state = Venue(REFUSED), tmp_path / f"{number}-{third}"
            died(state, venue, "send", number)
            copy, log = tmp_path / "copy", state / "journal.sqlite-wal"
            shutil.copytree(state, copy, dirs_exist_ok=True)
            log.write_bytes(log.read_bytes()[: -FRAME + third * FRAME // 3])
            (state / "journal.sqlite-shm").unlink()
            assert records(state) < records(copy)
            recovered(state, venue)


def test_row_66_kill_9_between_two_legs(tmp_path: Path) -> None:
    """
    The venue has the first leg and never hears of the second: the next process asks about both, hedges what is naked,
    and opens nothing of the share before; what it wishes then is traded.
    """
    venue = Venue(after_ms=1500)
    with lived(Life(state=str(tmp_path), wishes={1: plan()}), venue) as process:
        venue.on_order = killer(process, 1)
        assert process.served() is None
    assert ["t-0"] == list(venue.sent)
    venue.on_order = lambda client_id: None
    end = recovered(tmp_path, venue, wishes={2: plan("early"), 8: plan("u")})
    assert ["t-0", "t-1"] == sorted(venue.asked)
    assert ["t-0", "t.h1-0", "u-0", "u-1"] == list(venue.sent)
    assert {A: 20, B: -20} == end.positions


@pytest.mark.parametrize("count", [1, 2, 3])
def test_row_65_kill_9_when_an_order_has_left_and_nobody_knows(count: int, tmp_path: Path) -> None:
    """
    Whichever order it is: it is found by its client id and never sent again.
    """
    venue = Venue(REFUSED)
    with lived(Life(state=str(tmp_path), wishes={1: plan()}), venue) as process:
        venue.on_order = killer(process, count)
        assert process.served() is None
    venue.on_order = lambda client_id: None
    begun = monotonic_s()
    end = recovered(tmp_path, venue)
    print(f"recovered in {monotonic_s() - begun:.2f} s")
    assert HEDGED == end.positions


def test_row_71_without_memory_the_process_ends_and_the_next_goes_on(tmp_path: Path) -> None:
    """
    The system gives no more: it ends with an error that is no success, its journal is whole, and the next one trades.
    """
    venue = Venue()
    with lived(Life(state=str(tmp_path), wishes={1: plan()}, memory=32 << 20), venue) as process:
        assert process.served() is None
        assert 1 == process.ended()
    assert verify(tmp_path / "journal.sqlite").ok
    assert HEDGED == recovered(tmp_path, venue, wishes={1: plan()}).positions


def test_row_79_a_kill_while_the_loop_hangs(tmp_path: Path) -> None:
    """
    The plan is decided and the loop hangs before it leaves; the watchdog halts from its thread. When the loop comes
    back not one order leaves, and none after that.
    """
    venue = Venue()

    def wait() -> None:
        begun = monotonic_s()
        while not (tmp_path / KILL).exists():
            assert monotonic_s() - begun < 60
        print(f"halted after {monotonic_s() - begun:.2f} s")

    life = Life(state=str(tmp_path), wishes={1: plan(), 3: plan("u")}, hangs_s=1)
    with lived(life, venue) as process:
        end = process.served(hangs=wait)
    assert end is not None
    assert {} == venue.sent
    assert ("killed",) * 2 == end.refused[:2]
    assert {} == end.positions


def test_row_79_a_kill_while_orders_are_sent(tmp_path: Path) -> None:
    """
    The file appears when the first leg has left: its trade leaves whole, for half of one would be naked, and nothing
    after it, no hedge either.
    """
    venue = Venue(REFUSED)
    venue.on_order = lambda client_id: (tmp_path / KILL).touch()
    with lived(Life(state=str(tmp_path), wishes={1: plan()}), venue) as process:
        end = process.served()
    assert end is not None
    assert ["t-0", "t-1"] == list(venue.sent)
    assert "killed" in end.refused
    assert {A: 10} == end.positions == venue.positions
