"""The book structure against a plain dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.cex.ladder import ASK, BID, Ladder, Side

CHANGES = st.lists(st.tuples(st.integers(1, 30), st.sampled_from((0.0, 1.0, 2.5))), max_size=60)


@given(changes=CHANGES, depth=st.integers(1, 12), sign=st.sampled_from((BID, ASK)))
def test_a_side_is_what_a_sorted_dictionary_would_be(changes: list[tuple[int, float]], depth: int, sign: float) -> None:
    """After any changes, cut after each, the levels are the oracle's, best first, each with its own mark."""
    side, oracle = Side(sign), dict[float, float]()
    for ticks, size in changes:
        price = ticks / 100
        side.set(price, size, b"%d %g" % (ticks, size))
        oracle.pop(price, None)
        if size:
            oracle[price] = size
        best = sorted(oracle, reverse=sign == BID)[:depth]
        oracle = {price: oracle[price] for price in best}
        side.cut(depth)
    assert list(oracle.items()) == side.levels
    assert [b"%d %g" % (round(price * 100), size) for price, size in side.levels] == side.marks
    assert len(oracle) == len(side)


@given(changes=CHANGES, sign=st.sampled_from((BID, ASK)))
def test_touched_tells_how_near_the_best_a_change_came(changes: list[tuple[int, float]], sign: float) -> None:
    """Above the place it names nothing has changed since it was last set."""
    side = Side(sign)
    for ticks, size in changes:
        before = list(side.levels)
        side.touched = 1_000
        side.set(ticks / 100, size)
        assert before[: side.touched] == side.levels[: side.touched]
        assert (side.touched == 1_000) == (before == side.levels) or size == dict(before).get(ticks / 100)


def test_a_cleared_book_is_empty() -> None:
    """Nothing of the old book is left on either side."""
    book = Ladder()
    book.bids.set(1.0, 2.0)
    book.asks.set(3.0, 4.0)
    book.clear()
    assert ([], [], 0, 0) == (book.bids.levels, book.asks.levels, len(book.bids), len(book.asks))
