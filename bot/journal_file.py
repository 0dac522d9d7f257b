"""The journal's file: SQLite tables, numbered migrations, and the hash that chains one record to the next."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from connectors.errors import DataError

APPLICATION_ID: Final = 0x5065676C
"""`Pegl` in ASCII: SQLite keeps it in the header, so that another program's database is told apart."""

BUSY_S: Final = 5.0
"""How long another process may hold the database before that is a failure: a backup passes, a hang does not."""

GENESIS: Final = bytes(32)
"""What the first record is chained to."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE records (seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, kind TEXT NOT NULL,"
        " payload BLOB NOT NULL, hash BLOB NOT NULL) STRICT",
        "CREATE INDEX records_by_kind ON records (kind, seq)",
        "CREATE TABLE runs (run INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, facts TEXT NOT NULL) STRICT",
    ),
)
"""Step n turns version n into version n + 1 (`user_version`); a step that has been released never changes."""


class JournalError(DataError):
    """The journal cannot be opened, read or written, or it is not what was written."""


class Durability(StrEnum):
    """What an acknowledged record survives."""

    FULL = "full"
    """A power cut: every commit waits for the disk (about 4 ms), records that wait together share one."""
    BATCHED = "batched"
    """The end of the process, also by kill -9, but not a power cut; large commits. For what can be run again."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record as it stands in the file."""

    seq: int
    """1, 2, 3, ... without gaps."""
    ts: int
    """The moment that the record is about, nanoseconds UTC: the time of the data, not of the writing."""
    kind: str
    payload: bytes
    """Exactly the bytes that were appended."""
    hash: bytes
    """`link` of the record before this one and this one."""


def head(kind: str) -> bytes:
    """The part of the hashed text that names the kind. Raises ValueError for an empty one or one with a NUL in it."""
    if not kind or "\0" in kind:
        raise ValueError(f"not a kind of record: {kind!r}")
    return kind.encode() + b"\0"


def link(previous: bytes, kind_head: bytes, ts: int, payload: bytes) -> bytes:
    """The 32 bytes that chain a record to the one before: blake2b(previous, kind, NUL, ts as 8 bytes, payload).

    The fields are framed, so no two records give one text. Nothing else enters: no clock, path or version.
    """
    text = b"".join((previous, kind_head, ts.to_bytes(8, "little", signed=True), payload))
    return hashlib.blake2b(text, digest_size=32).digest()


def open_to_write(path: Path, durability: Durability) -> sqlite3.Connection:
    """A connection that may write, migrated to the newest version; makes the file and its folder where absent.

    The connection may be handed to one other thread. Raises JournalError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"the journal cannot be opened: {error}", where=str(path)) from error
    try:
        check_version(connection, path)  # before anything is changed: the file may be somebody else's
        # WAL before the first table: readers never block the writer, and a torn commit is dropped as a whole.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durability is Durability.FULL else 'OFF'}")
        migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise JournalError(f"the journal cannot be opened: {error}", where=str(path)) from error
    except JournalError:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot change a record, also while a daemon writes. Raises JournalError."""
    try:
        found = path.is_file()
    except OSError as error:
        raise JournalError(f"the journal cannot be read: {error.strerror}", where=str(path)) from error
    if not found:
        raise JournalError("there is no journal", where=str(path), hint="it appears with the first run")
    # A journal left behind by kill -9 needs a connection that may recover its WAL; a folder that is not ours cannot
    # have one, and then what the last checkpoint and the WAL beside it hold is read as it stands. Where a run has ended
    # there is no WAL, and SQLite cannot make one there: only then may it take the file for one that never changes.
    ended = () if os.path.lexists(f"{path}-wal") else ("ro&immutable=1",)
    for mode in ("rw", "ro", *ended):
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_S)
            connection.execute("PRAGMA query_only=1")
            version = check_version(connection, path)
        except sqlite3.Error as error:
            cause = error
            continue
        if not version:
            connection.close()
            raise JournalError("nothing was ever recorded in it", where=str(path), hint="it fills with the first run")
        return connection
    raise JournalError(f"the journal cannot be read: {cause}", where=str(path)) from cause


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The file's version. Raises JournalError when the file is another program's, or of a newer pegline."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
        raise JournalError("this database is not a pegline journal", where=str(path))
    if version > len(MIGRATIONS):
        raise JournalError(
            f"the journal has version {version}, this pegline knows up to {len(MIGRATIONS)}",
            where=str(path),
            hint="use the newer pegline that wrote it; there is no way back",
        )
    return int(version)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the file to the newest version, each step in a transaction of its own. Raises JournalError."""
    for version in range(check_version(connection, path), len(MIGRATIONS)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if check_version(connection, path) == version:
                for statement in MIGRATIONS[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
