"""The way out, looked at: an order or request that breaks an invariant does not leave."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from bot.converting import IssuersOf
from bot.invariants import Invariants
from connectors.orders import Approved, Conversion, ConversionState, Outcome, Progress, Report
from connectors.ports import Asked, Books, Bounds, Executor, Primary, Soft

WHY = "it breaks an invariant"
REASON = "invariant"


class WatchedExecutor:
    """An executor that can be asked, behind the look."""

    def __init__(self, executor: Executor, invariants: Invariants) -> None:
        """`executor` is the one that really sends."""
        self.executor, self.invariants = executor, invariants
        self._refused: dict[int, list[Report]] = {}

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As Executor.submit."""
        if self.invariants.order(order, now):
            return self.executor.submit(order, now)
        intent = order.intent
        self._refused.setdefault(now, []).extend(
            Report(
                client_id=intent.client_id(leg), intent_id=intent.id, leg=leg, outcome=Outcome.REFUSED, detail=WHY,
                reason=REASON,
            )
            for leg in range(len(intent.legs))
        )  # fmt: skip
        return (now,)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """As Executor.answer."""
        return (*self._refused.pop(due, ()), *self.executor.answer(due, books))


class WatchedAsked(WatchedExecutor):
    """The same of one that can be asked."""

    executor: Asked  # type: ignore[assignment]

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.query."""
        return self.executor.query(client_id, instrument, now)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.cancel."""
        return self.executor.cancel(client_id, instrument, now)


class WatchedPrimary:
    """The door of an issuer, behind the look."""

    def __init__(self, primary: Primary, invariants: Invariants) -> None:
        """`primary` is the one that really asks."""
        self.primary, self.invariants = primary, invariants
        self._refused: dict[int, list[Progress]] = {}

    @property
    def issuer(self) -> str:
        """Which issuer it is."""
        return self.primary.issuer

    def quote(self, *, mint: bool, source: int, target: int, quantity: Decimal, now: int) -> Soft | None:
        """As Primary.quote."""
        return self.primary.quote(mint=mint, source=source, target=target, quantity=quantity, now=now)

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        """As Primary.bounds."""
        return self.primary.bounds(mint=mint, source=source, target=target, now=now)

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """As Primary.request."""
        if self.invariants.request(order, now):
            return self.primary.request(order, now)
        word = Progress(id=order.id, state=ConversionState.REJECTED, ts=now, detail=WHY)
        self._refused.setdefault(now, []).append(word)
        return (now,)

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """As Primary.status."""
        return self.primary.status(id, now)

    def progress(self, due: int) -> tuple[Progress, ...]:
        """As Primary.progress."""
        return (*self._refused.pop(due, ()), *self.primary.progress(due))


def watched(executor: Executor, invariants: Invariants) -> Executor:
    """An executor behind the look; one that can be asked stays one."""
    return WatchedAsked(executor, invariants) if isinstance(executor, Asked) else WatchedExecutor(executor, invariants)


def watched_issuers(issuers: IssuersOf, invariants: Invariants) -> IssuersOf:
    """The doors of issuers behind the look."""

    def made(usd: object, shares: object) -> Mapping[str, Primary]:
        found = issuers(usd, shares)  # type: ignore[arg-type]
        return {name: WatchedPrimary(one, invariants) for name, one in found.items()}

    return made
