"""The journal's writer: a thread that takes records from a queue and commits those that wait together."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bot.journal_file import JournalError

Entry = tuple[int, int, str, bytes, bytes]
"""seq, ts, kind, payload, hash: one row of `records`."""

BATCH: Final = 16_384
"""At most so many records share a commit: it bounds how long the oldest of them waits."""

PAUSE_S: Final = 0.25
"""A writer that may gather records looks at its queue at least this often."""

INSERT: Final = "INSERT INTO records (seq, ts, kind, payload, hash) VALUES (?, ?, ?, ?, ?)"


class Writer:
    """Owns the connection. `durable` is the last seq that is safe; `failed` says why no more will follow."""

    def __init__(self, connection: sqlite3.Connection, path: Path, *, last: int, gather: int) -> None:
        """`last` seq already in the file; the thread is woken when at least `gather` records wait."""
        self.path = path
        self.durable = last
        self.failed: JournalError | None = None
        self.queue: deque[Entry] = deque()
        self.moved = threading.Condition()
        self._connection = connection
        self._gather = gather
        self._wake = threading.Event()
        self._idle = False
        self._closing = False
        self._waiters: list[tuple[int, Callable[[], None]]] = []
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Queues an entry; from one thread only. Waking a thread costs more than all the rest, so only a sleeper is."""
        self.queue.append(entry)
        if self._idle and len(self.queue) >= self._gather:
            self._wake.set()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Hurries the thread, and waits until `done()` holds, the writer failed, or the time is over; `done()`."""
        with self.moved:
            if not done():
                self._wake.set()
                self.moved.wait_for(lambda: done() or self.failed is not None, timeout_s)
            return done()

    def when(self, seq: int, call: Callable[[], None]) -> None:
        """Calls `call` once, from any thread, as soon as `seq` is durable or the writer has failed."""
        with self.moved:
            if self.durable < seq and self.failed is None:
                self._waiters.append((seq, call))
                self._wake.set()
                return
        call()

    def close(self, timeout_s: float) -> None:
        """Commits what waits and ends the thread. Raises JournalError when that did not work in time."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise JournalError(
                f"the disk did not answer in {timeout_s:g} s; safe up to record {self.durable}", where=str(self.path)
            )
        if self.failed is not None:
            raise self.failure()

    def failure(self, otherwise: str = "the record was not written") -> JournalError:
        """A fresh error that says why the writer failed, or `otherwise`: raised again and again, one would grow."""
        if self.failed is None:
            return JournalError(otherwise, where=str(self.path), hint="nothing was lost; pause and try again")
        error = JournalError(self.failed.what, where=self.failed.where, hint=self.failed.hint)
        error.__cause__ = self.failed.__cause__
        return error

    def _run(self) -> None:
        """The thread: sleeps until records wait, commits them, tells who waits for them; until closed or failed."""
        try:
            while True:
                if not self.queue:
                    if self._closing:
                        break
                    self._sleep()
                    continue
                self._commit()
            # The last one out folds the WAL into the file, so that one file is the whole journal.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except Exception as error:  # whatever ends this thread unsaid would lose records unsaid
            self._fail(error)
        finally:
            self._connection.close()

    def _sleep(self) -> None:
        """Waits to be woken. The queue is looked at again after `_idle` is shown, so no wake-up can be missed."""
        self._wake.clear()
        self._idle = True
        if len(self.queue) < self._gather and not self._closing:
            self._wake.wait(None if self._gather == 1 else PAUSE_S)
        self._idle = False

    def _commit(self) -> None:
        """One transaction of what waits now. Raises sqlite3.Error; then nothing of it is in the file."""
        batch = [self.queue.popleft() for _ in range(min(len(self.queue), BATCH))]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(INSERT, batch)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._tell(durable=batch[-1][0])

    def _fail(self, error: Exception) -> None:
        """Says that no record after `durable` will be safe: to those who wait now and to everyone who appends."""
        lost = f"nothing after record {self.durable} is safe"
        hint = "make room or mend the disk, then start again; what is in the file is whole"
        failed = JournalError(f"the journal cannot be written: {error}; {lost}", where=str(self.path), hint=hint)
        failed.__cause__ = error
        self._tell(failed=failed)

    def _tell(self, *, durable: int | None = None, failed: JournalError | None = None) -> None:
        """Publishes the new state and calls those whose record it settles."""
        with self.moved:
            if durable is not None:
                self.durable = durable
            self.failed = failed
            due = [call for seq, call in self._waiters if failed is not None or seq <= self.durable]
            self._waiters = [w for w in self._waiters if failed is None and w[0] > self.durable]
            self.moved.notify_all()
        for call in due:
            call()
