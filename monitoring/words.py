"""Numbers as a person reads them: signed percents, ages, and `unknown` for what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

UNKNOWN: Final = "unknown"
NONE: Final = "—"
"""What stands in a column of bare numbers where one is not known."""


def percent(bps: float | None) -> str:
    """Basis points as `+1.24%`."""
    return UNKNOWN if bps is None else f"{bps / 100:+.2f}%"


def width(bps: float | None) -> str:
    """A one-sigma error in basis points as `±0.05%`."""
    return UNKNOWN if bps is None else f"±{bps / 100:.2f}%"


def distance(value: float | None) -> str:
    """A distance in sigmas as `+1.2`."""
    return NONE if value is None else f"{value:+.1f}"


def health_of(score: float | None, rarest: str) -> str:
    """A health score of 100, with the parts that are rare."""
    if score is None:
        return UNKNOWN
    return f"{score:.0f}{f' ({rarest})' if rarest else ''}"


def usd(value: float | None) -> str:
    """A price or amount as `1,234.50`."""
    return UNKNOWN if value is None else f"{value:,.2f}"


def resting(bid_usd: float | None, ask_usd: float | None, *, complete: bool) -> str:
    """What rests on both sides as `1,234 / 980`; `at least` where there may be more."""
    if bid_usd is None or ask_usd is None:
        return UNKNOWN
    return f"{'' if complete else 'at least '}{bid_usd:,.0f} / {ask_usd:,.0f}"


def age(seconds: float | None) -> str:
    """A span as `4 s`, `12 min`, `3.5 h` or `2.1 d`."""
    if seconds is None:
        return UNKNOWN
    for unit, length, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds / length:.1f} h" if unit == "h" else f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.1f} d"


OF_CONTRACT: Final = {
    "paused": "its issuer has paused it",
    "identity": "its contract is not what the registry means",
    "disagrees": "nodes say different things of its contract",
}
"""Why a token is in doubt because of its own contract; where a unit is worth what that says, its worth is unknown."""


WHYS: Final = {
    "not_heard": "not heard yet",
    "disconnected": "no connection",
    "silent": "connected, but silent",
    "entitlement": "this account may not have it (401 or 403)",
    "not_listed": "the venue does not list it",
    "maintenance": "the venue is in maintenance",
    "halted": "trading is halted",
    "clock": "clocks disagree",
    "lags": "what arrives is old",
    "disagrees": "the stream and the venue's snapshot differ",
    "rate_limited": "the venue asks for patience",
    "basis": "per unit or per share is not known",
    "implausible": "the price cannot be that of this token",
    "loop_lag": "this process was held up",
    "delayed": "the source is delayed",
    "identity": "the contract is not what the registry means",
    "unverified": "its quotes are not checked against its contract",
    "paused": "its issuer has paused it",
}
"""What speaks against a stream, as words."""


def because(why: str) -> str:
    """The reason of a state in words; one without words by its own name."""
    return WHYS.get(why, why.replace("_", " "))


def under_way(stages: Mapping[str, int], naked_usd_s: float) -> str:
    """Trades without an end as ` (2 legs, 1 unwind under way, 1,200 USD x s without a hedge)`; empty where there is
    none."""
    told = ", ".join(f"{count} {stage}" for stage, count in sorted(stages.items()))
    naked = f", {naked_usd_s:,.0f} USD x s without a hedge" if naked_usd_s else ""
    return f" ({told} under way{naked})" if told else ""


def ahead(seconds: float | None) -> str:
    """How far a clock is ahead, as `+0.012 s`; empty where nobody asked."""
    return "" if seconds is None else f"{seconds:+.3f} s"


def share(ratio: float | None) -> str:
    """A part of one as `12 %`; empty where unknown."""
    return "" if ratio is None else f"{100 * ratio:.0f} %"


def edge_in_sigmas(edge_bps: float | None, sigmas: float | None) -> str:
    """An edge as `+0.12%`, and behind it how many sigmas of the fair value that is, where it is known."""
    return percent(edge_bps) if sigmas is None else f"{percent(edge_bps)} {distance(sigmas)}"


def best_edge(sell_bps: float | None, buy_bps: float | None) -> float | None:
    """The better of the two executable edges of a token, bps; None where neither is known."""
    known = [edge for edge in (sell_bps, buy_bps) if edge is not None]
    return max(known) if known else None
