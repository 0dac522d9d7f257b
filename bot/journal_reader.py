"""Reading a journal: its records in order, by kind, and whether the chain holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from bot.journal_file import GENESIS, JournalError, Record, head, link, open_to_read

TAIL: Final = 1_000
"""Records at the end whose links are checked whenever a journal is opened to be written."""

COLUMNS: Final = "SELECT seq, ts, kind, payload, hash FROM records"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found."""

    records: int
    """Records of the longest valid beginning."""
    hash: str
    """Hash of that beginning, hex."""
    fault: str
    """What is wrong with the record after it; empty when the whole chain holds."""
    after: int
    """Records that stand behind the valid beginning: 0 when all is well, 1 when only the last one is bad."""

    @property
    def ok(self) -> bool:
        """Whether every record links."""
        return not self.fault


def read(
    path: Path, *, kind: str | None = None, after: int = 0, start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[Record]:
    """Records with a seq above `after` and a time in [start_ns, end_ns), in order, of one kind or of all; also while a
    daemon writes.

    It trusts the file: `verify` is what checks the chain. Raises JournalError.
    """
    asked = {"seq > ?": after, "kind = ?": kind, "ts >= ?": start_ns, "ts < ?": end_ns}
    limits = {where: value for where, value in asked.items() if value is not None}
    connection = open_to_read(path)
    try:
        for row in connection.execute(f"{COLUMNS} WHERE {' AND '.join(limits)} ORDER BY seq", [*limits.values()]):
            yield _record(row)
    except sqlite3.Error as error:
        raise JournalError(f"the journal cannot be read: {error}", where=str(path)) from error
    finally:
        connection.close()


def runs(path: Path) -> tuple[tuple[int, dict[str, str]], ...]:
    """Every opening of the journal: the seq that its first record has or would have, and its facts. JournalError."""
    connection = open_to_read(path)
    try:
        rows = connection.execute("SELECT first_seq, facts FROM runs ORDER BY run").fetchall()
        return tuple((first, msgspec.json.decode(facts, type=dict[str, str])) for first, facts in rows)
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise JournalError(f"the journal cannot be read: {error}", where=str(path)) from error
    finally:
        connection.close()


def verify(path: Path, progress: Callable[[int], None] = lambda seq: None) -> Verdict:
    """Checks every link from the first record on: gaps, changed bytes, changed order; `progress` hears each seq.

    What a chain alone cannot show is that its end was cut off cleanly; compare `hash` with one that was written down.
    Raises JournalError where the file cannot be opened as a journal at all.
    """
    connection = open_to_read(path)
    seq, digest, fault, after = 0, GENESIS, "", 0
    try:
        for row in connection.execute(f"{COLUMNS} ORDER BY seq"):
            progress(row[0])
            fault = fault or _fault(seq, digest, row)
            if fault:
                after += 1
            else:
                seq, digest = row[0], row[4]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        fault = fault or f"record {seq + 1} cannot be read: {error}"
        after += 1
    finally:
        connection.close()
    return Verdict(records=seq, hash=digest.hex(), fault=fault, after=after)


@contextmanager
def folded(path: Path) -> Iterator[None]:
    """Where records make no sense together, asks whether they are what was written. Raises JournalError if not."""
    try:
        yield
    except (LookupError, ValueError, ArithmeticError) as error:
        verdict = verify(path)
        if verdict.ok:
            raise
        hint = "pegline journal verify tells how far it holds"
        raise JournalError(verdict.fault, where=str(path), hint=hint) from error


def check_tail(connection: sqlite3.Connection, path: Path) -> tuple[int, bytes]:
    """Seq and hash of the last record, after checking the last 1,000 links. Raises JournalError, sqlite3.Error."""
    rows = connection.execute(f"{COLUMNS} ORDER BY seq DESC LIMIT {TAIL + 1}").fetchall()[::-1]
    seq, digest = 0, GENESIS
    if len(rows) > TAIL:
        seq, digest = rows[0][0], rows[0][4]
        del rows[0]
    for row in rows:
        if fault := _fault(seq, digest, row):
            raise JournalError(
                fault, where=str(path), hint="move the file away to begin a new one; it may show what was done to it"
            )
        seq, digest = row[0], row[4]
    return seq, digest


def _fault(seq: int, digest: bytes, row: tuple[int, int, str, bytes, bytes]) -> str:
    """What is wrong with the row that follows `seq`, or nothing."""
    if row[0] != seq + 1:
        return f"record {seq + 1} is missing, {row[0]} follows {seq}"
    try:
        links = link(digest, head(row[2]), row[1], row[3]) == row[4]
    except ValueError as error:
        return f"record {row[0]}: {error}"
    return "" if links else f"record {row[0]} is not what was written, or does not follow record {seq}"


def _record(row: tuple[int, int, str, bytes, bytes]) -> Record:
    return Record(seq=row[0], ts=row[1], kind=row[2], payload=row[3], hash=row[4])
