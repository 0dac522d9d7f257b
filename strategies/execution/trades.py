"""Every trade under way, and what they leave behind: dust, and shares that rest.

The engine folds what it recorded (`approved`, `refused`, `heard`, `noted`) and asks what to do next (`think`, `asks`,
`due`). bot/restore.py folds the same records after a restart, and the state is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import structs

from connectors.events import NEVER
from connectors.instruments import Role, Universe
from connectors.orders import PLANS, Conversion, Intent, Leg, Reason, Report, Side
from strategies.base import Note, View
from strategies.execution import saga as S
from strategies.execution.asking import Asking, Asks
from strategies.execution.completing import completed
from strategies.execution.conversions import Running
from strategies.execution.exits import Claim, Exits, Lot
from strategies.execution.ledger import ZERO
from strategies.execution.rounds import follow_up, no_offer, sweep, trade_note
from strategies.execution.saga import ENDS, Ask, Rules, Saga, Stage, Standing, Turn

KEPT: Final = 1_000
"""Trades that are over and remembered, for what is heard late."""
_REPAIRED: Final = frozenset({Stage.HEDGE, Stage.UNWIND, Stage.COOL})


class Thought(NamedTuple):
    """What is to be done now: wishes to review and notes to keep. Nothing has changed yet."""

    wishes: tuple[Intent, ...] = ()
    notes: tuple[Note, ...] = ()
    conversions: tuple[Conversion, ...] = ()


class Trades:
    """All of a run. Only the fold changes trades; questions that were asked are not part of it."""

    def __init__(
        self,
        universe: Universe,
        *,
        worth: Callable[[int], float],
        lots: Sequence[Lot] = (),
        rules: Rules | None = None,
        requests: Mapping[str, Running] | None = None,
    ) -> None:
        """`worth` gives shares per unit of an instrument now (NaN unknown), `lots` how little of each can be traded,
        `requests` every mint and redemption by id."""
        self._requests = {} if requests is None else requests
        self.universe, self.rules = universe, Rules() if rules is None else rules
        widest = self.rules.give_bps * self.rules.retries
        self.exits = Exits(universe, lots or [Lot()] * len(universe), worth, widest)
        self.open: dict[str, Saga] = {}
        """By id: trades that have no end yet, or orders without a final answer."""
        self.over: dict[str, Saga] = {}
        """The last ones that are over."""
        self.dust: dict[str, Decimal] = {}
        """Net shares that ended trades have left, by underlying: less than can be traded."""
        self.cooling: dict[str, int] = {}
        """Until when (ns) an underlying rests after an unwind."""
        self.unwinds: Counter[str] = Counter()
        """Unwinds in a row by underlying."""
        self.swept: Counter[str] = Counter()
        self.swept_ns: dict[str, int] = {}
        """How often, and when last, dust of an underlying was to be swept up."""
        self._began_ns = 0
        """When a run that goes on from earlier records first looked at their trades."""
        self.restored: set[str] = set()
        """Trades of an earlier run that are not over yet."""
        self._trade_of: dict[str, str] = {}
        self._order_of: dict[str, tuple[str, int]] = {}
        """By client id: the intent and its leg."""
        self._asking = Asking(self.rules, self.exits)

    # --- the fold

    def approved(self, intent: Intent, now: int) -> None:
        """An intent passed the review and is recorded."""
        self._trade_of[intent.id] = intent.trade or intent.id
        for number in range(len(S.first_round(intent).legs)):
            self._order_of[intent.client_id(number)] = intent.id, number
        if intent.trade:
            saga = self._find(intent.trade)
            S.sent(saga, intent, now)
            self._place(intent.trade, saga)
        elif intent.purpose in PLANS:
            self.open[intent.id] = S.begin(intent, now)
        else:
            self.open[intent.id] = S.sweep(intent, self.dust.pop(intent.underlying, ZERO), now)
            self._swept(intent.underlying, now)

    def asked_for(self, order: Conversion, now: int) -> None:
        """A mint or redemption passed the review and is recorded."""
        if order.trade:
            S.asked(self._find(order.trade), order.id, now)

    def refused(self, intent: Intent, now: int) -> None:
        """A wish was refused: one try of a trade is spent; a plan that was refused is none, nor is a trade unknown."""
        if intent.trade:
            if intent.trade in self.open or intent.trade in self.over:
                S.declined(self._find(intent.trade), now)
        elif intent.purpose not in PLANS:
            self._swept(intent.underlying, now)

    def heard(self, report: Report, now: int) -> list[Note]:
        """A venue told something of an order of a trade, whether that is over or not; gives what is odd about it."""
        trade = self._trade_of[report.intent_id]
        saga = self._find(trade)
        if report.retry_ns:
            venue = self.universe[saga.orders[report.client_id].leg.instrument].venue
            self.exits.resting[venue] = max(report.retry_ns, self.exits.resting.get(venue, 0))
        ended, waits = saga.stage in ENDS, saga.stage is Stage.PAGED and any(S.live(saga))
        over = S.hear(saga, report, now)
        if ended and saga.stage not in ENDS:
            self._leave(saga.plan.underlying, -saga.dust)
            saga.dust = ZERO
        self._place(trade, saga)
        notes = []
        if over:
            order = saga.orders[report.client_id]
            why = f"{report.client_id} filled {order.filled} of {order.leg.quantity}"
            notes.append(trade_note(saga, event="overfill", why=why))
        if waits and not any(S.live(saga)):
            notes.append(
                trade_note(saga, event="answered", why=f"{report.client_id} was the last order without an answer")
            )
        return notes

    def noted(self, note: Note, now: int) -> None:
        """A note was recorded; those of kind "trade" and "resumed" change something."""
        if note.kind == "resumed":
            self.unwinds.pop(note.underlying, None)
        if note.kind != "trade":
            return
        detail, trade = note.detail, str(note.detail["trade"])
        if detail.get("event") == "no_offer":
            S.declined(self._find(trade), now)
        if "stage" in detail:
            dust = Decimal(str(detail["dust"])) if "dust" in detail else ZERO
            self._turned(trade, Stage(str(detail["stage"])), dust, now)

    def _turned(self, trade: str, stage: Stage, dust: Decimal, now: int) -> None:
        """A trade came to a stage, and with an end to what that means for its share."""
        saga = self._find(trade)
        before, underlying = saga.stage, saga.plan.underlying
        S.turn(saga, stage, now)
        if stage in ENDS and stage is not Stage.PAGED:
            saga.dust = dust
            self._leave(underlying, saga.dust)
            if before in (Stage.UNWIND, Stage.COOL):
                self.unwinds[underlying] += 1
                self.cooling[underlying] = now + self.rules.cooldown_ns
            elif stage is Stage.HEDGED:
                self.unwinds.pop(underlying, None)
        self._place(trade, saga)

    def taken_up(self) -> None:
        """A run goes on from earlier records: what is open is asked about at once, and its share is not traded anew."""
        self.restored = set(self.open)
        self._asking.begin(self.open.values())

    def forget_all(self) -> None:
        """What is open was ended by an earlier version of this program, which kept no trades."""
        self.open.clear()

    def forget_finals(self) -> None:
        """The same of each trade whose orders all have their final answer."""
        self.open = {trade: saga for trade, saga in self.open.items() if any(S.live(saga))}

    def _leave(self, underlying: str, shares: Decimal) -> None:
        if shares:
            left = self.dust.pop(underlying, ZERO) + shares
            if left:
                self.dust[underlying] = left

    def _swept(self, underlying: str, now: int) -> None:
        self.swept[underlying] += 1
        self.swept_ns[underlying] = now

    def _find(self, trade: str) -> Saga:
        return self.open[trade] if trade in self.open else self.over[trade]

    def _place(self, trade: str, saga: Saga) -> None:
        """Where a trade is kept: over is what has an end and no order without a final answer."""
        if saga.stage in ENDS and not any(S.live(saga)):
            self.open.pop(trade, None)
            self.restored.discard(trade)
            self.over[trade] = saga
            self._asking.forget(saga)
            if len(self.over) > KEPT:
                oldest = self.over.pop(next(iter(self.over)))
                for client_id in oldest.orders:
                    self._trade_of.pop(self._order_of.pop(client_id)[0], None)
        else:
            self.over.pop(trade, None)
            self.open[trade] = saga

    # --- what may be read

    @property
    def idle(self) -> bool:
        """Whether there is nothing to think of."""
        return not (self.open or self.dust)

    def order(self, report: Report) -> S.Order | None:
        """The order that a report is about; None where nobody knows it."""
        trade = self._trade_of.get(report.intent_id)
        saga = None if trade is None else self.open.get(trade) or self.over.get(trade)
        return None if saga is None else saga.orders.get(report.client_id)

    def named(self, report: Report) -> Report:
        """A report with its intent and leg, where whoever told it knew the client id alone and we know more."""
        known = self._order_of.get(report.client_id)
        if report.intent_id or known is None:
            return report
        return structs.replace(report, intent_id=known[0], leg=known[1])

    def strategy(self, report: Report) -> str:
        """Whose trade it is that a report is about, which must be known."""
        return self._find(self._trade_of[report.intent_id]).plan.strategy

    def under_way_in(self, underlying: str) -> bool:
        """Whether a trade of a share has no end yet, or an order without a final answer."""
        return any(saga.plan.underlying == underlying for saga in self.open.values())

    def live_legs(self) -> list[Leg]:
        """Legs of all orders that may still fill."""
        return [order.leg for saga in self.open.values() for _, order in S.live(saga)]

    def under_way(self) -> dict[str, str]:
        """Strategy of every trade without an end, by id."""
        return {trade: saga.plan.strategy for trade, saga in self.open.items() if saga.stage not in ENDS}

    def claims(self) -> set[Claim]:
        """What orders under way take for themselves: one of each (underlying, venue, side)."""
        return {self._claim(saga.plan, order.leg) for saga in self.open.values() for _, order in S.live(saga)}

    def _claim(self, intent: Intent, leg: Leg) -> Claim:
        return intent.underlying, self.universe[leg.instrument].venue, leg.side

    def objection(self, plan: Intent, now: int, *, beside: Sequence[Intent] = ()) -> tuple[Reason, str] | None:
        """Why a new trade may not be opened, with those under way and `beside` others of this moment; None: it may."""
        underlying = plan.underlying
        if now < self.cooling.get(underlying, 0):
            return Reason.COOLDOWN, f"{underlying} rests after an unwind"
        if plan.in_order and self.rules.retries == 0:
            return Reason.MODE, "its second leg may not be sent: there is no [execution]"
        for trade, saga in self.open.items():
            if saga.plan.underlying != underlying:
                continue
            if saga.stage in _REPAIRED or (trade in self.restored and not saga.asked):
                return Reason.IN_FLIGHT, f"{trade} must come to its end first"
            theirs = saga.plan.then
            if plan.then and theirs and plan.then.issuer == theirs.issuer:
                return Reason.IN_FLIGHT, f"{trade} waits for {theirs.issuer} or is going to"
        for leg in plan.legs:
            if now < self.exits.rests_until(leg.instrument):
                return Reason.ORDER_RATE, f"{self.universe[leg.instrument].venue} was asked too much and wants peace"
        if not (self.open or beside):
            return None
        claimed = self.claims().union(self._claim(one, leg) for one in beside for leg in one.legs)
        taken = claimed.intersection(self._claim(plan, leg) for leg in plan.legs)
        for _, venue, side in sorted(taken):
            return Reason.IN_FLIGHT, f"another order to {side.value} {underlying} at {venue} is under way"
        return None

    def open_shares(self) -> dict[tuple[str, str], Decimal]:
        """Net shares of each trade that is not over, by its id and underlying, by its own fills, its orders under way
        counted as filled; trades of which they are not known are left out."""
        found = {}
        for trade, saga in self.open.items():
            units = self._units(saga)
            for _, order in S.live(saga):
                left = max(order.leg.quantity - order.filled, ZERO)
                signed = left if order.leg.side is Side.BUY else -left
                units[order.leg.instrument] = units.get(order.leg.instrument, ZERO) + signed
            shares = [self.exits.shares(held, number) for number, held in units.items()]
            known = [one for one in shares if one is not None]
            if len(known) == len(shares):
                found[trade, saga.plan.underlying] = sum(known, saga.carried)
        return found

    def standing(self, saga: Saga, view: View) -> Standing:
        """What a trade's units are worth now."""
        worth = [self.exits.shares(units, number) for number, units in self._units(saga).items()]
        known = [shares for shares in worth if shares is not None]
        net = None if len(known) < len(worth) else sum(known, saga.carried)
        held = max([abs(shares) for shares in known], default=ZERO)
        # Where nothing is left, or that is not known, how little could be traded is not asked.
        least = self.exits.least(view, saga.plan) if net else ZERO
        return Standing(net, held, least, self._requests.get(saga.asked))

    def _units(self, saga: Saga) -> dict[int, Decimal]:
        """Units by instrument of its fills, and of its mint or redemption: what that has made of them, or will."""
        units, request = dict(saga.units), self._requests.get(saga.asked)
        for number, more in () if request is None else request.changes:
            if self.universe[number].role is not Role.COIN:
                units[number] = units.get(number, ZERO) + more
        return {number: held for number, held in units.items() if held}

    # --- what to do next

    def think(self, view: View) -> Thought:
        """One step of every trade for which it is time. To be asked again once this is recorded, until it is empty."""
        if self.idle:
            return Thought()
        wishes: list[Intent] = []
        notes: list[Note] = []
        conversions: list[Conversion] = []
        busy: set[Claim] = set()
        for trade, saga in self.open.items():
            if trade in self.restored and self._unheard(saga, view):
                continue
            stands = self.standing(saga, view)
            move = S.decide(saga, view.now, stands, self.rules)
            if isinstance(move, Turn):
                notes.append(self._note_of(saga, move, stands, view.now))
            elif isinstance(move, Ask):
                made = completed(saga.plan, move.shares, view, self.exits.shares, since=saga.opened_ns)
                if isinstance(made, str):
                    notes.append(no_offer(saga.plan.id, saga.plan.underlying, made))
                else:
                    conversions.append(made)
            elif move is not None:
                offer = self.exits.offer(view, saga, move, self.claims() | busy, self.rules)
                if isinstance(offer, str):
                    notes.append(no_offer(saga.plan.id, saga.plan.underlying, offer))
                elif offer is not None:
                    wishes.append(follow_up(saga, move, offer, view.now, self.rules))
                    busy.add(self._claim(saga.plan, offer.leg))
        wishes += self._sweeps(view, busy)
        return Thought(tuple(wishes), tuple(notes), tuple(conversions))

    def _unheard(self, saga: Saga, view: View) -> bool:
        """Whether a trade of an earlier run is to wait: nobody has quoted its share since this run began, so that its
        tries would be spent on nothing."""
        self._began_ns = self._began_ns or view.now
        waits = view.now < self._began_ns + self.rules.page_after_ns
        return waits and saga.stage in _REPAIRED and not self.exits.quoted(view, saga.plan.underlying)

    def _note_of(self, saga: Saga, move: Turn, stands: Standing, now: int) -> Note:
        """That a trade comes to a stage, with what it leaves."""
        more: dict[str, float | str] = {}
        if move.stage in ENDS:
            more["naked_usd_s"] = S.naked_usd_s(saga, now)
            if stands.net is None or stands.net:
                more["shares" if move.stage is Stage.PAGED else "dust"] = str(stands.net)
            unwound = move.stage is not Stage.PAGED and saga.stage in (Stage.UNWIND, Stage.COOL)
            if unwound and self.unwinds[saga.plan.underlying] + 1 >= self.rules.max_unwinds:
                more["reduce_only"] = f"{self.rules.max_unwinds} trades in a row had to be unwound"
        return trade_note(saga, stage=move.stage.value, why=move.why, **more)

    def _sweeps(self, view: View, busy: set[Claim]) -> list[Intent]:
        """Orders that bring dust to zero where it has become enough to be traded and nothing of its share is open."""
        wishes = []
        for underlying, shares in self.dust.items():
            if self.rules.retries == 0 or view.now < self._sweep_ns(underlying):
                continue
            if any(saga.plan.underlying == underlying for saga in self.open.values()):
                continue
            made = sweep(underlying, shares, self.swept[underlying] + 1, view, self.exits, busy, self.rules)
            wishes += [made] if made else []
        return wishes

    def _sweep_ns(self, underlying: str) -> int:
        """Before this dust of a share is not to be swept up again."""
        last = self.swept_ns.get(underlying)
        return 0 if last is None else last + self.rules.cooldown_ns

    def asks(self, now: int) -> Asks:
        """Orders to ask venues about now."""
        return self._asking.asks(self.open.values(), now)

    def due(self, now: int, *, asked: bool) -> int:
        """The next moment after `now` (ns) at which to think again without a report; `asked`: venues can be."""
        if self.idle:
            return NEVER
        moments = [S.due(saga, now, self.rules) for saga in self.open.values()]
        if asked:
            moments += self._asking.dues(self.open.values())
        if any(trade in self.restored and saga.stage in _REPAIRED for trade, saga in self.open.items()):
            moments.append(now + self.rules.wait_ns)
        moments += [self._sweep_ns(underlying) for underlying in self.dust]
        return min([NEVER, *(moment for moment in moments if moment > now)])
