"""Executors and issuers behind the last door (bot/outbox.py): what does not leave is told as refused by us."""

from __future__ import annotations

from bot.converting import IssuersOf
from bot.outbox import Letter, Outbox
from bot.wrapped import Wrapped, WrappedAsked, WrappedPrimary
from connectors.orders import Approved, Conversion, ConversionState, Outcome
from connectors.ports import Asked, Executor, Primary


class Guard(Wrapped):
    """An executor behind the door."""

    def __init__(self, executor: Executor, outbox: Outbox) -> None:
        """Each order leaves through `outbox`, all its legs together."""
        super().__init__(executor)
        self.outbox = outbox

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As Executor.submit."""
        intent = order.intent

        def refuse(at: int, word: str, detail: str) -> None:
            self._tell(order, at, Outcome.REFUSED, word, detail)

        def send(at: int) -> tuple[int, ...]:
            return self.executor.submit(order, at)

        names = tuple(intent.client_id(number) for number in range(len(intent.legs)))
        return self.outbox.put(Letter(names, intent.deadline_ns, send, refuse), now)


class AskedGuard(Guard, WrappedAsked):
    """The same of an executor that can be asked: what is about an order that has left passes at once."""

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.query. Of an order that still waits there is no news: the venue would say that it never was."""
        return () if self.outbox.waits(client_id) else super().query(client_id, instrument, now)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.cancel. An order that still waits is taken back with all its legs, which would leave together."""
        return self.outbox.withdraw(client_id, now) or super().cancel(client_id, instrument, now)


class PrimaryGuard(WrappedPrimary):
    """An issuer's door behind ours."""

    def __init__(self, primary: Primary, outbox: Outbox) -> None:
        """Each request leaves through `outbox`."""
        super().__init__(primary)
        self.outbox = outbox

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """As Primary.request."""

        def refuse(at: int, word: str, detail: str) -> None:
            self._tell(order, at, ConversionState.REJECTED, f"{word}: {detail}")

        def send(at: int) -> tuple[int, ...]:
            return self.primary.request(order, at)

        return self.outbox.put(Letter((order.id,), order.sla_ns, send, refuse), now)

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """As Primary.status. Of a request that still waits there is no news."""
        return () if self.outbox.waits(id) else super().status(id, now)


def guarded(executor: Executor, outbox: Outbox) -> Executor:
    """An executor behind the door; one that can be asked stays one."""
    return AskedGuard(executor, outbox) if isinstance(executor, Asked) else Guard(executor, outbox)


def guarded_issuers(issuers: IssuersOf, outbox: Outbox) -> IssuersOf:
    """The doors of issuers behind ours."""
    return lambda usd, shares: {name: PrimaryGuard(one, outbox) for name, one in issuers(usd, shares).items()}
