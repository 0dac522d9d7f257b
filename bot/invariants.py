"""What must hold after every record, whatever happens: watched in every run, and a breach stops the trading.

Nothing here asks the parts that it watches how they came to their result: books are summed up again from what records
tell, approvals are held against the columns and the limits once more, and every order is looked at on its way out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, localcontext
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.events import NS
from connectors.instruments import USD, Role
from connectors.orders import Approved, Conversion, Fill, Intent, Leg, Outcome, Purpose, Report, Side
from strategies.base import Step
from strategies.execution.adjusting import KIND as ADJUST
from strategies.execution.adjusting import Adjustment, adjustment_of
from strategies.execution.latch import INVARIANT, Mode, scopes_of
from strategies.execution.ledger import EXACT
from strategies.market import kernel as K

if TYPE_CHECKING:
    from bot.engine import Engine
    from bot.outbox import Disk

ZERO: Final = Decimal(0)
MINUTE_NS: Final = 60 * NS
SLACK: Final = 1 + 1e-9
"""Floats that are compared with a limit were multiplied in another order."""
GRACE_NS: Final = NS
"""From a halt to the last order that may leave."""
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


class Invariants:
    """Hears every record of an engine and sees every order leave."""

    def __init__(self, tell: Callable[[Breach], None], disk: Disk | None = None) -> None:
        """`tell` hears of each breach, once for each kind and subject. `disk` knows which records are durable; None
        where orders need not wait for that, since they leave for nowhere."""
        self._tell, self._disk = tell, disk
        self._told: set[tuple[str, str]] = set()
        self._engine: Engine | None = None
        self._breaches = 0
        self._orders: dict[str, Side] = {}
        """The side of every order that a record allows, by client id."""
        self._records: dict[str, int] = {}
        """Number of the record that allows an intent or request of this process."""
        self._trades: dict[str, list[str]] = {}
        """Client ids by trade."""
        self._requests: set[str] = set()
        """Every mint or redemption that a record allows."""
        self._final: set[str] = set()
        """Client ids of orders whose venue has said the last word."""
        self._left: set[str] = set()
        """Client ids and requests that have left in this process."""
        self._fills: set[str] = set()
        self._news: set[str] = set()
        self._units: dict[int, Decimal] = {}
        self._cash: dict[str, Decimal] = {}
        """By fills, charges and gas alone; what was there before the first record of this process is in it."""
        self._fill_count = 0
        self._sendings: deque[int] = deque()
        self._naked_since: dict[str, int] = {}

    # --- beginning

    def remembering(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The records of earlier runs as they are read: what was allowed then counts as allowed and must not leave."""
        for step in steps:
            self._allow(step)
            self._hear_finals(step.reports)
            for report in step.reports:
                self._news.update({report.id} - {""})
                self._fills.difference_update(fill.id for fill in report.undone)
                self._fills.update(fill.id for fill in report.fills)
            yield step

    def watch(self, engine: Engine) -> None:
        """From now on the records of this engine, which was restored, are held against each other."""
        ledger, self._engine = engine.ledger, engine
        self._left = set(self._orders) | self._requests
        self._units, self._cash = dict(ledger.positions), dict(ledger.cash)
        self._fill_count = ledger.fills
        self._converted(self._units, self._cash, -1)

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
            self._books(step)
        passed = set(step.approved)
        for intent in step.wishes:
            if intent.id in passed:
                self._judge(intent, step.ts)
        self._naked(step.ts)
        for note in step.notes:
            if note.kind == ADJUST:
                self._adjust(adjustment_of(note))

    def _allow(self, step: Step) -> None:
        passed = set(step.approved)
        for intent in step.wishes:
            if intent.id in passed:
                for number, leg in enumerate(intent.legs):
                    self._orders[intent.client_id(number)] = leg.side
                    self._trades.setdefault(intent.trade or intent.id, []).append(intent.client_id(number))
        self._requests.update(order.id for order in step.conversions)

    def _hear_finals(self, reports: Iterable[Report]) -> None:
        for report in reports:
            if report.undone:
                self._final.discard(report.client_id)
            elif report.final and report.outcome is not Outcome.UNKNOWN:
                self._final.add(report.client_id)

    # --- books: I2, I3, I14

    def _books(self, step: Step) -> None:
        """Positions, cash and number of fills are what the records say, to the last digit."""
        engine = self._engine
        assert engine is not None
        ledger = engine.ledger
        with localcontext(EXACT):
            for report in step.reports:
                if report.id in self._news:
                    continue
                self._news.update({report.id} - {""})
                for fill in report.undone:
                    if fill.id in self._fills:
                        self._fills.discard(fill.id)
                        self._book(fill, -1)
                for fill in report.fills:
                    if fill.id not in self._fills:
                        self._fills.add(fill.id)
                        self._book(fill, 1)
                self._pay(USD, -report.gas_usd)
            for charge in step.charges:
                self._pay(engine.universe[charge.instrument].quote, -charge.amount)
            units, cash = dict(self._units), dict(self._cash)
            self._converted(units, cash, 1)
        if ledger.fills != self._fill_count:
            self._breach("I2", f"{ledger.fills} fills are booked, {self._fill_count} were told", step.ts)
        for number in units.keys() | ledger.positions.keys():
            if units.get(number, ZERO) != ledger.position(number):
                name = engine.universe[number].name
                self._breach(
                    "I3", f"{name}: {ledger.position(number)} units in the books, {units.get(number, ZERO)} by fills "
                    "and conversions", step.ts, name,
                )  # fmt: skip
        for coin in cash.keys() | ledger.cash.keys():
            if cash.get(coin, ZERO) != ledger.cash.get(coin, ZERO):
                self._breach(
                    "I14", f"{coin}: {ledger.cash.get(coin, ZERO)} in the books, {cash.get(coin, ZERO)} came and went",
                    step.ts, coin,
                )  # fmt: skip

    def _book(self, fill: Fill, times: int) -> None:
        assert self._engine is not None
        sign = times if fill.side is Side.BUY else -times
        self._units[fill.instrument] = self._units.get(fill.instrument, ZERO) + sign * fill.quantity
        coin = self._engine.universe[fill.instrument].quote
        self._pay(coin, -sign * fill.quantity * fill.price - times * fill.fee)
        self._pay(USD, -times * fill.gas_usd)
        self._fill_count += times

    def _pay(self, coin: str, amount: Decimal) -> None:
        if amount:
            self._cash[coin] = self._cash.get(coin, ZERO) + amount

    def _adjust(self, one: Adjustment) -> None:
        """An operator's word, which is applied once it is recorded."""
        with localcontext(EXACT):
            if one.instrument >= 0:
                self._units[one.instrument] = self._units.get(one.instrument, ZERO) + one.amount
            else:
                self._pay(one.subject, one.amount)

    def _converted(self, units: dict[int, Decimal], cash: dict[str, Decimal], times: int) -> None:
        """Adds what mints and redemptions have moved, as the issuers' newest words tell it."""
        assert self._engine is not None
        universe, ledger = self._engine.universe, self._engine.ledger
        with localcontext(EXACT):
            for one in ledger.conversions.all.values():
                for number, moved in ((one.order.source, -one.given), (one.order.target, one.got)):
                    if universe[number].role is Role.COIN:
                        coin = universe[number].coin
                        cash[coin] = cash.get(coin, ZERO) + times * moved
                    else:
                        units[number] = units.get(number, ZERO) + times * moved
                if one.word is not None and one.word.fee_usd:
                    cash[USD] = cash.get(USD, ZERO) - times * one.word.fee_usd

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
            if client_id not in self._orders:
                self._breach("I1", f"{client_id} leaves, and no record allows it", now, client_id)
            if client_id in self._left:
                self._breach("I2", f"{client_id} leaves again", now, client_id)
            away = self._away_bps(intent, leg.instrument, leg.limit, now)
            if intent.purpose is Purpose.OPEN and away > self._collar_bps + MOVED_BPS:
                self._breach("I5", f"{client_id} may trade {away:.1f} bps from the fair value", now, client_id)
            if intent.purpose is not Purpose.OPEN:
                for other in self._trades.get(trade, ()):
                    unsure = other in self._left and other not in self._final and other != client_id
                    if unsure and self._orders[other] is leg.side:
                        self._breach("I8", f"{client_id} leaves while nobody knows what {other} did", now, client_id)
        self._left.update(intent.client_id(number) for number in range(len(intent.legs)))
        return self._breaches == found

    def request(self, order: Conversion, now: int) -> bool:
        """Looks at a mint or redemption that is to leave; False where it must not."""
        found = self._breaches
        if order.id not in self._requests:
            self._breach("I1", f"{order.id} is asked for, and no record allows it", now, order.id)
        if order.id in self._left:
            self._breach("I2", f"{order.id} is asked for again", now, order.id)
        self._recorded(order.id, now)
        self._left.add(order.id)
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
