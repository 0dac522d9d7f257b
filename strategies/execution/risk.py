"""The review: the only place where a wish becomes an approved order, and the last function before an executor.

Every check has a limit that the operator wrote down; a number that is missing refuses. The first check that fails is
the reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf, isfinite

from msgspec import structs

from connectors.events import NS
from connectors.instruments import USD
from connectors.orders import Approved, Intent, Leg, Reason, Refused, Side
from strategies.base import View
from strategies.market import kernel as K
from strategies.market.session import Session

DAY_NS = 86_400 * NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator allows."""

    max_order_usd: Decimal
    max_position_usd: Decimal
    """Per instrument, absolute, after the fill."""
    max_gross_usd: Decimal
    """Sum of absolute positions, after the fill."""
    collar_bps: float
    """Farthest a leg's price may be from the fair value; inf is off."""
    max_orders_per_minute: int
    max_daily_loss_usd: Decimal
    """Fall of net profit since the start of the UTC day."""
    sessions: frozenset[Session]
    coin_band_bps: float
    """Farthest a quote coin may be from one dollar; inf is off."""
    need_fair: bool


@dataclass(slots=True)
class Memory:
    """What the review must remember between calls."""

    sent: deque[int] = field(default_factory=deque)
    """Times of the orders of the last minute, ns."""
    open_intents: dict[str, str] = field(default_factory=dict)
    """Id of an intent under way -> its strategy."""
    day: int = -1
    day_start_net: float = 0.0
    """USD."""
    killed: str = ""
    """Why everything is refused; empty is running."""


def review(
    wishes: tuple[Intent, ...], view: View, limits: Limits, memory: Memory, max_open: dict[str, int]
) -> tuple[tuple[Approved, ...], tuple[Refused, ...]]:
    """Judges wishes in order; an approved one counts against the limits of the next.

    `max_open` is the number of intents that each strategy may have under way. What is approved carries limits within
    the collar. Changes `memory` (order times, open intents), nothing else. An executor must be given only what this
    returns as approved.
    """
    approved: list[Approved] = []
    refused: list[Refused] = []
    while memory.sent and memory.sent[0] <= view.now - 60 * NS:
        memory.sent.popleft()
    for intent in wishes:
        problem = next(_problems(intent, approved, view, limits, memory, max_open), None)
        if problem is None:
            memory.sent.extend([view.now] * len(intent.legs))
            memory.open_intents[intent.id] = intent.strategy
            approved.append(Approved(_within_collar(intent, view, limits)))
        else:
            refused.append(Refused(intent=intent, reason=problem[0], detail=problem[1]))
    return tuple(approved), tuple(refused)


def _problems(
    intent: Intent, earlier: list[Approved], view: View, limits: Limits, memory: Memory, max_open: dict[str, int]
) -> Iterator[tuple[Reason, str]]:
    """Everything that speaks against an intent, in the order of the checks."""
    columns, now = view.columns, view.now
    if memory.killed:
        yield Reason.KILLED, memory.killed
    if columns.session not in limits.sessions:
        yield Reason.SESSION, f"session {columns.session.label} is not among those allowed"
    if now > intent.deadline_ns:
        yield Reason.DEADLINE, "the deadline has passed"
    under_way = sum(1 for strategy in memory.open_intents.values() if strategy == intent.strategy)
    if under_way >= max_open.get(intent.strategy, 0):
        yield Reason.OPEN_PAIRS, f"{under_way} intents under way"
    if intent.notional_usd > limits.max_order_usd:
        yield Reason.NOTIONAL, f"{intent.notional_usd:.2f} USD above {limits.max_order_usd} USD"
    if len(memory.sent) + len(intent.legs) > limits.max_orders_per_minute:
        yield Reason.ORDER_RATE, f"{len(memory.sent)} orders in the last minute"
    fair = columns.fair(columns.underlyings.index(intent.underlying), now) if intent.underlying else None
    if limits.need_fair and fair is None:
        yield Reason.FAIR_UNKNOWN, "no believed source for the share, or its error is too wide"
    for leg in intent.legs:
        yield from _leg_problems(leg, view, limits, None if fair is None else fair.price)
    yield from _book_problems(intent, earlier, view, limits, memory)


def _leg_problems(leg: Leg, view: View, limits: Limits, fair: float | None) -> Iterator[tuple[Reason, str]]:
    """What speaks against one leg: its quote, units, coin, cost, size and distance from the fair value."""
    columns, now, at = view.columns, view.now, leg.instrument
    f, k, instrument = columns.f[at].tolist(), columns.k[at].tolist(), columns.universe[at]
    if not leg.quantity > 0:
        yield Reason.NO_SIZE, f"{instrument.name}: quantity {leg.quantity}"
    if k[K.REFUSAL] != K.OK or now > k[K.EXPIRES]:
        yield Reason.STALE, f"{instrument.name}: last quote is refused, halted or too old"
    eligible_from = k[K.BUY_FROM] if leg.side is Side.BUY else k[K.SELL_FROM]
    if now < eligible_from:
        yield (
            Reason.MAINTENANCE,
            f"{instrument.name}: no {leg.side.value} orders now: stream down, new multiplier or no room",
        )
    if not isfinite(f[K.SHARES_PER_UNIT]):
        yield Reason.MULTIPLIER_UNKNOWN, f"{instrument.name}: shares per unit unknown"
    if not isfinite(f[K.USD_PER_UNIT]):
        yield Reason.FX_UNKNOWN, f"{instrument.name}: no price for {instrument.quote}"
    elif not columns.fx_is_fresh(at, now):
        yield Reason.FX_UNKNOWN, f"{instrument.name}: the price of {instrument.quote} is too old or refused"
    elif instrument.quote != USD and abs(f[K.USD_PER_UNIT] - 1) * 1e4 > limits.coin_band_bps:
        yield Reason.COIN_BAND, f"{instrument.quote} at {f[K.USD_PER_UNIT]:.4f} USD"
    if columns.facts[at].cost is None:
        yield Reason.COST_UNKNOWN, f"{instrument.name}: no fee is configured"
    if instrument.one_price and columns.facts[at].assumed_half_spread is None:
        yield Reason.ONE_PRICE, f"{instrument.name}: one price, no book, and no spread and size assumed"
    if fair is not None and limits.collar_bps < inf:
        per_share = float(leg.seen) * f[K.USD_PER_SHARE]
        away = abs(per_share / fair - 1) * 1e4
        if not away <= limits.collar_bps:
            yield Reason.COLLAR, f"{instrument.name}: {away:.0f} bps from the fair value"


def _book_problems(
    intent: Intent, earlier: list[Approved], view: View, limits: Limits, memory: Memory
) -> Iterator[tuple[Reason, str]]:
    """What speaks against the positions that all orders under way could leave behind, and against the day so far.

    An order under way counts as done where that makes the position larger, and as not done where it makes it smaller.
    """
    columns, ledger = view.columns, view.ledger
    # Most and least units of an instrument; floats, since they only decide whether to refuse.
    most = {instrument: float(units) for instrument, units in ledger.positions.items()}
    least = dict(most)
    net, gross = float(ledger.flow_usd), 0.0
    marks = {instrument: columns.mark_usd(instrument) for instrument, units in most.items() if units}
    for instrument, mark in marks.items():
        net += most[instrument] * mark
    under_way = [(instrument, side, float(units)) for (instrument, side), units in ledger.under_way().items()]
    wished = (leg for wish in (*(order.intent for order in earlier), intent) for leg in wish.legs)
    for instrument, side, units in (*under_way, *((leg.instrument, leg.side, float(leg.quantity)) for leg in wished)):
        if side is Side.BUY:
            most[instrument] = most.get(instrument, 0.0) + units
        else:
            least[instrument] = least.get(instrument, 0.0) - units
    touched = {leg.instrument for leg in intent.legs}
    for instrument in {*most, *least}:
        units = max(abs(most.get(instrument, 0.0)), abs(least.get(instrument, 0.0)))
        if not units:
            continue
        mark = marks[instrument] if instrument in marks else columns.mark_usd(instrument)
        value = units * mark
        gross += value
        if instrument in touched and not value <= float(limits.max_position_usd):
            yield Reason.POSITION, f"{columns.universe[instrument].name}: up to {value:.2f} USD after the trade"
    if not gross <= float(limits.max_gross_usd):
        unknown = "" if isfinite(gross) else ": a position has no price now"
        yield Reason.POSITION, f"up to {gross:.2f} USD in all after the trade{unknown}"
    if not isfinite(net) or (memory.day < 0 and ledger.positions):
        yield Reason.DAILY_LOSS, "today's result is not known: a position has no price, or the day no beginning yet"
    loss = memory.day_start_net - net
    if not loss <= float(limits.max_daily_loss_usd):
        yield Reason.DAILY_LOSS, f"{loss:.2f} USD lost today"


def new_day(view: View, memory: Memory) -> bool:
    """Remembers the net profit at the start of a UTC day; the daily loss counts from there. True where one began.

    While a position that is held has no price the result is not known, and the day does not begin.
    """
    day, net = view.now // DAY_NS, net_usd(view)
    if day == memory.day or not isfinite(net):
        return False
    memory.day, memory.day_start_net = day, net
    return True


def net_usd(view: View) -> float:
    """Net profit now, in USD, to judge a limit by: cash at the FX of its fills, positions at mid; nan where unknown."""
    net = float(view.ledger.flow_usd)
    for instrument, units in view.ledger.positions.items():
        if units:
            net += float(units) * view.columns.mark_usd(instrument)
    return net


def _within_collar(intent: Intent, view: View, limits: Limits) -> Intent:
    """The intent with no leg's limit beyond the collar, so that what is sent cannot trade where it may not."""
    if limits.collar_bps == inf or not intent.underlying:
        return intent
    fair = view.columns.fair(view.columns.underlyings.index(intent.underlying), view.now)
    if fair is None:
        return intent
    legs = []
    for leg in intent.legs:
        away = 1 + limits.collar_bps / 1e4 * (1 if leg.side is Side.BUY else -1)
        bound = Decimal(repr(fair.price * away / view.columns.usd_per_share.item(leg.instrument)))
        limit = min(leg.limit, bound) if leg.side is Side.BUY else max(leg.limit, bound)
        legs.append(structs.replace(leg, limit=limit))
    return structs.replace(intent, legs=tuple(legs))
