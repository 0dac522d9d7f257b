"""What ccxt's own code may raise over what a venue sends, each under a word; anything else is a fault of somebody."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Final

from connectors.errors import ConnectorError

UNFORESEEN: Final = "unforeseen"
"""The word for an exception that no message of a venue accounts for."""

_TYPES: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((json.JSONDecodeError, UnicodeError), "not_json"),
    ((gzip.BadGzipFile, zlib.error, EOFError), "not_packed"),
    ((RecursionError,), "too_deep"),
    ((ArithmeticError,), "not_finite"),
    ((LookupError, AttributeError, TypeError, ValueError), "wrong_type"),
    ((OSError,), "disconnected"),
)

_PACKAGES: Final[Mapping[str, str]] = {"ccxt": "venue_error", "google": "not_protobuf", "aiohttp": "disconnected"}
"""Errors of these packages, by the first part of the module that defines them."""


def refusal(error: BaseException) -> str:
    """The word for what was raised in ccxt's code over a frame or an answer; UNFORESEEN for a type without one.

    ccxt's parsers are transpiled and use a field before they look at it: one that is absent is a KeyError, or a None
    that is worked with (TypeError, AttributeError); a list that is too short an IndexError; a number that is none a
    ValueError or an error of decimal. Such a type does not tell rubbish from a fault of ours, so this is only for what
    did not come out of our own code; the tap keeps the two apart.
    """
    if isinstance(error, ConnectorError):
        return error.word
    package = _PACKAGES.get(type(error).__module__.partition(".")[0])
    return package or next((word for kinds, word in _TYPES if isinstance(error, kinds)), UNFORESEEN)
