"""The strategy `hedge` in the whole engine: when it enters, what it holds, why it leaves, and what a restart knows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bot.assembly import assemble
from bot.backtest import Result
from bot.journal import Journal
from bot.sessions import load_sessions
from bot.wiring import paper
from connectors.events import NS, Kind, Rows
from connectors.orders import Intent
from monitoring.positions import Concerns
from strategies.base import Step
from tests.bot.hedge_world import OTHER, PERP, SHARE, STOCK, TOKEN, World, config, done, notes, orders

CLOSE_S = 8 * 3600
"""From noon to the end of the extended session in New York, on this Friday to the weekend."""


def entered(only: tuple[str, ...] = (TOKEN, PERP, SHARE), **words: Any) -> World:
    """A token that falls to 99 against a perp (or the share) at 100, for a minute."""
    return World(config(**words), only=only).lasts(60).lasts(60, token=99.0)


def wishes(result: Result) -> list[Intent]:
    """All of the strategy, in order."""
    return [wish for step in result.records for wish in step.wishes if wish.strategy == "hedge"]


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


def test_a_token_that_is_not_held_is_not_sold() -> None:
    """
    100 bps above: nothing is sold short, and the refusal says so; with a borrow rate and room below zero it is.
    """
    tables = {TOKEN: {"borrow_bps_per_year": 300}}
    result = World(config(tables=tables)).lasts(60).lasts(60, token=101.0).run()
    assert [] == orders(result)
    assert ["no_room"] == [note.detail["reason"] for note in notes(result, "no_trade")]
    short = World(config(tables=tables, hedge={"max_short_units": 20})).lasts(60).lasts(60, token=101.0).run()
    assert [(PERP, "buy"), (TOKEN, "sell")] == [order[:2] for order in orders(short)]


def test_a_sale_whose_borrow_is_not_known_is_refused_by_name() -> None:
    """
    Room below zero and no borrow rate: what being short costs is not known.
    """
    result = World(config(hedge={"max_short_units": 20})).lasts(60).lasts(60, token=101.0).run()
    (note,) = notes(result, "no_trade")
    assert (0, "cost_unknown") == (len(orders(result)), note.detail["reason"])
    assert str(note.detail["detail"]).startswith("borrow is not known")


def test_unknown_funding_refuses_an_entry_by_name() -> None:
    """
    The perp's venue has told no funding: nothing is entered, and the refusal names it.
    """
    world = World(config())
    world.fundings.clear()
    result = world.lasts(60).lasts(60, token=99.0).run()
    (note,) = notes(result, "no_trade")
    assert (0, "cost_unknown") == (len(orders(result)), note.detail["reason"])
    assert str(note.detail["detail"]).startswith("funding is not known")


def test_what_is_too_far_off_is_a_broken_peg() -> None:
    """
    4 % below is beyond the 300 bps that are allowed.
    """
    result = World(config()).lasts(60).lasts(60, token=96.0).run()
    assert [] == orders(result)
    assert ["too_far"] == [note.detail["reason"] for note in notes(result, "no_trade")]


def test_a_perp_whose_margin_is_not_known_hedges_nothing() -> None:
    """
    Without a collateral in the config the perp is no hedge, and what to write is said.
    """
    result = entered(tables={"perps": {"margin_usd": None}}).run()
    (note,) = notes(result, "no_trade")
    assert (0, "margin") == (len(orders(result)), note.detail["reason"])
    assert "[venues.perps] margin_usd" in str(note.detail["detail"])


def test_what_does_not_come_back_is_given_up_at_the_horizon() -> None:
    """
    Ten minutes are allowed: then both legs go back at the prices that there are.
    """
    result = entered(hedge={"horizon_s": 600}).lasts(650).run()
    assert ("exit", "lapsed") == done(result)[1]
    assert 620 * NS > result.fills[2].ts - result.fills[0].ts >= 600 * NS


def test_an_exit_is_let_pass_where_opening_is_barred() -> None:
    """
    The day's loss is reached and the session is none in which anything is opened: the way back is free all the same.
    """
    risk = {"max_daily_loss_usd": 1, "sessions": ["regular"]}
    world = entered(risk=risk).lasts(30, token=98.6).until(4 * 3600 + 60).lasts(60).lasts(60, token=100.4)
    result = world.run()
    assert [("enter", "premium"), ("exit", "converged")] == done(result)[:2]
    assert {} == result.positions


def test_fault_63_funding_that_eats_the_position_ends_it_and_alerts() -> None:
    """
    Who is short begins to pay 20 bps an hour: holding on loses, so both legs go back, and somebody is told the cost.
    """
    world = entered()
    world.fundings[PERP] = -0.01
    result = world.lasts(30).run()
    assert ("exit", "carry") == done(result)[1]
    assert [(TOKEN, "sell", 10.0), (PERP, "buy", 10.0)] == orders(result)[2:4]
    (alert,) = notes(result, "hold_cost")
    assert "funding of 2400.00 bps a day" == alert.detail["what"]


def test_fault_63_the_hedge_moves_to_a_perp_that_costs_less() -> None:
    """
    Another perp without funding: the old one is bought back and that one is sold, the token stays.
    """
    world = entered()
    world.mids[OTHER], world.fundings[OTHER] = 100.0, 0.0
    world.lasts(30)
    world.fundings[PERP] = -0.01
    result = world.lasts(60).run()
    assert [("enter", "premium"), ("move", "carry")] == done(result)
    assert {TOKEN: Decimal(10), OTHER: Decimal(-10)} == result.positions
    assert 1 == len(notes(result, "hold_cost"))


def test_fault_63_a_borrow_that_is_recalled_is_told_and_the_hedge_leaves_the_share() -> None:
    """
    Short of the share at the broker when its borrow rate is gone: the cost of holding on is not known, which is told;
    where there is a perp the hedge moves to it.
    """
    world = entered(only=(TOKEN, STOCK, SHARE))
    before, records = ran(world)
    assert {TOKEN: Decimal(10), STOCK: Decimal(-10)} == before
    world.config = config(tables={STOCK: {"borrow_bps_per_year": None}})
    after, told = ran(world.lasts(60), records)
    assert before == after
    (alert,) = (note for step in told for note in step.notes if note.kind == "hold_cost")
    assert str(alert.detail["what"]).startswith("borrow is not known")
    world.mids[PERP], world.fundings[PERP] = 100.0, 0.0
    moved, _ = ran(world.lasts(60), [*records, *told])
    assert {TOKEN: Decimal(10), PERP: Decimal(-10)} == moved


def test_fault_64_a_position_is_reduced_before_its_margin_is_eaten() -> None:
    """
    400 USD carry 10 perps at 100. At 108 the equity is below the reserve of 30 % of them: both legs go back at once,
    long before 5 %, and the price at which the venue would have closed is told.
    """
    world = entered(tables={"perps": {"margin_usd": 400}}).lasts(60, token=103.9, perp=105.0, share=105.0)
    result = world.lasts(60, token=106.9, perp=108.0, share=108.0).run()
    assert ("exit", "margin") == done(result)[1]
    assert [(TOKEN, "sell", 10.0), (PERP, "buy", 10.0)] == orders(result)[2:4]
    (alert,) = notes(result, "margin")
    assert 0.05 < float(alert.detail["equity_usd"]) / float(alert.detail["worth_usd"]) < 0.3
    assert 133 < float(alert.detail["liquidation_usd"]) < 134


def test_fault_64_with_the_token_locked_what_to_add_is_told_and_the_hedge_stays_or_moves() -> None:
    """
    The token says nothing any more, so it cannot be sold: what must be added is told, once, and nothing is sent that
    would leave the token naked. With another perp the hedge moves there.
    """
    for others, positions in ((False, {TOKEN: Decimal(10), PERP: Decimal(-10)}),
                              (True, {TOKEN: Decimal(10), OTHER: Decimal(-10)})):  # fmt: skip
        world = entered(tables={"perps": {"margin_usd": 400}})
        del world.mids[TOKEN]
        if others:
            world.mids[OTHER], world.fundings[OTHER] = 100.0, 0.0
        world.lasts(60, perp=105.0, share=105.0, **({"other": 105.0} if others else {}))
        result = world.lasts(60, perp=108.0, share=108.0, **({"other": 108.0} if others else {})).run()
        assert positions == result.positions
        (alert,) = notes(result, "margin")
        assert 3 < float(alert.detail["top_up_usd"]) < 6
        concerns = Concerns()
        for step in result.records:
            for one in step.notes:
                concerns.fold(one)
        assert ({} if others else {"T": ("margin", "locked")}) == concerns.standing


def test_a_share_hedge_is_not_carried_over_a_weekend_that_its_gap_does_not_pay_for() -> None:
    """
    A quarter of an hour before the broker closes for the weekend it is given back: the token prints only five minutes
    before, and by then 300 bps are given for it.
    """
    world = entered(only=(TOKEN, STOCK, SHARE), hedge={"gap_sigmas": 3}).until(CLOSE_S - 1000)
    del world.mids[TOKEN]
    result = world.lasts(700).lasts(60, token=99.0).run()
    assert [("enter", "premium"), ("exit", "closing")] == done(result)
    assert {} == result.positions
    sold = wishes(result)[-1].legs[0]
    assert 0.029 < 1 - float(sold.limit / sold.seen) < 0.031


def test_a_share_hedge_is_carried_where_its_gap_costs_nothing() -> None:
    """
    The same with a gap that is taken to cost nothing: it stays.
    """
    world = entered(only=(TOKEN, STOCK, SHARE), hedge={"gap_sigmas": 0}).until(CLOSE_S - 1000).lasts(990)
    result = world.run()
    assert [("enter", "premium")] == done(result)
    assert {TOKEN: Decimal(10), STOCK: Decimal(-10)} == result.positions


def test_no_order_leaves_for_a_broker_that_is_closed() -> None:
    """
    The broker has closed some seconds ago and its last quote is still fresh: nothing is sent, whatever the review
    allows at weekends.
    """
    risk = {"sessions": ["regular", "post", "weekend"]}
    world = World(config(risk=risk, hedge={"gap_sigmas": 0}), only=(TOKEN, STOCK, SHARE)).until(CLOSE_S - 60)
    result = world.lasts(60).lasts(20, token=99.0).run()
    assert [] == orders(result)
    assert "closed in the weekend session" in str(notes(result, "no_trade")[-1].detail["detail"])


def test_a_changed_multiplier_is_hedged_anew() -> None:
    """
    A token becomes worth 1.02 shares: 0.2 more perps are sold, and the trade that does it ends hedged.
    """
    world = entered(hedge={"horizon_s": 1e9})
    world.row(TOKEN, Kind.MULTIPLIER, 1.02, world.at / NS + 30)
    result = world.lasts(30).lasts(1200, token=101.0).run()
    assert ("rehedge", "drift") in done(result)
    assert {TOKEN: Decimal(10), PERP: Decimal("-10.2")} == result.positions
    assert {"hedged"} == {note.detail["stage"] for note in notes(result, "trade")}


def test_a_restart_goes_on_with_what_it_holds() -> None:
    """
    The process ends with a position; the next one knows it from the records alone and gives it back when it has
    converged.
    """
    world = entered()
    before, records = ran(world)
    assert {TOKEN: Decimal(10), PERP: Decimal(-10)} == before
    after, _ = ran(world.lasts(60).lasts(60, token=100.4), records)
    assert {} == after


def ran(world: World, earlier: list[Step] | None = None) -> tuple[dict[str, Decimal], list[Step]]:
    """Positions and records of a process that hears what the world has said since the last one, and goes on from its
    records."""
    made: list[Step] = []
    executor = paper(world.config, world.universe, 1)
    parts = assemble(
        world.config, world.universe, load_sessions(), Journal(None), executor=executor, on_step=(made.append,)
    )
    if earlier is not None:
        parts.engine.restore(earlier)
    parts.engine.advance(Rows.of(world.rows))
    parts.engine.finish()
    world.rows.clear()
    return {world.universe[at].name: units for at, units in parts.ledger.positions.items() if units}, made
