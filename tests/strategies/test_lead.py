"""Which venue leads, and how closely a token follows its share: told from prints, and not from silence."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from connectors.events import NS
from strategies.market.lead import covariance, lead, tracking_beta


def venues(seed: int, behind_s: int, fill: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Moments and prices of a venue that prints in a third of the seconds of an hour, and of one that prints in a share
    `fill` of them and follows the same walk `behind_s` later. Both scatter by 2 bps."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=3600) * 2e-4)
    one, two = np.flatnonzero(rng.random(3600) < 1 / 3), np.flatnonzero(rng.random(3600) < fill)
    first = walk[one] + 2e-4 * rng.normal(size=len(one))
    second = walk[np.maximum(two - behind_s, 0)] + 2e-4 * rng.normal(size=len(two))
    return one * NS, np.exp(first), two * NS, np.exp(second)


def sides(behind_s: int, fill: float) -> np.ndarray:
    """Who leads in 60 worlds: above 0 the busy venue."""
    return np.array([lead(*venues(seed, behind_s, fill)).side for seed in range(60)])


@pytest.mark.parametrize("lag_s", [0, 40, -40, 5000])
def test_the_covariance_takes_each_move_with_all_moves_that_overlap_it(lag_s):
    """
    Sum of products over all pairs of intervals that overlap when the other venue is taken a lag later; also none.
    """
    one, first, two, second = venues(2, 0, 0.05)
    x, y, shifted = np.diff(np.log(first)), np.diff(np.log(second)), two - lag_s * NS
    overlap = (one[:-1, None] < shifted[None, 1:]) & (shifted[None, :-1] < one[1:, None])
    found = covariance(one, np.log(first), two, np.log(second), lag_s * NS)
    assert pytest.approx(np.sum(x[:, None] * y[None, :] * overlap), rel=1e-9, abs=1e-12) == found


@pytest.mark.parametrize("fill", [0.02, 0.05, 0.3])
def test_a_venue_that_prints_seldom_does_not_seem_to_follow(fill):
    """
    Without a delay the busy venue seems to lead in about half of the worlds. Filled forward it would in nearly all.
    """
    assert 0.3 <= np.mean(sides(0, fill) > 0) <= 0.7


@pytest.mark.parametrize("fill", [0.02, 0.05])
def test_a_delay_is_told_either_way(fill):
    """
    Half a minute behind, and in the mirror image ahead: told in nearly every world, by about that lag.
    """
    assert np.mean(sides(30, fill) > 0) > 0.95
    mirrored = [lead(*(w := venues(seed, 30, fill))[2:], *w[:2]).side for seed in range(60)]
    assert np.mean(np.array(mirrored) < 0) > 0.95
    assert pytest.approx(30, abs=10) == np.median([lead(*venues(seed, 30, fill)).lag_s for seed in range(60)])


def test_too_few_prints_and_still_prices_tell_nothing():
    """
    Under thirty prints, prices that never move, and times that do not overlap.
    """
    one, first, two, second = venues(1, 0, 0.3)
    assert isnan(lead(one, first, two[:20], second[:20]).side)
    assert isnan(lead(one, np.ones(len(one)), two, second).side)
    assert isnan(lead(one, first, two + 7200 * NS, second).side)
    assert isnan(lead(one[:0], first[:0], two, second).side)


def test_the_slope_of_the_moves_on_those_of_the_share():
    """
    A token that makes 80 % of each move has 0.8; where the share stands still it is unknown.
    """
    rng = np.random.default_rng(4)
    ts = np.arange(400) * 60 * NS
    moves = np.cumsum(rng.normal(size=400) * 5e-4)
    fair, token = np.exp(moves), np.exp(0.8 * moves + 1e-4 * rng.normal(size=400))
    assert pytest.approx(0.8, abs=0.05) == tracking_beta(ts, token, fair)
    assert isnan(tracking_beta(ts, token, np.ones(400)))
    assert isnan(tracking_beta(ts[:20], token[:20], fair[:20]))
    assert isnan(tracking_beta(ts[:0], token[:0], fair[:0]))
