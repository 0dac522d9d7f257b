"""The journal: the chain, the durable acknowledgement, and what is left after a crash or a full disk."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.journal import Journal
from bot.journal_file import GENESIS, MIGRATIONS, Durability, JournalError, head, link
from bot.journal_reader import read, runs, verify

ROOT = Path(__file__).resolve().parents[2]


def fill(path: Path | None, count: int, *, durability: Durability = Durability.BATCHED) -> str:
    """Appends `count` records to the journal at `path`; returns the hash."""
    with Journal(path, durability=durability) as journal:
        for n in range(count):
            journal.append("step" if n % 3 else "fill", 1_000 + n, f"payload {n}".encode())
        return journal.hash()


def change(path: Path, statement: str) -> None:
    """Does to the file what a faulty disk or hand might do."""
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_records_come_back_as_they_were_appended(tmp_path: Path) -> None:
    """Seq, time, kind and the exact bytes of every record are read back in order."""
    path = tmp_path / "j.db"
    with Journal(path) as journal:
        assert [1, 2] == [journal.append("step", 5, b"\x00\xff"), journal.append("fill", -7, b"")]
    assert [(1, 5, "step", b"\x00\xff"), (2, -7, "fill", b"")] == [(r.seq, r.ts, r.kind, r.payload) for r in read(path)]


def test_hash_is_the_stated_chain(tmp_path: Path) -> None:
    """The hash is blake2b of the last hash, the kind and NUL, the time and the payload, and nothing else."""
    path = tmp_path / "j.db"
    with Journal(path) as journal:
        journal.append("step", 5, b"one")
        journal.append("fill", 6, b"two")
        chained = link(link(GENESIS, head("step"), 5, b"one"), head("fill"), 6, b"two")
        assert chained.hex() == journal.hash()
    assert chained.hex() == verify(path).hash


def test_hash_does_not_depend_on_path_durability_or_facts(tmp_path: Path) -> None:
    """The same records give the same hash in another folder, with another durability, other facts, or no file."""
    expected = fill(tmp_path / "a.db", 50)
    assert expected == fill(tmp_path / "elsewhere" / "b.db", 50, durability=Durability.FULL)
    assert expected == fill(None, 50)
    with Journal(tmp_path / "c.db", facts={"version": "2", "host": "x"}) as journal:
        for n in range(50):
            journal.append("step" if n % 3 else "fill", 1_000 + n, f"payload {n}".encode())
        assert expected == journal.hash()


def test_a_kind_cannot_pose_as_a_payload() -> None:
    """Moving a letter from the payload to the kind changes the hash."""
    assert link(GENESIS, head("ab"), 1, b"c") != link(GENESIS, head("a"), 1, b"bc")


@pytest.mark.parametrize("kind", ["", "a\0b"])
def test_a_kind_that_cannot_be_framed_is_refused(kind: str) -> None:
    """An empty kind or one with a NUL is refused, and the chain does not move."""
    with Journal(None) as journal:
        before = journal.hash()
        with pytest.raises(ValueError, match="not a kind"):
            journal.append(kind, 1, b"")
        assert (before, 0) == (journal.hash(), journal.seq)


def test_chain_goes_on_after_reopening(tmp_path: Path) -> None:
    """A journal written in three sittings has the hash of one written in one, and each sitting's facts."""
    path = tmp_path / "j.db"
    with Journal(None) as whole:
        for sitting in range(3):
            with Journal(path, facts={"sitting": str(sitting)}) as journal:
                for n in range(4):
                    assert whole.append("step", n, b"x") == journal.append("step", n, b"x")
    assert (12, whole.hash(), True) == (verify(path).records, verify(path).hash, verify(path).ok)
    assert ((1, {"sitting": "0"}), (5, {"sitting": "1"}), (9, {"sitting": "2"})) == runs(path)


def test_records_can_be_read_by_kind_and_from_a_place_on(tmp_path: Path) -> None:
    """A restart folds only the fills, or only what follows a record that it knows."""
    path = tmp_path / "j.db"
    fill(path, 10)
    assert [1, 4, 7, 10] == [r.seq for r in read(path, kind="fill")]
    assert [7, 10] == [r.seq for r in read(path, kind="fill", after=4)]
    assert [9, 10] == [r.seq for r in read(path, after=8)]


def test_flush_makes_everything_durable(tmp_path: Path) -> None:
    """After `flush` the last record is acknowledged and another process can read it while the journal is open."""
    path = tmp_path / "j.db"
    with Journal(path, durability=Durability.BATCHED) as journal:
        for n in range(20):
            last = journal.append("step", n, b"x")
        journal.flush()
        assert journal.durable(last)
        assert 0 == journal.waiting()
        assert 20 == sum(1 for _ in read(path))


@pytest.mark.parametrize("durability", list(Durability))
async def test_wait_returns_when_the_record_is_durable(tmp_path: Path, durability: Durability) -> None:
    """Awaiting a record yields the loop and comes back when, and not before, it is durable."""
    with Journal(tmp_path / "j.db", durability=durability) as journal:
        for n in range(5):
            seq = journal.append("step", n, b"x")
            await journal.wait(seq)
            assert journal.durable(seq)


def test_a_journal_without_a_file_is_always_durable() -> None:
    """With no path there is a hash and nothing to wait for."""
    with Journal(None) as journal:
        assert journal.durable(journal.append("step", 1, b"x"))
        journal.flush()
        assert journal.failed is None


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    """An append after `close` is an error, closing twice is none."""
    journal = Journal(tmp_path / "j.db")
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.append("step", 1, b"x")


def test_back_pressure_ends_in_an_error_that_takes_nothing(tmp_path: Path) -> None:
    """With the disk held by someone else the bounded queue fills, append gives up in time, and the chain stands."""
    path = tmp_path / "j.db"
    with Journal(path, capacity=10, patience_s=0.01) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for n in range(10):
            journal.append("step", n, b"x")
        before = journal.hash()
        with pytest.raises(JournalError, match="10 records wait for the disk"):
            journal.append("step", 10, b"x")
        assert (before, 10) == (journal.hash(), journal.seq)
        other.execute("COMMIT")
        other.close()
        journal.flush()
        assert 11 == journal.append("step", 10, b"x")
    assert (11, True) == (verify(path).records, verify(path).ok)


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from bot.journal import Journal
from bot.journal_file import JournalError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path(sys.argv[1]))
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
acknowledged = 0
async def main():
    global acknowledged
    while True:
        seq = journal.append("step", 1, bytes(10_000))
        await journal.wait(seq)
        acknowledged = seq
try:
    asyncio.run(main())
except JournalError as error:
    print("wait", error)
try:
    journal.append("step", 1, b"x")
except JournalError as error:
    print("append", error)
assert journal.failed is not None
try:
    journal.close()
except JournalError as error:
    print("close", error)
print("acknowledged", acknowledged)
"""


def test_a_full_disk_is_said_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """When the file may not grow, the waiter, the next append and close all fail, and the valid part stands."""
    path = tmp_path / "j.db"
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    assert ["wait", "append", "close", "acknowledged"] == [line.split()[0] for line in lines]
    assert all("cannot be written" in line for line in lines[:3])
    verdict = verify(path)
    assert verdict.ok
    assert 5 < int(lines[3].split()[1]) <= verdict.records


KILLED = """
import sys
from pathlib import Path
from bot.journal import Journal
from bot.journal_file import Durability
journal = Journal(Path(sys.argv[1]), durability=Durability(sys.argv[2]))
while True:
    for n in range(7):
        seq = journal.append("step", n, bytes(200))
    told = journal.hash()
    journal.flush()
    print(seq, told, flush=True)
    journal.append("step", 7, bytes(5000))
"""


@pytest.mark.parametrize("durability", list(Durability))
def test_kill_9_loses_no_acknowledged_record(tmp_path: Path, durability: Durability) -> None:
    """Killed again and again in the middle of writing, the journal keeps what it acknowledged and its chain goes on."""
    path = tmp_path / "j.db"
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), durability.value], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(10):
            line = child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().splitlines(keepends=True)
        child.stdout.close()
        assert -signal.SIGKILL == child.wait()
        seq, told = [text for text in (line, *rest) if text.endswith("\n")][-1].split()
        verdict = verify(path)
        assert verdict.ok, verdict.fault
        assert int(seq) <= verdict.records
        assert told == next(r.hash.hex() for r in read(path, after=int(seq) - 1))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE records SET payload = x'00' WHERE seq = 15",
        "UPDATE records SET kind = 'fill' WHERE seq = 15",
        "UPDATE records SET ts = ts + 1 WHERE seq = 15",
        "UPDATE records SET hash = zeroblob(32) WHERE seq = 15",
        "DELETE FROM records WHERE seq = 15",
    ],
)
def test_verify_names_the_record_that_was_changed(tmp_path: Path, damage: str) -> None:
    """Whatever is done to record 15, the 14 before it are valid, the fault names it, and the journal does not open."""
    path = tmp_path / "j.db"
    fill(path, 20)
    change(path, damage)
    verdict = verify(path)
    assert (14, False) == (verdict.records, verdict.ok)
    assert "record 15" in verdict.fault
    with pytest.raises(JournalError, match="record 15"):
        Journal(path)


def test_verify_tells_a_bad_tail_from_a_bad_middle(tmp_path: Path) -> None:
    """`after` is 1 when only the last record is bad, and more when valid ones stand behind it."""
    path = tmp_path / "j.db"
    fill(path, 20)
    change(path, "UPDATE records SET payload = x'00' WHERE seq = 20")
    assert 1 == verify(path).after
    change(path, "UPDATE records SET payload = x'00' WHERE seq = 3")
    assert (2, 18) == (verify(path).records, verify(path).after)


def test_a_chain_whose_beginning_was_cut_off_does_not_open(tmp_path: Path) -> None:
    """A journal that begins with record 6 is neither valid nor gone on with."""
    path = tmp_path / "j.db"
    fill(path, 20)
    change(path, "DELETE FROM records WHERE seq <= 5")
    assert "record 1 is missing" in verify(path).fault
    with pytest.raises(JournalError, match="record 1 is missing"):
        Journal(path)


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    """A file of a later version is neither read nor written, and the error says what to use."""
    path = tmp_path / "j.db"
    fill(path, 1)
    change(path, f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(JournalError, match="newer pegline"):
        Journal(path)
    with pytest.raises(JournalError, match="newer pegline"):
        next(read(path))


def test_a_foreign_file_is_refused_and_untouched(tmp_path: Path) -> None:
    """Another program's database, or a text, is not taken for a journal."""
    database, text = tmp_path / "other.db", tmp_path / "notes.txt"
    change(database, "CREATE TABLE mine (x)")
    text.write_text("not a database at all, but longer than a header")
    for path in (database, text):
        before = path.read_bytes()
        with pytest.raises(JournalError):
            Journal(path)
        with pytest.raises(JournalError):
            next(read(path))
        assert before == path.read_bytes()


def test_reading_where_there_is_no_journal_makes_none(tmp_path: Path) -> None:
    """Asking for a journal that is not there is an error, and leaves no empty file behind."""
    with pytest.raises(JournalError, match="no journal"):
        verify(tmp_path / "j.db")
    assert [] == list(tmp_path.iterdir())


def test_each_flipped_byte_of_the_last_record_is_found(tmp_path: Path) -> None:
    """
    Wherever a byte of it turns over in the file, the two records before it stay valid, and the journal says that it
    is damaged or reads as it was written; it never opens with other contents.
    """
    path = tmp_path / "j.db"
    with Journal(path) as journal:
        for n in range(3):
            journal.append("step", 1_000 + n, b"marked payload %d" % n)
    written, whole = [(r.seq, r.ts, r.kind, r.payload, r.hash) for r in read(path)], path.read_bytes()
    end = whole.index(written[2][4]) + 32
    found = 0
    for at in range(whole.index(b"marked payload 2") - 20, end):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            verdict = verify(path)
        except JournalError:
            found += 1
            continue
        if verdict.ok:
            assert written == [(r.seq, r.ts, r.kind, r.payload, r.hash) for r in read(path)], at
            continue
        found += 1
        assert 2 >= verdict.records, at
        with pytest.raises(JournalError):
            Journal(path)
    assert found >= len(b"marked payload 2") + 32


def test_a_log_that_is_torn_anywhere_leaves_a_valid_beginning(tmp_path: Path) -> None:
    """
    Cut off wherever a power cut may end it, what was not folded into the file yet gives a journal that begins as it was
    written, and goes on.
    """
    path, copy = tmp_path / "j.db", tmp_path / "copy.db"
    with Journal(path) as journal:
        for n in range(4):
            journal.append("step", n, b"payload %d" % n)
            journal.flush()
        hashes = [r.hash.hex() for r in read(path)]
        database, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    left = set()
    for length in range(0, len(log) + 1, 211):
        copy.write_bytes(database)
        Path(f"{copy}-wal").write_bytes(log[:length])
        Path(f"{copy}-shm").unlink(missing_ok=True)
        with Journal(copy) as journal:
            left.add(journal.seq)
            assert journal.seq == 0 or hashes[journal.seq - 1] == journal.hash()
            journal.append("step", 9, b"goes on")
        assert verify(copy).ok
    assert {0, 1, 2, 3} <= left


def test_a_database_that_is_held_too_long_is_a_clear_failure(tmp_path: Path) -> None:
    """
    After five seconds the writer gives up, names the lock, and what was there before stands.
    """
    path = tmp_path / "j.db"
    fill(path, 3)
    journal = Journal(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.append("step", 4, b"x")
    with pytest.raises(JournalError, match="locked"):
        journal.flush(timeout_s=30)
    other.execute("ROLLBACK")
    other.close()
    with pytest.raises(JournalError, match="locked"):
        journal.close()
    assert (3, True) == (verify(path).records, verify(path).ok)


FIRST_VERSION = """
CREATE TABLE records (seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, kind TEXT NOT NULL,
 payload BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE INDEX records_by_kind ON records (kind, seq);
CREATE TABLE runs (run INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, facts TEXT NOT NULL) STRICT;
INSERT INTO runs VALUES (1, 1, '{"version": "0.1.0"}');
PRAGMA application_id=1348822892;
PRAGMA user_version=1;
"""
"""What the first version of the file was. It never changes: journals of it are out there."""


def test_a_journal_of_the_first_version_is_read_and_gone_on_with(tmp_path: Path) -> None:
    """
    Opened by today's pegline it has today's version, its records and facts as they were, and the chain goes on.
    """
    path = tmp_path / "j.db"
    old = sqlite3.connect(path)
    old.executescript(FIRST_VERSION)
    digest = link(GENESIS, head("step"), 7, b"old")
    old.execute("INSERT INTO records VALUES (1, 7, 'step', ?, ?)", (b"old", digest))
    old.commit()
    old.close()
    assert [(1, 7, b"old")] == [(r.seq, r.ts, r.payload) for r in read(path)]
    with Journal(path) as journal:
        assert digest.hex() == journal.hash()
        journal.append("step", 8, b"new")
    assert (2, True) == (verify(path).records, verify(path).ok)
    assert {"version": "0.1.0"} == runs(path)[0][1]
    now = sqlite3.connect(path)
    assert (len(MIGRATIONS),) == now.execute("PRAGMA user_version").fetchone()
    now.close()
