"""Depeg states of every token on every venue and as a whole, with their causes: the strategy that only remarks.

Its rule stands in strategies/peg/rule.py, the detector in strategies/peg/venue.py, causes in strategies/peg/cause.py. A
candidate rule may run in its shadow: it sees the same and is recorded the same, under kinds of notes that alert nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.events import NS
from connectors.instruments import Universe
from strategies.base import Decision, Every, Note, View, Wake
from strategies.peg.board import Board
from strategies.peg.rule import Rule
from strategies.peg.state import Cause, PegState

__all__ = ["Cause", "PegState", "PegWatch", "Rule"]

_REMEMBERED_NS = 6 * 3600 * NS
"""How often it is written down what is usual at each venue, so that a restart need not learn it anew."""


@dataclass(kw_only=True)
class PegWatch:
    """The strategy: it never wishes, it remarks every change of a state or a cause with the evidence behind it."""

    rule: Rule
    shadow: Rule | None = None
    name: str = "peg_watch"
    cooldown_ns: int = 0
    refusal_backoff_ns: int = 0
    max_open: int = 0
    board: Board = field(init=False)
    candidate: Board | None = field(default=None, init=False)
    _told_usual: int = 0

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick of the clock."""
        self.board = Board(self.rule, universe)
        if self.shadow is not None:
            self.candidate = Board(self.shadow, universe, shadow=True)
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """It never trades."""
        return False, False

    def state(self, instrument: int) -> PegState:
        """The state of one instrument now."""
        shown = self.board.shown.get(instrument)
        return shown.state if shown else PegState.UNKNOWN

    def of_share(self, underlying: str) -> PegState:
        """The worst state of a share's tokens; UNKNOWN where it has none on any venue."""
        board = self.board
        states = [
            shown.state
            for key, shown in board.token_shown.items()
            if board.universe[board.tokens[key][0]].underlying == underlying
        ]
        return max(states, default=PegState.UNKNOWN)

    def decide(self, view: View) -> Decision:
        """A note for every state or cause that changed."""
        notes = self.board.look(view.columns, view.now)
        if self.candidate is not None:
            notes += self.candidate.look(view.columns, view.now)
        if view.now - self._told_usual >= _REMEMBERED_NS:
            notes += self._usual() if self._told_usual else []
            self._told_usual = view.now
        return Decision(notes=tuple(notes))

    def _usual(self) -> list[Note]:
        """What is usual at every venue where that is known."""
        found = []
        for at, watch in self.board.watches.items():
            if watch.warm:
                usual = watch.ordinary
                numbers = (usual.centre_bps, usual.spread_bps, usual.correlation, usual.gap_ns, usual.count)
                names = ("centre_bps", "spread_bps", "correlation", "gap_ns", "count")
                detail: dict[str, float | str] = {n: float(f"{v:.6g}") for n, v in zip(names, numbers, strict=True)}
                found.append(Note(kind="peg_usual", instrument=at, detail=detail))
        return found

    def resume(self, told: Iterable[Note]) -> None:
        """Goes on from the last `peg_state`, `token_state` and `peg_usual` notes of an earlier run."""
        board = self.board
        for note in told:
            detail, at = note.detail, note.instrument
            if note.kind == "token_state":
                key = str(detail["token"]), str(detail["issuer"])
                if key in board.token_shown:
                    board.token_shown[key].known = PegState[str(detail["to"])]
            elif at not in board.watches:
                continue
            elif note.kind == "peg_usual":
                for one in (board, self.candidate):
                    if one is not None:
                        one.watches[at].ordinary.remember(
                            float(detail["centre_bps"]),
                            float(detail["spread_bps"]),
                            float(detail["correlation"]),
                            float(detail["gap_ns"]),
                            int(detail["count"]),
                        )
            elif note.kind == "peg_state":
                state = board.shown[at].known = PegState[str(detail["to"])]
                if state >= PegState.STRAINED and detail.get("by"):
                    since, limit = round(float(detail["since"]) * NS), float(detail["threshold_bps"])
                    side = 1 if float(detail["over_usual_bps"]) > 0 else -1
                    board.watches[at].resume(state, since, limit, str(detail["by"]), side)
