"""What the funding of a perp says of its basis: how far above the share it is to be expected, and how sure that is.

Funding is made of the perp's own average premium P over its index, by rules of one form: per eight hours

    F = s (P + clamp(I - P, -c, +c)),   c = 5 bps, I about 1 bp, s = 1 at most venues, 1/2 at some

so F rests where P is within c of I, and beyond that P = F / s + c on the side of F. Here s is not asked for: both are
within one error of 1.5 F. With r = F / c, held within -1 and +1,

    expected basis = 1.5 F + c r,   variance = (F / 2)^2 + (c r)^2 / 3

which is 0 with no error at F = 0, where nothing is known that the perp's usual basis does not say. The observation is
then log price = x + b + expected basis (x log share, b the Ornstein-Uhlenbeck rest); the variance is that of b on top
of its own, as the rule that a venue goes by is off in the same way at every print.

The index follows the share only while that trades. While it is shut the premium is one over a price that stands still,
or over the perp's own past: that is what the share has moved, and no basis. So what is told then is not taken in.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

import numpy as np

from connectors.events import NS, Flag, Kind, Rows
from connectors.instruments import Role, Universe

EIGHT_HOURS_S: Final = 8 * 3600.0
CLAMP: Final = 5e-4
PERIODS: Final = 2
"""What was told so many periods ago is not known any more."""

_FUNDING, _SUPERSEDED, _FEW = int(Kind.FUNDING), int(Flag.SUPERSEDED), 32


class Funding(NamedTuple):
    """What a venue told of one perp."""

    rate: float
    """Paid by who is long, per period, as a fraction; less than 0 is paid to him."""
    period_s: float
    ts: int
    """ns UTC."""

    @property
    def per_eight_hours(self) -> float:
        """The rate of eight hours."""
        return self.rate * EIGHT_HOURS_S / self.period_s

    @property
    def basis(self) -> tuple[float, float]:
        """(expected log of price / share, variance of it), by the rule of this file's docstring."""
        f = self.per_eight_hours
        clamped = max(-CLAMP, min(CLAMP, f))
        return 1.5 * f + clamped, f * f / 4 + clamped * clamped / 3

    def stands(self, now: int) -> bool:
        """Whether it still says anything at `now` (ns)."""
        return now <= self.ts + PERIODS * self.period_s * NS


class Fundings:
    """The newest FUNDING row of each perp, in step with the scan and however rows are cut into blocks."""

    def __init__(self, universe: Universe) -> None:
        """Nobody has told any."""
        self.of: dict[int, Funding] = {}
        """By number of the instrument."""
        self._perps = set(universe.where(role=Role.PERP))
        self._rows: list[tuple[int, int, int, float, float]] = []
        """Rows of this block that are not applied yet, last one first: place, moment, instrument, rate, period."""

    def begin(self, rows: Rows) -> bool:
        """A new block; all of the last one has been passed. Whether any of its rows is heard here."""
        kinds = rows.kind
        if not self._perps or (len(kinds) <= _FEW and _FUNDING not in kinds.tolist()):
            return False
        at = np.flatnonzero((kinds == _FUNDING) & (rows.flags & _SUPERSEDED == 0))[::-1]
        columns = (at, rows.ts_recv[at], rows.instrument[at], rows.bid[at], rows.ask[at])
        self._rows = list(zip(*(column.tolist() for column in columns), strict=True))
        return bool(self._rows)

    def pass_to(self, end: int) -> None:
        """The scan has applied the block's rows before `end`. A row that can be no funding is passed over."""
        while self._rows and self._rows[-1][0] < end:
            _, ts, number, rate, period_s = self._rows.pop()
            if number in self._perps and -inf < rate < inf and 0.0 < period_s < inf:
                self.of[number] = Funding(rate, period_s, ts)
