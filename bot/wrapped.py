"""An executor, or an issuer's door, behind another one: all passes, and what the outer one knows better it tells."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from connectors.orders import Approved, Conversion, ConversionState, Outcome, Progress, Report
from connectors.ports import Asked, Books, Bounds, Executor, Primary, Soft


class Wrapped:
    """An executor behind the door."""

    def __init__(self, executor: Executor) -> None:
        """`executor` stands behind."""
        self.executor = executor
        self._own: defaultdict[int, list[Report]] = defaultdict(list)

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As Executor.submit."""
        return self.executor.submit(order, now)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """As Executor.answer."""
        return (*self._own.pop(due, ()), *self.executor.answer(due, books))

    def _tell(self, order: Approved, at: int, outcome: Outcome, word: str, detail: str) -> tuple[int, ...]:
        """Says itself what became of every leg; what is refused is so for good. Returns as `submit`."""
        intent = order.intent
        self._own[at] += [
            Report(
                client_id=intent.client_id(leg), intent_id=intent.id, leg=leg, outcome=outcome, reason=word,
                detail=detail, final=outcome is Outcome.REFUSED,
            )
            for leg in range(len(intent.legs))
        ]  # fmt: skip
        return (at,)


class WrappedAsked(Wrapped):
    """The same of one that can be asked."""

    executor: Asked  # type: ignore[assignment]

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.query."""
        return self.executor.query(client_id, instrument, now)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.cancel."""
        return self.executor.cancel(client_id, instrument, now)


class WrappedPrimary:
    """An issuer's door behind ours."""

    def __init__(self, primary: Primary) -> None:
        """`primary` stands behind."""
        self.primary = primary
        self._own: defaultdict[int, list[Progress]] = defaultdict(list)

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
        return self.primary.request(order, now)

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """As Primary.status."""
        return self.primary.status(id, now)

    def progress(self, due: int) -> tuple[Progress, ...]:
        """As Primary.progress."""
        return (*self._own.pop(due, ()), *self.primary.progress(due))

    def _tell(self, order: Conversion, at: int, state: ConversionState, detail: str) -> tuple[int, ...]:
        """Says itself how a request stands. Returns as `request`."""
        self._own[at].append(Progress(id=order.id, state=state, ts=at, detail=detail))
        return (at,)
