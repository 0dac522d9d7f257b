"""What only the simulator can check, since it knows the truth: that the books are those of the world."""

from __future__ import annotations

from collections.abc import Callable, Container
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from bot.invariants import Breach
from connectors.instruments import Role
from connectors.orders import Conversion, Fill, Side
from connectors.simulated.order_faults import OrderFault
from connectors.simulated.outside import Outside
from strategies.base import Step
from strategies.execution.ledger import EXACT
from strategies.execution.saga import ENDS, Stage

if TYPE_CHECKING:
    from bot.engine import Engine

ZERO = Decimal(0)
TOLD_WRONG = frozenset({OrderFault.WRONG_PRICE, OrderFault.WRONG_FEE_COIN})
"""What a venue tells of these is not what it did; nobody can know it from its words alone."""


class Truth:
    """Holds what the bot believes against the world."""

    def __init__(self, outside: Outside, tell: Callable[[Breach], None]) -> None:
        """Of one world, over all lives of the bot in it."""
        self.outside, self._tell = outside, tell
        self.sent: dict[str, int] = {}
        """When each order left, by client id, ns UTC."""
        self.requested: dict[str, int] = {}

    def left(self, client_id: str, now: int) -> None:
        """An order has reached the way to its venue: over all lives of the process at most once."""
        if client_id in self.sent:
            self._tell(Breach("I2", f"{client_id} was sent twice", now))
        self.sent[client_id] = now

    def asked(self, order: Conversion, now: int) -> None:
        """A request has left."""
        if order.id in self.requested:
            self._tell(Breach("I2", f"{order.id} was asked for twice", now))
        self.requested[order.id] = now

    def hear(self, step: Step) -> None:
        """Every fill that is told has happened, as it is told."""
        for report in step.reports:
            for fill in report.fills:
                real = self._real(fill)
                if real is None:
                    self._tell(Breach("I2", f"fill {fill.id} of {fill.client_id} never happened", step.ts))

    def _real(self, fill: Fill) -> Fill | None:
        for venue in self.outside.venues.values():
            order = venue.orders.get(fill.client_id)
            if order is not None:
                return next((one for one in order.fills if one.id == fill.id), None)
        return None

    def at_end(self, engine: Engine, meddled: Container[str]) -> None:
        """When all has come to its end: nothing is open, no fill is lost, and nothing has come or gone unseen.

        `meddled` are venues at which somebody else had a hand in our account, or which told something else than they
        did; at all others account and books are equal.
        """
        now, paged = engine.now, set[str]()
        for trade, saga in engine.trades.open.items():
            if saga.stage not in ENDS:
                self._tell(Breach("I10", f"trade {trade} is still in stage {saga.stage.value}", now))
        for saga in (*engine.trades.open.values(), *engine.trades.over.values()):
            if saga.stage is Stage.PAGED or saga.stage not in ENDS:
                paged.update(client_id for client_id, order in saga.orders.items() if not order.final)
        for number, why in engine.memory.differs.items():
            one = engine.universe[number]
            if one.venue not in meddled and not paged:
                self._tell(Breach("I3", f"{one.name} is still barred: {why}", now))
        units: dict[int, Decimal] = {}
        cash: dict[str, Decimal] = {}
        odd = set[str]()
        with localcontext(EXACT):
            for venue in self.outside.venues.values():
                for order in venue.orders.values():
                    unknown = order.client_id in paged or order.client_id not in self.sent
                    if order.fault in TOLD_WRONG and order.fills:
                        odd.add(self.outside.universe[order.instrument].quote)
                    if order.stands and not unknown:
                        self._tell(Breach("I8", f"{order.client_id} still stands at {venue.name}", now))
                    for fill in order.fills if not unknown else ():
                        sign = 1 if fill.side is Side.BUY else -1
                        units[fill.instrument] = units.get(fill.instrument, ZERO) + sign * fill.quantity
                        coin = self.outside.universe[fill.instrument].quote
                        cash[coin] = cash.get(coin, ZERO) - sign * fill.quantity * fill.price - fill.fee
            for issuer in self.outside.issuers.values():
                for id, request in issuer.orders.items():
                    word = issuer.now(id, now)
                    for number, moved in ((request.source, -word.given), (request.target, word.got)):
                        one = self.outside.universe[number]
                        if one.role is Role.COIN:
                            cash[one.coin] = cash.get(one.coin, ZERO) + moved
                        else:
                            units[number] = units.get(number, ZERO) + moved
                    cash["USD"] = cash.get("USD", ZERO) - word.fee_usd
        self._compare(engine, units, cash, odd, now)

    def _compare(
        self, engine: Engine, units: dict[int, Decimal], cash: dict[str, Decimal], odd: set[str], now: int
    ) -> None:
        ledger = engine.ledger
        for number in units.keys() | ledger.positions.keys():
            if units.get(number, ZERO) != ledger.position(number):
                name, real = engine.universe[number].name, units.get(number, ZERO)
                self._tell(Breach("I3", f"{name}: {ledger.position(number)} in the books, {real} in truth", now))
        for coin in (cash.keys() | ledger.cash.keys()) - odd:
            if cash.get(coin, ZERO) != ledger.cash.get(coin, ZERO):
                said = f"{coin}: {ledger.cash.get(coin, ZERO)} in the books, {cash.get(coin, ZERO)} in truth"
                self._tell(Breach("I14", said, now))
