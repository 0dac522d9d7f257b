"""The last price of a share through yfinance, for when Yahoo's stream is silent. Blocking: call it in a thread."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from connectors.errors import BadMessage, RateLimited, VenueUnreachable
from connectors.events import NS


class Bar(NamedTuple):
    """Close of the newest one-minute bar."""

    price: float
    ts: int
    """Start of the minute, ns UTC: the price is at most a minute younger."""


def last_bar(symbol: str, url: str = "") -> Bar | None:
    """The newest bar of the day, extended hours included; None where Yahoo has no quote (never a price out of nothing).

    `url` replaces the hosts of Yahoo. Raises RateLimited, VenueUnreachable or BadMessage.
    """
    import logging

    import curl_cffi.requests
    import yfinance
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

    # What it would log is raised to us as an error, and counted.
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    # By default yfinance answers an unreachable server with an empty table and a line in its log.
    yfinance.config.debug.hide_exceptions = False
    try:
        ticker = yfinance.Ticker(symbol, session=_redirected(curl_cffi.requests.Session, url) if url else None)
        table = ticker.history(period="1d", interval="1m", prepost=True, auto_adjust=False, timeout=10)
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
        raise VenueUnreachable(f"no answer: {type(error).__name__} {status or ''}".rstrip(), where=symbol) from error
    except Exception as error:
        raise BadMessage(f"{type(error).__name__}: {str(error)[:200]}", where=symbol) from error
    closes = table["Close"].dropna() if len(table) else table
    if not len(closes):
        return None
    return Bar(price=float(closes.iloc[-1]), ts=int(closes.index[-1].timestamp()) * NS)


def _redirected(base: Any, url: str) -> Any:
    """A session of curl_cffi that asks `url` for everything; yfinance passes these arguments by keyword."""

    class Redirected(base):  # type: ignore[misc]  # curl_cffi's session is generic over its answer
        """Requests go to another host, paths and queries as they are."""

        def request(self, method: str, url_: str = "", **rest: Any) -> Any:
            address = rest.pop("url", url_)
            return super().request(method, re.sub(r"^https?://[^/]+", url.rstrip("/"), address), **rest)

    return Redirected()
