"""Venues as water-filling sees them, made of what each tells: a book, a perp, a pool's state, an issuer's price.

`usd` is USD per quote coin and `shares` is shares per token; what comes out is in shares and USD, all in.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt
from typing import Final

from connectors.amm.concentrated import RangePool
from connectors.amm.curve import arcs as arcs_of
from connectors.amm.curve import sqrt_price_of
from connectors.amm.ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE
from connectors.amm.v2 import V2Pool
from strategies.pricing import curve
from strategies.pricing.choice import Venue
from strategies.pricing.curve import EMPTY, Curve

REACH: Final = 2
"""A pool's curve goes until its price is so many times as high, or as low: no peg is traded beyond."""
_ONE: Final = 1 << 96

Levels = Iterable[tuple[float, float]]


def of_book(
    asks: Levels,
    bids: Levels,
    *,
    fee: float = 0.0,
    usd: float = 1.0,
    shares: float = 1.0,
    carry: float = 0.0,
    lot: float = 0.0,
) -> Venue:
    """A book of (price, size) levels, best first, of which whole lots are taken where there is a lot, in tokens.

    A perp is a book with a carry: what holding one share costs until it is closed, funding and borrow, USD; below 0 it
    is earned. Raises ValueError where levels do not get worse with size.
    """
    buy, sell = (
        curve.book(levels, buy=side, fee=fee, usd=usd, shares=shares, carry=carry, lot=lot)
        for levels, side in ((asks, True), (bids, False))
    )
    return Venue(buy=buy, sell=sell)


def of_pool(
    pool: V2Pool | RangePool,
    *,
    token0: bool,
    decimals: tuple[int, int],
    usd: float = 1.0,
    shares: float = 1.0,
    gas_usd: float = 0.0,
) -> Venue:
    """A v2, v3 or v4 pool at its state; `token0` says which one is the token, `decimals` are those of tokens 0 and 1.

    Where fees or hooks depend on the swap this is no bound, and connectors/amm refuses: raises NotQuotable.
    """
    buy, sell = (_side(pool, side, token0, decimals, usd, shares) for side in (True, False))
    return Venue(buy=buy, sell=sell, fixed_usd=gas_usd)


def of_mint(price: float, *, most: float, least: float = 0.0, fixed_usd: float = 0.0) -> Venue:
    """An issuer who makes tokens: USD per share all in, from the least to the most shares."""
    return Venue(buy=curve.at_price(price, most), least_buy=least, fixed_usd=fixed_usd)


def of_redemption(price: float, *, most: float, least: float = 0.0, fixed_usd: float = 0.0) -> Venue:
    """An issuer who takes tokens back: USD per share after all, from the least to the most shares."""
    return Venue(sell=curve.at_price(price, most), least_sell=least, fixed_usd=fixed_usd)


def _side(
    pool: V2Pool | RangePool, buy: bool, token0: bool, decimals: tuple[int, int], usd: float, shares: float
) -> Curve:
    """One side of a pool: the arcs of connectors/amm in tokens instead of raw units."""
    price = sqrt_price_of(pool)
    if price is None:
        return EMPTY
    zero_for_one = buy != token0
    limit = isqrt(price**2 // REACH) if zero_for_one else isqrt(price**2 * REACH)
    limit = min(max(limit, MIN_SQRT_PRICE + 1), MAX_SQRT_PRICE - 1)
    if (limit >= price) if zero_for_one else (limit <= price):
        return EMPTY
    found = arcs_of(pool, zero_for_one=zero_for_one, limit=limit)
    if not found:
        return EMPTY
    unit, scale = 10.0 ** (decimals[0] - decimals[1]), 10.0 ** (-sum(decimals) / 2)
    turn = 1 if token0 else -1
    stretches = [
        (
            ((arc.sqrt_start / _ONE) ** 2 * unit) ** turn,
            ((arc.sqrt_end / _ONE) ** 2 * unit) ** turn,
            arc.liquidity * scale,
        )
        for arc in found
    ]
    return curve.arcs(stretches, buy=buy, fee=float(found[0].fee), usd=usd, shares=shares)
