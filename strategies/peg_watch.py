"""Depeg states of every token on every venue: PEGGED, STRAINED, DEPEGGED or UNKNOWN, with hysteresis and persistence.

First form: thresholds depend on the session; a state is entered when the premium has been beyond its threshold, and
beyond a number of sigmas of the fair value, for `persist_ns`, and left when it has been inside `clear_share` of it as
long. A quote that is stale, refused or in doubt, or an unknown fair value, makes the state UNKNOWN at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from connectors.instruments import Role, Universe
from strategies.base import Decision, Every, Note, View, Wake
from strategies.market import kernel as K
from strategies.market.session import Session


class PegState(IntEnum):
    """How a token stands to its fair value on one venue."""

    UNKNOWN = 0
    PEGGED = 1
    STRAINED = 2
    DEPEGGED = 3


@dataclass(slots=True)
class _Watch:
    """The memory of one instrument."""

    state: PegState = PegState.UNKNOWN
    worse_since: dict[PegState, int] = field(default_factory=dict)
    """Since when the numbers have been at least this bad without a break."""
    better_since: dict[PegState, int] = field(default_factory=dict)
    """Since when they have been better than this without a break."""

    def hear(self, verdict: PegState, now: int) -> None:
        """Takes the verdict of one moment into both memories."""
        for level in (PegState.STRAINED, PegState.DEPEGGED):
            kept, ended = self.worse_since, self.better_since
            if verdict < level:
                kept, ended = ended, kept
            kept.setdefault(level, now)
            ended.pop(level, None)

    def settled(self, now: int, persist_ns: int) -> PegState:
        """The state that has stood long enough: the worst that lasted, and none better while it has not."""
        for level in (PegState.DEPEGGED, PegState.STRAINED):
            lasted = level in self.worse_since and now - self.worse_since[level] >= persist_ns
            left = level in self.better_since and now - self.better_since[level] >= persist_ns
            if lasted or (self.state >= level and not left):
                return level
        return PegState.PEGGED


@dataclass(kw_only=True)
class PegWatch:
    """The strategy: it never wishes, it remarks every change of state with the numbers behind it."""

    warn_bps: Mapping[Session, float]
    depeg_bps: Mapping[Session, float]
    clear_share: float
    persist_ns: int
    min_sigmas: float
    name: str = "peg_watch"
    cooldown_ns: int = 0
    refusal_backoff_ns: int = 0
    max_open: int = 0
    watches: dict[int, _Watch] = field(default_factory=dict)

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick of the clock."""
        self.watches = {at: _Watch() for at in universe.where(role=Role.TOKEN)}
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """It never trades."""
        return False, False

    def state(self, instrument: int) -> PegState:
        """The state of one instrument now."""
        watch = self.watches.get(instrument)
        return watch.state if watch else PegState.UNKNOWN

    def decide(self, view: View) -> Decision:
        """A note for every token whose state changed."""
        notes: list[Note] = []
        now = view.now
        for instrument, watch in self.watches.items():
            verdict, numbers = self._verdict(view, instrument, watch.state)
            settled: PegState = verdict
            if verdict is PegState.UNKNOWN:
                watch.worse_since.clear()
                watch.better_since.clear()
            else:
                watch.hear(verdict, now)
                settled = watch.settled(now, self.persist_ns)
                if watch.state is PegState.UNKNOWN and settled is PegState.PEGGED and verdict is not PegState.PEGGED:
                    continue  # out of the unknown straight into doubt: wait and see which it is
            if settled is not watch.state:
                detail: dict[str, float | str] = {"from": watch.state.name, "to": settled.name, **numbers}
                notes.append(Note(kind="peg_state", instrument=instrument, detail=detail))
                watch.state = settled
        return Decision(notes=tuple(notes))

    def _verdict(self, view: View, instrument: int, state: PegState) -> tuple[PegState, dict[str, float]]:
        """What the numbers of this moment say, given the state that they must overcome."""
        columns, now = view.columns, view.now
        fair = columns.fair(columns.group(instrument), now)
        fresh = now <= columns.k[instrument, K.EXPIRES] and columns.k[instrument, K.REFUSAL] == K.OK
        if fair is None or not fresh or columns.doubted(instrument) or columns.session is Session.UNKNOWN:
            return PegState.UNKNOWN, {}
        premium = float(columns.f[instrument, K.MID_USD]) / fair.price * 1e4 - 1e4
        if premium != premium:
            return PegState.UNKNOWN, {}
        warn, depeg = self.warn_bps[columns.session], self.depeg_bps[columns.session]
        if state is PegState.DEPEGGED:
            depeg *= self.clear_share
        if state in (PegState.STRAINED, PegState.DEPEGGED):
            warn *= self.clear_share
        size = abs(premium)
        doubtful = size < self.min_sigmas * fair.error_bps
        numbers = {"premium_bps": premium, "sigma_bps": fair.error_bps, "fair": fair.price, "threshold_bps": depeg}
        if size > depeg and (not doubtful or state is PegState.DEPEGGED):
            return PegState.DEPEGGED, numbers
        if size > warn and (not doubtful or state >= PegState.STRAINED):
            return PegState.STRAINED, numbers
        return PegState.PEGGED, numbers
