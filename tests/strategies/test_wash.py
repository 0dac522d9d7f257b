"""The wash screen: fleets are flagged, ordinary markets are not."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from strategies.market.wash import FLAGGED, screen


def market(seed: int, trades: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of many scales, a tenth of them round, and takers who are of two minds for a while each."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(0, 1.6, trades))
    size = np.where(rng.random(trades) < 0.1, rng.choice([0.1, 0.5, 1.0, 2.0, 10.0], trades), size)
    return size, np.where(rng.random(trades) < 0.5, 1.0, -1.0)


def fleet(seed: int, trades: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Two sizes, bought and sold in turn, and a few strangers."""
    rng = np.random.default_rng(seed)
    size = rng.choice([6.25, 7.5], trades)
    strange = rng.random(trades) < 0.03
    return np.where(strange, np.exp(rng.normal(0, 1, trades)), size), np.where(np.arange(trades) % 2, 1.0, -1.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_fleet_is_flagged_and_a_market_is_not(seed):
    """
    Two markets with the same number of trades.
    """
    assert screen(*fleet(seed)).score >= FLAGGED
    assert screen(*market(seed)).score < 0.7


def test_the_parts_of_a_fleet():
    """
    Nearly all volume in clips, as much bought as sold, digits far from Benford's.
    """
    found = screen(*fleet(1))
    assert (True, True, True) == (found.clip_share > 0.9, found.circularity > 0.95, found.benford_break > 0.7)
    assert pytest.approx((found.clip_share * found.circularity * found.benford_break) ** (1 / 3)) == found.score


def test_one_side_that_only_buys_is_no_circle():
    """
    The same clips, all bought: somebody accumulates, and nothing goes round.
    """
    size, _ = fleet(1)
    assert 0.0 == pytest.approx(screen(size, np.ones(len(size))).score, abs=0.05)


def test_sizes_that_follow_benford_break_nothing():
    """
    Sizes over whole decades: the break is near 0, and no size comes twice.
    """
    size = 10.0 ** np.random.default_rng(2).uniform(0, 3, 5000)
    found = screen(size, np.where(np.arange(5000) % 2, 1.0, -1.0))
    assert (True, 0.0, 0.0) == (found.benford_break < 0.05, found.clip_share, found.score)


def test_few_trades_and_trades_without_a_side_are_not_screened():
    """
    A hundred trades with a size and a side are needed.
    """
    size, side = fleet(1)
    assert isnan(screen(size[:99], side[:99]).score)
    assert isnan(screen(size, np.full(len(size), np.nan)).score)
    assert isnan(screen(size[:0], side[:0]).score)
