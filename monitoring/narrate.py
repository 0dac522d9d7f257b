"""What happened, in one line of plain English each, told from the step records and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

import msgspec

from connectors.events import NS
from connectors.instruments import Role, Universe
from monitoring.backing import told as backing
from monitoring.decisions import Tally
from monitoring.pools import cliff_told, incentive_told
from monitoring.positions import told as position
from monitoring.reconciled import told as reconciled
from monitoring.settlements import told as settlement
from monitoring.tale import PegTale, Tone, moment
from monitoring.trade import Trade, note_told, trade_told
from monitoring.words import OF_CONTRACT, because
from strategies.base import Note, Step
from strategies.execution.latch import hold_of

_QUICK_NS: Final = 600 * NS
"""A print that is believed again within this time was a slip; the refusal alone tells it."""

REASONS: Final = {
    "outlier": "far from the fair value",
    "frozen": "the same price again and again",
    "wide": "too wide",
    "stub": "a jump that nobody confirms",
    "crossed": "bid over ask",
    "halted": "trading is halted",
    "fx_unknown": "its coin has no price",
    "before_event": "a price of before the corporate action",
}
"""A refusal's reason as words; others are told by their own name."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the story."""

    ts: int
    """Nanoseconds UTC."""
    kind: str
    """What it is about: the note's kind, `trade` or `refused`."""
    text: str
    tone: Tone = "plain"

    def __str__(self) -> str:
        """With the moment in New York, whose sessions matter here."""
        return f"{moment(self.ts)}  {self.text}"


def utc(ts: int) -> str:
    """A time (ns UTC) as `2026-09-04T14:03:20Z`."""
    return datetime.fromtimestamp((ts + 1) // NS, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Narrator:
    """Tells each step after the tally has folded it; says once what many rows repeat."""

    def __init__(self, universe: Universe, tally: Tally) -> None:
        """Reads trades from `tally`, names from `universe`."""
        self._universe, self._tally = universe, tally
        self._closed = tally.trades
        self._unknown: set[str] = set()
        self._silent_since: dict[str, int] = {}
        self._multipliers: set[tuple[str, float, float]] = set()
        self._refused_since: dict[int, int] = {}
        self._peg = PegTale()
        self._refusals: Counter[tuple[str, str]] = Counter()

    def tell(self, step: Step) -> list[Line]:
        """The lines of one step, in order; often none."""
        lines = [line for note in step.notes for line in self._note(note, step.ts)]
        for refused in step.refused:
            key = (refused.intent.strategy, refused.reason.value)
            self._refusals[key] += 1
            count = self._refusals[key]
            if count in (1, 10, 100) or count % 1000 == 0:
                again = "" if count == 1 else f" ({count} times so far)"
                what = f"{self._share(refused.intent.underlying)}: trade refused, {refused.detail}{again}"
                lines.append(Line(ts=step.ts, kind="refused", text=what))
        fresh = self._tally.trades - self._closed
        lines += [self._trade(self._tally.closed[at], step.ts) for at in range(-fresh, 0)]
        self._closed = self._tally.trades
        return lines

    def _note(self, note: Note, ts: int) -> list[Line]:
        teller = {
            "refused_row": self._refused_row,
            "accepted_again": self._accepted_again,
            "peg_state": self._peg_state,
            "token_state": self._token_state,
            "coin_state": self._coin_state,
            "feed_down": self._feed_down,
            "feed_up": self._feed_up,
            "feed_degraded": self._feed_degraded,
            "feed_closed": self._feed_closed,
            "multiplier_scheduled": self._multiplier_scheduled,
            "multiplier": self._multiplier,
            "reference_refused": self._reference_refused,
            "reference_back": self._reference_back,
            "fair_unknown": self._fair_unknown,
            "fair_known": self._fair_known,
            "session": self._session,
            "hold": self._hold,
            "resumed": self._resumed,
            "doubt": self._doubt,
            "doubt_cleared": self._doubt_cleared,
            "basis": self._basis,
            "one_witness": self._one_witness,
            "share_halted": self._share_halted,
            "share_resumed": self._share_resumed,
            "session_differs": self._session_differs,
            "session_agrees": self._session_differs,
            "action_scheduled": self._action_scheduled,
            "action_disagrees": self._action_disagrees,
            "action_begun": self._action_begun,
            "action_shown": self._action_shown,
            "incentive": self._incentive,
            "liquidity_cliff": self._liquidity_cliff,
            "trade": self._trade_stage,
            "conversion": _conversion,
            "conversion_late": _conversion,
            "conversion_refused": _conversion,
            "backing": _backing,
            "hold_cost": _position,
            "margin": _position,
            "charge_unknown": _position,
            "difference": _reconciled,
            "books": _reconciled,
            "adjust": _reconciled,
        }.get(note.kind)
        if teller is None:
            return []
        text, tone = teller(note, ts)
        kind = "trade_stage" if note.kind == "trade" else note.kind
        return [Line(ts=ts, kind=kind, text=text, tone=tone)] if text else []

    def _hold(self, note: Note, ts: int) -> tuple[str, Tone]:
        return f"held back: {hold_of(note.detail)}", "bad"

    def _resumed(self, note: Note, ts: int) -> tuple[str, Tone]:
        return f"{note.detail['scope']} is resumed by {note.detail['by']}: {note.detail['why']}", "good"

    def _refused_row(self, note: Note, ts: int) -> tuple[str, Tone]:
        self._refused_since[note.instrument] = ts
        reason = str(note.detail.get("reason", "unknown"))
        what = "outlier refused" if reason == "outlier" else "quote refused"
        away = _real(note, "away_bps")
        by = "" if away is None else f", {away / 100:+.0f} % from fair value"
        return f"{what}: {self._where(note)} says {_prices(note)}{by or ', ' + REASONS.get(reason, reason)}", "bad"

    def _accepted_again(self, note: Note, ts: int) -> tuple[str, Tone]:
        since = self._refused_since.pop(note.instrument, ts)
        if ts - since < _QUICK_NS:
            return "", "plain"
        return f"{self._where(note)} is believed again after {_span(ts - since)}", "good"

    def _peg_state(self, note: Note, ts: int) -> tuple[str, Tone]:
        return self._peg.state(note, self._where(note))

    def _token_state(self, note: Note, ts: int) -> tuple[str, Tone]:
        return self._peg.token(note)

    def _coin_state(self, note: Note, ts: int) -> tuple[str, Tone]:
        return self._peg.coin(note)

    def _feed_down(self, note: Note, ts: int) -> tuple[str, Tone]:
        venue = self._venue(note)
        if venue in self._silent_since:
            return "", "plain"
        self._silent_since[venue] = ts
        why = str(note.detail.get("why", ""))
        what = "is silent" if why in ("", "not_heard", "silent") else f"is down ({because(why)})"
        return f"feed dropped: {venue} {what}, its quotes are not traded", "bad"

    def _feed_degraded(self, note: Note, ts: int) -> tuple[str, Tone]:
        venue, why = self._venue(note), str(note.detail.get("why", ""))
        if venue in self._silent_since:
            return self._feed_up(note, ts)
        if why in ("", "not_heard", "disconnected"):
            return "", "plain"  # the first stream of a venue that goes or comes: what follows says the rest
        where = self._where(note)
        return f"feed doubtful: {where} is not traded ({because(why)})", "bad"

    def _feed_closed(self, note: Note, ts: int) -> tuple[str, Tone]:
        why = because(str(note.detail.get("why", "")))
        self._silent_since.setdefault(self._venue(note), ts)
        return f"venue closed: {self._venue(note)} does not trade{f' ({why})' if why else ''}", "plain"

    def _feed_up(self, note: Note, ts: int) -> tuple[str, Tone]:
        venue = self._venue(note)
        if venue not in self._silent_since:
            return "", "plain"
        return f"feed back: {venue} speaks again after {_span(ts - self._silent_since.pop(venue))}", "good"

    def _share_halted(self, note: Note, ts: int) -> tuple[str, Tone]:
        return f"{note.underlying} is halted, says {self._where(note)}; nothing of it is traded", "bad"

    def _share_resumed(self, note: Note, ts: int) -> tuple[str, Tone]:
        return f"{note.underlying} is no longer halted", "good"

    def _session_differs(self, note: Note, ts: int) -> tuple[str, Tone]:
        venue, theirs, ours = (str(note.detail.get(key, "?")) for key in ("venue", "theirs", "ours"))
        if note.detail.get("why") == "silent":
            return (
                f"{venue} has been silent since it said another session than our calendar: that counts no more",
                "plain",
            )
        if note.kind == "session_agrees":
            return f"{venue} and our calendar agree again: {ours}", "good"
        return f"{venue} says that the market is in {theirs}, our calendar says {ours}; nothing is traded", "bad"

    def _action_scheduled(self, note: Note, ts: int) -> tuple[str, Tone]:
        when = moment(round((_real(note, "ex") or 0.0) * NS))
        return f"{note.underlying}: {_action(note)} from {when}, says {note.detail.get('venue', '?')}", "plain"

    def _action_disagrees(self, note: Note, ts: int) -> tuple[str, Tone]:
        other = _real(note, "other") or 0.0
        told = moment(round(other * NS)) if note.detail.get("about") == "ex" else f"{other:g}"
        return f"{note.underlying}: {note.detail.get('venue', '?')} says {_action(note)}, another source {told}", "bad"

    def _action_begun(self, note: Note, ts: int) -> tuple[str, Tone]:
        expected = _real(note, "expected")
        to = "" if expected is None else f"; expected at {expected:.2f} USD"
        return f"{note.underlying}: {_action(note)} takes effect{to}", "plain"

    def _action_shown(self, note: Note, ts: int) -> tuple[str, Tone]:
        price, source = _real(note, "price") or 0.0, note.detail.get("source", "?")
        return f"{note.underlying} trades after its corporate action: {price:.2f} USD at {source}", "good"

    def _multiplier_scheduled(self, note: Note, ts: int) -> tuple[str, Tone]:
        value, activates = _real(note, "value"), _real(note, "activates")
        key = (self._universe[note.instrument].token, value or 0.0, activates or 0.0)
        if value is None or key in self._multipliers:
            return "", "plain"
        self._multipliers.add(key)
        when = "now" if activates is None else f"from {moment(int(activates * NS))}"
        return f"multiplier announced: {key[0]} will be {value:.6g} shares per unit {when}", "plain"

    def _multiplier(self, note: Note, ts: int) -> tuple[str, Tone]:
        old, new = _real(note, "old"), _real(note, "new")
        key = (self._universe[note.instrument].token, new or 0.0, -1.0)
        if new is None or key in self._multipliers:
            return "", "plain"
        self._multipliers.add(key)
        was = f", was {old:.6g}" if old is not None else ""
        return f"multiplier changed: {key[0]} is {new:.6g} shares per unit{was}; its fair value follows", "plain"

    def _reference_refused(self, note: Note, ts: int) -> tuple[str, Tone]:
        reason, instead = str(note.detail.get("reason", "unknown")), str(note.detail.get("now_used", ""))
        self._refused_since[note.instrument] = ts
        what = "reference frozen" if reason == "frozen" else "reference refused"
        heir = f"; {instead} takes over" if instead else ""
        return f"{what}: {self._where(note)}, {REASONS.get(reason, reason)}{heir}", "bad"

    def _reference_back(self, note: Note, ts: int) -> tuple[str, Tone]:
        since = self._refused_since.pop(note.instrument, None)
        after = f" after {_span(ts - since)}" if since is not None else ""
        if note.detail.get("doubted"):
            return (
                f"reference back: {self._where(note)} speaks again{after}; it must first agree with the others",
                "plain",
            )
        return f"reference back: {self._where(note)} is believed again{after}", "good"

    def _fair_unknown(self, note: Note, ts: int) -> tuple[str, Tone]:
        self._unknown.add(note.underlying)
        reason = note.detail.get("reason", "no source is left to believe")
        return f"fair value of {note.underlying} is unknown: {reason}", "bad"

    def _fair_known(self, note: Note, ts: int) -> tuple[str, Tone]:
        if note.underlying not in self._unknown:
            return "", "plain"  # the first source of the run has spoken
        self._unknown.discard(note.underlying)
        return f"fair value of {note.underlying} is known again", "good"

    def _session(self, note: Note, ts: int) -> tuple[str, Tone]:
        return f"session: {note.detail.get('from', 'unknown')} -> {note.detail.get('to', 'unknown')}", "plain"

    def _doubt(self, note: Note, ts: int) -> tuple[str, Tone]:
        why, where = str(note.detail.get("why", "")), self._where(note)
        price, fair, away = (_real(note, key) for key in ("price", "fair", "away_bps"))
        if why == "maintenance" and "ratio" in note.detail:
            ratio = _real(note, "ratio") or 0.0
            return f"a split? {note.underlying} jumped by {ratio:.0f}; {where} is not judged until both agree", "bad"
        if why == "maintenance":
            return "", "plain"  # the multiplier itself is told
        if why in OF_CONTRACT:
            return f"not traded: {where}, {OF_CONTRACT[why]}", "bad"
        if why == "delayed":
            late = _real(note, "late_s") or 0.0
            return f"source late: {where} follows the others by {late / 60:.0f} min, it is not believed", "bad"
        if why == "basis":
            return f"basis not known: {where} may quote units or shares, it is not traded until that is told", "plain"
        if away is None and "reason" in note.detail:
            return "", "plain"  # that it is refused is told
        if away is None:
            return f"source outvoted: {where} says {price or 0.0:.2f}, the others do not; it is not believed", "bad"
        says = f"{price or 0.0:.2f} a share against {fair or 0.0:.2f} ({away / 100:+.0f} %)"
        return f"implausible: {where} says {says}, no second venue agrees; not this token? not traded", "bad"

    def _doubt_cleared(self, note: Note, ts: int) -> tuple[str, Tone]:
        why = str(note.detail.get("why", ""))
        if why in ("basis", "maintenance"):
            return "", "plain"  # the basis, or the multiplier, itself is told
        if why in OF_CONTRACT:
            return f"{self._where(note)}: what its contract says counts again", "good"
        if why == "implausible" and self._universe[note.instrument].role is Role.SHARE:
            return f"source believed: {self._where(note)} says what the others say", "good"
        return f"{self._where(note)} is no longer {why.replace('_', ' ')}", "good"

    def _basis(self, note: Note, ts: int) -> tuple[str, Tone]:
        basis, where = str(note.detail.get("basis", "")), self._where(note)
        if str(note.detail.get("by", "")) == "config":
            return "", "plain"
        ratio, multiplier = _real(note, "ratio") or 0.0, _real(note, "multiplier") or 0.0
        seen = f"price over share {ratio:.5g}, multiplier {multiplier:.5g}"
        if basis in ("unit", "share"):
            return f"basis told: {where} quotes {basis}s ({seen})", "good"
        if basis == "ambiguous":
            return f'basis ambiguous: {where} ({seen}); write basis = "unit" or "share" to trade it now', "bad"
        return f"basis impossible: {where} ({seen}) fits neither; a split that it missed, or another asset?", "bad"

    def _one_witness(self, note: Note, ts: int) -> tuple[str, Tone]:
        source = note.detail.get("source", "")
        return f"one witness for {note.underlying} ({source}): were it late or wrong, nothing could tell", "plain"

    def _incentive(self, note: Note, ts: int) -> tuple[str, Tone]:
        ends = _real(note, "ends")
        return incentive_told(note, self._where(note), "" if ends is None else moment(round(ends * NS))), "plain"

    def _liquidity_cliff(self, note: Note, ts: int) -> tuple[str, Tone]:
        return cliff_told(note, self._where(note)), "bad" if note.detail.get("to") == "WARNING" else "good"

    def _trade_stage(self, note: Note, ts: int) -> tuple[str, Tone]:
        return note_told(note)

    def _trade(self, trade: Trade, ts: int) -> Line:
        text, tone = trade_told(trade, self._universe)
        return Line(ts=ts, kind="trade", text=text, tone=tone)

    def _where(self, note: Note) -> str:
        if not 0 <= note.instrument < len(self._universe):
            return self._share(note.underlying)
        instrument = self._universe[note.instrument]
        return f"{instrument.token or instrument.symbol} on {instrument.venue}"

    def _venue(self, note: Note) -> str:
        return str(note.detail.get("venue") or self._universe[note.instrument].venue)

    def _share(self, underlying: str) -> str:
        return underlying or "a share"


def _real(note: Note, key: str) -> float | None:
    value = note.detail.get(key)
    return float(value) if isinstance(value, (int, float)) and value == value else None


def _prices(note: Note) -> str:
    bid, ask = _real(note, "bid"), _real(note, "ask")
    return "no price" if bid is None or ask is None else f"{bid:.2f} / {ask:.2f}"


def _span(ns: int) -> str:
    minutes = round(ns / NS / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _action(note: Note) -> str:
    """A corporate action in words."""
    ratio, cash = _real(note, "ratio"), _real(note, "cash")
    parts = [] if ratio is None or ratio == 1.0 else [f"a split of {ratio:g} for 1"]
    if cash is not None:
        drop = _real(note, "drop_bps")
        parts.append(f"a dividend of {cash:g} USD" + ("" if drop is None else f" ({drop:.0f} bps)"))
    return " and ".join(parts) or "a corporate action"


def _conversion(note: Note, ts: int) -> tuple[str, Tone]:
    return settlement(note)


def _backing(note: Note, ts: int) -> tuple[str, Tone]:
    return backing(note)


def _position(note: Note, ts: int) -> tuple[str, Tone]:
    return position(note)


def _reconciled(note: Note, ts: int) -> tuple[str, Tone]:
    return reconciled(note)
