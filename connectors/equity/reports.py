"""Chainlink Data Streams reports, read: words of 32 bytes by hand, no ABI library.

A full report is `(bytes32[3] context, bytes report, ...)`; the report's first word is the id of its feed, whose first
two bytes are the version of its schema:

    v10  feed id, valid from, observed, 2 fees, expires, last update ns, price, market status, current multiplier,
         new multiplier, activation s, tokenized price
    v11  feed id, valid from, observed, 2 fees, expires, mid, last seen ns (of mid only), bid, bid volume, ask,
         ask volume, last trade, market status

Prices, volumes and multipliers have 18 decimals. Source: docs.chain.link, report schemas v10 and v11 (2026).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from connectors.errors import BadMessage

WORD: Final = 32
MAX_BYTES: Final = 1 << 16
_UNIT: Final = Decimal(1).scaleb(-18)
_LENGTHS: Final = {10: 13, 11: 14}


class Tokenized(NamedTuple):
    """A v10 report: the share's last price, the token's price on exchanges, and its multiplier. Absent is 0."""

    feed_id: str
    observed_s: int
    updated_ns: int
    price: float
    """Of the share; it stands still while the market is closed."""
    status: int
    """0 unknown, 1 closed, 2 open, 3 halted."""
    multiplier: float
    new_multiplier: float
    activation_s: int
    tokenized: float


class Advanced(NamedTuple):
    """A v11 report: the share's quote and the status of its market. Absent prices are 0."""

    feed_id: str
    observed_s: int
    mid: float
    seen_ns: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    last: float
    status: int
    """24/5 streams: 0 unknown, 1 pre, 2 regular, 3 post, 4 overnight, 5 closed; others: 1 closed, 2 open."""


def decode(text: str) -> Tokenized | Advanced:
    """The report in a `fullReport`, hex with or without 0x. Raises BadMessage for what is none."""
    if len(text) > 2 * MAX_BYTES:
        raise BadMessage(f"a report of {len(text)} digits")
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise BadMessage("a report that is not hex") from error
    at = _word(data, 3)
    if at % WORD or at + WORD > len(data):
        raise BadMessage("the report stands outside of its frame")
    length = int.from_bytes(data[at : at + WORD])
    blob = data[at + WORD : at + WORD + length]
    if length != len(blob):
        raise BadMessage("the report is shorter than it says")
    version = int.from_bytes(blob[:2])
    if version not in _LENGTHS:
        raise BadMessage(f"a report of schema {version}")
    if len(blob) != _LENGTHS[version] * WORD:
        raise BadMessage(f"a report of schema {version} with {len(blob)} bytes")
    feed_id = "0x" + blob[:WORD].hex()
    observed = _whole(blob, 2, 32)
    if version == 10:
        return Tokenized(
            feed_id=feed_id,
            observed_s=observed,
            updated_ns=_whole(blob, 6, 64),
            price=_real(blob, 7),
            status=_whole(blob, 8, 32),
            multiplier=_real(blob, 9),
            new_multiplier=_real(blob, 10),
            activation_s=_whole(blob, 11, 32),
            tokenized=_real(blob, 12),
        )
    return Advanced(
        feed_id=feed_id,
        observed_s=observed,
        mid=_real(blob, 6),
        seen_ns=_whole(blob, 7, 64),
        bid=_real(blob, 8),
        bid_size=_real(blob, 9),
        ask=_real(blob, 10),
        ask_size=_real(blob, 11),
        last=_real(blob, 12),
        status=_whole(blob, 13, 32),
    )


def _word(data: bytes, number: int) -> int:
    """The n-th word as an unsigned number. Raises BadMessage where there is none."""
    if len(data) < (number + 1) * WORD:
        raise BadMessage("the report is too short")
    return int.from_bytes(data[number * WORD : (number + 1) * WORD])


def _whole(data: bytes, number: int, bits: int) -> int:
    """An unsigned number of so many bits. Raises BadMessage where it has more."""
    value = _word(data, number)
    if value >> bits:
        raise BadMessage(f"word {number} has more than {bits} bits")
    return value


def _real(data: bytes, number: int) -> float:
    """An int192 with 18 decimals. Raises BadMessage where it is out of its range."""
    value = int.from_bytes(data[number * WORD : (number + 1) * WORD], signed=True)
    if not -(1 << 191) <= value < 1 << 191:
        raise BadMessage(f"word {number} is no int192")
    return float(value * _UNIT)
