"""How far a venue's clock is ahead of ours, by asking it, best of a few (Cristian 1989: its answer was made in the
middle, give or take half the round trip).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from connectors.events import NS

TRIES: Final = 3


class Offset(NamedTuple):
    """One measurement; fits `Sink.clock(venue, *offset)`."""

    offset_s: float
    """Venue's clock less ours."""
    error_s: float
    """The truth is within this of it."""


def offset(asked_ns: int, venue_ns: int, answered_ns: int, *, grain_ns: int = 1_000_000) -> Offset | None:
    """By our clock before and after, and the venue's in between; None where ours went backwards meanwhile.

    The venue's time is cut to whole `grain_ns`, so that it was on average half of that later than it says.
    """
    if not 0 < asked_ns <= answered_ns:
        return None
    ahead_ns = venue_ns + grain_ns / 2 - (asked_ns + answered_ns) / 2
    return Offset(ahead_ns / NS, (answered_ns - asked_ns + grain_ns) / 2 / NS)


async def measured(
    ask: Callable[[], Awaitable[int]], clock: Callable[[], int], *, tries: int = TRIES, grain_ns: int = 1_000_000
) -> Offset | None:
    """Asks a few times and believes the quickest answer. `ask` gives the venue's time, ns UTC; its errors pass."""
    found = []
    for _ in range(tries):
        asked_ns = clock()
        venue_ns = await ask()
        found.append(offset(asked_ns, venue_ns, clock(), grain_ns=grain_ns))
    return min((one for one in found if one is not None), key=lambda one: one.error_s, default=None)
