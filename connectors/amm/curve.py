"""A pool as others see it: a cost curve of arcs for sizing, and its depth.

An arc is a stretch of one liquidity L. Between its prices pa and pb (token 1 per token 0, raw units) token 0 moves by
L * (1/sqrt(pa) - 1/sqrt(pb)) and token 1 by L * (sqrt(pb) - sqrt(pa)); the fee is on the input.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Final, NamedTuple

from connectors.amm.concentrated import RangePool
from connectors.amm.step import PIPS
from connectors.amm.ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE
from connectors.amm.v2 import MOST_RESERVE, V2Pool, amount_out
from connectors.errors import SwapRefused

BPS: Final = 10_000
Pool = V2Pool | RangePool


class Arc(NamedTuple):
    """A stretch of the curve, from where a swap enters it to where it leaves it."""

    liquidity: int
    sqrt_start: int
    """sqrt(price) * 2**96; above `sqrt_end` where token 0 goes in."""
    sqrt_end: int
    amount_in: int
    """What the whole stretch takes, fee included, as the contract rounds it."""
    amount_out: int
    fee: Fraction
    """Part of the input."""


def arcs(pool: Pool, *, zero_for_one: bool, limit: int | None = None) -> list[Arc]:
    """The curve in one direction, best price first, until the sqrt price `limit` or the end of what can be swapped.

    Where nothing can be swapped there is no arc. Raises SwapRefused for a limit behind the price, NotQuotable where
    only the chain knows.
    """
    if isinstance(pool, V2Pool):
        return _v2_arcs(pool, zero_for_one, limit)
    path = pool.path(zero_for_one)
    if limit is None:
        if path.stuck:
            return []
        limit = path.end
    last = path.to_price(limit)
    fee = Fraction(path.fee, PIPS)
    found: list[Arc] = []
    for at in range(path.count_to(limit)):
        whole = at + 1 < len(path.prices) and not path.passes(at + 1, limit)
        end = path.prices[at + 1] if whole else limit
        spent, given = (path.spent[at + 1], path.given[at + 1]) if whole else (last.amount_in, last.amount_out)
        arc = Arc(path.liquidity[at], path.prices[at], end, spent - path.spent[at], given - path.given[at], fee)
        if not arc.liquidity or arc.sqrt_start == arc.sqrt_end:
            continue
        if found and found[-1].liquidity == arc.liquidity and found[-1].sqrt_end == arc.sqrt_start:
            before = found.pop()
            taken, got = before.amount_in + arc.amount_in, before.amount_out + arc.amount_out
            arc = Arc(arc.liquidity, before.sqrt_start, end, taken, got, fee)
        found.append(arc)
    return found


def depth(pool: Pool, bps: int, *, zero_for_one: bool) -> tuple[int, int]:
    """What a swap takes (fee included) and gives that moves the marginal price by `bps`.

    (0, 0) where the price cannot move. Raises SwapRefused for a move that is not above 0 and below 100 %, NotQuotable
    where only the chain knows.
    """
    if not 0 < bps < BPS:
        raise SwapRefused(f"a move of {bps} bps is not possible")
    price = sqrt_price_of(pool)
    if price is None:
        return 0, 0
    move = BPS - bps if zero_for_one else BPS + bps
    limit = min(max(isqrt(price * price * move // BPS), MIN_SQRT_PRICE + 1), MAX_SQRT_PRICE - 1)
    if (limit >= price) if zero_for_one else (limit <= price):
        return 0, 0
    if isinstance(pool, RangePool):
        quote = pool.path(zero_for_one).to_price(limit)
        return quote.amount_in, quote.amount_out
    found = arcs(pool, zero_for_one=zero_for_one, limit=limit)
    return sum(arc.amount_in for arc in found), sum(arc.amount_out for arc in found)


def sqrt_price_of(pool: Pool) -> int | None:
    """The marginal sqrt(price) * 2**96, fees aside; None where an empty v2 pool has none."""
    if isinstance(pool, RangePool):
        return pool.sqrt_price
    return isqrt((pool.reserve1 << 192) // pool.reserve0) if pool.reserve0 and pool.reserve1 else None


def _v2_arcs(pool: V2Pool, zero_for_one: bool, limit: int | None) -> list[Arc]:
    """One arc. Liquidity and start are rounded down, since their exact values are roots."""
    start = sqrt_price_of(pool)
    if start is None:
        return []
    held, wanted = (pool.reserve0, pool.reserve1) if zero_for_one else (pool.reserve1, pool.reserve0)
    product, most = pool.reserve0 * pool.reserve1, MOST_RESERVE - held
    keep, of = pool.fork.keep, pool.fork.of
    if limit is not None:
        if not (0 < limit <= start if zero_for_one else limit >= start):
            raise SwapRefused(f"a price limit of {limit} is behind the price of {start}")
        # The reserve of the input at that price, fee aside: sqrt(k / p) or sqrt(k p).
        there = isqrt((product << 192) // limit**2) if zero_for_one else isqrt(product * limit**2 >> 192)
        most = min(most, max(there - held, 0) * of // keep)
    if not most:
        return []
    given = amount_out(most, held, wanted, pool.fork)
    inside = held + most * keep // of
    end = isqrt((product << 192) // inside**2) if zero_for_one else isqrt((inside**2 << 192) // product)
    return [Arc(isqrt(product), start, end, most, given, Fraction(of - keep, of))]
