"""How the premium of each token usually moves: fitted to its own prints, else the default of its kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import numpy as np

from connectors.events import NS
from strategies.base import View
from strategies.closing.situation import Usual
from strategies.market import kernel as K
from strategies.market.ou import process_of

SPACING_NS: Final = 60 * NS
KEPT: Final = 1440
"""Prints that are kept: a day of one a minute."""
FRESH: Final = 120
"""So many new ones make a new fit, """
SHARE: Final = 4
"""and one in so many of all that are kept: a few more change nothing, and a fit takes milliseconds."""
GAP_NS: Final = 1800 * NS
"""Prints that are further apart are no neighbours."""
BPS: Final = 1e-4


class Premia:
    """The memory of what is usual; after a restart it begins with the defaults."""

    def __init__(self, defaults: Mapping[int, Usual], tokens: tuple[int, ...]) -> None:
        """`defaults` of every instrument that may be a leg; `tokens` are the ones that are fitted."""
        self._usual = dict(defaults)
        self._kept = {number: deque[tuple[int, float]](maxlen=KEPT) for number in tokens}
        """Moments (ns UTC) and premia (bps)."""
        self._prints = dict.fromkeys(tokens, 0)
        self._fresh = dict.fromkeys(tokens, 0)

    def tick(self, view: View) -> None:
        """Takes what was printed since the last tick."""
        columns = view.columns
        for number, kept in self._kept.items():
            prints, premium = columns.k_rows[number][K.PRINTS], columns.f_rows[number][K.PREMIUM]
            if prints == self._prints[number] or premium != premium or columns.doubted(number):
                continue
            self._prints[number] = prints
            if kept and view.now - kept[-1][0] < SPACING_NS:
                continue
            kept.append((view.now, premium))
            self._fresh[number] += 1
            if self._fresh[number] >= max(FRESH, len(kept) // SHARE):
                self._fresh[number] = 0
                self._fit(number)

    def of(self, number: int) -> Usual:
        """What is usual of an instrument."""
        return self._usual[number]

    def _fit(self, number: int) -> None:
        """A fit that tells no way back leaves what was usual before."""
        ts, premia = zip(*self._kept[number], strict=True)
        process = process_of(np.array(ts, np.int64), np.array(premia), GAP_NS)
        if process is not None and process.sd > 0:
            self._usual[number] = Usual(
                mean=process.theta * BPS, sd=process.sd * BPS, half_life_s=process.half_life,
                source="learned from its prints",
            )  # fmt: skip
