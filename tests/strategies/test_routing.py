"""Routes between many assets: the named vectors, closed forms, water-filling, and a bound that is found another way."""

from __future__ import annotations

import json
from math import inf, sqrt
from pathlib import Path

import numpy as np
import pytest

from connectors.events import F8
from strategies.pricing import curve
from strategies.pricing.curve import Curve
from strategies.pricing.cycle import Hop, cycle
from strategies.pricing.routing import Route, route
from strategies.pricing.swaps import Law, Swaps, of_curve, of_weighted, side_by_side
from strategies.pricing.waterfill import fill, together
from tests.sweep import cases

VECTORS = Path(__file__).parents[1] / "vectors"
(CASE,) = json.loads((VECTORS / "cfmm_routing_examples.json").read_text(encoding="utf-8"))["cases"]
CYCLES = json.loads((VECTORS / "v2_cycles.json").read_text(encoding="utf-8"))["cases"]
SETS = cases(30, 600)
"""Random sets of venues."""


def pool(one: int, other: int, held: tuple[float, float], fee: float = 0.0) -> list[Swaps]:
    """A pool of constant product, both ways."""
    return [
        of_curve(curve.constant_product(*held, buy=buy, fee=fee), *((other, one) if buy else (one, other)), buy=buy)
        for buy in (True, False)
    ]


def at_rate(source: int, target: int, rate: float, most: float) -> Swaps:
    """One asset for another, up to so much of it."""
    return of_curve(curve.at_price(rate, most), source, target, buy=False)


def of_paper(places: list[list[int]], held: list[list[float]], keep: list[float], weights: list[float]) -> Swaps:
    """The pools of the vectors: a weighted one, pools of constant product, and at last one of constant sum."""
    own = 1 + max(max(one) for one in places)
    found = [of_weighted(places[0], held[0], weights, fee=1 - keep[0], own=own)]
    for (one, other), (first, second), kept in zip(places[1:-1], held[1:-1], keep[1:-1], strict=True):
        found += pool(one, other, (first, second), 1 - kept)
    (one, other), (first, second), kept = places[-1], held[-1], keep[-1]
    return side_by_side([*found, at_rate(one, other, kept, second / kept), at_rate(other, one, kept, first / kept)])


def independent_bound(swaps: Swaps, found: Route, value: F8, held: F8) -> float:
    """What no route can pass at the prices found, with every swap's best trade by searching instead of a formula."""
    bend = np.where(swaps.bend > 0, swaps.bend, 1.0)

    def gain(taken: F8) -> F8:
        """Of each swap, by the curve that its law stands for."""
        t = swaps.bend * taken
        bent = np.where(swaps.law == Law.DEPOSIT, np.log1p(t), 1 - np.exp(-t)) / np.maximum(swaps.bend, 1e-300)
        given = swaps.rate * np.where(swaps.law == Law.POOL, taken / (1 + t), bent)
        return found.prices[swaps.target] * given - found.prices[swaps.source] * taken

    low, high = np.zeros(len(swaps.rate)), np.minimum(swaps.most, np.where(swaps.bend > 0, 1e12 / bend, inf))
    for _ in range(200):
        left, right = (2 * low + high) / 3, (low + 2 * high) / 3
        better = gain(left) < gain(right)
        low, high = np.where(better, left, low), np.where(better, high, right)
    return float((found.prices - value) @ held) + float(np.maximum(gain(low), 0.0).sum())


def drawn(rng: np.random.Generator) -> tuple[Swaps, F8, F8]:
    """Two to six assets; books, pools, ranges and weighted pools of sizes from 1 to 1,000,000, some far out of line."""
    count = int(rng.integers(2, 7))
    price, found, assets = 10 ** rng.uniform(-3, 3, count), list[Swaps](), count
    for _ in range(int(rng.integers(1, 20))):
        size, fee = 10 ** rng.uniform(0, 6), float(rng.choice([0.0, 1e-4, 3e-3, 0.03]))
        at = price * np.exp(rng.normal(0, rng.choice([0.0, 3e-3, 0.1, 0.5]), count))
        one, other = (int(place) for place in rng.permutation(count)[:2])
        kind, rate = int(rng.integers(4)), float(at[one] / at[other])
        if kind == 0:
            found += pool(one, other, (size / at[one], size / at[other]), fee)
        elif kind == 1:
            levels = rate * np.cumprod(1 - rng.uniform(0, 0.01, int(rng.integers(1, 30))))
            each = size / at[one] * rng.uniform(0.01, 1, len(levels))
            book = curve.book(zip(levels.tolist(), each.tolist(), strict=True), buy=False, fee=fee)
            found.append(of_curve(book, one, other, buy=False))
        elif kind == 2:
            spans = [(rate * 0.9, rate * 0.99, size), (rate * 0.99, rate * 1.05, 5 * size)]
            for buy in (True, False):
                side = curve.ranges(rate, spans, buy=buy, fee=fee)
                found.append(of_curve(side, *((other, one) if buy else (one, other)), buy=buy))
        else:
            few = rng.permutation(count)[: min(count, 4)]
            weights = rng.uniform(0.5, 5, len(few))
            found.append(of_weighted(few.tolist(), size / at[few], weights, fee=fee, own=assets))
            assets += 1
    more = np.zeros(assets - count)
    value = np.where(rng.random(count) < 0.5, price, 0.0)
    value[0] = price[0]
    held = np.where(rng.random(count) < 0.5, 10 ** rng.uniform(0, 6, count) / price, 0.0)
    return side_by_side(found), np.concatenate((value, more)), np.concatenate((held, more))


def test_the_arbitrage_is_that_of_the_vectors() -> None:
    """
    Five pools, four assets: value and what comes of each asset, and a bound that is the same number.
    """
    swaps = of_paper(CASE["pools"], CASE["reserves"], CASE["fees"], CASE["weights"][0])
    found = route(swaps, [*CASE["market_value"], 0], [0.0] * 5)
    assert pytest.approx(CASE["optimum"], abs=1e-6) == found.value
    assert CASE["psi"] == pytest.approx(found.net[:4].tolist(), abs=CASE["tol_abs"])
    assert pytest.approx(found.value, rel=1e-11) == found.bound


def test_five_assets_are_sold_for_one() -> None:
    """
    Whatever is held of four assets becomes 15.883011 of the fifth, and all of it is used.
    """
    reserves = [[4.0] * 5, [10.0, 1.0], [1.0, 5.0], [40.0, 50.0], [10.0, 10.0]]
    keep = [0.998, 0.997, 0.997, 0.997, 0.999]
    swaps = of_paper([[0, 1, 2, 3, 4], [0, 1], [2, 3], [3, 4], [3, 4]], reserves, keep, [5.0, 4.0, 3.0, 2.0, 1.0])
    found = route(swaps, [0, 0, 0, 0, 1, 0], [2, 1, 3, 5, 0, 0])
    assert pytest.approx(15.883011, abs=6e-7) == found.value
    assert [-2.0, -1.0, -3.0, -5.0] == pytest.approx(found.net[:4].tolist(), rel=1e-9)
    assert pytest.approx(found.value, rel=1e-11) == found.bound


@pytest.mark.parametrize(
    ("held", "value"),
    [(0, 6.233000), (1, 7.293879), (5, 11.337691), (10, 16.388196), (20, 26.318129), (50, 44.182020)],
)
def test_one_asset_for_another_takes_the_arbitrage_along(held: float, value: float) -> None:
    """
    Six sizes of one sale over five pools that are not in line: without any there is a gain already.
    """
    reserves = [[3.0, 0.2, 1.0], [10.0, 1.0], [1.0, 10.0], [20.0, 50.0], [10.0, 10.0]]
    swaps = of_paper([[0, 1, 2], [0, 1], [1, 2], [0, 2], [0, 2]], reserves, [0.98, 0.99, 0.96, 0.97, 0.99], [3, 2, 1])
    found = route(swaps, [0, 0, 1, 0], [held, 0, 0, 0])
    assert pytest.approx(value, abs=6e-7) == found.value
    assert pytest.approx(found.value, rel=1e-11) == found.bound


def test_a_pool_alone_does_what_its_closed_form_says() -> None:
    """
    One to one without a fee at prices 2 and 1: it takes sqrt(2) - 1 of the second and gives 1 - sqrt(1/2) of the first;
    inside its fee it does nothing.
    """
    swaps = side_by_side(pool(0, 1, (1.0, 1.0)))
    best = swaps.best(np.array([2.0, 1.0]))
    assert [sqrt(2) - 1, 0.0] == pytest.approx(best.tolist())
    assert [1 - sqrt(0.5), 0.0] == pytest.approx(swaps.given(best).tolist())
    assert [0.0, 0.0] == side_by_side(pool(0, 1, (1.0, 1.0), 0.01)).best(np.array([1.005, 1.0])).tolist()


@pytest.mark.parametrize("case", CYCLES, ids=lambda case: case["id"])
def test_a_cycle_of_pools_gains_what_its_closed_form_says(case: dict[str, list[list[str]]]) -> None:
    """
    The round trips of the vectors, as pools of which each leads to the next.
    """
    hops = [Hop(*(float(one) for one in hop)) for hop in case["hops_rin_rout_fee"]]
    swaps = side_by_side(
        of_curve(curve.constant_product(hop.reserve_in, hop.reserve_out, buy=False, fee=hop.fee), at,
                 (at + 1) % len(hops), buy=False)
        for at, hop in enumerate(hops)
    )  # fmt: skip
    found, expected = route(swaps, [1.0] + [0.0] * (len(hops) - 1), [0.0] * len(hops)), cycle(hops)
    assert pytest.approx(expected.profit, rel=1e-9) == found.value
    assert pytest.approx(expected.best_in, rel=1e-6) == found.taken[0]


@pytest.mark.parametrize("seed", range(10))
def test_with_two_assets_it_is_water_filling(seed: int) -> None:
    """
    Books, pools and ranges of one token: the same profit as the exact one.
    """
    rng = np.random.default_rng(seed)
    buys, sells = list[Curve](), list[Curve]()
    for _ in range(4):
        mid = 250 * float(np.exp(rng.normal(0, 0.01)))
        buys.append(curve.book([(mid * (1.001 + 0.001 * at), float(rng.uniform(1, 20))) for at in range(20)], buy=True))
        sells.append(
            curve.book([(mid * (0.999 - 0.001 * at), float(rng.uniform(1, 20))) for at in range(20)], buy=False)
        )
        held = 10 ** rng.uniform(1, 4)
        buys.append(curve.constant_product(held, held * mid, buy=True, fee=0.003))
        sells.append(curve.constant_product(held, held * mid, buy=False, fee=0.003))
        buys.append(curve.ranges(mid, [(mid * 0.98, mid * 1.03, 10 * held)], buy=True, fee=5e-4))
    swaps = [of_curve(one, 1, 0, buy=True) for one in buys] + [of_curve(one, 0, 1, buy=False) for one in sells]
    found, exact = route(side_by_side(swaps), [0, 1], [0, 0]), fill(together(buys), together(sells))
    assert exact.profit_usd > 1
    assert pytest.approx(exact.profit_usd, rel=1e-9) == found.value


def test_no_set_of_venues_is_too_uneven() -> None:
    """
    Random sets over six orders of size: no more goes than is held, no swap passes its end, each gives what its curve
    says, and the value is what a bound found another way allows, to 1e-7.
    """
    gained = 0
    for seed in range(SETS):
        swaps, value, held = drawn(np.random.default_rng(seed))
        found = route(swaps, value, held)
        moved = float(found.prices[swaps.source] @ found.taken)
        assert np.all((found.taken >= 0) & (found.taken <= swaps.most)), seed
        assert pytest.approx(swaps.given(found.taken)) == found.given, seed
        missing = np.maximum(-(found.net + held), 0)
        assert pytest.approx(float(value @ found.net), rel=1e-12) == found.value, seed
        assert found.value >= 0 and np.all(found.prices >= value * (1 - 1e-12)), seed
        largest = np.minimum(swaps.most, 1 / np.maximum(swaps.bend, 1e-12)) * found.prices[swaps.source]
        least = max(found.value, 1e-5 * moved, 1e-6 * float(largest.max()))
        assert found.prices @ missing <= 1e-9 * least, seed
        for bound in (found.bound, independent_bound(swaps, found, value, held)):
            assert -1e-9 * least <= bound - found.value <= 1e-7 * least, seed
        gained += found.value > 0
    assert gained > SETS / 2


def test_where_nothing_leads_to_anything_of_value_nothing_is_done() -> None:
    """
    A pool inside its fee; an asset that nobody takes; no swaps at all: zeros, and no value.
    """
    still = side_by_side(pool(0, 1, (100.0, 100.0), 0.003))
    nowhere = side_by_side([at_rate(0, 2, 1.0, 5.0)])
    for swaps, held in (
        (still, [0.0, 0.0, 0.0]),
        (nowhere, [5.0, 0.0, 0.0]),
        (still.among(np.array([], int)), [1, 1, 1]),
    ):
        found = route(swaps, [0.0, 1.0, 0.0], held)
        assert 0.0 == found.value
        assert not found.taken.any() and not found.given.any() and not found.net.any()


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ([-1.0, 1.0], [0, 0]),
        ([float("nan"), 1.0], [0, 0]),
        ([1.0, 1.0], [0, -1]),
        ([1.0, 1.0], [0, inf]),
        ([1.0], [0, 0]),
    ],
)
def test_what_is_no_number_of_at_least_0_is_refused(value: list[float], held: list[float]) -> None:
    """
    Values and holdings, one of each asset.
    """
    with pytest.raises(ValueError, match="at least 0"):
        route(side_by_side(pool(0, 1, (1.0, 1.0))), value, held)
