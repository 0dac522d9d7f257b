"""Yahoo's `PricingData` message, read without protobuf or yfinance: the fields that a quote needs.

Field numbers and types are those of the message definition that yfinance 1.7.0 ships (yfinance/pricing.proto); the wire
format is the public one of Protocol Buffers. A number is 32 bits wide on the wire, so a price is known to about seven
digits: it is given as the shortest decimal that means the same 32 bits (433.81, not 433.80999755859375), which is off
by less than 0.001 bps of what the exchange printed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from connectors.errors import BadMessage
from connectors.events import NAN

MARKET_HOURS: Final = {0: "pre", 1: "regular", 2: "post", 3: "extended"}
"""What Yahoo's `market_hours` means; other codes have no name here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """One price message; absent prices are NaN. Sizes are as sent: Yahoo does not say whether in shares or in lots."""

    id: str = ""
    price: float = NAN
    time_ms: int = 0
    currency: str = ""
    exchange: str = ""
    quote_type: int = 0
    market_hours: int = 0
    bid: float = NAN
    bid_size: int = 0
    ask: float = NAN
    ask_size: int = 0
    price_hint: int = 0


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TEXT, _FLOAT, _INT, _SIGNED = "text", "float", "int", "signed"
_WIRE: Final = {_TEXT: _BYTES, _FLOAT: _FIXED32, _INT: _VARINT, _SIGNED: _VARINT}
_FIELDS: Final = {
    1: ("id", _TEXT),
    2: ("price", _FLOAT),
    3: ("time_ms", _SIGNED),
    4: ("currency", _TEXT),
    5: ("exchange", _TEXT),
    6: ("quote_type", _INT),
    7: ("market_hours", _INT),
    23: ("bid", _FLOAT),
    24: ("bid_size", _SIGNED),
    25: ("ask", _FLOAT),
    26: ("ask_size", _SIGNED),
    27: ("price_hint", _SIGNED),
}


def decode(data: bytes) -> Pricing:
    """A message from its bytes; other fields are skipped. Raises BadMessage for bytes that are no such message."""
    values: dict[str, str | float | int] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        raw: int | bytes
        if wire == _VARINT:
            raw, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64, _BYTES):
            size = {_FIXED32: 4, _FIXED64: 8}.get(wire, 0)
            if wire == _BYTES:
                size, at = _varint(data, at)
            raw, at = data[at : at + size], at + size
            if at > len(data):
                raise BadMessage("a field is longer than the message")
        else:
            raise BadMessage(f"no such wire type: {wire}")
        if number in _FIELDS:
            name, kind = _FIELDS[number]
            if wire != _WIRE[kind]:
                raise BadMessage(f"{name} has the wire type {wire}")
            values[name] = _value(kind, raw)
    return Pricing(**values)  # type: ignore[arg-type]  # the table above gives each field its type


def _value(kind: str, raw: int | bytes) -> str | float | int:
    """One field; a signed number is zigzag-coded, an unsigned one is 32 bits wide."""
    if isinstance(raw, int):
        return (raw >> 1) ^ -(raw & 1) if kind == _SIGNED else raw & 0xFFFFFFFF
    if kind == _FLOAT:
        return float(str(np.float32(struct.unpack("<f", raw)[0])))
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadMessage("a text is not UTF-8") from error


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, and the place after it; at most ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BadMessage("the message ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise BadMessage("a number of more than ten bytes")
