"""Fair value, first form: the variance clock, the error model, and whether one sigma covers what it says."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from math import inf, nan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sessions import load_sessions
from strategies.market.fair import (
    DEFAULT_DAILY_VOL_BPS,
    HOUR_NS,
    RATE_PER_NS,
    SESSION_DAYS_PER_HOUR,
    FairValue,
    fair_value,
    variance_clock,
)
from strategies.market.session import Session, SessionTable

HOURS = SessionTable(
    np.array([0, 8, 24]) * HOUR_NS,
    np.array([Session.REGULAR, Session.OVERNIGHT, Session.WEEKEND]),
    48 * HOUR_NS,
)
CLOCK = variance_clock(HOURS)
SPANS = ("regular day", "night", "weekend", "holiday")
AIM = (0.60, 0.76)


def value(**changed: float) -> FairValue | None:
    """A fair value from a sound quote of 100 USD, with some arguments changed."""
    arguments = {"bid": 99.9, "ask": 100.1, "source": 3, "as_of": 0, "now": 0, "clock": CLOCK}
    return fair_value(**arguments | {"daily_vol_bps": 200.0, "source_error_bps": 3.0} | changed)


def test_a_regular_session_is_one_day_of_variance():
    """
    The clock is normalised: 6.5 hours of regular session count one.
    """
    assert pytest.approx(1.0, rel=1e-12) == CLOCK.at(13 * HOUR_NS // 2)


def test_the_clock_adds_up_over_the_sessions_between():
    """
    From within regular to within weekend every session counts its hours at its own rate.
    """
    wanted = 3 / 6.5 + 16 * SESSION_DAYS_PER_HOUR[Session.OVERNIGHT] + 6 * SESSION_DAYS_PER_HOUR[Session.WEEKEND]
    assert pytest.approx(wanted, rel=1e-12) == CLOCK.at(30 * HOUR_NS) - CLOCK.at(5 * HOUR_NS)


def test_outside_the_table_the_clock_says_nothing():
    """
    NaN before the first and after the last edge; the end of the table itself still counts.
    """
    said = CLOCK.many(np.array([-1, 0, 48 * HOUR_NS, 48 * HOUR_NS + 1]))
    assert [True, False, False, True] == np.isnan(said).tolist()


@given(st.lists(st.integers(0, 48 * HOUR_NS), min_size=2, max_size=10).map(sorted))
def test_the_clock_never_runs_backwards(moments):
    """
    Later means not less variance, anywhere in the table.
    """
    assert all(before <= after for before, after in pairwise(CLOCK.many(np.array(moments))))


def test_every_known_session_lets_the_error_grow_and_the_unknown_one_has_no_bound():
    """
    No closed market is at rest: each of the six rates is above zero; UNKNOWN is infinite and fails closed.
    """
    assert np.all((RATE_PER_NS[: Session.UNKNOWN] > 0) & np.isfinite(RATE_PER_NS[: Session.UNKNOWN]))
    assert inf == RATE_PER_NS[Session.UNKNOWN]


def test_the_error_of_a_fresh_quote_is_its_source_and_its_spread():
    """
    At age zero: source error and half-spread over 1.5, in squares.
    """
    assert pytest.approx(sqrt(3**2 + (10 / 1.5) ** 2)) == value().error_bps
    assert pytest.approx(100 * sqrt(3**2 + (10 / 1.5) ** 2) / 1e4) == value().error


def test_after_a_regular_session_a_daily_volatility_is_added():
    """
    6.5 regular hours later the variance has grown by one daily volatility squared.
    """
    grown = value(now=13 * HOUR_NS // 2).error_bps ** 2 - value().error_bps ** 2
    assert pytest.approx(200.0**2) == grown


def test_a_premium_is_measured_in_sigmas():
    """
    A price two errors above the fair value lies two sigmas above it.
    """
    fair = value()
    assert pytest.approx(2.0) == fair.sigmas(fair.price + 2 * fair.error)


@pytest.mark.parametrize(
    "changed",
    [
        {"bid": 100.2},
        {"bid": nan},
        {"ask": nan},
        {"ask": inf},
        {"bid": 0.0},
        {"bid": -1.0},
        {"as_of": 1},
        {"now": 49 * HOUR_NS},
        {"as_of": -1},
        {"now": 40 * HOUR_NS, "max_error_bps": 100.0},
        {"now": 40 * HOUR_NS, "max_silence_days": 1.0},
        {"daily_vol_bps": nan},
        {"source_error_bps": nan},
        {"daily_vol_bps": inf, "now": 1},
    ],
)
def test_what_is_not_known_is_none(changed):
    """
    Crossed, absent, infinite, not positive, from the future, outside the table or too wide: no fair value, never an old one.
    """  # noqa: E501
    assert value(**changed) is None


@pytest.fixture(scope="module")
def fit(shared):
    """The script that fits the widths, as a module, and the shared folder."""
    path = Path(__file__).resolve().parents[2] / "scripts" / "fit_widths.py"
    spec = importlib.util.spec_from_file_location("fit_widths", path)
    module = sys.modules["fit_widths"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, shared


@pytest.fixture(scope="module")
def second_half(fit):
    """By class of span of the second half: absolute moves, the shipped model's sigmas, daily volatilities (bps)."""
    module, shared = fit
    found = module.coverage(shared, load_sessions(), RATE_PER_NS)
    return {kind: np.concatenate(blocks, axis=1) for kind, blocks in found.items()}


def test_one_sigma_covers_60_to_76_percent_of_the_second_half(second_half):
    """
    What was fitted on the first half covers the second as it should: over all, and in every class of span by itself.
    """
    moved, sigma, _ = np.concatenate([second_half[kind] for kind in SPANS], axis=1)
    assert 4000 < len(moved)
    assert AIM[0] <= np.mean(moved <= sigma) <= AIM[1]
    shares = {kind: float(np.mean(second_half[kind][0] <= second_half[kind][1])) for kind in SPANS}
    assert {} == {kind: share for kind, share in shares.items() if not AIM[0] <= share <= AIM[1]}


def test_within_a_day_one_sigma_is_honest_too(second_half):
    """
    At ages of 5 and 30 minutes and two hours one sigma covers not less than 60 %, and is not so wide that all is inside.
    """  # noqa: E501
    within = [second_half[kind] for kind in second_half if kind.endswith("min")]
    assert 3 == len(within)
    assert all(0.60 <= np.mean(moved <= sigma) <= 0.85 for moved, sigma, _ in within)


def test_closed_markets_at_rest_would_fail_the_coverage(fit):
    """
    The check has teeth: with no variance while the market is closed, far less than 60 % is covered.
    """
    module, shared = fit
    at_rest = np.where(np.arange(7) == Session.REGULAR, RATE_PER_NS, 0.0)
    found = module.coverage(shared, load_sessions(), at_rest)
    moved, sigma, _ = np.concatenate([np.concatenate(found[kind], axis=1) for kind in SPANS], axis=1)
    assert np.mean(moved <= sigma) < 0.45


@pytest.mark.parametrize("daily_sigmas", [0.3, 0.6, 0.85, 1.0, 1.5])
def test_no_constant_width_would_pass_in_every_class(second_half, daily_sigmas):
    """
    A width that ignores age and session misses the aim in some class, however it is chosen.
    """
    kinds = (*SPANS, "regular 30 min")
    shares = [np.mean(second_half[kind][0] <= daily_sigmas * second_half[kind][2]) for kind in kinds]
    assert not all(AIM[0] <= share <= AIM[1] for share in shares)


def test_the_shipped_numbers_are_those_of_the_fit(fit, capsys):
    """
    Running the fit again on the first half gives the shipped rates and volatilities, to the digits shipped.
    """
    module, shared = fit
    table = load_sessions()
    first = [module.daily_spans(shared, symbol, table).half(first=True) for symbol in module.DAILY]
    rates = module.fit(first, module.night_shape(shared, table), table)
    assert {s: round(SESSION_DAYS_PER_HOUR[s], 4) for s in rates} == {s: round(rates[s], 4) for s in rates}
    assert {spans.symbol: float(round(module.daily_vol(spans))) for spans in first} == DEFAULT_DAILY_VOL_BPS
