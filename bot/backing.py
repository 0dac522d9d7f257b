"""Whether tokens are backed: what their issuers attest against what chains tell of their supply.

A token whose attestation is short of its supply, or too old, is not bought into any more; what is held may be given
back. Only tokens of which something is attested are judged: an operator who keeps no file asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import numpy as np

from bot.attestations_file import Attestation
from connectors.events import NS, Kind, Rows
from connectors.instruments import Role, Universe
from monitoring.facts import BackingState
from strategies.base import Note

_SUPPLY = int(Kind.SUPPLY)
ROUNDS = 1e-9
"""A supply is told as a float: so far it may be off."""


class Backing:
    """Follows SUPPLY rows; looked at with every tick of the clock."""

    def __init__(self, universe: Universe, attestations: Iterable[Attestation], max_age_ns: int) -> None:
        """No supply is known. An attestation older than `max_age_ns` is too old."""
        self._universe, self._max_age_ns = universe, max_age_ns
        known = {(one.issuer, one.token) for one in universe if one.role is Role.TOKEN}
        found = [one for one in attestations if (one.issuer, one.token) in known]
        self._attested = {
            token: sorted((one for one in found if one.token == token), key=lambda one: one.as_of_ns)
            for token in sorted({one.token for one in found})
        }
        self._supply: dict[str, dict[str, float]] = {}
        """Units by token and chain."""
        self._rows: list[tuple[int, int, float]] = []
        self._states: dict[str, str] = {}
        self.bars: dict[int, str] = {}
        """Why a token's instruments may only be reduced, as of the last look."""

    def begin(self, rows: Rows) -> bool:
        """A new block; all of the last one has been passed. Whether any of its rows is heard here."""
        at = np.flatnonzero(rows.kind == _SUPPLY)[::-1]
        self._rows = list(zip(at.tolist(), rows.instrument[at].tolist(), rows.bid[at].tolist(), strict=True))
        return bool(self._rows)

    def pass_to(self, end: int) -> None:
        """The scan has applied the block's rows before `end`."""
        while self._rows and self._rows[-1][0] < end:
            _, number, units = self._rows.pop()
            one = self._universe[number]
            self._supply.setdefault(one.token, {})[one.chain or one.venue] = units

    def states(self, now: int) -> tuple[BackingState, ...]:
        """How each attested token stands at `now` (ns UTC)."""
        return tuple(self._state(token, found, now) for token, found in self._attested.items())

    def look(self, now: int) -> list[Note]:
        """Judges every token anew; a note for each whose state has changed."""
        self.bars = {}
        notes = []
        for one in self.states(now):
            numbers = [at for at, i in enumerate(self._universe) if i.role is Role.TOKEN and i.token == one.token]
            if one.why:
                self.bars |= dict.fromkeys(numbers, one.why)
            before = self._states.get(one.token, "sound")
            self._states[one.token] = one.state
            if one.state != before:
                at = numbers[0]
                detail: dict[str, float | str] = {"token": one.token, "issuer": one.issuer}
                detail |= {"state": one.state, "why": one.why}
                share = self._universe[at].underlying
                notes.append(Note(kind="backing", instrument=at, underlying=share, detail=detail))
        return notes

    def _state(self, token: str, found: list[Attestation], now: int) -> BackingState:
        """By the newest attestation that speaks of a moment that has come; supplies of chains that tell none lack, so
        that what is told is the least there is."""
        come = [one for one in found if one.as_of_ns <= now]
        told = self._supply.get(token)
        supply = sum(told.values()) if told else None
        state = BackingState(token=token, issuer=found[0].issuer, supply_units=supply)
        if not come:
            return msgspec.structs.replace(state, state="old", why=f"{token}: nothing is attested of a time before now")
        last = come[-1]
        days, age = (now - last.as_of_ns) / NS / 86_400, (now - last.as_of_ns) / self._max_age_ns
        units = float(last.units)
        state = msgspec.structs.replace(state, issuer=last.issuer, attested_units=units, age_ratio=age)
        when = f"{datetime.fromtimestamp(last.as_of_ns // NS, UTC):%Y-%m-%d}"
        if supply is not None and supply > units * (1 + ROUNDS):
            why = f"{token}: {supply:,.0f} units on chains, {units:,.0f} attested by {last.issuer} as of {when}"
            return msgspec.structs.replace(state, state="short", why=why)
        if age > 1:
            why = f"{token}: what {last.issuer} attests is of {when}, {days:.0f} days ago"
            return msgspec.structs.replace(state, state="old", why=why)
        return state
