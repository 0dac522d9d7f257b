"""How alarms of the peg are told: one line of plain English for each change, with the evidence of its note."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from connectors.events import NS
from strategies.base import Note

Tone = Literal["good", "bad", "plain"]

_NEW_YORK: Final = ZoneInfo("America/New_York")
_CAUSES: Final = {
    "token": "the token itself",
    "venue": "this venue alone",
    "stablecoin": "the coin that it is quoted in",
    "reference": "the share's price cannot be believed",
    "multiplier": "its price is right for another number of shares per unit",
    "issuer": "its issuer",
}


def moment(ts: int) -> str:
    """A time (ns UTC) as `Fri 04 Sep 10:03 ET`. What is due stands 1 ns before its moment, hence the 1."""
    return datetime.fromtimestamp((ts + 1) // NS, tz=_NEW_YORK).strftime("%a %d %b %H:%M ET")


class PegTale:
    """Remembers what was told, so that what comes back from the unknown to the same state is not told again."""

    def __init__(self) -> None:
        """Everything holds its peg."""
        self._states: dict[int | str, tuple[str, str]] = {}

    def state(self, note: Note, where: str) -> tuple[str, Tone]:
        """A venue's state, or its cause, changed."""
        news = self._news(note, note.instrument)
        if news is None:
            return "", "plain"
        before, state = news
        premium, sigma = _real(note, "premium_bps"), _real(note, "sigma_bps")
        width = ""
        if sigma and premium is not None:
            width = f", {abs(premium) / sigma:.1f} sigmas of {sigma / 100:.2f} %"
        side = "" if premium is None else f"{abs(premium) / 100:.2f} % {'over' if premium > 0 else 'under'} fair value"
        because = _because(note)
        if state == "depegged":
            return f"DEPEG: {where} stays {side}{width}{because}", "bad"
        if state == "strained" and before == "pegged":
            return f"peg strained: {where} stays {side}{width}{because}", "bad"
        if state == "strained":
            return f"depeg eases: {where} is {side}{width}", "plain"
        if state == "unknown":
            return f"peg not known: {where} is off, but {note.detail.get('why', 'nobody can tell why')}", "bad"
        return f"peg cleared: {where} is back, {side}{width}", "good"

    def token(self, note: Note) -> tuple[str, Tone]:
        """A token as a whole: only that it is depegged is news beside its venues, and that it is no more."""
        token = str(note.detail.get("token", "?"))
        news = self._news(note, token)
        if news is None or "depegged" not in news:
            return "", "plain"
        if news[1] == "depegged":
            return f"DEPEG of {token} as a whole ({note.detail.get('venues', '')}){_because(note)}", "bad"
        return f"{token} as a whole is no longer off its peg, it is {news[1]}", "good"

    def coin(self, note: Note) -> tuple[str, Tone]:
        """A coin left its dollar, or is back."""
        coin, bps = note.detail.get("coin", "?"), _real(note, "bps") or 0.0
        side = "over" if bps > 0 else "under"
        if note.detail.get("to") == "OFF":
            off = f"{coin} has left its dollar: {abs(bps) / 100:.2f} % {side} it in the median of ten minutes"
            return f"{off}{_how_wrong(note)}", "bad"
        return f"{coin} holds its dollar again", "good"

    def _news(self, note: Note, key: int | str) -> tuple[str, str] | None:
        """(state before, state now) where that is worth a line."""
        state, cause = str(note.detail.get("to", "unknown")).lower(), str(note.detail.get("cause", ""))
        if state == "unknown" and not note.detail.get("since"):
            return None  # a quote went stale or a fair value is lost: its own note tells that
        before, _ = self._states.get(key, ("pegged", ""))
        if note.detail.get("again") and key not in self._states:
            before = state
        self._states[key] = state, cause
        return None if state == before else (before, state)


def _because(note: Note) -> str:
    """Since when, for what cause, how sure, and what it stands on."""
    cause, since = str(note.detail.get("cause", "")), _real(note, "since")
    told = f" since {moment(round(since * NS))}" if since is not None else ""
    if cause:
        told += f"; cause: {_CAUSES.get(cause, cause)}"
    if coin := note.detail.get("coin"):
        told += f" ({coin} {_real(note, 'coin_bps') or 0.0:+.0f} bps)"
    sigmas = _real(note, "sigmas")
    if sigmas is not None and note.detail.get("by") in ("jump", "drift"):
        told += f"; {abs(sigmas):.1f} sd of what is usual there"
    told += _how_wrong(note)
    if sources := note.detail.get("sources"):
        told += f"; share: {sources}"
    if others := note.detail.get("others"):
        told += f"; elsewhere: {others}"
    return told


def _how_wrong(note: Note) -> str:
    """How often an alarm is expected to be wrong, and what that stands on."""
    wrong, by = _real(note, "false_alarms_month"), note.detail.get("false_alarms_from")
    if wrong is None:
        return f"; how often that is wrong is {by}" if by else ""
    return f"; wrong {wrong:.2g} times a month by its own account{f' ({by})' if by else ''}"


def _real(note: Note, key: str) -> float | None:
    value = note.detail.get(key)
    return float(value) if isinstance(value, (int, float)) and value == value else None
