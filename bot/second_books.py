"""Books kept a second time, from what records tell alone: they must be those of the ledger, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Final, NamedTuple

from connectors.instruments import USD, Role, Universe
from connectors.orders import Fill, Report, Side
from strategies.base import Step
from strategies.execution.adjusting import Adjustment
from strategies.execution.conversions import Running
from strategies.execution.ledger import EXACT, REMEMBERED, Ledger
from strategies.execution.recent import Recent

ZERO: Final = Decimal(0)


class Unequal(NamedTuple):
    """One number of the ledger that is not what records tell."""

    invariant: str
    what: str
    subject: str = ""


class Moved(NamedTuple):
    """What a mint or redemption has changed: units by instrument, and cash by coin."""

    units: tuple[tuple[int, Decimal], ...] = ()
    cash: tuple[tuple[str, Decimal], ...] = ()


class SecondBooks:
    """Units and cash as a sum over fills, charges, gas, mints, redemptions and adjustments."""

    def __init__(self) -> None:
        """Empty, and of no universe yet."""
        self._universe = Universe(())
        self._units: dict[int, Decimal] = {}
        self._cash: dict[str, Decimal] = {}
        self._count = 0
        self._fills: Recent[str, None] = Recent(2 * REMEMBERED)
        self._news: Recent[str, None] = Recent(2 * REMEMBERED)
        self._moved: dict[str, Moved] = {}
        """What each mint or redemption has moved by the newest word that was heard."""

    def remember(self, report: Report) -> None:
        """Of an earlier run: what it tells counts in the ledger that was restored, and not again."""
        self._first(report)
        for fill in report.undone:
            self._fills.pop(fill.id, None)
        for fill in report.fills:
            self._fills[fill.id] = None

    def begin(self, universe: Universe, ledger: Ledger) -> None:
        """From what a restored ledger holds."""
        self._universe, self._count = universe, ledger.fills
        self._units, self._cash = dict(ledger.positions), dict(ledger.cash)
        self._moved = {id: _moved(one, universe) for id, one in ledger.conversions.all.items()}

    def hear(self, step: Step, requests: Mapping[str, Running]) -> None:
        """Takes what a record tells; `requests` are all mints and redemptions by id, with their newest words."""
        with localcontext(EXACT):
            for report in step.reports:
                if not self._first(report):
                    continue
                for fill in report.undone:
                    if fill.id in self._fills:
                        del self._fills[fill.id]
                        self._book(fill, -1)
                for fill in report.fills:
                    if fill.id not in self._fills:
                        self._fills[fill.id] = None
                        self._book(fill, 1)
                self._pay(USD, -report.gas_usd)
            for charge in step.charges:
                self._pay(self._universe[charge.instrument].quote, -charge.amount)
            for word in step.progress:
                self._convert(requests[word.id])

    def adjust(self, one: Adjustment) -> None:
        """Takes an operator's word."""
        with localcontext(EXACT):
            if one.instrument >= 0:
                self._move(one.instrument, one.amount)
            else:
                self._pay(one.subject, one.amount)

    def unequal(self, ledger: Ledger) -> Iterator[Unequal]:
        """Every number of the ledger that is another one here."""
        if ledger.fills != self._count:
            yield Unequal("I2", f"{ledger.fills} fills are booked, {self._count} were told")
        for number in self._units.keys() | ledger.positions.keys():
            booked, told = ledger.position(number), self._units.get(number, ZERO)
            if told != booked:
                name = self._universe[number].name
                yield Unequal("I3", f"{name}: {booked} units in the books, {told} by fills and conversions", name)
        for coin in self._cash.keys() | ledger.cash.keys():
            booked, told = ledger.cash.get(coin, ZERO), self._cash.get(coin, ZERO)
            if told != booked:
                yield Unequal("I14", f"{coin}: {booked} in the books, {told} came and went", coin)

    def _first(self, report: Report) -> bool:
        """Whether a report is heard for the first time; one without an id always is."""
        if report.id in self._news:
            return False
        if report.id:
            self._news[report.id] = None
        return True

    def _book(self, fill: Fill, times: int) -> None:
        sign = times if fill.side is Side.BUY else -times
        self._move(fill.instrument, sign * fill.quantity)
        self._pay(self._universe[fill.instrument].quote, -sign * fill.quantity * fill.price - times * fill.fee)
        self._pay(USD, -times * fill.gas_usd)
        self._count += times

    def _convert(self, one: Running) -> None:
        """Takes the newest word, less what was heard of it before."""
        moved = _moved(one, self._universe)
        for sign, word in ((-1, self._moved.get(one.order.id, Moved())), (1, moved)):
            for number, units in word.units:
                self._move(number, sign * units)
            for coin, amount in word.cash:
                self._pay(coin, sign * amount)
        self._moved[one.order.id] = moved

    def _move(self, number: int, units: Decimal) -> None:
        self._units[number] = self._units.get(number, ZERO) + units

    def _pay(self, coin: str, amount: Decimal) -> None:
        if amount:
            self._cash[coin] = self._cash.get(coin, ZERO) + amount


def _moved(one: Running, universe: Universe) -> Moved:
    """What a mint or redemption has moved, as its issuer's newest word tells it."""
    units: list[tuple[int, Decimal]] = []
    cash: list[tuple[str, Decimal]] = []
    for number, moved in ((one.order.source, -one.given), (one.order.target, one.got)):
        if universe[number].role is Role.COIN:
            cash.append((universe[number].coin, moved))
        else:
            units.append((number, moved))
    if one.word is not None and one.word.fee_usd:
        cash.append((USD, -one.word.fee_usd))
    return Moved(tuple(units), tuple(cash))
