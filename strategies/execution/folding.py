"""What a record says of trades, folded in one order: by the engine that wrote it, and by whoever reads it again."""

from __future__ import annotations

from strategies.base import Step
from strategies.execution.trades import Trades


def fold(trades: Trades, step: Step) -> None:
    """Takes a record into the trades: what was refused, what was approved, what is asked of issuers, what was noted.

    Its reports are no part of it: what they say is in the trades before the record is made of what follows from it.
    """
    for refused in step.refused:
        trades.refused(refused.intent, step.ts)
    approved = set(step.approved)
    for wish in step.wishes:
        if wish.id in approved:
            trades.approved(wish, step.ts)
    for order in step.conversions:
        trades.asked_for(order, step.ts)
    for note in step.notes:
        trades.noted(note, step.ts)
