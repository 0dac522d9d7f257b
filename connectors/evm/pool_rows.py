"""What a pool's state says as rows: prices after the fee at sizes that move the price by a stated little; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from connectors.amm.curve import Pool, depth
from connectors.errors import PoolError
from connectors.ports import Level

DEPTH_BPS: Final = (50, 100, 200)
"""Moves of the marginal price whose depth is told."""


class PoolBook(NamedTuple):
    """A pool as levels, best first: what each further stretch brings on average after the fee, and units in it."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    why_not: str = ""
    """Why it is no book: a side has nothing, or only the chain knows."""


def book(pool: Pool, base: int, decimals: tuple[int, int], moves: Sequence[int]) -> PoolBook:
    """Both sides of a pool between moves (bps, rising) of its marginal price."""
    try:
        bids, asks = [_levels(pool, base, decimals, moves, sell=sell) for sell in (True, False)]
    except PoolError as error:
        return PoolBook((), (), str(error))
    return PoolBook(bids, asks, "" if bids and asks else "nothing can be had on one side")


class Print(NamedTuple):
    """A swap as others see it."""

    price: float
    """Quote for one of ours, what the fee took included."""
    size: float
    """Units of ours."""
    taker: float
    """+1: somebody bought ours; -1: somebody sold it."""


def printed(amount0: int, amount1: int, base: int, decimals: tuple[int, int]) -> Print | None:
    """A swap of these changes of the pool's balances; None where it is none of one token for the other."""
    ours, other = (amount0, amount1) if base == 0 else (amount1, amount0)
    if not (ours < 0 < other or other < 0 < ours):
        return None
    size = abs(ours) / 10 ** decimals[base]
    return Print(abs(other) / 10 ** decimals[1 - base] / size, size, 1.0 if ours < 0 else -1.0)


def _levels(pool: Pool, base: int, decimals: tuple[int, int], moves: Sequence[int], *, sell: bool) -> tuple[Level, ...]:
    """Bids (`sell`) are what our token brings, asks what it costs: quote units for one."""
    ours, other = 10 ** decimals[base], 10 ** decimals[1 - base]
    levels: list[Level] = []
    units = quote = 0
    for move in moves:
        taken, given = depth(pool, move, zero_for_one=(base == 0) == sell)
        units_now, quote_now = (taken, given) if sell else (given, taken)
        if units_now > units and quote_now > quote:
            size = (units_now - units) / ours
            levels.append(((quote_now - quote) / other / size, size))
            units, quote = units_now, quote_now
    return tuple(levels)
