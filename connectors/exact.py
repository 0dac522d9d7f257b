"""From a float that was printed to the Decimal that prints the same."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

_REMEMBERED = 4096


@lru_cache(maxsize=_REMEMBERED)
def exact(value: float) -> Decimal:
    """The shortest decimal that reads as this float: what a venue printed, where it printed at most 15 digits.

    Told once for the same float, since it takes longer than the sums that are made of it. NaN and infinities pass.
    """
    return Decimal(repr(float(value)))
