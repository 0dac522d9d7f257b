"""Sources of one share held against each other: who follows with a delay, and whose level nobody else sees.

A source of the wrong symbol is fresh and tight, one that is a quarter of an hour late too; alone they cannot be told
from the truth. Against another independent witness they can:

- **Delay.** Prices are kept in cells of STEP_S, only where a source spoke in the cell: silence is not filled. The
  variance of ln(own, now) - ln(other, L cells ago) is worked out for every L up to MAX_LAG_S, around its own mean, so
  that a constant distance (another exchange, a basis) does not matter. A source is delayed when that variance is
  smallest at a lag of at least the limit, there at most a quarter of what it is without a lag, and no more than the
  price moves from one cell to the next (walks that have nothing in common differ by more), and the other does not
  follow it more closely. One witness that leads is enough, since nothing real knows the price of later. While nothing
  moves, nothing can be told.
- **Level.** The median of three or more witnesses in time, each by its surest source, is believed; a source further
  from it than 5 of their joint errors in most of its last cells is outvoted. Of two that disagree nobody can say
  which is right: both are doubted, and entries rest. With one witness nothing can be told, and that is said once.
- **Coming back.** A source that was refused for its level (frozen, or a jump that had not stood) has no say: what was
  voted against others with its help is void, and when it speaks again it is held against those that stood meanwhile,
  never they against it, until it has agreed with them in EARNED cells in a row. With nobody there, it is believed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, isfinite, log
from statistics import median
from typing import Final, NamedTuple

import numpy as np
from numba import njit, types

from connectors.events import F8, I8, NS
from strategies.market.kernel import KEPT

STEP_S: Final = 30
WINDOW: Final = 60
"""Cells whose prices are compared: half an hour."""

MAX_LAG_S: Final = 1800
MIN_PAIRS: Final = 24
"""Cells in which both must have spoken."""

GAIN: Final = 0.25
NEAR: Final = 1.25
QUIET: Final = 1e-4
"""One sigma of the differences below which nothing moves enough to tell a delay."""

SIGMAS: Final = 5.0
VOTES: Final = 6
"""Cells that a verdict on the level looks back on; a majority of them must say so."""

GROSS: Final = 0.4
"""A distance (ln) from the others at which it is another share: told at the first look, or, of a source that agreed
before, at the third: a split or a resumed halt does not reach all of them in the same second."""

GROSS_LOOKS: Final = 3

EARNED: Final = 3
"""Cells in a row in which a source that comes back must agree with the others before it is believed."""

_LAGS: Final = MAX_LAG_S // STEP_S
_STEP_NS: Final = STEP_S * NS
_RING: Final = WINDOW + _LAGS + 1
"""Cells that are kept: all that are compared, and the one that has begun."""
_ROW = types.Array(types.float64, 1, "A")


class Said(NamedTuple):
    """What a source said last."""

    number: int
    witness: str
    ts: int
    """When it was heard, ns UTC."""
    price: float
    error: float
    """One sigma of it, as a share of the price."""


@dataclass(slots=True)
class _Track:
    """The memory of one source."""

    cells: I8 = field(default_factory=lambda: np.full(_RING, -1))
    """The newest cells in which it spoke, each at its number modulo _RING; -1 where there was none."""
    points: F8 = field(default_factory=lambda: np.zeros(_RING))
    """The ln prices of these."""
    newest: int = -1
    """The newest of these."""
    point: float = 0.0
    """ln of the price that it said last."""
    votes: deque[bool] = field(default_factory=lambda: deque(maxlen=VOTES))
    """For its last cells whether it stood away from the others."""
    lag_s: int = 0
    """By how much it was found to be late; 0 is not."""
    outvoted: bool = False
    agreed: bool = False
    """Whether it ever stood where the others do."""
    gross: int = 0
    """Looks in a row at which it was grossly away."""
    owes: int = 0
    """Cells in which it must still agree before its own word counts; it was refused."""

    def hear(self, cell: int, price: float) -> None:
        """Takes what it said last, in this cell."""
        self.point = log(price)
        if cell >= self.newest:
            place, self.newest = cell % _RING, cell
            self.cells[place], self.points[place] = cell, self.point

    def row(self, cell: int) -> F8:
        """The ln prices in the cells before `cell`, NaN where it did not speak."""
        wanted = np.arange(cell - _RING + 1, cell)
        places = wanted % _RING
        return np.where(self.cells[places] == wanted, self.points[places], np.nan)

    def acquit(self) -> None:
        """Whatever was voted against it is void."""
        self.votes.clear()
        self.gross, self.outvoted = 0, False


class Lag(NamedTuple):
    """How one row of ln prices follows another."""

    cells: int
    """The lag at which they differ least; 0 where it cannot be told."""
    spread: float
    """One sigma of the differences at that lag."""
    plain: float
    """The same without a lag; NaN where too few cells are common."""
    move: float
    """One sigma of the own moves from cell to cell."""

    def tells(self, limit_s: float) -> bool:
        """Whether this is a delay of at least `limit_s`: what differs is no more than a cell's move, and far less than
        without the lag. Two walks that have nothing to do with each other differ by several moves at any lag."""
        late = self.cells * STEP_S >= limit_s and self.plain > QUIET
        return late and self.spread <= NEAR * self.move and self.spread**2 <= GAIN * self.plain**2


def lag_of(own: F8, other: F8) -> Lag:
    """How `own`, the newest WINDOW cells of a source, follows `other`, as many cells and all lags before them.

    Both end in the same cell; NaN where nothing was said. A lag counts where MIN_PAIRS cells are common.
    """
    lags = len(other) - len(own)
    plain, move = _spread(own, other[lags:], MIN_PAIRS), _spread(own[1:], own[:-1], MIN_PAIRS // 2)
    if not (isfinite(plain) and isfinite(move)):
        return Lag(0, np.nan, np.nan, np.nan)
    lag = _nearest(own, other)
    return Lag(lag, _spread(own, other[lags - lag : len(other) - lag], MIN_PAIRS), plain, move)


@njit(types.float64(_ROW, _ROW, types.int64), cache=KEPT)
def _spread(one, other, fewest):  # type: ignore[no-untyped-def]
    """One sigma of the differences of two rows; NaN where fewer than `fewest` can be told."""
    count, total = 0, 0.0
    for at in range(len(one)):
        difference = one[at] - other[at]
        if np.isfinite(difference):
            count += 1
            total += difference
    if count < fewest:
        return np.nan
    mean, squares = total / count, 0.0
    for at in range(len(one)):
        difference = one[at] - other[at]
        if np.isfinite(difference):
            squares += (difference - mean) ** 2
    return np.sqrt(squares / count)


@njit(types.int64(_ROW, _ROW), cache=KEPT)
def _nearest(own, other):  # type: ignore[no-untyped-def]
    """The lag at which `own` differs least from what `other` was so many cells before; the shortest of equals."""
    lags = len(other) - len(own)
    best, least = 0, np.inf
    for lag in range(lags + 1):
        spread = _spread(own, other[lags - lag : len(other) - lag], MIN_PAIRS)
        if spread < least:
            best, least = lag, spread
    return best


class Witnesses:
    """The sources of one share, heard at ticks of the clock; a pure function of what it was given, in order."""

    def __init__(self, limit_s: float) -> None:
        """`limit_s`: a lag of at least this is a delay; inf switches the whole off."""
        self.limit_s = limit_s
        self.tracks: dict[int, _Track] = {}
        self._cell = 0

    def look(self, now: int, said: Sequence[Said], refused: Sequence[int] = ()) -> None:
        """Takes what the sources said last, and judges: the level at every new cell, the delay at every tenth.

        `refused` are the numbers of sources that are not believed now because of their level.
        """
        if not isfinite(self.limit_s):
            return
        cell = now // _STEP_NS
        for one in said:
            if one.number not in self.tracks:
                self.tracks[one.number] = _Track()
            self.tracks[one.number].hear(one.ts // _STEP_NS, one.price)
        for number in refused:
            self._refused(self.tracks.setdefault(number, _Track()))
        self._released(now, said)
        fresh = [one for one in said if now - one.ts <= _STEP_NS]
        self._levels(fresh, vote=cell != self._cell)
        if cell // 10 != self._cell // 10:
            self._delays(cell, said)
        self._cell = cell

    def late_s(self, number: int) -> int:
        """By how many seconds a source is late; 0 where it is not, or cannot be told."""
        return self.tracks[number].lag_s if number in self.tracks else 0

    def outvoted(self, number: int) -> bool:
        """Whether the level of a source is not what the others see, or has yet to be, since it was refused."""
        return number in self.tracks and (self.tracks[number].outvoted or self.earns(number))

    def earns(self, number: int) -> bool:
        """Whether a source was refused and has not agreed with the others for long enough since."""
        return number in self.tracks and self.tracks[number].owes > 0

    def _refused(self, track: _Track) -> None:
        """A source is not believed: it has no say, and those that it quarrelled with are judged anew."""
        if not track.owes:
            quarrelled = track.outvoted
            for other in self.tracks.values():
                if quarrelled or not other.outvoted:
                    other.acquit()
        track.owes = EARNED

    def _released(self, now: int, said: Sequence[Said]) -> None:
        """A source that is back while no other one has spoken for long is believed: there is nobody to agree with."""
        for one in said:
            if self.tracks[one.number].owes and not any(
                other.witness != one.witness
                and now - other.ts <= VOTES * _STEP_NS
                and not self.tracks[other.number].owes
                and not self.late_s(other.number)
                for other in said
            ):
                self.tracks[one.number].owes = 0

    def _levels(self, fresh: Sequence[Said], *, vote: bool) -> None:
        """Holds every source that just spoke against the surest ones of all witnesses."""
        surest: dict[str, Said] = {}
        fresh = [one for one in fresh if not self.late_s(one.number)]
        for one in sorted(fresh, key=lambda one: (one.error, one.number)):
            if not self.earns(one.number):
                surest.setdefault(one.witness, one)
        for one in fresh:
            track = self.tracks[one.number]
            others = [other for witness, other in surest.items() if witness != one.witness]
            if not others:
                continue
            judges = others if len(surest) <= 2 else list(surest.values())
            away = abs(track.point - median([self.tracks[other.number].point for other in judges]))
            off = away > SIGMAS * hypot(one.error, median([other.error for other in judges]))
            if track.owes:
                track.owes = EARNED if off else track.owes - vote
                continue
            track.agreed |= not off
            track.gross = track.gross + 1 if away > GROSS else 0
            if vote:
                track.votes.append(off)
            voted = len(track.votes) == VOTES and 2 * sum(track.votes) > VOTES
            track.outvoted = voted or track.gross >= (GROSS_LOOKS if track.agreed else 1)

    def _delays(self, cell: int, said: Sequence[Said]) -> None:
        """Works out the lag of every source behind every independent one."""
        before = {one.number for one in said if self.tracks[one.number].lag_s}
        rows = {one.number: self.tracks[one.number].row(cell) for one in said}
        for one in said:
            others = [other.number for other in said if other.witness != one.witness]
            behind = [lag_of(rows[one.number][-WINDOW:], rows[other]) for other in others]
            if not any(lag.plain > QUIET for lag in behind):
                continue
            late_s = 0
            for lag, other in zip(behind, others, strict=True):
                if lag.tells(self.limit_s):
                    ahead = lag_of(rows[other][-WINDOW:], rows[one.number])
                    if not (ahead.tells(self.limit_s) and ahead.spread < lag.spread):
                        late_s = max(late_s, lag.cells * STEP_S)
            self.tracks[one.number].lag_s = late_s
        if {one.number for one in said if self.tracks[one.number].lag_s} != before:
            # Who stands where was judged with another set of sources.
            for track in self.tracks.values():
                track.acquit()
