"""Numbers as a person reads them: signed percents, ages, and `unknown` for what is not known."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "unknown"


def percent(bps: float | None) -> str:
    """Basis points as `+1.24%`."""
    return UNKNOWN if bps is None else f"{bps / 100:+.2f}%"


def width(bps: float | None) -> str:
    """A one-sigma error in basis points as `±0.05%`."""
    return UNKNOWN if bps is None else f"±{bps / 100:.2f}%"


def usd(value: float | None) -> str:
    """A price or amount as `1,234.50`."""
    return UNKNOWN if value is None else f"{value:,.2f}"


def age(seconds: float | None) -> str:
    """A span as `4 s`, `12 min`, `3.5 h` or `2.1 d`."""
    if seconds is None:
        return UNKNOWN
    for unit, length, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds / length:.1f} h" if unit == "h" else f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def best_edge(sell_bps: float | None, buy_bps: float | None) -> float | None:
    """The better of the two executable edges of a token, bps; None where neither is known."""
    known = [edge for edge in (sell_bps, buy_bps) if edge is not None]
    return max(known) if known else None
