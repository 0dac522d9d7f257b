"""The strategy `hedge` in the whole engine: when it enters, what it holds, why it leaves, and what holding costs."""

from __future__ import annotations

from decimal import Decimal

from tests.bot.hedge_world import PERP, TOKEN, World, config, done, notes, orders


def entered(**words: object) -> World:
    """A token that falls to 99 against a perp at 100, for a minute."""
    return World(config(**words)).lasts(60).lasts(60, token=99.0)  # type: ignore[arg-type]


def test_a_cheap_token_is_bought_and_the_perp_is_sold_against_it_until_both_are_back() -> None:
    """
    100 bps below: 10 tokens of a share each are bought, 10 perps sold; when the token is as dear as it was cheap before
    Bertram's exit, both go back, and what is left is the way less fees and spreads.
    """
    result = entered().lasts(60, token=100.4).run()
    assert [("enter", "premium"), ("exit", "converged")] == done(result)
    assert [(TOKEN, "buy", 10.0), (PERP, "sell", 10.0), (TOKEN, "sell", 10.0), (PERP, "buy", 10.0)] == orders(result)
    assert {} == result.positions
    fees = Decimal("0.0001") * sum(fill.quantity * fill.price for fill in result.fills)
    assert Decimal(10) * (Decimal("100.39") - Decimal("99.01") - Decimal("0.02")) - fees == result.bridge.net


def test_a_premium_that_costs_eat_is_not_entered() -> None:
    """
    5 bps below, with costs of 8 bps: nothing is wished and nothing is told.
    """
    result = World(config()).lasts(60).lasts(60, token=99.95).run()
    assert ([], []) == (orders(result), notes(result, "no_trade"))
