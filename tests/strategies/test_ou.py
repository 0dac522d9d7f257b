"""Reversion to a mean: the likelihood, the half-life, and how often its interval holds the truth."""

from __future__ import annotations

import json
from math import inf, isnan, log
from pathlib import Path

import numpy as np
import pytest

from connectors.events import NS
from strategies.market.kalman import Bank
from strategies.market.ou import MAX_PAIRS, half_life, ou_fit, ou_profile, process_of

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "peg_stats.json").read_text())
GAP = 1800 * NS
NONE = np.empty(0)


def reverting(n: int, half_life_s: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments (about a minute apart) and premia of an OU process around 5 bps with a stationary sd of 20."""
    rng = np.random.default_rng(seed)
    dt = rng.exponential(60.0, n)
    phi = np.exp(-log(2) / half_life_s * dt)
    x = np.full(n, 5 + 20 * rng.normal())
    for at, shock in enumerate(rng.normal(size=n)[1:], start=1):
        x[at] = 5 + (x[at - 1] - 5) * phi[at] + 20 * np.sqrt(1 - phi[at] ** 2) * shock
    return (np.cumsum(dt) * NS).astype(np.int64), x


def walking(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments (about a minute apart) and a random walk."""
    rng = np.random.default_rng(seed)
    dt = rng.exponential(60.0, n)
    return (np.cumsum(dt) * NS).astype(np.int64), np.cumsum(rng.normal(size=n) * np.sqrt(dt))


@pytest.mark.parametrize("vector", VECTORS["ou_mle"], ids=lambda vector: f"seed{vector['seed']}")
def test_the_likelihood_and_its_maximum_are_those_of_the_vectors(vector):
    """
    kappa, sigma, theta, half-life and log-likelihood of irregular samples, to the tolerance of the vectors.
    """
    t, x = np.array(vector["t"]), np.array(vector["x"])
    found, wanted = ou_fit(x[:-1], x[1:], np.diff(t)), vector["mle"]
    for name, value in wanted.items():
        assert pytest.approx(value, rel=vector["tol_rel"]) == getattr(found, name)
    # The profile chooses theta and sigma itself, so that it is at least what the true ones have.
    assert ou_profile(x[:-1], x[1:], np.diff(t), vector["true"]["kappa"]).loglik >= float(vector["loglik_at_true"])


@pytest.mark.parametrize("vector", VECTORS["ou_mle"], ids=lambda vector: f"seed{vector['seed']}")
def test_the_filter_gives_samples_the_likelihood_of_the_vectors_at_the_true_parameters(vector):
    """
    A premium of the true kappa, theta and sigma over a share that is known and stands still, from the second sample on.
    """
    true, t = vector["true"], np.array(vector["t"])
    sd, half_life = true["sigma"] / (2 * true["kappa"]) ** 0.5, np.log(2) / true["kappa"]
    bank = Bank(np.array([[float(true["theta"])]]), np.array([[sd]]), np.array([[half_life]]), np.zeros(1))
    bank.start(np.zeros(1), np.zeros(1))
    first = 0.0
    for n, x in enumerate(vector["x"]):
        bank.predict(np.zeros(1), t[n] - t[n - 1] if n else 0.0)
        bank.update(np.array([0]), np.array([1]), np.array([0]), np.array([x]), np.zeros(1))
        first = first if n else bank.loglik[0]
    assert pytest.approx(float(vector["loglik_at_true"]), rel=1e-9) == bank.loglik[0] - first


REGIMES = [(40, 0.1), (40, 2.0), (40, 60.0), (150, 0.5), (150, 5.0), (150, 50.0), (600, 1.0), (600, 20.0)]
"""Prints of a path, and its half-life in median distances of prints: from much longer than the path to a tenth."""


@pytest.mark.parametrize(("prints", "ratio"), REGIMES, ids=lambda value: f"{value:g}")
def test_the_interval_covers_the_truth_as_often_as_it_says(prints, ratio):
    """
    Of 200 simulated paths with irregular prints the 95 % interval holds the true half-life in 90 to 99 %, also where a
    path is shorter than a half-life (then it has no upper end); where it is told at all, no more than 7 % are wrong.
    """
    truth = 60.0 * ratio
    found = [half_life(*reverting(prints, truth, 7_000_000 + seed), 10**18) for seed in range(200)]
    holds = [one.low <= truth <= one.high for one in found]
    told = [not isnan(one.seconds) for one in found]
    assert 0.90 <= np.mean(holds) <= 0.99
    assert 0.07 >= np.mean([tells and not right for tells, right in zip(told, holds, strict=True)])
    if prints >= 30 * ratio >= 30:
        assert np.mean(told) > 0.7
    assert all(one.low <= one.seconds <= one.high for one in found if not one.note)


def test_a_random_walk_has_no_half_life():
    """
    In 100 seeded random walks at most eleven are taken for reverting (5 % are expected); the note of the others says
    why not, and above which half-life it would be.
    """
    found = [half_life(*walking(300, seed), GAP) for seed in range(100)]
    walks = [one for one in found if one.note]
    assert len(walks) >= 89
    assert {inf} == {one.high for one in walks}
    for one in walks:
        assert f"random walk at 5 %; a half-life would be above {one.low:.3g} s" in one.note


def test_noise_that_forgets_at_once_has_only_an_upper_bound():
    """
    Where nothing of a deviation is left at the next print, the half-life is not told but bounded.
    """
    ts, _ = reverting(500, 600.0, 1)
    found = half_life(ts, np.random.default_rng(5).normal(size=500), GAP)
    assert (True, True) == (isnan(found.seconds), found.note.startswith("too fast for these prints: below"))


def test_few_prints_and_prints_far_apart_tell_nothing():
    """
    Thirty pairs within the gap are needed; hourly prints have none within half an hour.
    """
    ts, x = reverting(31, 600.0, 2)
    assert "29 pairs" in half_life(ts[:30], x[:30], 10**18).note
    assert "0 pairs" in half_life(np.arange(100) * 3600 * NS, np.tile([1.0, 2.0], 50), GAP).note
    assert "0 pairs" in half_life(np.empty(0, dtype=np.int64), NONE, GAP).note


def test_the_process_without_an_interval_is_that_of_the_half_life():
    """
    The same process where one is told, and none where none is: a random walk, noise that forgets at once, few prints,
    a premium that stands still.
    """
    ts, x = reverting(500, 600.0, 1)
    noise = np.random.default_rng(5).normal(size=500)
    told = half_life(ts, x, GAP).process
    assert told is not None
    assert told == process_of(ts, x, GAP)
    assert [None] * 4 == [
        process_of(*walking(300, 0), GAP), process_of(ts, noise, GAP), process_of(ts[:30], x[:30], GAP),
        process_of(ts, np.full(500, 3.0), GAP),
    ]  # fmt: skip


def test_a_premium_that_stands_still_has_no_half_life():
    """
    A constant premium is no reversion, and no division by zero either.
    """
    assert "does not move" in half_life(np.arange(100) * 60 * NS, np.full(100, 3.0), GAP).note


def test_of_prints_at_one_instant_the_last_counts():
    """
    Repeated prints of one instant add no pair with a time of zero: the result is that of the last ones alone.
    """
    ts, x = reverting(400, 600.0, 3)
    twice = half_life(np.repeat(ts, 2), np.stack([x + 9, x], axis=1).ravel(), GAP)
    assert half_life(ts, x, GAP) == twice


def test_very_many_prints_are_thinned_and_say_the_same():
    """
    Above MAX_PAIRS prints are thinned: the half-life stays within its interval.
    """
    ts, x = reverting(3 * MAX_PAIRS, 6000.0, 4)
    found = half_life(ts, x, GAP)
    assert found.low <= 6000.0 <= found.high
