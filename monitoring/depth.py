"""What a size would cost and what rests near the mid, for each token: from the levels in force, never beyond them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from connectors.ports import Levels
from strategies.market.depth import for_value, resting

if TYPE_CHECKING:
    from strategies.market.columns import Columns

SIZES_USD: Final = (100, 1000, 10_000)
"""Sizes that the premium is told for."""

BANDS: Final = (0.005, 0.01, 0.02)
"""Bands about the mid, as shares of it."""

SHOWN: Final = 0.01
"""The band on the status page."""

LevelsOf = Callable[[int], Levels | None]
"""The levels in force of an instrument; None where there are none."""


def no_levels(number: int) -> None:
    """For whoever has none."""
    return


def executable_bps(columns: Columns, number: int, levels: Levels) -> Iterator[tuple[str, int, float]]:
    """(buy or sell, size in USD, bps after costs over the fair value by everybody else); a size that the levels do not
    hold is left out."""
    from strategies.market import kernel  # compiled code: only a process that has columns pays for it

    fair = columns.fair_without(number, columns.now)
    if fair is None:
        return
    f, scale = columns.f.item, 1e4 / fair.price
    usd = f(number, kernel.USD_PER_UNIT)
    for size in SIZES_USD:
        for side, rows, factor in (
            ("buy", levels.asks, f(number, kernel.BUY_FACTOR)),
            ("sell", levels.bids, f(number, kernel.SELL_FACTOR)),
        ):
            walk = for_value(rows, size / usd)
            if walk.enough:
                yield side, size, walk.price * factor * scale - 1e4


def depth_usd(columns: Columns, number: int, levels: Levels, band: float) -> tuple[float, float, bool]:
    """USD that rests within a band of the mid to sell to, to buy from, and whether that is all there is in it."""
    bids, asks = resting(levels, band, bids=True), resting(levels, band, bids=False)
    fx = columns.known_fx(number)
    return bids.value * fx, asks.value * fx, bids.complete and asks.complete
