"""How late rows arrive, by venue: receive time less the venue's own time, its clock's offset taken into account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from connectors.events import NS, Rows
from connectors.instruments import Universe
from monitoring.histogram import Histogram

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_KEPT: Final = 4096


class Latency:
    """A tap of the inbox; what it was given is counted when enough has come together, or when somebody asks."""

    def __init__(self, universe: Universe, offsets: Mapping[str, tuple[float, float]]) -> None:
        """`offsets` are those of the inbox: how far each venue's clock is ahead of ours."""
        self._venues = tuple(dict.fromkeys(i.venue for i in universe))
        self._venue_of = np.array([self._venues.index(i.venue) for i in universe], np.int64)
        self._offsets = offsets
        self._found = {venue: Histogram(BOUNDS_S) for venue in self._venues}
        self._waiting: list[Rows] = []
        self._count = 0

    def __call__(self, rows: Rows) -> None:
        """Takes a block."""
        self._waiting.append(rows)
        self._count += len(rows)
        if self._count >= _KEPT:
            self._fold()

    def of(self, venue: str) -> Histogram:
        """What was counted so far."""
        self._fold()
        return self._found[venue]

    def _fold(self) -> None:
        blocks, self._waiting, self._count = self._waiting, [], 0
        for rows in blocks:
            timed = rows.ts_venue > 0
            venues = self._venue_of[rows.instrument[timed]]
            late_s = (rows.ts_recv[timed] - rows.ts_venue[timed]) / NS
            for at in np.unique(venues).tolist():
                offset_s = self._offsets.get(self._venues[at], (0.0, 0.0))[0]
                self._found[self._venues[at]].observe_all(np.maximum(late_s[venues == at] + offset_s, 0.0))
