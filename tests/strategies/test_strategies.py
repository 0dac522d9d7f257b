"""What cross_venue wishes, and in which size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import count as count_from
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.orders import Fill, Intent, Leg, Side  # noqa: E402
from connectors.ports import Book  # noqa: E402
from strategies.base import View  # noqa: E402
from strategies.cross_venue import CrossVenue  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.limits import Caps, Limits  # noqa: E402
from strategies.execution.memory import Memory  # noqa: E402
from strategies.execution.risk import review  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.session import Session  # noqa: E402
from strategies.pricing.costs import Component, Cost, Costs  # noqa: E402
from strategies.pricing.offers import Terms  # noqa: E402

NOW = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
A, B, S, USDT = range(4)
UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", token="T", unit_model=UnitModel.REBASING),
        Instrument(venue="b", symbol="U", role=Role.TOKEN, underlying="S", token="U", quote="USDT",
                   unit_model=UnitModel.TOTAL_RETURN, multiplier=2.0),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="r", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)  # fmt: skip


def seen(
    *rows: Row, at: int = NOW, universe: Universe = UNIVERSE, facts: Mapping[int, Facts] = MappingProxyType({})
) -> View:
    """A view after some rows, with a share at 100 and USDT at 1."""
    usual = [Facts(cost=0.001, traded=True, max_age_ns=60 * NS)] * 2 + [Facts()] * 2
    all_facts = [facts.get(number, fact) for number, fact in enumerate(usual)]
    columns = Columns(universe, all_facts, Beliefs(max_error=0.05, default_daily_vol=0.03), load_sessions())
    columns.enter_session(at)
    for number in (A, B):
        columns.permit(number, buy_from=0, sell_from=0)
    start = [
        Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9999, ask=1.0001),
        Row(ts_recv=NOW, instrument=S, kind=Kind.REFERENCE, bid=99.99, ask=100.01),
    ]
    columns.scan(Rows.of([*start, *rows]), 0, NEVER)
    return View(columns, Ledger(universe), at, ("S",))


def quote(number: int, bid: float, ask: float, size: float = 5.0, at: int = NOW) -> Row:
    """A book of equal sizes."""
    return Row(ts_recv=at, instrument=number, kind=Kind.QUOTE, bid=bid, ask=ask, bid_size=size, ask_size=size)


def cross(**changes: object) -> CrossVenue:
    """The strategy with room for ten units and lots of a hundredth."""
    usual = {
        "terms": (Terms(lot=Decimal("0.01")),) * 4, "min_edge_bps": 20.0, "size_usd": Decimal(200), "size_units": None,
        "max_short_units": Decimal(10), "max_long_units": Decimal(10), "slippage_bps": Decimal(10), "latency_ns": NS,
        "cooldown_ns": NS, "refusal_backoff_ns": NS, "max_open": 1,
    }  # fmt: skip
    return CrossVenue(**{**usual, **changes})  # type: ignore[arg-type]


def wish(view: View, strategy: CrossVenue | None = None) -> Intent | str:
    """The one wish, or the reason why there is none."""
    decision = (strategy or cross()).decide(view)
    return decision.wishes[0] if decision.wishes else str(decision.notes[0].detail["reason"])


GAP = (quote(A, 99.9, 100.0), quote(B, 203.0, 203.4))
"""A unit at a is one share for 100, a unit at b is two shares for 203: 1.5 % dearer."""


def test_both_legs_are_the_same_number_of_shares() -> None:
    """
    200 USD at 100 are two shares: two units at a, one unit of two shares at b, with 10 bps of slippage as limits.
    """
    intent = wish(seen(*GAP))
    assert isinstance(intent, Intent)
    buy, sell = intent.legs
    assert (A, Side.BUY, Decimal("2.00"), Decimal("100.1000")) == (buy.instrument, buy.side, buy.quantity, buy.limit)
    assert (B, Side.SELL, Decimal("1.00"), Decimal("202.7970")) == (
        sell.instrument,
        sell.side,
        sell.quantity,
        sell.limit,
    )
    assert pytest.approx((101.5 * 0.999 - 100.0 * 1.001) * 100, rel=1e-6) == intent.edge_bps
    assert NOW + NS == intent.deadline_ns


@pytest.mark.parametrize(
    ("rows", "units"),
    [((quote(A, 99.9, 100.0, 0.5), GAP[1]), "0.50"), ((GAP[0], quote(B, 203.0, 203.4, 0.1)), "0.20"), (GAP, "2.00")],
)
def test_the_size_is_what_both_sides_show(rows: tuple[Row, ...], units: str) -> None:
    """
    Half a unit at a limits both legs; a tenth of a unit at b is worth a fifth at a.
    """
    intent = wish(seen(*rows))
    assert isinstance(intent, Intent)
    assert Decimal(units) == intent.legs[0].quantity


@given(
    size_a=st.floats(0.001, 50.0),
    size_b=st.floats(0.001, 50.0),
    lot_a=st.sampled_from(("0.01", "0.03", "1")),
    lot_b=st.sampled_from(("0.01", "0.005", "0.7")),
)
def test_no_leg_is_larger_than_what_was_seen(size_a: float, size_b: float, lot_a: str, lot_b: str) -> None:
    """
    Whole lots that are the same number of shares on both sides, as many as 200 USD buy and both venues show; none only
    where no common multiple of the lots is so small.
    """
    lots = Decimal(lot_a), Decimal(lot_b)
    strategy = cross(terms=tuple(Terms(lot=lot) for lot in (*lots, *lots)))
    intent = wish(seen(quote(A, 99.9, 100.0, size_a), quote(B, 203.0, 203.4, size_b)), strategy)
    step = next(count * lots[0] for count in count_from(1) if not count * lots[0] % (2 * lots[1]))
    most = min(Decimal(repr(size_a)), 2 * Decimal(repr(size_b)), Decimal(2)) // step * step
    if not isinstance(intent, Intent):
        assert (intent, 0) == ("too_small", most)
        return
    assert [most, most / 2] == [leg.quantity for leg in intent.legs]
    assert (0, 0) == (most % lots[0], most / 2 % lots[1])


def test_what_was_consumed_is_not_wished_again_until_the_venue_prints() -> None:
    """
    All of the ask was taken: no size; after the next print there is size again.
    """
    view = seen(*GAP)
    view.columns.take(A, 5.0, bid=False)
    assert "no_size" == wish(view)
    view.columns.scan(Rows.of([quote(A, 99.9, 100.0)]), 0, NEVER)
    assert isinstance(wish(view), Intent)


def test_an_edge_below_the_threshold_is_no_trade() -> None:
    """
    The edge is 129.9 bps after costs: a threshold of 130 refuses, one of 129 does not.
    """
    assert "edge_gone" == wish(seen(*GAP), cross(min_edge_bps=130.0))
    assert isinstance(wish(seen(*GAP), cross(min_edge_bps=129.0)), Intent)


def test_a_missing_size_is_no_size() -> None:
    """
    A venue that shows no size cannot be traded with; a missing number is not a large one.
    """
    assert "no_size" == wish(seen(quote(A, 99.9, 100.0, float("nan")), GAP[1]))


def test_positions_leave_room_or_they_do_not() -> None:
    """
    With nine of ten units long, one more may be bought; with ten none, and Python is not even woken for it.
    """
    view = seen(*GAP)
    strategy = cross()
    bought = Fill(id="1", client_id="1", instrument=A, side=Side.BUY, quantity=Decimal(9), price=Decimal(100),
                  fee=Decimal(0), fx=Decimal(1), ts=NOW)  # fmt: skip
    view.ledger.fill(bought, seen=Decimal(100))
    assert (True, True) == strategy.may(view, A)
    intent = wish(view)
    assert isinstance(intent, Intent)
    assert Decimal("1.00") == intent.legs[0].quantity
    view.ledger.positions[A] = Decimal(10)
    assert (False, True) == strategy.may(view, A)
    view.ledger.positions[A] = Decimal(-10)
    assert (True, False) == strategy.may(view, A)


def test_what_another_strategy_holds_is_not_sold() -> None:
    """
    Five units at b are hedge's, and nothing may be sold short: none is there to sell. Of half a unit more that is, and
    what this strategy holds itself is its own to sell.
    """
    view, strategy = seen(*GAP), cross(max_short_units=Decimal(0))
    view.ledger.positions[B] = Decimal(5)
    view.ledger.holdings.move("hedge", B, Decimal(5), NOW)
    assert (True, False) == strategy.may(view, B)
    view.ledger.positions[B] = Decimal("5.50")
    intent = wish(view, strategy)
    assert isinstance(intent, Intent)
    assert (B, Decimal("0.50")) == (intent.legs[1].instrument, intent.legs[1].quantity)
    view.ledger.holdings.move(strategy.name, B, Decimal(4), NOW)
    view.ledger.positions[B] = Decimal(9)
    assert (True, True) == strategy.may(view, B)
    view.ledger.positions[B] = Decimal(5)
    assert (True, False) == strategy.may(view, B)


def test_orders_under_way_take_room_too() -> None:
    """
    With nine of ten units being bought at a, one more is wished; with half a share short at b, so much less is sold.
    """
    view = seen(*(replace(row, bid_size=99.0, ask_size=99.0) for row in GAP))
    leg = Leg(instrument=A, side=Side.BUY, quantity=Decimal(9), limit=Decimal(110), seen=Decimal(100))
    view.ledger.reserve(leg)
    intent = wish(view)
    assert isinstance(intent, Intent)
    assert Decimal("1.00") == intent.legs[0].quantity
    view.ledger.reserve(leg, release=True)
    view.ledger.reserve(
        Leg(instrument=B, side=Side.SELL, quantity=Decimal("9.75"), limit=Decimal(1), seen=Decimal(203))
    )
    intent = wish(view)
    assert isinstance(intent, Intent)
    assert (Decimal("0.50"), Decimal("0.25")) == (intent.legs[0].quantity, intent.legs[1].quantity)


def test_size_that_an_order_under_way_may_take_is_not_there_twice() -> None:
    """
    Of the units seen at a, all but one may be taken by an order under way: one is wished.
    """
    view = seen(*GAP)
    size = view.left(A, Side.BUY)
    taking = Decimal(repr(size - 1))
    view.ledger.reserve(Leg(instrument=A, side=Side.BUY, quantity=taking, limit=Decimal(110), seen=Decimal(100)))
    assert 1.0 == view.left(A, Side.BUY)
    intent = wish(view)
    assert isinstance(intent, Intent)
    assert Decimal("1.00") == intent.legs[0].quantity


@pytest.mark.parametrize(("at", "leg", "price"), [(A, 0, "100.1"), (B, 1, "202.797")])
def test_a_series_with_one_price_is_wished_at_its_assumed_spread(at: int, leg: int, price: str) -> None:
    """
    One price of 100 is bought at 100.1 and one of 203 sold at 202.797 where the config assumes a half-spread of 10 bps.
    """
    universe = Universe(tuple(structs.replace(i, one_price=True) if n == at else i for n, i in enumerate(UNIVERSE)))
    assumed = Facts(cost=0.001, traded=True, max_age_ns=60 * NS, assumed_half_spread=0.001, assumed_size=5.0)
    alone = 100.0 if at == A else 203.0
    one = Row(ts_recv=NOW, instrument=at, kind=Kind.QUOTE, flags=Flag.ONE_PRICE, bid=alone, ask=alone)
    rows = (one, GAP[1]) if at == A else (GAP[0], one)
    intent = wish(seen(*rows, universe=universe, facts={at: assumed}))
    assert isinstance(intent, Intent)
    assert float(price) == pytest.approx(float(intent.legs[leg].seen), abs=1e-9)


def test_levels_behind_the_best_one_are_taken_while_they_pay() -> None:
    """
    One unit at 100, two at 101, one at 101.6 that no longer pays: three are bought, the limit lies 10 bps behind the
    last of them, and what was seen is what they cost on average. What an order under way may take comes first.
    """
    view = seen(quote(A, 99.9, 100.0, 1.0), GAP[1])
    book = Book(bids=((99.9, 1.0),), asks=((100.0, 1.0), (101.0, 2.0), (101.6, 1.0)))
    view = structs.replace(view, levels=lambda number, now: book if number == A else None)
    intent = wish(view, cross(size_usd=Decimal(900)))
    assert isinstance(intent, Intent)
    buy, sell = intent.legs
    assert (Decimal("3.00"), Decimal("1.50")) == (buy.quantity, sell.quantity)
    assert (Decimal("101.1010"), Decimal("302") / 3) == (buy.limit, buy.seen)
    assert Decimal(302) == pytest.approx(buy.quantity * buy.seen)
    view.ledger.reserve(Leg(instrument=A, side=Side.BUY, quantity=Decimal(2), limit=Decimal(110), seen=Decimal(100)))
    intent = wish(view, cross(size_usd=Decimal(900)))
    assert isinstance(intent, Intent)
    assert (Decimal("1.00"), Decimal(101)) == (intent.legs[0].quantity, intent.legs[0].seen)


def test_after_we_took_something_only_the_best_level_counts_until_the_venue_prints() -> None:
    """
    A quarter of the best level was taken: three quarters of it are wished, and nothing of the book behind it.
    """
    view = seen(quote(A, 99.9, 100.0, 1.0), GAP[1])
    book = Book(bids=((99.9, 1.0),), asks=((100.0, 1.0), (101.0, 2.0)))
    view = structs.replace(view, levels=lambda number, now: book if number == A else None)
    view.columns.take(A, 0.24, bid=False)
    intent = wish(view, cross(size_usd=Decimal(900)))
    assert isinstance(intent, Intent)
    assert Decimal("0.76") == intent.legs[0].quantity


def test_a_wish_says_why_it_has_its_size() -> None:
    """
    Two shares at 100 that bring 101.5, less 10 bps each: 2.597 USD, by the last share as by the first, and no other
    trade brings more.
    """
    intent = wish(seen(*GAP))
    assert isinstance(intent, Intent)
    sizing = intent.sizing
    assert sizing is not None
    assert (2.0, 0.0, 0.0) == (sizing.shares, sizing.fixed_usd, sizing.gap_usd)
    assert 2.597 == pytest.approx(sizing.profit_usd)
    assert (100.1, 101.3985) == pytest.approx((sizing.marginal_buy_usd, sizing.marginal_sell_usd))
    assert "2.60 USD, 129.85 bps after all costs" == intent.reason


@pytest.mark.parametrize(
    ("size", "fixed", "reason"), [(5.0, "0.5", ""), (0.3, "0.5", "too_small"), (5.0, "3", "too_small")]
)
def test_fixed_costs_count_at_the_size_that_can_be_traded(size: float, fixed: str, reason: str) -> None:
    """
    Half a dollar of gas is nothing to two shares that bring 2.60, and too much for a third of one.
    """
    gas = Costs((Cost(Component.TAKER_FEE, "", bps=Decimal(10)), Cost(Component.GAS, "", usd=Decimal(fixed))))
    facts = Facts(cost=0.001 + float(fixed) / 200, costs=gas, traded=True, max_age_ns=60 * NS)
    found = wish(seen(quote(A, 99.9, 100.0, size), GAP[1], facts={A: facts}))
    assert reason == ("" if isinstance(found, Intent) else found)


@pytest.mark.parametrize(("cap", "most"), [("max_order_usd", 100), ("max_position_usd", 120), ("max_gross_usd", 250)])
def test_no_more_is_wished_than_the_operator_allows(cap: str, most: int) -> None:
    """
    Two shares would pay best; with a limit below that it is as many lots as the limit allows, and no fewer by far.
    """
    far = dict.fromkeys(("max_order_usd", "max_position_usd", "max_gross_usd", "max_daily_loss_usd"), Decimal(9999))
    none = dict.fromkeys(("token_usd", "venue_usd", "issuer_usd", "chain_usd", "stablecoin_usd"), float("inf"))
    limits = Limits(
        **{**far, cap: Decimal(most)}, caps=Caps(**none), collar_bps=500, max_orders_per_minute=9,
        hedge_orders_per_minute=9, max_wishes_per_minute=9, max_turnover_usd_per_day=9999, trade_gap_ns=0,
        max_drawdown_usd=99, max_naked_usd=99, max_naked_ns=NS, sessions=frozenset(Session), coin_band_bps=50,
        need_fair=True,
    )  # fmt: skip
    view = seen(*GAP)
    intent = wish(view, cross(limits=limits))
    assert isinstance(intent, Intent)
    approved, refused = review((intent,), view, limits, Memory(), {"cross_venue": 1})
    assert (1, ()) == (len(approved), refused)
    assert 0.9 * most < float(intent.notional_usd) * (2 if cap == "max_gross_usd" else 1) < 1.01 * most
