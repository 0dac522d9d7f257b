"""Mints and redemptions on their way: reviewed, recorded, asked for, followed, and told when they are late."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import structs

from connectors.events import NS
from connectors.orders import CONVERTED, Conversion, ConversionState, Intent, Progress, Reason, Side
from connectors.ports import Primary
from strategies.base import Note, View
from strategies.execution.conversions import Running
from strategies.execution.latch import Latch, Mode
from strategies.execution.ledger import Ledger
from strategies.execution.limits import Limits
from strategies.execution.requests import review_conversion
from strategies.execution.rounds import no_offer

ASK_AGAIN_NS = 60 * NS
"""How long after its word an issuer is asked again about a request that is late or was unknown once."""

IssuersOf = Callable[[Callable[[int], float], Callable[[int], float]], Mapping[str, Primary]]
"""From what a unit of an instrument is worth in USD and in shares, by its number, to the doors of issuers by name."""


class Recorder(Protocol):
    """Who writes a decision record; it is chained before anything that it allows is sent."""

    def __call__(
        self,
        cause: str,
        now: int,
        *,
        notes: Sequence[Note] = (),
        conversions: tuple[Conversion, ...] = (),
        progress: tuple[Progress, ...] = (),
    ) -> None:
        """Writes one record."""


class Converter:
    """Whoever wishes a mint or redemption goes through here."""

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits | None,
        *,
        record: Recorder,
        push: Callable[[int], None],
        latch: Callable[[], Latch],
        differs: Callable[[int], str] = lambda number: "",
        unbacked: Callable[[int], str] = lambda number: "",
    ) -> None:
        """`push` asks for `hear` at a moment (ns); `latch` says what is held back now, `differs` why the books of an
        instrument are not known to be right, `unbacked` why no more of it is minted."""
        self.ledger, self.limits = ledger, limits
        self.primaries: Mapping[str, Primary] = {}
        """Doors of issuers by name; without any nothing is asked for."""
        self._record, self._push, self._latch, self._differs = record, push, latch, differs
        self._unbacked = unbacked
        self._asks: dict[int, list[str]] = {}
        """Ids that are asked about at a moment, ns UTC."""

    def take_up(self, now: int) -> None:
        """After a restart: asks how each open request stands, also for one whose recording was the last thing done."""
        for one in list(self.ledger.conversions.open()):
            self.ask(one.order.id, now)
            self._push(max(now, one.order.sla_ns) + 1)

    def ask(self, id: str, now: int) -> None:
        """Asks the issuer how a request stands."""
        primary = self.primaries.get(self.ledger.conversions.all[id].order.issuer)
        for due in () if primary is None else primary.status(id, now):
            self._push(due)

    def recheck(self, id: str, now: int) -> str:
        """An operator wants the issuer asked once more; gives why not, empty where it is."""
        one = self.ledger.conversions.all.get(id)
        if one is None or one.closed:
            return f"no request {id} is under way"
        if one.order.issuer not in self.primaries:
            return f"this run has no door of the issuer {one.order.issuer}"
        self.ask(id, now)
        return ""

    def write_off(self, id: str, reason: str, by: str, now: int) -> str:
        """An operator ends a request with what has moved so far; gives why not, empty where it is done.

        What lacks stays a claim. Should the issuer say something newer after all, that holds.
        """
        one = self.ledger.conversions.all.get(id)
        if one is None or one.closed:
            return f"no request {id} is under way"
        known = one.word or Progress(id=id, state=ConversionState.REQUESTED, ts=now)
        ts = max(now, known.ts + 1)
        words = f"written off: {reason} ({by})"
        word = structs.replace(known, state=ConversionState.SETTLED, ts=ts, detail=words)
        self.ledger.progress(word)
        self._record("operator", now, notes=[self._note(one)], progress=(word,))
        return ""

    def decided(
        self, wishes: Iterable[Conversion], view: View, *, completes: bool = False
    ) -> tuple[tuple[Conversion, ...], tuple[Note, ...]]:
        """Those of the wishes that pass, and a note for each that does not. Only where one `completes` a trade, for
        which trades ask themselves, may it name one; refused it is also a try of the trade that is spent."""
        passed: tuple[Conversion, ...] = ()
        notes: list[Note] = []
        for wish in wishes:
            forged = (
                (Reason.MALFORMED, "only trades ask for what completes one") if wish.trade and not completes else None
            )
            why = forged or self._objection(wish, passed, view)
            if why is None:
                passed = (*passed, wish)
            else:
                detail: dict[str, float | str] = {"id": wish.id, "reason": why[0].value, "detail": why[1]}
                notes.append(Note(kind="conversion_refused", underlying=wish.underlying, detail=detail))
                if completes:
                    notes.append(no_offer(wish.trade, wish.underlying, why[1]))
        return passed, tuple(notes)

    def foresees(self, wish: Intent, view: View) -> tuple[Reason, str] | None:
        """What would speak against the mint or redemption that a plan ends with, were it asked for now. What none of
        its legs buys must be there already."""
        then = wish.then
        if then is None:
            return None
        bought = any(leg.instrument == then.source and leg.side is Side.BUY for leg in wish.legs)
        return self._objection(then, (), view, held=not bought)

    def _objection(
        self, wish: Conversion, passed: tuple[Conversion, ...], view: View, *, held: bool = True
    ) -> tuple[Reason, str] | None:
        """What speaks against a wish. Where only reducing is allowed, a request that completes a trade still is."""
        if self.limits is None:
            return Reason.MODE, "nothing is traded in this run: it has no limits"
        universe = view.columns.universe
        names = {f"underlying:{wish.underlying}", f"issuer:{wish.issuer}"}
        names |= {f"{kind}:{name}" for at in (wish.source, wish.target) for kind, name in
                  (("token", universe[at].token), ("venue", universe[at].venue))}  # fmt: skip
        hold = self._latch().strictest(names, view.now)
        if hold is not None and (hold.mode is Mode.HALT or (hold.mode is Mode.REDUCE and not wish.trade)):
            return (Reason.KILLED if hold.mode is Mode.HALT else Reason.REDUCE_ONLY), str(hold)
        if not wish.trade and (why := self._differs(wish.source) or self._differs(wish.target)):
            return Reason.REDUCE_ONLY, why
        if wish.mint and not wish.trade and (why := self._unbacked(wish.target)):
            return Reason.BACKING, why
        limits = self.limits
        return review_conversion(wish, passed, view, self.primaries, limits.max_order_usd, limits.collar_bps, held=held)

    def send(self, passed: Iterable[Conversion], now: int) -> None:
        """Asks for what passed and is recorded."""
        for order in passed:
            self.ledger.convert(order, now)
            for due in self.primaries[order.issuer].request(order, now):
                self._push(due)
            self._push(order.sla_ns + 1)

    def hear(self, now: int) -> None:
        """Takes what issuers tell at `now`, and says which requests have become late: each once."""
        for id in self._asks.pop(now, ()):
            if not self.ledger.conversions.all[id].closed:
                self.ask(id, now)
        notes: list[Note] = []
        fresh: list[Progress] = []
        for word in [word for primary in self.primaries.values() for word in primary.progress(now)]:
            one = self.ledger.conversions.all.get(word.id)
            if one is None:
                continue
            before, news = one.state, one.news
            self.ledger.progress(word)
            if one.news > news or one.state is not before:
                fresh.append(word)
            if one.state is not before:
                notes.append(self._note(one))
            if one.state not in CONVERTED and (one.unknown_ts >= 0 or word.id in self.ledger.conversions.paged):
                self._later(word.id, now + ASK_AGAIN_NS)
        for late in self.ledger.conversions.overdue(now):
            hours = (now - late.since) / NS / 3600
            detail: dict[str, float | str] = {"id": late.order.id, "issuer": late.order.issuer, "hours": hours}
            self._later(late.order.id, now + ASK_AGAIN_NS)
            detail |= {"state": late.state.value, "units": float(late.away or late.order.quantity)}
            notes.append(Note(kind="conversion_late", underlying=late.order.underlying, detail=detail))
        if fresh or notes:
            self._record("issuer", now, notes=notes, progress=tuple(fresh))

    def _later(self, id: str, due: int) -> None:
        """Asks about a request at `due`."""
        self._asks.setdefault(due, []).append(id)
        self._push(due)

    def _note(self, one: Running) -> Note:
        """How one stands now, and what is owed of it."""
        order = one.order
        detail: dict[str, float | str] = {"id": order.id, "issuer": order.issuer, "state": one.state.value}
        if one.claim is not None:
            detail |= {"owed": str(one.claim.units), "why": one.claim.why.value}
        return Note(kind="conversion", instrument=order.target, underlying=order.underlying, detail=detail)
