"""The engine over rows with nothing but the alarm rules in it, and the states that they told, as timelines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from bot.assembly import assemble
from bot.config import Config, Strategies
from bot.sessions import load_sessions
from connectors.events import Rows
from connectors.instruments import Universe
from strategies.base import Note, Step
from strategies.peg.rule import Rule
from strategies.peg.state import Cause, PegState
from strategies.peg_watch import PegWatch

BLOCK: Final = 65_536


@dataclass(slots=True)
class Timeline:
    """States of one venue or token: from each moment on, until the next."""

    ts: list[int] = field(default_factory=list)
    states: list[tuple[PegState, Cause]] = field(default_factory=list)
    again: list[bool] = field(default_factory=list)
    """Whether it only came back from the unknown to what it was before."""

    def told(self, ts: int, note: Note) -> None:
        """Takes a note of this venue or token."""
        self.ts.append(ts)
        self.states.append((PegState[str(note.detail["to"])], Cause(str(note.detail["cause"]))))
        self.again.append(bool(note.detail.get("again")))

    def at(self, ts: int) -> tuple[PegState, Cause]:
        """The state at a moment."""
        place = bisect_right(self.ts, ts) - 1
        return self.states[place] if place >= 0 else (PegState.UNKNOWN, Cause.NONE)

    def within(self, start: int, end: int) -> list[tuple[int, PegState, Cause]]:
        """What stood at `start`, with that moment, and every change after it until `end`, both included."""
        found = [(start, *self.at(start))]
        first = bisect_right(self.ts, start)
        last = bisect_right(self.ts, end)
        return found + [(self.ts[at], *self.states[at]) for at in range(first, last)]

    def alarms(self, start: int, end: int) -> list[tuple[int, Cause]]:
        """Moments at which it became DEPEGGED anew, with the cause."""
        found, before = [], PegState.UNKNOWN
        for ts, (state, cause), again in zip(self.ts, self.states, self.again, strict=True):
            if state is PegState.DEPEGGED and before is not state and not again and start <= ts < end:
                found.append((ts, cause))
            before = state
        return found


@dataclass(slots=True)
class Watched:
    """What one rule told of a market."""

    venues: dict[int, Timeline] = field(default_factory=dict)
    tokens: dict[tuple[str, str], Timeline] = field(default_factory=dict)
    false_alarms_month: dict[int, float] = field(default_factory=dict)
    """By venue: what the rule expects of itself."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a pass came to."""

    active: Watched
    shadow: Watched | None
    share_states: dict[str, PegState]
    """By underlying, at the end; UNKNOWN where no venue has a token of it."""


class _Deaf:
    """A scribe that writes nothing."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Forgets the record."""
        return 0


def watch(config: Config, rows: Iterable[Rows], universe: Universe, rule: Rule, shadow: Rule | None = None) -> Run:
    """One pass over the rows."""
    peg = PegWatch(rule=rule, shadow=shadow)
    plain = config.model_copy(update={"strategies": Strategies(), "risk": None})
    found = {"peg": Watched(), "shadow": Watched()}

    def on_step(step: Step) -> None:
        for note in step.notes:
            whose = found["shadow" if note.kind.startswith("shadow") else "peg"]
            if note.kind in ("peg_state", "shadow_state"):
                whose.venues.setdefault(note.instrument, Timeline()).told(step.ts, note)
            elif note.kind in ("token_state", "shadow_token"):
                key = str(note.detail["token"]), str(note.detail["issuer"])
                whose.tokens.setdefault(key, Timeline()).told(step.ts, note)

    parts = assemble(plain, universe, load_sessions(), _Deaf(), executor=None, on_step=[on_step], more=[peg])
    for block in rows:
        for part in block.blocks(BLOCK):
            parts.engine.advance(part)
    for whose, board in (("peg", peg.board), ("shadow", peg.candidate)):
        if board is not None:
            found[whose].false_alarms_month = {
                at: one.false_alarms_per_month(PegState.DEPEGGED) for at, one in board.watches.items() if one.warm
            }
    shares = {name: peg.of_share(name) for name in universe.underlyings()}
    return Run(found["peg"], found["shadow"] if shadow is not None else None, shares)
