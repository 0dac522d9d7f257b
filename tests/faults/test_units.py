"""Multipliers on a real chain through the feed and the engine: no premium out of nothing, no trade, and it ends well.

14, 57-59. A 10:1 split of every unit model, with the share in step, an hour late and an hour early; a change by a
dividend. Token and share are worth the same all the time, but for 30 bps: any other premium is a phantom.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace as again
from decimal import Decimal
from math import inf

import pytest
from msgspec.structs import replace

from bot.paths import prepare_kernel

prepare_kernel()

from bot.engine import Engine  # noqa: E402 - the kernel's cache must be chosen first
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.triggers import Trigger  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NS, Health, Kind, Row, Rows, Why  # noqa: E402
from connectors.evm.rpc import MULTICALL3  # noqa: E402
from connectors.instruments import Instrument, Role, Universe  # noqa: E402
from connectors.paper import PaperExecutor, PaperTerms  # noqa: E402
from monitoring.decisions import Tally  # noqa: E402
from monitoring.facts import Facts as RunFacts  # noqa: E402
from monitoring.snapshot import Snapshot, TokenLine, snapshot  # noqa: E402
from strategies.base import Step  # noqa: E402
from strategies.cross_venue import CrossVenue  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.limits import Caps, Limits  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts, Slot  # noqa: E402
from strategies.market.session import Session  # noqa: E402
from strategies.peg_watch import PegWatch, Rule  # noqa: E402
from strategies.pricing.offers import Terms  # noqa: E402
from tests.chain.looks import Looks, looking, options_of  # noqa: E402
from tests.chain.models import MODELS, Stock  # noqa: E402
from tests.chain.parts import Parts  # noqa: E402
from tests.servers.anvil import Anvil  # noqa: E402

EX = 1_788_998_400
"""Wednesday 9 September 2026, 20:00 in New York, which is 00:00 UTC: the usual moment of an activation."""
CHAIN, A, B, R = range(4)
HOUR = 3600
BPS = dict.fromkeys(Session, 100.0)
LIMITS = Limits(
    caps=Caps(token_usd=inf, venue_usd=inf, issuer_usd=inf, chain_usd=inf, stablecoin_usd=inf),
    hedge_orders_per_minute=0,
    max_wishes_per_minute=inf,
    max_turnover_usd_per_day=inf,
    trade_gap_ns=0,
    max_drawdown_usd=inf,
    max_naked_usd=inf,
    max_naked_ns=2**62,
    max_order_usd=Decimal(10**6), max_position_usd=Decimal(10**6), max_gross_usd=Decimal(10**7), collar_bps=1e9,
    max_orders_per_minute=1000, max_daily_loss_usd=Decimal(10**6), sessions=frozenset(Session), coin_band_bps=100.0,
    need_fair=False,
)  # fmt: skip


class World:
    """A token on a chain and at two venues, its share, and the engine that judges them, trading on 50 bps."""

    def __init__(self, node: Anvil, stock: Stock, looks: Looks) -> None:
        """Nothing has happened; the share is at 400, a unit is a share, and the token 30 bps above."""
        self.node, self.stock, self.looks = node, stock, looks
        venue = replace(stock.instrument(), symbol="T", contract="")
        self.universe = Universe(
            (
                stock.instrument(),
                replace(venue, venue="a"),
                replace(venue, venue="b", chain=""),
                Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="TSLA"),
            )
        )
        self.share, self.followed, self.changed = 400.0, False, False
        self.premia: list[tuple[int, float | None]] = []
        """(seconds to the activation, premium at the first venue in bps or None), after every row."""
        self.tally = Tally(self.universe)
        self.alarms: list[object] = []
        self.engine = self._engine()

    def _engine(self) -> Engine:
        facts = [Facts(cost=0.0, traded=at in (A, B), max_age_ns=24 * HOUR * NS) for at in range(4)]
        beliefs = Beliefs(max_error=1.0)
        self.columns = Columns(self.universe, facts, beliefs, load_sessions(), [Slot(K.SLOT_EDGE, 0, 50.0)])
        cross = CrossVenue(
            terms=tuple(Terms(lot=Decimal("0.01")) for _ in self.universe), min_edge_bps=50.0, size_usd=None,
            size_units=Decimal(1), max_short_units=Decimal(1000), max_long_units=Decimal(1000), slippage_bps=None,
            latency_ns=0, cooldown_ns=0, refusal_backoff_ns=1, max_open=100,
        )  # fmt: skip
        cross.wakes(self.universe)
        peg = PegWatch(
            rule=Rule(warn_bps=BPS, depeg_bps=BPS, clear_share=0.5, persist_ns=0, min_sigmas=0.0, prints=1, sample_ns=0)
        )
        peg.wakes(self.universe)
        terms = PaperTerms(latency_ns=0, fee=Decimal(0), lot=Decimal("0.01"))
        return Engine(
            columns=self.columns, strategies=[cross, peg], triggers=[Trigger(cross, "TSLA")], timed=[peg],
            limits=LIMITS, executor=PaperExecutor(dict.fromkeys((A, B), terms), 1), ledger=Ledger(self.universe),
            scribe=Journal(None), timer_ns=NS, maintenance_ns=600 * NS,
            on_step=[self.tally.fold, self._alarm],
        )  # fmt: skip

    def _alarm(self, step: Step) -> None:
        found = (note for note in step.notes if note.kind == "peg_state")
        self.alarms += [note for note in found if note.detail["to"] in ("STRAINED", "DEPEGGED")]

    def row(self, s: float, number: int, price: float) -> None:
        """A quote of 1 bps width, `s` seconds after the activation."""
        kind = Kind.REFERENCE if number == R else Kind.QUOTE
        self.take(Row(ts_recv=round((EX + s) * NS), instrument=number, kind=kind, bid=price * 0.99995,
                      ask=price * 1.00005, bid_size=50.0, ask_size=50.0))  # fmt: skip

    def take(self, row: Row) -> None:
        """One row through the engine, and a look at what the page would show."""
        self.engine.advance(Rows.of([row]))
        self.premia.append((row.ts_recv // NS - EX, self.line().premium_bps))

    def line(self) -> TokenLine:
        """The first venue's line on the page."""
        return self.page().tokens[A]

    def page(self) -> Snapshot:
        """What the page would show."""
        return snapshot(self.columns, self.tally, facts=RunFacts(version="0", mode="dry_run"))

    async def chain(self, s: float) -> None:
        """What the feed says of the chain, `s` seconds after the activation."""
        await self.node.at(EX + round(s))
        for at, row in enumerate(await self.looks.look()):
            self.take(at_time(row, round((EX + s) * NS) + at))

    def unit(self) -> float:
        """What a unit costs at the venues: of a rebasing token a share, else as much as ever."""
        worth = 400.0 if not self.stock.rebasing else 40.0 if self.followed else 400.0
        return worth * 1.003

    def around(self, s: float) -> None:
        """Everybody prints, in the second from `s` on."""
        self.row(s, R, self.share)
        self.row(s + 0.3, A, self.unit())
        self.row(s + 0.6, B, self.unit())

    @property
    def trades(self) -> int:
        """Intents that were approved."""
        return self.tally.trades

    def phantoms(self) -> list[tuple[int, float]]:
        """Premia that were shown and are not the token's."""
        return [(s, bps) for s, bps in self.premia if bps is not None and abs(bps - 30.0) > 5.0]


def at_time(row: Row, ts: int) -> Row:
    """The same row, received at another moment."""
    return again(row, ts_recv=ts)


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain whose clock stands three hours before the activation."""
    async with Anvil(chain.anvil, "--timestamp", str(EX - 3 * HOUR)) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        yield node


@pytest.mark.parametrize("share_s", [0, HOUR, -HOUR], ids=["in step", "share an hour late", "share an hour early"])
@pytest.mark.parametrize("model", MODELS)
async def test_a_split_is_no_premium_and_no_trade(model: str, share_s: int, chain: Parts, node: Anvil) -> None:
    """
    10:1, announced two hours ahead by those who announce. The share splits in step with the token, an hour after or an
    hour before it; the second venue goes on with the old price for a minute. Every premium that is shown is the 30 bps
    of before, within 5 (but for the second in which a share splits early, which no one knows until the tick); in the
    window it is unknown, and says why; nothing is traded and nothing alarms. At the end all is believed again, and a
    real discount of 5 % is traded.
    """
    stock = await MODELS[model](chain, node)
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        world = World(node, stock, looks)
        await world.chain(-2 * HOUR - 60)
        world.around(-2 * HOUR)
        if stock.announces:
            await stock.change(10.0, EX)
            await world.chain(-2 * HOUR + 60)
        if share_s < 0 and not stock.announces:
            # Nobody can know it from the chain: a source of corporate actions does.
            world.take(Row(ts_recv=(EX - 7000) * NS, instrument=R, kind=Kind.ACTION, bid=10.0, ask=float(EX + share_s)))
        for s in range(-6900, 0, 60):
            world.share = 40.0 if s >= share_s else 400.0
            world.around(s)
        assert [] == [s for s, _ in world.phantoms() if s != share_s or not stock.announces]
        assert pytest.approx(30.0, abs=0.1) == next(bps for s, bps in world.premia if bps is not None)
        if stock.announces:
            assert ({None}, "its multiplier is changing") == (
                {bps for s, bps in world.premia if -590 <= s < 0}, world.line().reason
            )  # fmt: skip
            assert (None, None) == (world.line().fair_usd, world.line().premium_bps)
        else:
            await stock.change(10.0, EX)
        await world.chain(0)
        if stock.needs_end:
            await stock.end()
            await world.chain(1)
        world.followed = True
        for s in (*range(2, 600, 30), *range(600, 2 * HOUR, 60)):
            world.share = 40.0 if s >= share_s else 400.0
            world.row(s, R, world.share)
            world.row(s + 1, A, world.unit())
            old = 400.0 * 1.003 if stock.rebasing and s < 60 else world.unit()
            world.row(s + 2, B, old)
        assert [] == [s for s, _ in world.phantoms() if s >= 0]
        assert (0, []) == (world.trades, world.alarms)
        known = [s for s, bps in world.premia if bps is not None and s >= 0]
        assert max(0, share_s) <= known[0] <= max(0, share_s) + 120
        assert pytest.approx(30.0, abs=5.0) == world.line().premium_bps
        assert ("", 1000.0 if stock.rebasing else 100.0) == (world.line().reason, await stock.balance())
        for s in range(3):
            world.row(2 * HOUR + 10 * s, B, world.unit() * 0.95)
            world.row(2 * HOUR + 10 * s + 5, R, 40.0)
        assert world.trades > 0
        assert [] != world.alarms


@pytest.mark.parametrize("model", [name for name in MODELS if name not in ("xstock", "dinari")])
async def test_a_dividend_in_the_multiplier_keeps_the_premium(model: str, chain: Parts, node: Anvil) -> None:
    """
    59. The share loses 0.8 %, the multiplier gains it: the premium after is that of before within 5 bps, and in between
    it is unknown, although the share prints before the token and the token before the share.
    """
    stock = await MODELS[model](chain, node)
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        world = World(node, stock, looks)
        await world.chain(-2 * HOUR - 60)
        world.around(-2 * HOUR)
        await stock.change(1.008, EX)
        await world.chain(-2 * HOUR + 60)
        world.around(-HOUR)
        await world.chain(0)
        if stock.needs_end:
            await stock.end()
            await world.chain(1)
        for s, number, price in ((5, A, 401.2), (20, B, 401.2), (40, R, 400 / 1.008), (60, R, 400 / 1.008)):
            world.row(s, number, price)
        assert ([], 0, []) == (world.phantoms(), world.trades, world.alarms)
        assert ({None}, 30.0) == (
            {bps for s, bps in world.premia if 0 <= s < 40}, pytest.approx(world.line().premium_bps, abs=5.0)
        )  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
async def test_a_paused_token_is_not_traded_where_its_contract_s_word_counts(
    model: str, chain: Parts, node: Anvil
) -> None:
    """
    50, 57. The issuer stops the token, and its price falls by 5 % at one venue: on that chain it is not traded and its
    premium is unknown, with the reason. At an exchange that goes for every token whose unit is worth what the contract
    says; a unit of a rebasing one is a share there all the same. A node that goes away takes nothing back. When the
    pause is over all is believed again, and the discount is traded.
    """
    stock = await MODELS[model](chain, node)
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        world = World(node, stock, looks)
        await world.chain(-2 * HOUR)
        world.around(-2 * HOUR + 5)
        assert pytest.approx(30.0, abs=0.1) == world.line().premium_bps
        await stock.pause(True)
        await world.chain(-HOUR)
        away = Row(
            ts_recv=(EX - HOUR + 1) * NS, instrument=CHAIN, kind=Kind.HEALTH, bid=0.0, ask=float(Why.DISCONNECTED)
        )
        world.take(away)
        for s in range(-HOUR + 5, -HOUR + 65, 10):
            world.around(s)
            world.row(s + 1, A, 380.0)
            lines = [world.page().tokens[at] for at in (A, B)]
            reasons = [line.reason for line in lines]
            unknown = [line.premium_bps is None for line in lines]
            paused = "its issuer has paused it"
            assert ([paused, "" if stock.rebasing else paused], [True, not stock.rebasing]) == (reasons, unknown)
        assert (0, []) == (world.trades, world.alarms)
        assert (Health.CLOSED, Why.PAUSED) == looks.state
        world.take(again(away, ts_recv=(EX - HOUR + 70) * NS, bid=float(Health.CLOSED), ask=float(Why.PAUSED)))
        await stock.pause(False)
        await world.chain(-HOUR + 100)
        world.around(-HOUR + 110)
        assert ("", pytest.approx(30.0, abs=0.1)) == (world.line().reason, world.line().premium_bps)
        for s in range(3):
            world.row(-HOUR + 120 + 10 * s, A, 380.0)
            world.row(-HOUR + 125 + 10 * s, R, 400.0)
        assert world.trades > 0


@pytest.mark.parametrize("model", ["coinbase", "ondo", "wrapped"])
async def test_what_is_held_has_no_value_while_its_multiplier_changes(model: str, chain: Parts, node: Anvil) -> None:
    """
    58. Ten units are worth 4,000 USD before and after a split of 10:1. From ten minutes before it until the share has
    printed after it their value is unknown, and not 40,000.
    """
    stock = await MODELS[model](chain, node)
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        world = World(node, stock, looks)
        world.tally.positions[A] = Decimal(10)

        def held() -> float | None:
            return world.page().money.inventory_usd

        await world.chain(-2 * HOUR - 60)
        world.around(-2 * HOUR)
        assert pytest.approx(4000.0) == held()
        await stock.change(10.0, EX)
        await world.chain(-2 * HOUR + 60)
        world.around(-HOUR)
        assert pytest.approx(4000.0) == held()
        world.around(-300)
        assert held() is None
        await world.chain(0)
        if stock.needs_end:
            await stock.end()
            await world.chain(1)
        for s in (10, 20):
            world.row(s, A, 400.0 * 1.003)
            assert held() is None
        for s in (40, 50, 60):
            world.row(s, R, 40.0)
            world.row(s + 1, A, 400.0 * 1.003)
        assert pytest.approx(4000.0) == held()


async def test_the_same_prices_without_the_chain_s_word_are_an_alarm(chain: Parts, node: Anvil) -> None:
    """
    The control: the share splits, and nobody says so of the token: the test above would see it.
    """
    stock = await MODELS["xstock"](chain, node)
    async with looking(stock.instrument(), url=node.url) as looks:
        world = World(node, stock, looks)
        await world.chain(-2 * HOUR)
        world.around(-HOUR)
        world.share = 40.0
        for s in range(0, 60, 5):
            world.around(s)
        assert [] != world.phantoms()
        assert [] != world.alarms
