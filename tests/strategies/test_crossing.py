"""The best trade between offers: closed forms against the search, lots that never meet, few legs, fixed costs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal as D
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.pricing.crossing import NO_SIZE, TOO_SMALL, Crossing, cross
from strategies.pricing.lots import Book, Sized, size_in_lots
from strategies.pricing.offers import Offer, factor_of


def offer(at: int, buy: bool, *levels: tuple[str, str], **changes: D) -> Offer:
    """Levels of (price, units) in USD, in lots of a hundredth."""
    usual = {"usd": D(1), "shares": D(1), "rate": D(0), "fixed_usd": D(0), "lot": D("0.01"), "least_usd": D(0)}
    told = {**usual, **changes}
    factor = factor_of(told["usd"], told["shares"], told["rate"], buy=buy)
    return Offer(at, buy, tuple((D(price), D(units)) for price, units in levels), **told, factor=factor)


def searched(offers: Sequence[Offer], cap: D, edge: D) -> Sized:
    """The same by the search over lots alone."""
    books = [
        Book(
            asks=one.levels if one.buy else (), bids=() if one.buy else one.levels, lot=one.lot, usd=one.usd,
            least_notional=one.least_usd / one.usd, fee=one.rate, shares=one.shares, fixed_usd=one.fixed_usd,
            carry=edge if one.buy else D(0),
        )
        for one in offers
    ]  # fmt: skip
    return size_in_lots(books, cap=cap, looks=100)


def crossed(offers: Sequence[Offer], cap: D, edge: D = D(0), legs: int = 4) -> Crossing | None:
    """The best trade of at most `cap` shares."""
    buys = [one for one in offers if one.buy and one.levels]
    units = cap / min(buys, key=lambda one: one.levels[0][0] * one.factor).shares if buys else D(1)
    made = cross(offers, size_usd=None, size_units=units, edge_usd=edge, max_legs=legs)
    return None if isinstance(made, str) else made


def beyond(made: Crossing | None, edge: D) -> D:
    """Profit beyond the edge that is asked for."""
    return D(0) if made is None else made.profit_usd - edge * made.shares


@st.composite
def markets(draw: st.DrawFn, *, even: bool, levels: int = 1) -> list[Offer]:
    """Two to four offers around 100 USD, of tokens worth one share or two, with all kinds of costs and least orders. Of
    uneven ones each has a lot of its own."""
    found, one_lot = [], draw(st.sampled_from((2, 4)))
    for at in range(draw(st.integers(2, 4))):
        buy, worth = draw(st.booleans()) if at > 1 else at == 0, draw(st.sampled_from((1, 2)))
        price = draw(st.integers(9_980, 10_020))
        steps = [price]
        for _ in range(draw(st.integers(0, levels - 1))):
            steps.append(steps[-1] + (1 if buy else -1) * draw(st.integers(1, 15)))
        sizes = [draw(st.integers(0, 300)) for _ in steps]
        lot = one_lot // worth if even else draw(st.sampled_from((1, 2, 4)))
        found.append(
            offer(
                at, buy, *((str(D(p * worth) / 100), str(D(q) / 100)) for p, q in zip(steps, sizes, strict=True) if q),
                shares=D(worth), lot=D(lot) / 100, rate=D(draw(st.integers(0, 3))) / 10_000,
                fixed_usd=D(draw(st.sampled_from((0, 0, 10)))) / 100,
                least_usd=D(draw(st.sampled_from((0, 0, 50)))), usd=D(draw(st.sampled_from(("1", "0.9995")))),
            )
        )  # fmt: skip
    return found


@settings(max_examples=300)
@given(markets(even=True), st.integers(1, 400), st.integers(0, 20))
def test_a_closed_form_brings_what_the_search_brings(offers: list[Offer], cap: int, edge: int) -> None:
    """
    One level and one lot everywhere: nearly always it is a division, and its profit is that of the best of all whole
    lots, to 1e-18 USD.
    """
    least = D(edge) / 1000
    found, made = searched(offers, D(cap) / 100, least), crossed(offers, D(cap) / 100, least, 9)
    assert abs(found.profit_usd - beyond(made, least)) < D("1e-18")
    if made is not None:
        assert 0 == made.gap_usd or any(one.least_usd for one in offers)
        assert 0 < made.shares <= D(cap) / 100
        assert all(0 == leg.units % leg.offer.lot for leg in made.legs)
        assert 0 == sum((1 if leg.offer.buy else -1) * leg.units * leg.offer.shares for leg in made.legs)


@settings(max_examples=100)
@given(markets(even=True, levels=3), st.integers(1, 800), st.integers(0, 20))
def test_several_levels_are_sized_by_the_search(offers: list[Offer], cap: int, edge: int) -> None:
    """
    Books of several levels bring what their whole lots bring one by one, or a level gives more than whole lots.
    """
    least = D(edge) / 1000
    found, made = searched(offers, D(cap) / 100, least), crossed(offers, D(cap) / 100, least, 9)
    assert found.profit_usd - D("1e-18") <= beyond(made, least)


@settings(max_examples=100)
@given(markets(even=False, levels=2), st.integers(1, 400), st.integers(0, 20))
def test_the_gap_is_what_lots_of_different_sizes_may_cost(offers: list[Offer], cap: int, edge: int) -> None:
    """
    A price that does not pay may complete a lot; whatever the search over all of them finds, the gap has foreseen.
    """
    least = D(edge) / 1000
    found, made = searched(offers, D(cap) / 100, least), crossed(offers, D(cap) / 100, least, 9)
    if made is None:
        return
    assert found.profit_usd <= beyond(made, least) + made.gap_usd + D("1e-12")
    assert 0 == sum((1 if leg.offer.buy else -1) * leg.units * leg.offer.shares for leg in made.legs)


UNEVEN = (D("1.00371"), D("1"), D("0.99873"))


@given(
    st.lists(st.integers(1, 500), min_size=4, max_size=4), st.integers(20, 600), st.sampled_from(("0.01", "0.001", "1"))
)
def test_lots_that_never_meet_leave_less_than_one_of_them(sizes: list[int], cap: int, lot: str) -> None:
    """
    Tokens of different multipliers: whole lots of each, as many shares bought as sold but for less than a lot, never
    more than a level has; and what the gap says cannot be passed by any trade of a hundredth as coarse.
    """
    a, b, c, d = (str(D(size) / 100) for size in sizes)
    offers = [
        offer(0, True, ("100.00", a), shares=UNEVEN[0], lot=D(lot)),
        offer(1, True, ("99.70", b), shares=UNEVEN[1]),
        offer(2, False, ("100.90", c), shares=UNEVEN[0], lot=D(lot)),
        offer(3, False, ("100.10", d), shares=UNEVEN[2]),
    ]
    made = crossed(offers, D(cap) / 100, D("0.1"))
    if made is None:
        return
    for leg in made.legs:
        assert 0 == leg.units % leg.offer.lot
        assert 0 < leg.units <= leg.offer.levels[0][1]
    net = sum((1 if leg.offer.buy else -1) * leg.units * leg.offer.shares for leg in made.legs)
    assert abs(net) < max(leg.offer.lot * leg.offer.shares for leg in made.legs)
    best = D(0)
    prices = [one.levels[0][0] * one.factor for one in offers]
    held = [one.levels[0][1] * one.shares for one in offers]
    for parts in product(range(11), repeat=2):
        buys = [held[at] * part / 10 for at, part in zip((0, 1), parts, strict=True)]
        left = sum(buys)
        if left > D(cap) / 100:
            continue
        sold = D(0)
        for at in (2, 3):
            taken = min(left, held[at])
            sold, left = sold + taken * prices[at], left - taken
        if not left:
            best = max(best, sold - sum(q * (prices[at] + D("0.1")) for at, q in enumerate(buys)))
    assert best <= beyond(made, D("0.1")) + made.gap_usd + D("1e-9")


def test_numbers_of_a_trade() -> None:
    """
    One share at 100, one at 100.1; two wanted at 100.5 with 5 bps of fee there and 4 cents a sale: 0.90 - 0.1005 - 0.04
    are left, the last share costs 100.1 and brings 100.44975, and nothing brings more.
    """
    offers = [
        offer(0, True, ("100", "1")),
        offer(1, True, ("100.1", "1")),
        offer(2, False, ("100.5", "2"), rate=D("0.0005"), fixed_usd=D("0.04")),
    ]
    made = crossed(offers, D(9))
    assert made is not None
    assert [(0, 1), (1, 1), (2, 2)] == [(leg.offer.instrument, leg.units) for leg in made.legs]
    assert (D(2), D("200.1"), D("201")) == (made.shares, made.bought_usd, made.sold_usd)
    assert (D("0.7595"), D("0.04"), D(0)) == (made.profit_usd, made.fixed_usd, made.gap_usd)
    assert (D("100.1"), D("100.44975")) == (made.marginal_buy, made.marginal_sell)


@pytest.mark.parametrize(("units", "fixed", "trades"), [("2", "0.99", True), ("2", "1", False), ("1", "0.99", False)])
def test_what_is_fixed_counts_at_the_size_that_is_traded(units: str, fixed: str, trades: bool) -> None:
    """
    Half a dollar a share: two shares carry 99 cents that are paid whatever the size, but not a dollar; one does not.
    """
    offers = [offer(0, True, ("100", units), fixed_usd=D(fixed)), offer(1, False, ("100.5", "9"))]
    assert trades is (crossed(offers, D(9)) is not None)


def test_every_share_and_the_whole_trade_bring_the_edge_that_is_asked_for() -> None:
    """
    The second share at 100.3 brings only 20 cents: with an edge of 25 cents it is not bought. With 40 cents fixed the
    first one brings 10, and there is no trade.
    """
    levels = ("100", "1"), ("100.3", "1")
    offers = [offer(0, True, *levels), offer(1, False, ("100.5", "9"))]
    assert D(2) == getattr(crossed(offers, D(9)), "shares", None)
    assert D(1) == getattr(crossed(offers, D(9), D("0.25")), "shares", None)
    offers[0] = offer(0, True, *levels, fixed_usd=D("0.4"))
    assert crossed(offers, D(9), D("0.25")) is None


def test_a_cheaper_order_makes_up_for_a_dearer_price() -> None:
    """
    The dearest buyer asks for two dollars an order; the other one pays five cents less and takes all.
    """
    offers = [
        offer(0, True, ("100", "1")),
        offer(1, False, ("100.50", "9"), fixed_usd=D(2)),
        offer(2, False, ("100.45", "9")),
    ]
    made = crossed(offers, D(1))
    assert made is not None
    assert [0, 2] == [leg.offer.instrument for leg in made.legs]


def test_the_smallest_orders_are_left_out_where_there_would_be_too_many() -> None:
    """
    Five sellers and one buyer: with four legs the three largest are taken, and the gap is what the others would bring.
    """
    offers = [offer(at, True, ("100", str(at + 1))) for at in range(5)] + [offer(5, False, ("101", "99"))]
    made = crossed(offers, D(99))
    assert made is not None
    assert [2, 3, 4, 5] == [leg.offer.instrument for leg in made.legs]
    assert (D(12), D(3)) == (made.profit_usd, made.gap_usd)
    every = crossed(offers, D(99), legs=6)
    assert every is not None
    assert (6, D(15), D(0)) == (len(every.legs), every.profit_usd, every.gap_usd)


def test_why_there_is_none_is_told() -> None:
    """
    Nothing to buy, or no price that pays: no size. Less than a lot, or than what is fixed asks for: too small.
    """
    sells, asked = offer(1, False, ("100.5", "9")), {"size_usd": D(500), "size_units": None, "edge_usd": D(0)}
    assert NO_SIZE == cross([offer(0, True), sells], **asked, max_legs=4)
    assert NO_SIZE == cross([offer(0, True, ("100.5", "9")), sells], **asked, max_legs=4)
    assert TOO_SMALL == cross([offer(0, True, ("100", "0.009")), sells], **asked, max_legs=4)
    assert TOO_SMALL == cross([offer(0, True, ("100", "9"), fixed_usd=D(9)), sells], **asked, max_legs=4)
    made = cross([offer(0, True, ("100", "9")), sells], **asked, max_legs=4)
    assert isinstance(made, Crossing)
    assert D(5) == made.shares
