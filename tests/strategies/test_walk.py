"""The filter in time: the variance clock, shut sessions, and controls that carry a share through the night."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from bot.sessions import load_sessions
from strategies.market.fair import variance_clock
from strategies.market.filter import Filter, Premium, Witness
from strategies.market.walk import Walk

NS = 10**9
SESSIONS = load_sessions()
CLOCK = variance_clock(SESSIONS)
FRIDAY = 1_778_875_200 * NS
"""15 May 2026, 20:00 UTC: 16:00 New York, the close."""
MONDAY = 1_779_111_000 * NS
"""18 May, 13:30 UTC: the open."""
TIGHT = np.full(2, 1e-10)


def two(**more: object) -> Walk:
    """A share that moves 2 % a day and its index, which moves 1 %."""
    witnesses = [Witness(underlying=0), Witness(underlying=1)]
    return Walk(Filter(witnesses, [0.02, 0.01]), SESSIONS, CLOCK, **more)  # type: ignore[arg-type]


def test_a_weekend_costs_what_the_clock_says():
    """
    From close to open the variance grows by daily variance times the clock's days, in one step or by the hour.
    """
    for step in (MONDAY - FRIDAY, 3600 * NS):
        walk = two()
        walk.to(FRIDAY)
        walk.observe(np.array([6.0, 5.0]), TIGHT)
        before = walk.filter.value()[1][0]
        for moment in (*range(FRIDAY + step, MONDAY, step), MONDAY):
            walk.to(moment)
        days = CLOCK.at(MONDAY) - CLOCK.at(FRIDAY)
        assert pytest.approx(0.02**2 * days, rel=1e-9) == walk.filter.value()[1][0] - before


def test_a_premium_goes_further_while_the_share_is_shut():
    """
    Over a Saturday it comes to `shut` times its variance, on the Monday after it is back at its own.
    """
    premium = Premium(sd=0.002, half_life_s=600.0, shut=4.0)
    walk = Walk(Filter([Witness(underlying=0, group="a", premium=premium)], [0.02]), SESSIONS, CLOCK)
    spread = []
    for moment in (FRIDAY, FRIDAY + 24 * 3600 * NS, MONDAY):
        walk.to(moment)
        spread.append(float(walk.filter.premium()[1][0]) ** 0.5)
    assert pytest.approx([0.002, 0.004, 0.002], rel=1e-3) == spread


def test_a_control_carries_the_share():
    """
    With a beta of 1.5 an index that has risen by 1 % lifts a silent share by 1.5 %, and only what the index leaves
    open adds to its error.
    """
    walk = two(betas={0: {1: 1.5}}, explained={0: 0.6})
    walk.to(FRIDAY)
    walk.observe(np.array([6.0, 5.0]), TIGHT)
    before = walk.filter.value()[1][0]
    later = FRIDAY + 1800 * NS
    walk.to(later)
    walk.observe(np.array([nan, 5.01]), TIGHT)
    walk.to(later + 1)
    x, var = walk.filter.value()
    assert pytest.approx(6.015, abs=2e-4) == x[0]
    days = CLOCK.at(later) - CLOCK.at(FRIDAY)
    assert pytest.approx(0.4 * 0.02**2 * days, rel=1e-6) == var[0] - before


def test_a_control_that_fell_silent_explains_nothing():
    """
    After an hour without a print of the index the share's error grows as if there were none.
    """
    walk = two(betas={0: {1: 1.5}}, explained={0: 0.6})
    walk.to(FRIDAY)
    walk.observe(np.array([6.0, 5.0]), TIGHT)
    start = FRIDAY + 2 * 3600 * NS
    walk.to(start)
    before = walk.filter.value()[1][0]
    walk.to(start + 3600 * NS)
    days = CLOCK.at(start + 3600 * NS) - CLOCK.at(start)
    assert pytest.approx(0.02**2 * days, rel=1e-6) == walk.filter.value()[1][0] - before


def test_what_an_index_had_moved_before_the_share_closed_is_not_counted_twice():
    """
    While both print, the share's own prints decide: the value is the share's price, whatever its index does.
    """
    walk = two(betas={0: {1: 1.5}}, explained={0: 0.6})
    rng = np.random.default_rng(1)
    share, index = 6.0, 5.0
    for minute in range(60):
        walk.to(FRIDAY - 3600 * NS + minute * 60 * NS)
        moved = rng.normal(0, 1e-3)
        index, share = index + moved, share + rng.normal(0, 1e-3)
        walk.observe(np.array([share, index]), TIGHT)
    assert pytest.approx(share, abs=3e-4) == walk.filter.value()[0][0]


def test_beyond_the_table_nothing_is_known_and_time_never_goes_back():
    """
    After the last session of the table the value is forgotten; an earlier moment raises.
    """
    walk = two()
    walk.to(FRIDAY)
    walk.observe(np.array([6.0, 5.0]), TIGHT)
    with pytest.raises(ValueError, match="time goes back by 1 ns"):
        walk.to(FRIDAY - 1)
    walk.to(SESSIONS.until + NS)
    assert (True, inf) == (np.isnan(walk.filter.value()[0][0]), walk.filter.value()[1][0])
