"""The review: the only place where a wish becomes an approved order, and the last function before an executor.

Every check has a limit that the operator wrote down; a number that is missing refuses. The first check that fails is
the reason. What is held back stands first, so that a halt outranks the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite, nan
from types import MappingProxyType
from typing import Final

from connectors.events import NS
from connectors.orders import PLANS, Approved, Intent, Leg, Purpose, Reason, Refused, Side
from strategies.base import View
from strategies.execution.caps import book_problem
from strategies.execution.latch import Mode, scopes_of
from strategies.execution.legs import Problem, leg_problem, within_collar
from strategies.execution.limits import Limits
from strategies.execution.memory import Memory, turnover
from strategies.execution.reduces import OpenShares, reduces, units_of
from strategies.execution.stops import loss_problem, naked_usd, wished
from strategies.execution.wish import wish_problem
from strategies.market import kernel as K

NO_TRADES: Final[OpenShares] = MappingProxyType({})


def review(
    wishes: tuple[Intent, ...],
    view: View,
    limits: Limits,
    memory: Memory,
    max_open: Mapping[str, int],
    open_shares: OpenShares = NO_TRADES,
) -> tuple[tuple[Approved, ...], tuple[Refused, ...]]:
    """Judges wishes in order; an approved one counts against the limits of the next.

    `max_open` is the number of trades that each strategy may have under way, `open_shares` the net shares of each open
    trade by its own fills, its orders under way counted as filled. What is approved carries limits within the collar.
    Changes `memory`, nothing else. An executor must be given only what this returns as approved.

    What is no opening (CLOSE, HEDGE, UNWIND) and provably brings something nearer to zero is eased: it passes where
    opening is refused by session, room, size, pace or result. It needs a price and a collar like anything else.
    """
    approved: list[Approved] = []
    refused: list[Refused] = []
    earlier: list[Leg] = []
    memory.forget(view.now)
    for intent in wishes:
        if malformed := wish_problem(intent, view.columns):
            refused.append(Refused(intent=intent, reason=malformed[0], detail=malformed[1]))
            continue
        opens = intent.purpose is Purpose.OPEN
        if intent.purpose in PLANS:
            wished(intent, limits, memory, view.now)
        asked = memory.latch.holds or memory.differs or memory.unbacked or not opens
        closes = bool(asked) and reduces(intent, earlier, view, open_shares)
        eased = closes and not opens
        fair = _fair(intent, view)
        sent = within_collar(intent, view, limits, fair, eased=eased)
        problem = (
            _held_back(intent, view, memory, closes=closes)
            or (None if closes else _differs(intent, view, memory) or _unbacked(intent, memory))
            or _moment_problem(intent, view, limits, memory, max_open, fair, eased=eased)
            or _legs_problem(intent, view, limits, fair, eased=eased)
            or _self_trade(intent, earlier, view)
            or _unsettled(sent, earlier, view, limits, memory)
            or book_problem(intent, earlier, view, limits)
            or (None if eased else loss_problem(view, limits, memory))
        )
        if problem is None:
            memory.approve(intent, view.now)
            earlier += sent.legs
            approved.append(Approved(sent))
        else:
            refused.append(Refused(intent=intent, reason=problem[0], detail=problem[1]))
    return tuple(approved), tuple(refused)


def _held_back(intent: Intent, view: View, memory: Memory, *, closes: bool) -> Problem | None:
    """Whether a scope of it is halted, or may only reduce and this does not."""
    if not memory.latch.holds:
        return None
    hold = memory.latch.strictest(scopes_of(intent, view.columns.universe), view.now)
    if hold is None or hold.mode is Mode.RUN:
        return None
    if hold.mode is Mode.HALT:
        return Reason.KILLED, str(hold)
    return None if closes else (Reason.REDUCE_ONLY, f"{hold}; this brings nothing nearer to zero")


def _differs(intent: Intent, view: View, memory: Memory) -> Problem | None:
    """Whether a leg is at an instrument of which books and venue are not known to be equal."""
    for leg in intent.legs:
        if why := memory.differs.get(leg.instrument):
            return Reason.REDUCE_ONLY, f"{view.columns.universe[leg.instrument].name}: {why}"
    return None


def _unbacked(intent: Intent, memory: Memory) -> Problem | None:
    """Whether a leg is of a token that is not known to be backed."""
    for leg in intent.legs:
        if why := memory.unbacked.get(leg.instrument):
            return Reason.BACKING, why
    return None


def _moment_problem(
    intent: Intent,
    view: View,
    limits: Limits,
    memory: Memory,
    max_open: Mapping[str, int],
    fair: float,
    *,
    eased: bool,
) -> Problem | None:
    """What speaks against an intent as a whole at this moment, apart from its legs and the books."""
    now = view.now
    if now > intent.deadline_ns:
        return Reason.DEADLINE, f"the deadline has passed {(now - intent.deadline_ns) / NS:g} s ago"
    most = limits.max_orders_per_minute + (limits.hedge_orders_per_minute if eased else 0)
    if len(memory.sent) + len(intent.legs) > most:
        return Reason.ORDER_RATE, f"{len(memory.sent)} orders in the last minute, allowed {most}"
    if eased:
        return None
    if view.columns.session not in limits.sessions:
        return Reason.SESSION, f"session {view.columns.session.label} is not among those allowed"
    under_way, allowed = list(memory.open_intents.values()).count(intent.strategy), max_open.get(intent.strategy, 0)
    if under_way >= allowed:
        return Reason.OPEN_PAIRS, f"{under_way} trades under way, allowed {allowed}"
    if not intent.notional_usd <= limits.max_order_usd:
        return Reason.NOTIONAL, f"{intent.notional_usd:.2f} USD, allowed {limits.max_order_usd}"
    if limits.need_fair and not isfinite(fair):
        return Reason.FAIR_UNKNOWN, "no believed source for the share, or its error is too wide"
    return _pace_problem(intent, view, limits, memory)


def _pace_problem(intent: Intent, view: View, limits: Limits, memory: Memory) -> Problem | None:
    """What speaks against another trade in the same share now."""
    name, now = intent.underlying, view.now
    waited = now - memory.opened.get(name, now - limits.trade_gap_ns)
    if limits.trade_gap_ns and waited < limits.trade_gap_ns:
        return Reason.COOLDOWN, f"{name}: {waited / NS:g} s since the last trade, {limits.trade_gap_ns / NS:g} needed"
    most = limits.max_turnover_usd_per_day
    if (turned := float(memory.turned(name, now) + turnover(intent))) > most:
        return Reason.TURNOVER, f"{name}: {turned:.2f} USD today, allowed {most:g}"
    most = limits.max_naked_usd
    if (naked := naked_usd(name, view)) > most:
        return Reason.NAKED, f"{name}: {naked:.2f} USD without a hedge, allowed {most:g}"
    return None


def _legs_problem(intent: Intent, view: View, limits: Limits, fair: float, *, eased: bool) -> Problem | None:
    """The first thing that speaks against one of its legs."""
    for leg in intent.legs:
        if problem := leg_problem(leg, view, limits, fair, eased=eased):
            return problem
    return None


def _self_trade(intent: Intent, earlier: list[Leg], view: View) -> Problem | None:
    """Whether a leg could meet another order of ours: one of the other side is under way at its instrument."""
    ours = {*view.ledger.under_way(), *[(leg.instrument, leg.side) for leg in (*earlier, *intent.legs)]}
    for leg in intent.legs:
        other = Side.SELL if leg.side is Side.BUY else Side.BUY
        if (leg.instrument, other) in ours:
            units = view.ledger.reserved(leg.instrument, other) + units_of(
                (*earlier, *intent.legs), leg.instrument, other
            )
            name = view.columns.universe[leg.instrument].name
            return Reason.SELF_TRADE, f"{name}: {units} units of ours on the other side are under way"
    return None


def _unsettled(intent: Intent, earlier: list[Leg], view: View, limits: Limits, memory: Memory) -> Problem | None:
    """Whether purchases at a venue whose rule limits it could spend more than has settled there: each at its limit, or
    where it has none at the ask; one that is under way at the ask and the collar above it."""
    if not memory.funds.rules:
        return None
    columns, universe = view.columns, view.columns.universe
    for venue in dict.fromkeys(universe[leg.instrument].venue for leg in intent.legs if leg.side is Side.BUY):
        has = memory.funds.spendable(venue, view.now)
        if has is None:
            continue
        rows, more = columns.f_rows, limits.collar_bps / 1e4 if limits.collar_bps < inf else 0.0
        paid = [
            (at, units, rows[at][K.ASK] * (1 + more))
            for (at, side), units in view.ledger.under_way().items()
            if side is Side.BUY
        ]
        for leg in (*earlier, *intent.legs):
            if leg.side is Side.BUY:
                worst = float(leg.limit) if leg.limit < inf else rows[leg.instrument][K.ASK]
                paid.append((leg.instrument, leg.quantity, worst))
        cost = sum(
            float(units) * price * columns.known_fx(at) * (1 + (columns.facts[at].cost or 0.0))
            for at, units, price in paid
            if universe[at].venue == venue
        )
        if not cost <= float(has):
            return Reason.UNSETTLED, f"{venue}: {cost:.2f} USD to pay, {has:.2f} settled"
    return None


def _fair(intent: Intent, view: View) -> float:
    """What the share is worth by its own evidence, USD; nan where that is unknown."""
    columns = view.columns
    fair = columns.own(columns.underlyings.index(intent.underlying), view.now) if intent.underlying else None
    return nan if fair is None else fair.price
