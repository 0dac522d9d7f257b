"""How long to wait before the next try."""

from __future__ import annotations

from typing import Final

import numpy as np

from connectors.ports import Sleep

__all__ = ["REFUSED_S", "STEADY_S", "Backoff", "Sleep", "of_stream"]

STEADY_S: Final = 60.0
"""A life that lasted this long was a good one: after it the back-off begins anew. A venue that talks once and closes
is not called back faster and faster."""

REFUSED_S: Final = 60.0
"""Pause after 401 or 403: slow enough to be no nuisance, and a right that is restored heals by itself."""


def of_stream(rng: np.random.Generator) -> Backoff:
    """The back-off of a stream: capped so that it is back within 5 s of the end of a fault, however long that was.

    Once at the cap it tries every 3 to 4 s, some 170 times in ten minutes.
    """
    return Backoff(rng, first_s=0.5, cap_s=4.0, spread=0.25)


class Backoff:
    """How long to wait before the next try: doubled each time up to a cap, and jittered against marching in step."""

    def __init__(
        self, rng: np.random.Generator, *, first_s: float = 0.5, cap_s: float = 60.0, spread: float = 0.5
    ) -> None:
        """The n-th wait is uniform in [1 - spread, 1] of min(cap_s, first_s * 2**n)."""
        self._rng = rng
        self._spread = spread
        self._first_s = first_s
        self._cap_s = cap_s
        self.tries = 0
        """Waits since the last success."""

    def next_s(self) -> float:
        """Seconds to wait now; each call counts as one more failure."""
        whole = min(self._cap_s, self._first_s * 2.0 ** min(self.tries, 32))
        self.tries += 1
        return float(self._rng.uniform((1.0 - self._spread) * whole, whole))

    def reset(self) -> None:
        """After a success: the next failure waits `first_s` again."""
        self.tries = 0
