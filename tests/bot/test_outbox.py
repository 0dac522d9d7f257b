"""The last door: nothing leaves before its record is durable, and what does not leave is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path

import pytest

from bot.clock import monotonic_s, sleep, wall_ns
from bot.guard import AskedGuard, Guard, PrimaryGuard, guarded, guarded_issuers
from bot.holds import KILL, Holds
from bot.journal import Journal
from bot.keeper import Keeper
from bot.outbox import Outbox
from connectors.orders import Approved, Conversion, ConversionState, Intent, Leg, Outcome, Progress, Report, Side
from connectors.ports import Asked, Books, Bounds, Soft

MS = 1_000_000
BOOKS: Books = None  # type: ignore[assignment]


class SlowDisk:
    """A journal on virtual time: a record is durable when the test says so."""

    def __init__(self) -> None:
        self.seq, self.safe, self.failed = 0, 0, ""
        self.calls: list[tuple[int, Callable[[], None]]] = []

    def durable(self, seq: int) -> bool:
        """Whether it has been committed."""
        return seq <= self.safe

    def when(self, seq: int, call: Callable[[], None]) -> None:
        """Kept until a commit or a failure."""
        self.calls.append((seq, call))
        self._tell()

    def commit(self, seq: int) -> None:
        """All up to here is safe."""
        self.safe = seq
        self._tell()

    def fail(self, why: str) -> None:
        """Nothing more will be."""
        self.failed = why
        self._tell()

    def _tell(self) -> None:
        due = [call for seq, call in self.calls if self.failed or seq <= self.safe]
        self.calls = [one for one in self.calls if not self.failed and one[0] > self.safe]
        for call in due:
            call()


class Venue:
    """An executor that keeps what it was given, and when."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Keeps it; answers in 7 ns."""
        self.sent.append((order.intent.id, now))
        return (now + 7,)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """Nothing to tell."""
        return ()


class AskedVenue(Venue):
    """One that can be asked."""

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Keeps it."""
        self.sent.append((f"query {client_id}", now))
        return (now,)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Keeps it."""
        self.sent.append((f"cancel {client_id}", now))
        return (now,)


class Issuer:
    """An issuer's door that keeps what it was given."""

    issuer = "i"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def quote(self, *, mint: bool, source: int, target: int, quantity: D, now: int) -> Soft | None:
        """One for one."""
        return Soft(expected=quantity, fee_usd=D(0), until_ns=now, delay_s=1.0)

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        """Open."""
        return Bounds(closed="", least=D(1), most=D(10), opens_ns=0)

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """Keeps it."""
        self.asked.append(order.id)
        return (now + 7,)

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """Keeps it."""
        self.asked.append(f"status {id}")
        return ()

    def progress(self, due: int) -> tuple[Progress, ...]:
        """Nothing to tell."""
        return ()


class Door:
    """A door on virtual time before a venue and an issuer; records are numbered 1, 2, ..."""

    def __init__(self, *, waits: bool = True) -> None:
        self.now, self.killed = 0, False
        self.disk, self.venue, self.issuer = SlowDisk(), AskedVenue(), Issuer()
        self.outbox = Outbox(self.disk, stopped=lambda: self.killed, clock=lambda: self.now, waits=waits)
        self.pushed: list[int] = []
        self.outbox.push = self.pushed.append
        executor = guarded(self.venue, self.outbox)
        assert isinstance(executor, AskedGuard)
        self.executor = executor
        self.primary = guarded_issuers(lambda usd, shares: {"i": self.issuer}, self.outbox)(float, float)["i"]

    def decide(self, id: str, deadline: int = 1000 * MS) -> tuple[int, ...]:
        """A record is appended, and what it allows is handed over."""
        self.disk.seq += 1
        return self.executor.submit(order(id, deadline), self.now)

    def told(self) -> list[tuple[str, str]]:
        """Client id and word of all that was told as refused at the moments pushed so far."""
        reports = [report for due in self.pushed for report in self.executor.answer(due, BOOKS)]
        assert all(report.outcome is Outcome.REFUSED and report.final for report in reports)
        return [(report.client_id, report.reason) for report in reports]


def order(id: str, deadline: int = 1000 * MS) -> Approved:
    """An order of two legs."""
    legs = tuple(Leg(instrument=at, side=side, quantity=D(1), limit=D(1), seen=D(1)) for at, side in enumerate(Side))
    return Approved(
        Intent(id=id, strategy="x", legs=legs, reason="", edge_bps=0.0, notional_usd=D(1), deadline_ns=deadline)
    )


def mint(id: str = "m") -> Conversion:
    """A request to the issuer."""
    return Conversion(
        id=id, issuer="i", mint=True, source=0, target=1, quantity=D(1), expected=D(1), least=D(1), sla_ns=1000 * MS,
        underlying="X", reason="",
    )  # fmt: skip


def test_an_order_leaves_when_its_record_is_durable_and_not_before() -> None:
    """With both legs at once, at the moment of durability; its answers are asked for from there on."""
    door = Door()
    assert () == door.decide("a")
    door.now = 4 * MS
    assert [] == door.venue.sent
    door.disk.commit(1)
    assert [("a", 4 * MS)] == door.venue.sent
    assert [4 * MS + 7] == door.pushed
    assert [] == door.told()


def test_a_record_that_is_durable_already_holds_up_nothing() -> None:
    """The order leaves at once, as without a door."""
    door = Door()
    door.disk.safe = 1
    assert (7,) == door.decide("a")
    assert [("a", 0)] == door.venue.sent


def test_orders_leave_in_the_order_of_their_decisions() -> None:
    """What is durable together leaves together; what is not stays, also where a later decision could leave."""
    door = Door()
    for id in ("a", "b", "c"):
        door.decide(id)
    door.disk.commit(2)
    assert ["a", "b"] == [id for id, _ in door.venue.sent]
    door.disk.commit(3)
    assert ["a", "b", "c"] == [id for id, _ in door.venue.sent]


def test_what_was_decided_first_leaves_first_also_where_the_commit_is_not_told_yet() -> None:
    """The disk has both records and has called for neither: the older order goes first."""
    door = Door()
    door.decide("a")
    door.disk.safe = 2
    door.decide("b")
    assert ["a", "b"] == [id for id, _ in door.venue.sent]


def test_at_the_end_of_a_run_nothing_leaves_any_more() -> None:
    """Nobody would hear its answer: what waits and what the last rows bring is told as taken back."""
    door = Door()
    door.decide("a")
    door.outbox.close()
    door.disk.commit(2)
    door.pushed += door.decide("b")
    assert [] == door.venue.sent
    assert [(f"{id}-{leg}", "withdrawn") for id in "ab" for leg in (0, 1)] == door.told()


def test_on_paper_the_last_rows_are_as_good_as_any() -> None:
    """A replay, which knows no end, decides the same."""
    door = Door(waits=False)
    door.outbox.close()
    door.decide("a")
    assert [("a", 0)] == door.venue.sent


def test_an_order_whose_deadline_passed_while_it_waited_never_leaves() -> None:
    """A disk that took five seconds: both legs are told as refused, once; what has time left leaves."""
    door = Door()
    door.decide("late", deadline=5000 * MS - 1)
    door.decide("in time", deadline=5000 * MS)
    door.now = 5000 * MS
    door.disk.commit(2)
    assert ["in time"] == [id for id, _ in door.venue.sent]
    assert [("late-0", "deadline"), ("late-1", "deadline")] == door.told()
    assert [] == door.told()


def test_a_kill_counts_in_the_moment_of_sending() -> None:
    """The file appears while the order waits: it never leaves, and with the file gone others do."""
    door = Door()
    door.decide("a")
    door.killed = True
    door.disk.commit(1)
    assert [("a-0", "killed"), ("a-1", "killed")] == door.told()
    door.killed = False
    door.decide("b")
    door.disk.commit(2)
    assert ["b"] == [id for id, _ in door.venue.sent]


@pytest.mark.parametrize("waits", [True, False])
def test_after_the_journal_has_failed_nothing_leaves(waits: bool) -> None:
    """What waits and what comes later is told as refused, on paper too; questions and cancels still pass."""
    door = Door(waits=waits)
    door.decide("before")
    sent = [] if waits else [("before", 0)]
    door.disk.fail("disk full")
    door.pushed += door.decide("after")
    assert sent == door.venue.sent
    words = [("before-0", "unrecorded"), ("before-1", "unrecorded")] if waits else []
    assert [*words, ("after-0", "unrecorded"), ("after-1", "unrecorded")] == door.told()
    door.executor.cancel("older-0", 0, 5)
    door.executor.query("older-0", 0, 5)
    assert [*sent, ("cancel older-0", 5), ("query older-0", 5)] == door.venue.sent


def test_on_paper_an_order_leaves_in_the_moment_of_its_decision() -> None:
    """However long the disk takes."""
    door = Door(waits=False)
    assert (7,) == door.decide("a")
    assert [("a", 0)] == door.venue.sent


def test_an_order_that_waits_can_be_taken_back() -> None:
    """A cancel of one leg takes both back, without a word to the venue; a cancel of what has left goes there."""
    door = Door()
    door.decide("a")
    door.pushed += door.executor.cancel("a-1", 1, 3)
    door.disk.commit(1)
    assert [] == door.venue.sent
    assert [("a-0", "withdrawn"), ("a-1", "withdrawn")] == door.told()
    door.decide("b")
    door.disk.commit(2)
    door.executor.cancel("b-0", 0, 9)
    assert [("b", 0), ("cancel b-0", 9)] == door.venue.sent


def test_of_an_order_that_waits_the_venue_is_not_asked() -> None:
    """It would say that it never was, and the order leaves after that; once it has left the venue is asked."""
    door = Door()
    door.decide("a")
    assert () == door.executor.query("a-0", 0, 3)
    door.disk.commit(1)
    door.executor.query("a-0", 0, 9)
    assert [("a", 0), ("query a-0", 9)] == door.venue.sent


def test_a_request_to_an_issuer_waits_for_its_record() -> None:
    """Until then the issuer is neither asked nor asked about it; a quote is no request."""
    door = Door()
    assert door.primary.quote(mint=True, source=0, target=1, quantity=D(2), now=0) is not None
    assert not door.primary.bounds(mint=True, source=0, target=1, now=0).closed
    door.disk.seq = 1
    assert () == door.primary.request(mint(), 0)
    assert () == door.primary.status("m", 1)
    assert [] == door.issuer.asked
    door.disk.commit(1)
    door.primary.status("m", 2)
    assert ["m", "status m"] == door.issuer.asked
    assert [7] == door.pushed


@pytest.mark.parametrize("word", ["killed", "deadline", "unrecorded"])
def test_a_request_that_does_not_leave_is_rejected_by_us(word: str) -> None:
    """The file KILL stops mints and redemptions too."""
    door = Door()
    door.disk.seq = 1
    door.primary.request(mint(), 0)
    door.killed = word == "killed"
    door.now = 2000 * MS if word == "deadline" else 0
    door.disk.fail("full") if word == "unrecorded" else door.disk.commit(1)
    assert [] == door.issuer.asked
    (progress,) = door.primary.progress(door.pushed[0])
    assert ("m", ConversionState.REJECTED, 0) == (progress.id, progress.state, progress.given)
    assert progress.detail.startswith(word)
    assert () == door.primary.progress(door.pushed[0])


def test_the_file_stops_what_was_approved_before(tmp_path: Path) -> None:
    """By its being there, looked at with every order; with the file gone orders pass again."""
    disk, inner = SlowDisk(), Venue()
    door = guarded(inner, Outbox(disk, stopped=Holds(tmp_path).flagged, clock=wall_ns))
    assert (12,) == door.submit(order("x-1"), 5)
    (tmp_path / KILL).touch()
    assert (5,) == door.submit(order("x-2"), 5)
    assert ["x-2-0", "x-2-1"] == [one.client_id for one in door.answer(5, BOOKS)]
    (tmp_path / KILL).unlink()
    door.submit(order("x-3"), 5)
    assert ["x-1", "x-3"] == [id for id, _ in inner.sent]


def test_an_executor_that_cannot_be_asked_is_not_made_one() -> None:
    """The door adds no doors."""
    outbox = Outbox(SlowDisk(), stopped=lambda: False, clock=wall_ns)
    assert type(guarded(Venue(), outbox)) is Guard
    assert not isinstance(guarded(Venue(), outbox), Asked)
    assert isinstance(PrimaryGuard(Issuer(), outbox).issuer, str)


# --- on the real journal


async def test_an_order_follows_the_commit_of_the_real_journal(tmp_path: Path) -> None:
    """While another process holds the file nothing leaves and the loop goes on; the commit itself lets it go."""
    path, inner = tmp_path / "j.db", Venue()
    with Journal(path) as journal:
        keeper = Keeper(journal, monotonic_s)
        outbox = Outbox(keeper, stopped=lambda: False, clock=lambda: 3)
        left = asyncio.Event()
        outbox.push = lambda due: left.set()
        door = guarded(inner, outbox)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        keeper.append("step", 1, b"allows it")
        assert () == door.submit(order("a"), 1)
        await sleep(0.0)
        assert [] == inner.sent
        other.execute("ROLLBACK")
        other.close()
        await left.wait()
        assert journal.durable(1)
        assert [("a", 3)] == inner.sent


def test_a_journal_that_has_failed_takes_no_record_behind_the_gap(tmp_path: Path) -> None:
    """The failure is told once, and although there is room again nothing is appended behind what was lost."""
    path = tmp_path / "j.db"
    with Journal(path, capacity=3, patience_s=0.0) as journal:
        keeper, told = Keeper(journal, monotonic_s), list[str]()
        keeper.on_failure = told.append
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert [1, 2, 3, 3] == [keeper.append("step", n, b"x") for n in range(4)]
        other.execute("ROLLBACK")
        other.close()
        journal.flush()
        assert 3 == keeper.append("step", 9, b"x")
        assert 3 == journal.seq
        (why,) = told
        assert "wait for the disk" in why
        assert why == keeper.failed


def test_how_long_the_disk_has_not_moved_is_told(tmp_path: Path) -> None:
    """While records wait and none becomes durable the time grows; with the commit it is nothing."""
    now = [100.0]
    with Journal(tmp_path / "j.db") as journal:
        keeper = Keeper(journal, lambda: now[0])
        other = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        now[0] = 200.0
        keeper.look()
        keeper.append("step", 1, b"x")
        now[0] = 203.0
        keeper.look()
        assert 3.0 == keeper.behind_s
        other.execute("ROLLBACK")
        other.close()
        journal.flush()
        keeper.look()
        assert (0.0, "") == (keeper.behind_s, keeper.failed)
