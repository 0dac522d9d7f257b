"""What must hold after every record, whatever happens: watched in every run, and a breach stops the trading.

Nothing here asks the parts that it watches how they came to their result: books are summed up again from what records
tell, approvals are held against the columns and the limits once more, and every order is looked at on its way out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.second_books import SecondBooks
from connectors.events import NS
from connectors.orders import Approved, Conversion, Intent, Leg, Outcome, Purpose, Report, Side
from strategies.base import Step
from strategies.execution.adjusting import KIND as ADJUST
from strategies.execution.adjusting import adjustment_of
from strategies.execution.latch import INVARIANT, Mode, scopes_of
from strategies.execution.recent import Recent
from strategies.market import kernel as K

if TYPE_CHECKING:
    from bot.engine import Engine
    from bot.outbox import Disk

MINUTE_NS: Final = 60 * NS
SLACK: Final = 1 + 1e-9
"""Floats that are compared with a limit were multiplied in another order."""
GRACE_NS: Final = NS
"""From a halt to the last order that may leave."""
ORDERS: Final = 10_000
"""Orders that are remembered; none of the newest ones is looked for in vain."""
MOVED_BPS: Final = 50.0
"""So far the fair value may move between an approval and its leaving."""


class Breach(NamedTuple):
    """Something that must never be is."""

    invariant: str
    """I1, I2, ..."""
    what: str
    ts: int
    """ns UTC."""

    def __str__(self) -> str:
        """`I2: what`."""
        return f"{self.invariant}: {self.what}"


@dataclass(slots=True)
class Order:
    """One that a record allows."""

    side: Side
    left: bool = False
    """It has left, or was allowed to an earlier process and must not leave any more."""
    final: bool = False
    """Its venue has said the last word."""

    @property
    def unsure(self) -> bool:
        """Nobody knows yet what has become of it."""
        return self.left and not self.final


class Invariants:
    """Hears every record of an engine and sees every order leave."""

    def __init__(self, tell: Callable[[Breach], None], disk: Disk | None = None) -> None:
        """`tell` hears of each breach, once for each kind and subject. `disk` knows which records are durable; None
        where orders need not wait for that, since they leave for nowhere."""
        self._tell, self._disk = tell, disk
        self._told: set[tuple[str, str]] = set()
        self._engine: Engine | None = None
        self._breaches = 0
        self._orders: Recent[str, Order] = Recent(ORDERS)
        """Every order that a record allows, by client id."""
        self._trades: Recent[str, list[str]] = Recent(ORDERS)
        """Client ids by trade."""
        self._records: Recent[str, int] = Recent(ORDERS)
        """Number of the record that allows an intent or request of this process."""
        self._requests: dict[str, bool] = {}
        """Every mint or redemption that a record allows, and whether it has left or must not leave any more."""
        self._books = SecondBooks()
        self._sendings: deque[int] = deque()
        self._naked_since: dict[str, int] = {}

    # --- beginning

    def remembering(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The records of earlier runs as they are read: what was allowed then counts as allowed and must not leave."""
        for step in steps:
            self._allow(step)
            self._hear_finals(step.reports)
            for report in step.reports:
                self._books.remember(report)
            yield step

    def watch(self, engine: Engine) -> None:
        """From now on the records of this engine, which was restored, are held against each other."""
        self._engine = engine
        for order in self._orders.values():
            order.left = True
        self._requests = dict.fromkeys(self._requests, True)
        self._books.begin(engine.universe, engine.ledger)

    # --- every record

    def hear(self, step: Step) -> None:
        """Checks one record against everything before it; called before anything that it allows is sent."""
        engine = self._engine
        if engine is None:
            return
        self._allow(step)
        if self._disk is not None:
            self._records.update(dict.fromkeys((*step.approved, *(one.id for one in step.conversions)), self._disk.seq))
        self._hear_finals(step.reports)
        if step.reports or step.progress or step.charges:
            self._books.hear(step, engine.ledger.conversions.all)
            for one in self._books.unequal(engine.ledger):
                self._breach(one.invariant, one.what, step.ts, one.subject)
        passed = set(step.approved)
        for intent in step.wishes:
            if intent.id in passed:
                self._judge(intent, step.ts)
        self._naked(step.ts)
        for note in step.notes:
            if note.kind == ADJUST:
                self._books.adjust(adjustment_of(note))

    def _allow(self, step: Step) -> None:
        passed = set(step.approved)
        for intent in step.wishes:
            if intent.id in passed:
                for number, leg in enumerate(intent.legs):
                    self._orders.setdefault(intent.client_id(number), Order(leg.side))
                    self._trades.setdefault(intent.trade or intent.id, []).append(intent.client_id(number))
        for request in step.conversions:
            self._requests.setdefault(request.id, False)

    def _hear_finals(self, reports: Iterable[Report]) -> None:
        for report in reports:
            order = self._orders.get(report.client_id)
            if order is None:
                continue
            if report.undone:
                order.final = False
            elif report.final and report.outcome is not Outcome.UNKNOWN:
                order.final = True

    # --- what is let pass: I5, I6

    def _judge(self, intent: Intent, now: int) -> None:
        """An approved intent against quotes and limits once more."""
        engine = self._engine
        assert engine is not None
        limits, columns = engine.limits, engine.columns
        if limits is None:
            self._breach("I6", f"{intent.id} was approved, and there are no limits", now, intent.id)
            return
        self._sendings.extend([now] * len(intent.legs))
        while self._sendings[0] <= now - MINUTE_NS:
            self._sendings.popleft()
        most = limits.max_orders_per_minute + limits.hedge_orders_per_minute
        if len(self._sendings) > most:
            self._breach("I6", f"{len(self._sendings)} orders in a minute, allowed {most}", now)
        opens = intent.purpose is Purpose.OPEN and not self._closes(intent)
        for leg in intent.legs:
            self._quoted(intent, leg, now)
            usd = float(leg.quantity * leg.seen) * columns.known_fx(leg.instrument)
            if opens and not usd <= float(limits.max_order_usd) * SLACK:
                self._breach("I6", f"{intent.id}: a leg of {usd:.2f} USD, allowed {limits.max_order_usd}", now)
        if opens and columns.session not in limits.sessions:
            self._breach("I6", f"{intent.id} opens in session {columns.session.label}", now, intent.id)

    def _closes(self, intent: Intent) -> bool:
        """Whether each leg takes away from what is held there: such a plan may pass where none is opened."""
        assert self._engine is not None
        ledger = self._engine.ledger
        signed = [(one, ledger.position(one.instrument) * (1 if one.side is Side.SELL else -1)) for one in intent.legs]
        return all(leg.quantity <= held for leg, held in signed)

    def _quoted(self, intent: Intent, leg: Leg, now: int) -> None:
        """What a leg was decided on is believed, fresh and not crossed, and what opens is near the fair value."""
        engine = self._engine
        assert engine is not None
        columns, at, name = engine.columns, leg.instrument, engine.universe[leg.instrument].name
        f, k = columns.f_rows[at], columns.k_rows[at]
        if k[K.REFUSAL] != K.OK or now > k[K.EXPIRES] or not 0 < f[K.BID] <= f[K.ASK]:
            self._breach("I5", f"{intent.id}: the quote of {name} was refused, old or crossed", now, intent.id)
        away = self._away_bps(intent, at, leg.seen, now)
        if intent.purpose is Purpose.OPEN and away > self._collar_bps:
            self._breach("I5", f"{intent.id}: {name} is {away:.1f} bps from the fair value", now, intent.id)

    @property
    def _collar_bps(self) -> float:
        """The farthest from the fair value that an opening leg may be; a little more, for what was rounded."""
        assert self._engine is not None and self._engine.limits is not None
        return self._engine.limits.collar_bps * SLACK

    def _away_bps(self, intent: Intent, number: int, price: Decimal, now: int) -> float:
        """How far a price of an instrument is from what its share is worth by its own evidence; 0 where unknown."""
        assert self._engine is not None
        columns = self._engine.columns
        fair = columns.own(columns.underlyings.index(intent.underlying), now) if intent.underlying else None
        if fair is None or not isfinite(fair.price):
            return 0.0
        worth = columns.f_rows[number][K.SHARES_PER_UNIT]
        return abs(float(price) * columns.known_fx(number) / worth / fair.price - 1) * 1e4

    # --- standing without a hedge: I4

    def _naked(self, now: int) -> None:
        """Net shares that are worth too much for too long are held back."""
        engine = self._engine
        assert engine is not None
        limits, columns = engine.limits, engine.columns
        if limits is None or not engine.ledger.fills:
            return
        shares: dict[str, float] = {}
        for owned in (engine.ledger.held, engine.ledger.away):
            for number, units in owned.items():
                if units:
                    name = engine.universe[number].underlying
                    shares[name] = shares.get(name, 0.0) + units * columns.f_rows[number][K.SHARES_PER_UNIT]
        for name in columns.underlyings:
            usd = abs(shares.get(name, 0.0)) * columns.g.item(columns.underlyings.index(name), K.FAIR)
            if not usd > limits.max_naked_usd:
                self._naked_since.pop(name, None)
                continue
            spell = now - self._naked_since.setdefault(name, now)
            held = engine.memory.latch.strictest((f"underlying:{name}",), now)
            if spell > limits.max_naked_ns + 2 * engine.timer_ns and (held is None or held.mode is Mode.RUN):
                self._breach("I4", f"{name}: {usd:.0f} USD without a hedge for {spell / NS:g} s, not held", now, name)

    # --- every order on its way out: I1, I2, I5, I7, I8

    def order(self, order: Approved, now: int) -> bool:
        """Looks at an order that is to leave; False where it must not."""
        engine, intent, found = self._engine, order.intent, self._breaches
        assert engine is not None
        held = engine.memory.latch.strictest(scopes_of(intent, engine.universe), now)
        if held is not None and held.mode is Mode.HALT and held.cause == INVARIANT:
            return False
        if held is not None and held.mode is Mode.HALT and now > held.at + GRACE_NS:
            self._breach("I7", f"{intent.id} leaves under {held}", now, intent.id)
        self._recorded(intent.id, now)
        trade = intent.trade or intent.id
        for number, leg in enumerate(intent.legs):
            client_id = intent.client_id(number)
            allowed = self._orders.get(client_id)
            if allowed is None:
                self._breach("I1", f"{client_id} leaves, and no record allows it", now, client_id)
            elif allowed.left:
                self._breach("I2", f"{client_id} leaves again", now, client_id)
            away = self._away_bps(intent, leg.instrument, leg.limit, now)
            if intent.purpose is Purpose.OPEN and away > self._collar_bps + MOVED_BPS:
                self._breach("I5", f"{client_id} may trade {away:.1f} bps from the fair value", now, client_id)
            if intent.purpose is not Purpose.OPEN:
                for other in self._trades.get(trade, ()):
                    before = self._orders.get(other)
                    if before is not None and before.unsure and other != client_id and before.side is leg.side:
                        self._breach("I8", f"{client_id} leaves while nobody knows what {other} did", now, client_id)
        for number in range(len(intent.legs)):
            if (allowed := self._orders.get(intent.client_id(number))) is not None:
                allowed.left = True
        return self._breaches == found

    def request(self, order: Conversion, now: int) -> bool:
        """Looks at a mint or redemption that is to leave; False where it must not."""
        found = self._breaches
        if order.id not in self._requests:
            self._breach("I1", f"{order.id} is asked for, and no record allows it", now, order.id)
        if self._requests.get(order.id):
            self._breach("I2", f"{order.id} is asked for again", now, order.id)
        self._recorded(order.id, now)
        self._requests[order.id] = True
        return self._breaches == found

    def _recorded(self, id: str, now: int) -> None:
        """What leaves stands in a record that no crash takes away."""
        if self._disk is not None and id in self._records and not self._disk.durable(self._records[id]):
            self._breach("I1", f"{id} leaves before its record is durable", now, id)

    def _breach(self, invariant: str, what: str, now: int, subject: str = "") -> None:
        self._breaches += 1
        key = invariant, subject or what
        if key not in self._told:
            self._told.add(key)
            self._tell(Breach(invariant, what, now))
