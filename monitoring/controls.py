"""What a share follows, as lines of an answer: each control with its beta and move, and why it is not heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from connectors.instruments import Role
from monitoring.quote_lines import ControlLine
from monitoring.snapshot import number
from strategies.market.fair import BPS

if TYPE_CHECKING:
    from strategies.market.columns import Columns


def controls(
    columns: Columns, group: int, now: int, why: Callable[[int], str]
) -> tuple[tuple[ControlLine, ...], float | None]:
    """The controls of a share, and which part of its variance is its own and remains; (), None where it has none.

    `why` tells what speaks against an instrument (by number), empty for nothing.
    """
    told = columns.followings.get(group)
    if told is None:
        return (), None
    lines = tuple(
        ControlLine(
            control=one.name,
            beta=one.beta,
            moved_bps=number(one.moved * BPS),
            since_ns=one.since if one.since else None,
            adds_bps=number(one.beta * one.moved * BPS),
            why=one.barred or _silent(columns, one.name, now, why),
        )
        for one in told.controls
    )
    return lines, 1.0 if any(line.why for line in lines) else 1.0 - told.explained


def _silent(columns: Columns, name: str, now: int, why: Callable[[int], str]) -> str:
    """Why a control says nothing now, in words; empty where somebody speaks for it."""
    speakers = [at for at in columns.universe.where(underlying=name) if columns.universe[at].role is not Role.COIN]
    reasons = {at: why(at) or columns.why_not_priced(at, now) for at in speakers}
    if not all(reasons.values()):
        return ""
    first = min(speakers, key=lambda at: (columns.universe[at].role is not Role.SHARE, at))
    return f"{columns.universe[first].name}: {reasons[first]}"
