"""What issuers attest of their tokens' backing, from a file that the operator keeps by hand.

[[attestation]]
issuer = "backed"                    # as in the config
token = "TSLAx"
units = 125_000.5                    # units of the token, on all chains together, that the custodian's shares back
as_of = 2026-11-01T00:00:00Z         # the moment that the attestation speaks of; a day alone is its first moment in UTC
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from connectors.errors import DataError
from connectors.events import NS

HINT: Final = "write [[attestation]] with issuer, token, units and as_of = 2026-11-01T00:00:00Z"
_KEYS: Final = frozenset({"issuer", "token", "units", "as_of"})
_LINE: Final = re.compile(r"line (\d+)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Attestation(NamedTuple):
    """One statement about one token."""

    issuer: str
    token: str
    units: Decimal
    """Of the token, backed."""
    as_of_ns: int
    """ns UTC."""


def read(path: Path) -> tuple[Attestation, ...]:
    """The attestations of a file in its order. Raises DataError with file and line for the first thing that is
    wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(path), hint=HINT) from error
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", where=str(path), hint=HINT) from error
    return parse(text, path.name)


def parse(text: str, name: str) -> tuple[Attestation, ...]:
    """The same of the text of a file called `name`. Raises DataError."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        line = found[1] if (found := _LINE.search(str(error))) else "1"
        raise DataError(f"not TOML: {error}", where=f"{name}:{line}", hint=HINT) from error
    lines = [at for at, line in enumerate(text.splitlines(), 1) if line.split("#")[0].split() == ["[[attestation]]"]]
    entries = data.pop("attestation", [])
    if data or not isinstance(entries, list) or len(lines) != len(entries):
        wrong = f"unknown: {', '.join(data)}" if data else "attestations are not written as [[attestation]]"
        raise DataError(wrong, where=f"{name}:1", hint=HINT)
    return tuple(_attestation(entry, f"{name}:{line}") for entry, line in zip(entries, lines, strict=True))


def _attestation(entry: Mapping[str, Any], where: str) -> Attestation:
    """One table. Raises DataError."""
    if set(entry) != _KEYS:
        odd = ", ".join(sorted(set(entry) ^ _KEYS))
        raise DataError(f"an attestation has issuer, token, units and as_of; look at {odd}", where=where, hint=HINT)
    for key in ("issuer", "token"):
        if not (isinstance(entry[key], str) and entry[key]):
            raise DataError(f"{key} is no text", where=where, hint=HINT)
    units, as_of = entry["units"], entry["as_of"]
    if isinstance(units, bool) or not isinstance(units, (int, Decimal)):
        raise DataError("units is no number", where=where, hint=HINT)
    if not (Decimal(units).is_finite() and units >= 0):
        raise DataError(f"units is {units}", where=where, hint=HINT)
    if not isinstance(as_of, date):
        raise DataError("as_of is no time: write it without quotes", where=where, hint=HINT)
    if not isinstance(as_of, datetime):
        as_of = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    if as_of.tzinfo is None:
        raise DataError("as_of has no zone: write Z behind it", where=where, hint=HINT)
    as_of_ns = (as_of - _EPOCH) // timedelta(microseconds=1) * (NS // 1_000_000)
    return Attestation(entry["issuer"], entry["token"], Decimal(units), as_of_ns)
