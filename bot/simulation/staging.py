"""A scene becomes a world: the market with its troubles, venues and issuers with their faults, what the bot hears."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from bot.assembly import tables
from bot.simulation.fault import Event, Fault, Hand, Process
from bot.simulation.scene import Scene, stage
from bot.wiring import issuer_terms
from connectors.events import NS, Rows
from connectors.exact import exact
from connectors.instruments import USD, Role
from connectors.orders import Side
from connectors.simulated.issuer import SimulatedIssuer
from connectors.simulated.issuer_terms import Freeze, IssuerFault
from connectors.simulated.order_faults import (
    Event as VenueEvent,
)
from connectors.simulated.order_faults import (
    Foreign,
    NewRights,
    NewRules,
    OrderFault,
    OrderFaults,
    Rules,
    Spell,
    Trouble,
    Withdrawal,
)
from connectors.simulated.outside import Floor, Outside
from connectors.simulated.row_faults import PAYS, RowFault, RowTrouble, befall
from connectors.simulated.short import START_NS, Records
from connectors.simulated.venue import Terms, Venue

UNITS: Final = Decimal(100)
"""Of each token at each venue at the start."""
COINS: Final = Decimal(100_000)
TAKEN: Final = Decimal(90)
"""Units that are withdrawn by hand."""
RESTS: Final = Rules(lot=Decimal("0.5"))
"""What the venue's rule becomes for a while."""


class World(NamedTuple):
    """What a scene is played in."""

    outside: Outside
    rows: Rows
    """What the bot would hear of the market if it were there all the time."""


def world_of(scene: Scene, clock: Callable[[], int], records: Records) -> World:
    """The world of a scene on a market; `clock` tells the issuers the time at which they are asked, ns UTC."""
    config, universe, sessions = stage()
    troubles = [_trouble(fault) for fault in scene.faults if isinstance(fault.kind, RowFault)]
    if any(one.what is RowFault.MULTIPLIER for one in troubles):  # its issuer does one thing at a time
        troubles = [one for one in troubles if one.what is not RowFault.DIVIDEND]
    pays_at = [one.begin for one in troubles if one.what is RowFault.DIVIDEND]
    real = befall(records, troubles, real=True)
    told = befall(real, troubles, real=False)
    floor = Floor(universe, real)
    venues = {
        name: _venue(scene, name)
        for name in dict.fromkeys(one.venue for one in universe)
        if config.venues[name].taker_bps is not None
    }
    issuers = {}
    for name, terms in issuer_terms(config, sessions, scene.seed).items():
        mine = [fault for fault in scene.faults if fault.where == name]
        scripted = {one.number: one.kind for one in mine if isinstance(one.kind, IssuerFault)}
        freezes = tuple(
            Freeze(underlying, moment(one.at_s), moment(one.at_s + one.for_s))
            for one in mine
            if one.kind is Event.FREEZE
            for underlying in universe.underlyings()
        )
        prices = _Prices(copy.copy(floor), clock, pays_at)
        issuers[name] = SimulatedIssuer(
            name, universe, replace(terms, scripted=scripted, freezes=freezes), prices.usd, prices.shares
        )
    return World(Outside(universe, floor, venues, issuers), Rows.from_records(told))


def moment(seconds: float) -> int:
    """So long after the start, ns UTC."""
    return START_NS + round(seconds * NS)


class _Prices:
    """What an issuer goes by."""

    def __init__(self, floor: Floor, clock: Callable[[], int], pays_at: Sequence[int]) -> None:
        self._floor, self._clock, self._pays_at = floor, clock, pays_at

    def usd(self, number: int) -> float:
        """USD per unit now; of a token what its shares are worth, wherever it is quoted."""
        self._floor.now = self._clock()
        universe, one = stage().universe, stage().universe[number]
        if one.role is not Role.TOKEN:
            return self._floor.usd(number)
        share = universe.where(role=Role.SHARE, underlying=one.underlying)[0]
        return self._floor.usd(share) * self.shares(number)

    def shares(self, number: int) -> float:
        """Shares per unit; a share is one. A dividend makes them more where they are not one."""
        worth = stage().universe[number].multiplier or 1.0
        grown = worth != 1.0 and any(at <= self._clock() for at in self._pays_at)
        return worth / (1 - PAYS) if grown else worth


def _trouble(fault: Fault) -> RowTrouble:
    """Whom a fault of the market befalls: the instrument that it names and those that suffer with it."""
    universe, what = stage().universe, fault.kind
    assert isinstance(what, RowFault)
    named = universe[universe.number(fault.where)]
    numbers = [universe.number(fault.where)]
    value = float("nan")
    if what in (RowFault.DROP, RowFault.MUTE):
        numbers = [at for at, one in enumerate(universe) if one.venue == named.venue]
    elif what is RowFault.HALT:
        numbers = list(universe.where(role=Role.SHARE, underlying=named.underlying))
    elif what is RowFault.COIN:
        (coin,) = universe.where(role=Role.COIN)
        numbers = [coin, *(at for at, one in enumerate(universe) if one.quote == universe[coin].coin)]
    elif what is RowFault.DIVIDEND:
        token = next(at for at, one in enumerate(universe) if one.token and one.multiplier not in (None, 1.0))
        numbers = [token, *universe.where(role=Role.SHARE, underlying=universe[token].underlying)]
        value = universe[token].multiplier or 1.0
    elif what is RowFault.MULTIPLIER:
        numbers = [at for at, one in enumerate(universe) if one.token and one.multiplier not in (None, 1.0)]
        value = universe[numbers[0]].multiplier or 1.0
    begin = moment(fault.at_s)
    return RowTrouble(what, tuple(numbers), begin, begin + round(fault.for_s * NS), value)


def _venue(scene: Scene, name: str) -> Venue:
    """One venue with what goes wrong there."""
    config, universe, _ = stage()
    terms, balances = {}, {USD: COINS}
    for number, one in enumerate(universe):
        if one.venue == name:
            venue, table = tables(config, one)
            fee = exact(venue.taker_bps or 0.0) / 10_000
            terms[number] = Terms(fee=fee, rules=Rules(lot=table.lot))
            balances |= {one.asset: UNITS, one.quote: COINS}
    mine = [fault for fault in scene.faults if fault.where == name]
    orders = {
        fault.number + more: fault.kind
        for fault in mine
        if isinstance(fault.kind, OrderFault)
        for more in range(fault.times)
    }
    spells = tuple(
        Spell(fault.kind, moment(fault.at_s), moment(fault.at_s + fault.for_s))
        for fault in mine
        if isinstance(fault.kind, Trouble)
    )
    events = tuple(event for fault in mine if isinstance(fault.kind, Event) for event in _events(fault, min(terms)))
    faults = OrderFaults(scripted=orders, spells=spells, events=events)
    return Venue(name, universe, terms, balances, faults)


def _events(fault: Fault, number: int) -> tuple[VenueEvent, ...]:
    """What happens to an account, at the instrument of this number."""
    one, at, end = stage().universe[number], moment(fault.at_s), moment(fault.at_s + fault.for_s)
    if fault.kind is Event.NEW_RULES:
        lot = tables(stage().config, one)[1].lot
        return NewRules(at, number, RESTS), NewRules(end, number, Rules(lot=lot))
    if fault.kind is Event.WITHDRAWAL:
        return (Withdrawal(at, one.asset, TAKEN),)
    if fault.kind is Event.RIGHTS:
        return (NewRights(at, ("read", "trade", "withdraw")),)
    return (Foreign(at, "by-hand", number, Side.SELL, Decimal(1), Decimal(200), trades=True),)


def disk_faults(scene: Scene) -> dict[int, Fault]:
    """What befalls the disk, or the process while it writes, by the number of the record."""
    of_disk = [one for one in scene.faults if isinstance(one.kind, Process) and one.kind is not Process.CRASH_SENDING]
    return {one.number: one for one in of_disk}


def dies_sending(scene: Scene) -> set[int]:
    """While which sending the process dies, counted from 1."""
    return {one.number for one in scene.faults if one.kind is Process.CRASH_SENDING}


def hands(scene: Scene) -> list[tuple[int, Fault, bool]]:
    """What the operator does: when, which, and whether he takes it back; in order of time."""
    found = [one for one in scene.faults if isinstance(one.kind, Hand)]
    turns = [(moment(one.at_s + (one.for_s if back else 0.0)), one, back) for one in found for back in (False, True)]
    return sorted(turns, key=lambda turn: turn[0])


def looks(scene: Scene) -> list[int]:
    """When the metrics are asked for: just before the end of everything that lasts, ns UTC, in order."""
    return sorted(moment(one.at_s) + round(one.for_s * NS) - 1 for one in scene.faults if one.for_s and one.at_s)
