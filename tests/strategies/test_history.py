"""Bounded histories: how rare a value is, the newest prints, and where a quantity goes."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.events import NS
from strategies.market.history import LEAST, History, Ring, Trend


def filled(values: list[float], limit: int = 120) -> History:
    """A history of these values, in this order."""
    history = History(limit)
    for value in values:
        history.add(value)
    return history


def test_the_tail_of_a_value():
    """
    Of 1 to 19, ten are above or at 10: half of the tie counts; what was never seen is 1 in 40, what always was 39.
    """
    history = filled([float(value) for value in range(1, 20)])
    assert [0.5, 0.025, 0.975] == [history.tail(value) for value in (10.0, 99.0, 0.0)]
    assert 0.025 == history.tail_of_distance(-50.0) == history.tail_of_distance(70.0)
    assert history.tail_of_distance(10.0) > 0.9


def test_ties_are_ordinary():
    """
    A statistic that is nearly always 0: another 0 is no rarer than one half.
    """
    assert 0.5 <= filled([0.0] * 50 + [60.0]).tail(0.0) < 0.55


def test_a_short_history_and_an_absent_value_have_no_tail():
    """
    NaN is neither counted nor judged.
    """
    short = filled([1.0] * (LEAST - 1) + [nan] * 50)
    assert (LEAST - 1, True) == (len(short), isnan(short.tail(1.0)))
    assert isnan(short.tail_of_distance(1.0))
    assert isnan(filled([1.0] * 50).tail(nan))
    assert isnan(short.baseline().median)


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=100), st.integers(1, 30))
def test_only_the_newest_values_are_kept(values, limit):
    """
    However many come, the last `limit` are held.
    """
    assert sorted(values[-limit:]) == sorted(filled(values, limit).values.tolist())


@given(st.lists(st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 3.0]), min_size=LEAST, max_size=60), st.floats(-4, 4))
def test_a_tail_is_a_count_of_what_is_held(values, asked):
    """
    Of values with many ties: those above by one, ties by a half; and the same of distances from the median.
    """
    asked = round(asked * 2) / 2

    def counted(held: np.ndarray, value: float) -> float:
        return (np.sum(held > value) + 0.5 * np.sum(held == value) + 0.5) / (len(held) + 1)

    held, history = np.array(values), filled(values)
    middle = float(np.median(held))
    assert (middle, counted(held, asked)) == (history.median, history.tail(asked))
    assert counted(abs(held - middle), abs(asked - middle)) == history.tail_of_distance(asked)


def test_a_ring_keeps_the_newest_prints_in_order():
    """
    Five of eight; one that follows too soon is passed over.
    """
    ring = Ring(5, 10)
    assert 0 == ring.last
    for ts in (10, 20, 25, 30, 40, 50, 60, 70):
        assert (ts != 25) == ring.add(ts, ts / 10, 1.0, 1.0, 1.0, 1.0)
    ts, values = ring.since(0)
    assert ([30, 40, 50, 60, 70], [3.0, 4.0, 5.0, 6.0, 7.0], 70) == (ts.tolist(), values[:, 0].tolist(), ring.last)
    assert [60, 70] == ring.since(60)[0].tolist()


def test_a_trend_is_the_median_slope():
    """
    100 falls by 1 an hour, with one wild reading: -24 a day on a median of 90; few readings have no trend.
    """
    trend = Trend()
    for hour in range(21):
        trend.add(hour * 3600 * NS, 1e6 if hour == 7 else 100.0 - hour)
    assert pytest.approx(-24 / 90, rel=0.05) == trend.per_day()
    young = Trend()
    young.add(0, 1.0)
    young.add(1, nan)
    assert isnan(young.per_day())
    assert np.isnan(Trend().per_day())
