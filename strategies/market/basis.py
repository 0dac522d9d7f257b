"""Whether a venue quotes a multiplied token per unit or per share, told from its prices.

A unit is worth `multiplier` shares. A venue that quotes units says P x FX = multiplier x share, one that shows share
terms says P x FX = share; few say which. So the ratio P x FX / share is watched, and two hypotheses are held against
it: ln ratio = ln multiplier, and ln ratio = 0. The noise is robust (1.4826 x the median absolute deviation), and never
less than what a token is off its value in quiet times (FLOOR) and one sigma of the fair value: averaging does not
remove a premium that stands.

One hypothesis is believed when they are more than 3 noises apart, it fits within 3 noises, and the other does not.
Stated error: if a token's premium over the window is normal with one sigma of that noise, the wrong one is believed in
at most 0.14 % of cases (the tail beyond 3 sigmas on the side of the other), and that only where they are 3 to 6 noises
apart; no decision is made in the doubtful rest. A venue that missed a split fits neither and is told as impossible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import hypot, isfinite, log, nan
from typing import Final

import numpy as np

SIGMAS: Final = 3.0
FLOOR: Final = 10e-4
"""Share of the price that a liquid token is off its value when all is well: a gap of 0.10 % between venues is usual."""

MIN_SAMPLES: Final = 12
KEPT_SAMPLES: Final = 120
"""Samples that a decision looks back on."""


class Basis(StrEnum):
    """What a venue's price is the price of."""

    UNKNOWN = "unknown"
    """Not enough was seen yet."""
    UNIT = "unit"
    """One transferable unit, worth `multiplier` shares."""
    SHARE = "share"
    """One share; the venue applies the multiplier itself, to sizes as well."""
    AMBIGUOUS = "ambiguous"
    """Both fit: the multiplier is too near to one for the noise."""
    IMPOSSIBLE = "impossible"
    """Neither fits: a split that the venue missed, a large premium, or another asset."""

    @property
    def known(self) -> bool:
        """Whether a price may be judged by it."""
        return self in (Basis.UNIT, Basis.SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the samples say, and on what numbers."""

    basis: Basis
    ratio: float = nan
    """Median of price x FX / share."""
    noise: float = nan
    """One sigma of ln ratio."""
    samples: int = 0


def calibrate(
    ratios: Sequence[float], multiplier: float, *, fair_error: float = 0.0, before: Basis = Basis.UNKNOWN
) -> Verdict:
    """The basis that samples of price x FX / share tell, as this file's docstring says.

    `fair_error` is one sigma of the fair value as a share of it. A basis that was known `before` the multiplier
    changed stays where it still fits and the samples cannot tell. Ratios that are not positive numbers are left out.
    """
    known = [ratio for ratio in ratios if isfinite(ratio) and ratio > 0]
    if len(known) < MIN_SAMPLES or not (isfinite(multiplier) and multiplier > 0):
        return Verdict(basis=Basis.UNKNOWN, samples=len(known))
    points = np.log(np.array(known))
    centre = float(np.median(points))
    noise = hypot(1.4826 * float(np.median(np.abs(points - centre))), FLOOR, fair_error)
    reach, apart = SIGMAS * noise, log(multiplier)
    fits = {Basis.UNIT: abs(centre - apart) <= reach, Basis.SHARE: abs(centre) <= reach}
    found = [basis for basis, fit in fits.items() if fit]
    if not found:
        basis = Basis.IMPOSSIBLE
    elif len(found) == 1 and abs(apart) > reach:
        basis = found[0]
    else:
        basis = before if before in found else Basis.AMBIGUOUS
    return Verdict(basis=basis, ratio=float(np.exp(centre)), noise=noise, samples=len(known))
