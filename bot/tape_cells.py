"""Cells of a table as exact times and numbers: columns of a CSV (text) or of a Parquet file (typed), a batch at a time.

What cannot be read is told apart from what is not there; nothing is repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.events import F8, I8, NS

Bools = npt.NDArray[np.bool_]

EARLIEST_NS: Final = 946_684_800 * NS
"""2000-01-01; an earlier time is a mistake of unit or of the source."""
LATEST_NS: Final = 4_102_444_800 * NS
"""2100-01-01; a time at or after it is one too."""

_PER_UNIT: Final = {"unix_s": NS, "unix_ms": 1_000_000, "unix_ns": 1}
_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?)?"
)
_UNREADABLE: Final = object()


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column as numbers."""

    values: F8
    empty: Bools
    """The cell is not there; its value is NaN."""
    unreadable: Bools
    """There is something, but it is no number; its value is NaN."""


@dataclass(frozen=True, slots=True)
class Times:
    """A column as ns UTC."""

    values: I8
    empty: Bools
    unreadable: Bools
    outside: Bools
    """Before 2000 or not before 2100."""

    @property
    def good(self) -> Bools:
        """Where there is a time that can be used."""
        good: Bools = ~(self.empty | self.unreadable | self.outside)
        return good


def is_text(column: pa.Array) -> bool:
    """Whether the cells are text."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def numbers(column: pa.Array) -> Numbers:
    """Any column as float64, correctly rounded."""
    size = len(column)
    if is_text(column):
        empty = _blank(column)
        try:
            values = _floats(pc.if_else(pa.array(empty), pa.scalar(None, column.type), column).cast(pa.float64()))
            return Numbers(values, empty, np.zeros(size, np.bool_))
        except pa.ArrowInvalid:
            cells = [_number(cell) for cell in _texts(column)]
            values = np.array([np.nan if cell is _UNREADABLE or cell is None else cell for cell in cells], np.float64)
            return Numbers(values, empty, np.array([cell is _UNREADABLE for cell in cells], np.bool_))
    empty = np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
    if pa.types.is_temporal(column.type) or pa.types.is_nested(column.type):
        return Numbers(np.full(size, np.nan), empty, ~empty)
    try:
        return Numbers(_floats(column.cast(pa.float64(), safe=False)), empty, np.zeros(size, np.bool_))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return Numbers(np.full(size, np.nan), empty, ~empty)


def times(column: pa.Array, form: str, offset_ns: int) -> Times:
    """Any column as ns UTC plus an offset, exact to the ns; what is finer than a ns is cut off.

    `form` is iso8601 (a time without a zone is UTC), unix_s, unix_ms or unix_ns. A Parquet column of timestamps is
    taken as it is.
    """
    if pa.types.is_timestamp(column.type):
        empty = np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
        per = {"s": NS, "ms": 1_000_000, "us": 1000, "ns": 1}[column.type.unit]
        raw = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return _scaled(raw, per, offset_ns, empty)
    if not is_text(column):
        empty = np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
        if form != "iso8601" and pa.types.is_integer(column.type):
            raw = column.cast(pa.int64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
            return _scaled(raw, _PER_UNIT[form], offset_ns, empty)
        column = pa.array([None if cell is None else str(cell) for cell in column.to_pylist()], pa.string())
    empty = _blank(column)
    present = pc.if_else(pa.array(empty), pa.scalar(None, column.type), column)
    targets = [pa.timestamp("ns", "UTC"), pa.timestamp("ns")] if form == "iso8601" else [pa.int64()]
    for target in targets:
        try:
            raw = present.cast(target).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            continue
        return _scaled(raw, 1 if form == "iso8601" else _PER_UNIT[form], offset_ns, empty)
    exact = [_iso_ns(cell) if form == "iso8601" else _unix_ns(cell, _PER_UNIT[form]) for cell in _texts(column)]
    unreadable = np.array([cell is None for cell in exact], np.bool_) & ~empty
    whole = [0 if cell is None else cell + offset_ns for cell in exact]
    outside = np.array([not EARLIEST_NS <= cell < LATEST_NS for cell in whole], np.bool_) & ~empty & ~unreadable
    values = np.array([EARLIEST_NS if out else cell for cell, out in zip(whole, outside, strict=True)], np.int64)
    return Times(values, empty, unreadable, outside)


def flags(column: pa.Array) -> tuple[Bools, Bools]:
    """A yes-or-no column as (yes, unreadable). An empty cell is no."""
    said = [str(cell).strip().casefold() for cell in _texts(column)]
    yes = np.array([word in _YES for word in said], np.bool_)
    known = np.array([word in _YES or word in _NO for word in said], np.bool_)
    return yes, ~known


def equal(column: pa.Array, wanted: str | bool | int | float) -> Bools:
    """Where a column's cell is `wanted`: numbers by value (`0` finds `0.0`), text letter by letter."""
    if isinstance(wanted, bool):
        yes, unreadable = flags(column)
        same: Bools = (yes == wanted) & ~unreadable & ~_blank(column)
        return same
    if isinstance(wanted, int | float):
        same = numbers(column).values == wanted
        return same
    text = column if is_text(column) else column.cast(pa.string())
    return np.asarray(pc.fill_null(pc.equal(text, wanted), False).to_numpy(zero_copy_only=False), np.bool_)


_YES: Final = {"true", "1", "1.0", "yes", "y", "t", "halted", "halt"}
_NO: Final = {"false", "0", "0.0", "no", "n", "f", "", "none", "trading"}


def _scaled(raw: npt.NDArray[Any], per: int, offset_ns: int, empty: Bools) -> Times:
    """Integers of a unit as times. The range is checked in the unit, before multiplying could overflow."""
    raw = raw.astype(np.int64, copy=False)
    low, high = -(-(EARLIEST_NS - offset_ns) // per), -(-(LATEST_NS - offset_ns) // per)
    outside = ((raw < low) | (raw >= high)) & ~empty
    values = np.where(outside | empty, low, raw) * per + offset_ns
    return Times(values, empty, np.zeros(len(raw), np.bool_), outside)


def _blank(column: pa.Array) -> Bools:
    """Where a cell is null or has nothing but space."""
    if not is_text(column):
        return np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
    blank = pc.fill_null(pc.equal(pc.binary_length(pc.ascii_trim_whitespace(column)), 0), True)
    return np.asarray(blank.to_numpy(zero_copy_only=False), np.bool_)


def _texts(column: pa.Array) -> list[str]:
    """The cells as text; what is not UTF-8 becomes escapes, so that it fails as a value and not as a crash."""
    if not is_text(column):
        return ["" if cell is None else str(cell) for cell in column.to_pylist()]
    raw = column.cast(pa.binary())
    return ["" if cell is None else cell.decode("utf-8", "backslashreplace") for cell in raw.to_pylist()]


def _floats(column: pa.Array) -> F8:
    """float64 with NaN for null."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _number(text: str) -> Any:
    """A float, None for an empty cell, or _UNREADABLE."""
    bare = text.strip()
    if not bare:
        return None
    try:
        return float(bare) if bare.isascii() and "_" not in bare else _UNREADABLE
    except ValueError:
        return _UNREADABLE


def _unix_ns(text: str, per: int) -> int | None:
    """A decimal number of units as whole ns, or None."""
    try:
        value = Decimal(text.strip())
        return int(value * per) if value.is_finite() and "_" not in text and abs(value) < 10**20 else None
    except InvalidOperation:
        return None


def _iso_ns(text: str) -> int | None:
    """An ISO 8601 time as ns UTC by integers alone, or None."""
    found = _ISO.fullmatch(text.strip())
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
    if h > 23 or m > 59 or s > 59:
        return None
    shift = 0
    if zone and zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        shift = (int(digits[:2]) * 60 + int(digits[2:])) * (60 if zone[0] == "+" else -60)
    return (days * 86_400 + h * 3600 + m * 60 + s - shift) * NS + int((fraction or "").ljust(9, "0") or 0)
