"""The disk of a simulated run: what is durable outlives a crash; at named records the process dies or the disk fails.

To whoever writes it is a Scribe (bot/dealing.py), to the last door a Disk (bot/outbox.py), on virtual time: a record is
safe some milliseconds after it was written, and the engine is woken at that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from bot.journal_file import GENESIS, head, link
from bot.simulation.fault import Fault, Process
from connectors.events import NS
from strategies.base import Step

COMMIT_NS: Final = 5_000_000
"""From a record to its safety."""
SLOW_NS: Final = 5 * NS
"""The same while the disk is slow."""
DIES: Final = (Process.CRASH_BEFORE, Process.CRASH_TORN, Process.CRASH_AFTER)


class Crashed(BaseException):
    """The process died at `now` (ns UTC); no handler of errors survives that."""

    def __init__(self, now: int) -> None:
        super().__init__("the simulated process died")
        self.now = now


class Disk:
    """Records, chained as those of the journal are. One disk for all lives of a process."""

    def __init__(self, faults: Mapping[int, Fault] | None = None) -> None:
        """`faults` by the number of the record at which they begin, counted from 1 over all lives."""
        self.records: list[tuple[str, int, bytes, bytes]] = []
        """Kind, moment, payload and hash of each."""
        self.tried = 0
        """Records that were to be written."""
        self.failed = ""
        """Why this process cannot write any more."""
        self.expect: Callable[[int], None] = _nobody
        """Asks the engine to look at the disk at a moment (ns UTC)."""
        self.on_failure: Callable[[str], None] = _nobody
        self._faults = dict(faults or {})
        self._safe_at: list[int] = []
        """When each record is safe."""
        self._now = self._slow_until = self._full_until = -1
        self._dies_at = -1
        self._calls: deque[tuple[int, Callable[[], None]]] = deque()

    # --- for whoever writes

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Writes one record, or loses it where the disk has failed. Raises Crashed where the process dies of it."""
        self._now = max(self._now, ts)
        self.tried += 1
        fault = self._faults.get(self.tried)
        how = None if fault is None else fault.kind
        if fault is not None and how is Process.SLOW_DISK:
            self._slow_until = ts + round(fault.for_s * NS)
        if fault is not None and how is Process.DISK_FULL:
            self._full_until = ts + round(fault.for_s * NS)
        if ts < self._full_until:
            if not self.failed:
                self.failed = "no space left on the simulated disk"
                self.expect(self._full_until)
                self.on_failure(self.failed)
            return self.seq
        if how is Process.CRASH_BEFORE:
            raise Crashed(ts)
        before = self.records[-1][3] if self.records else GENESIS
        digest = link(before, head(kind), ts, payload)
        if how is Process.CRASH_TORN:
            self._safe_at = [min(at, ts) for at in self._safe_at]  # what stands before a torn record is whole
            payload = payload[: len(payload) // 2]
        last = self._safe_at[-1] if self._safe_at else 0
        self._safe_at.append(max(last, ts + (SLOW_NS if ts < self._slow_until else COMMIT_NS)))
        self.records.append((kind, ts, payload, digest))
        if how is Process.CRASH_TORN:
            self._safe_at[-1] = ts
            raise Crashed(ts)
        if how is Process.CRASH_AFTER:
            self._dies_at = self._safe_at[-1]
            self.expect(self._dies_at)
        return self.seq

    # --- for the last door

    @property
    def seq(self) -> int:
        """The number of the last record."""
        return len(self.records)

    def durable(self, seq: int) -> bool:
        """Whether a record is safe by now."""
        return seq == 0 or self._safe_at[seq - 1] <= self._now

    def when(self, seq: int, call: Callable[[], None]) -> None:
        """Calls as soon as the record is safe."""
        at = self._safe_at[seq - 1] if seq else self._now
        self._calls.append((at, call))
        self.expect(at)

    def pass_to(self, now: int) -> None:
        """Time has come to `now` (ns UTC). Raises Crashed where the process dies before it is told what is safe, and
        where the operator ends one that cannot write any more and there is room again."""
        self._now = max(self._now, now)
        if 0 <= self._dies_at <= now:
            raise Crashed(now)
        if self.failed and now >= self._full_until:
            raise Crashed(now)
        while self._calls and self._calls[0][0] <= now:
            self._calls.popleft()[1]()

    # --- for the next process

    def reopen(self, now: int) -> None:
        """The process is gone: what was not safe is lost, and who waited waits no more."""
        while self._safe_at and self._safe_at[-1] > now:
            self._safe_at.pop()
            self.records.pop()
        self._calls.clear()
        self.failed, self._dies_at = "", -1
        self.expect = self.on_failure = _nobody

    def steps(self) -> Iterator[Step]:
        """What a new process finds: the records that hold together; a torn one at the end is cut off."""
        before = GENESIS
        for at, (kind, ts, payload, digest) in enumerate(self.records):
            if link(before, head(kind), ts, payload) != digest:
                del self.records[at:], self._safe_at[at:]
                return
            before = digest
            yield msgspec.msgpack.decode(payload, type=Step)

    def hash(self) -> str:
        """Of all that was written, hex."""
        return (self.records[-1][3] if self.records else GENESIS).hex()


def _nobody(what: int | str) -> None:
    """Before an engine is there nobody listens."""
