"""Alpaca's REST answers, read: latest quotes, the market's clock and calendar, corporate actions.

Shapes after docs.alpaca.markets (2026): `GET /v2/stocks/quotes/latest`, `/v1/corporate-actions` on the data host,
`/v2/clock`, `/v2/calendar` on the trading host.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Final, TypeVar

import msgspec

from connectors.equity.alpaca_messages import Message
from connectors.equity.corporate import NEW_YORK, Action
from connectors.errors import BadMessage

T = TypeVar("T")

PRE, REGULAR, POST, OVERNIGHT, WEEKEND, HOLIDAY = range(6)
"""Session codes of SESSION rows."""

ACTION_TYPES: Final = "forward_split,reverse_split,stock_dividend,cash_dividend"
_PRE_FROM, _POST_TO = time(4), time(20)
_POST: Final = timedelta(hours=4)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)


class Clock(msgspec.Struct, frozen=True):
    """What `/v2/clock` says: whether the regular session is on now."""

    timestamp: datetime
    is_open: bool


class Day(msgspec.Struct, frozen=True):
    """A trading day of `/v2/calendar`, New York times."""

    date: date
    open: str
    close: str


class _Latest(msgspec.Struct, frozen=True):
    quotes: dict[str, msgspec.Raw]


class _Event(msgspec.Struct, frozen=True):
    symbol: str
    ex_date: date
    new_rate: float = 0.0
    old_rate: float = 0.0
    rate: float = 0.0


class _Events(msgspec.Struct, frozen=True):
    forward_splits: list[_Event] = []
    reverse_splits: list[_Event] = []
    stock_dividends: list[_Event] = []
    cash_dividends: list[_Event] = []


class _Actions(msgspec.Struct, frozen=True):
    corporate_actions: _Events
    next_page_token: str | None = None


def latest(body: bytes) -> dict[str, Message | str]:
    """The latest quote by symbol; in the place of one that cannot be read, why. Raises BadMessage."""
    found: dict[str, Message | str] = {}
    for symbol, raw in _read(body, _Latest).quotes.items():
        try:
            fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            found[symbol] = msgspec.json.decode(msgspec.json.encode({"T": "q", "S": symbol, **fields}), type=Message)
        except _UNREADABLE as error:
            found[symbol] = str(error)
    return found


def clock(body: bytes) -> Clock:
    """The market's clock. Raises BadMessage; also where its time has no zone."""
    answer = _read(body, Clock)
    if answer.timestamp.tzinfo is None:
        raise BadMessage("the clock's time has no zone")
    return answer


def calendar(body: bytes) -> dict[date, tuple[datetime, datetime]]:
    """Open and close of each trading day. Raises BadMessage."""
    days = {}
    for day in _read(body, list[Day]):
        try:
            opens, closes = (
                datetime.combine(day.date, time.fromisoformat(text), NEW_YORK) for text in (day.open, day.close)
            )
        except ValueError as error:
            raise BadMessage(f"a trading day from {day.open!r} to {day.close!r}") from error
        days[day.date] = (opens, closes)
    return days


def session_code(answer: Clock, days: Mapping[date, tuple[datetime, datetime]]) -> int:
    """The session that the venue's clock and calendar mean together, with the bounds that the rest of us use.

    A market that is shut between its open and close, or a weekday that is no trading day, is a HOLIDAY.
    """
    if answer.is_open:
        return REGULAR
    now = answer.timestamp.astimezone(NEW_YORK)
    day = now.date() + timedelta(days=now.time() >= _POST_TO)
    if day not in days:
        return WEEKEND if day.weekday() >= 5 else HOLIDAY
    opens, closes = days[day]
    if now.date() != day or now.time() < _PRE_FROM:
        return OVERNIGHT
    if now < opens:
        return PRE
    return POST if closes <= now < closes + _POST else HOLIDAY


def actions(body: bytes) -> tuple[list[Action], str]:
    """Splits and dividends of an answer, and the token of its next page. Raises BadMessage."""
    answer = _read(body, _Actions)
    events = answer.corporate_actions
    found = [
        Action(event.symbol, event.ex_date, event.new_rate / event.old_rate if event.old_rate else 0.0)
        for event in (*events.forward_splits, *events.reverse_splits)
    ]
    found += [Action(event.symbol, event.ex_date, 1.0 + event.rate) for event in events.stock_dividends]
    found += [Action(event.symbol, event.ex_date, cash_usd=event.rate) for event in events.cash_dividends]
    return found, answer.next_page_token or ""


def _read(body: bytes, kind: type[T]) -> T:
    """A body as what it should be. Raises BadMessage, with no more of the body than the decoder tells."""
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNREADABLE as error:
        raise BadMessage(f"not the answer that was asked for: {error}") from error
