"""Best bid and ask, levels and prints out of what ccxt makes of a venue's frames: the dicts die here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.ports import Level

Best = tuple[float, float, float, float]
"""Best bid, best ask, size at the bid, size at the ask."""

_INF: Final = float("inf")
_LARGEST: Final = sys.float_info.max
_DEEP: Final = 10
"""Levels of each side that must be numbers: one that is none breaks the order in which ccxt keeps the others."""


def read_book(book: object) -> Best | str:
    """(bid, ask, bid_size, ask_size) in quote currency and units, or the reason why there is none.

    Reasons: wrong_type, not_finite, not_positive, negative_size, crossed, and empty_side for a book in which nobody
    buys or nobody sells.
    """
    if not isinstance(book, Mapping):
        return "wrong_type"
    bids, asks = book.get("bids"), book.get("asks")
    for side in (bids, asks):
        trouble = _trouble(side)
        if trouble:
            return trouble
    if not bids or not asks:
        return "empty_side"
    bid, bid_size = bids[0][0], bids[0][1]
    ask, ask_size = asks[0][0], asks[0][1]
    if not bid < ask:
        return "crossed"
    return float(bid), float(ask), float(bid_size), float(ask_size)


def read_levels(side: Sequence[Any], count: int, unit: float) -> tuple[Level, ...]:
    """At most `count` levels (price, size) of one side, sizes times `unit`; ends before the first that is no level."""
    found: list[Level] = []
    for at in range(len(side)):
        if len(found) == count or _trouble(side[at : at + 1]):
            break
        price, size = float(side[at][0]), float(side[at][1])
        if size > 0.0:
            found.append((price, size * unit))
    return tuple(found)


def read_trade(trade: object) -> tuple[float, float, float, int] | str:
    """(price, size, +1 buyer or -1 seller took, venue's time in ns) of one print, or the reason why it is none.

    The side is NaN and the time 0 where the venue gives none.
    """
    if not isinstance(trade, Mapping):
        return "wrong_type"
    price, size = trade.get("price"), trade.get("amount")
    trouble = _trouble([[price, size]])
    if trouble:
        return trouble
    try:
        at = venue_time(trade)
    except (TypeError, ValueError, OverflowError):
        return "wrong_type"
    taker = {"buy": 1.0, "sell": -1.0}.get(str(trade.get("side")), float("nan"))
    return float(price), float(size), taker, at  # type: ignore[arg-type]  # judged above


def venue_time(book: Mapping[str, Any]) -> int:
    """The venue's own time of a book, ns UTC; 0 where it gives none. Raises TypeError for a time that is no number."""
    milliseconds = book.get("timestamp")
    if milliseconds is None:
        return 0
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        raise TypeError("the time of a book is no number")
    return int(milliseconds) * 1_000_000


def _trouble(side: object) -> str:
    """What is wrong with one side of a book; empty for nothing."""
    if not isinstance(side, Sequence) or isinstance(side, str):
        return "wrong_type"
    for at in range(min(_DEEP, len(side))):
        level = side[at]
        if not isinstance(level, Sequence) or isinstance(level, str) or len(level) < 2:
            return "wrong_type"
        price, size = level[0], level[1]
        if price.__class__ is not float or size.__class__ is not float:
            for number in (price, size):
                if isinstance(number, bool) or not isinstance(number, (int, float)):
                    return "wrong_type"
                if not -_LARGEST <= number <= _LARGEST:  # an integer may be larger than any float
                    return "not_finite"
        if not (0.0 < price < _INF and 0.0 <= size < _INF):
            if not (-_INF < price < _INF and -_INF < size < _INF):
                return "not_finite"
            return "negative_size" if price > 0.0 else "not_positive"
    return ""
