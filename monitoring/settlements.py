"""Mints and redemptions that are open, as metrics: how many, the oldest, what was promised, and capital in flight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import isfinite

from connectors.events import NS
from strategies.execution.conversions import Conversions, Running

Sample = tuple[tuple[str, ...], float | None]


def samples(conversions: Conversions, usd: Callable[[int], float]) -> dict[str, list[Sample]]:
    """Label values and values by metric; `usd` per unit of an instrument now. Capital without a price is left out."""
    open_ = list(conversions.open())
    states = Counter((one.order.issuer, kind(one), one.state.value) for one in open_)
    oldest: dict[tuple[str, str], Running] = {}
    locked: dict[str, float] = {}
    for one in open_:
        oldest.setdefault((one.order.issuer, kind(one)), one)
        if one.away:
            locked[kind(one)] = locked.get(kind(one), 0.0) + float(one.away) * usd(one.order.source)
    return {
        "settlement_requests": [(labels, float(count)) for labels, count in states.items()],
        "settlement_oldest_timestamp_seconds": [(labels, one.since / NS) for labels, one in oldest.items()],
        "settlement_sla_seconds": [(labels, (one.order.sla_ns - one.since) / NS) for labels, one in oldest.items()],
        "capital_locked_usd": [((reason,), value if isfinite(value) else None) for reason, value in locked.items()],
    }


def kind(one: Running) -> str:
    """Which way it goes."""
    return "mint" if one.order.mint else "redeem"
