"""A mint through the whole bot: wished, reviewed, recorded, asked for at an issuer on paper, delivered, restored."""

from __future__ import annotations

import tomllib
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from bot.assembly import Assembly, assemble
from bot.config import Config
from bot.engine import Engine
from bot.sessions import load_sessions
from bot.wiring import paper, paper_issuers
from connectors.events import NS
from connectors.instruments import Universe
from connectors.orders import Conversion
from connectors.simulated.world import World, simulate
from strategies.base import Decision, Every, Step, View, Wake
from tests.bot.trading import demo_text

ISSUER = {
    "takes": "cash", "mint_fee_bps": 20.0, "redeem_fee_bps": 20.0, "spread_bps": 0.0, "request_usd": 1, "least_usd": 10,
    "most_usd": 5000, "mint_delay_s": 600.0, "redeem_delay_s": 600.0, "reject_share": 0.0, "hours": "24/7",
}  # fmt: skip
TOKEN, COIN = "sim-beta:simTSLA/USDT", "sim-fx:USDT/USD"


class Minter:
    """Wishes one mint as soon as the issuer gives it a quote."""

    name, cooldown_ns, refusal_backoff_ns, max_open = "minter", NS, NS, 1

    def __init__(self, sla_s: int = 3600) -> None:
        self.asked, self.sla_s = False, sla_s

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        self.source, self.target = universe.number(COIN), universe.number(TOKEN)
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        return False, False

    def decide(self, view: View) -> Decision:
        desk = view.desks.get("sim-one")
        if desk is None or self.asked:
            return Decision()
        soft = desk.quote(mint=True, source=self.source, target=self.target, quantity=D(1000), now=view.now)
        if soft is None:
            return Decision()
        self.asked = True
        order = Conversion(
            id=f"m{view.seq}", issuer="sim-one", mint=True, source=self.source, target=self.target, quantity=D(1000),
            expected=soft.expected, least=soft.expected * D("0.99"), sla_ns=view.now + self.sla_s * NS,
            underlying="TSLA", reason="test", kept_usd=D(2), fx=D(1),
        )  # fmt: skip
        return Decision(conversions=(order,))


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        self.steps.append(msgspec.msgpack.decode(payload, type=Step))
        return len(self.steps)


@pytest.fixture(scope="module")
def world() -> World:
    """An hour of the simulated market."""
    return simulate(3, seconds=3600.0, sessions=load_sessions().codes_at)


def put_together(world: World, kept: Kept, minter: Minter, *, doors: bool = True, **issuer: Any) -> Assembly:
    """The demo's bot with one issuer and this strategy beside its own."""
    document = tomllib.loads(demo_text("peg_watch"))
    config = Config.model_validate(document | {"issuers": {"sim-one": {**ISSUER, **issuer}}})
    made = paper_issuers(config, world.universe, load_sessions(), 1) if doors else None
    return assemble(
        config, world.universe, load_sessions(), kept, executor=paper(config, world.universe, 1), issuers=made,
        more=(minter,),
    )  # fmt: skip


def noted(kept: Kept, kind: str) -> list[dict[str, float | str]]:
    """Details of all notes of a kind."""
    return [note.detail for step in kept.steps for note in step.notes if note.kind == kind]


def test_a_mint_is_recorded_before_it_is_asked_for_and_its_tokens_come(world: World) -> None:
    """
    One record with the request, then the issuer's words; 1,000 coins became tokens less 20 bps, and a dollar of fee.
    """
    kept, minter = Kept(), Minter()
    parts = put_together(world, kept, minter)
    parts.engine.advance(world.rows)
    (order,) = [one for step in kept.steps for one in step.conversions]
    states = [word.state.value for step in kept.steps for word in step.progress]
    assert ["accepted", "journaled", "delivered", "settled"] == states
    got = parts.ledger.conversions.all[order.id].got
    assert order.expected * D("0.99") < got < order.expected * D("1.01")
    assert parts.ledger.issuer_fees == 1 + parts.ledger.conversions.all[order.id].kept_usd
    assert parts.ledger.away == {}


def test_a_journal_alone_gives_the_same_books(world: World) -> None:
    """
    Restored from the steps, positions, cash, fees and conversions are those of the run.
    """
    kept = Kept()
    first = put_together(world, kept, Minter())
    first.engine.advance(world.rows)
    second = put_together(world, Kept(), Minter())
    restored: Engine = second.engine
    restored.restore(kept.steps)
    for name in ("positions", "cash", "issuer_fees", "gross_edge", "away"):
        assert getattr(first.ledger, name) == getattr(second.ledger, name)
    assert first.ledger.conversions.all == second.ledger.conversions.all


def test_a_mint_that_is_late_pages_once_and_is_not_asked_for_again(world: World) -> None:
    """
    Promised in five minutes and delivered in ten: one note, whose capital is in flight, and one request.
    """
    kept = Kept()
    put_together(world, kept, Minter(sla_s=300)).engine.advance(world.rows)
    (late,) = noted(kept, "conversion_late")
    assert ("journaled", 1000.0) == (late["state"], late["units"])
    assert 1 == sum(len(step.conversions) for step in kept.steps)


def test_without_a_door_and_at_a_closed_one_nothing_is_asked_for(world: World) -> None:
    """
    No issuers in the run: no quote, so no wish. Closed hours: refused with the session.
    """
    kept = Kept()
    put_together(world, kept, Minter(), doors=False).engine.advance(world.rows)
    assert not any(step.conversions for step in kept.steps)
    closed = Kept()
    put_together(world, closed, Minter(), hours="regular").engine.advance(world.rows)
    assert ["session"] == [one["reason"] for one in noted(closed, "conversion_refused")]


def test_a_way_whose_cost_is_not_written_is_closed(world: World) -> None:
    """
    Without a fee, delay or smallest request of its own, an issuer on paper gives no quote.
    """
    for missing in ("mint_fee_bps", "mint_delay_s", "request_usd", "least_usd", "spread_bps"):
        kept, minter = Kept(), Minter()
        put_together(world, kept, minter, **{missing: None})
        desk = put_together(world, kept, minter, **{missing: None}).engine.dealer.converter.primaries["sim-one"]
        numbers = {"source": world.universe.number(COIN), "target": world.universe.number(TOKEN)}
        assert "not for us" == desk.bounds(mint=True, now=0, **numbers).closed
