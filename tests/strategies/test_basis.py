"""Per unit or per share: the decision on drawn prices, its stated error, and what it refuses to decide."""

from __future__ import annotations

from math import exp, inf, log, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.market.basis import FLOOR, MIN_SAMPLES, SIGMAS, Basis, calibrate


def around(ratio: float, *, noise: float = 2e-4, count: int = 40, seed: int = 1) -> list[float]:
    """Samples of a venue whose price over the share is `ratio`, with noise."""
    rng = np.random.default_rng(seed)
    return [ratio * float(np.exp(rng.normal(0, noise))) for _ in range(count)]


@pytest.mark.parametrize("multiplier", [1.006, 1.0137, 0.5, 2.0, 10.0])
def test_units_and_shares_are_told_apart(multiplier: float) -> None:
    """
    Prices around the multiplier are of units, prices around one are of shares.
    """
    assert Basis.UNIT is calibrate(around(multiplier), multiplier).basis
    assert Basis.SHARE is calibrate(around(1.0), multiplier).basis


def test_too_few_samples_decide_nothing() -> None:
    """
    One sample less than needed is not known yet, and numbers that are no prices do not count as samples.
    """
    few = around(2.0, count=MIN_SAMPLES - 1)
    assert Basis.UNKNOWN is calibrate(few, 2.0).basis
    assert Basis.UNKNOWN is calibrate([*few, nan, inf, 0.0, -1.0], 2.0).basis
    assert Basis.UNIT is calibrate([*few, 2.0], 2.0).basis
    assert Basis.UNKNOWN is calibrate(around(2.0), nan).basis


def test_a_multiplier_within_the_noise_is_ambiguous() -> None:
    """
    20 bps between unit and share cannot be told where a token is usually 10 bps off; nor 2 % with a fair value that
    is 1 % unsure, as at night.
    """
    assert Basis.AMBIGUOUS is calibrate(around(1.002), 1.002).basis
    assert Basis.UNIT is calibrate(around(1.02), 1.02).basis
    assert Basis.AMBIGUOUS is calibrate(around(1.02), 1.02, fair_error=0.01).basis


def test_a_venue_that_missed_a_split_fits_neither() -> None:
    """
    The multiplier went from 1.01 to 10.1 and the share to a tenth; the venue shows a tenth of the old price still.
    """
    assert Basis.IMPOSSIBLE is calibrate(around(100.0), 10.1, before=Basis.UNIT).basis
    assert Basis.IMPOSSIBLE is calibrate(around(1.01), 10.1, before=Basis.UNIT).basis


def test_what_was_known_stays_where_nothing_can_be_told() -> None:
    """
    A dividend moves the multiplier from 1.0200 to 1.0021: what the venue quoted before decides, if it still fits.
    """
    assert Basis.SHARE is calibrate(around(1.0), 1.0021, before=Basis.SHARE).basis
    assert Basis.UNIT is calibrate(around(1.0), 1.0021, before=Basis.UNIT).basis
    assert Basis.AMBIGUOUS is calibrate(around(1.0), 1.0021, before=Basis.IMPOSSIBLE).basis
    assert Basis.IMPOSSIBLE is calibrate(around(1.5), 1.0021, before=Basis.UNIT).basis


def test_wild_prints_do_not_move_the_decision() -> None:
    """
    A third of the samples is rubbish: the median and its deviation decide.
    """
    dirty = [*around(1.02, count=40), *([97.0] * 10), *([0.01] * 9)]
    assert Basis.UNIT is calibrate(dirty, 1.02).basis


def test_the_stated_error_holds() -> None:
    """
    A token that is off by a premium of one noise in sigma, the same through the window: fewer than 0.3 % of 20,000
    windows are told wrongly at the hardest distance, and the right one is found in most at twice that.
    """
    rng = np.random.default_rng(7)
    for distance, found in ((SIGMAS * FLOOR * 1.02, 0.0), (2 * SIGMAS * FLOOR, 0.95)):
        multiplier = exp(distance)
        told = [
            calibrate([float(np.exp(premium))] * MIN_SAMPLES, multiplier).basis
            for premium in rng.normal(0, FLOOR, 20_000)
        ]
        assert told.count(Basis.UNIT) < 60
        assert told.count(Basis.SHARE) >= found * len(told)


@given(
    st.lists(st.one_of(st.floats(), st.floats(0.5, 3)), max_size=60),
    st.floats(0.01, 100),
    st.floats(0, 0.1),
    st.sampled_from(Basis),
)
def test_a_decision_always_has_its_reason(
    ratios: list[float], multiplier: float, fair_error: float, before: Basis
) -> None:
    """
    Whatever the numbers: a basis that is believed fits within three noises, and the order of samples does not matter.
    """
    verdict = calibrate(ratios, multiplier, fair_error=fair_error, before=before)
    if verdict.basis.known:
        expected = multiplier if verdict.basis is Basis.UNIT else 1.0
        assert abs(log(verdict.ratio / expected)) <= SIGMAS * verdict.noise * (1 + 1e-9)
    assert verdict.basis is calibrate(ratios[::-1], multiplier, fair_error=fair_error, before=before).basis
