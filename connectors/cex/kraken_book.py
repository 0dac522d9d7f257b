"""A book of Kraken, whose every message carries a CRC32 over its ten best levels as they stand in the messages' text.

Source: Kraken's guides to the book checksum, websocket v1 and v2 (one rule: prices and quantities in full precision as
sent, without point and leading zeros, asks then bids, best first).
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from connectors.cex.ladder import Ladder, Side

CHECKED: Final = 10
"""Levels of each side under the checksum, at any depth of subscription."""

_INF: Final = float("inf")


class KrakenBook(Ladder):
    """A Ladder whose levels remember their digits; the checksum of a side that was not touched is not made again."""

    __slots__ = ("_asks_crc", "_bids_digits")

    def __init__(self) -> None:
        """An empty book."""
        super().__init__()
        self._asks_crc = 0
        self._bids_digits = b""

    def checksum(self) -> int:
        """CRC32 of the book as it is."""
        asks, bids = self.asks, self.bids
        if asks.touched < CHECKED:
            self._asks_crc = crc32(b"".join(asks.marks[:CHECKED]))
            asks.touched = CHECKED
        if bids.touched < CHECKED:
            self._bids_digits = b"".join(bids.marks[:CHECKED])
            bids.touched = CHECKED
        return crc32(self._bids_digits, self._asks_crc)


def change(side: Side, price_text: bytes, size_text: bytes) -> str:
    """Sets one level from its numbers as sent; gives the reason where they are none, and then nothing is changed.

    Reasons: wrong_type, not_finite, not_positive, negative_size.
    """
    try:
        price, size = float(price_text), float(size_text)
    except ValueError:
        return "wrong_type"
    if not (0.0 < price < _INF and 0.0 <= size < _INF):
        if not (-_INF < price < _INF and -_INF < size < _INF):
            return "not_finite"
        return "negative_size" if price > 0.0 else "not_positive"
    if size:
        digits = price_text.replace(b".", b"").lstrip(b"0") + size_text.replace(b".", b"").lstrip(b"0")
        side.set(price, size, digits)
    else:
        side.set(price, 0.0)
    return ""
