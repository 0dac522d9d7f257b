"""What each component of the costs of holding is for: believed, it refuses a position; forgotten, it is the loss that
is reported. Those of taking are in test_cost_components.py, those of issuers in test_issuer_costs.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.backtest import Result, run_over
from bot.backtest_report import as_json, words
from bot.config import Config
from bot.match import Match
from connectors.events import NS, Rows
from strategies.pricing.costs import Component
from tests.bot.hedge_world import NOON, PERP, SHARE, STOCK, TOKEN, World, config, notes, orders

DAY_NS, HOUR_NS, MOMENT_NS = 86_400 * NS, 3600 * NS, NS // 100
BEFORE_MIDNIGHT = NOON - 3 * DAY_NS + 27_000 * NS
"""Tuesday, half an hour before midnight UTC, when what is short pays its borrow."""
LARGE = 100_000.0
"""bps a year: 27 USD a day on a leg of 1,000."""


def told(component: Component, bps: float) -> Config:
    """What holding costs, by the config; nothing but the one component, and an entry must bring 40 bps."""
    borrow = {"borrow_bps_per_year": bps if component is Component.BORROW else 0, "hours": "24/7"}
    made = config(hedge={"min_edge_bps": 40, "max_short_units": 10}, tables={STOCK: borrow})
    capital = bps if component is Component.CAPITAL else 0
    sessions = ("regular", "post", "overnight", "pre")
    return made.model_copy(
        update={
            "costs": made.costs.model_copy(update={"capital_bps_per_year": capital}),
            "risk": made.risk.model_copy(update={"sessions": sessions}),
        }
    )


def hours(world: World, count: float, *, token: float) -> World:
    """Time passes; prices of the share move a little, else their sources would be frozen."""
    names = {"share": SHARE, "stock": STOCK}
    for number in range(round(count * 6)):
        moved = {key: 100 + 0.002 * (number % 2) for key, name in names.items() if name in world.mids}
        world.lasts(600, token=token, **moved)
    return world


def borrowed(believed: float, charged: float) -> Result:
    """A token 40 bps below is held against a share that is sold short over midnight, until it is dear."""
    world = World(told(Component.BORROW, believed), start=BEFORE_MIDNIGHT, only=(TOKEN, STOCK, SHARE)).lasts(60)
    hours(hours(world, 1, token=99.6), 0.5, token=100.6)
    return run_over(world.config, world.universe, [Rows.of(world.rows)], world=told(Component.BORROW, charged))


def locked(believed: float, charged: float) -> Result:
    """The same against a perp for four hours."""
    world = World(told(Component.CAPITAL, believed), start=NOON - DAY_NS).lasts(60)
    hours(hours(world, 4, token=99.6), 0.5, token=100.3)
    return run_over(world.config, world.universe, [Rows.of(world.rows)], world=told(Component.CAPITAL, charged))


def funded(believed: float, charged: float) -> Result:
    """The same for an hour, at whose end a rate is paid that the venue told all the time, or at the last moment."""
    # The strategy's clock ticks at half seconds, and so not while the rate stands.
    world, paid = World(told(Component.FUNDING, 0), start=NOON - DAY_NS + NS // 2), NOON - DAY_NS + HOUR_NS
    world.fundings[PERP] = -believed / LARGE / 50
    hours(world.lasts(60), 1, token=99.6)
    world.rows = [row for row in world.rows if row.ts_recv < paid - MOMENT_NS]
    world.fundings[PERP], world.at = -charged / LARGE / 50, paid - MOMENT_NS
    world.lasts(10)
    world.fundings[PERP], world.at = 0.0, paid + MOMENT_NS
    return hours(world, 0.5, token=100.3).run()


PLAYED: dict[Component, Callable[[float, float], Result]] = {
    Component.FUNDING: funded, Component.BORROW: borrowed, Component.CAPITAL: locked,
}  # fmt: skip


@pytest.mark.parametrize("component", PLAYED)
def test_a_forgotten_cost_of_holding_turns_a_refused_position_into_a_loss_that_the_report_shows(
    component: Component,
) -> None:
    """
    Believed, the position is not entered, since it would not bring what it must. Forgotten, while it is charged all the
    same, it is; and what the report has under the component's name is more than all that is lost.
    """
    refused = PLAYED[component](LARGE, LARGE)
    assert [] == orders(refused)
    assert "no_edge" in [note.detail["reason"] for note in notes(refused, "no_trade")]
    made = PLAYED[component](0, LARGE)
    report = as_json(made, Match((), (), (), ()), source="made up", total_s=0, trades=True)
    lost = float(report["net_after_due_usd"])
    assert lost < 0
    bridge = {Component(name): -float(report["bridge_usd"][name]) for name in ("funding", "borrow")}
    due = {Component(name): float(usd) for name, usd in report["due_usd"].items()}
    assert -lost < {**bridge, **due}[component]
    assert f"{lost:,.2f}" in words(report)


@pytest.mark.parametrize("component", PLAYED)
def test_the_same_position_pays_where_holding_costs_nothing(component: Component) -> None:
    """
    Ten tokens that come back from 99.6 to 100.3 bring 6.6 USD after spreads and fees, and a little more from 100.6.
    """
    made = PLAYED[component](0, 0)
    assert 4 == len(made.fills)
    assert 6 < float(made.after_usd) < 10
