"""The review: the only place where a wish becomes an approved order, and the last function before an executor.

Every check has a limit that the operator wrote down; a number that is missing refuses. The first check that fails is
the reason.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf, isfinite

from msgspec import structs

from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import USD
from connectors.orders import Approved, Intent, Leg, Reason, Refused, Side
from strategies.base import View
from strategies.market import kernel as K
from strategies.market.session import Session

DAY_NS = 86_400 * NS

Problem = tuple[Reason, str]


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
        problem = _problem(intent, approved, view, limits, memory, max_open)
        if problem is None:
            memory.sent.extend([view.now] * len(intent.legs))
            memory.open_intents[intent.id] = intent.strategy
            approved.append(Approved(_within_collar(intent, view, limits)))
        else:
            refused.append(Refused(intent=intent, reason=problem[0], detail=problem[1]))
    return tuple(approved), tuple(refused)


def _problem(
    intent: Intent, earlier: list[Approved], view: View, limits: Limits, memory: Memory, max_open: dict[str, int]
) -> Problem | None:
    """The first thing that speaks against an intent."""
    columns, now = view.columns, view.now
    if memory.killed:
        return Reason.KILLED, memory.killed
    if columns.session not in limits.sessions:
        return Reason.SESSION, f"session {columns.session.label} is not among those allowed"
    if now > intent.deadline_ns:
        return Reason.DEADLINE, "the deadline has passed"
    under_way = list(memory.open_intents.values()).count(intent.strategy)
    if under_way >= max_open.get(intent.strategy, 0):
        return Reason.OPEN_PAIRS, f"{under_way} intents under way"
    if intent.notional_usd > limits.max_order_usd:
        return Reason.NOTIONAL, f"{intent.notional_usd:.2f} USD above {limits.max_order_usd} USD"
    if len(memory.sent) + len(intent.legs) > limits.max_orders_per_minute:
        return Reason.ORDER_RATE, f"{len(memory.sent)} orders in the last minute"
    fair = None
    if intent.underlying and (limits.need_fair or limits.collar_bps < inf):
        fair = columns.own(columns.underlyings.index(intent.underlying), now)
    if limits.need_fair and fair is None:
        return Reason.FAIR_UNKNOWN, "no believed source for the share, or its error is too wide"
    for leg in intent.legs:
        problem = _leg_problem(leg, view, limits, None if fair is None else fair.price)
        if problem is not None:
            return problem
    return _book_problem(intent, earlier, view, limits, memory)


def _leg_problem(leg: Leg, view: View, limits: Limits, fair: float | None) -> Problem | None:
    """What speaks against one leg: its quote, units, coin, cost, size and distance from the fair value."""
    columns, now, at = view.columns, view.now, leg.instrument
    f, k, instrument = columns.f_rows[at], columns.k_rows[at], columns.universe[at]
    if not leg.quantity > 0:
        return Reason.NO_SIZE, f"{instrument.name}: quantity {leg.quantity}"
    if k[K.REFUSAL] != K.OK or now > k[K.EXPIRES]:
        return Reason.STALE, f"{instrument.name}: last quote is refused, halted or too old"
    if now < k[K.BUY_FROM if leg.side is Side.BUY else K.SELL_FROM]:
        why = f"no {leg.side.value} orders now: stream down, new multiplier or no room"
        return Reason.MAINTENANCE, f"{instrument.name}: {why}"
    if not isfinite(f[K.SHARES_PER_UNIT]):
        return Reason.MULTIPLIER_UNKNOWN, f"{instrument.name}: shares per unit unknown"
    usd_per_unit = f[K.USD_PER_UNIT]
    if not isfinite(usd_per_unit):
        return Reason.FX_UNKNOWN, f"{instrument.name}: no price for {instrument.quote}"
    if not columns.fx_is_fresh(at, now):
        return Reason.FX_UNKNOWN, f"{instrument.name}: the price of {instrument.quote} is too old or refused"
    if instrument.quote != USD and abs(usd_per_unit - 1) * 1e4 > limits.coin_band_bps:
        return Reason.COIN_BAND, f"{instrument.quote} at {usd_per_unit:.4f} USD"
    facts = columns.facts[at]
    if facts.cost is None:
        why = "no fee is configured" if facts.costs is None else facts.costs.why
        return Reason.COST_UNKNOWN, f"{instrument.name}: {why}"
    if instrument.one_price and facts.assumed_half_spread is None:
        return Reason.ONE_PRICE, f"{instrument.name}: one price, no book, and no spread and size assumed"
    if fair is not None and limits.collar_bps < inf:
        away = abs(float(leg.seen) * f[K.USD_PER_SHARE] / fair - 1) * 1e4
        if not away <= limits.collar_bps:
            return Reason.COLLAR, f"{instrument.name}: {away:.0f} bps from the fair value"
    return None


def _book_problem(
    intent: Intent, earlier: list[Approved], view: View, limits: Limits, memory: Memory
) -> Problem | None:
    """What speaks against the positions that all orders under way could leave behind, and against the day so far.

    An order under way counts as done where that makes the position larger, and as not done where it makes it smaller.
    """
    columns, held = view.columns, view.ledger.held
    # Units that may still be bought and sold; floats, since they only decide whether to refuse.
    bought: dict[int, float] = {}
    sold: dict[int, float] = {}
    for (instrument, side), quantity in view.ledger.under_way().items():
        (bought if side is Side.BUY else sold)[instrument] = float(quantity)
    for wish in [*[order.intent for order in earlier], intent]:
        for leg in wish.legs:
            moved = bought if leg.side is Side.BUY else sold
            moved[leg.instrument] = moved.get(leg.instrument, 0.0) + float(leg.quantity)
    net, gross = float(view.ledger.flow_usd), 0.0
    for instrument, units in held.items():
        if units:
            value = units * columns.mark_usd(instrument)
            net += value
            if instrument not in bought and instrument not in sold:
                gross += abs(value)
    touched = [leg.instrument for leg in intent.legs]
    max_position_usd = float(limits.max_position_usd)
    for instrument in bought.keys() | sold.keys():
        units = held.get(instrument, 0.0)
        most = max(abs(units + bought.get(instrument, 0.0)), abs(units - sold.get(instrument, 0.0)))
        value = most * columns.mark_usd(instrument)
        gross += value
        if instrument in touched and not value <= max_position_usd:
            return Reason.POSITION, f"{columns.universe[instrument].name}: up to {value:.2f} USD after the trade"
    if not gross <= float(limits.max_gross_usd):
        unknown = "" if isfinite(gross) else ": a position has no price now"
        return Reason.POSITION, f"up to {gross:.2f} USD in all after the trade{unknown}"
    if not isfinite(net) or (memory.day < 0 and held):
        return Reason.DAILY_LOSS, "today's result is not known: a position has no price, or the day no beginning yet"
    loss = memory.day_start_net - net
    if not loss <= float(limits.max_daily_loss_usd):
        return Reason.DAILY_LOSS, f"{loss:.2f} USD lost today"
    return None


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
    for instrument, units in view.ledger.held.items():
        if units:
            net += units * view.columns.mark_usd(instrument)
    return net


def _within_collar(intent: Intent, view: View, limits: Limits) -> Intent:
    """The intent with no leg's limit beyond the collar, so that what is sent cannot trade where it may not."""
    if limits.collar_bps == inf or not intent.underlying:
        return intent
    fair = view.columns.own(view.columns.underlyings.index(intent.underlying), view.now)
    if fair is None:
        return intent
    legs = []
    for leg in intent.legs:
        away = 1 + limits.collar_bps / 1e4 * (1 if leg.side is Side.BUY else -1)
        bound = exact(fair.price * away / view.columns.usd_per_share.item(leg.instrument))
        limit = min(leg.limit, bound) if leg.side is Side.BUY else max(leg.limit, bound)
        legs.append(structs.replace(leg, limit=limit))
    return structs.replace(intent, legs=tuple(legs))
