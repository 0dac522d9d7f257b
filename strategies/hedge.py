"""A token that is dear or cheap against a perp or the share: bought or sold, hedged, held until its premium is usual.

At most one position in a share at a time. What is held is read from the ledger, which is folded from the journal, so a
restart goes on with it. Levels and their formulas: strategies/hedging/levels.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from connectors.instruments import Role, Universe
from connectors.orders import Intent, Leg, Side
from strategies.base import Decision, Every, Note, View, Wake
from strategies.hedging.bet import Taken, taken
from strategies.hedging.entry import Entry, Refusal, entries, legs_of
from strategies.hedging.holding import Holding, holding
from strategies.hedging.keeping import Verdict, keep
from strategies.hedging.legs import worth_usd
from strategies.hedging.rule import Rule, Terms
from strategies.hedging.sight import Sight
from strategies.hedging.usual import Premia

LONGEST = 5
"""How often the rest after a wish that comes to nothing doubles."""

Looked = tuple[Intent | None, tuple[Note, ...]]


@dataclass(kw_only=True)
class Hedge:
    """The strategy. It remembers what is usual, what it told last of each share, and when it wished last; all of that
    may be forgotten."""

    terms: tuple[Terms, ...]
    """One an instrument."""
    rule: Rule
    max_open: int
    name: str = "hedge"
    cooldown_ns: int = 0
    refusal_backoff_ns: int = 0
    _legs: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict, init=False)
    """By underlying: its tokens, and what may hedge them."""
    _fees: tuple[Taken, ...] = field(init=False)
    _premia: Premia = field(init=False)
    _rests: dict[str, int] = field(default_factory=dict, init=False)
    _wished: dict[str, tuple[str, int]] = field(default_factory=dict, init=False)
    _told: dict[str, str] = field(default_factory=dict, init=False)

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick of the clock."""
        for name in universe.underlyings():
            tokens = universe.where(role=Role.TOKEN, underlying=name)
            hedges = tuple(at for role in (Role.PERP, Role.SHARE) for at in universe.where(role=role, underlying=name))
            if tokens and hedges:
                self._legs[name] = tokens, hedges
        self._fees = tuple(taken(one.costs, self.rule.size_usd) for one in self.terms)
        fitted = tuple(number for tokens, _ in self._legs.values() for number in tokens)
        self._premia = Premia({number: one.usual for number, one in enumerate(self.terms)}, fitted)
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """(buy, sell): what it trades may be bought; a token may be sold where one is held, or may be sold short."""
        one, facts = view.columns.universe[instrument], view.columns.facts
        tokens, hedges = self._legs.get(one.underlying, ((), ()))
        if instrument not in (*tokens, *hedges) or not any(facts[number].traded for number in hedges):
            return False, False
        room = self._sight(view).room(instrument)
        return True, room is None or room >= self.terms[instrument].lot

    def decide(self, view: View) -> Decision:
        """Looks at every share of which no trade is under way."""
        self._premia.tick(view)
        sight = self._sight(view)
        wishes: list[Intent] = []
        notes: list[Note] = []
        for underlying in self._legs:
            if view.under_way(underlying) or view.now < self._rests.get(underlying, 0):
                continue
            wish, told = self._look(sight, underlying)
            notes += told
            if wish is not None:
                self._rest(underlying, wish, view.now)
                wishes.append(wish)
        return Decision(tuple(wishes), tuple(notes))

    def verdict(self, view: View, token: int, hedge: int) -> Entry | str:
        """How it would enter a token against a hedge now, asked by itself; in words why it would not."""
        underlying = view.columns.universe[token].underlying
        if view.under_way(underlying):
            return "a trade of the share is under way"
        if holding(view, self.name, underlying) is not None:
            return "it holds a position in the share already"
        sight = self._sight(view)
        words = "it is nearer to what is usual than the level at which it pays to enter"
        for entry in entries(sight, (token,), (hedge,)):
            legs = legs_of(sight, entry)
            if not isinstance(legs, Refusal):
                return entry
            words = legs.why
        return words

    def _rest(self, underlying: str, wish: Intent, now: int) -> None:
        """After a wish the share rests, longer where it is the one before again: it was refused, or nothing filled."""
        legs = str([(leg.instrument, leg.side, leg.quantity) for leg in wish.legs])
        before, times = self._wished.get(underlying, ("", 0))
        times = min(times + 1, LONGEST) if legs == before else 0
        self._wished[underlying] = legs, times
        self._rests[underlying] = now + (self.rule.rest_ns << times)

    def _sight(self, view: View) -> Sight:
        return Sight(view, self.name, self.rule, self.terms, self._fees, self._premia)

    def _look(self, sight: Sight, underlying: str) -> Looked:
        """What is to be done in one share."""
        facts = sight.view.columns.facts
        tokens, hedges = [
            [at for at in numbers if facts[at].traded and facts[at].cost is not None]
            for numbers in self._legs[underlying]
        ]
        held = holding(sight.view, self.name, underlying)
        if held is None:
            return self._enter(sight, underlying, tokens, hedges)
        if isinstance(held, str):
            return None, self._tell(underlying, -1, "hold", "locked", {"what": held})
        return self._kept(sight, underlying, held, keep(sight, held, hedges))

    def _enter(self, sight: Sight, underlying: str, tokens: list[int], hedges: list[int]) -> Looked:
        """The best entry that nothing speaks against; else the best one is refused, and why."""
        found = sorted(entries(sight, tokens, hedges), key=lambda entry: -entry.edge)
        if not found:
            self._told.pop(underlying, None)
            return None, ()
        refusal: Refusal | None = None
        for entry in found:
            legs = legs_of(sight, entry)
            if not isinstance(legs, Refusal):
                note = self._note(underlying, entry.token, "enter", "premium", entry.numbers(sight))
                return self._wish(sight, underlying, legs, _words(entry, sight), edge_bps=entry.edge * 1e4), (note,)
            refusal = refusal or legs
        assert refusal is not None
        detail = {"reason": refusal.word, "detail": refusal.why, **found[0].numbers(sight)}
        return None, self._tell(underlying, found[0].token, "refuse", refusal.word, detail)

    def _kept(self, sight: Sight, underlying: str, held: Holding, verdict: Verdict) -> Looked:
        """What was found of a holding, as a wish and notes."""
        token = next((at for at in held.units if sight.view.columns.universe[at].role is Role.TOKEN), -1)
        notes: tuple[Note, ...] = ()
        why = verdict.why + verdict.alert
        if verdict.alert and self._told.get(underlying) != f"{verdict.action} {why}":
            detail = {"strategy": self.name, "action": verdict.action, "why": verdict.why, **verdict.detail}
            notes = (Note(kind=verdict.alert, instrument=token, underlying=underlying, detail=detail),)
        if not verdict.legs:
            told = self._told.get(underlying) != f"hold {why}"
            self._told[underlying] = f"hold {why}"
            return None, (*[self._note(underlying, token, "hold", verdict.why, verdict.detail)] * told, *notes)
        self._told[underlying] = f"{verdict.action} {why}"
        note = self._note(underlying, token, verdict.action, verdict.why, verdict.detail)
        reason = f"{verdict.action}: {verdict.why}"
        wish = self._wish(sight, underlying, verdict.legs, reason)
        return structs.replace(wish, purpose=verdict.purpose, carried=verdict.carried), (note, *notes)

    def _wish(
        self,
        sight: Sight,
        underlying: str,
        legs: tuple[Leg, ...],
        reason: str,
        edge_bps: float = 0.0,
    ) -> Intent:
        view = sight.view
        group = view.columns.underlyings.index(underlying)
        return Intent(
            id=f"{self.name}-{view.now}-{view.seq}-{group}",
            strategy=self.name,
            legs=legs,
            reason=reason,
            edge_bps=edge_bps,
            notional_usd=worth_usd(view, legs),
            deadline_ns=view.now + self.rule.latency_ns,
            underlying=underlying,
        )

    def _tell(
        self, underlying: str, token: int, action: str, why: str, detail: Mapping[str, float | str]
    ) -> tuple[Note, ...]:
        """What has changed since it was told last."""
        key = f"{action} {why}"
        if self._told.get(underlying) == key:
            return ()
        self._told[underlying] = key
        return (self._note(underlying, token, action, why, detail),)

    def _note(self, underlying: str, token: int, action: str, why: str, detail: Mapping[str, float | str]) -> Note:
        if action == "refuse":
            return Note(
                kind="no_trade", instrument=token, underlying=underlying, detail={"strategy": self.name, **detail}
            )
        return Note(
            kind="hedge", instrument=token, underlying=underlying, detail={"action": action, "why": why, **detail}
        )


def _words(entry: Entry, sight: Sight) -> str:
    """Why an entry is wished."""
    side = Side.BUY if entry.token == entry.bet.buy.number else Side.SELL
    return (
        f"enter: {side.value} {sight.name(entry.token)} {entry.bet.away * 1e4:.1f} bps from usual against "
        f"{sight.name(entry.hedge)}, {entry.edge * 1e4:.1f} bps expected in {entry.days:.2f} days"
    )
