"""Scores of forecasts: the vector, what they must fulfil, and intervals by cluster."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from strategies.market.scores import covered, crps, log_score, mean_ratio, pit, rms, rms_ratio, share_interval

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fair_value.json").read_text())["crps_gaussian"]
ONE = np.ones(1)


@pytest.mark.parametrize("vector", VECTORS)
def test_the_scores_of_the_vectors(vector):
    """
    CRPS, log score and PIT of a Gaussian to 1e-12.
    """
    mean, sd, y = (np.array([float(vector[name])]) for name in ("mean", "sd", "y"))
    for name, score in (("crps", crps), ("log_score", log_score), ("pit", pit)):
        assert pytest.approx(float(vector[name]), rel=1e-12) == score(mean, sd, y)[0]


@pytest.mark.parametrize(("mean", "sd", "y"), [(0.3, 2.0, -1.0), (-1.0, 0.5, 1.5)])
def test_crps_is_the_integral_that_it_stands_for(mean, sd, y):
    """
    The integral of (F(t) - [t >= y])^2 over t, on a fine grid.
    """
    t = np.linspace(-20, 20, 400_001)
    step = pit(np.array(mean), np.array(sd), t) - (t >= y)
    assert pytest.approx(float(np.sum(step**2) * (t[1] - t[0])), rel=1e-4) == crps(mean * ONE, sd * ONE, y * ONE)[0]


def test_crps_without_an_error_is_the_distance():
    """
    A forecast that is sure of itself scores how far off it is.
    """
    assert [3.0] == crps(ONE, 0 * ONE, 4 * ONE).tolist()


def test_the_truth_scores_best():
    """
    Of forecasts of N(0, 1) draws the one with the right mean and width has the least CRPS and log score, a flat PIT,
    and covers 95 %.
    """
    y = np.random.default_rng(3).normal(size=4000)
    for score in (crps, log_score):
        best = np.mean(score(0 * y, 1 + 0 * y, y))
        assert all(best < np.mean(score(m + 0 * y, s + 0 * y, y)) for m, s in ((0.5, 1.0), (0.0, 2.0), (0.0, 0.5)))
    assert pytest.approx(np.linspace(0.1, 0.9, 9), abs=0.03) == np.quantile(
        pit(0 * y, 1 + 0 * y, y), np.linspace(0.1, 0.9, 9)
    )
    assert pytest.approx(0.95, abs=0.015) == np.mean(covered(0 * y, 1 + 0 * y, y))


def test_a_ratio_is_of_all_and_its_interval_of_clusters():
    """
    Halved errors are a ratio of one half with no width; copies within clusters make no interval narrower.
    """
    chance = np.random.default_rng(1)
    night = np.arange(20)
    one, other = chance.normal(size=20), chance.normal(size=20)
    half = rms_ratio(other / 2, other, night, np.random.default_rng(2))
    assert (pytest.approx(0.5), pytest.approx(0.5), "below") == (half.low, half.high, half.against(1))
    plain = rms_ratio(one, other, night, np.random.default_rng(2))
    copied = rms_ratio(np.tile(one, 9), np.tile(other, 9), np.tile(night, 9), np.random.default_rng(2))
    assert pytest.approx(rms(one) / rms(other)) == plain.value
    assert (pytest.approx(plain.low), pytest.approx(plain.high)) == (copied.low, copied.high)
    assert (180, 20) == (copied.n, copied.clusters)


def test_what_an_interval_says():
    """
    Below or above a level only where it does not hold it; of five clusters or fewer, or none, nothing can be told.
    """
    chance = np.random.default_rng(4)
    values, ones = chance.normal(5, 1, 50), np.ones(50)
    found = mean_ratio(values, ones, np.arange(50), chance)
    assert ("above", "below", "cannot tell") == (found.against(3), found.against(7), found.against(values.mean()))
    few, enough = (mean_ratio(values, ones, np.arange(50) % n, chance) for n in (5, 6))
    assert ("cannot tell", "below") == (few.against(100), enough.against(100))
    assert isnan(rms_ratio(values[:0], values[:0], np.zeros(0, np.int64), chance).value)
    assert isnan(rms(values[:0]))


def test_all_hits_of_few_nights_prove_little():
    """
    Wilson: 28 hits of 28 on 14 nights leave 78 % possible, half of 100 on 100 nights are 40 to 60 %, none tell nothing.
    """
    sure = share_interval(np.ones(28), np.arange(28) % 14)
    assert (1.0, pytest.approx(14 / (14 + 1.96**2), abs=1e-3), 1.0) == (sure.value, sure.low, pytest.approx(sure.high))
    half = share_interval(np.arange(100) % 2, np.arange(100))
    assert (0.5, pytest.approx(0.404, abs=1e-3), pytest.approx(0.596, abs=1e-3)) == (half.value, half.low, half.high)
    assert isnan(share_interval(np.zeros(0), np.zeros(0, np.int64)).value)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """
    Of 200 seeded means of 40 clusters of five, whose members go together, the interval holds the truth 89 to 98 %.
    """
    chance, held = np.random.default_rng(5), 0
    for _ in range(200):
        values = (chance.normal(size=(40, 1)) + 0.3 * chance.normal(size=(40, 5))).ravel()
        found = mean_ratio(values + 2, np.ones(200), np.repeat(np.arange(40), 5), chance, draws=500)
        held += found.low <= 2 <= found.high
    assert 178 <= held <= 196
