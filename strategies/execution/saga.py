"""One trade, from the approval of its plan to its end FLAT, HEDGED or PAGED: a pure state machine.

Its whole state is a fold over what the journal keeps: approved intents (`begin`, `sent`), refused ones (`declined`),
reports (`hear`) and notes (`turn`). `decide` says what to do next and changes nothing; what it says is recorded and
folded before anything is sent, so that a crash at any moment leaves the same state behind.

What is sent beyond the plan follows from the net shares that all fills so far leave, never from events. While an order
that could still fill towards zero has no final answer, nothing is sent towards zero: unknown is not failed. A leg that
falls short is tried again at fresh prices, then what was filled is given back, then the trade rests and tries once
more, then an operator is told. Each try costs one of a few; so with a venue that answers there always is an end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, getcontext, setcontext
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
from msgspec import structs

from connectors.events import NEVER, NS
from connectors.orders import ConversionState, Fill, Intent, Leg, Outcome, Report, Side
from strategies.execution.conversions import Running
from strategies.execution.ledger import EXACT, ZERO


class Stage(StrEnum):
    """Where a trade stands. The last three are its ends."""

    LEGS = "legs"
    """The orders of its plan are under way."""
    HEDGE = "hedge"
    """What one leg has filled is brought to zero by the other one, at a fresh price."""
    UNWIND = "unwind"
    """What was filled is given back."""
    CONVERT = "convert"
    """What its legs have filled is minted or redeemed, and the issuer has not ended that yet."""
    COOL = "cool"
    """Neither worked: it rests, and tries once more."""
    FLAT = "flat"
    """Nothing is held of it."""
    HEDGED = "hedged"
    """What is held of it is worth no share in sum."""
    PAGED = "paged"
    """An operator was told; nothing more is sent for it."""


ENDS: Final = frozenset({Stage.FLAT, Stage.HEDGED, Stage.PAGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a trade may do to come to its end."""

    retries: int = 0
    """Tries to hedge, and again as many to unwind; 0: nothing is sent beyond the plan, and an operator is told."""
    give_bps: Decimal = ZERO
    """The n-th try takes prices worse than the fresh quote by n times this."""
    wait_ns: int = NS
    """From the first try to the second; doubles with each."""
    max_loss_usd: Decimal = ZERO
    """The most that a trade may lose by being hedged or unwound."""
    naked_usd_s: float = 0.0
    """USD x seconds without a hedge, from which it hastens: tries follow each other after `wait_ns`, at whatever venue
    is best, at the widest price, and it does not rest."""
    answer_within_ns: int = 10 * NS
    """An order without a final answer is asked about after this."""
    page_after_ns: int = 300 * NS
    """An order without a final answer for so long is told to an operator."""
    cooldown_ns: int = 60 * NS
    """How long a trade rests that could be neither hedged nor unwound, and its share after an unwind."""
    max_unwinds: int = 3
    """After so many in a row, a share is only reduced and an operator is told."""


class Order(msgspec.Struct, gc=False):
    """One order of a trade, as far as its venue has told."""

    leg: Leg
    sent_ns: int
    outcome: Outcome | None = None
    """None: no word yet."""
    final: bool = False
    filled: Decimal = ZERO
    """Units; more than the leg's quantity is an over-fill."""


class Saga(msgspec.Struct, kw_only=True, gc=False):
    """The state of one trade."""

    plan: Intent
    opened_ns: int
    carried: Decimal = ZERO
    """Net shares that it began with: what its plan says, or dust of other trades that it sweeps up."""
    stage: Stage = Stage.LEGS
    orders: dict[str, Order] = {}
    """By client id, in the order of sending."""
    fills: dict[str, Fill] = {}
    """By id; each counts once."""
    news: set[str] = set()
    """Ids of reports that have one; each counts once."""
    units: dict[int, Decimal] = {}
    """Net units by instrument; what is zero is left out."""
    flow_usd: Decimal = ZERO
    """What was paid for units less what they brought, fees apart: the net position at the prices of its fills."""
    costs_usd: Decimal = ZERO
    """Fees and gas."""
    dust: Decimal = ZERO
    """Net shares that were left at its end."""
    rounds: int = 0
    """Tries so far; they number the follow-ups."""
    tries: int = 0
    """Of them in this stage."""
    tried_ns: int = 0
    """When the last one was made, or this stage began."""
    naked_usd_s: float = 0.0
    """USD x seconds without a hedge until `told_ns`."""
    told_ns: int = 0
    asked: str = ""
    """Id of the mint or redemption that completes it, once that was asked for."""


class Standing(NamedTuple):
    """What a trade's units are worth at this moment, in shares, with what its mint or redemption makes of them."""

    net: Decimal | None
    """None: what a unit is worth is not known."""
    held: Decimal
    """The most that is held at one instrument, whatever its sign."""
    least: Decimal
    """Fewer can be traded nowhere: dust."""
    request: Running | None = None
    """Its mint or redemption, once it was asked for."""


class Turn(NamedTuple):
    """The trade comes to another stage."""

    stage: Stage
    why: str


class Try(NamedTuple):
    """An order is to be sent that brings net shares nearer to zero."""

    stage: Stage
    side: Side | None
    """None: what a unit is worth is not known, so nothing can be sent."""
    shares: Decimal
    give_bps: Decimal
    hasty: bool
    """Whatever venue is best now."""


class Ask(NamedTuple):
    """The mint or redemption of the plan is to be asked for."""

    shares: Decimal
    """That it has to bring or take."""


# --- the fold


def first_round(plan: Intent) -> Intent:
    """What of a plan leaves at once; the client ids stay those of the plan."""
    return structs.replace(plan, legs=plan.legs[:1]) if plan.in_order else plan


def begin(plan: Intent, now: int) -> Saga:
    """A plan was approved at `now` (ns)."""
    saga = Saga(plan=plan, opened_ns=now, told_ns=now, tried_ns=now, carried=plan.carried)
    _send(saga, first_round(plan), now)
    return saga


def sweep(intent: Intent, carried: Decimal, now: int) -> Saga:
    """An order was approved that brings the dust of earlier trades, `carried` net shares, to zero."""
    saga = Saga(plan=intent, opened_ns=now, told_ns=now, carried=carried, stage=Stage.HEDGE)
    sent(saga, intent, now)
    return saga


def sent(saga: Saga, intent: Intent, now: int) -> None:
    """A follow-up was approved."""
    _send(saga, intent, now)
    declined(saga, now)


def declined(saga: Saga, now: int) -> None:
    """A try was made; it was refused by the review, or found nothing to be sent to."""
    saga.rounds += 1
    saga.tries += 1
    saga.tried_ns = now


def asked(saga: Saga, id: str, now: int) -> None:
    """Its mint or redemption was asked for."""
    _accrue(saga, now)
    saga.asked = id


def turn(saga: Saga, stage: Stage, now: int) -> None:
    """It was noted that the trade has come to a stage."""
    _accrue(saga, now)
    saga.stage, saga.tries, saga.tried_ns = stage, 0, now


def hear(saga: Saga, report: Report, now: int) -> bool:
    """A venue told something of one order. True where it is more than was asked for, for the first time.

    Fills count by their id, whenever they come: before the acknowledgement, after the cancel, twice, or after the end;
    an end that they undo is none.
    """
    if report.id in saga.news:
        return False
    if report.id:
        saga.news.add(report.id)
    _accrue(saga, now)
    order, before = saga.orders[report.client_id], len(saga.fills)
    within = order.filled <= order.leg.quantity
    context = getcontext()
    setcontext(EXACT)  # localcontext() would copy it for every report
    try:
        for fill in report.undone:
            known = saga.fills.pop(fill.id, None)
            if known is not None:
                _book(saga, order, known, -1)
        undone = len(saga.fills) != before
        for fill in report.fills:
            if fill.id not in saga.fills:
                saga.fills[fill.id] = fill
                _book(saga, order, fill, 1)
        saga.costs_usd += report.gas_usd
    finally:
        setcontext(context)
    if undone or not order.final:
        order.outcome = report.outcome
        order.final = report.final and report.outcome is not Outcome.UNKNOWN
    if saga.stage in (Stage.FLAT, Stage.HEDGED) and (undone or len(saga.fills) != before):
        turn(saga, Stage.HEDGE, now)
    return within and order.filled > order.leg.quantity


def _send(saga: Saga, intent: Intent, now: int) -> None:
    for number, leg in enumerate(intent.legs):
        saga.orders[intent.client_id(number)] = Order(leg, now)


def _book(saga: Saga, order: Order, fill: Fill, times: int) -> None:
    """Adds a fill, or (`times` -1) takes it back."""
    told = times * fill.quantity
    signed = told if fill.side is Side.BUY else -told
    units = saga.units.pop(fill.instrument, ZERO) + signed
    if units:
        saga.units[fill.instrument] = units
    order.filled += told
    saga.flow_usd += signed * fill.price * fill.fx
    saga.costs_usd += times * (fill.fee * fill.fx + fill.gas_usd)


def _accrue(saga: Saga, now: int) -> None:
    """Time passes for what is held without a hedge; nothing counts after an end."""
    if saga.flow_usd:
        saga.naked_usd_s = naked_usd_s(saga, now)
    saga.told_ns = now


# --- what may be read


def naked_usd_s(saga: Saga, now: int) -> float:
    """USD x seconds without a hedge so far, at the prices of the fills."""
    if not _naked(saga):
        return saga.naked_usd_s
    return saga.naked_usd_s + abs(float(saga.flow_usd)) * (now - saga.told_ns) / NS


def _naked(saga: Saga) -> bool:
    """Whether time without a hedge counts: not after an end, nor while an issuer owes the other side."""
    return not (saga.stage in ENDS or (saga.stage is Stage.CONVERT and saga.asked))


def live(saga: Saga) -> Iterator[tuple[str, Order]]:
    """Orders without a final answer, by client id: each may still fill, and keeps what it reserves."""
    return ((client_id, order) for client_id, order in saga.orders.items() if not order.final)


def result_usd(saga: Saga) -> Decimal:
    """What the trade has brought so far, USD; its net position counts nothing."""
    return -saga.flow_usd - saga.costs_usd


# --- what to do next


def decide(saga: Saga, now: int, stands: Standing, rules: Rules) -> Turn | Try | Ask | None:
    """What is to be done at `now`; None: nothing, before `due` or the next report."""
    if saga.stage in ENDS:
        return None
    net, request = stands.net, stands.request
    if request is not None and (why := _stuck(request, now)):
        return Turn(Stage.PAGED, why)
    settled = net is not None and (not net or abs(net) < stands.least)
    side = None if net is None or settled else Side.SELL if net > 0 else Side.BUY
    patient = saga.stage in (Stage.LEGS, Stage.HEDGE) and side is not None
    waiting = [(client_id, order) for client_id, order in live(saga) if not patient or order.leg.side is side]
    if waiting:
        client_id, order = waiting[0]
        if now < order.sent_ns + rules.page_after_ns:
            return None
        return Turn(Stage.PAGED, f"no final answer about {client_id}")
    if request is not None and not request.closed and (settled or net is None):
        return None if saga.stage is Stage.CONVERT else Turn(Stage.CONVERT, "the issuer has not ended it")
    if _converts(saga, stands, side):
        if saga.stage is not Stage.CONVERT:
            return Turn(Stage.CONVERT, "what its legs filled")
        if saga.tries < max(1, rules.retries):
            shares = stands.held if settled or net is None else abs(net)
            return None if now < _ready_ns(saga, rules, hasty=False) else Ask(shares)
    if settled:
        return Turn(Stage.HEDGED if stands.held and stands.held >= stands.least else Stage.FLAT, "")
    if rules.retries == 0:
        return Turn(Stage.PAGED, "a leg fell short, and nothing may be sent to repair it")
    if saga.stage in (Stage.LEGS, Stage.CONVERT):
        why = "the issuer fell short" if saga.asked else "the issuer does not take it on"
        short = why if saga.stage is Stage.CONVERT else "a leg fell short"
        return Turn(Stage.HEDGE, "the next leg" if saga.plan.in_order else short)
    hasty = naked_usd_s(saga, now) >= rules.naked_usd_s
    last = saga.stage is Stage.COOL
    if saga.tries >= (1 if last else rules.retries):
        return _next(saga.stage, hasty=hasty)
    if now < _ready_ns(saga, rules, hasty=hasty):
        return None
    widest = hasty or last
    give = rules.give_bps * (rules.retries if widest else saga.tries + 1)
    return Try(saga.stage, side, ZERO if net is None else abs(net), give, widest)


def _converts(saga: Saga, stands: Standing, side: Side | None) -> bool:
    """Whether the mint or redemption of its plan is due: where it closes the trade, once the legs have filled; where
    the legs close each other and it only changes the form of what is held, once they have."""
    then = saga.plan.then
    if then is None or saga.asked or stands.net is None:
        return False
    if side is None:
        held = bool(stands.held) and stands.held >= stands.least
        return held and len(saga.plan.legs) > 1 and saga.stage in (Stage.LEGS, Stage.HEDGE, Stage.CONVERT)
    closes = side is (Side.BUY if then.mint else Side.SELL) and len(saga.plan.legs) == 1
    return closes and saga.stage in (Stage.LEGS, Stage.CONVERT)


def _stuck(request: Running, now: int) -> str:
    """Why an operator must look at a mint or redemption; empty: he need not. On one word nothing is sold."""
    if request.state is ConversionState.FAILED:
        return f"{request.order.id} has failed at {request.order.issuer}"
    if not request.closed and now > request.order.sla_ns:
        return f"{request.order.id} is late at {request.order.issuer}"
    return ""


def _next(stage: Stage, *, hasty: bool) -> Turn:
    """The stage after the last try of one."""
    if stage is Stage.HEDGE:
        return Turn(Stage.UNWIND, "it could not be hedged")
    if stage is Stage.UNWIND and not hasty:
        return Turn(Stage.COOL, "it could not be unwound")
    return Turn(Stage.PAGED, "it could be neither hedged nor unwound")


def _ready_ns(saga: Saga, rules: Rules, *, hasty: bool) -> int:
    """When the next try may be made."""
    if saga.stage is Stage.COOL:
        wait = 0 if hasty else rules.cooldown_ns
    elif saga.tries == 0:
        wait = 0
    else:
        wait = rules.wait_ns if hasty else rules.wait_ns << saga.tries - 1
    return saga.tried_ns + wait


def due(saga: Saga, now: int, rules: Rules) -> int:
    """The next moment after `now` at which `decide` may say something else without a report; NEVER where there is
    none."""
    if saga.stage in ENDS:
        return NEVER
    moments = [order.sent_ns + rules.page_after_ns for _, order in live(saga)]
    if saga.stage is not Stage.LEGS:
        moments += [_ready_ns(saga, rules, hasty=hasty) for hasty in (True, False)]
    rate, left = abs(float(saga.flow_usd)) * _naked(saga), rules.naked_usd_s - saga.naked_usd_s
    if rate:
        moments.append(saga.told_ns + round(left / rate * NS) + 1)
    return min([NEVER, *(moment for moment in moments if moment > now)])
