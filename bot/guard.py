"""The last door: every order passes it on its way to an executor, and none does while the file KILL is there."""

from __future__ import annotations

from collections.abc import Callable

from connectors.orders import Approved, Outcome, Reason, Report
from connectors.ports import Asked, Books, Executor


class Guard:
    """An executor behind the door. What is stopped is told as refused by us, at once and for good."""

    def __init__(self, executor: Executor, stopped: Callable[[], bool]) -> None:
        """`stopped` is asked about every order, and must not wait."""
        self.executor, self.stopped = executor, stopped
        self._refused: dict[int, list[Report]] = {}

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As Executor.submit."""
        if not self.stopped():
            return self.executor.submit(order, now)
        intent = order.intent
        self._refused.setdefault(now, []).extend(
            Report(
                client_id=intent.client_id(number),
                intent_id=intent.id,
                leg=number,
                outcome=Outcome.REFUSED,
                detail="halted: the file KILL is there",
                reason=Reason.KILLED.value,
            )
            for number in range(len(intent.legs))
        )
        return (now,)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """As Executor.answer."""
        return (*self._refused.pop(due, ()), *self.executor.answer(due, books))


class AskedGuard(Guard):
    """The same of an executor that can be asked: questions and cancels always pass."""

    executor: Asked  # type: ignore[assignment]

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.query."""
        return self.executor.query(client_id, instrument, now)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.cancel."""
        return self.executor.cancel(client_id, instrument, now)


def guarded(executor: Executor, stopped: Callable[[], bool]) -> Executor:
    """An executor behind the door; one that can be asked stays one."""
    return AskedGuard(executor, stopped) if isinstance(executor, Asked) else Guard(executor, stopped)
