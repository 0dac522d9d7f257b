"""A corporate action of a share as every source tells it, and the ACTION row that it becomes."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from connectors.events import NAN, Kind
from connectors.ports import Sink

NEW_YORK: Final = ZoneInfo("America/New_York")
_DAY_BEGINS: Final = time(20)
"""A trading day of 24/5 begins at 20:00 of the evening before; from then on prices may be those after the event."""


class Action(NamedTuple):
    """A split or a dividend of a share."""

    symbol: str
    ex_date: date
    """First day on which the share trades without it."""
    ratio: float = 1.0
    """New shares for one old: 10 for a 10:1 split, 0.1 for a 1:10 reverse split, 1.02 for a stock dividend of 2 %."""
    cash_usd: float = NAN
    """Per old share; NaN where none is paid."""


def ex_moment_s(ex_date: date) -> int:
    """Unix seconds of the moment from which the share may trade without it."""
    return int(datetime.combine(ex_date - timedelta(days=1), _DAY_BEGINS, NEW_YORK).timestamp())


def ex_date_of(moment: datetime) -> date:
    """The trading day, New York, that a moment belongs to."""
    there = moment.astimezone(NEW_YORK)
    return there.date() + timedelta(days=there.time() >= _DAY_BEGINS)


def flaw(action: Action) -> str:
    """What cannot be true about an action; empty where nothing."""
    if not 1990 <= action.ex_date.year <= 2100:
        return "a date of another century"
    if not 0.0 < action.ratio < 10_000.0:
        return f"a ratio of {action.ratio}"
    if action.cash_usd == action.cash_usd and not 0.0 < action.cash_usd < 1e6:
        return f"a dividend of {action.cash_usd} USD"
    if action.ratio == 1.0 and action.cash_usd != action.cash_usd:
        return "neither a ratio nor cash"
    return ""


def put(sink: Sink, venue: str, number: int, action: Action, *, by_hand: bool = False) -> None:
    """Tells an action as a row, or counts it where it cannot be true. Saying it again is no harm."""
    if wrong := flaw(action):
        sink.reject(venue, "bad_action", f"{action.symbol} {action.ex_date}: {wrong}")
        return
    ex_s = float(ex_moment_s(action.ex_date))
    sink.put(
        Kind.ACTION, number, bid=action.ratio, ask=ex_s, bid_size=action.cash_usd, ask_size=1.0 if by_hand else NAN
    )
