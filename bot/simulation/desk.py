"""Where the bot's orders and requests enter the simulated world; the process may die while it sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext

from msgspec import structs

from bot.simulation.checks import Truth
from bot.simulation.disk import Crashed, Disk
from connectors.orders import Approved, Conversion, Progress, Report, Statement
from connectors.ports import Books, Bounds, Soft
from connectors.simulated.exchange import Exchange
from connectors.simulated.issuer import SimulatedIssuer
from connectors.simulated.outside import OrderDesk, Outside
from strategies.execution.ledger import EXACT


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


class OwnAccount:
    """An account as the books know it: without what lay there at the start, and with what issuers have moved."""

    def __init__(self, exchange: Exchange, opening: Mapping[str, Decimal], outside: Outside) -> None:
        """`opening` by asset; `outside` has the issuers."""
        self.venue, self._exchange, self._opening, self._outside = exchange.venue, exchange, opening, outside

    def read(self, since: int, now: int) -> tuple[int, ...]:
        """As Account.read."""
        return self._exchange.read(since, now)

    def statements(self, due: int) -> tuple[Statement, ...]:
        """As Account.statements."""
        self._outside.pass_to(due)
        return tuple(self._own(one, due) for one in self._exchange.statements(due))

    def _own(self, told: Statement, now: int) -> Statement:
        if told.balances is None:
            return told
        own = dict(told.balances)
        with localcontext(EXACT):
            for asset, units in self._opening.items():
                own[asset] = own.get(asset, Decimal(0)) - units
            for issuer in self._outside.issuers.values():
                for id, request in issuer.orders.items():
                    word = issuer.now(id, now)
                    for number, moved in ((request.source, -word.given), (request.target, word.got)):
                        one = self._outside.universe[number]
                        if one.venue == self.venue:
                            own[one.asset] = own.get(one.asset, Decimal(0)) + moved
        return structs.replace(told, balances=own)


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
