"""When a hedge cannot be traded, and what carrying it over that time is worth paying for."""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

from connectors.events import NEVER, NS
from connectors.instruments import Hours
from strategies.market import kernel as K
from strategies.market.columns import Columns
from strategies.market.session import HOURS, Session, SessionTable

LONG_NS: Final = 24 * 3600 * NS
"""A closure of more than a day: a weekend, a holiday."""


class Closure(NamedTuple):
    """From when to when, ns UTC."""

    begins: int
    ends: int

    @property
    def long(self) -> bool:
        """Whether it takes days."""
        return self.ends - self.begins > LONG_NS


def next_closure(table: SessionTable, hours: Hours, now: int) -> Closure | None:
    """The closure that is under way, or the next one; None where there is none as far as the table goes."""
    open_in = HOURS[hours]
    if len(open_in) == len(Session):
        return None
    begins = now
    while table.at(begins) in open_in:
        begins = table.next_change(begins)
    ends = begins
    while table.at(ends) not in open_in:
        ends = table.next_change(ends)
        if ends >= NEVER or table.at(ends) is Session.UNKNOWN:
            return None
    return Closure(begins, ends)


def move_sd(columns: Columns, group: int, closure: Closure) -> float:
    """One sigma of the share over a closure, as a fraction, by its daily volatility and the variance clock."""
    days = columns.clock.at(closure.ends) - columns.clock.at(closure.begins)
    return sqrt(max(0.0, columns.g.item(group, K.VOL2) * days))
