"""Past candles of any exchange that ccxt speaks to, as rows with one price, known at the end of each candle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from connectors.cex.instance import build
from connectors.cex.quirks import NONE, QUIRKS
from connectors.cex.rest import translated
from connectors.errors import BadMessage, DataError, SymbolUnknown
from connectors.events import Kind, Rows
from connectors.instruments import Role

_MS: Final = 1_000_000
_PAGES: Final = 10_000
"""More pages than any span needs; a source that never ends is stopped here."""


def candles(
    exchange: str,
    symbol: str,
    *,
    start_ns: int,
    end_ns: int,
    interval: str,
    role: Role,
    clock: Callable[[], int],
    url: str = "",
) -> tuple[Rows, dict[str, int]]:
    """Rows of instrument 0 for the candles that END in [start_ns, end_ns) and before now; and what was left out, why.

    A row is a QUOTE (an FX row for a coin) with bid = ask = close and the flag ONE_PRICE; ts_recv is the candle's end,
    since its close is not known earlier. Raises SymbolUnknown, VenueUnreachable, RateLimited, BadMessage; DataError
    where the exchange has no candle in the span.
    """
    import ccxt  # seconds to load

    if exchange not in ccxt.exchanges:
        raise SymbolUnknown("ccxt knows no such exchange", where=exchange, hint="its id, e.g. kraken, bybit, gate")
    quirk = QUIRKS.get(exchange, NONE)
    lane = quirk.lane(role)
    venue = build(getattr(ccxt, exchange), lane, quirk, (symbol,), url)
    venue.enableRateLimit = not url  # the exchange's own pace; another address is ours
    try:
        venue.load_markets(False, dict(lane.params))
        listed = _listed(venue, symbol, exchange)
        step_ms = venue.parse_timeframe(_interval(venue, interval, exchange)) * 1000
        found = _pages(venue, listed, interval, start_ns // _MS - step_ms, end_ns // _MS, step_ms, dict(lane.about))
    except ccxt.BaseError as error:
        raise translated(ccxt, error, exchange) from error
    finally:
        venue.session.close()
    return _rows(
        found,
        step_ms,
        start_ns,
        min(end_ns, clock() + 1),
        Kind.FX if role is Role.COIN else Kind.QUOTE,
        exchange,
        symbol,
    )


def _pages(
    venue: Any, symbol: str, interval: str, since: int, until: int, step: int, params: dict[str, Any]
) -> dict[int, list[Any]]:
    """All candles that open in [since, until), by their open (ms)."""
    found: dict[int, list[Any]] = {}
    for _ in range(_PAGES):
        page = venue.fetch_ohlcv(symbol, interval, since, None, params)
        new = {int(c[0]): c for c in page if since <= int(c[0]) < until and int(c[0]) not in found}
        found |= new
        last = max((int(c[0]) for c in page), default=0)
        if not new or last + step >= until:
            break
        since = last + step
    return found


def _rows(
    found: dict[int, list[Any]], step_ms: int, start_ns: int, end_ns: int, kind: Kind, exchange: str, symbol: str
) -> tuple[Rows, dict[str, int]]:
    """Candles as rows, in order; those without a trade or with a price that cannot be are left out and counted."""
    left = {"no trade in them": 0, "price is no positive number": 0, "not finished": 0}
    kept: list[tuple[int, float]] = []
    for opened in sorted(found):
        try:
            close, volume = float(found[opened][4]), float(found[opened][5] or 0)
        except (TypeError, ValueError, IndexError):
            raise BadMessage(f"no candle: {found[opened]!r}", where=f"{exchange} {symbol}") from None
        ended = (opened + step_ms) * _MS
        if ended < start_ns:
            continue
        if ended >= end_ns:
            left["not finished"] += 1
        elif volume == 0:
            left["no trade in them"] += 1
        elif not 0 < close < float("inf"):
            left["price is no positive number"] += 1
        else:
            kept.append((ended, close))
    if not kept:
        raise DataError(
            "no data: not one candle with a trade in this span",
            where=f"{exchange} {symbol}",
            hint="widen --from and --to",
        )
    return Rows.one_price(kept, kind), {reason: n for reason, n in left.items() if n}


def _listed(venue: Any, symbol: str, exchange: str) -> str:
    """The symbol in the exchange's own case. Raises SymbolUnknown, with near ones, where it is not listed."""
    folded = {name.casefold(): name for name in venue.symbols}
    if symbol.casefold() in folded:
        return str(folded[symbol.casefold()])
    near = [name for name in venue.symbols if name.casefold().startswith(symbol.casefold()[:3])][:8]
    raise SymbolUnknown(f"it does not list {symbol!r}", where=exchange, hint="near: " + (", ".join(near) or "none"))


def _interval(venue: Any, interval: str, exchange: str) -> str:
    """The interval, if the exchange has it. Raises SymbolUnknown with those that it has."""
    if interval in (venue.timeframes or {}):
        return interval
    raise SymbolUnknown(
        f"it has no {interval} candles", where=exchange, hint="it has: " + ", ".join(venue.timeframes or ())
    )
