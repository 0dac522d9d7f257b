"""The hidden truth of the simulated world on a grid of ten seconds: share prices, premia, the coin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from connectors.events import F8, I8, NS
from connectors.simulated.cast import OVERNIGHT, POST, PRE, REGULAR, STOCKS, WEEKEND

STEP_S: Final = 10.0
"""Distance of two points of the grid."""

_VARIANCE: Final = {PRE: (0.05, 19_800), REGULAR: (0.80, 23_400), POST: (0.04, 14_400), OVERNIGHT: (0.06, 28_800)}
_CLOSED: Final = (0.12, 172_800)
"""Share of a day's variance, and the seconds over which it is spread; a whole weekend counts as 0.12 of a day."""
_COMMON: Final = 0.6
"""Correlation of every share with the market as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What nobody in the world can see: arrays over the grid, each of shape (points,)."""

    seconds: F8
    """Since the start of the world."""
    codes: I8
    """Session of each point."""
    calm: F8
    """How far premia spread: 1 in the regular session, more when the share does not trade; moves over half an hour."""
    log_price: dict[str, F8]
    """Natural logarithm of each share's price in USD."""
    coin_usd: F8


def truth(rng: np.random.Generator, seconds: float, codes: I8) -> Truth:
    """Shares as correlated random walks whose variance follows the session, and a coin that hovers at one dollar.

    `codes` are the sessions of the grid's points, `seconds` the length of the world.
    """
    points = len(codes)
    rate = np.full(points, _CLOSED[0] / _CLOSED[1])
    for code, (part, length) in _VARIANCE.items():
        rate[codes == code] = part / length
    common = rng.standard_normal(points)
    log_price = {}
    for stock in STOCKS:
        own = rng.standard_normal(points)
        steps = (_COMMON * common + np.sqrt(1 - _COMMON**2) * own) * np.sqrt(rate * STEP_S) * stock.daily_vol_bps / 1e4
        first = np.log(stock.price_usd) + rng.uniform(-0.06, 0.06)
        log_price[stock.ticker] = first + np.cumsum(steps)
    return Truth(
        seconds=np.arange(points, dtype=np.float64) * STEP_S,
        codes=codes,
        calm=_calm(codes),
        log_price=log_price,
        coin_usd=1 + 2e-4 * hover(rng, points, half_life_s=7200.0),
    )


def hover(rng: np.random.Generator, points: int, half_life_s: float) -> F8:
    """A mean-reverting (Ornstein-Uhlenbeck) path over the grid with mean 0 and variance 1, exact in its transitions.

    x[t] = phi x[t-1] + sqrt(1 - phi^2) e[t] with phi = 2^(-step / half-life), summed by blocks without a loop over
    the points: within a block x[t] = phi^t (x[0] + sum e[s] phi^-s).
    """
    phi = 2.0 ** (-STEP_S / half_life_s)
    block = max(1, min(512, int(30 / -np.log2(phi))))  # phi^-block stays below 2^30
    shocks = np.zeros(-(-points // block) * block)
    shocks[:points] = np.sqrt(1 - phi**2) * rng.standard_normal(points)
    shocks[0] = rng.standard_normal()
    decay = phi ** np.arange(block)
    inner = np.cumsum(shocks.reshape(-1, block) / decay, axis=1) * decay
    carried = 0.0
    for row in inner:
        row += carried * phi * decay
        carried = float(row[-1])
    return np.asarray(inner.reshape(-1)[:points])


def _calm(codes: I8) -> F8:
    widths = np.full(len(codes), 1.5)
    for code, width in ((REGULAR, 1.0), (PRE, 1.2), (POST, 1.2), (OVERNIGHT, 1.4), (WEEKEND, 1.7)):
        widths[codes == code] = width
    span = int(1800 / STEP_S)
    padded = np.concatenate((np.full(span, widths[0]), widths))
    summed = np.concatenate(([0.0], np.cumsum(padded)))
    return np.asarray((summed[span + 1 :] - summed[1:-span]) / span)


def since(start_ns: int, moments: I8) -> F8:
    """Seconds between the start of the world and each moment (ns UTC)."""
    return np.asarray((moments - start_ns) / NS, dtype=np.float64)
