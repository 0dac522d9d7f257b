"""Venues made of books, pools, perps and issuers' prices, held against the exact integer quotes of connectors/amm."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.amm import v3
from connectors.amm.ticks import MAX_SQRT_PRICE, tick_at
from connectors.amm.v2 import V2Pool
from connectors.amm.v3 import V3Pool
from strategies.pricing import curve, segments
from strategies.pricing.choice import Venue, best_trade
from strategies.pricing.curve import EMPTY

TOKEN, QUOTE = 18, 6
"""Decimals of the token and of its quote coin."""
spans = st.lists(
    st.tuples(st.integers(-40, 30), st.integers(1, 40)).map(lambda one: (one[0], one[0] + one[1])),
    min_size=1,
    max_size=8,
)


def decimals(token0: bool) -> tuple[int, int]:
    """Those of tokens 0 and 1."""
    return (TOKEN, QUOTE) if token0 else (QUOTE, TOKEN)


def ranged(price: float, held: list[tuple[int, int]], *, token0: bool) -> V3Pool:
    """A v3 pool at so many quote coins a token, with liquidity from and to these multiples of 60 ticks around it."""
    raw = (price if token0 else 1 / price) * 10.0 ** ((QUOTE - TOKEN) if token0 else (TOKEN - QUOTE))
    sqrt_price = int(sqrt(raw) * 2**96)
    tick = tick_at(sqrt_price)
    pool = v3.initialized(sqrt_price, tick, fee_pips=3000, spacing=60)
    for low, high in held:
        pool = v3.after_mint(pool, (tick // 60 + low) * 60, (tick // 60 + high) * 60, 10**16)
    return pool


def quoted(pool: V2Pool | V3Pool, tokens: float, *, buy: bool, token0: bool) -> float:
    """What so many tokens cost or bring by the contract's integers, in quote coins."""
    amount = round(tokens * 10**TOKEN)
    if buy:
        return pool.exact_out(amount, zero_for_one=not token0).amount_in / 10**QUOTE
    return pool.exact_in(amount, zero_for_one=token0).amount_out / 10**QUOTE


def priced(venue: Venue, shares: float, *, buy: bool) -> float:
    """What so many shares cost or bring by the venue's curve, in USD."""
    return curve.cost(curve.cut(venue.buy if buy else venue.sell, shares))


@given(st.floats(1, 1e5), st.floats(1, 1e4), st.floats(1e-3, 0.25), st.booleans(), st.booleans())
def test_a_v2_pool_costs_what_its_integers_say(
    tokens: float, price: float, part: float, buy: bool, token0: bool
) -> None:
    """
    Up to a quarter of its tokens, whichever side the token is on, in a coin off its par and with a multiplier.
    """
    held = (round(tokens * 10**TOKEN), round(tokens * price * 10**QUOTE))
    pool = V2Pool(reserve0=held[not token0], reserve1=held[token0])
    venue = segments.of_pool(pool, token0=token0, decimals=decimals(token0), usd=0.998, shares=1.05)
    expected = 0.998 * quoted(pool, part * tokens, buy=buy, token0=token0)
    assert pytest.approx(expected, rel=1e-9, abs=3e-6) == priced(venue, 1.05 * part * tokens, buy=buy)


@given(st.floats(1, 1e3), spans, st.floats(0.01, 0.99), st.booleans(), st.booleans())
def test_a_v3_pool_costs_what_its_integers_say(
    price: float, held: list[tuple[int, int]], part: float, buy: bool, token0: bool
) -> None:
    """
    Over many ticks, and gaps between them: any part of what a side holds costs what the exact quote says.
    """
    pool = ranged(price, held, token0=token0)
    venue = segments.of_pool(pool, token0=token0, decimals=decimals(token0))
    size = part * float(sum((venue.buy if buy else venue.sell).shares))
    if size > 1e-6:
        expected = quoted(pool, size, buy=buy, token0=token0)
        assert pytest.approx(expected, rel=1e-9, abs=1e-4) == priced(venue, size, buy=buy)


def test_a_pool_has_a_side_where_its_liquidity_lies() -> None:
    """
    All of it above the price: one can buy and not sell; the curve ends at twice the price; an empty pool has none.
    """
    above = segments.of_pool(ranged(250.0, [(1, 500)], token0=True), token0=True, decimals=decimals(True))
    assert 0 == len(above.sell.start)
    assert pytest.approx(500.0 / 0.997, rel=1e-6) == above.buy.end[-1]
    below = segments.of_pool(ranged(250.0, [(-10, -1)], token0=True), token0=True, decimals=decimals(True))
    assert (0, 1) == (len(below.buy.start), len(below.sell.start))
    empty = segments.of_pool(V2Pool(reserve0=0, reserve1=0), token0=True, decimals=decimals(True))
    end = v3.initialized(MAX_SQRT_PRICE - 1, 887271, fee_pips=3000, spacing=60)
    stuck = segments.of_pool(end, token0=True, decimals=decimals(True))
    assert [0, 0, 0] == [len(one.start) for one in (empty.buy, empty.sell, stuck.buy)]


def test_the_best_trade_between_two_pools_gains_what_their_integers_say() -> None:
    """
    Bought in a v3 pool and sold in a v2 pool: the profit told is that of the exact quotes, and a share more or less
    is worth less by them. Gas is taken off.
    """
    cheap, dear = ranged(250.0, [(-20, 20), (-5, 30)], token0=True), V2Pool(reserve0=10**21, reserve1=254_000 * 10**6)
    venues = [
        segments.of_pool(cheap, token0=True, decimals=decimals(True), gas_usd=0.25),
        segments.of_pool(dear, token0=True, decimals=decimals(True), gas_usd=0.5),
    ]
    found = best_trade(venues)

    def gain(tokens: float) -> float:
        return quoted(dear, tokens, buy=False, token0=True) - quoted(cheap, tokens, buy=True, token0=True)

    assert found.shares > 1
    assert pytest.approx(gain(found.shares) - 0.75, abs=1e-5) == found.profit_usd
    assert gain(found.shares) > max(gain(found.shares - 0.5), gain(found.shares + 0.5))


def test_a_book_counts_whole_lots_and_a_perp_its_carry() -> None:
    """
    Of 0.3 in lots of 0.1 are three lots, of 0.25 two, of 0.05 none; carry makes a bought share dearer and a sold one
    bring more, since who is short is paid.
    """
    asks, bids = [(250.0, 0.3), (251.0, 0.05), (252.0, 0.25)], [(249.0, 1.0)]
    venue = segments.of_book(asks, bids, fee=0.001, usd=1.002, shares=2.0, carry=0.5, lot=0.1)
    assert [0.6, 0.4] == pytest.approx(venue.buy.weight.tolist())
    expected = [1.002 / 2 * price * 1.001 + 0.5 for price in (250.0, 252.0)]
    assert expected == pytest.approx(venue.buy.start.tolist())
    assert pytest.approx(1.002 / 2 * 249.0 * 0.999 + 0.5) == venue.sell.start[0]
    assert [0.3, 0.05, 0.25] == segments.of_book(asks, bids).buy.weight.tolist()


def test_an_issuer_sells_or_takes_back_at_one_price() -> None:
    """
    A mint is bought from and a redemption sold to, from the least to the most shares, for a fixed cost.
    """
    mint = segments.of_mint(250.0, most=80.0, least=10.0, fixed_usd=5.0)
    redemption = segments.of_redemption(253.0, most=60.0, least=20.0)
    assert (EMPTY, EMPTY) == (mint.sell, redemption.buy)
    found = best_trade([mint, redemption])
    assert (60.0, pytest.approx(60 * 3.0 - 5.0)) == (found.shares, found.profit_usd)
    assert () == best_trade([mint, segments.of_redemption(253.0, most=5.0)]).legs
