"""The last door: what was decided waits here until its record is durable, and then leaves or is told as refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

UNRECORDED: Final = "unrecorded"
KILLED: Final = "killed"
DEADLINE: Final = "deadline"
WITHDRAWN: Final = "withdrawn"


class Disk(Protocol):
    """What the door needs to know of the journal; in a simulator, of a disk on virtual time."""

    @property
    def seq(self) -> int:
        """The number of the last record that was appended."""

    @property
    def failed(self) -> str:
        """Why nothing will be durable any more; empty while all is well."""

    def durable(self, seq: int) -> bool:
        """Whether a record is safe."""

    def when(self, seq: int, call: Callable[[], None]) -> None:
        """Calls once, where the engine runs, as soon as the record is safe or never will be."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Something that may leave: an intent with all its legs, or a request to an issuer."""

    names: tuple[str, ...]
    """Client ids of its legs, or the id of the request: all stay or leave together."""
    deadline: int
    """ns UTC; later it must not leave."""
    send: Callable[[int], tuple[int, ...]]
    """Sends it at a moment; returns those at which its answers are wanted."""
    refuse: Callable[[int, str, str], None]
    """Tells at a moment that it did not leave: a word, and a sentence."""


class Outbox:
    """One queue for all that leaves, in the order of the decisions."""

    def __init__(
        self, disk: Disk, *, stopped: Callable[[], bool], clock: Callable[[], int], waits: bool = True
    ) -> None:
        """`stopped` is asked in the moment of sending and must not wait; `clock` is ns UTC.

        Without `waits` (on paper) everything leaves in the moment of its decision, so that a replay decides the same.
        """
        self._disk, self._stopped, self._clock, self._waits = disk, stopped, clock, waits
        self.push: Callable[[int], None] = _nobody
        """Asks the engine to hear answers at a moment (ns UTC)."""
        self._waiting: deque[tuple[int, Letter]] = deque()
        """With the number of the record that allows each."""
        self._closed = False

    def put(self, letter: Letter, now: int) -> tuple[int, ...]:
        """Takes what the last record allows. It leaves at once where that is durable; returns as Executor.submit."""
        seq = self._disk.seq
        if not self._waits or (not self._waiting and self._disk.durable(seq)):
            return self._leave(letter, now)
        self._waiting.append((seq, letter))
        self._disk.when(seq, self.look)
        return ()

    def waits(self, name: str) -> bool:
        """Whether what has this name is still here."""
        return any(name in letter.names for _, letter in self._waiting)

    def withdraw(self, name: str, now: int) -> tuple[int, ...]:
        """Takes back what is still here: it never leaves, and is told as refused; returns as Asked.cancel."""
        back = [one for one in self._waiting if name in one[1].names]
        for one in back:
            self._waiting.remove(one)
            one[1].refuse(now, WITHDRAWN, "taken back before it was sent")
        return (now,) if back else ()

    def look(self) -> None:
        """The disk has news: what may leave does, the oldest first."""
        while self._waiting and (self._disk.durable(self._waiting[0][0]) or self._disk.failed):
            _, letter = self._waiting.popleft()
            for due in self._leave(letter, self._clock()):
                self.push(due)

    def close(self) -> None:
        """The run ends and will hear no answer: what waits never leaves, nor what is decided from now on.

        On paper nobody answers later than the run, so nothing is kept back.
        """
        self._closed = self._waits
        while self._waiting:
            for due in self._leave(self._waiting.popleft()[1], self._clock()):
                self.push(due)

    def _leave(self, letter: Letter, now: int) -> tuple[int, ...]:
        """Sends it, or says why not."""
        if self._disk.failed:
            letter.refuse(now, UNRECORDED, f"not sent: {self._disk.failed}")
        elif self._closed:
            letter.refuse(now, WITHDRAWN, "not sent: the run ended before its record was durable")
        elif self._stopped():
            letter.refuse(now, KILLED, "halted: the file KILL is there")
        elif now > letter.deadline:
            late_s = (now - letter.deadline) / 1e9
            letter.refuse(now, DEADLINE, f"not sent: its deadline passed {late_s:.3f} s before its record was durable")
        else:
            return letter.send(now)
        return (now,)


def _nobody(due: int) -> None:
    """Before an engine is there nothing can wait."""
    raise RuntimeError("an outbox without an engine")
