"""Everything that monitoring keeps of one run, in one place: counts, story, picture, health and metrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from monitoring.backing import troubles as unbacked
from monitoring.decisions import Tally
from monitoring.depth import LevelsOf, no_levels
from monitoring.facts import AccountState, BackingState, Facts, FeedState, LoopState, Recording
from monitoring.health import Health, health
from monitoring.histogram import Histogram
from monitoring.metrics import Metrics
from monitoring.narrate import Line, Narrator
from monitoring.pools import Readings
from monitoring.reconciled import troubles
from monitoring.snapshot import Snapshot, snapshot
from strategies.base import Step
from strategies.execution.conversions import Conversions
from strategies.execution.use import Use, UseOf

if TYPE_CHECKING:
    from strategies.market.columns import Columns
    from strategies.market.health import Score

KEPT: Final = 500
"""Lines of the story that are kept; the journal has all of it."""
SHOWN: Final = 30
"""Lines of the story on the page."""


def _not_recorded() -> None:
    """For a run that keeps no tape."""
    return


class Desk:
    """Give `on_step` every step record, in order; ask for the rest at any time."""

    def __init__(
        self,
        columns: Columns,
        *,
        facts: Facts,
        feeds: Callable[[], Sequence[FeedState]] = tuple,
        positions: Mapping[int, Decimal] | None = None,
        conversions: Conversions | None = None,
        idle_s: Callable[[], float] | None = None,
        loop: Callable[[], LoopState] = LoopState,
        histograms: Callable[[], Mapping[str, Mapping[tuple[str, ...], Histogram]]] = dict,
        levels: LevelsOf = no_levels,
        recording: Callable[[], Recording | None] = _not_recorded,
        pools: Readings = tuple,
        accounts: Callable[[], Sequence[AccountState]] = tuple,
        scores: Callable[[], Mapping[int, Score]] = dict,
        use: UseOf = Use,
        backing: Callable[[], Sequence[BackingState]] = tuple,
    ) -> None:
        """`scores` is the known peg health by instrument, `use` what the gate has let out.

        `accounts` say how venues' accounts stand against the books, `backing` how attestations stand against supplies.
        `levels` of an instrument's book, the state of the `recording`, readings of `pools`, `feeds` and `idle_s`
        (wall seconds since the last row) are asked when needed; `positions` (units by instrument) and
        `conversions` of a ledger that goes on from an earlier run; `loop` and `histograms` as Metrics.
        """
        self._levels, self._recording, self._pools, self._scores, self._loop = levels, recording, pools, scores, loop
        self.columns, self.facts, self._feeds, self._idle_s = columns, facts, feeds, idle_s
        self._accounts, self._use, self._backing = accounts, use, backing
        self.tally = Tally(
            columns.universe,
            shares_per_unit=lambda number: float(columns.shares_per_unit[number]),
            positions=positions,
            conversions=conversions,
        )
        self._narrator = Narrator(columns.universe, self.tally)
        self.story: deque[Line] = deque(maxlen=KEPT)
        self.registry: CollectorRegistry = Metrics(
            columns,
            self.tally,
            facts=facts,
            feeds=feeds,
            loop=loop,
            histograms=histograms,
            levels=levels,
            recording=recording,
            pools=pools,
            accounts=accounts,
            scores=scores,
            use=use,
            backing=backing,
        ).registry()

    def on_step(self, step: Step) -> list[Line]:
        """Counts a step and tells it; returns the new lines."""
        self.tally.fold(step)
        lines = self._narrator.tell(step)
        self.story.extend(lines)
        return lines

    def picture(self) -> Snapshot:
        """The picture of this moment."""
        told = [str(line) for line in list(self.story)[-SHOWN:]]
        recording = self._recording()
        wrong = [*self._loop().wants().values(), *(f"held back: {hold}" for hold in self.tally.holds())]
        wrong += troubles(self._accounts()) + unbacked(self._backing())
        if recording is not None and recording.error:
            wrong.append(f"recording stopped: {recording.error}")
        return snapshot(
            self.columns,
            self.tally,
            facts=self.facts,
            feeds=self._feeds(),
            told=told,
            levels=self._levels,
            scores=self._scores(),
            troubles=wrong,
            pools=self._pools(),
            use=self._use(),
        )

    def health(self, picture: Snapshot) -> Health:
        """Whether what the picture shows is fit to work with."""
        return health(picture, idle_s=self._idle_s() if self._idle_s is not None else None)
