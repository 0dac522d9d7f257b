"""The journal: what the bot decided and why, chained by a hash, safe on disk before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bot.journal_file import GENESIS, Durability, JournalError, head, link, open_to_write
from bot.journal_reader import check_tail
from bot.journal_writer import Writer

CAPACITY: Final = 65_536
"""Records that may wait for the disk; at a hundred decisions a second that is ten minutes of a hung disk."""

PATIENCE_S: Final[dict[Durability, float]] = {Durability.FULL: 0.25, Durability.BATCHED: 60.0}
"""The longest that `append` waits for room. A daemon must not hang with its disk; a backtest has time."""

GATHER: Final[dict[Durability, int]] = {Durability.FULL: 1, Durability.BATCHED: 4_096}
"""How many records make it worth waking the writer."""


class Journal:
    """An append-only chain of records with a writer thread of its own; one thread appends, any thread may ask.

    Without a path it keeps no file, only the hash: for a sweep, whose runs can all be run again.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        durability: Durability = Durability.FULL,
        capacity: int = CAPACITY,
        patience_s: float | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Opens the journal, or begins one; goes on with the chain that it finds.

        `capacity`: records that may wait for the disk. `patience_s`: the longest that `append` waits for room.
        `facts` about this run (version, machine, when): kept beside the chain and never hashed.
        Raises JournalError when the file is not a journal, is of a newer version, or its last records do not link.
        """
        self._seq = 0
        self._digest = GENESIS
        self._heads: dict[str, bytes] = {}
        self._capacity = capacity
        self._patience_s = PATIENCE_S[durability] if patience_s is None else patience_s
        self._closed = False
        self._writer: Writer | None = None
        if path is None:
            return
        connection = open_to_write(path, durability)
        try:
            self._seq, self._digest = check_tail(connection, path)
            connection.execute(
                "INSERT INTO runs (first_seq, facts) VALUES (?, ?)",
                (self._seq + 1, json.dumps(dict(facts or {}), sort_keys=True)),
            )
        except JournalError:
            connection.close()
            raise
        except Exception as error:
            connection.close()
            raise JournalError(f"the journal cannot be written: {error}", where=str(path)) from error
        self._writer = Writer(connection, path, last=self._seq, gather=GATHER[durability])

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Chains and queues a record about the moment `ts` (ns UTC); returns its seq. Takes microseconds, no disk.

        Only when `capacity` records wait does it wait for room, and at most `patience_s`.
        Raises JournalError when the writer has failed, there was no room in time, or the journal is closed; then the
        record was not taken and the hash is what it was. Raises ValueError for a kind that is empty or holds a NUL.
        """
        kind_head = self._heads.get(kind) or self._heads.setdefault(kind, head(kind))
        if self._closed:
            raise JournalError("the journal is closed")
        writer = self._writer
        if writer is not None:
            if writer.failed is not None:
                raise writer.failure()
            if self._seq - writer.durable >= self._capacity:
                self._wait_for_room(writer)
        digest = link(self._digest, kind_head, ts, payload)
        seq = self._seq + 1
        if writer is not None:
            writer.put((seq, ts, kind, payload, digest))
        self._seq = seq
        self._digest = digest
        return seq

    def hash(self) -> str:
        """The hash of the chain up to the last append, in hex; it does not wait for the disk."""
        return self._digest.hex()

    @property
    def seq(self) -> int:
        """The number of the last record that was appended; 0 before the first."""
        return self._seq

    @property
    def failed(self) -> JournalError | None:
        """Why nothing can be recorded any more, or None. A record that is not durable by then never will be."""
        return None if self._writer is None else self._writer.failed

    def waiting(self) -> int:
        """How many records are not durable yet."""
        return 0 if self._writer is None else self._seq - self._writer.durable

    def durable(self, seq: int) -> bool:
        """Whether the record is safe, as far as the durability of this journal goes."""
        return seq <= (self._seq if self._writer is None else self._writer.durable)

    def when(self, seq: int, call: Callable[[], None]) -> None:
        """Calls once, from any thread, as soon as the record is durable or never will be."""
        if self._writer is None:
            call()
        else:
            self._writer.when(seq, call)

    async def wait(self, seq: int) -> None:
        """Returns when the record is durable. Raises JournalError when the writer failed before."""
        writer = self._writer
        if writer is None or writer.durable >= seq:
            return
        loop = asyncio.get_running_loop()
        told = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop was closed in the meantime: nobody waits any more
                loop.call_soon_threadsafe(told.set)

        writer.when(seq, tell)
        await told.wait()
        if writer.durable < seq:
            raise writer.failure()

    def flush(self, timeout_s: float = 10.0) -> None:
        """Returns when all that was appended is durable. Raises JournalError on failure or after `timeout_s`."""
        writer = self._writer
        if writer is None:
            return
        seq = self._seq
        if not writer.wait(lambda: writer.durable >= seq, timeout_s):
            late = f"the disk did not answer in {timeout_s:g} s; safe up to record {writer.durable}"
            raise writer.failure(late)

    def close(self, timeout_s: float = 10.0) -> None:
        """Makes everything durable and lets go of the file; again is no harm. Raises JournalError as `flush` does."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.close(timeout_s)

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes."""
        self.close()

    def _wait_for_room(self, writer: Writer) -> None:
        """Waits until fewer than `capacity` records wait. Raises JournalError."""
        if not writer.wait(lambda: self._seq - writer.durable < self._capacity, self._patience_s):
            full = f"{self._capacity} records wait for the disk, and none was written in {self._patience_s:g} s"
            raise writer.failure(full)
