"""How naked we stood: net shares of an underlying over time, as USD x seconds of each spell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from connectors.events import NS
from connectors.orders import Fill
from strategies.base import Step
from strategies.execution.conversions import Conversions, Running
from strategies.execution.ledger import REMEMBERED
from strategies.execution.recent import Recent
from strategies.market import kernel as K
from strategies.market.columns import Columns


class Exposure:
    """Integrates |net shares| x fair value over time, by underlying; a spell ends when it is flat again, or when what
    is left is too little to be traded.

    The fair value is that of the moment when a spell's shares change, or the last known one. A mint or redemption
    counts as done from its request on, since its price is fixed then, until its issuer has ended it otherwise.
    """

    def __init__(self, columns: Columns, least: Callable[[str], Decimal]) -> None:
        """Flat. `least` gives the fewest shares of an underlying that can be traded now."""
        self.columns, self._least = columns, least
        self.units: dict[int, float] = {}
        """Net units by instrument, by fills alone."""
        self.moved: dict[int, Decimal] = {}
        """The same, by mints and redemptions alone."""
        self.conversions = Conversions()
        self.shares = [0.0] * len(columns.underlyings)
        self.spell = [0.0] * len(columns.underlyings)
        self.since = [0] * len(columns.underlyings)
        self.last = [0.0] * len(columns.underlyings)
        """USD per share, last known: the fair value, or the price of a fill before there was one."""
        self._fills: Recent[str, None] = Recent(REMEMBERED)
        """Ids; a fill that is told again counts once."""
        self.worst_usd_s = 0.0
        self.worst_usd = 0.0

    def hear(self, step: Step) -> None:
        """Takes the fills, mints and redemptions of one decision record, and the multipliers that it changes."""
        if not (step.reports or step.notes or step.conversions or step.progress):
            return
        touched: set[int] = set()
        for report in step.reports:
            for fill in report.undone:
                if fill.id in self._fills:
                    del self._fills[fill.id]
                    touched.add(self._book(fill, -1))
            for fill in report.fills:
                if fill.id not in self._fills:
                    self._fills[fill.id] = None
                    touched.add(self._book(fill, 1))
        for order in step.conversions:
            if self.conversions.ask(order, step.ts):
                touched.add(self._convert(self.conversions.all[order.id], 1))
        for word in step.progress:
            one = self.conversions.all[word.id]
            self._convert(one, -1)
            self.conversions.hear(word)
            touched.add(self._convert(one, 1))
        for note in step.notes:
            if note.kind == "multiplier":
                touched.add(self.columns.group(note.instrument))
        for group in touched:
            self._grow(group, step.ts)
            shares = self.shares[group] = self._naked(group)
            if shares:
                self.worst_usd = max(self.worst_usd, abs(shares) * self._price(group))
            else:
                self.spell[group] = 0.0

    def left(self) -> dict[str, tuple[float, float]]:
        """Net shares and their USD of every underlying that is not flat, however little that is."""
        net = {name: (self._net(group), self._price(group)) for group, name in enumerate(self.columns.underlyings)}
        return {name: (shares, shares * price) for name, (shares, price) in net.items() if shares}

    def numbers(self) -> dict[str, Any]:
        """The same for JSON: what is left at the end, the most there was at once, and the worst spell."""
        return {
            "worst_naked_usd_s": self.worst_usd_s,
            "worst_naked_usd": self.worst_usd,
            "naked_at_end": {name: {"shares": shares, "usd": usd} for name, (shares, usd) in self.left().items()},
        }

    def until(self, now: int) -> None:
        """Time passes without a fill."""
        for group in range(len(self.shares)):
            self._grow(group, now)

    def _book(self, fill: Fill, times: int) -> int:
        """Adds a fill, or (`times` -1) takes it back; gives the number of its underlying."""
        group = self.columns.group(fill.instrument)
        worth = self.columns.f_rows[fill.instrument][K.SHARES_PER_UNIT]
        self.last[group] = self.last[group] or float(fill.price * fill.fx) / worth
        units = times * (float(fill.quantity) if fill.side == "buy" else -float(fill.quantity))
        self.units[fill.instrument] = self.units.get(fill.instrument, 0.0) + units
        return group

    def _convert(self, one: Running, times: int) -> int:
        """Adds what a mint or redemption makes of what we hold, or (`times` -1) takes it back, as `_book`."""
        for number, units in one.changes:
            self.moved[number] = self.moved.get(number, Decimal(0)) + times * units
        return self.columns.underlyings.index(one.order.underlying)

    def _naked(self, group: int) -> float:
        """Net shares of an underlying that could be hedged."""
        shares = self._net(group)
        return shares if shares and abs(shares) >= float(self._least(self.columns.underlyings[group])) else 0.0

    def _net(self, group: int) -> float:
        """Net shares of an underlying at today's multipliers; what is left of rounding is none."""
        columns, name, total = self.columns, self.columns.underlyings[group], 0.0
        for number, units in (*self.units.items(), *((at, float(moved)) for at, moved in self.moved.items())):
            if units and columns.universe[number].underlying == name:
                total += units * columns.f_rows[number][K.SHARES_PER_UNIT]
        return total if abs(total) >= 1e-9 else 0.0

    def _price(self, group: int) -> float:
        price = self.columns.g.item(group, K.FAIR)
        if price == price:
            self.last[group] = price
        return self.last[group]

    def _grow(self, group: int, now: int) -> None:
        """Adds the time since the last look to the spell under way."""
        self.spell[group] += abs(self.shares[group]) * self._price(group) * (now - self.since[group]) / NS
        self.since[group] = now
        self.worst_usd_s = max(self.worst_usd_s, self.spell[group])


def words(naked_at_end: Mapping[str, Mapping[str, float]]) -> str:
    """What is left without a hedge, as `numbers` says it, for a person."""
    return (
        "; ".join(
            f"{left['shares']:+,.4f} shares of {name}, {left['usd']:+,.2f} USD" for name, left in naked_at_end.items()
        )
        or "nothing"
    )
