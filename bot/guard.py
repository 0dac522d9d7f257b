"""Executors and issuers behind the last door (bot/outbox.py): what does not leave is told as refused by us."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from bot.converting import IssuersOf
from bot.outbox import Letter, Outbox
from connectors.orders import Approved, Conversion, ConversionState, Outcome, Progress, Report
from connectors.ports import Asked, Books, Bounds, Executor, Primary, Soft


class Guard:
    """An executor behind the door."""

    def __init__(self, executor: Executor, outbox: Outbox) -> None:
        """Each order leaves through `outbox`, all its legs together."""
        self.executor, self.outbox = executor, outbox
        self._refused: defaultdict[int, list[Report]] = defaultdict(list)

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As Executor.submit."""
        intent = order.intent
        names = tuple(intent.client_id(number) for number in range(len(intent.legs)))

        def refuse(at: int, word: str, detail: str) -> None:
            self._refused[at] += [
                Report(
                    client_id=name, intent_id=intent.id, leg=number, outcome=Outcome.REFUSED, reason=word, detail=detail
                )
                for number, name in enumerate(names)
            ]

        def send(at: int) -> tuple[int, ...]:
            return self.executor.submit(order, at)

        return self.outbox.put(Letter(names, intent.deadline_ns, send, refuse), now)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """As Executor.answer."""
        return (*self._refused.pop(due, ()), *self.executor.answer(due, books))


class AskedGuard(Guard):
    """The same of an executor that can be asked: what is about an order that has left passes at once."""

    executor: Asked  # type: ignore[assignment]

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.query. Of an order that still waits there is no news: the venue would say that it never was."""
        return () if self.outbox.waits(client_id) else self.executor.query(client_id, instrument, now)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.cancel. An order that still waits is taken back with all its legs, which would leave together."""
        dues = self.outbox.withdraw(client_id, now)
        return dues or self.executor.cancel(client_id, instrument, now)


class PrimaryGuard:
    """An issuer's door behind ours."""

    def __init__(self, primary: Primary, outbox: Outbox) -> None:
        """Each request leaves through `outbox`."""
        self.primary, self.outbox = primary, outbox
        self._refused: defaultdict[int, list[Progress]] = defaultdict(list)

    @property
    def issuer(self) -> str:
        """As Desk.issuer."""
        return self.primary.issuer

    def quote(self, *, mint: bool, source: int, target: int, quantity: Decimal, now: int) -> Soft | None:
        """As Desk.quote."""
        return self.primary.quote(mint=mint, source=source, target=target, quantity=quantity, now=now)

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        """As Desk.bounds."""
        return self.primary.bounds(mint=mint, source=source, target=target, now=now)

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """As Primary.request."""

        def refuse(at: int, word: str, detail: str) -> None:
            state = ConversionState.REJECTED
            self._refused[at].append(Progress(id=order.id, state=state, ts=at, detail=f"{word}: {detail}"))

        def send(at: int) -> tuple[int, ...]:
            return self.primary.request(order, at)

        return self.outbox.put(Letter((order.id,), order.sla_ns, send, refuse), now)

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """As Primary.status. Of a request that still waits there is no news."""
        return () if self.outbox.waits(id) else self.primary.status(id, now)

    def progress(self, due: int) -> tuple[Progress, ...]:
        """As Primary.progress."""
        return (*self._refused.pop(due, ()), *self.primary.progress(due))


def guarded(executor: Executor, outbox: Outbox) -> Executor:
    """An executor behind the door; one that can be asked stays one."""
    return AskedGuard(executor, outbox) if isinstance(executor, Asked) else Guard(executor, outbox)


def guarded_issuers(issuers: IssuersOf, outbox: Outbox) -> IssuersOf:
    """The doors of issuers behind ours."""
    return lambda usd, shares: {name: PrimaryGuard(one, outbox) for name, one in issuers(usd, shares).items()}
