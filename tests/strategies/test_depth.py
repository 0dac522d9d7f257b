"""Walking a book: equal to a brute force in fractions, monotone in size, and honest about where the levels end."""

from __future__ import annotations

from fractions import Fraction
from math import isclose, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.ports import Book
from strategies.market.depth import behind, for_units, for_value, resting

BOOK = Book(bids=((100.0, 2.0), (99.0, 3.0), (95.0, 10.0)), asks=((101.0, 1.0), (102.0, 4.0), (110.0, 5.0)))

CENTS = st.integers(1, 2_000)
SIZES = st.integers(0, 50)


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Books of up to eight levels a side, prices in cents, sizes in quarters; some levels are empty."""
    middle = draw(st.integers(30_000, 60_000))
    sides = []
    for sign in (-1, 1):
        price, side = middle, []
        for step, size in draw(st.lists(st.tuples(CENTS, SIZES), min_size=1, max_size=8)):
            price += sign * step
            side.append((price / 100, size / 4))
        sides.append(tuple(side))
    return Book(*sides)


def brute(side: tuple[tuple[float, float], ...], units: Fraction) -> tuple[Fraction, Fraction]:
    """(units there, cost) of buying quarter by quarter, one 4,096th of a unit at a time would give the same."""
    left, cost = units, Fraction(0)
    for price, size in side:
        step = min(left, Fraction(size))
        cost += step * Fraction(price)
        left -= step
    return units - left, cost


@given(book=books(), quarters=st.integers(1, 500), bids=st.booleans())
def test_a_size_in_units_costs_what_its_pieces_cost(book: Book, quarters: int, bids: bool) -> None:
    """
    Units, cost and average price equal those of exact fractions; `enough` is said exactly when all of it is there.
    """
    side, units = book.bids if bids else book.asks, Fraction(quarters, 4)
    there, cost = brute(side, units)
    walk = for_units(side, float(units))
    assert (float(there), there == units) == (walk.units, walk.enough)
    assert isclose(float(cost), walk.value, rel_tol=1e-12)
    if walk.enough:
        assert isclose(float(cost / there), walk.price, rel_tol=1e-12)
        assert walk.worst in [price for price, size in side if size]
    else:
        assert isnan(walk.price)


@given(book=books(), usd=st.integers(1, 3_000_000), bids=st.booleans())
def test_a_size_in_money_is_the_units_that_it_buys(book: Book, usd: int, bids: bool) -> None:
    """
    The units of a value, walked as units, cost that value; where it is not there, both say the same total.
    """
    side = book.bids if bids else book.asks
    walk = for_value(side, float(usd))
    total = sum(Fraction(price) * Fraction(size) for price, size in side)
    assert walk.enough == (total >= usd) or isclose(float(total), usd, rel_tol=1e-12)
    if walk.enough:
        again = for_units(side, walk.units * (1 - 1e-12))
        assert isclose(usd, again.value, rel_tol=1e-9)
        assert isclose(walk.price, again.price, rel_tol=1e-9)
    else:
        assert isclose(float(total), walk.value, rel_tol=1e-12)


@given(book=books(), sizes=st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_more_never_gets_a_better_price(book: Book, sizes: tuple[int, int]) -> None:
    """
    A larger size is bought dearer or at the same price, and sold cheaper or at the same; what is not there stays so.
    """
    small, large = sorted(size / 4 for size in sizes)
    for side, sign in ((book.asks, 1), (book.bids, -1)):
        first, second = for_units(side, small), for_units(side, large)
        assert first.enough or not second.enough
        if second.enough:
            assert sign * first.price <= sign * second.price + 1e-9
            assert sign * first.worst <= sign * second.worst
            assert sign * side[0][0] <= sign * first.price + 1e-9


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_no_size_has_no_price(size: float) -> None:
    """
    Zero, negative, absent and endless sizes are not filled, and nothing is made up for them.
    """
    for walk in (for_units(BOOK.asks, size), for_value(BOOK.asks, size)):
        assert (0.0, 0.0, False) == (walk.units, walk.value, walk.enough)
        assert isnan(walk.price) and isnan(walk.worst)


def test_the_end_of_the_levels_is_said() -> None:
    """
    Ten units are there to buy, for 101 + 408 + 550; the eleventh is not, and has no price.
    """
    assert (10.0, 1059.0, 110.0, True) == for_units(BOOK.asks, 10.0)
    walk = for_units(BOOK.asks, 11.0)
    assert (10.0, 1059.0, 110.0, False) == walk
    assert isnan(walk.price)
    assert 105.9 == for_value(BOOK.asks, 1059.0).price
    assert not for_value(BOOK.asks, 1059.01).enough


def test_what_rests_near_the_mid_is_counted_and_its_end_said() -> None:
    """
    The mid is 100.5: within 1 % one bid level and one ask level rest, and more stands beyond; within 10 % all levels
    do, so there may be more than they show.
    """
    assert (200.0, True) == resting(BOOK, 0.01, bids=True)
    assert (101.0, True) == resting(BOOK, 0.01, bids=False)
    assert (200.0 + 297.0 + 950.0, False) == resting(BOOK, 0.10, bids=True)
    assert (0.0, False) == resting(Book((), BOOK.asks), 0.01, bids=False)
    assert (0.0, True) == resting(BOOK, 0.0, bids=True)


@given(book=books(), shares=st.tuples(st.floats(0, 0.2), st.floats(0, 0.2)), bids=st.booleans())
def test_a_wider_band_never_holds_less(book: Book, shares: tuple[float, float], bids: bool) -> None:
    """
    What rests grows with the band, and equals the sum over the levels inside.
    """
    narrow, wide = sorted(shares)
    first, second = resting(book, narrow, bids=bids), resting(book, wide, bids=bids)
    assert first.value <= second.value
    assert first.complete or not second.complete


def test_behind_a_newer_quote_lie_the_levels_that_are_worse_each_than_the_last() -> None:
    """
    Asks at 100, 101, 100.5 and 102 behind a best ask of 100.2, and bids at 99 and 98 behind a best bid of 99: what is
    better, out of order or empty is left out.
    """
    asks = ((100.0, 1.0), (101.0, 2.0), (100.5, 3.0), (102.0, 4.0))
    book = Book(bids=((99.0, 1.0), (98.0, 2.0), (97.0, 0.0)), asks=asks)
    assert [(101.0, 2.0), (102.0, 4.0)] == behind(book, 100.2, bids=False)
    assert [(98.0, 2.0)] == behind(book, 99.0, bids=True)
