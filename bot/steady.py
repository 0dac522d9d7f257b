"""A wall clock that does not jump when somebody sets the machine's clock, and the judgement of clocks that disagree.

The steady clock follows the wall as long as both clocks of the machine agree on how much time has passed; when the wall
jumps it goes on by the monotonic one. So rows stay in order and ages stay true, and nobody needs to know whether the
jump was a mistake or the mending of one: the venues' clocks tell, and until they do nothing is traded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Final

from connectors.events import NS

LIMIT_S: Final = 1.0
"""Further apart than this, clocks disagree: exchanges refuse orders stamped a second ahead of their time."""


class SteadyClock:
    """Nanoseconds UTC, called like any clock."""

    def __init__(self, wall: Callable[[], int], monotonic: Callable[[], int], *, limit_s: float = LIMIT_S) -> None:
        """Both in ns; steps of the wall of at most `limit_s` are followed (the machine's clock is disciplined so)."""
        self._wall, self._monotonic, self._limit = wall, monotonic, round(limit_s * NS)
        self._ahead = wall() - monotonic()

    def __call__(self) -> int:
        """Now."""
        wall, monotonic = self._wall(), self._monotonic()
        ahead = wall - monotonic
        if -self._limit <= ahead - self._ahead <= self._limit:
            self._ahead = ahead
            return wall
        return monotonic + self._ahead

    @property
    def apart_s(self) -> float:
        """How far the wall has jumped away: wall less steady."""
        return (self._wall() - self._monotonic() - self._ahead) / NS

    def adopt(self) -> None:
        """The wall is right: goes on from there."""
        self._ahead = self._wall() - self._monotonic()


class ClockGuard:
    """Whose instruments may not be traded because clocks disagree. Pure: it is told what the clocks say."""

    def __init__(self, venues: Mapping[str, Iterable[int]], *, limit_s: float = LIMIT_S) -> None:
        """`venues` gives the numbers of each venue's instruments."""
        self._venues = {venue: frozenset(numbers) for venue, numbers in venues.items()}
        self._limit_s = limit_s
        self._offsets: dict[str, tuple[float, float]] = {}
        self._since_jump: set[str] = set()
        self.jumped = False
        """Whether the wall is where the steady clock does not follow it."""

    def offset(self, venue: str, offset_s: float, error_s: float) -> None:
        """A venue's clock less the steady one, and how wrong that may be."""
        self._offsets[venue] = (offset_s, error_s)
        self._since_jump.add(venue)

    def wall_is_right(self, apart_s: float) -> bool:
        """Whether the venues' clocks, asked since the jump, agree with the wall and not with the steady clock."""
        told = self._told()
        return self.jumped and told is not None and abs(told - apart_s) <= self._limit_s < abs(told)

    def adopted(self, apart_s: float) -> None:
        """The steady clock was set to the wall: what venues told is told anew by the difference."""
        self.jumped = False
        self._offsets = {venue: (offset_s - apart_s, error_s) for venue, (offset_s, error_s) in self._offsets.items()}

    def barred(self, apart_s: float, behind_s: float = 0.0) -> frozenset[int]:
        """Numbers of instruments against which Why.CLOCK stands now.

        `apart_s` is wall less steady; `behind_s` how far the clock is behind the last row (after it was set back, rows
        stand still until it has caught up).
        """
        before, self.jumped = self.jumped, abs(apart_s) > self._limit_s
        if self.jumped and not before:
            self._since_jump.clear()
        told = self._told()
        vouched = told is not None and abs(told) <= self._limit_s
        if behind_s > self._limit_s or (self.jumped and not vouched):
            return frozenset().union(*self._venues.values())
        off = (
            venue
            for venue, (offset_s, error_s) in self._offsets.items()
            if abs(offset_s) - error_s > self._limit_s and venue in self._venues
        )
        return frozenset().union(*(self._venues[venue] for venue in off))

    def _told(self) -> float | None:
        """The middle of what the venues' clocks have said since the jump."""
        fresh = [self._offsets[venue][0] for venue in self._since_jump if venue in self._offsets]
        return median(fresh) if fresh else None
