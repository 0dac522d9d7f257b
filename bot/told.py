"""What the decision records of a run say: monitoring's fold, and what a backtest's report asks beyond it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from connectors.instruments import Universe
from connectors.orders import PLANS, Fill
from monitoring.decisions import Tally
from strategies.base import Step


class Told(Tally):
    """The tally of a run that is over."""

    def __init__(self, universe: Universe, steps: Iterable[Step]) -> None:
        """Folds every record of a run, in order."""
        super().__init__(universe)
        self.wished = 0
        """Trades that a strategy wanted."""
        self.approved = 0
        """Those of them that passed the review."""
        self.units_wished = Decimal(0)
        """Of all legs that were sent; units of different tokens are added, so it serves as a ratio's base only."""
        self.units_filled = Decimal(0)
        self.why: Counter[str] = Counter()
        """Why something was not traded: the strategy's reason, the review's, or what the venue said to a leg."""
        for step in steps:
            self.fold(step)

    def fold(self, step: Step) -> None:
        """Counts one record."""
        super().fold(step)
        plans = [intent for intent in step.wishes if intent.purpose in PLANS]
        passed = set(step.approved)
        self.wished += len(plans)
        self.approved += sum(intent.id in passed for intent in plans)
        for intent in step.wishes:
            if intent.id in passed:
                self.units_wished += sum((leg.quantity for leg in intent.legs), Decimal(0))
        self.why.update(str(note.detail.get("reason", "")) for note in step.notes if note.kind == "no_trade")
        self.why.update(refused.reason.value for refused in step.refused)
        for report in step.reports:
            self.units_filled += sum((fill.quantity for fill in report.fills), Decimal(0))
            if not report.fills:
                said = report.detail.partition(":")[0]  # behind the colon stand the numbers of that one order
                self.why[f"venue: {said}" if said else "venue"] += 1

    @property
    def captured_usd(self) -> float:
        """Edge of the shares that were bought and sold again within a trade, less the fees of all trades, USD."""
        return sum(self.edge_captured_usd.values()) - sum(self.edge_lost_usd.values())


def fills_of(steps: Iterable[Step]) -> list[Fill]:
    """Every fill in order of the records."""
    return [fill for step in steps for report in step.reports for fill in report.fills]
