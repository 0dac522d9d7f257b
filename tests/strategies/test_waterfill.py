"""The best size: the named vectors, a search by small slices that knows no formula, all subsets, and the bound."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, product
from math import inf, isnan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.events import F8
from strategies.pricing import curve
from strategies.pricing.choice import Trade, Venue, best_trade
from strategies.pricing.curve import EMPTY, Curve
from strategies.pricing.cycle import Hop, cycle
from strategies.pricing.segments import of_book, of_mint, of_redemption
from strategies.pricing.waterfill import fill, together

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = json.loads((VECTORS / "waterfill.json").read_text(encoding="utf-8"))["cases"]
CYCLES = json.loads((VECTORS / "v2_cycles.json").read_text(encoding="utf-8"))["cases"]


def venue(told: dict[str, Any]) -> Venue:
    """A venue of the vectors."""
    kind = told["kind"]

    def number(key: str, absent: float = 0.0) -> float:
        return float(told.get(key, absent))

    if kind == "mint":
        return of_mint(
            number("unit_price"), most=number("max_qty"), least=number("min_qty"), fixed_usd=number("fixed_cost")
        )
    if kind == "redeem":
        return of_redemption(
            number("unit_price"), most=number("max_qty"), least=number("min_qty"), fixed_usd=number("fixed_cost")
        )
    unit = {"usd": number("fx", 1.0), "shares": number("mult", 1.0)}
    most = {"most_buy": number("max_buy", inf), "most_sell": number("max_sell", inf)}
    if kind in ("book", "perp"):
        asks, bids = ([(float(price), float(size)) for price, size in told[name]] for name in ("asks", "bids"))
        made = of_book(asks, bids, fee=number("taker_fee"), carry=number("carry_per_share"), **unit)
        return replace(made, fixed_usd=number("fixed_cost"), **most)
    if kind == "v2":
        held = (number("reserve_base"), number("reserve_quote"))
        buy, sell = (curve.constant_product(*held, buy=side, fee=number("fee"), **unit) for side in (True, False))
    else:
        spans = [(float(low), float(high), float(size)) for low, high, size in told["ranges"]]
        buy, sell = (
            curve.ranges(number("price"), spans, buy=side, fee=number("fee"), **unit) for side in (True, False)
        )
    return Venue(buy=buy, sell=sell, fixed_usd=number("fixed_cost"), **most)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_best_trade_is_that_of_the_vectors(case: dict[str, Any]) -> None:
    """
    Profit to 1e-9, size of every leg to 1e-7, marginal prices to 1e-9, and the same venues are used.
    """
    found, expected = best_trade([venue(one) for one in case["venues"]]), case["expected"]
    assert pytest.approx(float(expected["profit_usd"]), rel=1e-9, abs=1e-9) == found.profit_usd
    assert pytest.approx(float(expected["total_qty_shares"]), rel=1e-7) == found.shares
    legs = {(one["venue"], one["side"] == "buy"): float(one["qty_shares"]) for one in expected["allocation"]}
    assert pytest.approx(legs, rel=1e-7) == {(leg.venue, leg.buy): leg.shares for leg in found.legs}
    for price, told in ((found.marginal_buy, "marginal_buy"), (found.marginal_sell, "marginal_sell")):
        assert (expected[told] is None and isnan(price)) or pytest.approx(float(expected[told]), rel=1e-9) == price
    assert abs(found.gap_usd) < 1e-9 * max(1.0, sum(leg.usd for leg in found.legs))


@pytest.mark.parametrize("case", CYCLES, ids=lambda case: case["id"])
def test_cycles_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    """
    Input and profit in closed form; the trip pays where the profit is above the gas.
    """
    found = cycle([Hop(*(float(one) for one in hop)) for hop in case["hops_rin_rout_fee"]])
    expected = case["expected"]
    for value, told in (
        (found.a, "A"),
        (found.b, "B"),
        (found.c, "C"),
        (found.best_in, "optimal_in"),
        (found.profit, "gross_profit"),
    ):
        assert pytest.approx(float(expected[told]), rel=1e-9) == value
    assert expected["trade"] == (found.profit > float(case["gas"]))
    assert pytest.approx(found.profit, rel=1e-6) == found.out(found.best_in) - found.best_in


def test_a_cycle_that_gains_nothing_has_no_size() -> None:
    """
    There and back through the same pool loses the fee: no size, no profit; what is no pool is refused.
    """
    there = cycle([Hop(1000.0, 500.0, 0.003), Hop(500.0, 1000.0, 0.003)])
    assert (0.0, 0.0) == (there.best_in, there.profit)
    for hops in ([], [Hop(0.0, 1.0, 0.0)], [Hop(1.0, 1.0, 1.0)]):
        with pytest.raises(ValueError, match=r"pool"):
            cycle(hops)


# --- an independent check: small slices, sorted


def slices(one: Curve, count: int, most: float) -> F8:
    """(price, shares) of a curve cut into `count` slices an arc; the price of a slice is what it costs a share.

    An arc's cost is summed up from its marginal price by Simpson's rule, not by the formula under test.
    """
    found = [np.array([one.start, one.weight]).T[one.start == one.end]]
    for start, end, weight in zip(*one, strict=True):
        if start == end:
            continue
        whole = weight * abs(1 / sqrt(start) - (0.0 if end == inf else 1 / sqrt(end))) if end else inf
        step = min(whole, most) / count
        u = (-1 if end > start else 1) * step / weight * np.arange(2 * count + 1) / 2 + 1 / sqrt(start)
        u = u[: 2 * int(np.sum(u[2::2] > 0)) + 1]
        price = u**-2.0
        found.append(np.array([(price[:-2:2] + 4 * price[1::2] + price[2::2]) / 6, np.full(len(u) // 2, step)]).T)
    return np.concatenate(found)


def matched(buys: F8, sells: F8) -> float:
    """Profit of matching the cheapest slices with those that bring most, while it pays."""
    buys, sells = buys[np.argsort(buys[:, 0], kind="stable")], sells[np.argsort(-sells[:, 0], kind="stable")]
    until_b, until_s = np.cumsum(buys[:, 1]), np.cumsum(sells[:, 1])
    ends = np.sort(np.concatenate((until_b, until_s)))
    ends = ends[ends <= min(until_b[-1:].sum(), until_s[-1:].sum())]
    begins = np.concatenate(([0.0], ends))[:-1]
    at_b, at_s = np.searchsorted(until_b, begins, side="right"), np.searchsorted(until_s, begins, side="right")
    gain = sells[np.minimum(at_s, len(sells) - 1), 0] - buys[np.minimum(at_b, len(buys) - 1), 0]
    return float(np.sum(np.maximum(gain, 0.0) * (ends - begins)))


def drawn(rng: np.random.Generator) -> list[Venue]:
    """Two to six venues of all kinds around 250 USD, some with multipliers, fees and caps."""
    found = []
    for _ in range(int(rng.integers(2, 7))):
        mid = 250 + float(rng.normal(0, 2))
        unit = {"fee": float(rng.choice([0.0, 1e-4, 1e-3, 3e-3])), "usd": float(rng.choice([1.0, 0.999, 1.002]))}
        unit["shares"] = float(rng.choice([1.0, 1.05, 10.0]))
        kind = int(rng.integers(4))
        price = mid * unit["shares"]
        if kind == 0:
            count = int(rng.integers(1, 12))
            steps = np.cumsum(rng.exponential(0.1, count)) * unit["shares"]
            sizes = rng.exponential(5, count)
            asks, bids = list(zip(price + steps, sizes, strict=True)), list(zip(price - steps, sizes, strict=True))
            buy, sell = curve.book(asks, buy=True, **unit), curve.book(bids, buy=False, **unit)
        elif kind == 1:
            base = float(rng.uniform(100, 3000))
            buy, sell = (curve.constant_product(base, base * price, buy=side, **unit) for side in (True, False))
        elif kind == 2:
            edges = price * np.exp(np.cumsum(np.concatenate(([-0.02], rng.uniform(0.001, 0.01, 8)))))
            spans = [(float(a), float(b), float(rng.choice([0.0, 1.0]) * rng.uniform(1e3, 3e4)))
                     for a, b in pairwise(edges)]  # fmt: skip
            buy, sell = (curve.ranges(price, spans, buy=side, **unit) for side in (True, False))
        else:
            buy, sell = curve.at_price(mid + 0.3, float(rng.uniform(1, 200))), curve.at_price(mid - 0.3, 50.0)
        most = (
            {}
            if rng.random() < 0.7
            else {"most_buy": float(rng.uniform(0, 20)), "most_sell": float(rng.uniform(0, 20))}
        )
        found.append(Venue(buy=buy, sell=sell, **most))
    return found


def test_two_thousand_random_markets_agree_with_a_search_by_slices() -> None:
    """
    The slices can be traded, so they make no more than the best trade; the smaller they are the less is missing.
    """
    rng = np.random.default_rng(5)
    traded = 0
    for _ in range(2000):
        venues = drawn(rng)
        found = best_trade(venues)
        buys = [curve.cut(one.buy, one.most_buy) for one in venues]
        sells = [curve.cut(one.sell, one.most_sell) for one in venues]
        most = 2 * found.shares + 1e-9
        for count in (30, 300, 3000):
            profit = matched(*(np.concatenate([slices(one, count, most) for one in side]) for side in (buys, sells)))
            assert profit <= found.profit_usd + 1e-7 * (1 + found.profit_usd)
            if close := profit >= found.profit_usd * (1 - 2e-3) - 1e-6:
                break
        assert close
        assert abs(found.gap_usd) <= 1e-11 * (1 + sum(leg.usd for leg in found.legs))
        assert pytest.approx(found.profit_usd, rel=1e-9, abs=1e-7) == sum(
            -leg.usd if leg.buy else leg.usd for leg in found.legs
        )
        bought = sum(leg.shares for leg in found.legs if leg.buy)
        assert pytest.approx(bought, rel=1e-9) == sum(leg.shares for leg in found.legs if not leg.buy)
        traded += found.shares > 0
    assert 1000 < traded < 2000


def test_choices_are_those_of_trying_every_subset() -> None:
    """
    With fixed costs and least sizes: no subset of venues makes more, and the one chosen makes what is said.
    """
    rng = np.random.default_rng(8)
    chosen = 0
    for _ in range(60):
        venues = [
            Venue(
                buy=one.buy if at % 2 else EMPTY,
                sell=EMPTY if at % 2 else one.sell,
                fixed_usd=float(rng.choice([0.0, 5.0, 25.0])),
                least_buy=float(rng.choice([0.0, 3.0, 20.0])) if at % 2 else 0.0,
                least_sell=0.0 if at % 2 else float(rng.choice([0.0, 3.0, 20.0])),
            )
            for at, one in enumerate(drawn(rng))
        ]
        best = 0.0
        for used in product((False, True), repeat=len(venues)):
            on = [one for one, use in zip(venues, used, strict=True) if use]
            sides = [("buy", one.buy, one.least_buy) for one in on] + [("sell", one.sell, one.least_sell) for one in on]
            heads = [(side, *curve.split(held, least), least) for side, held, least in sides]
            if any(sum(head.shares) < least * (1 - 1e-12) for _, head, _, least in heads):
                continue
            made = fill(
                together([rest for side, _, rest, _ in heads if side == "buy"]),
                together([rest for side, _, rest, _ in heads if side == "sell"]),
                bought=sum(least for side, _, _, least in heads if side == "buy"),
                sold=sum(least for side, _, _, least in heads if side == "sell"),
            )
            if made.shares >= 0:
                forced = sum((1 if side == "sell" else -1) * curve.cost(head) for side, head, _, _ in heads)
                best = max(best, made.profit_usd + forced - sum(one.fixed_usd for one in on))
        found = best_trade(venues)
        assert pytest.approx(best, rel=1e-9, abs=1e-7) == found.profit_usd
        chosen += found.profit_usd > 0
        for leg in found.legs:
            least = venues[leg.venue].least_buy if leg.buy else venues[leg.venue].least_sell
            assert leg.shares >= least * (1 - 1e-12)
        fixed = sum(venues[at].fixed_usd for at in {leg.venue for leg in found.legs})
        assert pytest.approx(fixed) == found.fixed_usd
    assert 10 < chosen < 60


prices = st.floats(240, 260)
sizes = st.floats(0.01, 100)


@given(
    st.lists(st.tuples(prices, sizes), min_size=1, max_size=6),
    st.lists(st.tuples(prices, sizes), min_size=1, max_size=6),
    st.floats(0, 200),
)
@settings(max_examples=200)
def test_a_cap_binds_or_changes_nothing(
    asks: list[tuple[float, float]], bids: list[tuple[float, float]], cap: float
) -> None:
    """
    Under a cap the first shares are the same ones; each share more is worth the difference of the marginal prices.
    """
    buy = curve.book(sorted(asks), buy=True)
    sell = curve.book(sorted(bids, reverse=True), buy=False)
    free, held = fill(buy, sell), fill(buy, sell, cap=cap)
    assert pytest.approx(min(free.shares, cap), abs=1e-9) == held.shares
    assert held.profit_usd <= free.profit_usd + 1e-9
    if 0 < held.shares < free.shares:
        assert held.sold.marginal > held.bought.marginal
        more = fill(buy, sell, cap=held.shares + 1e-4).profit_usd - held.profit_usd
        assert more <= 1e-4 * (held.sold.marginal - held.bought.marginal) + 1e-9


def test_forced_shares_find_the_best_other_side_even_at_a_loss() -> None:
    """
    60 that must be sold when bids pay for 20 at 252 and 50 at 247: 20 and 40; bought elsewhere at 250 it is a loss,
    so nobody mints them.
    """
    bids = curve.book([(252.0, 20.0), (247.0, 50.0)], buy=False)
    made = fill(EMPTY, bids, bought=60.0)
    assert (60.0, [20.0, 40.0], 247.0) == (made.shares, made.sold.taken.tolist(), made.sold.marginal)
    assert pytest.approx(20 * 252 + 40 * 247) == made.profit_usd
    assert isnan(fill(EMPTY, bids, bought=71.0).shares)
    mint = Venue(buy=curve.at_price(250.0, 1000.0), least_buy=60.0)
    assert () == best_trade([mint, Venue(sell=bids)]).legs
    assert 40.0 == best_trade([Venue(buy=curve.at_price(250.0, 1000.0)), Venue(sell=bids)]).profit_usd


@pytest.mark.parametrize("wrong", [{"cap": -1.0}, {"cap": float("nan")}, {"bought": inf}, {"sold": -1.0}])
def test_what_is_no_size_is_refused(wrong: dict[str, float]) -> None:
    """
    Bad parameters raise, they are never clamped.
    """
    with pytest.raises(ValueError, match="no numbers of shares"):
        fill(EMPTY, EMPTY, **wrong)


def test_a_book_that_gets_better_with_size_is_refused() -> None:
    """
    Levels out of order are bad data, and so is a least size that is no number.
    """
    with pytest.raises(ValueError, match="worse with size"):
        curve.book([(250.0, 1.0), (249.0, 1.0)], buy=True)
    with pytest.raises(ValueError, match="at least 0"):
        Venue(least_buy=float("nan"))
    with pytest.raises(ValueError, match="no number of shares"):
        curve.cut(EMPTY, float("nan"))


@given(sizes, st.sampled_from([True, False]))
def test_a_split_curve_is_the_same_curve(size: float, buy: bool) -> None:
    """
    Head and tail hold what the whole holds, and cost what it costs; the tail begins where the head ends.
    """
    whole = curve.constant_product(500.0, 125_000.0, buy=buy, fee=0.003)
    one = curve.cut(whole, 300.0)
    head, tail = curve.split(one, size)
    assert pytest.approx(size, rel=1e-9) == sum(head.shares)
    assert pytest.approx(300.0) == sum(head.shares) + sum(tail.shares)
    assert pytest.approx(curve.cost(one)) == curve.cost(head) + curve.cost(tail)
    assert head.end[-1] == tail.start[0]


def test_nothing_pays_without_an_edge() -> None:
    """
    One venue alone, and two whose fees eat the difference: no leg, no profit.
    """
    pool = Venue(buy=curve.constant_product(100.0, 25_000.0, buy=True, fee=0.01),
                 sell=curve.constant_product(100.0, 25_000.0, buy=False, fee=0.01))  # fmt: skip
    other = Venue(buy=curve.constant_product(100.0, 25_100.0, buy=True, fee=0.01),
                  sell=curve.constant_product(100.0, 25_100.0, buy=False, fee=0.01))  # fmt: skip
    for venues in ([], [pool], [pool, other]):
        found: Trade = best_trade(venues)
        assert ((), 0.0, 0.0) == (found.legs, found.shares, found.profit_usd)
