"""A sale that is minted anew, through the whole bot: filled, requested for what filled, and never left alone."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from bot.sessions import load_sessions
from connectors.events import NS
from connectors.instruments import Universe
from connectors.orders import Conversion, Intent, Leg, Side
from connectors.ports import Soft
from connectors.simulated.world import World, simulate
from strategies.base import Decision, Every, Step, View, Wake
from strategies.market import kernel as K
from tests.bot.test_minting import COIN, TOKEN, Kept, put_together

UNITS = D("2")


class Refiller:
    """Sells two tokens once and wants them minted anew."""

    name, cooldown_ns, refusal_backoff_ns, max_open = "refiller", NS, NS, 1

    def __init__(self, sla_s: int = 3600) -> None:
        self.wished, self.sla_s = False, sla_s

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        self.coin, self.token = universe.number(COIN), universe.number(TOKEN)
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        return True, True

    def decide(self, view: View) -> Decision:
        desk = view.desks.get("sim-one")
        price = view.columns.f_rows[self.token][K.BID]
        soft: Soft | None = None
        if desk is not None and not self.wished and price > 0:
            soft = desk.quote(mint=True, source=self.coin, target=self.token, quantity=D(500), now=view.now)
        if soft is None:
            return Decision()
        self.wished = True
        seen = D(str(price))
        then = Conversion(
            id="r.c1", issuer="sim-one", mint=True, source=self.coin, target=self.token, quantity=D(500),
            expected=soft.expected, least=soft.expected * D("0.99"), sla_ns=view.now + self.sla_s * NS,
            underlying="TSLA", reason="test", kept_usd=D(1), fx=D(1),
        )  # fmt: skip
        leg = Leg(instrument=self.token, side=Side.SELL, quantity=UNITS, limit=seen * D("0.99"), seen=seen)
        plan = Intent(
            id="r", strategy=self.name, legs=(leg,), reason="test", edge_bps=0.0, notional_usd=UNITS * seen * D("1.01"),
            deadline_ns=view.now + NS, underlying="TSLA", then=then,
        )  # fmt: skip
        return Decision((plan,))


@pytest.fixture(scope="module")
def world() -> World:
    """Two hours of the simulated market in which nothing goes wrong."""
    from connectors.simulated.faults import FAULTS, Faults

    return simulate(3, seconds=7200.0, faults=Faults().without(FAULTS), sessions=load_sessions().codes_at)


def ran(world: World, refiller: Refiller | None = None, **issuer: Any) -> tuple[Any, Kept]:
    """The bot over the world, and its records."""
    kept = Kept()
    parts = put_together(world, kept, refiller or Refiller(), **issuer)
    parts.engine.advance(world.rows)
    return parts, kept


def stages(steps: list[Step]) -> list[str]:
    """What the saga said of the trade, in order."""
    notes = [note for step in steps for note in step.notes if note.kind == "trade" and note.detail["trade"] == "r"]
    return [str(note.detail["stage"]) for note in notes if "stage" in note.detail]


def held(parts: Any) -> D:
    """Units of the token that the books have."""
    universe = parts.columns.universe
    return D(parts.ledger.position(universe.number(TOKEN)))


def test_what_was_sold_comes_back_by_a_mint_and_the_trade_is_flat(world: World) -> None:
    """
    Sold, asked for, delivered after ten minutes; two tokens are two tokens again to the lot, and the mint names its
    trade.
    """
    parts, kept = ran(world)
    (order,) = [one for step in kept.steps for one in step.conversions]
    assert ("r.c1", "r", "convert flat") == (order.id, order.trade, " ".join(stages(kept.steps)))
    assert abs(order.expected - UNITS) < D("1e-6") and abs(held(parts)) < D("0.001")
    assert {} == parts.engine.trades.open


def test_a_rejected_mint_is_bought_back(world: World) -> None:
    """
    The issuer rejects after its delay: the saga buys two tokens where they are cheapest, and the trade is over.
    """
    parts, kept = ran(world, reject_share=1.0)
    assert ["convert", "hedge"] == stages(kept.steps)[:2]
    assert stages(kept.steps)[-1] in ("flat", "hedged")
    assert {} == parts.engine.trades.open
    bought = sum(f.quantity for step in kept.steps for r in step.reports for f in r.fills if f.side is Side.BUY)
    assert UNITS == bought


def test_a_late_mint_pages_and_nothing_is_bought(world: World) -> None:
    """
    Promised in five minutes, delivered in an hour: an operator is told, the share is only reduced, nothing is sent.
    """
    parts, kept = ran(world, Refiller(sla_s=300), mint_delay_s=6000.0)
    assert ["convert", "paged"] == stages(kept.steps)
    assert 1 == len([r for step in kept.steps for r in step.reports])
    assert "underlying:TSLA" in {hold.scope for hold in parts.engine.memory.latch.holds}


def test_a_closed_issuer_refuses_the_plan_before_anything_is_sold(world: World) -> None:
    """
    Out of its hours nothing is sold that could not be minted anew.
    """
    parts, kept = ran(world, hours="regular")
    assert ["session"] == [one.reason.value for step in kept.steps for one in step.refused]
    assert [] == [r for step in kept.steps for r in step.reports]
    assert parts.ledger.fills == 0


@pytest.mark.parametrize("reject_share", [0.0, 1.0])
def test_a_restart_at_any_record_goes_on_as_if_nothing_had_happened(world: World, reject_share: float) -> None:
    """
    Died after each record in turn: the mint is asked for once at most, and the trade ends with no share left over, or
    with an operator where no price was heard in time. An order that no venue knows any more was never sent.
    """
    _, kept = ran(world, reject_share=reject_share)
    last = max(at for at, step in enumerate(kept.steps) if stages([step]))
    first = min(at for at, step in enumerate(kept.steps) if step.approved)
    ends = set()
    for died in range(first, last):
        again, refiller = Kept(), Refiller()
        refiller.wished = True
        parts = put_together(world, again, refiller, reject_share=reject_share)
        before = kept.steps[: died + 1]
        parts.engine.restore(before)
        _forward(parts, before)
        parts.engine.advance(world.rows[int((world.rows.ts_recv <= before[-1].ts).sum()) :])
        both = [*before, *again.steps]
        assert 1 >= len({one.id for step in both for one in step.conversions})
        assert {} == parts.engine.trades.open
        positions = parts.ledger.positions.items()
        net = sum(units for at, units in positions if world.universe[at].underlying == "TSLA")
        ends.add(stages(both)[-1])
        assert abs(net) < D("0.001") or stages(both)[-1] == "paged"
    assert "flat" in ends and ends <= {"flat", "hedged", "paged"}


def _forward(parts: Any, steps: list[Step]) -> None:
    """Tells the new issuer on paper what it was asked for before: it outlives the bot."""
    desk = parts.engine.dealer.converter.primaries["sim-one"]
    for step in steps:
        for order in step.conversions:
            desk.request(order, step.ts)
