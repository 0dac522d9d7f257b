"""Paths at issuers are what mint_redeem does: its kinds, sizes and edges, and its reasons where it does nothing."""

from __future__ import annotations

import tomllib
from decimal import Decimal as D
from typing import Any

import pytest
from msgspec import structs

from bot.closing_doors import Doors
from bot.closing_plans import Plans
from bot.config import Config
from bot.minting import premium_of
from connectors.events import NS
from connectors.instruments import Role
from connectors.orders import ConversionState, Intent, Progress
from connectors.ports import Soft
from connectors.simulated.issuer_terms import Freeze, Ways
from monitoring.closing import DoorLine
from strategies.base import View
from strategies.closing.path import Path, Way
from strategies.closing.situation import Offer, Usual
from strategies.execution.habits import Habit, learned_at
from strategies.market.params import Params
from strategies.mint_redeem import MintRedeem
from strategies.minting.case import Refusal
from strategies.pricing.costs import Component, Cost, Costs, Missing
from tests.bot.trading import DEMO
from tests.strategies.test_mint_redeem import CHEAP, DEAR, NOW, TOKEN, UNIVERSE, at, strategy, then, wish

ISSUER = {
    "takes": "cash", "mint_fee_bps": 30.0, "redeem_fee_bps": 40.0, "spread_bps": 10.0, "request_usd": 0.5,
    "least_usd": 10, "most_usd": 5000, "mint_delay_s": 3600.0, "redeem_delay_s": 7200.0,
    "reject_share": 0.0, "hours": "24/5",
}  # fmt: skip
OFFER = Offer(
    name="a:T", role=Role.TOKEN, token="T", issuer="i", ask=102.05, bid=101.95, costs=Costs(), latency_s=0.1,
    held_usd=0.0, may_buy_usd=1e9, may_sell_usd=1e9, barred="",
    usual=Usual(mean=0, sd=0.01, half_life_s=900, source=""),
)  # fmt: skip


def doors(**issuer: Any) -> Doors:
    """Of a config with this issuer."""
    document = tomllib.loads(DEMO.read_text())
    return Doors(Config.model_validate(document | {"issuers": {"i": {**ISSUER, **issuer}}}))


def plans(of: MintRedeem, *, trades: bool = True, **issuer: Any) -> Plans:
    """What the same run's paths are priced with."""
    return Plans(
        ways=of.ways, lots=of.lots, costs=of.costs, capital_per_day=of.capital_per_day, doors=doors(**issuer),
        premia=tuple(None if one.role is Role.COIN else premium_of(Params(), one) for one in UNIVERSE),
        strategy=of if trades else None,
    )  # fmt: skip


def paths(view: View, of: MintRedeem, *, dear: bool, **more: Any) -> dict[Way, Path]:
    """All at the issuer, for the strategy's own size."""
    found = plans(of, **more).paths(view, OFFER, TOKEN, dear=dear, size_usd=float(of.size_usd), daily_vol=0.02)
    return {one.way: one for one in found}


@pytest.mark.parametrize(
    ("prices", "held", "cash", "way"),
    [
        (DEAR, "5", True, Way.REFILL),
        (DEAR, "1", True, Way.REFILL),
        (DEAR, "0", True, Way.MINT),
        (CHEAP, "0", True, Way.REDEEM),
        (DEAR, "5", False, Way.REFILL),
        (DEAR, "0", False, Way.MINT),
        (CHEAP, "0", False, Way.REDEEM),
    ],
)
def test_what_the_strategy_wishes_is_the_path_that_may_be_taken(
    prices: tuple[float, float], held: str, cash: bool, way: Way
) -> None:
    """
    From stock, minted first with a hedge, redeemed; against a coin and in kind: the path of that way is its own, brings
    what the wish says to a millionth of a basis point, and is of its size. No other way at the issuer is free.
    """
    view, of = at(*prices, held=held, cash=cash), strategy(cash=cash)
    plan = wish(view, of)
    assert isinstance(plan, Intent)
    found = paths(view, of, dear=prices is DEAR, takes="cash" if cash else "share")
    assert ("mint_redeem", ()) == (found[way].by, found[way].refused)
    assert pytest.approx(plan.edge_bps, abs=1e-6) == found[way].edge_bps
    assert pytest.approx(float(plan.notional_usd), rel=0.025) == found[way].size_usd
    assert [way] == [one.way for one in found.values() if not one.refused]


@pytest.mark.parametrize(
    ("view", "of", "way", "why"),
    [
        (at(*DEAR), strategy(), Way.REFILL, "nothing is held at a:T that could be sold now"),
        (at(*DEAR, held="5"), strategy(), Way.MINT, "mint_redeem: what is held is sold instead"),
        (at(*DEAR), strategy(way={"hedges": ()}), Way.MINT, "mint_redeem: no perp or share that would hedge it"),
        (at(*DEAR, held="5"), strategy(min_edge_bps=170.0), Way.REFILL, "mint_redeem: it expects 164.7 bps of its"),
        (at(200.2, 200.4, held="5"), strategy(), Way.REFILL, "mint_redeem: the premium is -0.0 bps after"),
        (at(*CHEAP, freezes=(Freeze("S", 0),)), strategy(), Way.REDEEM, "i: corporate action"),
        (at(*CHEAP, redeem=None), strategy(), Way.REDEEM, "i: not for us"),
        (at(*CHEAP, redeem=Ways(fee=D(0), most=D(1))), strategy(), Way.REDEEM, "i takes at most 200 USD in a request"),
        (structs.replace(at(*CHEAP), desks={}), strategy(), Way.REDEEM, "mint_redeem: this run has no door of i"),
        (
            at(*DEAR), strategy(costs=(Costs(missing=(Missing(Component.BORROW, "write it"),)),) * 4), Way.MINT,
            "borrow is not known: write it",
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_why_in_words(view: View, of: MintRedeem, way: Way, why: str) -> None:
    """
    The strategy's own reason, the issuer's, or the cost that nobody has written.
    """
    one = paths(view, of, dear=way is not Way.REDEEM)[way]
    assert any(said.startswith(why) for said in one.refused), one.refused
    assert "" == one.by


def test_a_mint_that_nothing_hedges_is_told_with_its_risk_and_not_done() -> None:
    """
    It has numbers, most of its risk is the share, and what it does says that nothing hedges.
    """
    bare, hedged = (paths(at(*DEAR), strategy(way=way), dear=True)[Way.MINT] for way in ({"hedges": ()}, {}))
    assert bare.edge_usd is not None and bare.sd_usd is not None and hedged.sd_usd is not None
    assert bare.risks_usd["share"] > 0.8 * bare.sd_usd > hedged.sd_usd
    assert "with nothing that hedges" in bare.legs[0] and "as the hedge" in hedged.legs[0]


def test_without_a_strategy_a_path_is_free_and_nobodys() -> None:
    """
    A run that only watches refuses nothing for what a strategy would ask.
    """
    one = paths(at(*DEAR, held="5"), strategy(min_edge_bps=900.0), dear=True, trades=False)[Way.REFILL]
    assert ("", ()) == (one.by, one.refused)


class Telling:
    """A desk whose quote is what it is given."""

    issuer = "i"

    def __init__(self, view: View, soft: Soft | None) -> None:
        self._bounds, self._soft = view.desks["i"].bounds, soft

    def quote(self, **_: Any) -> Soft | None:
        return self._soft

    def bounds(self, **request: Any) -> Any:
        return self._bounds(**request)


def line(view: View, of: MintRedeem, *, mint: bool = False, **issuer: Any) -> DoorLine:
    """What is told of the issuer's door for four shares of 100 USD."""
    found, way = doors(**issuer), of.ways[0]
    door = found.door(view, way, "i", mint=mint, shares=4.0, fair=100.0)
    return found.line(view, way, door, mint=mint, fair=100.0)


def test_what_the_issuer_told_is_its_price_while_it_holds_else_its_fees_are() -> None:
    """
    Told 7 s ago that two tokens bring 396 coins, for 20 s more: 99 USD a share, less what the money that waits earns
    elsewhere. Run out, or without any quote: 40 + 10 bps and half a dollar of 400; all of that is said.
    """
    view, of = at(*CHEAP), strategy()
    waits = 100 * 500e-4 / 365 * 3600 / 86_400
    soft = Soft(D(396), D(0), NOW + 20 * NS, 3600.0, told_ns=NOW - 7 * NS)
    told = line(structs.replace(view, desks={"i": Telling(view, soft)}), of)  # type: ignore[dict-item]
    assert (pytest.approx(99.0 - waits), True) == (told.price_usd, told.told)
    assert ("told by i", 7.0, 20.0) == (told.source, told.told_s, told.holds_s)
    fees = 100 * (1 - 0.0040 - 0.0010 - 0.5 / 400) - waits
    for old, source in (
        (soft._replace(until_ns=NOW - 5 * NS), "fees of [issuers.i], for what it told ran out 5 s ago"),
        (None, "fees of [issuers.i]"),
    ):
        one = line(structs.replace(view, desks={"i": Telling(view, old)}), of)  # type: ignore[dict-item]
        assert (pytest.approx(fees), False, source, None) == (one.price_usd, one.told, one.source, one.told_s)


def test_hours_in_which_an_issuer_is_closed_and_slow_are_told() -> None:
    """
    Friday noon in New York: taken on until midnight UTC (24/5 ends at eight in the evening there), closed then; the
    price of a request that must wait carries what its money would earn until then.
    """
    told = line(at(*CHEAP), strategy())
    assert (24, NOW) == (len(told.hours), told.hours[0].begins)
    assert [0.0] * 8 == [hour.wait_s for hour in told.hours[:8]]
    assert all((hour.wait_s or 0) > 86_400 for hour in told.hours[8:])
    assert told.hours[8].price_usd is not None and told.hours[7].price_usd is not None
    assert told.hours[8].price_usd < told.hours[7].price_usd == told.price_usd


def test_the_delay_is_the_learned_one_and_its_source_is_said() -> None:
    """
    Told an hour. One request of ours that took ten corrects it; six of them are what it is learned from.
    """
    view, of = at(*CHEAP), strategy()
    order = then(wish(view, of))
    said = [(pytest.approx(3600.0), "the config's")]
    found = [line(view, of)]
    for number in range(6):
        view.ledger.convert(structs.replace(order, id=f"r{number}"), NOW - 36_000 * NS)
        view.ledger.progress(Progress(id=f"r{number}", state=ConversionState.SETTLED, ts=NOW))
        found.append(line(view, of))
    said.append((pytest.approx(2.5 * 3600), "the config's, corrected by 1 request of ours"))
    said.append((pytest.approx(65 / 11 * 3600), "learned from 6 requests of ours"))
    assert said == [(one.delay_s, one.delay_from) for one in (found[0], found[1], found[6])]
    assert line(view, of, mint=True).delay_from == "the config's"


def test_an_hour_in_which_requests_took_longer_is_known_by_its_own() -> None:
    """
    Ten requests at noon took an hour each, five at midnight ten: asked at midnight more than five are expected, at
    noon about one. A rejection counts at every hour.
    """
    view, of = at(*CHEAP), strategy()
    order, told = then(wish(view, of)), Habit(delay_s=3600.0, rejects=0.0)
    for number in range(15):
        begin = NOW - (24 if number < 10 else 16) * 3600 * NS
        took = 1 if number < 10 else 10
        view.ledger.convert(structs.replace(order, id=f"r{number}"), begin)
        state = ConversionState.REJECTED if number == 14 else ConversionState.SETTLED
        view.ledger.progress(Progress(id=f"r{number}", state=state, ts=begin + took * 3600 * NS))
    ours = list(view.ledger.conversions.all.values())
    noon, midnight = (learned_at(told, ours, NOW, NOW + hours * 3600 * NS) for hours in (0, 8))
    # The five of midnight are what noon begins with, five requests' weight of 5.5 hours, and the other way round.
    assert (pytest.approx((5 * 5.5 + 10) / 15 * 3600), pytest.approx((5 * 1 + 50) / 10 * 3600)) == (
        noon.delay_s, midnight.delay_s
    )  # fmt: skip
    assert noon.rejects == midnight.rejects == 1 / 20
    assert (15, "learned from 15 requests of ours") == (noon.seen, noon.source)


def test_what_the_hedge_costs_to_hold_is_the_strategys_too() -> None:
    """
    A borrow of 30 bps a day takes an hour's part of it from the wish and from the path alike.
    """
    free, paid = strategy(), strategy(costs=(Costs((Cost(Component.BORROW, "", bps_per_day=D(30)),)),) * 4)
    edges = [wish(at(*DEAR), of) for of in (free, paid)]
    assert all(isinstance(one, Intent) for one in edges)
    lost = edges[0].edge_bps - edges[1].edge_bps  # type: ignore[union-attr]
    assert pytest.approx(30 / 24) == lost
    found = [paths(at(*DEAR), of, dear=True)[Way.MINT] for of in (free, paid)]
    assert pytest.approx(lost) == (found[0].edge_bps or 0) - (found[1].edge_bps or 0)
    unknown = strategy(costs=(Costs(missing=(Missing(Component.BORROW, "write it"),)),) * 4)
    assert Refusal("cost_unknown") == unknown.verdict(at(*DEAR), TOKEN, "first")
