"""Charges what holding costs: funding of perps at the moments at which venues pay it, borrow of shorts once a day.

A venue pays funding at whole multiples of its period in UTC (hourly, every four or eight hours), on what is held then,
at the rate that it told last. Borrow is due at midnight UTC on what is short then, a day of the rate of the config. A
charge is known by instrument, kind and moment, so that it counts once however often it is made. What cannot be worked
out is no charge of zero: it is noted, and the operator's comparison with the venue tells what it was. So is what fell
due while no process ran: neither the rate nor the price of that moment was heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from math import isfinite
from typing import Final

from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Role
from connectors.orders import Carry, Charge
from strategies.base import Note
from strategies.execution.ledger import EXACT, ZERO, Ledger
from strategies.execution.memory import DAY_NS
from strategies.market import kernel as K
from strategies.market.columns import Columns
from strategies.market.funding import Funding

HOUR_NS: Final = 3600 * NS


class Charging:
    """What is held, looked at every whole hour."""

    def __init__(
        self, columns: Columns, ledger: Ledger, fundings: Mapping[int, Funding], borrow_per_day: Mapping[int, Decimal]
    ) -> None:
        """`fundings` is what venues told of perps last, `borrow_per_day` a part of the worth by instrument."""
        self._columns, self._ledger = columns, ledger
        self._fundings, self._borrow_per_day = fundings, borrow_per_day
        universe = columns.universe
        self._perps = [number for number in universe.where(role=Role.PERP) if columns.facts[number].traded]

    @property
    def idle(self) -> bool:
        """Nothing can ever be charged: no perp is traded, and no borrow rate is known."""
        return not (self._perps or self._borrow_per_day)

    def at(self, due: int) -> tuple[tuple[Charge, ...], tuple[Note, ...]]:
        """What is due at a whole hour (ns UTC), taken into the ledger; and what of it is not known."""
        charges: list[Charge] = []
        notes: list[Note] = []
        for number in self._perps:
            if self._ledger.position(number):
                self._add(number, Carry.FUNDING, self._funding(number, due), due, charges, notes)
        for number, rate in self._borrow_per_day.items() if due % DAY_NS == 0 else ():
            if self._ledger.position(number) < 0:
                self._add(number, Carry.BORROW, -rate, due, charges, notes)
        return tuple(charges), tuple(notes)

    def missed(self, since: int, until: int) -> tuple[Note, ...]:
        """What may have fallen due from the last record of an earlier run to the first moment of this one (ns UTC), by
        what is held now. Whether a venue pays at every whole hour is not known before it has told its period."""
        why = f"no process ran from {_utc(since)} to {_utc(until)}"
        notes: list[Note] = []
        if since // HOUR_NS < until // HOUR_NS:
            notes += [self._unknown(at, Carry.FUNDING, why) for at in self._perps if self._ledger.position(at)]
        if since // DAY_NS < until // DAY_NS:
            short = [number for number in self._borrow_per_day if self._ledger.position(number) < 0]
            notes += [self._unknown(at, Carry.BORROW, why) for at in short]
        return tuple(notes)

    def _funding(self, number: int, due: int) -> Decimal | None:
        """Part of its worth that who is long pays now; nothing at a moment at which nothing is paid, None where that
        is not known."""
        told = self._fundings.get(number)
        if told is None or not told.stands(due):
            return None
        return exact(told.rate) if due % round(told.period_s * NS) == 0 else ZERO

    def _add(
        self, number: int, kind: Carry, rate: Decimal | None, due: int, charges: list[Charge], notes: list[Note]
    ) -> None:
        """Charges this part of the worth of what is held, which is below zero where it is short."""
        if rate == ZERO:
            return
        columns, instrument = self._columns, self._columns.universe[number]
        f = columns.f_rows[number]
        price, fx = 0.5 * (f[K.BID] + f[K.ASK]), columns.known_fx(number)
        if rate is None or not (isfinite(price) and isfinite(fx)):
            why = "its venue has not told the rate lately" if rate is None else "it has no price"
            notes.append(self._unknown(number, kind, why))
            return
        with localcontext(EXACT):
            amount = self._ledger.position(number) * exact(price) * rate
        id = f"{instrument.name} {kind.value} {due // NS}"
        charge = Charge(id=id, instrument=number, kind=kind, amount=amount, fx=exact(fx), ts=due)
        if self._ledger.charge(charge):
            charges.append(charge)

    def _unknown(self, number: int, kind: Carry, why: str) -> Note:
        """The books lack what was paid."""
        underlying = self._columns.universe[number].underlying
        return Note(
            kind="charge_unknown", instrument=number, underlying=underlying, detail={"kind": kind.value, "why": why}
        )


def _utc(ns: int) -> str:
    """A moment to the second, for a person."""
    return f"{datetime.fromtimestamp(ns // NS, UTC):%Y-%m-%d %H:%M:%S} UTC"


def next_hour(now: int) -> int:
    """The first whole hour after `now`, ns UTC."""
    return (now // HOUR_NS + 1) * HOUR_NS
