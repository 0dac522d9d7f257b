"""The daemon's hand on its journal: once that fails nothing is recorded or sent any more, and the watch goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bot.journal import Journal
from bot.journal_file import JournalError


class Keeper:
    """Takes records (bot.dealing.Scribe) and tells the last door what is durable (bot.outbox.Disk)."""

    def __init__(self, journal: Journal, monotonic: Callable[[], float]) -> None:
        """`monotonic` in seconds."""
        self.journal, self._monotonic = journal, monotonic
        self.on_failure: Callable[[str], None] = _unheard
        """Called once, with the reason, when the journal has failed."""
        self._failed = ""
        self._durable, self._moved_s = journal.seq, monotonic()

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """As Journal.append; after a failure the record is lost, and the number that of the last one taken.

        A record that was not taken ends the chain: none may follow behind a gap.
        """
        if not self._failed:
            try:
                return self.journal.append(kind, ts, payload)
            except JournalError as error:
                self._fail(error)
        return self.journal.seq

    @property
    def seq(self) -> int:
        """The number of the last record that was appended."""
        return self.journal.seq

    @property
    def failed(self) -> str:
        """Why nothing is recorded any more; empty while all is well."""
        return self._failed or (str(self.journal.failed) if self.journal.failed is not None else "")

    def durable(self, seq: int) -> bool:
        """Whether the record is safe."""
        return self.journal.durable(seq)

    def when(self, seq: int, call: Callable[[], None]) -> None:
        """Calls once, on the loop that runs now, as soon as the record is safe or never will be."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop was closed in the meantime: nobody waits any more
                loop.call_soon_threadsafe(call)

        self.journal.when(seq, tell)

    def look(self) -> None:
        """Notices a failure while nothing is appended, and whether the disk moves; called often."""
        durable = self.journal.seq - self.journal.waiting()
        if durable != self._durable or not self.journal.waiting():
            self._durable, self._moved_s = durable, self._monotonic()
        if self.journal.failed is not None and not self._failed:
            self._fail(self.journal.failed)

    @property
    def behind_s(self) -> float:
        """For how long records have waited without one becoming durable, seconds, as of the last `look`. After a
        failure none waits any more."""
        return self._monotonic() - self._moved_s if self.journal.waiting() and not self.failed else 0.0

    def _fail(self, error: JournalError) -> None:
        self._failed = str(error)
        self.on_failure(self._failed)


def _unheard(why: str) -> None:
    """Before an engine is there nobody listens."""
