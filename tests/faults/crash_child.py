"""A process of its own that trades over a pipe to a venue outside, and may die at any write of its journal.

The engine, the journal and the last door are the real ones; time is the rows', and the venue lives in the test.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from bot.clock import monotonic_s, sleep, wall_ns
from bot.guard import guarded
from bot.holds import Holds
from bot.journal import Journal
from bot.journal_file import JournalError
from bot.journal_reader import read
from bot.keeper import Keeper
from bot.outbox import Outbox
from bot.watchdog import Watchdog
from connectors.orders import Approved, Intent, Report
from connectors.ports import Books
from strategies.base import Step
from tests.bot.test_trades import Ran

Ran(wishes={}).until(0.2)  # compiled once, before children are forked from here


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do."""

    state: str
    """Its folder: the journal, the file KILL."""
    wishes: dict[int, Intent] = {}
    """Plans by second."""
    until_s: int = 15
    """Of the rows' time; a process that was restored goes on from its last record."""
    dies: tuple[str, int] = ("", 0)
    """At the n-th `begin` or `commit` of a transaction, or `send`: durable, and in the moment before it leaves."""
    hangs_s: int = -1
    """The second after whose rows the loop hangs until the other side says a word, watched by a watchdog."""
    breaks_s: int = -1
    """The second before whose rows the disk stops taking anything."""
    memory: int = 0
    """Bytes that the process may still take from the first tick on; then it takes all."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What it says when it ends by itself."""

    positions: dict[int, Decimal]
    open: int
    """Trades that are not over."""
    points: dict[str, int]
    """How often each point was passed at which it might have died."""
    refused: tuple[str, ...]
    """Reasons of the reports that told that something did not leave, or was refused."""


class Points:
    """Counts what was passed, and dies where it is meant to."""

    def __init__(self, dies: tuple[str, int]) -> None:
        self.dies, self.passed = dies, Counter[str]()

    def pass_by(self, what: str) -> None:
        """As kill -9 would: nothing is flushed, closed or told."""
        self.passed[what] += 1
        if (what, self.passed[what]) == self.dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, text: str) -> None:
        """SQLite begins with a statement."""
        if text.startswith(("BEGIN", "COMMIT")):
            self.pass_by(text.split()[0].lower())


class Wire:
    """Executor and Asked whose venue is at the other end of a pipe; legs go one by one."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def _call(self, *words: Any) -> Any:
        self.pipe.send(words)
        return self.pipe.recv()

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Sends each leg."""
        legs = order.intent.legs
        return tuple(self._call("order", order.intent.client_id(n), leg, now) for n, leg in enumerate(legs))

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks."""
        return (self._call("query", client_id, now),)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """An order there is filled or refused when it arrives."""
        return ()

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """What the venue tells."""
        return self._call("answer", due)  # type: ignore[no-any-return]


def live(pipe: Connection, life: Life) -> None:
    """The process; ends by itself with an End on the pipe."""
    os.setpgid(0, 0)
    pipe.send(("end", asyncio.run(_live(pipe, life))))


async def _live(pipe: Connection, life: Life) -> End:
    points, opened = Points(life.dies), list[sqlite3.Connection]()

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        """The journal opens its connection itself and shows it to nobody; so it is met here."""
        if event == "sqlite3.connect/handle":
            opened.append(arguments[0])

    path = Path(life.state) / "journal.sqlite"
    earlier = [msgspec.msgpack.decode(r.payload, type=Step) for r in read(path, kind="step")] if path.exists() else None
    sys.addaudithook(heard)
    holds = Holds(Path(life.state))
    journal = Journal(path)
    opened[-1].set_trace_callback(points.statement)

    def stopped() -> bool:
        points.pass_by("send")
        return holds.flagged()

    keeper = Keeper(journal, monotonic_s)
    outbox = Outbox(keeper, stopped=stopped, clock=lambda: ran.engine.now)
    ran = Ran(wishes=life.wishes, venue=guarded(Wire(pipe), outbox), scribe=keeper, earlier=earlier or None)
    outbox.push = ran.engine.expect
    dog = Watchdog(holds, 0.2, monotonic=monotonic_s, clock=wall_ns)
    while ran.at <= life.until_s * 10:
        if life.memory and ran.at == 1:
            _take_all(life.memory)
        if ran.at == life.breaks_s * 10:
            break_disk(path)
        ran.until(ran.at / 10)
        if ran.at == life.hangs_s * 10 + 1:
            dog.beat()
            pipe.send(("hangs",))
            pipe.recv()
        with suppress(JournalError):
            await journal.wait(journal.seq)
        await sleep(0.0)
    dog.end()
    with suppress(JournalError):
        journal.close()
    return End(
        positions=ran.positions,
        open=len(ran.engine.trades.open),
        points=dict(points.passed),
        refused=tuple(report.reason for step in ran.steps for report in step.reports if report.reason),
    )


def break_disk(journal: Path, by: str = "/dev/full") -> None:
    """From now on what this process writes to the log of a journal goes to another file."""
    log = f"{journal}-wal"
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == log:
                other = os.open(by, os.O_RDWR if by == "/dev/full" else os.O_RDONLY)
                os.dup2(other, int(name))
                os.close(other)


def _take_all(left: int) -> None:
    """Takes memory until none is given."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + left, used + left))
    taken = []
    while True:
        taken.append(bytearray(1 << 20))
