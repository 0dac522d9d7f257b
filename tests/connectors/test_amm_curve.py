"""A pool as a cost curve: arcs and depth."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.amm import v3
from connectors.amm.curve import arcs, depth
from connectors.amm.ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE, sqrt_at
from connectors.amm.v2 import V2Pool
from connectors.errors import SwapRefused

Q96 = 1 << 96
E18 = 10**18


def pool_of(*ranges: tuple[int, int, int], fee: int = 3000, tick: int = 0) -> v3.V3Pool:
    """A pool at a tick's price with these ranges (lower, upper, liquidity), spacing 60."""
    pool = v3.initialized(sqrt_at(tick), tick, fee_pips=fee, spacing=60)
    for lower, upper, liquidity in ranges:
        pool = v3.after_mint(pool, lower, upper, liquidity)
    return pool


LAYERS = pool_of((-60000, 60000, E18), (-600, 600, 5 * E18), (120, 240, E18))


def test_arcs_are_the_ranges_of_one_liquidity_with_exact_ends():
    """
    One arc for each liquidity on the way, best first, ends at the ticks' own sqrt prices, ends of words not seen.
    """
    rising = arcs(LAYERS, zero_for_one=False)
    bounds = [0, 120, 240, 600, 60000]
    assert [6 * E18, 7 * E18, 6 * E18, E18] == [arc.liquidity for arc in rising]
    assert [(sqrt_at(a), sqrt_at(b)) for a, b in pairwise(bounds)] == [(arc.sqrt_start, arc.sqrt_end) for arc in rising]
    falling = arcs(LAYERS, zero_for_one=True)
    assert [(6 * E18, sqrt_at(-600)), (E18, sqrt_at(-60000))] == [(arc.liquidity, arc.sqrt_end) for arc in falling]
    assert {Fraction(3, 1000)} == {arc.fee for arc in rising + falling}


@given(st.integers(1, 59000), st.booleans())
def test_the_amounts_of_arcs_up_to_a_limit_are_those_of_the_swap(distance, zero_for_one):
    """
    Summed over the arcs, what is taken and given is what a swap to that price takes and gives, and the last one ends
    there; each amount is that of the formula of its liquidity and its ends.
    """
    limit = sqrt_at(-distance if zero_for_one else distance)
    found = arcs(LAYERS, zero_for_one=zero_for_one, limit=limit)
    quote = LAYERS.exact_in(1 << 200, zero_for_one=zero_for_one, limit=limit)
    assert (quote.amount_in, quote.amount_out) == (sum(a.amount_in for a in found), sum(a.amount_out for a in found))
    assert limit == found[-1].sqrt_end
    for arc in found:
        low, high = sorted((arc.sqrt_start, arc.sqrt_end))
        zero, one = arc.liquidity * (Q96 / low - Q96 / high), arc.liquidity * (high - low) / Q96
        taken, given = (zero, one) if zero_for_one else (one, zero)
        assert math.isclose(taken / 0.997, arc.amount_in, rel_tol=1e-6, abs_tol=1e3)
        assert math.isclose(given, arc.amount_out, rel_tol=1e-6, abs_tol=1e3)


def test_a_gap_without_liquidity_is_no_arc():
    """
    Between two ranges there is nothing to be had: the curve goes on where the next range begins.
    """
    found = arcs(pool_of((-60, 60, E18), (600, 660, E18)), zero_for_one=False)
    assert [(sqrt_at(0), sqrt_at(60)), (sqrt_at(600), sqrt_at(660))] == [(a.sqrt_start, a.sqrt_end) for a in found]
    assert [] == arcs(pool_of(), zero_for_one=True)


def test_a_price_at_its_end_has_no_curve():
    """
    At the lowest price nothing falls further; the other direction is there.
    """
    pool = v3.initialized(MIN_SQRT_PRICE, -887272, fee_pips=3000, spacing=60)
    pool = v3.after_mint(pool, -887220, 887220, E18)
    assert ([], (0, 0)) == (arcs(pool, zero_for_one=True), depth(pool, 200, zero_for_one=True))
    assert arcs(pool, zero_for_one=False)[-1].sqrt_end == sqrt_at(887220)


@pytest.mark.parametrize("bps", [50, 100, 200])
def test_depth_is_what_moves_the_price_so_far(bps):
    """
    At constant liquidity, a move by m of the price gives L (sqrt(1+m) - 1) in, up, and L (1 - sqrt(1-m)) out, down.
    """
    pool, m = pool_of((-60000, 60000, E18), fee=500), bps / 10_000
    taken, _ = depth(pool, bps, zero_for_one=False)
    _, given = depth(pool, bps, zero_for_one=True)
    assert math.isclose(E18 * (math.sqrt(1 + m) - 1) / 0.9995, taken, rel_tol=1e-9)
    assert math.isclose(E18 * (1 - math.sqrt(1 - m)), given, rel_tol=1e-9)
    twin = V2Pool(reserve0=E18, reserve1=E18)
    _, given = depth(twin, bps, zero_for_one=True)
    assert math.isclose(E18 * (1 - math.sqrt(1 - m)), given, rel_tol=1e-9)


@pytest.mark.parametrize("bps", [0, -1, 10_000])
def test_a_depth_that_is_no_move_is_refused(bps):
    """
    Nothing, backwards, or all of the price.
    """
    with pytest.raises(SwapRefused):
        depth(LAYERS, bps, zero_for_one=True)


@given(st.integers(1 << 40, 1 << 100), st.integers(1 << 40, 1 << 100), st.integers(1, 9_999), st.booleans())
def test_a_v2_arc_to_a_limit_brings_the_price_there(zero, one, bps, zero_for_one):
    """
    Swapping what the arc takes gives what it gives; its fee aside the price is then at the limit.
    """
    pool = V2Pool(reserve0=zero, reserve1=one)
    start = math.isqrt((one << 192) // zero)
    limit = math.isqrt(start * start * (10_000 - bps if zero_for_one else 10_000 + bps) // 10_000)
    (arc,) = arcs(pool, zero_for_one=zero_for_one, limit=limit)
    assert arc.amount_out == pool.exact_in(arc.amount_in, zero_for_one=zero_for_one).amount_out
    assert math.isclose(limit, arc.sqrt_end, rel_tol=1e-6)
    assert math.isqrt(zero * one) == arc.liquidity
    with pytest.raises(SwapRefused):
        arcs(pool, zero_for_one=not zero_for_one, limit=limit)


def test_a_v2_curve_ends_where_a_reserve_would_not_fit():
    """
    Without a limit the arc goes on to the last swap that the pair takes; an empty pair has none.
    """
    pool = V2Pool(reserve0=10**20, reserve1=10**20)
    (arc,) = arcs(pool, zero_for_one=True)
    assert arc.amount_out == pool.exact_in(arc.amount_in, zero_for_one=True).amount_out
    with pytest.raises(SwapRefused):
        pool.exact_in(arc.amount_in + 1, zero_for_one=True)
    empty = V2Pool(reserve0=0, reserve1=0)
    assert ([], (0, 0)) == (arcs(empty, zero_for_one=True), depth(empty, 50, zero_for_one=True))


def test_the_curve_of_a_whole_range_reaches_the_ends():
    """
    Full-range liquidity goes from the price to the outermost usable tick on either side.
    """
    pool = pool_of((-887220, 887220, E18))
    assert (sqrt_at(-887220), sqrt_at(887220)) == tuple(
        arcs(pool, zero_for_one=way)[-1].sqrt_end for way in (True, False)
    )
    assert MIN_SQRT_PRICE < sqrt_at(-887220) and sqrt_at(887220) < MAX_SQRT_PRICE
