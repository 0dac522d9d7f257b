"""Where the bot's orders and requests enter the simulated world; the process may die while it sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from bot.simulation.checks import Truth
from bot.simulation.disk import Crashed, Disk
from connectors.orders import Approved, Conversion, Progress, Report
from connectors.ports import Books, Bounds, Soft
from connectors.simulated.exchange import Exchange
from connectors.simulated.issuer import SimulatedIssuer
from connectors.simulated.outside import OrderDesk, Outside


class MortalDesk(OrderDesk):
    """An order desk at which the process may die: when it sends for the n-th time, the first venue of the order has
    its leg and the next one has not."""

    def __init__(
        self,
        outside: Outside,
        exchanges: Mapping[str, Exchange],
        truth: Truth,
        disk: Disk,
        dies: Callable[[], bool],
    ) -> None:
        """`dies` is asked once for each order; `disk` hears that time passes before the venues are listened to."""
        super().__init__(outside, exchanges)
        self._truth, self._disk, self._dies = truth, disk, dies

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As OrderDesk.submit. Raises Crashed where the process dies of it."""
        dies = self._dies()
        for number, leg in enumerate(order.intent.legs):
            if not dies or self._of[leg.instrument] is self._of[order.intent.legs[0].instrument]:
                self._truth.left(order.intent.client_id(number), now)
        if not dies:
            return super().submit(order, now)
        self.outside.pass_to(now)
        self._of[order.intent.legs[0].instrument].submit(order, now)
        raise Crashed(now)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """As OrderDesk.answer; what has become durable by `due` leaves first."""
        self._disk.pass_to(due)
        return super().answer(due, books)


class IssuerDesk:
    """The door of a simulated issuer that keeps what was asked for."""

    def __init__(self, issuer: SimulatedIssuer, truth: Truth) -> None:
        """Over the issuer that goes on when the bot is gone."""
        self._issuer, self._truth = issuer, truth

    @property
    def issuer(self) -> str:
        """Which issuer it is."""
        return self._issuer.issuer

    def quote(self, *, mint: bool, source: int, target: int, quantity: Decimal, now: int) -> Soft | None:
        """As Primary.quote."""
        return self._issuer.quote(mint=mint, source=source, target=target, quantity=quantity, now=now)

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        """As Primary.bounds."""
        return self._issuer.bounds(mint=mint, source=source, target=target, now=now)

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """As Primary.request."""
        self._truth.asked(order, now)
        return self._issuer.request(order, now)

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """As Primary.status."""
        return self._issuer.status(id, now)

    def progress(self, due: int) -> tuple[Progress, ...]:
        """As Primary.progress."""
        return self._issuer.progress(due)
