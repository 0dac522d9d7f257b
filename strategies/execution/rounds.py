"""What trades send beyond their plans: tries of a repair, and the sweeping up of dust."""

from __future__ import annotations

from decimal import Decimal

from msgspec import structs

from connectors.orders import Intent, Purpose, Side
from strategies.base import Note, View
from strategies.execution.exits import Claim, Exits, Offer
from strategies.execution.ledger import ZERO
from strategies.execution.saga import Rules, Saga, Stage, Try


def follow_up(saga: Saga, move: Try, offer: Offer, now: int, rules: Rules) -> Intent:
    """The order of a try, as an intent of its trade."""
    unwinding = move.stage is Stage.UNWIND
    letter, what = ("u", "unwind") if unwinding else ("h", "hedge")
    return Intent(
        id=f"{saga.plan.id}.{letter}{saga.rounds + 1}",
        strategy=saga.plan.strategy,
        legs=(offer.leg,),
        reason=f"{what} {move.shares} shares, try {saga.tries + 1}",
        edge_bps=0.0,
        notional_usd=offer.usd,
        deadline_ns=now + rules.answer_within_ns,
        underlying=saga.plan.underlying,
        trade=saga.plan.id,
        purpose=Purpose.UNWIND if unwinding else Purpose.HEDGE,
    )


def sweep(
    underlying: str, shares: Decimal, number: int, view: View, exits: Exits, busy: set[Claim], rules: Rules
) -> Intent | None:
    """The `number`-th order that brings the dust of a share to zero; None where it is not enough to be traded, or can
    be traded nowhere now."""
    plan = Intent(
        id=f"dust-{underlying}-{number}", strategy="dust", legs=(), edge_bps=0.0,
        reason=f"sweep up {shares} shares", notional_usd=ZERO, underlying=underlying, purpose=Purpose.HEDGE,
        deadline_ns=view.now + rules.answer_within_ns,
    )  # fmt: skip
    if abs(shares) < exits.least(view, plan):
        return None
    move = Try(Stage.HEDGE, Side.SELL if shares > 0 else Side.BUY, abs(shares), rules.give_bps, True)
    offer = exits.offer(view, Saga(plan=plan, opened_ns=view.now, carried=shares), move, busy, rules)
    return structs.replace(plan, legs=(offer.leg,), notional_usd=offer.usd) if isinstance(offer, Offer) else None


def no_offer(trade: str, underlying: str, why: str) -> Note:
    """That a try of a trade found nothing to be sent to."""
    return Note(kind="trade", underlying=underlying, detail={"trade": trade, "event": "no_offer", "why": why})


def trade_note(saga: Saga, **detail: float | str) -> Note:
    """Something of a trade that is worth keeping."""
    told = {key: value for key, value in detail.items() if value != ""}
    return Note(kind="trade", underlying=saga.plan.underlying, detail={"trade": saga.plan.id, **told})
