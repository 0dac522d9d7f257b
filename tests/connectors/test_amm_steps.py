"""Ticks, the map of initialised ticks, and single steps, against official values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.amm.step import PIPS, swap_step
from connectors.amm.tickmap import Tick, TickMap, ticks_of_word, words
from connectors.amm.ticks import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    max_liquidity_per_tick,
    sqrt_at,
    tick_at,
)
from connectors.errors import PoolStateError, SwapRefused

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
TICKMATH = json.loads((VECTORS / "univ3_tickmath.json").read_text())
STEPS = json.loads((VECTORS / "univ3_swap_step.json").read_text())


def test_sqrt_prices_of_ticks_are_the_official_ones():
    """
    Every official tick has its official sqrt price, and the extreme ticks have the extreme prices.
    """
    assert [int(case["sqrt_price_x96"]) for case in TICKMATH["cases"]] == [
        sqrt_at(case["tick"]) for case in TICKMATH["cases"]
    ]
    assert (MIN_SQRT_PRICE, MAX_SQRT_PRICE, 1 << 96) == (sqrt_at(MIN_TICK), sqrt_at(MAX_TICK), sqrt_at(0))


def test_ticks_of_sqrt_prices_are_the_official_ones():
    """
    Every official sqrt price has its official tick.
    """
    assert [case["tick"] for case in TICKMATH["inverse"]] == [
        tick_at(int(case["sqrt_price_x96"])) for case in TICKMATH["inverse"]
    ]


def test_what_the_contract_reverts_on_is_refused():
    """
    Ticks beyond the extremes and sqrt prices outside of their range are refused, not clamped.
    """
    for tick in TICKMATH["reverts"]["tick"]:
        with pytest.raises(SwapRefused):
            sqrt_at(tick)
    for price in TICKMATH["reverts"]["sqrt"]:
        with pytest.raises(SwapRefused):
            tick_at(int(price))


@given(st.integers(MIN_TICK, MAX_TICK - 1), st.data())
def test_a_price_between_two_ticks_has_the_lower_one(tick, data):
    """
    tick_at gives the tick for every price from that of the tick up to just below that of the next.
    """
    low, high = sqrt_at(tick), sqrt_at(tick + 1)
    assert low < high
    for price in (low, high - 1, data.draw(st.integers(low, high - 1))):
        assert tick == tick_at(price)


@pytest.mark.parametrize("case", STEPS["cases"] + STEPS["derived_cases"])
def test_a_step_gives_the_official_amounts(case):
    """
    Price, input, output and fee of one step are those of the vectors; a remaining amount below zero is wanted out.
    """
    remaining = int(case["amount_remaining"])
    expected = tuple(int(case["expected"][name]) for name in ("sqrt_next", "amount_in", "amount_out", "fee_amount"))
    assert expected == swap_step(
        int(case["sqrt_current"]),
        int(case["sqrt_target"]),
        int(case["liquidity"]),
        abs(remaining),
        case["fee_pips"],
        exact_in=remaining > 0,
    )


PRICES = st.integers(MIN_SQRT_PRICE, MAX_SQRT_PRICE - 1)


@given(
    PRICES, PRICES, st.integers(1, (1 << 128) - 1), st.integers(1, 1 << 220), st.integers(0, PIPS - 1), st.booleans()
)
def test_a_step_takes_no_more_than_is_there_and_stays_inside(price, target, liquidity, remaining, fee, exact_in):
    """
    The price stays between start and target, an input with its fee is never more than what remains, and an input that
    does not reach the target is used up.
    """
    step = swap_step(price, target, liquidity, remaining, fee, exact_in=exact_in)
    assert min(price, target) <= step.sqrt_price <= max(price, target)
    if not exact_in:
        assert step.amount_out <= remaining
    elif step.sqrt_price == target:
        assert step.amount_in + step.fee <= remaining
    else:
        assert step.amount_in + step.fee == remaining


def test_the_liquidity_that_ticks_may_hold_fits_in_128_bits():
    """
    As many ticks as a spacing has, filled to the most, stay within 128 bits; one more for each would not.
    """
    for spacing in (1, 10, 60, 200, 32767):
        ticks = 2 * (MAX_TICK // spacing) + 1
        assert max_liquidity_per_tick(spacing) * ticks < 1 << 128 <= (max_liquidity_per_tick(spacing) + 1) * ticks


def test_a_swap_stops_at_initialised_ticks_and_at_the_ends_of_words():
    """
    Falling: at or below the tick, at most down to the word's first. Rising: above it, at most up to the word's last.
    """
    ticks = TickMap(10, {-100: Tick(5, 5), 50: Tick(5, -5)})
    assert (50, 50, 0) == (ticks.stop_below(57), ticks.stop_below(50), ticks.stop_below(49))
    assert (-100, -2560, -2560) == (ticks.stop_below(-1), ticks.stop_below(-101), ticks.stop_below(-2551))
    assert (50, 2550, 2550) == (ticks.stop_above(49), ticks.stop_above(50), ticks.stop_above(2549))
    assert (5110, -100, -10) == (ticks.stop_above(2550), ticks.stop_above(-101), ticks.stop_above(-100))
    assert (MIN_TICK, MAX_TICK) == (ticks.stop_below(MIN_TICK), ticks.stop_above(MAX_TICK - 1))


@given(st.sets(st.integers(-88727, 88727), max_size=30))
def test_the_bitmap_names_the_ticks_that_it_was_made_of(units):
    """
    Words made of ticks give back these ticks, whatever the sign.
    """
    ticks = sorted(10 * unit for unit in units)
    bitmap = words(ticks, 10)
    assert ticks == sorted(tick for word, bits in bitmap.items() for tick in ticks_of_word(word, bits, 10))
    assert all(0 < bits < 1 << 256 for bits in bitmap.values())


def test_liquidity_that_comes_and_goes_leaves_nothing():
    """
    A tick is initialised while any position refers to it, also where what is added and taken away there cancel out.
    """
    empty = TickMap(60)
    first = empty.moved(-60, 60, 7)
    both = first.moved(60, 120, 7)
    assert {-60: (7, 7), 60: (14, 0), 120: (7, -7)} == {tick: both[tick] for tick in both.order}
    assert (0, 7, 7, 0) == tuple(both.active(tick) for tick in (-61, -60, 119, 120))
    assert (first, empty) == (both.moved(60, 120, -7), first.moved(-60, 60, -7))
    assert first == TickMap(60, {-60: Tick(7, 7), 60: Tick(7, -7)})


@pytest.mark.parametrize(
    ("lower", "upper", "amount"),
    [(60, 60, 1), (120, 60, 1), (-61, 60, 1), (0, 887280, 1), (-60, 60, -8), (0, 120, -1), (-60, 60, 1 << 127)],
)
def test_liquidity_that_cannot_come_or_go_is_refused(lower, upper, amount):
    """
    A range that is none, ticks between the usable ones or out of range, more gone than is there, more than one holds.
    """
    with pytest.raises(PoolStateError):
        TickMap(60, {-60: Tick(7, 7), 60: Tick(7, -7)}).moved(lower, upper, amount)


@pytest.mark.parametrize(
    ("spacing", "info"),
    [(0, {}), (1 << 15, {}), (60, {30: (1, 1)}), (60, {60: (0, 0)}), (60, {60: (1, 2)}), (60, {60: (1 << 127, 1)})],
)
def test_a_map_that_no_pool_can_have_is_refused(spacing, info):
    """
    An impossible spacing, a tick off the spacing, a net beyond the gross, more than a tick may hold.
    """
    with pytest.raises(PoolStateError):
        TickMap(spacing, info)
