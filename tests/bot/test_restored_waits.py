"""After a restart a trade is repaired once its share is quoted, not before."""

from __future__ import annotations

from tests.bot.test_trades import A, B, C, Ran


def crashed() -> Ran:
    """Ten were bought, no sale passed yet, and the process ended."""
    return Ran({"sell": ["refuse"]}).until(1.4)


def test_tries_are_not_spent_before_the_share_is_quoted() -> None:
    """
    For ten seconds after the restart only the share itself prints: nothing is tried. With the first quotes the hedge
    leaves.
    """
    before = crashed()
    again = Ran(wishes={}, earlier=before.steps)
    again.silent = {A, B, C}
    again.until(12)
    assert [] == again.orders() and [] == again.stages()
    again.silent = set()
    again.until(15)
    assert "hedged" == again.stages()[-1] and 1 == len(again.orders())


def test_a_share_that_is_never_quoted_is_told() -> None:
    """
    After the time that an order may lack its answer, an operator is told.
    """
    again = Ran(wishes={}, earlier=crashed().steps)
    again.silent = {A, B, C}
    again.until(59)
    assert [] == again.stages()
    again.until(140)
    assert "paged" == again.stages()[-1] and [] == again.orders()
