"""One order in which a record is folded into the trades, whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import cast

from msgspec import structs

from connectors.orders import Conversion, Intent, Reason, Refused
from strategies.base import Note, Step
from strategies.execution.folding import fold
from strategies.execution.trades import Trades
from tests.strategies.test_risk import intent

REQUEST = Conversion(
    id="t.c1", issuer="i", mint=True, source=0, target=1, quantity=D(1), expected=D(1), least=D(1), sla_ns=9,
    underlying="S", reason="", trade="t",
)  # fmt: skip


@dataclass
class Heard:
    """Stands in for trades: what it was told, in order."""

    words: list[tuple[str, str, int]] = field(default_factory=list)

    def refused(self, intent: Intent, now: int) -> None:
        """A wish was refused."""
        self.words.append(("refused", intent.id, now))

    def approved(self, intent: Intent, now: int) -> None:
        """A wish passed."""
        self.words.append(("approved", intent.id, now))

    def asked_for(self, order: Conversion, now: int) -> None:
        """A request passed."""
        self.words.append(("asked_for", order.id, now))

    def noted(self, note: Note, now: int) -> None:
        """Something was noted."""
        self.words.append(("noted", note.kind, now))


def test_a_record_is_folded_in_one_order() -> None:
    """
    What was refused, what of the wishes was approved, what is asked of issuers, and then what is noted of all that.
    """
    good, bad = intent(id="good"), intent(id="bad")
    step = Step(
        seq=1, ts=7, cause="due", notes=(Note(kind="trade"), Note(kind="resumed")), wishes=(bad, good),
        refused=(Refused(intent=bad, reason=Reason.MODE, detail=""),), approved=("good",), conversions=(REQUEST,),
    )  # fmt: skip
    heard = Heard()
    fold(cast(Trades, heard), step)
    assert [
        ("refused", "bad", 7), ("approved", "good", 7), ("asked_for", "t.c1", 7), ("noted", "trade", 7),
        ("noted", "resumed", 7),
    ] == heard.words  # fmt: skip
    nothing = Heard()
    fold(cast(Trades, nothing), structs.replace(step, notes=(), wishes=(), refused=(), approved=(), conversions=()))
    assert [] == nothing.words
