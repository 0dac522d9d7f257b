"""Premium statistics: level, share and spells outside a band, and the half-life."""

from __future__ import annotations

import json
from math import isnan, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.events import NS
from strategies.market.peg_stats import (
    MAX_PAIRS,
    half_life,
    level,
    longest_outside_s,
    ou_fit,
    ou_profile,
    share_outside,
)

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "peg_stats.json").read_text())
GAP = 1800 * NS
NONE = np.empty(0)


def seconds(*moments: float) -> np.ndarray:
    """Moments in ns from seconds."""
    return (np.array(moments) * NS).astype(np.int64)


def longest(moments: tuple[float, ...], premia: list[float], band: float = 10.0) -> float:
    """The longest spell outside a constant band, with the usual gap of 30 minutes."""
    return longest_outside_s(seconds(*moments), np.array(premia), np.full(len(premia), band), GAP)


def reverting(n: int, half_life_s: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments (about a minute apart) and premia of an OU process around 5 bps with a stationary sd of 20."""
    rng = np.random.default_rng(seed)
    dt = rng.exponential(60.0, n)
    phi = np.exp(-log(2) / half_life_s * dt)
    x = np.zeros(n)
    for at, shock in enumerate(rng.normal(size=n)[1:], start=1):
        x[at] = 5 + (x[at - 1] - 5) * phi[at] + 20 * np.sqrt(1 - phi[at] ** 2) * shock
    return (np.cumsum(dt) * NS).astype(np.int64), x


def walking(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments (about a minute apart) and a random walk."""
    rng = np.random.default_rng(seed)
    dt = rng.exponential(60.0, n)
    return (np.cumsum(dt) * NS).astype(np.int64), np.cumsum(rng.normal(size=n) * np.sqrt(dt))


def test_the_level_of_a_few_samples():
    """
    sd with n - 1, quantiles interpolated linearly, absolute values taken before quantiles.
    """
    found = level(np.array([-10.0, 0.0, 4.0, 8.0]))
    assert (4, 0.5, 2.0, 6.0, 10.0) == (found.n, found.mean, found.median, found.median_abs, found.max_abs)
    assert pytest.approx(np.sqrt((10.5**2 + 0.5**2 + 3.5**2 + 7.5**2) / 3)) == found.sd
    assert pytest.approx(8 + 0.85 * 2) == found.p95_abs


def test_one_sample_has_no_spread_and_none_has_nothing():
    """
    What is not there is NaN, never zero.
    """
    assert (True, 7.0) == (isnan(level(np.array([-7.0])).sd), level(np.array([-7.0])).p95_abs)
    nothing = level(NONE)
    assert (0, True, True) == (nothing.n, isnan(nothing.mean), isnan(nothing.max_abs))


def test_the_share_outside_counts_prints():
    """
    Two of four prints lie beyond the band; a premium equal to the band is inside.
    """
    assert 0.5 == share_outside(np.array([11.0, -10.0, -12.0, 3.0]), np.full(4, 10.0))


def test_without_a_band_or_a_print_nothing_is_outside_or_inside():
    """
    No band (NaN) and no print give NaN, not zero.
    """
    assert isnan(share_outside(np.array([1.0]), np.array([np.nan])))
    assert isnan(share_outside(NONE, NONE))
    assert isnan(longest_outside_s(seconds(1), np.array([1.0]), np.array([np.nan]), GAP))
    assert isnan(longest_outside_s(seconds(), NONE, NONE, GAP))


def test_a_spell_ends_at_the_first_print_inside():
    """
    From the first print outside at 10 s to the first inside at 70 s.
    """
    assert 60.0 == longest((0, 10, 40, 70, 90), [0, 20, -30, 5, 20])


def test_a_spell_ends_at_a_long_silence():
    """
    A silence over the gap ends the spell at the last print before it; one of exactly the gap does not.
    """
    assert 30.0 == longest((0, 30, 1831, 1841), [20, 20, 20, 20])
    assert 1840.0 == longest((0, 30, 1830, 1840), [20, 20, 20, 20])


def test_a_silence_also_hides_the_print_inside_that_follows_it():
    """
    When the next print inside comes after a long silence, the spell ended before the silence.
    """
    assert 5.0 == longest((0, 5, 4000), [20, 20, 0])


def test_the_last_spell_ends_with_the_data():
    """
    Still outside at the last print: the spell lasts until then; a single print outside lasts no time.
    """
    assert 20.0 == longest((0, 10, 30), [0, 20, 20])
    assert 0.0 == longest((0, 10), [0, 20])


def test_no_print_outside_is_no_spell():
    """
    Always inside: zero seconds.
    """
    assert 0.0 == longest((0, 10, 30), [0, 1, 2])


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), min_size=1, max_size=40))
def test_spells_equal_a_walk_through_the_prints(steps):
    """
    The vectorised spell is the one that a plain loop finds.
    """
    moments = np.cumsum([step for step, _ in steps])
    start, before, found = None, None, 0.0
    for at, (_, outside) in zip(moments.tolist(), steps, strict=True):
        if start is not None and at - before > 1800:
            start = None
        if start is not None:
            found = max(found, at - start)
        start = (at if start is None else start) if outside else None
        before = at
    assert found == longest(tuple(moments.tolist()), [20.0 if outside else 0.0 for _, outside in steps])


@pytest.mark.parametrize("vector", VECTORS["ou_mle"], ids=lambda vector: f"seed{vector['seed']}")
def test_the_likelihood_and_its_maximum_are_those_of_the_vectors(vector):
    """
    kappa, sigma, theta, half-life and log-likelihood of irregular samples, to the tolerance of the vectors.
    """
    t, x = np.array(vector["t"]), np.array(vector["x"])
    found, wanted = ou_fit(x[:-1], x[1:], np.diff(t)), vector["mle"]
    for name, value in wanted.items():
        assert pytest.approx(value, rel=vector["tol_rel"]) == getattr(found, name)
    assert ou_profile(x[:-1], x[1:], np.diff(t), vector["true"]["kappa"]).loglik >= float(vector["loglik_at_true"])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """
    In 100 seeded worlds with a half-life of ten minutes the 95 % interval holds it at least 88 times.
    """
    found = [half_life(*reverting(400, 600.0, seed), GAP) for seed in range(100)]
    assert 88 <= sum(one.low <= 600.0 <= one.high for one in found)
    assert all(one.low < one.seconds < one.high for one in found if not one.note)


def test_a_random_walk_has_no_half_life():
    """
    In 100 seeded random walks at most eleven are taken for reverting (5 % are expected), and the note says why not.
    """
    notes = [half_life(*walking(300, seed), GAP).note for seed in range(100)]
    assert sum(note == "" for note in notes) <= 11
    assert {"", "no return to a mean that differs from a random walk at 5 %"} == set(notes)


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
    assert "0 pairs" in half_life(seconds(), NONE, GAP).note


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
