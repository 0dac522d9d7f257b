"""A share and tokens around it whose true parameters are known, as prints on a grid of five minutes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strategies.market.filter import Premium

STEP_S = 300.0


def ou(rng: np.random.Generator, premium: Premium, count: int) -> np.ndarray:
    """A premium about its mean, by its exact transition."""
    keep = 2 ** (-STEP_S / premium.half_life_s)
    p = np.zeros(count)
    p[0] = rng.normal(0, premium.sd)
    for at in range(1, count):
        p[at] = keep * p[at - 1] + premium.sd * (1 - keep**2) ** 0.5 * rng.normal()
    return premium.mean + p


def world(seed: int, vol: float, premia: Sequence[Premium], days: np.ndarray, open_now: np.ndarray) -> np.ndarray:
    """Log prices [T, 1 + tokens]: the share with 3 bps of noise while it is open, and each token always."""
    rng = np.random.default_rng(seed)
    x = 6 + np.cumsum(rng.normal(0, vol * np.sqrt(days)))
    share = np.where(open_now, x + rng.normal(0, 3e-4, len(x)), np.nan)
    tokens = [x + ou(rng, one, len(x)) + rng.normal(0, one.noise, len(x)) for one in premia]
    return np.stack((share, *tokens), axis=1)
