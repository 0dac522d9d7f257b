"""Positions and profit as a journal tells them: the fold that a restart makes, stopped where somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, localcontext
from math import isfinite
from typing import Final

import msgspec

from bot.journal_steps import Runs
from bot.marks import KIND as MARKS
from bot.rebalancing import Move, balances, plan
from bot.restore import Restored, restore
from connectors.exact import exact
from connectors.instruments import USD, UnitModel
from strategies.base import Note, Step
from strategies.execution.ledger import EXACT, ZERO, Bridge, Ledger
from strategies.execution.memory import DAY_NS, Memory
from strategies.market.basis import Basis

PARTS: Final = tuple(name for name in Bridge.__struct_fields__ if name not in ("net", "unmarked"))
"""The parts of a bridge that add up to its net."""


class Mark(msgspec.Struct, frozen=True):
    """A price that the books are valued at."""

    usd: Decimal
    at_ns: int
    how: str
    """`marks`: recorded as such, at mid; `fill`: of our own last fill."""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of an instrument."""

    instrument: str
    underlying: str
    units: Decimal
    shares: Decimal | None
    """None where the shares per unit are not known."""


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Positions and cash after a record."""

    seq: int
    ts: int
    fills: int
    holdings: tuple[Holding, ...]
    cash: dict[str, Decimal]
    open_intents: tuple[str, ...]
    """Intents without a last answer."""

    def net_shares(self) -> dict[str, Decimal | None]:
        """Net shares by underlying; None where a part of them is not known."""
        net: dict[str, Decimal | None] = {}
        for one in self.holdings:
            so_far = net.get(one.underlying, ZERO)
            net[one.underlying] = None if so_far is None or one.shares is None else so_far + one.shares
        return net


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """The bridge of one UTC day: what each part changed by."""

    day: int
    """Days since 1970."""
    parts: dict[str, Decimal]
    net: Decimal
    net_so_far: Decimal
    fills: int


class Profit(msgspec.Struct, frozen=True, kw_only=True):
    """The bridge of a journal, by day and in all, and the marks that it rests on."""

    days: tuple[Day, ...]
    bridge: Bridge
    marks: dict[str, Mark]
    """Of everything that is held at the end."""
    ts: int
    fills: int
    moves: tuple[Move, ...]
    """What would even out the venues."""

    @property
    def total(self) -> dict[str, Decimal]:
        """The parts of the bridge in all."""
        return {name: getattr(self.bridge, name) for name in PARTS}


def books(told: Iterable[Step], runs: Runs) -> Books:
    """Positions after the last step. Raises DataError as `restore`."""
    universe = runs.universe()
    ledger, last = Ledger(universe), [0, 0]

    def heard() -> Iterator[Step]:
        for step in told:
            last[:] = step.seq, step.ts
            yield step

    restored = restore(heard(), universe, ledger, Memory())
    holdings = []
    for number, units in sorted(ledger.positions.items()):
        if units:
            one, worth = universe[number], _shares_per_unit(number, runs, restored)
            shares = None if worth is None else units * worth
            holdings.append(Holding(instrument=one.name, underlying=one.underlying, units=units, shares=shares))
    return Books(
        seq=last[0],
        ts=last[1],
        fills=ledger.fills,
        holdings=tuple(holdings),
        cash={coin: amount for coin, amount in sorted(ledger.cash.items()) if amount},
        open_intents=restored.open_trades,
    )


def _shares_per_unit(number: int, runs: Runs, restored: Restored) -> Decimal | None:
    """What a unit that is held is worth, as the journal tells it last; None where it does not."""
    instrument = runs.universe()[number]
    if not instrument.underlying:
        return None
    if restored.basis.get(number, (None, 0.0))[0] is Basis.SHARE or instrument.unit_model in (None, UnitModel.REBASING):
        return Decimal(1)
    worth = restored.multipliers.get(number, instrument.multiplier)
    return exact(worth) if worth is not None and isfinite(worth) else None


class _Accounts:
    """Closes a day when the next one has begun: with the marks recorded at its begin, else with the last known."""

    def __init__(self, ledger: Ledger, runs: Runs) -> None:
        self.ledger, self.runs, self.universe = ledger, runs, ledger.universe
        self.numbers = {one.name: number for number, one in enumerate(self.universe)}
        self.marks: dict[str, Mark] = {USD: Mark(Decimal(1), 0, "")}
        self.days: list[Day] = []
        self.before = dict.fromkeys(PARTS, ZERO)
        self.day = -1
        self.fills_before = 0
        self.ts = 0

    def hear(self, step: Step) -> None:
        """Before a step is folded: the ledger stands as of the one before it."""
        marks = [note for note in step.notes if note.kind == MARKS]
        later = self.day >= 0 and step.ts // DAY_NS > self.day
        moves = bool(step.reports or step.charges)
        for note in marks:
            self._mark(note, step.ts)
        if later and (marks or moves):
            self.close()
        if self.day < 0 or (later and (marks or moves)):
            self.day = step.ts // DAY_NS
        for report in step.reports:
            for fill in report.fills:
                name = self.runs.names(step.seq)[fill.instrument]
                self.marks[name] = Mark(fill.price * fill.fx, step.ts, "fill")
                self.marks[self.universe[self.numbers[name]].quote] = Mark(fill.fx, step.ts, "fill")
        self.ts = step.ts

    def _mark(self, note: Note, ts: int) -> None:
        for name, usd in note.detail.items():
            self.marks[name] = Mark(exact(float(usd)), ts, MARKS)

    def bridge(self) -> Bridge:
        """The bridge of the ledger as it stands, at the marks known now."""
        return self.ledger.bridge(lambda number: self._usd(self.universe[number].name), self._usd)

    def asset_usd(self, asset: str) -> Decimal | None:
        """USD per unit of a token, by the latest mark of it at any venue, or per coin; None where none is known."""
        names = [asset, *(one.name for one in self.universe if one.token == asset)]
        found = [self.marks[name] for name in names if name in self.marks]
        return max(found, key=lambda mark: mark.at_ns).usd if found else None

    def _usd(self, name: str) -> Decimal | None:
        mark = self.marks.get(name)
        return None if mark is None else mark.usd

    def close(self) -> None:
        """The day is over."""
        bridge = self.bridge()
        now: dict[str, Decimal] = {name: getattr(bridge, name) for name in PARTS}
        with localcontext(EXACT):
            parts = {name: usd - self.before[name] for name, usd in now.items()}
            net = sum(parts.values(), ZERO)
        fills = self.ledger.fills - self.fills_before
        self.days.append(Day(day=self.day, parts=parts, net=net, net_so_far=bridge.net, fills=fills))
        self.before, self.fills_before = now, self.ledger.fills


def profit(told: Iterable[Step], runs: Runs) -> Profit:
    """The bridge by day and in all. Raises DataError as `restore`."""
    universe = runs.universe()
    ledger = Ledger(universe)
    accounts = _Accounts(ledger, runs)

    def heard() -> Iterator[Step]:
        for step in told:
            accounts.hear(step)
            yield step

    restore(heard(), universe, ledger, Memory())
    bridge = accounts.bridge()
    if accounts.day >= 0:
        accounts.close()
    held = {universe[number].name for number, units in ledger.positions.items() if units}
    held |= {coin for coin, amount in ledger.cash.items() if amount and coin != USD}
    marks = {name: accounts.marks[name] for name in sorted(held) if name in accounts.marks}
    return Profit(
        days=tuple(accounts.days), bridge=bridge, marks=marks, ts=accounts.ts, fills=ledger.fills,
        moves=plan(balances(ledger), accounts.asset_usd),
    )  # fmt: skip
