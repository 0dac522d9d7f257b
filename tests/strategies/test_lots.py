"""Orders in whole lots: the named vectors, all possible orders of small markets in exact fractions, and the limits."""

from __future__ import annotations

import json
from decimal import Decimal as D
from fractions import Fraction as F
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.pricing import curve
from strategies.pricing.curve import Curve
from strategies.pricing.lots import Book, size_in_lots

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "waterfill_lots.json").read_text(encoding="utf-8"))["cases"]


def pool_of(told: dict[str, Any]) -> dict[str, Curve]:
    """Both sides of a pool of the vectors."""
    fee = float(told["fee"])
    if told["kind"] == "v2":
        held = (float(told["reserve_base"]), float(told["reserve_quote"]))
        buy, sell = (curve.constant_product(*held, buy=side, fee=fee) for side in (True, False))
    else:
        spans = [(float(low), float(high), float(size)) for low, high, size in told["ranges"]]
        buy, sell = (curve.ranges(float(told["price"]), spans, buy=side, fee=fee) for side in (True, False))
    return {"pool_buy": buy, "pool_sell": sell}


def book_of(told: dict[str, Any]) -> Book:
    """A book of the vectors."""
    asks, bids = (tuple((D(price), D(size)) for price, size in told[side]) for side in ("asks", "bids"))
    least = D(told.get("min_notional", "0"))
    return Book(asks=asks, bids=bids, lot=D(told["lot"]), fee=D(told["taker_fee"]), least_notional=least)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_orders_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    """
    Sizes exactly, profit of books exactly and with a pool to 1e-12; proven best, and not above what parts of lots make.
    """
    books = {at: book_of(one) for at, one in enumerate(case["venues"]) if one["kind"] == "book"}
    pool: dict[str, Curve] = {}
    for one in case["venues"]:
        pool = pool if one["kind"] == "book" else pool_of(one)
    found, expected, places = size_in_lots(list(books.values()), **pool), case["expected"], list(books)
    sizes = {(places[one.book], one.buy): one.shares for one in found.orders}
    told = {
        (one["venue"], one["side"] == "buy"): D(one["qty_shares"])
        for one in expected["allocation"]
        if not isinstance(one["venue"], list)
    }
    assert told == sizes
    in_pool = sum((D(one["qty_shares"]) for one in expected["allocation"] if isinstance(one["venue"], list)), D(0))
    assert in_pool == abs(found.pool_shares)
    profit = D(expected["profit_usd"])
    assert profit == (pytest.approx(found.profit_usd, rel=D("1e-12")) if pool else found.profit_usd)
    assert 0 == found.gap_usd
    assert D(expected["continuous_upper_bound_usd"]) >= found.profit_usd


def tenths(most: int) -> st.SearchStrategy[D]:
    """Sizes."""
    return st.integers(0, most).map(lambda one: D(one) / 10)


@st.composite
def markets(draw: st.DrawFn) -> list[Book]:
    """Two or three small books with lots, multipliers, fees, least notionals and fixed costs that need not fit."""
    found = []
    for _ in range(draw(st.integers(2, 3))):
        middle = 1000 + draw(st.integers(-20, 20))
        sides = []
        for step in (1, -1):
            moves = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
            prices = [D(middle + step * sum(moves[: at + 1])) / 10 for at in range(len(moves))]
            sides.append(tuple((price, draw(tenths(6))) for price in prices))
        found.append(
            Book(
                asks=sides[0],
                bids=sides[1],
                lot=D(draw(st.sampled_from(["0.1", "0.2", "0.3", "0.5"]))),
                fee=D(draw(st.sampled_from(["0", "0.0001", "0.001"]))),
                shares=D(draw(st.sampled_from(["1", "1", "1.05", "2"]))),
                least_notional=D(draw(st.sampled_from(["0", "0", "50"]))),
                fixed_usd=D(draw(st.sampled_from(["0", "0", "0.1"]))),
                carry=D(draw(st.sampled_from(["0", "0.02"]))),
            )
        )
    return found


def every_order(book: Book, buy: bool) -> list[tuple[F, F]]:
    """(shares, USD) of nothing and of every number of lots that the venue takes."""
    found, shares, usd, notional = [(F(0), F(0))], F(0), F(0), F(0)
    fee = 1 + F(book.fee) if buy else 1 - F(book.fee)
    for price, size in book.asks if buy else book.bids:
        for _ in range(int(F(size) // F(book.lot))):
            shares += F(book.lot) * F(book.shares)
            notional += F(price) * F(book.lot)
            usd += (F(price) * fee * F(book.usd) + F(book.carry) * F(book.shares)) * F(book.lot)
            if notional >= F(book.least_notional):
                found.append((shares, usd))
    return found


def best_of_all(books: list[Book], cap: F | None) -> F:
    """Profit of the best of all possible orders whose shares are equal on both sides, by trying them."""
    sums = {(F(0), F(0)): F(0)}
    for book in books:
        wider: dict[tuple[F, F], F] = {}
        bought, sold = every_order(book, True), every_order(book, False)
        for (b, s), usd in sums.items():
            for more_b, cost in bought:
                for more_s, proceeds in sold:
                    gain = usd + proceeds - cost - (F(book.fixed_usd) if more_b or more_s else 0)
                    key = (b + more_b, s + more_s)
                    wider[key] = max(wider.get(key, gain), gain)
        sums = wider
    return max(usd for (b, s), usd in sums.items() if b == s and (cap is None or b <= cap))


@given(markets(), st.none() | tenths(30))
@settings(max_examples=30, deadline=None)
def test_no_orders_of_a_small_market_make_more(books: list[Book], cap: D | None) -> None:
    """
    All of them are tried, in fractions: the profit is the best one's to the last digit, and what is bought is sold.
    """
    found = size_in_lots(books, cap=cap, looks=100_000)
    assert best_of_all(books, None if cap is None else F(cap)) == F(found.profit_usd)
    assert (0, 0) == (found.gap_usd, found.pool_shares)
    assert 0 == sum(one.shares if one.buy else -one.shares for one in found.orders)
    assert all(0 == one.tokens % books[one.book].lot for one in found.orders)


@given(st.integers(240, 260), st.sampled_from(["0", "0.75", "3"]), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_pool_takes_what_is_left_between_books(price: int, gas: str, cap: int) -> None:
    """
    Two books of different lots beside a v2 pool of 1,000 tokens: all numbers of lots are tried, with the pool's
    x y = k for the rest. The cap is on what is bought, from the pool too.
    """
    books = [
        Book(asks=((D("250.2"), D(5)), (D("251"), D(4))), bids=((D("249.8"), D(6)),), lot=D(2)),
        Book(asks=((D("250.4"), D(9)),), bids=((D("249.9"), D(9)),), lot=D(3), shares=D("1.05")),
    ]
    sides = [curve.constant_product(1000.0, 1000.0 * price, buy=side, fee=0.003) for side in (True, False)]
    found = size_in_lots(books, pool_buy=sides[0], pool_sell=sides[1], pool_fixed_usd=D(gas), cap=D(cap))
    best = 0.0
    for (buy_a, cost_a), (sell_a, got_a), (buy_b, cost_b), (sell_b, got_b) in product(
        *(every_order(book, buy) for book in books for buy in (True, False))
    ):
        rest = float(buy_a + buy_b - sell_a - sell_b)
        if float(buy_a + buy_b) - min(rest, 0.0) > cap:
            continue
        kept, usd = 0.997 * rest, 1000.0 * price
        paid = usd * kept / (1000 + kept) if rest > 0 else usd * rest / (1000 + rest) / 0.997
        best = max(best, float(got_a + got_b - cost_a - cost_b) + paid - (float(gas) if rest else 0.0))
    assert pytest.approx(best, rel=1e-12, abs=1e-9) == float(found.profit_usd)
    assert 0 == found.gap_usd
    assert found.pool_shares == sum(one.shares if one.buy else -one.shares for one in found.orders)


def test_lots_that_only_meet_at_multiples_trade_those() -> None:
    """
    Lots of 0.4 and 0.6 meet at 1.2: of 5 shares 4.8 are traded; lots of 1 and 1.0137 meet nowhere near.
    """
    cheap = Book(asks=((D(250), D(5)),), lot=D("0.4"))
    found = size_in_lots([cheap, Book(bids=((D(252), D(5)),), lot=D("0.6"))])
    assert [D("4.8"), D("4.8")] == [one.shares for one in found.orders]
    assert D("9.6") == found.profit_usd
    found = size_in_lots([cheap, Book(bids=((D(252), D(500)),), lot=D(1), shares=D("1.0137"))])
    assert ((), 0, 0) == (found.orders, found.profit_usd, found.gap_usd)


def test_an_unprofitable_lot_is_bought_where_it_makes_others_meet() -> None:
    """
    One lot of 0.3 is sold at 252; two of 0.1 cost 250 and the third 253: it is bought too.
    """
    cheap = Book(asks=((D(250), D("0.2")), (D(253), D(1))), lot=D("0.1"))
    found = size_in_lots([cheap, Book(bids=((D(252), D("0.5")),), lot=D("0.3"))])
    assert D("0.3") * 252 - D("0.2") * 250 - D("0.1") * 253 == found.profit_usd


def test_orders_end_on_ticks_and_least_notionals_are_raw() -> None:
    """
    A limit is the worst level's price, rounded away from ours where it is on no tick; 9.99 USD are not 10, whatever
    the fee.
    """
    cheap = Book(asks=((D("250.03"), D(1)), (D("250.07"), D(1))), lot=D("0.01"), tick=D("0.05"))
    dear = Book(bids=((D("252.03"), D(1)), (D("251.97"), D(1))), lot=D("0.01"), tick=D("0.05"))
    found = size_in_lots([cheap, dear])
    assert [D("250.10"), D("251.95")] == [one.limit for one in found.orders]
    for least, traded in (("504.00", 2), ("504.01", 0)):
        book = Book(bids=((D("252.03"), D(1)), (D("251.97"), D(1))), lot=D(1), least_notional=D(least), fee=D("0.001"))
        assert traded == len(size_in_lots([cheap, book]).orders)


def test_a_search_that_was_ended_says_by_how_much_it_may_be_wrong() -> None:
    """
    With one look there are no orders yet, but a bound above the best profit; with enough looks the gap is closed.
    """
    books = [
        Book(asks=((D(250), D("3.3")), (D(251), D(7))), lot=D("0.7")),
        Book(asks=((D("250.5"), D(5)),), lot=D("0.3"), fixed_usd=D("0.2")),
        Book(bids=((D(252), D("9.1")),), lot=D("0.5")),
    ]
    best = size_in_lots(books, looks=100_000)
    early = size_in_lots(books, looks=1)
    assert (0, True) == (best.gap_usd, best.looks > 1)
    assert (1, ()) == (early.looks, early.orders)
    assert early.gap_usd == early.bound_usd >= best.profit_usd > 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"asks": ((D(250), D(1)), (D(249), D(1)))}, "worse with size"),
        ({"asks": ((D(250), D(1)),), "bids": ((D(250), D(1)),)}, "less than it pays"),
        ({"lot": D(0)}, "above 0"),
    ],
)
def test_a_book_that_cannot_be_is_refused(wrong: dict[str, Any], why: str) -> None:
    """
    Levels out of order or crossed, and a lot of nothing; a pool that crosses itself, a search without a look.
    """
    with pytest.raises(ValueError, match=why):
        Book(**({"lot": D(1)} | wrong))
    with pytest.raises(ValueError, match="less than it pays"):
        size_in_lots([], pool_buy=curve.at_price(250.0, 1.0), pool_sell=curve.at_price(251.0, 1.0))
    with pytest.raises(ValueError, match="no search"):
        size_in_lots([], looks=0)
