"""Mints and redemptions as metrics (how many, the oldest, what was promised, capital in flight) and as lines of the
story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import isfinite

from connectors.events import NS
from monitoring.tale import Tone
from strategies.base import Note
from strategies.execution.conversions import Conversions, Running

Sample = tuple[tuple[str, ...], float | None]


def samples(conversions: Conversions, usd: Callable[[int], float], now: int) -> dict[str, list[Sample]]:
    """Label values and values by metric at `now` (ns); `usd` per unit of an instrument. What has no price lacks."""
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
        "settlement_oldest_age_seconds": [(labels, (now - one.since) / NS) for labels, one in oldest.items()],
        "settlement_sla_seconds": [(labels, (one.order.sla_ns - one.since) / NS) for labels, one in oldest.items()],
        "capital_locked_usd": [((reason,), value if isfinite(value) else None) for reason, value in locked.items()],
    }


def told(note: Note) -> tuple[str, Tone]:
    """A line of the story about one of them: how it stands, that it is late, or why it was refused."""
    detail, share = note.detail, note.underlying
    if note.kind == "conversion_refused":
        return f"mint or redemption of {share} refused, {detail['reason']}: {detail['detail']}", "bad"
    if note.kind == "conversion_late":
        hours = float(detail["hours"])
        late = f"{share}: {detail['id']} at {detail['issuer']} is late, {detail['state']} after {hours:.1f} h"
        return f"{late}; it stays in flight, and no second one is asked for", "bad"
    owed = f", {detail['owed']} units are owed ({detail['why']})" if "owed" in detail else ""
    return f"{share}: {detail['id']} at {detail['issuer']} is {detail['state']}{owed}", "bad" if owed else "plain"


def kind(one: Running) -> str:
    """Which way it goes."""
    return "mint" if one.order.mint else "redeem"
