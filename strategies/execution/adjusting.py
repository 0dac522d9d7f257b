"""An adjustment: an operator's word that corrects the books, as a value, as a note of the journal, and applied.

Nothing else changes what we hold without a fill, a conversion or a charge. What it adds or takes counts at the marks of
its moment as brought in or taken out, and not as profit; the journal tells it with its evidence and reason.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from strategies.base import Note
from strategies.execution.ledger import ZERO, Ledger

KIND: Final = "adjust"


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed on about one difference."""

    venue: str
    why: str
    """The kind of the difference."""
    subject: str
    """Its asset, or the id of its fill."""
    instrument: int = -1
    """Whose units are corrected; -1: it is coins, or an amount of zero."""
    amount: Decimal = ZERO
    """Units or coins that are added to the books; zero: the books stay, and the difference counts no more."""
    usd: Decimal = ZERO
    """Mark of a unit or coin at that moment."""
    evidence: str
    """What the venue and the books said, and as of when."""
    reason: str
    by: str
    """Who said so."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The difference that it is about."""
        return self.venue, self.why, self.subject


def adjust(ledger: Ledger, one: Adjustment) -> None:
    """Corrects the books."""
    if one.instrument >= 0:
        ledger.adjust(one.instrument, one.amount, one.usd)
    elif one.amount:
        ledger.adjust_cash(one.venue, one.subject, one.amount, one.usd)


def note_of(one: Adjustment, underlying: str) -> Note:
    """As a record holds it; amounts as exact text."""
    detail: dict[str, float | str] = {
        "venue": one.venue, "why": one.why, "subject": one.subject, "amount": f"{one.amount:f}", "usd": f"{one.usd:f}",
        "evidence": one.evidence, "reason": one.reason, "by": one.by,
    }  # fmt: skip
    return Note(kind=KIND, instrument=one.instrument, underlying=underlying, detail=detail)


def adjustment_of(note: Note) -> Adjustment:
    """Read back; the instrument by the numbers of that run."""
    text = {key: str(value) for key, value in note.detail.items()}
    return Adjustment(
        venue=text["venue"], why=text["why"], subject=text["subject"], instrument=note.instrument,
        amount=Decimal(text["amount"]), usd=Decimal(text["usd"]), evidence=text["evidence"], reason=text["reason"],
        by=text["by"],
    )  # fmt: skip
