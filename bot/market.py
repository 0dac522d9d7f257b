"""What venues say about the share market itself: halts of a share, and the session against our own table.

Both fail closed: while a source says that a share is halted, or that the market is in another session than our table
has, no token of it and not the share itself is traded. Perps on the share may be: they are what a hedge is made of.
Another session is held against nobody any more when the source that told it has been silent for its own maximum age.
"""

from __future__ import annotations

from typing import Final

from connectors.events import NS, Health, Why
from connectors.instruments import Role
from strategies.base import Note
from strategies.market.columns import Columns
from strategies.market.session import Session

EDGE_NS: Final = 60 * NS
"""This near to a change of session nobody's clock is held against him."""

_SHUT: Final = frozenset({Session.WEEKEND, Session.HOLIDAY})
_BARRED: Final = frozenset({Role.TOKEN, Role.SHARE})


class MarketWatch:
    """Which underlyings are halted, and at which venues the session is another one."""

    def __init__(self, columns: Columns) -> None:
        """Nobody has said anything."""
        self.columns = columns
        self.changed = False
        """Whether the last call changed who may be traded."""
        self._halted: dict[int, set[int]] = {}
        """By underlying: the sources that say so."""
        self._differs: dict[str, dict[int, tuple[int, int]]] = {}
        """By venue: underlyings of which it says another session, with the instrument that it said it of, and when."""

    def barred(self, number: int) -> bool:
        """Whether an instrument may not be traded for what is said about its share's market."""
        instrument = self.columns.universe[number]
        if instrument.role not in _BARRED:
            return False
        group = self.columns.group(number)
        return bool(self._halted.get(group)) or any(group in groups for groups in self._differs.values())

    def health(self, number: int, state: float, reason: float) -> list[Note]:
        """A source's stream stands differently: halted, or up again. A source that is down has not taken it back."""
        instrument = self.columns.universe[number]
        if instrument.role is not Role.SHARE:
            return []
        group = self.columns.group(number)
        sources = self._halted.setdefault(group, set())
        before = bool(sources)
        if state == Health.CLOSED and reason == Why.HALTED:
            sources.add(number)
        elif state in (Health.UP, Health.DEGRADED):
            sources.discard(number)
        if bool(sources) is before:
            return []
        kind = "share_halted" if sources else "share_resumed"
        return [Note(kind=kind, instrument=number, underlying=instrument.underlying)]

    def session(self, number: int, code: float, ts: int) -> list[Note]:
        """A venue says which session the market is in; heard at `ts`, which a replay knows too."""
        self.changed = False
        columns, instrument = self.columns, self.columns.universe[number]
        ours, sessions = columns.sessions.at(ts), columns.sessions
        if not instrument.underlying or sessions.at(ts - EDGE_NS) is not sessions.at(ts + EDGE_NS):
            return []
        theirs = Session(int(code)) if code in Session.__members__.values() else Session.UNKNOWN
        alike = theirs is ours or {theirs, ours} <= _SHUT
        groups = self._differs.setdefault(instrument.venue, {})
        before, group = bool(groups), columns.group(number)
        self.changed = (group in groups) is alike
        if alike:
            groups.pop(group, None)
        else:
            groups[group] = (number, ts)
        if bool(groups) is before:
            return []
        detail: dict[str, float | str] = {"venue": instrument.venue, "ours": ours.label, "theirs": theirs.label}
        return [Note(kind="session_differs" if groups else "session_agrees", instrument=number, detail=detail)]

    def of_time(self, now: int) -> list[Note]:
        """What was said about the session by sources that have been silent for too long since is no longer held."""
        self.changed, notes, columns = False, list[Note](), self.columns
        for venue, groups in self._differs.items():
            silent = [
                group
                for group, (number, ts) in groups.items()
                if now - max(ts, int(columns.ts[number])) > columns.facts[number].max_age_ns
            ]
            for group in silent:
                number, _ = groups.pop(group)
                self.changed = True
                if not groups:
                    detail: dict[str, float | str] = {"venue": venue, "why": "silent"}
                    notes.append(Note(kind="session_agrees", instrument=number, detail=detail))
        return notes
