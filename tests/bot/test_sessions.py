"""The shipped session table against the calendar library and the definitions."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pandas_market_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sessions import load_sessions
from connectors.events import NS
from strategies.market.session import Session

# The calendar library still calls names that pandas will drop; that is its upkeep, not ours.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed:pandas.errors.Pandas4Warning")

NEW_YORK = ZoneInfo("America/New_York")
TABLE = load_sessions()


def ns(text: str) -> int:
    """Nanoseconds of a New York wall time such as `2026-11-27 13:00:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * NS


@pytest.fixture(scope="module")
def schedule() -> pd.DataFrame:
    """Every trading day of the table with pre, open, close and post, as the library has it."""
    return pandas_market_calendars.get_calendar("NYSE").schedule("2013-01-01", "2028-12-31")


def test_every_open_and_close_is_the_library_s(schedule):
    """
    The regular spans of the table are, to the nanosecond, the opens and closes of all trading days.
    """
    regular = np.flatnonzero(TABLE.codes == Session.REGULAR)
    assert [
        schedule["market_open"].to_numpy("datetime64[ns]").astype(np.int64).tolist(),
        schedule["market_close"].to_numpy("datetime64[ns]").astype(np.int64).tolist(),
    ] == [TABLE.starts[regular].tolist(), TABLE.starts[regular + 1].tolist()]


def test_every_weekday_without_trading_is_a_holiday_from_the_evening_before(schedule):
    """
    A full holiday lasts from 20:00 of the day before to 20:00 of the day; nothing else is a full holiday.
    """
    trading = {at.date() for at in schedule.index}
    weekdays = [at.date() for at in pd.bdate_range("2013-01-01", "2028-12-31")]
    closed = [day for day in weekdays if day not in trading]
    evenings = [ns(f"{day - timedelta(days=1)} 20:00:00") for day in closed]
    ends = [ns(f"{day} 20:00:00") - 1 for day in closed]
    noons = [TABLE.at(ns(f"{day} 12:00:00")) is Session.HOLIDAY for day in weekdays]
    assert [day not in trading for day in weekdays] == noons
    assert {int(Session.HOLIDAY)} == set(TABLE.codes_at(np.array(evenings + ends)).tolist())


def test_every_trading_day_has_its_four_sessions(schedule):
    """
    Overnight, pre, regular and post follow each other at 20:00, 04:00, open and close, and post lasts four hours.
    """
    days = [at.date() for at in schedule.index]
    closes = schedule["market_close"].to_numpy("datetime64[ns]").astype(np.int64)
    edges = {
        Session.OVERNIGHT: [ns(f"{day - timedelta(days=1)} 20:00:00") for day in days],
        Session.PRE: [ns(f"{day} 04:00:00") for day in days],
        Session.POST: closes.tolist(),
    }
    ends = {Session.OVERNIGHT: edges[Session.PRE], Session.POST: (closes + 4 * 3600 * NS).tolist()}
    for session, starts in edges.items():
        assert starts == TABLE.starts[TABLE.codes == session].tolist()
    for session, stops in ends.items():
        assert stops == TABLE.starts[np.flatnonzero(session == TABLE.codes) + 1].tolist()


@pytest.mark.parametrize(
    ("wall", "session"),
    [
        ("2026-08-21 15:59:59", Session.REGULAR),
        ("2026-08-21 16:00:00", Session.POST),
        ("2026-08-21 19:59:59", Session.POST),
        ("2026-08-21 20:00:00", Session.WEEKEND),
        ("2026-08-23 19:59:59", Session.WEEKEND),
        ("2026-08-23 20:00:00", Session.OVERNIGHT),
        ("2026-08-24 03:59:59", Session.OVERNIGHT),
        ("2026-08-24 04:00:00", Session.PRE),
        ("2026-08-24 09:29:59", Session.PRE),
        ("2026-08-24 09:30:00", Session.REGULAR),
        # Labor Day, a Monday: the weekend stays weekend until Sunday 20:00
        ("2026-09-06 19:59:59", Session.WEEKEND),
        ("2026-09-06 20:00:00", Session.HOLIDAY),
        ("2026-09-07 19:59:59", Session.HOLIDAY),
        ("2026-09-07 20:00:00", Session.OVERNIGHT),
        # Good Friday: holiday from Thursday 20:00, then the weekend
        ("2026-04-02 19:59:59", Session.POST),
        ("2026-04-02 20:00:00", Session.HOLIDAY),
        ("2026-04-03 19:59:59", Session.HOLIDAY),
        ("2026-04-03 20:00:00", Session.WEEKEND),
        # the day after Thanksgiving closes at 13:00
        ("2026-11-27 12:59:59", Session.REGULAR),
        ("2026-11-27 13:00:00", Session.POST),
        ("2026-11-27 16:59:59", Session.POST),
        ("2026-11-27 17:00:00", Session.HOLIDAY),
        ("2026-11-27 20:00:00", Session.WEEKEND),
        # Christmas Eve closes early and runs into the holiday
        ("2026-12-24 17:00:00", Session.HOLIDAY),
        ("2026-12-24 20:00:00", Session.HOLIDAY),
        ("2018-12-05 12:00:00", Session.HOLIDAY),
    ],
)
def test_the_definitions_hold_to_the_second(wall, session):
    """
    Ordinary days, a Monday holiday, a Friday holiday, early closes and a day of mourning, around each edge.
    """
    assert session is TABLE.at(ns(wall))


@pytest.mark.parametrize(
    ("utc", "session"),
    [
        ("2026-03-06T14:29:59", Session.PRE),
        ("2026-03-06T14:30:00", Session.REGULAR),
        ("2026-03-09T13:29:59", Session.PRE),
        ("2026-03-09T13:30:00", Session.REGULAR),
        ("2026-10-30T20:00:00", Session.POST),
        ("2026-11-02T20:59:59", Session.REGULAR),
        ("2026-11-02T21:00:00", Session.POST),
    ],
)
def test_a_change_of_the_clock_moves_the_sessions_in_utc(utc, session):
    """
    From Friday to Monday the open moves by an hour in UTC when New York changes its clock.
    """
    assert session is TABLE.at(int(datetime.fromisoformat(utc + "+00:00").timestamp()) * NS)


def test_outside_its_years_the_table_knows_nothing():
    """
    The table covers 2013 to 2028; before and after it every moment is UNKNOWN.
    """
    first, last = ns("2012-12-31 20:00:00"), ns("2028-12-31 20:00:00")
    assert (first, last) == (int(TABLE.starts[0]), TABLE.until)
    assert [Session.UNKNOWN, Session.HOLIDAY, Session.WEEKEND, Session.UNKNOWN] == [
        TABLE.at(moment) for moment in (first - 1, first, last - 1, last)
    ]


@given(st.lists(st.integers(ns("2012-01-01 00:00:00"), ns("2029-12-31 00:00:00")), max_size=20))
def test_the_shipped_table_answers_alike_one_by_one_and_at_once(moments):
    """
    `codes_at` is `at`, also near the edges of the shipped table; the next change really changes the session.
    """
    assert [TABLE.at(moment) for moment in moments] == TABLE.codes_at(np.array(moments, dtype=np.int64)).tolist()
    changes = [TABLE.next_change(moment) for moment in moments if moment < TABLE.until]
    assert all(TABLE.at(change) is not TABLE.at(change - 1) for change in changes)
