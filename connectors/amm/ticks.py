"""Ticks and sqrt prices: price = 1.0001 ** tick, kept as sqrt(price) * 2**96 rounded up, as the contracts keep it."""

from __future__ import annotations

from functools import lru_cache
from math import floor, isqrt, log
from typing import Final

from connectors.errors import SwapRefused

MAX_TICK: Final = 887272
MIN_TICK: Final = -MAX_TICK
MIN_SQRT_PRICE: Final = 4295128739
"""sqrt_at(MIN_TICK); a price limit must lie above."""
MAX_SQRT_PRICE: Final = 1461446703485210103287273052203988822378723970342
"""sqrt_at(MAX_TICK); a price limit, and every price, must lie below."""
Q96: Final = 1 << 96


def _factors() -> tuple[int, ...]:
    """2**128 * 1.0001**(-2**i / 2), to the nearest integer, for each of the 20 bits of a tick."""
    bits = 512
    root = isqrt((10000 << 2 * bits) // 10001)
    factors = []
    for _ in range(20):
        factors.append((root + (1 << bits - 129)) >> bits - 128)
        root = root * root >> bits
    return tuple(factors)


_FACTORS: Final = _factors()


@lru_cache(maxsize=1 << 15)
def sqrt_at(tick: int) -> int:
    """The sqrt price at a tick. Raises SwapRefused beyond the extreme ticks."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise SwapRefused(f"tick {tick} is beyond {MAX_TICK}")
    ratio = 1 << 128
    rest = abs(tick)
    for factor in _FACTORS:
        if not rest:
            break
        if rest & 1:
            ratio = ratio * factor >> 128
        rest >>= 1
    if tick > 0:
        ratio = ((1 << 256) - 1) // ratio
    return (ratio + 0xFFFFFFFF) >> 32


def tick_at(sqrt_price: int) -> int:
    """The greatest tick whose sqrt price is not above this one. Raises SwapRefused outside of [MIN, MAX)."""
    if not MIN_SQRT_PRICE <= sqrt_price < MAX_SQRT_PRICE:
        raise SwapRefused(f"sqrt price {sqrt_price} is out of range")
    # The logarithm only guesses; it is off by less than a tick, and the integers decide.
    tick = floor((log(sqrt_price) - _LOG_Q96) / _LOG_ROOT)
    tick = max(MIN_TICK, min(tick, MAX_TICK - 1))
    while sqrt_at(tick) > sqrt_price:
        tick -= 1
    while sqrt_at(tick + 1) <= sqrt_price:
        tick += 1
    return tick


_LOG_Q96: Final = log(Q96)
_LOG_ROOT: Final = log(1.0001) / 2


def max_liquidity_per_tick(spacing: int) -> int:
    """How much liquidity one tick may refer to, so that the sum over all ticks fits in 128 bits."""
    lowest, highest = -(MAX_TICK // spacing), MAX_TICK // spacing
    return ((1 << 128) - 1) // (highest - lowest + 1)
