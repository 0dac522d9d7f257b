"""Words of the command line as numbers; what is out of range is a mistake of usage, told before any work begins."""

from __future__ import annotations

from argparse import ArgumentTypeError
from math import inf
from typing import Final

LARGEST_SEED: Final = 2**63 - 1
"""What the journal can hold."""


def positive(text: str) -> float:
    """A number above zero. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        raise ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def seed(text: str) -> int:
    """A whole number from 0 to LARGEST_SEED. Raises ArgumentTypeError."""
    return _whole(text, LARGEST_SEED)


def port(text: str) -> int:
    """A port's number; 0 is any free one. Raises ArgumentTypeError."""
    return _whole(text, 65_535)


def whole(text: str) -> int:
    """A whole number from 1 on. Raises ArgumentTypeError."""
    if not text.strip("0"):
        raise ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return _whole(text, LARGEST_SEED)


def _whole(text: str, most: int) -> int:
    """Digits from 0 to `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= most):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to {most}")
    return int(text)
