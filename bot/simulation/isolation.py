"""I11, isolation: while one venue, token, issuer or share is ill all others keep pricing and hedging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from bot.invariants import Breach
from bot.simulation.fault import Custody, Event, Fault, Hand, Process
from bot.simulation.window import Scrape
from connectors.events import NS, Kind, Rows
from connectors.instruments import Role, Universe
from connectors.simulated.issuer_terms import IssuerFault
from connectors.simulated.row_faults import RowFault
from strategies.base import Note, Step
from strategies.execution.latch import FLAG, OPERATOR, hold_of
from strategies.execution.saga import Stage

FRESH_NS: Final = 10 * NS
"""What was told of an instrument within this time is a price that must be shown."""


class Isolation:
    """Watches one scene, over all lives of the process."""

    def __init__(self, faults: Sequence[Fault], universe: Universe, rows: Rows, tell: Callable[[Breach], None]) -> None:
        """`rows` are what is told of the market."""
        self._universe, self._rows, self._tell = universe, rows, tell
        self._well = _well(universe, faults)
        self._priced = _well(universe, [one for one in faults if isinstance(one.kind, RowFault)])
        """Nothing but a fault of the market may take a price away."""
        self._scopes = _scopes(universe, self._well)
        self._trades: dict[str, set[int]] = {}

    def hear(self, step: Step) -> None:
        """No share, token or venue that is well is held back, and no trade that met only such ones is given up."""
        passed = set(step.approved)
        for wish in step.wishes:
            if wish.id in passed:
                self._trades.setdefault(wish.trade or wish.id, set()).update(leg.instrument for leg in wish.legs)
        for note in step.notes:
            self._note(note, step.ts)

    def _note(self, note: Note, now: int) -> None:
        if note.kind == "hold":
            hold = hold_of(note.detail)
            if hold.scope in self._scopes and hold.cause not in (OPERATOR, FLAG):
                self._tell(Breach("I11", f"{hold}, and nothing befell it", now))
        elif note.kind == "trade" and note.detail.get("stage") == Stage.PAGED:
            trade = str(note.detail["trade"])
            met = self._trades.get(trade, set())
            if met and met <= self._well:
                self._tell(Breach("I11", f"trade {trade} was given up, and nothing befell where it traded", now))

    def look(self, scrape: Scrape, since: int) -> None:
        """The metrics show the last price and the fair value of each token that was told of just now and is well; since
        `since` (ns UTC) the process hears."""
        rows = self._rows
        begin, end = np.searchsorted(rows.ts_recv, (max(since, scrape.ts - FRESH_NS), scrape.ts))
        quotes = [at for at in range(begin, end) if rows.kind[at] == Kind.QUOTE]
        told = {int(rows.instrument[at]): float(rows.ts_recv[at]) / NS for at in quotes}
        for number in sorted(self._priced & told.keys()):
            one = self._universe[number]
            if one.role is Role.TOKEN and not _priced(scrape, one.name, told[number]):
                what = f"{one.name} is quoted, and its last price or its fair value is not known"
                self._tell(Breach("I11", what, scrape.ts))


def _priced(scrape: Scrape, name: str, since_s: float) -> bool:
    """Whether a token has a premium and a price that is no older than `since_s` (Unix time)."""
    labels = {"instrument": name}
    heard = scrape.values("pegline_quote_last_update_timestamp_seconds", labels)
    return bool(scrape.values("pegline_premium_ratio", labels)) and heard[0] > since_s - 1e-3


def _well(universe: Universe, faults: Sequence[Fault]) -> frozenset[int]:
    """Instruments that none of the faults befalls."""
    return frozenset(range(len(universe))).difference(*(_befallen(one, universe) for one in faults))


def _befallen(fault: Fault, universe: Universe) -> frozenset[int]:
    """Instruments that a fault befalls: those of its venue or issuer, those of the share of its instrument, or those
    quoted in the coin; all where it befalls the process."""
    kind, everything = fault.kind, enumerate(universe)
    if isinstance(kind, Process) or not fault.where:
        return frozenset(at for at, _ in everything)
    if isinstance(kind, IssuerFault) or kind is Event.FREEZE:
        shares = {one.underlying for one in universe if one.issuer == fault.where}
        return frozenset(at for at, one in everything if one.underlying in shares)
    if not isinstance(kind, (RowFault, Custody, Hand)):
        return frozenset(at for at, one in everything if one.venue == fault.where)
    named = universe[universe.number(fault.where)]
    if kind is RowFault.COIN:
        return frozenset(at for at, one in everything if one.quote != "USD" or one.role is Role.COIN)
    if kind in (RowFault.DROP, RowFault.MUTE):
        return frozenset(at for at, one in everything if one.venue == named.venue)
    if kind in (RowFault.MULTIPLIER, RowFault.DIVIDEND):
        shares = {one.underlying for one in universe if one.multiplier not in (None, 1.0)}
        return frozenset(at for at, one in everything if one.underlying in shares)
    return frozenset(at for at, one in everything if one.underlying == named.underlying)


def _scopes(universe: Universe, well: frozenset[int]) -> frozenset[str]:
    """What can be held back and is well in all its instruments."""
    ill = {name for number in range(len(universe)) if number not in well for name in _names(universe, number)}
    return frozenset(name for number in well for name in _names(universe, number)) - ill


def _names(universe: Universe, number: int) -> tuple[str, ...]:
    one = universe[number]
    return f"underlying:{one.underlying}", f"token:{one.token}", f"venue:{one.venue}", f"issuer:{one.issuer}"
