"""The CUSUM: its recursion, and run lengths by the integral equation against the vectors and against simulation."""

from __future__ import annotations

import json
from math import inf, log, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.events import NS
from strategies.market.cusum import (
    Cusum,
    Spans,
    arl,
    mean_variance,
    run_length_brownian,
    siegmund,
    threshold_for,
)

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "peg_stats.json").read_text())


def heard(detector: Cusum, *observations: float) -> list[int]:
    """What a detector says to observations at 1, 2, 3, ... ns."""
    return [detector.hear(z, ts) for ts, z in enumerate(observations, start=1)]


@pytest.mark.parametrize("case", VECTORS["cusum_arl"], ids=lambda case: f"k={case['k']} h={case['h']} {case['shift']}")
def test_run_lengths_of_the_vectors(case):
    """
    One side and both sides by the integral equation, and Siegmund's approximation of one side.
    """
    k, h, shift = case["k"], case["h"], case["shift"]
    assert pytest.approx(case["arl_one_sided"], rel=1e-6) == arl(k, h, shift, two_sided=False)
    assert pytest.approx(case["arl_two_sided"], rel=1e-6) == arl(k, h, shift)
    assert pytest.approx(case["siegmund_one_sided"], rel=1e-6) == siegmund(k, h, shift)


@pytest.mark.parametrize("case", VECTORS["brownian_cusum"], ids=lambda case: f"mu={case['mu']}")
def test_brownian_run_lengths_of_the_vectors(case):
    """
    Before and after the change, with h on the scale of the log-likelihood ratio.
    """
    mu, h = float(case["mu"]), float(case["h"])
    assert pytest.approx(float(case["E0"]), rel=1e-12) == run_length_brownian(-mu / 2, h / mu)
    assert pytest.approx(float(case["E1"]), rel=1e-12) == run_length_brownian(mu / 2, h / mu)


def test_without_drift_the_brownian_run_length_is_h_squared():
    """
    The formula's limit, which its digits alone would lose.
    """
    assert pytest.approx(25.0) == run_length_brownian(0.0, 5.0)
    assert pytest.approx(run_length_brownian(1e-5, 9.0), rel=1e-4) == run_length_brownian(2e-5, 9.0)


@pytest.mark.parametrize("case", [(0.5, 3.0, 0.0), (0.5, 4.0, 0.5), (0.25, 4.0, -0.25)])
def test_the_detector_runs_as_long_as_stated(case):
    """
    The recursion itself, on 4,000 simulated runs, has the stated mean within four of its standard errors.
    """
    k, h, shift = case
    rng = np.random.default_rng(11)
    lengths = []
    for _ in range(4000):
        detector, count = Cusum(k, h), 0
        for z in iter(lambda: rng.normal() + shift, None):
            count += 1
            if detector.hear(z, count):
                break
        lengths.append(count)
    error = np.std(lengths) / np.sqrt(len(lengths))
    assert pytest.approx(arl(k, h, shift), abs=4 * error) == np.mean(lengths)


@settings(deadline=None, max_examples=25)
@given(run_length=st.floats(16, 1e7), k=st.floats(0.2, 1.5), both=st.booleans())
def test_a_threshold_has_the_run_length_it_was_asked_for(run_length, k, both):
    """
    threshold_for is the inverse of arl.
    """
    assert pytest.approx(run_length, rel=1e-5) == arl(k, threshold_for(run_length, k, two_sided=both), two_sided=both)


def test_a_run_length_that_nobody_could_check_is_refused():
    """
    Beyond 1e9 there are no digits, and where k alone is passed more seldom, no h can alarm as often.
    """
    for run_length, k in ((1.0, 0.5), (5.0, 1.5), (1e12, 0.5), (nan, 0.5), (inf, 0.5)):
        with pytest.raises(ValueError, match="run length"):
            threshold_for(run_length, k)


def test_a_shift_up_and_a_shift_down_are_told_apart():
    """
    The sign of the answer is that of the shift, and both take as long.
    """
    assert [0, 0, 0, 1] == heard(Cusum(0.5, 3.5), 1.5, 1.5, 1.5, 1.5)
    assert [0, 0, 0, -1] == heard(Cusum(0.5, 3.5), -1.5, -1.5, -1.5, -1.5)


def test_the_change_began_where_the_sum_left_zero():
    """
    Of 1, -3, 2, 2, 2 the upper sum is at 0 after the second and leaves it with the third.
    """
    detector = Cusum(0.5, 4.0)
    heard(detector, 1.0, -3.0, 2.0, 2.0, 2.0)
    assert (1, 3) == (detector.alarm, detector.since)


def test_one_wild_observation_alone_is_no_alarm():
    """
    It counts for the cap at most; without a cap it is one.
    """
    assert [0, 0] == heard(Cusum(0.5, 4.0, cap=4.0), 1e6, 0.0)
    assert [1] == heard(Cusum(0.5, 4.0), 1e6)


def test_an_alarm_ends_after_its_cause():
    """
    However long the shift stood, the sum is 2 h at most: h / k quiet observations and one more end the alarm.
    """
    detector = Cusum(0.5, 4.0)
    heard(detector, *[3.0] * 1000)
    assert [1] * 8 + [0] == heard(detector, *[0.0] * 9)


def test_what_is_not_a_number_says_nothing():
    """
    An absent observation neither raises an alarm nor ends one.
    """
    detector = Cusum(0.5, 4.0)
    assert [0, 0, 1, 1] == heard(detector, nan, 4.0, 4.0, nan)
    detector.reset()
    assert [0, 0] == heard(detector, inf, nan)


def test_a_detector_that_could_never_be_quiet_is_refused():
    """
    h must be above 0, k not below it, and the cap above k.
    """
    for k, h, cap in ((0.5, 0.0, inf), (-0.1, 4.0, inf), (0.5, nan, inf), (0.5, 4.0, 0.5)):
        with pytest.raises(ValueError, match="CUSUM"):
            Cusum(k, h, cap)


def test_a_span_is_averaged_when_the_next_one_speaks():
    """
    Two values of the first span, none of the second, one of the third.
    """
    spans = Spans(60 * NS)
    assert [None, None, (3.0, 2), None] == [
        spans.hear(x, s * NS) for x, s in ((2.0, 1), (4.0, 59), (9.0, 130), (nan, 200))
    ]


def test_a_slow_drift_is_seen_by_averages_and_not_by_innovations():
    """
    A premium with a half-life of an hour drifts by 0.8 of its sd over 12 days. The means of six hours, in units of
    their own sd, alarm within that time; the innovations of its prints, with the same in-control time of two years,
    do not.
    """
    rng = np.random.default_rng(3)
    step_s, half_life_s, span_s, days = 60, 3600.0, 6 * 3600, 12
    phi = 0.5 ** (step_s / half_life_s)
    n = days * 86_400 // step_s
    level = np.linspace(0.0, 0.8, n)
    fast = Cusum(0.5, threshold_for(60 * 24 * 730, 0.5))
    slow = Cusum(0.25, threshold_for(4 * 730, 0.25))
    spans, x, fast_alarms, slow_alarms = Spans(span_s * NS), 0.0, 0, 0
    for at in range(n):
        before, shock = x, rng.normal()
        x = phi * x + np.sqrt(1 - phi**2) * shock
        seen, expected = level[at] + x, phi * (level[at - 1] + before if at else 0.0)
        fast_alarms += abs(fast.hear((seen - expected) / np.sqrt(1 - phi**2), at))
        if (done := spans.hear(seen, at * step_s * NS)) is not None:
            mean, count = done
            slow_alarms += abs(slow.hear(mean / np.sqrt(mean_variance(span_s, half_life_s, count)), at))
    assert (0, True) == (fast_alarms, slow_alarms > 0)


def test_the_variance_of_a_mean_is_that_of_an_ou_process():
    """
    Simulated means over ten half-lives have the stated variance; means of few prints at least that of white noise.
    """
    rng = np.random.default_rng(5)
    phi, count = 0.5 ** (1 / 60), 600
    x, means = 0.0, []
    for _ in range(1500):
        values = []
        for shock in rng.normal(size=count):
            x = phi * x + np.sqrt(1 - phi**2) * shock
            values.append(x)
        means.append(np.mean(values))
    assert pytest.approx(np.var(means), rel=0.12) == mean_variance(600.0, 60.0, count)
    assert 0.5 == mean_variance(1e9, 60.0, 2)
    assert pytest.approx(1.0, rel=1e-3) == mean_variance(0.01, 60 * log(2), 5)
