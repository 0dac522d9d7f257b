"""How long to wait before the next try."""

from __future__ import annotations

from typing import Final

import numpy as np

from connectors.ports import Sleep

__all__ = ["STEADY_S", "Backoff", "Sleep"]

STEADY_S: Final = 60.0
"""A life that lasted this long was a good one: after it the back-off begins anew. A venue that talks once and closes
is not called back faster and faster."""


class Backoff:
    """How long to wait before the next try: doubled each time up to a cap, and jittered against marching in step."""

    def __init__(self, rng: np.random.Generator, *, first_s: float = 0.5, cap_s: float = 60.0) -> None:
        """The n-th wait is uniform in [half, whole] of min(cap_s, first_s * 2**n)."""
        self._rng = rng
        self._first_s = first_s
        self._cap_s = cap_s
        self.tries = 0
        """Waits since the last success."""

    def next_s(self) -> float:
        """Seconds to wait now; each call counts as one more failure."""
        whole = min(self._cap_s, self._first_s * 2.0 ** min(self.tries, 32))
        self.tries += 1
        return float(self._rng.uniform(0.5 * whole, whole))

    def reset(self) -> None:
        """After a success: the next failure waits `first_s` again."""
        self.tries = 0
