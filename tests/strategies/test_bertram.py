"""Bertram's levels: the named vectors, numbers printed elsewhere, and equations solved on a grid."""

from __future__ import annotations

import json
from math import inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.market.excursions import passage_time
from strategies.pricing.bertram import best_cycle, cycle, dawson

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "bertram.json").read_text(encoding="utf-8"))["cases"]
PRINTED = [
    # cost; level, mean time, rate and its variance, all with alpha 180.967 and eta 0.1538
    (0.0001, 0.0021503, 0.0074563, 0.5633629, 0.0025154),
    (0.001, 0.00471517671, 0.0171223943, 0.4923583279, 0.0021862148),
    (0.005, 0.0084523, 0.0352313, 0.3378974, 0.0014733),
    (0.01, 0.0111690, 0.0549005, 0.2247354, 0.0009564),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"alpha-{case['alpha']}")
def test_levels_and_moments_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    """
    Levels, mean and variance of a cycle's time, rate and its variance, to 1e-12.
    """
    told = {name: float(value) for name, value in case.items()}
    found = best_cycle(told["alpha"], told["eta"], told["c"])
    assert (told["a"], told["m"]) == pytest.approx((found.enter, found.leave), rel=1e-12)
    assert pytest.approx(told["expected_trade_length"], rel=1e-12) == found.mean_time
    assert pytest.approx(told["var_trade_length"], rel=1e-12) == found.var_time
    assert pytest.approx(told["expected_return_rate"], rel=1e-12) == found.rate
    assert pytest.approx(told["var_return_rate"], rel=1e-12) == found.rate_var


@pytest.mark.parametrize(("cost", "level", "mean_time", "rate", "rate_var"), PRINTED)
def test_dearer_cycles_are_wider(cost: float, level: float, mean_time: float, rate: float, rate_var: float) -> None:
    """
    Four costs on one premium, to the digits that are told.
    """
    found = best_cycle(180.967, 0.1538, cost)
    assert pytest.approx(level, abs=6e-8) == found.leave
    assert pytest.approx(mean_time, abs=6e-8) == found.mean_time
    assert pytest.approx(rate, abs=6e-8) == found.rate
    assert pytest.approx(rate_var, abs=6e-8) == found.rate_var


@given(st.floats(1, 500), st.floats(0.02, 1.0), st.floats(1e-3, 2.0), st.floats(0.9, 1.1), st.floats(0.9, 1.1))
@settings(max_examples=50)
def test_no_levels_nearby_earn_more(alpha: float, eta: float, part: float, down: float, up: float) -> None:
    """
    Neither symmetric nor other levels; costs are from a thousandth of a stationary deviation to two of them.
    """
    cost = part * eta / sqrt(2 * alpha)
    best = best_cycle(alpha, eta, cost)
    other = cycle(alpha, eta, cost, enter=best.enter * down, leave=best.leave * up)
    assert other.rate <= best.rate * (1 + 1e-12)


def test_the_mean_time_is_that_of_the_way_up_and_down() -> None:
    """
    Levels that are not symmetric; held against the mean passage times of tests/strategies/test_excursions.py.
    """
    alpha, eta = 120.0, 0.2
    found = cycle(alpha, eta, 0.001, enter=-0.004, leave=0.013)
    ways = [passage_time(x, y, theta=0.0, kappa=alpha, sigma=eta) for x, y in ((-0.004, 0.013), (0.013, -0.004))]
    assert pytest.approx(sum(ways), rel=1e-9) == found.mean_time


@pytest.mark.parametrize(("enter", "leave"), [(-0.8, 0.8), (-1.5, 0.4), (0.3, 1.1)])
def test_the_variance_solves_its_differential_equation(enter: float, leave: float) -> None:
    """
    Mean and mean square of a first passage by finite differences over stationary deviations, up and down.
    """
    expected = 0.0
    for low, high in ((enter, leave), (-leave, -enter)):
        y = np.linspace(-9.0, high, 1001)
        h = y[1] - y[0]
        matrix = np.zeros((1001, 1001))
        inner = np.arange(1, 1000)
        matrix[inner, inner - 1], matrix[inner, inner] = 1 / h**2 + y[inner] / (2 * h), -2 / h**2
        matrix[inner, inner + 1] = 1 / h**2 - y[inner] / (2 * h)
        matrix[0, 0], matrix[0, 1], matrix[-1, -1] = 1.0, -1.0, 1.0
        source = np.full(1001, -1.0)
        source[[0, -1]] = 0.0
        mean = np.linalg.solve(matrix, source)
        square = np.linalg.solve(matrix, 2 * mean * source)
        expected += float(np.interp(low, y, square - mean**2))
    # In stationary deviations: alpha 1 and eta sqrt(2).
    assert pytest.approx(expected, rel=2e-4) == cycle(1.0, sqrt(2), 0.1, enter=enter, leave=leave).var_time


@given(st.floats(1e-6, 30))
def test_dawson_solves_its_differential_equation(x: float) -> None:
    """
    D' = 1 - 2 x D, seen over a small step, and D is odd; its highest value stands in tables.
    """
    h = 1e-4 * x
    slope = (dawson(x + h) - dawson(x - h)) / (2 * h)
    assert pytest.approx(1 - 2 * x * dawson(x), abs=2e-8) == slope
    assert -dawson(x) == dawson(-x)
    assert pytest.approx(0.5410442246351817, rel=1e-14) == dawson(0.9241388730045918)


def test_a_cost_beyond_all_premia_is_never_earned() -> None:
    """
    A hundred stationary deviations are waited for without end: the rate is 0; what is no process is refused.
    """
    found = best_cycle(180.967, 0.1538, 1.0)
    assert (inf, 0.0, 0.0) == (found.mean_time, found.rate, found.rate_var)
    for wrong in ((0.0, 0.1, 0.1), (1.0, 0.0, 0.1), (1.0, 0.1, 0.0), (1.0, 0.1, float("nan"))):
        with pytest.raises(ValueError, match="no levels"):
            best_cycle(*wrong)
    with pytest.raises(ValueError, match="enters below"):
        cycle(1.0, 0.1, 0.0, enter=0.1, leave=0.1)
