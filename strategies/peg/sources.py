"""Whether the share's price can be believed against a token that deviates from it: read from the columns."""

from __future__ import annotations

from math import inf, sqrt
from typing import Final

from connectors.events import Health, Why
from strategies.market import kernel as K
from strategies.market.columns import Columns

PAUSES: Final = frozenset({Why.PAUSED, Why.MAINTENANCE})
HALF: Final = 0.5
"""A source by which the deviation is less than this share of it does not bear it out."""


def fresh_sources(columns: Columns, group: int, now: int, *, doubted: bool = False) -> list[int]:
    """The believed share sources of an underlying that have spoken lately; or those that are in doubt."""
    k = columns.k_rows
    return [
        at
        for at in columns.sources_of[group]
        if k[at][K.REFUSAL] == K.OK and now <= k[at][K.EXPIRES] and columns.doubted(at) is doubted
    ]


def halted(columns: Columns, group: int) -> str:
    """The source that says that a share is halted, or the empty text."""
    for at in columns.sources_of[group]:
        if columns.k_rows[at][K.REFUSAL] == K.HALT or columns.said.get(at) == (Health.CLOSED, Why.HALTED):
            return columns.universe[at].name
    return ""


def lone_outlier(columns: Columns, number: int, now: int) -> bool:
    """Whether all that speaks against the last believed print of an instrument is that one row after it, and no second
    of its kind, was refused as an outlier: a slip, as far as anybody knows."""
    f, k = columns.f_rows[number], columns.k_rows[number]
    return (
        k[K.REFUSAL] == K.OUTLIER_PRINT
        and k[K.SUSPECT_ROWS] == 1
        and k[K.PRINTS] > 0
        and now <= k[K.TS] + k[K.MAX_AGE]
        and 0.0 < f[K.MID_USD] < inf
        and number not in columns.said
        and not columns.doubts.item(number)
        and columns.fx_is_fresh(number, now)
        and not columns.why_unknown(columns.group(number), now, without=number)
    )


def reference_doubt(
    columns: Columns, number: int, *, first: int, rows: int, bps: float, usual_bps: float, now: int
) -> str:
    """Why no deviation of an instrument can be told from the share's sources, in words; empty where it can.

    They cannot tell when the share is halted, when every fresh one has only repeated itself, in at least `rows` rows,
    since the print of `first`, and when one of them, good to half of `bps`, says that the instrument deviates by less
    than that. Where all that speak contradict each other, so that none is believed, each has a say. A market that is
    shut and says nothing is no reason: the error of the fair value grows meanwhile.
    """
    group = columns.group(number)
    if source := halted(columns, group):
        return f"{source} says that the share is halted"
    fresh = fresh_sources(columns, group, now) or fresh_sources(columns, group, now, doubted=True)
    if not fresh:
        return ""
    k, side = columns.k_rows, 1 if bps > 0 else -1
    if columns.q[K.GATED] == 1 and all(k[at][K.SAME_ROWS] >= rows and k[at][K.CHANGED_TS] <= first for at in fresh):
        return f"{', '.join(columns.universe[at].name for at in fresh)}: nothing new since the deviation began"
    for at in fresh:
        away = (columns.f_rows[number][K.MID_USD] / columns.f_rows[at][K.REF_MID] - 1) * 1e4 - usual_bps
        error = sqrt(max(columns.source_variance(at, now), 0.0)) * 1e4
        if away * side < HALF * abs(bps) and error < HALF * abs(bps):
            return f"{columns.universe[at].name} says {away:+.0f} bps only"
    return ""


def issuer_trouble(columns: Columns, token: str, issuer: str) -> str:
    """What the issuer's own contract or desk of a token says against it, in words; empty where nothing.

    Its instruments tell no prices; a venue that is shut for its own reasons is not the issuer.
    """
    for at, said in columns.said.items():
        instrument = columns.universe[at]
        if (instrument.token, instrument.issuer) != (token, issuer) or columns.k_rows[at][K.PRINTS]:
            continue
        if said[1] in PAUSES and said[0] is not Health.UP:
            return f"{instrument.name} is paused"
        if said == (Health.CLOSED, Why.HALTED):
            return f"mint and redemption at {instrument.name} are halted"
    return ""


def sources_told(columns: Columns, number: int, now: int) -> str:
    """The fresh sources of an instrument's share with their prices in USD and ages, best first, as text."""
    group = columns.group(number)
    fresh = sorted(fresh_sources(columns, group, now), key=lambda at: (columns.f_rows[at][K.REF_KEY], at))
    told = []
    for at in fresh:
        age = (now - columns.k_rows[at][K.REF_TS]) // 10**9
        told.append(f"{columns.universe[at].name} {columns.f_rows[at][K.REF_MID]:.6g} ({age} s)")
    return ", ".join(told)


def depth_usd(columns: Columns, number: int) -> float:
    """USD on the thinner side of an instrument's best level; 0 where no sizes are told."""
    f = columns.f_rows[number]
    bid, ask = f[K.BID] * f[K.BID_SIZE] * f[K.USD_PER_UNIT], f[K.ASK] * f[K.ASK_SIZE] * f[K.USD_PER_UNIT]
    return min(bid, ask) if bid > 0 and ask > 0 else 0.0
