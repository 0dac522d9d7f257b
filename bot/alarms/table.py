"""A score as tables for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bot.tables import print_table

_HEAD: Final = ("shape", "bps", "session", "found", "recall", "95 %", "prints", "delay", "causes")
_NUMBERS: Final = ("bps", "found", "recall", "prints", "delay")


def print_score(told: Mapping[str, Any]) -> None:
    """The tables of `summary` on stdout, what to know of them on stderr."""
    hours = ", ".join(f"{session} {its:.0f} h" for session, its in told["hours"].items())
    print(f"{_when(told['first_ns'])} to {_when(told['last_ns'])}, scored from {_when(told['split_ns'])}: {hours}")
    if told["unknown"]:
        print(f"UNKNOWN, as no venue has a token of it: {', '.join(told['unknown'])}")
    for rule in told["rules"]:
        _rule(rule)
    print(
        "found: in time and called what it is; prints, delay: median, from the beginning to the alarm. --json has more",
        file=sys.stderr,
    )


def _rule(rule: Mapping[str, Any]) -> None:
    """One rule's table and the lines below it."""
    print()
    cells = sorted(rule["cells"], key=lambda c: (c["shape"] == "all", c["shape"], c["size_bps"], c["session"] == "all"))
    print_table(
        _HEAD, [_cell(cell) for cell in cells], title=f"{rule['rule']} rule", numbers=_NUMBERS, whole=_HEAD[:-1]
    )
    rate, precision = rule["false_alarms_per_1000_h"], rule["precision"]
    print(
        f"  false alarms without injection: {rule['false_alarms']} in the scored part "
        f"({_interval(rate, 'rate', 1)} per 1,000 h), {rule['false_alarms_before_the_split']} before it; "
        f"tokens depegged: {rule['tokens_depegged_without_injection']}"
    )
    by = [
        f"{session} {_interval(its['per_1000_h'], 'rate', 1)}"
        for session, its in rule["false_alarms_by_session"].items()
    ]
    print(f"  per 1,000 h by session: {', '.join(by)}")
    if precision["of"]:
        print(
            f"  precision among these: {precision['hits']} of {precision['of']} alarms, "
            f"{_interval(precision, 'share', 3)}"
        )
        by = [
            f"{session} {_interval(its['precision'], 'share', 2)} of {its['precision']['of']}"
            for session, its in rule["false_alarms_by_session"].items()
            if its["precision"]["of"]
        ]
        print(f"  precision by session: {'; '.join(by)}")
    print(
        f"  called DEPEGGED for a coin or a stale reference: {rule['depegged_that_should_not_be']} times; "
        f"a token for one venue: {rule['single_venue_called_token']}"
    )
    for name, month in rule["expected_per_month"].items():
        print(f"  expected false alarms per month at {name}, by the rule's own run length: {month:g}")


def _cell(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """One line."""
    recall = cell["recall"]
    causes = " ".join(f"{cause} {count}" for cause, count in cell["causes"].items())
    return (
        cell["shape"],
        f"{cell['size_bps']:g}",
        cell["session"],
        f"{recall['hits']}/{recall['of']}",
        "-" if recall["share"] is None else f"{recall['share']:.3f}",
        f"{recall['low']:.2f}-{recall['high']:.2f}",
        _number(cell["delay_prints_median"]),
        _span(cell["delay_s_median"]),
        causes,
    )


def _interval(of: Mapping[str, Any], name: str, digits: int) -> str:
    """A value with its interval."""
    if of[name] is None:
        return "-"
    return f"{of[name]:.{digits}f}, {of['low']:.{digits}f} to {of['high']:.{digits}f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _span(seconds: float | None) -> str:
    """A duration in minutes."""
    return "-" if seconds is None else f"{seconds / 60:.0f}m"


def _when(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%MZ")
