"""What a score came to as plain values: recall, delays, precision and rates by cell, with their intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import sqrt
from typing import Any, Final

import numpy as np

from bot.alarms.score import Outcome, Score, Scored
from bot.alarms.shapes import Shape

Z95: Final = 1.959964


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score; (0, 1) of nothing."""
    if not count:
        return 0.0, 1.0
    p, z2 = hits / count, Z95 * Z95
    middle, half = p + z2 / (2 * count), Z95 * sqrt(p * (1 - p) / count + z2 / (4 * count * count))
    return max(0.0, (middle - half) / (1 + z2 / count)), min(1.0, (middle + half) / (1 + z2 / count))


def poisson(count: int, hours: float) -> tuple[float, float]:
    """The 95 % interval of a rate per 1,000 hours (Byar's approximation; within a per cent of the exact one)."""
    if not hours > 0:
        return 0.0, float("inf")
    low = count * (1 - 1 / (9 * count) - Z95 / (3 * sqrt(count))) ** 3 if count else 0.0
    more = count + 1
    high = more * (1 - 1 / (9 * more) + Z95 / (3 * sqrt(more))) ** 3
    return max(0.0, low) * 1000 / hours, high * 1000 / hours


def summary(found: Score) -> dict[str, Any]:
    """The score as plain values for JSON."""
    return {
        "schema": 1,
        "first_ns": found.first_ns,
        "split_ns": found.split_ns,
        "last_ns": found.last_ns,
        "passes": found.passes,
        "hours": {session.label: round(hours, 2) for session, hours in found.hours.items()},
        "unknown": found.unknown,
        "rules": [_rule(one, found) for one in found.rules],
    }


def _rule(one: Scored, found: Score) -> dict[str, Any]:
    """One rule's numbers."""
    hours = sum(found.hours.values())
    cells: dict[tuple[str, float, str], list[Outcome]] = defaultdict(list)
    for outcome in one.outcomes:
        it = outcome.injection
        for shape, session in _cells_of(it.shape.value, it.session.label):
            cells[shape, abs(it.size_bps), session].append(outcome)
    hits = sum(1 for o in one.outcomes if o.found and not _masked(o))
    false = sum(o.false for o in one.outcomes) + len(one.clean)
    by_session = {}
    for code, its in found.hours.items():
        count = sum(1 for _, _, its_code, _ in one.clean if its_code is code)
        here = [o for o in one.outcomes if o.injection.session is code]
        right, wrong = sum(1 for o in here if o.found and not _masked(o)), sum(o.false for o in here) + count
        by_session[code.label] = {
            "alarms": count,
            "per_1000_h": _rate(count, its),
            "precision": _share(right, right + wrong),
        }
    return {
        "rule": one.name,
        "false_alarms": len(one.clean),
        "false_alarms_per_1000_h": _rate(len(one.clean), hours),
        "false_alarms_by_session": by_session,
        "false_alarms_before_the_split": one.clean_before,
        "tokens_depegged_without_injection": one.clean_token,
        "expected_per_month": {name: float(f"{value:.3g}") for name, value in one.expected_month.items()},
        "precision": _share(hits, hits + false),
        "single_venue_called_token": sum(o.token_too_bad for o in one.outcomes),
        "depegged_that_should_not_be": sum(o.false for o in one.outcomes),
        "cells": [
            {"shape": shape, "size_bps": size, "session": session, **_cell(its)}
            for (shape, size, session), its in sorted(cells.items())
        ],
        "clean": [
            {"ts": ts, "instrument": found.universe[number].name, "session": code.label, "cause": cause.value}
            for ts, number, code, cause in one.clean
        ],
    }


def _cells_of(shape: str, session: str) -> list[tuple[str, str]]:
    """A cell and the sums that it counts in."""
    return [(shape, session), (shape, "all"), ("all", session), ("all", "all")]


def _masked(outcome: Outcome) -> bool:
    return outcome.injection.shape in (Shape.STABLECOIN, Shape.STALE_REFERENCE)


def _cell(its: Sequence[Outcome]) -> dict[str, Any]:
    """Recall and delays of some injections."""
    hits = [o for o in its if o.found]
    delays = [o.delay_s for o in hits if o.delay_s is not None]
    counts = [o.delay_prints for o in hits if o.delay_prints is not None]
    leads = [o.lead_s for o in hits if o.lead_s is not None]
    return {
        "injections": len(its),
        "recall": _share(len(hits), len(its)),
        "delay_s_median": float(np.median(delays)) if delays else None,
        "delay_s_90": float(np.quantile(delays, 0.9)) if delays else None,
        "delay_prints_median": float(np.median(counts)) if counts else None,
        "lead_s_median": float(np.median(leads)) if leads else None,
        "causes": {c: sum(1 for o in hits if o.cause == c) for c in sorted({o.cause.value for o in hits})},
        "wrongly_depegged": sum(o.false for o in its),
    }


def _share(hits: int, count: int) -> dict[str, float | int | None]:
    low, high = wilson(hits, count)
    return {"hits": hits, "of": count, "share": hits / count if count else None, "low": low, "high": high}


def _rate(count: int, hours: float) -> dict[str, float | None]:
    low, high = poisson(count, hours)
    known = hours > 0
    return {
        "rate": count * 1000 / hours if known else None,
        "low": low if known else None,
        "high": high if known else None,
    }
