"""How naked we stood, over the records of trades."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from bot.exposure import Exposure
from tests.bot.test_trades import Ran


def watched(scripts: dict[str, list[str]]) -> tuple[Ran, Exposure]:
    """An engine on a script, and what its records say of its exposure."""
    ran = Ran(scripts)
    exposure = Exposure(ran.columns, partial(ran.engine.trades.exits.least_of, ran.columns))
    ran.engine.dealer.on_step = (*ran.engine.dealer.on_step, exposure.hear)
    return ran, exposure


def test_dust_that_a_trade_leaves_is_told_and_is_no_spell_without_a_hedge() -> None:
    """
    A quarter of a share is left where half a one is the least order: nobody can hedge it, so no time counts.
    """
    ran, exposure = watched({"t-1": ["part 9.75", "end"]})
    exposure.until(ran.until(30).engine.now)
    assert (0.0, 0.0) == (exposure.worst_usd_s, exposure.worst_usd)
    assert {"S": (0.25, 25.0)} == exposure.left()


def test_what_could_be_hedged_and_is_not_counts_while_it_stands() -> None:
    """
    Half a share of 100 USD is left, no sale of it passes, and it stands for ten seconds and more.
    """
    ran, exposure = watched({"t-1": ["part 9.5", "end"], "sell": ["refuse"]})
    exposure.until(ran.until(12).engine.now)
    assert exposure.worst_usd_s > 50.0 * 9
    assert Decimal("0.5") == sum(ran.positions.values())
