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
from strategies.closing.situation import Door, Offer, Situation, Usual
from strategies.closing.ways import paths
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


def door(**more: object) -> Door:
    """An issuer that takes 10 bps and a quarter of an hour."""
    fee = Costs((Cost(Component.ISSUER_FEE, "", bps=Decimal(10)),))
    plain = Door(
        issuer="one", closed="", price=nan, costs=fee, wait_s=0.0, delay_s=900.0, rejects=0.05, least_usd=0.0,
        most_usd=inf, source="",
    )  # fmt: skip
    return replace(plain, **more)


def situation(*offers: Offer, mint: Door | None = None, redeem: Door | None = None, open_s: float = 0.0) -> Situation:
    """A share at 100, for 1,000 USD."""
    return Situation(
        fair=100.0, size_usd=1000.0, offers=offers, mints={} if mint is None else {"one": mint},
        redemptions={} if redeem is None else {"one": redeem}, daily_vol=0.0, open_s=open_s, horizon_s=432_000.0,
    )  # fmt: skip


def path(way: Way, found: tuple[Path, ...]) -> Path:
    """The one of that way."""
    (one,) = [path for path in found if path.way is way]
    return one


def test_the_same_token_elsewhere_is_worth_the_gap_less_both_fees() -> None:
    """
    Sold at 102 and bought at 100 of 100, 10 bps each side: 20 - 2 USD of 1,000, over within the second.
    """
    here, there = offer("here", 102.0, fee=10), offer("there", 100.0, fee=10)
    one = path(Way.VENUE, paths(here, situation(here, there)))
    assert (pytest.approx(18.0), pytest.approx(20.0), ()) == (one.edge_usd, one.gross_usd, one.refused)
    assert ("buy at there", "sell at here") == one.legs
    assert {"taker_fee": pytest.approx(2.0), "capital": 0.0} | one.costs_usd == one.costs_usd | {"capital": 0.0}


def test_minting_first_brings_what_is_left_of_the_premium_when_the_tokens_come() -> None:
    """
    Against 400,000 premia, exactly simulated to an exponential delay, 5 % of them rejected.
    """
    here = offer("here", 101.0, fee=5)
    one = path(Way.MINT, paths(here, situation(here, mint=door())))
    rng, count = np.random.default_rng(3), 400_000
    decay = np.exp(-USUAL.kappa * rng.exponential(900.0, count))
    premium = 0.01 * decay + USUAL.sd * np.sqrt(1 - decay**2) * rng.standard_normal(count)
    earned = np.where(rng.random(count) < 0.05, 0.0, premium - 0.0005 - 0.0010) * 1000
    assert one.edge_usd is not None and one.sd_usd is not None
    assert abs(earned.mean() - one.edge_usd) < 4 * earned.std() / sqrt(count)
    assert pytest.approx((premium * 1000).std(), rel=0.01) == one.sd_usd
    assert (pytest.approx(0.05), pytest.approx(250.0)) == (one.fails, one.locked_usd_h)


def test_what_is_held_is_sold_at_todays_premium_and_minted_anew() -> None:
    """
    The premium of 100 bps does not wait for the issuer: 10 USD less a twentieth of buying back at 50 bps and fees.
    """
    here = offer("here", 101.0, held_usd=2000.0)
    one = path(Way.REFILL, paths(here, situation(here, mint=door())))
    expected = 10 - 0.05 * 1000 * 0.01 / (1 + USUAL.kappa * 900) - 0.95
    assert (pytest.approx(expected), ()) == (one.edge_usd, one.refused)


def test_a_discount_is_redeemed_for_what_the_share_is_worth() -> None:
    """
    Bought at 98.5 and worth 100: 95 % of 15 USD, less 95 % of the issuer's 10 bps.
    """
    here = offer("here", 98.5)
    one = path(Way.REDEEM, paths(here, situation(here, redeem=door())))
    assert pytest.approx(0.95 * 15 - 0.95) == one.edge_usd


def test_an_issuer_that_is_closed_is_waited_for_and_the_premium_goes_on_reverting() -> None:
    """
    One half-life of waiting leaves half of the premium to a mint; a quarter after two.
    """
    here = offer("here", 101.0)

    def gross(wait_s: float) -> float:
        one = path(Way.MINT, paths(here, situation(here, mint=door(wait_s=wait_s))))
        assert one.gross_usd is not None
        return one.gross_usd

    assert pytest.approx([gross(0) / 2, gross(0) / 4]) == [gross(HALF_LIFE), gross(2 * HALF_LIFE)]


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
    "why, here, there, terms",
    [
        ("here: it is halted", {"barred": "it is halted"}, {}, {}),
        ("here: 400 USD to sell there only", {"may_sell_usd": 400.0}, {}, {}),
        ("there: room to buy 0 USD only", {}, {"may_buy_usd": -3.0}, {}),
        ("there: it does not show so much", {}, {"ask": nan}, {}),
        ("one takes at least 5,000 USD", {}, {}, {"least_usd": 5000.0}),
        ("one takes at most 10 USD", {}, {}, {"most_usd": 10.0}),
        ("no minting", {}, {}, {"closed": "no minting"}),
    ],
)
def test_what_speaks_against_a_path_is_said(
    why: str, here: dict[str, object], there: dict[str, object], terms: dict[str, object]
) -> None:
    """
    Each obstacle stands in the refusals of a path that it bars.
    """
    one, other = offer("here", 101.0, **here), offer("there", 100.0, **there)
    found = paths(one, situation(one, other, mint=door(**terms)))
    assert why in [text for path in found for text in path.refused]


def test_a_path_that_costs_more_than_it_brings_is_refused_with_both_numbers() -> None:
    """
    Ten bps of gap against 20 of fees: 1 USD against 2.
    """
    here, there = offer("here", 100.1, fee=10), offer("there", 100.0, fee=10)
    one = path(Way.VENUE, paths(here, situation(here, there)))
    assert one.edge_usd == pytest.approx(-1.0)
    assert ("it brings 1.00 USD and costs 2.00",) == one.refused


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
