"""What an OU premium does by itself: vectors, simulation, and prints at irregular times."""

from __future__ import annotations

import json
from math import isnan, log
from pathlib import Path

import numpy as np
import pytest

from connectors.events import NS
from strategies.market.changepoint import last_change, run_lengths
from strategies.market.excursions import outside, passage_time, variance_ratio, variance_ratio_ou

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "peg_stats.json").read_text())


@pytest.mark.parametrize("case", VECTORS["band_ar1"])
def test_time_outside_a_band_of_the_vectors(case):
    """
    Share of the steps, entries, length of a visit and time between visits.
    """
    found = outside(case["band"], case["sd"], case["phi"])
    assert pytest.approx(case["fraction_outside"], rel=1e-9) == found.fraction
    assert pytest.approx(case["entry_prob_per_step"], rel=1e-7) == found.entry_probability
    assert pytest.approx(case["mean_excursion_steps"], rel=1e-7) == found.mean_steps
    assert pytest.approx(case["mean_steps_between_entries"], rel=1e-7) == found.steps_between


@pytest.mark.parametrize(("phi", "steps"), [(0.5, 1.22), (0.9, 2.42), (0.99, 7.49), (0.9999, 74.7)])
def test_visits_outside_two_sd_last_the_longer_the_slower_the_reversion(phi, steps):
    """
    Known lengths at a band of two sd; near a random walk the inside is still integrated where it matters, at its
    edge: a hundred times slower is ten times longer.
    """
    assert pytest.approx(steps, rel=0.01) == outside(2.0, 1.0, phi).mean_steps


@pytest.mark.parametrize("case", VECTORS["ou_first_passage"])
def test_the_way_to_a_level_of_the_vectors(case):
    """
    Mean first passage upwards, and as long downwards to the mirror image.
    """
    x, target, theta, kappa, sigma = (float(case[name]) for name in ("x", "target", "theta", "kappa", "sigma"))
    wanted = pytest.approx(float(case["mean_first_passage"]), rel=1e-9)
    assert wanted == passage_time(x, target, theta=theta, kappa=kappa, sigma=sigma)
    assert wanted == passage_time(-x, -target, theta=-theta, kappa=kappa, sigma=sigma)


def test_the_way_back_from_far_out_is_that_of_the_drift():
    """
    From 30 sd outside to 10 the noise hardly matters: ln 3 / kappa; and no way takes no time.
    """
    assert pytest.approx(log(3), rel=0.01) == passage_time(-30.0, -10.0, theta=0.0, kappa=1.0, sigma=2**0.5)
    assert 0.0 == passage_time(1.0, 1.0, theta=0.0, kappa=1.0, sigma=1.0)


@pytest.mark.parametrize("case", VECTORS["variance_ratio_ou"], ids=lambda case: f"{case['kappa']}-{case['q']}")
def test_variance_ratios_of_the_vectors(case):
    """
    The closed form for an OU process.
    """
    assert pytest.approx(float(case["vr"]), rel=1e-12) == variance_ratio_ou(
        float(case["kappa"]), float(case["dt"]), case["q"]
    )


def test_the_variance_ratio_of_irregular_prints():
    """
    Of a long OU path with irregular prints it is that of the closed form, of a random walk 1, of few prints unknown.
    """
    rng = np.random.default_rng(8)
    dt = rng.exponential(60.0, 20_000)
    ts, kappa = (np.cumsum(dt) * NS).astype(np.int64), log(2) / 600
    phi, shocks, x = np.exp(-kappa * dt), rng.normal(size=len(dt)), np.zeros(len(dt))
    for at in range(1, len(x)):
        x[at] = x[at - 1] * phi[at] + np.sqrt(1 - phi[at] ** 2) * shocks[at]
    walk = np.cumsum(shocks * np.sqrt(dt))
    assert pytest.approx(variance_ratio_ou(kappa, 60, 10), rel=0.1) == variance_ratio(ts, x, 60, 10)
    assert pytest.approx(1.0, rel=0.1) == variance_ratio(ts, walk, 60, 10)
    assert isnan(variance_ratio(ts[:20], x[:20], 60, 10))
    assert isnan(variance_ratio(ts[:0], x[:0], 60, 10))


@pytest.mark.parametrize("case", VECTORS["bocpd"], ids=lambda case: f"{len(case['x'])}")
def test_run_length_posteriors_of_the_vectors(case):
    """
    The posterior after the last datum, P(change) and the likeliest run length after each.
    """
    found = run_lengths(
        np.array(case["x"]),
        hazard=float(case["hazard"]),
        prior_mean=case["prior_mean"],
        prior_var=case["prior_var"],
        obs_var=case["obs_var"],
    )
    assert pytest.approx([float(p) for p in case["runlength_posterior_last"]], rel=1e-8) == found.posterior.tolist()
    assert pytest.approx([float(p) for p in case["cp_prob_each"]]) == found.change.tolist()
    assert case["map_runlength_each"] == found.likeliest.tolist()


def test_the_last_change_of_level_is_found():
    """
    The level moves by eight sd at datum 40; a level that stands has its first datum, and a few data tell nothing.
    """
    noise = np.random.default_rng(2).normal(size=60)
    assert 40 == last_change(noise + np.where(np.arange(60) < 40, 0.0, 8.0))
    assert 0 == last_change(noise)
    assert -1 == last_change(noise[:7])
    assert -1 == last_change(np.ones(20))


def test_a_datum_beyond_floats_is_a_change():
    """
    A value so far out that every density is 0 starts a new run, and nothing becomes NaN.
    """
    found = run_lengths(np.array([0.0, 0.1, 1e9, 1e9]), hazard=0.01, prior_mean=0.0, prior_var=1.0, obs_var=0.01)
    assert 1 == found.likeliest[2]
    assert np.isfinite(found.posterior).all()
