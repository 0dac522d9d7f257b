"""A screen for volume that is no trade: the same few sizes, bought and sold alike, with digits that nobody chose.

score = (clip share x circularity x Benford break)^(1/3), each from 0 to 1. On real markets 0.4 to 0.7 is seen (LINK
0.43, SOL 0.69) and fleets are above 0.80. It looks at the trades of one venue only, and a high score is a reason to
look, no proof: it weighs nothing as evidence and bars no trade.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from connectors.events import F8, NAN

LEAST_TRADES: Final = 100
FLAGGED: Final = 0.80
CLIP_TRADES: Final = 5
"""A size is a clip when at least so many trades, and 2 % of them, have it to four digits."""
_BENFORD: Final[F8] = np.log10(1 + 1 / np.arange(1, 10))


class Wash(NamedTuple):
    """The parts of the screen; NaN with too few trades."""

    score: float
    clip_share: float
    """Share of the volume that was traded in clips."""
    circularity: float
    """1 - |bought - sold| / volume, of the clips."""
    benford_break: float
    """Total variation distance of the first digits from Benford's law, over its largest value."""


def screen(size: F8, side: F8) -> Wash:
    """The screen of trades: sizes in units, sides +1 where the buyer took and -1 where the seller did."""
    told = (size > 0) & np.isfinite(side) & (side != 0)
    size, side = size[told], side[told]
    if len(size) < LEAST_TRADES:
        return Wash(NAN, NAN, NAN, NAN)
    power = 10.0 ** np.floor(np.log10(size))
    digits = np.minimum(np.floor(size / power + 1e-9), 9).astype(np.int64)
    seen = np.bincount(digits, minlength=10)[1:] / len(size)
    broken = float(np.sum(np.abs(seen - _BENFORD)) / 2 / (1 - _BENFORD[-1]))
    _, place, count = np.unique(np.round(size / power, 3) * power, return_inverse=True, return_counts=True)
    clip = (count >= max(CLIP_TRADES, 0.02 * len(size)))[place]
    volume = float(np.sum(size[clip]))
    share = volume / float(np.sum(size))
    circular = 1 - abs(float(np.sum(size[clip] * side[clip]))) / volume if volume > 0 else 0.0
    return Wash(float((share * circular * broken) ** (1 / 3)), share, circular, broken)
