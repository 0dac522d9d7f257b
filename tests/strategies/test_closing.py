"""Paths that close a premium: the way back against simulated ones, what an issuer's delay leaves, ranks, refusals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import inf, nan, sqrt

import numpy as np
import pytest

from connectors.instruments import Role
from strategies.closing.passage import farthest, held, quantile
from strategies.closing.path import Path, Way, ranked, score
from strategies.closing.situation import Offer, Situation, Usual
from strategies.closing.ways import paths
from strategies.pricing import offers as priced
from strategies.pricing.costs import Component, Cost, Costs, Missing

HALF_LIFE = 900.0
USUAL = Usual(mean=0.0, sd=0.002, half_life_s=HALF_LIFE, source="")


def simulated(z: float, kappa: float, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """(what is gained, when it ends) of 20,000 Ornstein-Uhlenbeck paths in exact steps, ended at the first zero.

    The barrier of a path that is looked at in steps lies 0.5826 sigma sqrt(dt) further in (Broadie, Glasserman, Kou).
    """
    rng, steps, count = np.random.default_rng(5), 800, 20_000
    dt = horizon / steps
    keep, noise = np.exp(-kappa * dt), sqrt(-np.expm1(-2 * kappa * dt))
    barrier = 0.5826 * sqrt(2 * kappa * dt)
    y, end, alive = np.full(count, z), np.full(count, horizon), np.ones(count, bool)
    for step in range(1, steps + 1):
        y = np.where(alive, y * keep + noise * rng.standard_normal(count), y)
        back = alive & (y <= barrier)
        end[back], y[back], alive[back] = step * dt, 0.0, False
    return z - y, end


@pytest.mark.parametrize("z, horizon", [(0.7, 1.0), (2.0, 1.5), (5.0, 4.0)])
def test_the_way_back_is_what_simulated_premia_do(z: float, horizon: float) -> None:
    """
    Expected gain, its spread, the probability of giving up, the mean time and the median agree with simulated paths.
    """
    kappa = 0.8
    gain, end = simulated(z, kappa, horizon)
    bet = held(z, kappa, horizon)
    error = gain.std() / sqrt(len(gain))
    assert abs(gain.mean() - bet.gain) < 4 * error + 0.01
    assert pytest.approx(gain.std(), rel=0.03) == bet.sd
    assert pytest.approx((end >= horizon).mean(), abs=0.015) == bet.open
    assert pytest.approx(end.mean(), rel=0.02) == bet.time
    if (end < horizon).mean() > 0.55:
        assert pytest.approx(np.median(end), rel=0.04) == quantile(z, kappa, 0.5)


@pytest.mark.parametrize("z, probability", [(0.5, 0.1), (2.0, 0.01), (3.0, 0.3)])
def test_how_far_it_goes_solves_the_equation_of_hitting_probabilities(z: float, probability: float) -> None:
    """
    u'' = y u' with u(0) = 0 and u(b) = 1, solved on a grid, is the probability at z.
    """
    b, n = farthest(z, probability), 2001
    y = np.linspace(0, b, n)
    h = y[1]
    matrix = np.zeros((n, n))
    matrix[0, 0] = matrix[-1, -1] = 1
    for at in range(1, n - 1):
        matrix[at, at - 1 : at + 2] = 1 / h**2 + y[at] / (2 * h), -2 / h**2, 1 / h**2 - y[at] / (2 * h)
    right = np.zeros(n)
    right[-1] = 1
    found = np.interp(z, y, np.linalg.solve(matrix, right))
    assert pytest.approx(probability, rel=2e-3) == found


def costs(bps: float = 0.0) -> Costs:
    """A taker fee, and capital that costs nothing."""
    return Costs((Cost(Component.TAKER_FEE, "", bps=Decimal(bps)), Cost(Component.CAPITAL, "")))


def offer(name: str, price: float, *, fee: float = 0.0, half: float = 0.0, **more: object) -> Offer:
    """A token of issuer one at a price with a spread, free to be traded."""
    plain = Offer(
        name=name, role=Role.TOKEN, token="Tx", issuer="one", ask=price + half, bid=price - half, costs=costs(fee),
        latency_s=1.0, held_usd=0.0, may_buy_usd=inf, may_sell_usd=inf, barred="", usual=USUAL,
    )  # fmt: skip
    return replace(plain, **more)


def levels(number: int, price: float, size: float, *, buy: bool, fee: float = 0.0) -> priced.Offer:
    """One level of so many units at a price, in lots of a hundredth."""
    rate = Decimal(fee) / 10_000
    factor = priced.factor_of(Decimal(1), Decimal(1), rate, buy=buy)
    return priced.Offer(
        instrument=number, buy=buy, levels=((Decimal(str(price)), Decimal(str(size))),), usd=Decimal(1),
        shares=Decimal(1), rate=rate, factor=factor, fixed_usd=Decimal(0), lot=Decimal("0.01"), least_usd=Decimal(0),
    )  # fmt: skip


def situation(*offers: Offer, open_s: float = 0.0, **more: object) -> Situation:
    """A share at 100, for 1,000 USD."""
    plain = Situation(
        fair=100.0, size_usd=1000.0, offers=offers, daily_vol=0.0, open_s=open_s, horizon_s=432_000.0
    )  # fmt: skip
    return replace(plain, **more)


def path(way: Way, found: tuple[Path, ...]) -> Path:
    """The one of that way."""
    (one,) = [path for path in found if path.way is way]
    return one


def test_the_same_token_elsewhere_is_worth_the_gap_less_both_fees() -> None:
    """
    Ten sold at 102 and bought at 100, 10 bps of each: 20 - 2.02 USD, over within the second.
    """
    here = offer("here", 102.0, fee=10, selling=levels(0, 102.0, 50, buy=False, fee=10))
    there = offer("there", 100.0, fee=10, buying=levels(1, 100.0, 50, buy=True, fee=10))
    one = path(Way.VENUE, paths(here, situation(here, there)))
    assert (pytest.approx(20 - 2.02), pytest.approx(20.0), ()) == (one.edge_usd, one.gross_usd, one.refused)
    assert ("buy 10.00 at there", "sell 10.00 at here") == one.legs
    assert {"taker_fee": pytest.approx(2.02)} == one.costs_usd


def test_what_is_traded_at_once_is_sized_to_the_lot_and_to_what_is_shown() -> None:
    """
    Ten shares are asked for and 3.456 are shown: 3.45 are traded, worth 2 % less 10 bps of each side. The path names
    the strategy whose trade it is; of another pair's trade it says that.
    """
    here = offer("here", 102.0, fee=10, selling=levels(0, 102.0, 50, buy=False, fee=10))
    there = offer("there", 100.0, fee=10, buying=levels(1, 100.0, 3.456, buy=True, fee=10))
    by = {"by": {Way.VENUE: "crosses"}, "rather": "crosses elsewhere"}
    one = path(Way.VENUE, paths(here, situation(here, there, crosses=frozenset({"here", "there"}), **by)))
    assert pytest.approx(3.45 * (102 * 0.999 - 100 * 1.001)) == one.edge_usd
    assert ("buy 3.45 at there", "sell 3.45 at here") == one.legs
    assert ("crosses", "", ()) == (one.by, one.rather, one.refused)
    other = path(Way.VENUE, paths(here, situation(here, there, **by)))
    assert ("", "crosses elsewhere", one.edge_usd) == (other.by, other.rather, other.edge_usd)


def test_a_gap_below_what_is_asked_for_is_refused_with_both_numbers() -> None:
    """
    18 bps after fees against 25.
    """
    here = offer("here", 100.2, selling=levels(0, 100.2, 50, buy=False))
    there = offer("there", 100.0, fee=2, buying=levels(1, 100.0, 50, buy=True, fee=2))
    one = path(Way.VENUE, paths(here, situation(here, there, cross_bps=25.0)))
    assert ("it brings 18.0 bps after costs, and 25 are asked for",) == one.refused
    assert pytest.approx(1.8, rel=0.01) == one.edge_usd


def test_two_venues_together_sell_what_one_does_not_show() -> None:
    """
    Six shares here and four there fill ten: a path of three orders, worth more than each of two, and ranked by what a
    dollar of it brings.
    """
    here = offer("here", 102.0, selling=levels(0, 102.0, 50, buy=False))
    pair = [
        offer(name, 100.0, buying=levels(at, price, size, buy=True))
        for at, (name, price, size) in enumerate([("a", 100.0, 6), ("b", 100.5, 4)], 1)
    ]
    found = [one for one in paths(here, situation(here, *pair)) if one.way is Way.VENUE]
    assert [("a",), ("a", "b"), ("b",)] == [one.others for one in found if not one.refused]
    assert [12.0, 18.0, 6.0] == [pytest.approx(one.edge_usd) for one in found]


def test_a_hedge_pays_its_funding_and_both_spreads_and_earns_the_way_back() -> None:
    """
    A perp that is dearer to hold by its funding brings so much less; without it known the path is refused by name.
    """
    here = offer("here", 101.0)
    perp = offer("perp", 100.0, role=Role.PERP, token="", issuer="", usual=replace(USUAL, sd=0.0005))

    def told(funding: Costs) -> Path:
        held_here = replace(here, held_usd=5000.0)
        return path(Way.PERP, paths(held_here, situation(held_here, replace(perp, costs=perp.costs + funding))))

    free = told(Costs((Cost(Component.FUNDING, ""),)))
    paid = told(Costs((Cost(Component.FUNDING, "", bps_per_day=Decimal(1000)),)))
    assert free.edge_usd is not None and paid.edge_usd is not None and free.locked_usd_h is not None
    hours = free.locked_usd_h / 2000
    assert pytest.approx(free.edge_usd - 1000 * 0.1 * hours / 24) == paid.edge_usd
    missing = told(Costs(missing=(Missing(Component.FUNDING, "ask for it"),)))
    assert (None, ("funding is not known: ask for it",)) == (missing.edge_usd, missing.refused)


@pytest.mark.parametrize(
    "why, here, there",
    [
        ("here: it is halted", {"barred": "it is halted"}, {}),
        ("here: 400 USD to sell there only", {"may_sell_usd": 400.0}, {}),
        ("there: room to buy 0 USD only", {}, {"may_buy_usd": -3.0}),
        ("there: it does not show so much", {}, {"ask": nan}),
        ("here: not now", {"no_selling": "not now"}, {}),
        ("there: not now", {}, {"no_buying": "not now"}),
    ],
)
def test_what_speaks_against_a_path_is_said(why: str, here: dict[str, object], there: dict[str, object]) -> None:
    """
    Each obstacle stands in the refusals of a path that it bars.
    """
    one, other = offer("here", 101.0, **here), offer("there", 100.0, **there)
    assert why in path(Way.VENUE, paths(one, situation(one, other))).refused


def test_a_path_that_costs_more_than_it_brings_is_refused_with_both_numbers() -> None:
    """
    Ten bps of gap against 20 of fees: 1 USD against 2.
    """
    here, there = offer("here", 100.1, fee=10), offer("there", 100.0, fee=10)
    one = path(Way.VENUE, paths(here, situation(here, there)))
    assert one.edge_usd == pytest.approx(-1.0)
    assert "it brings 1.00 USD and costs 2.00" == one.refused[-1]


def test_losses_count_twice_and_the_lock_divides() -> None:
    """
    A sure dollar on 1,000 USD for an hour scores 10 bps, the same with a risk less, twice the time half.
    """
    assert pytest.approx(10.0) == score(1.0, 0.0, 1000.0)
    assert pytest.approx(5.0) == score(1.0, 0.0, 2000.0)
    assert score(1.0, 5.0, 1000.0) < 10.0
    assert pytest.approx(-20.0) == score(-1.0, 0.0, 1000.0)


def test_the_best_score_stands_first_and_the_refused_ones_last() -> None:
    """
    A refused path is behind every other one, whatever its edge.
    """
    bad = Path(way=Way.OPEN, legs=(), size_usd=1, edge_bps=500.0, score_bps_per_h=900.0, refused=("no",))
    low = Path(way=Way.MINT, legs=(), size_usd=1, score_bps_per_h=1.0)
    high = Path(way=Way.VENUE, legs=(), size_usd=1, score_bps_per_h=9.0)
    assert (high, low, bad) == ranked([bad, low, high])


def test_an_error_of_the_fair_value_lowers_the_score_of_what_rests_on_it() -> None:
    """
    Held to the open, a premium over an uncertain fair value scores less for the same edge; the same token elsewhere is
    not touched by it.
    """
    here, there = offer("here", 101.0, held_usd=2000.0), offer("there", 100.0)
    sure, unsure = (paths(here, situation(here, there, open_s=3600.0, error=error)) for error in (0.0, 0.01))
    held = [path(Way.OPEN, found) for found in (sure, unsure)]
    assert held[0].edge_usd == held[1].edge_usd
    assert (held[0].score_bps_per_h or 0) > (held[1].score_bps_per_h or 0)
    assert path(Way.VENUE, sure) == path(Way.VENUE, unsure)


def test_what_no_strategy_would_believe_is_not_held_to_the_open() -> None:
    """
    A premium of 10 % where 4.5 % are believed is a broken peg; one of 4 % is held.
    """
    told = "a premium beyond 450 bps is a broken peg or a wrong number"
    for price, why in ((110.0, (told,)), (104.0, ())):
        here = offer("here", price, held_usd=2000.0)
        assert why == path(Way.OPEN, paths(here, situation(here, open_s=36_000.0, most_bps=450.0))).refused


def test_without_a_horizon_a_hedge_is_held_until_nearly_all_of_such_are_back() -> None:
    """
    One in a hundred is given up; with a horizon of a second all are.
    """
    here, perp = offer("here", 101.0), offer("perp", 100.0, role=Role.PERP, token="", issuer="")
    assert pytest.approx(0.01) == path(Way.PERP, paths(here, situation(here, perp, horizon_s=None))).fails
    given_up = path(Way.PERP, paths(here, situation(here, perp, horizon_s=1.0))).fails
    assert given_up is not None and given_up > 0.99


def test_a_premium_far_out_has_a_worst_case() -> None:
    """
    Fifty stationary deviations away the scale function is beyond all numbers; it goes hardly farther.
    """
    assert farthest(11.9, 0.01) == pytest.approx(sqrt(11.9**2 + 2 * np.log(100)), rel=1e-3)
    assert 50 < farthest(50.0, 0.01) < 50.1


def test_what_the_strategy_has_against_a_hedge_is_said_once() -> None:
    """
    Its reason stands with its name; one that the path has by itself is not said twice. One that it would enter is its
    own, with what it expects.
    """
    here = offer("here", 101.0)
    perp = offer("perp", 100.0, role=Role.PERP, token="", issuer="", usual=replace(USUAL, sd=0.0005))
    perp = replace(perp, costs=perp.costs + Costs((Cost(Component.FUNDING, ""),)))
    dear = replace(here, costs=here.costs + Costs(missing=(Missing(Component.BORROW, "ask"),)))
    by, pair, unknown = {Way.PERP: "hedge"}, ("here", "perp"), "borrow is not known: ask"

    def told(one: Offer, **more: object) -> Path:
        return path(Way.PERP, paths(one, situation(one, perp, by=by, **more)))

    assert ("hedge: no margin", unknown) == told(dear, objections={pair: "no margin"}).refused
    assert (unknown,) == told(dear, objections={pair: unknown}).refused
    free = told(replace(here, held_usd=2000.0), hedges={pair: 33.4})
    assert ("hedge", ()) == (free.by, free.refused)
    assert "hedge expects 33.4 bps, for it waits for the far side of the mean" == free.rather
