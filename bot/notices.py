"""News that the scan hands up: sources refused and believed again, multipliers, streams, halts, corporate actions."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, nan

from bot.contracts import Contracts
from bot.corporate import Corporate, Event
from bot.judges import Judges, everything_believed
from bot.maintenance import Maintenance, split_of
from bot.market import MarketWatch
from connectors.events import NS, Health, Kind, Rows, Why
from connectors.instruments import Instrument, UnitModel
from strategies.base import Note
from strategies.market import kernel as K
from strategies.market.columns import Columns

Push = Callable[[int, int], None]
_STATES, _REASONS = frozenset(Health), frozenset(Why)
_OURS = frozenset((float(Why.LOOP_LAG), float(Why.CLOCK)))
_FEED_NOTES = {
    Health.UP: "feed_up",
    Health.DEGRADED: "feed_degraded",
    Health.CLOSED: "feed_closed",
    Health.DOWN: "feed_down",
}


class Notices:
    """Turns a row that is news into notes, and remembers which instruments are barred from trading."""

    def __init__(self, columns: Columns, maintenance_ns: int, judges: Judges | None = None) -> None:
        """`maintenance_ns`: no trading this long before a multiplier activates; `judges` learn of new multipliers."""
        self.columns = columns
        self._judges = judges or Judges(columns, everything_believed(len(columns.universe)))
        self.maintenance_ns = maintenance_ns
        self.changed_eligibility = False
        self.reopened = False
        """Whether the last row took back what spoke only against this process or a clock: the quotes were good."""
        self._standing: dict[int, Health] = {}
        """Instruments whose stream is not UP."""
        self._ours: set[int] = set()
        """Those of them against which only this process or a clock speaks."""
        self.maintenance = Maintenance(columns)
        self._rebased: dict[int, float] = {}
        """The multiplier in force of rebasing instruments, where one was told; their unit is a share all the same."""
        self._pending: list[tuple[int, float, bool, int] | Event] = []
        self._announced: dict[int, tuple[float, int]] = {}
        """The latest (shares per unit, activation) of each instrument; an older one does not activate any more."""
        self._known = [False] * len(columns.underlyings)
        self.corporate = Corporate(columns)
        self.market = MarketWatch(columns)
        self.contracts = Contracts(columns)

    def barred(self, number: int) -> bool:
        """Whether an instrument may not be traded: its stream is not up, its multiplier is about to change, its share
        is halted or in a corporate action, or a venue says that the market is not in the session that we think."""
        return (
            number in self._standing
            or number in self.maintenance
            or self.corporate.barred(number)
            or self.market.barred(number)
        )

    def up(self, number: int) -> bool:
        """Whether an instrument's stream is up."""
        return number not in self._standing

    def of_row(self, rows: Rows, at: int, push: Push) -> list[Note]:
        """Notes of the row that the scan stopped on. `push(due, payload)` schedules a multiplier."""
        self.changed_eligibility = self.reopened = False
        kind, number = int(rows.kind[at]), int(rows.instrument[at])
        if kind == Kind.HEALTH:
            state, reason = float(rows.bid[at]), float(rows.ask[at])
            return [
                *self._health(number, state, reason),
                *self.contracts.heard(number, state, reason),
                *self.market.health(number, state, reason),
                *self._judges.admitted(number, state, reason),
            ]
        if kind == Kind.MULTIPLIER:
            return self.announced(number, float(rows.bid[at]), float(rows.ask[at]), int(rows.ts_recv[at]), push)
        if kind == Kind.ACTION:
            ratio, ex_s, cash = float(rows.bid[at]), float(rows.ask[at]), float(rows.bid_size[at])
            by_hand = float(rows.ask_size[at]) == 1.0
            notes, event = self.corporate.told(number, ratio, ex_s, cash, int(rows.ts_recv[at]), by_hand=by_hand)
            self.changed_eligibility = self.corporate.changed
            if event is not None:
                self._pending.append(event)
                push(event.ex_ns - 1, len(self._pending) - 1)
            return notes
        if kind == Kind.SESSION:
            notes = self.market.session(number, float(rows.bid[at]), int(rows.ts_recv[at]))
            self.changed_eligibility = self.market.changed
            return notes
        if kind in (Kind.FILL, Kind.CONVERSION):
            return []
        return self._believed(number, float(rows.bid[at]), float(rows.ask[at]), int(rows.ts_recv[at]))

    def of_time(self, now: int) -> list[Note]:
        """Notes about what became known or unknown by the passing of time: events that have shown, fair values."""
        over = self.maintenance.of_time(now)
        notes = [*over, *self.corporate.of_time(now), *self.market.of_time(now)]
        self.changed_eligibility = self.corporate.changed or self.market.changed or bool(over)
        for group, name in enumerate(self.columns.underlyings):
            fair = self.columns.fair(group, now)
            if (fair is not None) != self._known[group]:
                self._known[group] = fair is not None
                detail: dict[str, float | str] = {}
                if fair is None:
                    detail = {"reason": self.columns.why_unknown(group, now)}
                else:
                    detail = {"price": fair.price, "sigma_bps": fair.error_bps, "source": self._name(fair.source)}
                notes.append(Note(kind="fair_known" if fair else "fair_unknown", underlying=name, detail=detail))
        return notes

    def activate(self, payload: int, due: int) -> list[Note]:
        """A scheduled moment has come: of a corporate action, or the pause before a multiplier, or its change."""
        pending = self._pending[payload]
        if isinstance(pending, Event):
            return self.corporate.begin(pending, due)
        number, value, pause, activates = pending
        if self._announced.get(number) != (value, activates):
            return []
        if pause:
            return self.maintenance.ahead(number, value)
        return self._apply(number, value, due)

    def _apply(self, number: int, value: float, now: int) -> list[Note]:
        """The multiplier is `value` from now on; what was quoted before is forgotten until the next print."""
        old = self._in_force(number)
        if old == value:
            return self.maintenance.called_off(number)
        window = self.maintenance.changed(number, old, value, now) if isfinite(old) else []
        if not self._rebasing(number):
            self._judges.multiplied(number, value)
            return [Note(kind="multiplier", instrument=number, detail={"old": old, "new": value}), *window]
        self._rebased[number] = value
        if not isfinite(old):
            return []
        self.columns.forget(number)
        return [Note(kind="rebased", instrument=number, detail={"old": old, "new": value}), *window]

    def _rebasing(self, number: int) -> bool:
        return self.columns.universe[number].unit_model is UnitModel.REBASING

    def _in_force(self, number: int) -> float:
        """The multiplier of an instrument now; NaN where none was told."""
        return self._rebased.get(number, nan) if self._rebasing(number) else self._judges.units.multiplier[number]

    def _name(self, number: int) -> str:
        return self.columns.universe[number].name if number >= 0 else ""

    def _believed(self, number: int, bid: float, ask: float, now: int) -> list[Note]:
        """An instrument's row was refused for the first time in an episode, or believed again after one."""
        instrument = self.columns.universe[number]
        code = int(self.columns.refusal[number])
        reference = bool(self.columns.k[number, K.ROLE] & K.EVIDENCE)
        detail: dict[str, float | str] = {
            side: price for side, price in (("bid", bid), ("ask", ask)) if isfinite(price)
        }
        if code != K.OK:
            detail["reason"] = K.REFUSALS[code]
            if code == K.OUTLIER_PRINT:
                fair = self.columns.fair_without(number, now)
                if fair is not None:
                    per_share = 0.5 * (bid + ask) * float(self.columns.usd_per_share[number])
                    detail["fair"], detail["away_bps"] = fair.price, (per_share / fair.price - 1) * 1e4
        if reference:
            source = int(self.columns.fair_source[self.columns.group(number)])
            detail["now_used"] = self._name(source)
            if code == K.OK and self.columns.doubted(number):
                detail["doubted"] = 1.0
        split = self._split(number, code, now) if reference else []
        kinds = ("reference_back", "reference_refused") if reference else ("accepted_again", "refused_row")
        note = Note(kind=kinds[code != K.OK], instrument=number, underlying=instrument.underlying, detail=detail)
        return [note, *split]

    def _split(self, number: int, code: int, now: int) -> list[Note]:
        """What a refused source of a share makes us suspect where nobody is left to gainsay it."""
        f, fair = self.columns.f, self.columns.fair(self.columns.group(number), now)
        if code != K.STUB or (fair is not None and fair.source != number):
            return []
        ratio = split_of(float(f[number, K.REF_MID]), float(f[number, K.SUSPECT]))
        notes = self.maintenance.suspected(number, ratio) if ratio else []
        self.changed_eligibility = self.changed_eligibility or bool(notes)
        return notes

    def _health(self, number: int, code: float, reason: float) -> list[Note]:
        """An instrument's stream stands differently; while it is not up it is not traded. A venue is told of, not each
        of its instruments: down or closed when all are, degraded when some are not up."""
        venue = self.columns.universe[number].venue
        state = Health(int(code)) if code in _STATES else Health.DOWN
        before = self._of_venue(venue)
        self.columns.said[number] = (state, int(reason) if reason in _REASONS else Why.NOTHING)
        if state is Health.UP:
            self.columns.said.pop(number)
            self._standing.pop(number, None)
            self.reopened = number in self._ours
        else:
            self._standing[number] = state
        (self._ours.add if reason in _OURS else self._ours.discard)(number)
        after = self._of_venue(venue)
        self.changed_eligibility = True
        if before is after:
            return []
        detail: dict[str, float | str] = {"venue": venue, "state": after.name.lower()}
        if reason in _REASONS and reason:
            detail["why"] = Why(int(reason)).name.lower()
        return [Note(kind=_FEED_NOTES[after], instrument=number, detail=detail)]

    def _of_venue(self, venue: str) -> Health:
        """How a venue stands as a whole."""
        members = [at for at, instrument in enumerate(self.columns.universe) if instrument.venue == venue]
        states = {self._standing.get(at, Health.UP) for at in members}
        if states <= {Health.DOWN}:
            return Health.DOWN
        if states <= {Health.DOWN, Health.CLOSED}:
            return Health.CLOSED
        return Health.UP if states == {Health.UP} else Health.DEGRADED

    def announced(self, number: int, value: float, activates_s: float, now: int, push: Push) -> list[Note]:
        """A new multiplier was announced: schedule it for every instrument of that token whose unit it changes."""
        announced = self.columns.universe[number]
        told = (("value", value), ("activates", activates_s))
        detail: dict[str, float | str] = {name: what for name, what in told if isfinite(what)}
        touched = [at for at, other in enumerate(self.columns.universe) if _same_token(announced, other)]
        if not (isfinite(value) and value > 0) or not touched:
            reason = "no token whose unit is known" if value > 0 else "not a positive number"
            return [Note(kind="multiplier_refused", instrument=number, detail={**detail, "reason": reason})]
        activates = round(activates_s * 1000) * (NS // 1000) if isfinite(activates_s) else now
        self.changed_eligibility = True
        if activates <= now:
            # What is in force, said once more, is no news: the change that is to come still comes.
            touched = [at for at in touched if self._in_force(at) != value]
            for at in touched:
                self._announced[at] = (value, activates)
            return [note for at in touched for note in self._apply(at, value, now)]
        if all(self._announced.get(at) == (value, activates) for at in touched):
            return []
        notes = [Note(kind="multiplier_scheduled", instrument=number, detail=detail)]
        for at in touched:
            self._announced[at] = (value, activates)
            notes += self.maintenance.called_off(at)
            self.maintenance.announced(at, self._in_force(at), value)
            if self.maintenance_ns and self._in_force(at) != value:
                self._pending.append((at, value, True, activates))
                push(max(now, activates - self.maintenance_ns - 1), len(self._pending) - 1)
            self._pending.append((at, value, False, activates))
            push(activates - 1, len(self._pending) - 1)
        return notes


def _same_token(announced: Instrument, other: Instrument) -> bool:
    """Whether what is said of one instrument's multiplier holds for another: the same token of the same issuer, on the
    same chain where both name one, and it is known what its unit is."""
    chains = {announced.chain, other.chain} - {""}
    same = (other.token, other.issuer) == (announced.token, announced.issuer) and len(chains) < 2
    return same and other.token != "" and other.unit_model is not None
