"""What Yahoo says when asked through yfinance: the last price of a share, its splits and dividends of the day, and by
how much an exchange's prices are delayed. Blocking: call it in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from connectors.equity.corporate import Action, ex_date_of
from connectors.errors import BadMessage, EntitlementLost, RateLimited, VenueUnreachable
from connectors.events import NAN, NS


class Bar(NamedTuple):
    """Close of the newest one-minute bar."""

    price: float
    ts: int
    """Start of the minute, ns UTC: the price is at most a minute younger."""
    actions: tuple[Action, ...] = ()
    """Splits and dividends of the day."""


def load() -> None:
    """Imports yfinance, which takes seconds: before anything whose time is told."""
    import yfinance.data  # noqa: F401


def last_bar(symbol: str, url: str = "") -> Bar | None:
    """The newest bar of the day, extended hours included; None where Yahoo has no quote (never a price out of nothing).

    `url` replaces the hosts of Yahoo. Raises RateLimited, EntitlementLost, VenueUnreachable or BadMessage.
    """
    import yfinance

    def ask() -> Any:
        ticker = yfinance.Ticker(symbol, session=_session(url))
        return ticker.history(period="1d", interval="1m", prepost=True, auto_adjust=False, timeout=10)

    table = _asked(symbol, ask)
    if table is None or not len(table):
        return None
    closes = table["Close"].dropna()
    if not len(closes):
        return None
    price, ts = float(closes.iloc[-1]), int(closes.index[-1].timestamp()) * NS
    return Bar(price=price, ts=ts, actions=_actions(symbol, table))


def delays(symbols: Sequence[str], url: str = "") -> dict[str, float]:
    """By symbol: minutes by which its exchange's prices are delayed, by Yahoo's word; NaN where it says nothing, absent
    where it does not know the symbol.

    Raises as `last_bar`.
    """
    from yfinance.data import YfData

    def ask() -> Any:
        params = {"symbols": ",".join(symbols)}
        return YfData(session=_session(url)).get_raw_json(
            "https://query1.finance.yahoo.com/v7/finance/quote", params=params
        )

    answer = _asked(",".join(symbols), ask)
    try:
        quotes = answer["quoteResponse"]["result"] if answer else []
        return {str(q["symbol"]): float(q.get("exchangeDataDelayedBy", NAN)) for q in quotes}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadMessage(f"not a list of quotes: {type(error).__name__}", where="yahoo") from error


def _actions(symbol: str, table: Any) -> tuple[Action, ...]:
    """What the columns of splits and dividends hold; 0 is none."""
    found = []
    for name in ("Stock Splits", "Dividends"):
        if name not in table:
            continue
        for moment, value in table[name].items():
            if value == value and value != 0:
                day = ex_date_of(moment.to_pydatetime(warn=False))
                found.append(
                    Action(symbol, day, float(value))
                    if name == "Stock Splits"
                    else Action(symbol, day, cash_usd=float(value))
                )
    return tuple(found)


def _asked(symbol: str, ask: Callable[[], Any]) -> Any:
    """What yfinance answers; None where Yahoo does not know the symbol."""
    import logging

    import yfinance
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

    # What it would log is raised to us as an error, and counted.
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    # By default yfinance answers an unreachable server with an empty table and a line in its log.
    yfinance.config.debug.hide_exceptions = False
    try:
        return ask()
    except YFRateLimitError as error:
        raise RateLimited("Yahoo asks us to slow down", where=symbol) from error
    except YFTickerMissingError:
        return None
    except OSError as error:  # what curl_cffi raises is an OSError
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if status == 404:
            return None
        if status == 429:
            raise RateLimited("Yahoo asks us to slow down", where=symbol) from error
        if status in (401, 403):
            raise EntitlementLost(f"Yahoo answers {status}", where=symbol) from error
        raise VenueUnreachable(f"no answer: {type(error).__name__} {status or ''}".rstrip(), where=symbol) from error
    except Exception as error:
        raise BadMessage(f"{type(error).__name__}: {str(error)[:200]}", where=symbol) from error


def _session(url: str) -> Any:
    """yfinance's own session, or one that asks `url` for everything."""
    if not url:
        return None
    import curl_cffi.requests

    return _redirected(curl_cffi.requests.Session, url)


def _redirected(base: Any, url: str) -> Any:
    """A session of curl_cffi that asks `url` for everything; yfinance passes these arguments by keyword."""

    class Redirected(base):  # type: ignore[misc]  # curl_cffi's session is generic over its answer
        """Requests go to another host, paths and queries as they are."""

        def request(self, method: str, url_: str = "", **rest: Any) -> Any:
            address = rest.pop("url", url_)
            return super().request(method, re.sub(r"^https?://[^/]+", url.rstrip("/"), address), **rest)

    return Redirected()
