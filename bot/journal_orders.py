"""Orders and trades of a journal, folded from its steps: each is told once, when its end is known, or as open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, localcontext

import msgspec

from bot.journal_steps import Runs
from connectors.orders import Fill, Intent, Report, Side, Sizing
from strategies.base import Note, Step
from strategies.execution.ledger import EXACT

ZERO = Decimal(0)
OPEN, ABANDONED, LATE = "open", "abandoned", "late"
"""Outcomes that no venue gives: not answered yet; given up by a restart; news of an order that was over."""
ANSWERED = "answered"
ENDS = ("flat", "hedged", "paged")
"""How a trade ends by its saga's word; without one it is `answered` as soon as every order is."""


class Order(msgspec.Struct, kw_only=True):
    """One leg that was sent, and what came of it. Quantities in units, prices and fees in the quote currency."""

    order: str
    """The client id that its venue knows it by."""
    trade: str
    intent: str
    purpose: str
    strategy: str
    underlying: str
    instrument: str
    side: str
    quantity: Decimal
    limit: Decimal
    seen: Decimal
    sent_ns: int
    ended_ns: int = 0
    """When its last answer came; 0 while none has."""
    outcome: str = OPEN
    detail: str = ""
    fills: int = 0
    filled: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of quantity x price of its fills."""
    fee: Decimal = ZERO
    gas_usd: Decimal = ZERO
    flow_usd: Decimal = ZERO
    """Cash in USD that its fills brought (or took, below zero), fees and gas included, at the FX of each fill."""

    @property
    def price(self) -> Decimal | None:
        """Average price of its fills; None without one."""
        return self.value / self.filled if self.filled else None


class Trade(msgspec.Struct, kw_only=True):
    """A plan, all rounds that followed it, and how it ended."""

    trade: str
    strategy: str
    underlying: str
    reason: str
    edge_bps: float
    notional_usd: Decimal
    sizing: Sizing | None
    opened_ns: int
    ended_ns: int = 0
    end: str = OPEN
    """open, answered, abandoned, or one of ENDS."""
    rounds: int = 0
    waiting: int = 0
    """Orders without a last answer."""
    orders: list[Order] = []
    stages: list[str] = []
    """What the saga said of it, in order."""

    @property
    def flow_usd(self) -> Decimal:
        """Cash in USD that all its orders brought; what is left of its shares is not in it."""
        with localcontext(EXACT):
            return sum((order.flow_usd for order in self.orders), ZERO)


class _Sent(msgspec.Struct):
    """An intent under way."""

    orders: list[Order]
    open: set[int]
    known: set[str] = set()
    """Ids of the fills and reports that were counted."""


class Orders:
    """Folds steps into orders; memory holds only those under way."""

    def __init__(self, runs: Runs) -> None:
        """None yet."""
        self._runs = runs
        self._sent: dict[str, _Sent] = {}

    def take(self, step: Step) -> list[Order]:
        """The orders that ended with this step. News of one that was over is an order of its own, `late`."""
        names: Sequence[str] = self._runs.names(step.seq) if step.approved or step.reports else ()
        ended = [order for note in step.notes if note.kind == "start" for order in self._abandoned(note, step.ts)]
        passed = set(step.approved)
        for intent in step.wishes:
            if intent.id in passed:
                legs = [_order(intent, number, names, step.ts) for number in range(len(intent.legs))]
                self._sent[intent.id] = _Sent(legs, set(range(len(legs))))
        for report in step.reports:
            sent = self._sent.get(report.intent_id)
            if sent is None or report.leg not in sent.open:
                ended += [_late(report, names, step.ts)] if report.fills or report.undone else []
                continue
            order = sent.orders[report.leg]
            _add(order, report, sent.known)
            if report.final:
                order.ended_ns = step.ts
                sent.open.discard(report.leg)
                ended.append(order)
            if not sent.open:
                del self._sent[report.intent_id]
        return ended

    def left(self) -> list[Order]:
        """The orders that have no last answer."""
        return [sent.orders[leg] for sent in self._sent.values() for leg in sorted(sent.open)]

    def _abandoned(self, start: Note, ts: int) -> Iterator[Order]:
        for id in str(start.detail.get("abandoned", "")).split(","):
            if sent := self._sent.pop(id, None):
                for leg in sorted(sent.open):
                    sent.orders[leg].outcome, sent.orders[leg].ended_ns = ABANDONED, ts
                    yield sent.orders[leg]


def orders(told: Iterable[Step], runs: Runs) -> Iterator[Order]:
    """Every order of the steps, each when it has ended, and the open ones at last."""
    fold = Orders(runs)
    for step in told:
        yield from fold.take(step)
    yield from fold.left()


def trades(told: Iterable[Step], runs: Runs) -> Iterator[Trade]:
    """Every trade of the steps, each when it has ended, and the open ones at last."""
    fold, under_way = Orders(runs), dict[str, Trade]()
    for step in told:
        passed = set(step.approved)
        for intent in step.wishes:
            if intent.id in passed:
                trade = under_way.setdefault(intent.trade or intent.id, _trade(intent, step.ts))
                trade.rounds += 1
                trade.waiting += len(intent.legs)
        touched = _told(under_way, step)
        for order in fold.take(step):
            if of := under_way.get(order.trade):
                _answered(of, order)
                touched.add(order.trade)
        for id in touched:
            if under_way[id].end != OPEN and not under_way[id].waiting:
                yield under_way.pop(id)
    for order in fold.left():
        if of := under_way.get(order.trade):
            of.orders.append(order)
    yield from under_way.values()


def _told(under_way: dict[str, Trade], step: Step) -> set[str]:
    """Takes what the step notes of trades under way; the ids of those."""
    touched = set()
    for note in step.notes:
        if note.kind == "trade" and (trade := under_way.get(str(note.detail.get("trade", "")))):
            stage = str(note.detail.get("stage", ""))
            trade.stages += [stage] if stage else []
            trade.end, trade.ended_ns = (stage, step.ts) if stage in ENDS else (trade.end, trade.ended_ns)
            touched.add(trade.trade)
    return touched


def _answered(trade: Trade, order: Order) -> None:
    """An order of a trade has ended; without a saga's word the trade ends with its last one."""
    trade.orders.append(order)
    if order.outcome == LATE:
        return
    trade.waiting -= 1
    if order.outcome == ABANDONED:
        trade.end, trade.ended_ns = ABANDONED, order.ended_ns
    elif not trade.stages and not trade.waiting:
        trade.end, trade.ended_ns = (ANSWERED if trade.end == OPEN else trade.end), order.ended_ns


def _trade(intent: Intent, ts: int) -> Trade:
    return Trade(
        trade=intent.trade or intent.id,
        strategy=intent.strategy,
        underlying=intent.underlying,
        reason=intent.reason,
        edge_bps=intent.edge_bps,
        notional_usd=intent.notional_usd,
        sizing=intent.sizing,
        opened_ns=ts,
    )


def _order(intent: Intent, number: int, names: Sequence[str], ts: int) -> Order:
    leg = intent.legs[number]
    return Order(
        order=intent.client_id(number),
        trade=intent.trade or intent.id,
        intent=intent.id,
        purpose=intent.purpose.value,
        strategy=intent.strategy,
        underlying=intent.underlying,
        instrument=names[leg.instrument],
        side=leg.side.value,
        quantity=leg.quantity,
        limit=leg.limit,
        seen=leg.seen,
        sent_ns=ts,
    )


def _late(report: Report, names: Sequence[str], ts: int) -> Order:
    """What came after the last answer, on its own."""
    fill = (report.fills or report.undone)[0]
    order = Order(
        order=report.client_id, trade=report.intent_id, intent=report.intent_id, purpose="", strategy="", underlying="",
        instrument=names[fill.instrument], side=fill.side.value, quantity=ZERO, limit=ZERO, seen=ZERO, sent_ns=ts,
        ended_ns=ts,
    )  # fmt: skip
    _add(order, report, set())
    order.outcome = LATE
    return order


def _add(order: Order, report: Report, known: set[str]) -> None:
    """Adds a report's news to an order; a fill or an identified report counts once."""
    order.outcome, order.detail = report.outcome.value, report.detail or order.detail
    if report.id and report.id in known:
        return
    known.add(report.id)
    with localcontext(EXACT):
        for fill in report.undone:
            if fill.id in known:
                known.discard(fill.id)
                _book(order, fill, -1)
        for fill in report.fills:
            if fill.id not in known:
                known.add(fill.id)
                _book(order, fill, 1)
        order.gas_usd += report.gas_usd
        order.flow_usd -= report.gas_usd


def _book(order: Order, fill: Fill, times: int) -> None:
    """One fill, or (`times` -1) one that did not happen after all."""
    value = fill.quantity * fill.price
    order.fills += times
    order.filled += times * fill.quantity
    order.value += times * value
    order.fee += times * fill.fee
    order.gas_usd += times * fill.gas_usd
    brought = value if fill.side is Side.SELL else -value
    order.flow_usd += times * ((brought - fill.fee) * fill.fx - fill.gas_usd)
