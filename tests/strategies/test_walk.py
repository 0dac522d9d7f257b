"""The filter in time: the variance clock, shut sessions, and controls that carry a share through the night."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def two(beta: float | None = None, explained: float = 0.6) -> Walk:
    """A share that moves 2 % a day and its index, which moves 1 %."""
    witnesses = [Witness(underlying=0), Witness(underlying=1)]
    if beta is None:
        return Walk(Filter(witnesses, [0.02, 0.01]), SESSIONS, CLOCK)
    return Walk(Filter(witnesses, [0.02, 0.01], explained={0: explained}), SESSIONS, CLOCK, {0: {1: beta}})


def hear(walk: Walk, moment: int, *z: float) -> None:
    """Log prices of share and index at a moment; nan is no print."""
    walk.to(moment)
    walk.observe(np.array(z), np.full(len(z), 1e-10))


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
    With a beta of 1.5 an index that has risen by 20 bps lifts a silent share by 30, and only what the index leaves
    open adds to its error.
    """
    walk, later = two(1.5), FRIDAY + 1800 * NS
    hear(walk, FRIDAY, 6.0, 5.0)
    before = walk.filter.value()[1][0]
    hear(walk, later, nan, 5.002)
    x, var = walk.filter.value()
    assert pytest.approx(6.003, abs=1e-5) == x[0]
    assert pytest.approx(0.4 * 0.02**2 * (CLOCK.at(later) - CLOCK.at(FRIDAY)), rel=1e-3) == var[0] - before


def test_a_control_that_is_silent_takes_no_error_away_and_counts_when_it_is_back():
    """
    Over hours without a print of the index the share's error grows as if there were none; its next print, of Sunday
    evening, tells all of its move since the close.
    """
    walk, plain, sunday = two(1.5), two(), FRIDAY + 50 * 3600 * NS
    for one in (walk, plain):
        hear(one, FRIDAY, 6.0, 5.0)
        one.to(sunday)
    assert pytest.approx((plain.filter.value()[0][0], plain.filter.value()[1][0])) == (
        walk.filter.value()[0][0],
        walk.filter.value()[1][0],
    )
    hear(walk, sunday, nan, 4.99)
    x, var = walk.filter.value()
    assert pytest.approx(5.985, abs=1e-6) == x[0]
    assert pytest.approx(0.4, rel=1e-2) == var[0] / plain.filter.value()[1][0]


def test_what_the_share_has_said_itself_since_its_control_spoke_is_not_counted_twice():
    """
    Both fall by 1 %, the share prints it first: the index, an hour late, moves nothing.
    """
    walk = two(1.0)
    hear(walk, FRIDAY, 6.0, 5.0)
    hear(walk, FRIDAY + 3600 * NS, 5.99, nan)
    hear(walk, FRIDAY + 3600 * NS, nan, 4.99)
    assert pytest.approx(5.99, abs=1e-6) == walk.filter.value()[0][0]


def test_while_both_print_the_share_decides():
    """
    Its value is its own price, whatever its index does.
    """
    walk = two(1.5)
    rng = np.random.default_rng(1)
    share, index = 6.0, 5.0
    for minute in range(60):
        index, share = index + rng.normal(0, 1e-3), share + rng.normal(0, 1e-3)
        hear(walk, FRIDAY - 3600 * NS + minute * 60 * NS, share, index)
    assert pytest.approx(share, abs=2e-5) == walk.filter.value()[0][0]


def test_news_of_the_share_alone_does_not_take_its_control_along():
    """
    It falls by 10 % on its own; what the index does afterwards carries it on from there.
    """
    walk = two(1.5)
    hear(walk, FRIDAY, 6.0, 5.0)
    hear(walk, FRIDAY + 60 * NS, 5.9, 5.0)
    hear(walk, FRIDAY + 3600 * NS, nan, 5.001)
    assert pytest.approx(5.9 + 0.0015, abs=1e-5) == walk.filter.value()[0][0]


def test_controls_count_together_or_not_at_all():
    """
    Of two the share hears when both have spoken since it last did; their moves add up, each times its beta.
    """
    witnesses = [Witness(underlying=u) for u in range(3)]
    walk = Walk(Filter(witnesses, [0.02, 0.01, 0.03], explained={0: 0.6}), SESSIONS, CLOCK, {0: {1: 1.0, 2: 0.2}})
    hear(walk, FRIDAY, 6.0, 5.0, 4.0)
    hear(walk, FRIDAY + 600 * NS, nan, 5.001, nan)
    assert 6.0 == walk.filter.value()[0][0]
    hear(walk, FRIDAY + 601 * NS, nan, nan, 3.99)
    assert pytest.approx(6.0 + 0.001 - 0.002, abs=1e-5) == walk.filter.value()[0][0]


def test_an_absurd_price_of_a_control_moves_a_share_little():
    """
    One print of the index at twice its price pulls by no more than a few sigmas of the share, and is forgotten.
    """
    walk = two(1.5)
    for minute in range(5):
        hear(walk, FRIDAY + minute * 60 * NS, 6.0 if not minute else nan, 5.0)
    sigma = walk.filter.value()[1][0] ** 0.5
    hear(walk, FRIDAY + 300 * NS, nan, 5.7)
    assert abs(walk.filter.value()[0][0] - 6.0) < 6 * sigma
    hear(walk, FRIDAY + 360 * NS, 6.0, 5.0)
    hear(walk, FRIDAY + 420 * NS, nan, 5.0)
    assert pytest.approx(6.0, abs=2e-4) == walk.filter.value()[0][0]


def test_a_shock_of_the_index_carries_the_share_from_its_second_print_on():
    """
    The index falls by 3 % in a minute of the night: once it stands there the share is 4.5 % lower, with nobody else to
    ask; a token that still prints the old price is believed instead.
    """
    token = Witness(underlying=0, group="a", premium=Premium(sd=0.002, half_life_s=900.0))
    witnesses = [Witness(underlying=0), Witness(underlying=1), token]
    for told, worth in ((nan, 5.955), (6.0, 6.0)):
        walk = Walk(Filter(witnesses, [0.02, 0.01], explained={0: 0.6}), SESSIONS, CLOCK, {0: {1: 1.5}})
        hear(walk, FRIDAY, 6.0, 5.0, 6.0)
        for second in range(3600, 3660, 10):
            hear(walk, FRIDAY + second * NS, nan, 4.97, told)
        assert pytest.approx(worth, abs=2e-3) == walk.filter.value()[0][0]


def test_a_split_of_a_control_is_no_move():
    """
    Once its unit is known to be another one, the share learns anew where it stands.
    """
    walk = two(1.5)
    hear(walk, FRIDAY, 6.0, 5.0)
    walk.forget(1)
    hear(walk, FRIDAY + 60 * NS, nan, 4.3)
    assert pytest.approx(6.0, abs=1e-9) == walk.filter.value()[0][0]
    hear(walk, FRIDAY + 3600 * NS, nan, 4.301)
    assert pytest.approx(6.0015, abs=1e-5) == walk.filter.value()[0][0]


PRINTS = st.lists(
    st.tuples(st.integers(1, 7200), *(st.none() | st.floats(-0.03, 0.03) for _ in range(2))), min_size=1, max_size=20
)


@given(PRINTS)
def test_a_control_with_beta_zero_changes_nothing(prints):
    """
    Whatever is printed when: value and error are those of a filter without controls.
    """
    walks = [two(0.0), two()]
    for walk in walks:
        moment = FRIDAY
        hear(walk, moment, 6.0, 5.0)
        for seconds, share, index in prints:
            moment += seconds * NS
            hear(walk, moment, nan if share is None else 6.0 + share, nan if index is None else 5.0 + index)
    (x, var), (plain_x, plain_var) = (walk.filter.value() for walk in walks)
    np.testing.assert_array_equal(plain_x, x)
    np.testing.assert_array_equal(plain_var, var)


@given(PRINTS)
def test_what_controls_say_is_what_all_prints_together_say(prints):
    """
    The value is that of one Gaussian of all prints so far (least squares at once), whoever printed when.
    """
    walk, q, explained = two(1.5), 0.02**2, 0.6
    walk.filter.gate = walk.filter.together.bank.gate = inf
    hear(walk, FRIDAY, 6.0, 5.0)
    seen, moment = [(0.0, 0, 6.0, 1e-10), (0.0, 1, 7.5, 2.25e-10)], FRIDAY
    for seconds, share, index in prints:
        moment += seconds * NS
        days = CLOCK.at(moment) - CLOCK.at(FRIDAY)
        hear(walk, moment, nan if share is None else 6.0 + share, nan if index is None else 5.0 + index)
        if share is not None:
            seen.append((days, 0, 6.0 + share, 1e-10))
        if index is not None:
            level, var = (of[1] for of in walk.filter.value())
            seen.append((days, 1, 1.5 * level, 2.25 * var))
    end = CLOCK.at(moment) - CLOCK.at(FRIDAY)
    part = [[1.0, explained], [explained, explained]]

    def together(a: tuple[float, int], b: tuple[float, int]) -> float:
        start = 100.0 if a[1] == b[1] else 0.0  # nobody knows where either stands
        return start + part[a[1]][b[1]] * q * min(a[0], b[0])

    cov = np.array([[together(a[:2], b[:2]) + (a[3] if a is b else 0.0) for b in seen] for a in seen])
    with_x = np.array([together(a[:2], (end, 0)) for a in seen])
    gain = np.linalg.lstsq(cov, with_x, rcond=None)[0]
    assert pytest.approx(gain @ np.array([a[2] for a in seen]), abs=1e-5) == walk.filter.value()[0][0]


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
