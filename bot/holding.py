"""The daemon's hand on its latch: what changes on disk is heeded and recorded, what the gate sets is kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bot.engine import Engine
from bot.holds import Holds
from connectors.errors import DataError
from strategies.base import Step
from strategies.execution.latch import (
    DRAWDOWN,
    FENCE,
    FLAG,
    INVARIANT,
    JOURNAL,
    NAKED,
    RUNAWAY,
    TRADE,
    Hold,
    Latch,
    hold_of,
)
from strategies.execution.stops import hold_note, resumed_note

LOOK_S: Final = 0.5
"""How often the state folder is looked at."""
OWN: Final = (DRAWDOWN, NAKED, RUNAWAY, TRADE, FENCE, INVARIANT)
"""Causes that the gate itself gives."""


class Holding:
    """Keeps an engine's latch and the one on disk the same."""

    def __init__(self, holds: Holds, engine: Engine, clock: Callable[[], int], warn: Callable[[str], None]) -> None:
        """After the engine was restored; what was changed meanwhile is told with the first look after its first row."""
        self.holds, self.engine, self._clock, self._warn = holds, engine, clock, warn
        self._stamp: tuple[int, int, bool] | None = None
        kept = holds.read(clock())
        last = max([hold.at for hold in kept.latch.holds] + [end.at for end in kept.resumed], default=0)
        for hold in engine.memory.latch.holds:
            if hold.cause in OWN and hold.at > last and hold.holds(clock()):
                self._keep(hold)  # recorded, and the process died before the file was
        engine.memory.heed(holds.read(clock()).latch)
        self._recorded = Latch()  # each run's records tell anew what holds it

    def look(self) -> None:
        """Heeds what has changed on disk, and records who and why."""
        stamp = self.holds.stamp()
        if stamp == self._stamp or not self.engine.dealer.steps:
            return
        now = self._clock()
        try:
            kept = self.holds.read(now)
        except DataError:  # no file can be opened now: it is looked at again, and orders look at the file KILL anyway
            return
        memory = self.engine.memory
        for hold in kept.latch.holds:
            if hold.cause == FLAG and hold not in self._recorded.holds:
                self._keep(hold)  # to delete the file by hand does not lift it
        notes = [
            resumed_note(one.scope, one.modes, number=one.number, why=one.why, by=one.by)
            for one in kept.resumed
            if one.number > memory.resumed
        ]
        notes += [hold_note(hold) for hold in kept.latch.holds if hold not in self._recorded.holds]
        memory.resumed = max((one.number for one in kept.resumed), default=memory.resumed)
        self._stamp, self._recorded = stamp, kept.latch
        latch = kept.latch
        for hold in memory.latch.holds:
            if hold.cause == JOURNAL:
                latch = latch.set(hold)
        self.engine.hold(latch, notes)

    def hear(self, step: Step) -> None:
        """Keeps on disk what the gate holds back; called with each record, before anything that it allows is sent."""
        for note in step.notes:
            if note.kind == "hold" and note.detail["cause"] in OWN:
                self._keep(hold_of(note.detail))
                self._recorded = self._recorded.set(hold_of(note.detail))

    def _keep(self, hold: Hold) -> None:
        """Writes a hold; where the disk refuses, it holds in this process all the same."""
        try:
            self.holds.set(hold)
        except DataError as error:
            self._warn(f"{hold}, which is not on disk: {error}")
