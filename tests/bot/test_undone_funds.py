"""Settled funds after a reorg: what was bought and did not happen after all may be spent again."""

from __future__ import annotations

from decimal import Decimal

from connectors.orders import Outcome, Report
from strategies.execution.funds import Funds, FundsRule
from tests.bot.test_trades import Ran

RULES = {"a": FundsRule(usd=Decimal(1500))}


def spendable(ran: Ran) -> Decimal | None:
    """USD that may be spent at a."""
    return ran.engine.memory.funds.spendable("a", ran.engine.now)


def test_a_purchase_that_is_undone_may_be_spent_again_also_after_a_restart() -> None:
    """
    Ten bought at 100 leave 500 of 1,500 USD. A reorg takes five of them back: 1,000. Records folded anew say the same,
    and what is undone twice counts once.
    """
    ran = Ran({"t-0": ["part 5", "part 5", "end"]})
    ran.engine.memory.funds = Funds(rules=RULES)
    ran.until(3)
    assert Decimal(500) == spendable(ran)
    gone = Report(client_id="t-0", intent_id="t", leg=0, outcome=Outcome.ACCEPTED, undone=(ran.venue.filled["t-0"][1],))
    for _ in range(2):
        ran.engine.dealer.heard([gone], ran.engine.now)
        assert Decimal(1000) == spendable(ran)
    again = Ran(wishes={})
    again.engine.memory.funds = Funds(rules=RULES)
    again.engine.restore(ran.steps)
    assert Decimal(1000) == spendable(again)
    assert ran.engine.ledger.positions == again.engine.ledger.positions
