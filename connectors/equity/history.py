"""Past share prices from Yahoo, as reference rows with one price, known at the end of each bar."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from connectors.errors import BadMessage, ConnectorError, DataError, RateLimited, VenueUnreachable
from connectors.events import NS, Kind, Rows

_LENGTH_S: Final = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600}
_CLOSE: Final = timedelta(hours=16)
"""A daily bar is known at the regular close, 16:00 of its own market (on a half day that is late, never early)."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def bars(
    symbol: str,
    *,
    start_ns: int,
    end_ns: int,
    interval: str,
    clock: Callable[[], int],
    url: str = "",
) -> tuple[Rows, dict[str, int]]:
    """REFERENCE rows of instrument 0 for the bars that END in [start_ns, end_ns) and before now; what was left out.

    Regular session only, split-adjusted closes, not adjusted for dividends. Raises DataError where Yahoo has no data
    (in its own words where it gives some), VenueUnreachable, RateLimited, BadMessage.
    """
    frame = _frame(symbol, start_ns, end_ns, interval, url)
    left = {"no trade in them": 0, "price is no positive number": 0, "not finished": 0}
    kept: list[tuple[int, float]] = []
    until = min(end_ns, clock() + 1)
    for opened, close, volume in zip(frame.index, frame["Close"], frame["Volume"], strict=True):
        ended = _end_ns(opened.to_pydatetime(warn=False), interval)
        if ended < start_ns:
            continue
        if ended >= until:
            left["not finished"] += 1
        elif not volume > 0:
            left["no trade in them"] += 1
        elif not 0 < close < float("inf"):
            left["price is no positive number"] += 1
        else:
            kept.append((ended, float(close)))
    if not kept:
        raise DataError("no data: not one bar with a trade in this span", where=f"yahoo {symbol}", hint=_SPANS)
    return Rows.one_price(sorted(kept), Kind.REFERENCE), {reason: n for reason, n in left.items() if n}


_SPANS: Final = "Yahoo keeps 1m bars for 7 days, other minutes for 60 days, 1h for 2 years, 1d for ever"


def _end_ns(opened: datetime, interval: str) -> int:
    """When a bar is known, ns UTC."""
    if interval == "1d":
        # Wall clock arithmetic within the market's own day: the zone turns 16:00 into the right moment.
        ended = opened.replace(hour=0, minute=0, second=0, microsecond=0) + _CLOSE
    else:
        ended = opened + timedelta(seconds=_LENGTH_S[interval])
    since = ended.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS


def _frame(symbol: str, start_ns: int, end_ns: int, interval: str, elsewhere: str) -> Any:
    """Yahoo's answer as a table; an empty or missing one is an error here, never a price."""
    import yfinance
    from curl_cffi.requests import Session
    from curl_cffi.requests.exceptions import RequestException
    from yfinance import exceptions
    from yfinance.data import YfData

    class Redirected(Session):  # type: ignore[type-arg]  # generic over its response
        """A session whose requests go to another host; path and query stay."""

        def request(self, method: Any, url: str, *args: Any, **options: Any) -> Any:
            """As Session.request."""
            target, base = urlsplit(url), urlsplit(elsewhere)
            moved = urlunsplit((base.scheme, base.netloc, target.path, target.query, ""))
            return super().request(method, moved, *args, **options)

    # Otherwise a dead network looks like a delisted share: an empty table and a log line.
    yfinance.config.debug.hide_exceptions = False
    # And a first answer, "there is no such share" too, is kept for the life of the process.
    YfData.cache_get.cache_clear()
    where = f"yahoo {symbol}"
    try:
        with warnings.catch_warnings():
            # yfinance calls pandas in ways that pandas warns about; nothing that our reader could change.
            warnings.simplefilter("ignore")
            ticker = yfinance.Ticker(symbol, session=Redirected() if elsewhere else None)
            frame = ticker.history(
                # A day early: Yahoo counts daily bars by date.
                start=_EPOCH + timedelta(seconds=start_ns // NS - 86_400),
                end=_EPOCH + timedelta(seconds=end_ns // NS + 1),
                interval=interval,
                auto_adjust=False,
                actions=False,
            )
    except exceptions.YFRateLimitError as error:
        raise RateLimited(str(error), where=where, hint="wait some minutes") from error
    except (exceptions.YFTzMissingError, exceptions.YFPricesMissingError) as error:
        raise DataError(f"no data: {error}", where=where, hint=_SPANS) from error
    except (RequestException, OSError) as error:
        if getattr(getattr(error, "response", None), "status_code", 0) == 429:
            raise RateLimited("Yahoo asks us to slow down", where=where, hint="wait some minutes") from error
        raise VenueUnreachable(f"{type(error).__name__}: {str(error)[:200]}", where="yahoo") from error
    except Exception as error:  # yfinance lets whatever a surprising answer breaks come through
        raise _surprise(error, where) from error
    if frame is None or frame.empty:
        raise DataError("no data: Yahoo answered with an empty table", where=where, hint=_SPANS)
    return frame


def _surprise(error: Exception, where: str) -> ConnectorError:
    """An answer that yfinance could not read."""
    return BadMessage(f"yfinance cannot read the answer ({type(error).__name__}: {str(error)[:200]})", where=where)
