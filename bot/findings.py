"""What a look at venues and machine found: lines that are ok, warn or FAIL; as a table, JSON, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final, TextIO

from bot.errors import ExitCode
from connectors.ports import Finding

SCHEMA: Final = 1


class State(StrEnum):
    """How a thing that was looked at is."""

    OK = "ok"
    WARN = "warn"
    """Worth a look, or it could not be told."""
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked at."""

    place: str
    """Venue, or machine, config, state."""
    what: str
    state: State
    subject: str = ""
    detail: str = ""
    hint: str = ""
    value: float | None = None
    unit: str = ""
    code: ExitCode = ExitCode.CHECK_FAILED
    """What the command ends with where this line fails."""


_CODES: Final = {
    "reachable": ExitCode.VENUE_UNREACHABLE,
    "entitlement": ExitCode.CREDENTIALS,
    "credentials": ExitCode.CREDENTIALS,
}
_HINTS: Final = {
    "reachable": "is the network up, and the venue's url right?",
    "clock": "set this machine's clock by NTP, unless this venue alone is off",
    "symbol": "write it as the venue does, or take it out of the config",
}
"""What to do where a probe has no hint of its own."""

_FIRST: Final = (ExitCode.CONFIG_INVALID, ExitCode.CREDENTIALS, ExitCode.VENUE_UNREACHABLE, ExitCode.CHECK_FAILED)
"""Of several failures the first of these is what the command ends with."""


def lines_of(venue: str, findings: Sequence[Finding], *, taker_fee_bps: float | None = None) -> list[Line]:
    """The findings of a probe as lines.

    What could not be told is a warning. A refused right is one too where another right of the venue is granted: then
    its feed goes on. A published fee that differs from the config's is one, since accounts have tiers; one that was
    read for this account fails.
    """
    granted = any(one.what == "entitlement" and one.ok for one in findings)
    found = []
    for one in findings:
        ok, detail, hint = one.ok, one.detail, one.hint
        if one.what == "fees" and one.value is not None and isfinite(one.value) and taker_fee_bps is not None:
            same, own = abs(one.value - taker_fee_bps) < 0.005, "this account" in detail
            ok = True if same else False if own else None
            if "the config says" not in detail:
                detail = f"{detail}; the config says {taker_fee_bps:g}".removeprefix("; ")
            hint = "" if same else hint or "compare taker_fee_bps with the tier of your account"
        if ok is False:
            hint = hint or _HINTS.get(one.what, "")
        state = State.OK if ok else State.FAIL if ok is False else State.WARN
        if state is State.FAIL and one.what == "entitlement" and granted:
            state = State.WARN
        found.append(
            Line(
                place=venue, what=one.what, subject=one.subject, state=state, detail=detail, hint=hint,
                value=one.value, unit=one.unit, code=_CODES.get(one.what, ExitCode.CHECK_FAILED),
            )
        )  # fmt: skip
    return found


def code_of(lines: Iterable[Line]) -> ExitCode:
    """What the command ends with: of the failures the most basic one decides; 0 where nothing failed."""
    failed = {line.code for line in lines if line.state is State.FAIL}
    return next((code for code in _FIRST if code in failed), ExitCode.OK)


def summary(lines: Sequence[Line]) -> str:
    """`12 ok, 2 warnings, 1 failed`."""
    counts = {state: sum(line.state is state for line in lines) for state in State}
    warnings = "warning" if counts[State.WARN] == 1 else "warnings"
    return f"{counts[State.OK]} ok, {counts[State.WARN]} {warnings}, {counts[State.FAIL]} failed"


def as_json(lines: Sequence[Line]) -> str:
    """One object: schema, exit code, and every line with all of its fields."""
    said = {
        "schema": SCHEMA,
        "ok": code_of(lines) is ExitCode.OK,
        "exit_code": int(code_of(lines)),
        "findings": [
            {
                "place": line.place,
                "what": line.what,
                "subject": line.subject,
                "state": str(line.state).lower(),
                "detail": line.detail,
                "hint": line.hint,
                "value": line.value if line.value is not None and isfinite(line.value) else None,
                "unit": line.unit,
            }
            for line in lines
        ],
    }
    return json.dumps(said, indent=2)


def print_lines(lines: Sequence[Line], *, colour: bool, out: TextIO | None = None) -> None:
    """The lines as a table for people, place by place; a hint stands below what it is about."""
    from bot.tables import print_table

    rows, styles = [], []
    before = ""
    for line in lines:
        what = f"{line.what} {line.subject}".strip().replace("_", " ")
        said = _said(line)
        if line.hint and line.state is not State.OK:
            said = f"{said}\n-> {line.hint}" if said else f"-> {line.hint}"
        rows.append((line.place if line.place != before else "", str(line.state), what, said))
        styles.append({State.OK: "", State.WARN: "yellow", State.FAIL: "bold red"}[line.state] if colour else "")
        before = line.place
    print_table(("place", "", "what", "found"), rows, whole=("place", ""), styles={"": styles}, out=out)


def _said(line: Line) -> str:
    """The number with its unit, then the words."""
    value = ""
    if line.value is not None and isfinite(line.value):
        value = f"{line.value:+.3f}" if line.what == "clock" else f"{line.value:.4g}"
        value = f"{value} {line.unit}".strip()
    return ", ".join(part for part in (value, line.detail) if part)
