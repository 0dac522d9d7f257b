"""Caps: the worst that may come of positions and cash, and which growth is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import inf, isnan

import pytest

from connectors.events import Kind, Row
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.orders import Conversion, ConversionState, Intent, Leg, Progress, Reason, Side
from strategies.base import View
from strategies.execution.caps import Worst, book_problem, positions_usd
from strategies.execution.limits import Limits
from tests.strategies.test_gate import WIDE, filled, leg, one_leg
from tests.strategies.test_risk import NOW, USDT, A, B, Case, P, instruments, intent


def coins() -> Universe:
    """Two instruments against USDT (B and P), one against a coin that has no price (A)."""
    token = {"role": Role.TOKEN, "underlying": "S", "token": "T", "unit_model": UnitModel.TOTAL_RETURN,
             "multiplier": 1.0}  # fmt: skip
    return Universe(
        (
            Instrument(venue="a", symbol="T/USDC", quote="USDC", **token),  # type: ignore[arg-type]
            Instrument(venue="b", symbol="T/USDT", quote="USDT", **token),  # type: ignore[arg-type]
            Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
            Instrument(venue="r", symbol="USDT", role=Role.COIN, coin="USDT"),
            Instrument(venue="p", symbol="T/USDT", quote="USDT", one_price=True, **token),  # type: ignore[arg-type]
        )
    )


def order(at: int, side: Side, units: str) -> Leg:
    """An order at any price."""
    return Leg(instrument=at, side=side, quantity=Decimal(units), limit=Decimal(100), seen=Decimal(100))


def problem(view: View, wish: Intent, limits: Limits, *earlier: Leg) -> tuple[Reason, str] | None:
    """What the caps say."""
    return book_problem(wish, earlier, view, limits)


# --- one position


@pytest.mark.parametrize(
    ("held", "under_way", "wished", "units"),
    [
        ("0", [], [], 0.0),
        ("2", [], [], 2.0),
        ("-2", [], [], 2.0),
        ("2", [(Side.BUY, "3")], [], 5.0),
        ("2", [(Side.SELL, "3")], [], 2.0),  # as it is, or one short
        ("2", [(Side.SELL, "9")], [], 7.0),
        ("-2", [(Side.BUY, "3")], [(Side.SELL, "4")], 6.0),
        ("2", [(Side.BUY, "1")], [(Side.BUY, "3"), (Side.BUY, "4")], 10.0),
        ("0", [(Side.SELL, "1")], [(Side.SELL, "3"), (Side.BUY, "2")], 4.0),
    ],
)
def test_a_position_is_as_large_as_the_worst_part_of_all_orders_makes_it(
    held: str, under_way: list[tuple[Side, str]], wished: list[tuple[Side, str]], units: float
) -> None:
    """
    Purchases count where that is worse and sales where that is, never both against each other.
    """
    view = Case().view()
    if held != "0":
        filled(view, A, held)
    for side, quantity in under_way:
        view.ledger.reserve(order(A, side, quantity))
    assert pytest.approx(units * 99.95) == Worst(view, [order(A, side, more) for side, more in wished]).usd(A)


def test_what_is_in_flight_to_an_issuer_is_a_position_still() -> None:
    """
    Two of three have left for an issuer: the position at the instrument is three.
    """
    view = Case().view()
    filled(view, A, "3")
    view.ledger.convert(
        Conversion(id="c", issuer="i", mint=False, source=A, target=B, quantity=Decimal(2), expected=Decimal(2),
                   least=Decimal(2), sla_ns=NOW, underlying="S", reason=""), NOW,
    )  # fmt: skip
    view.ledger.progress(Progress(id="c", state=ConversionState.JOURNALED, ts=NOW, given=Decimal(2)))
    assert pytest.approx(3 * 99.95) == Worst(view, ()).usd(A)
    assert pytest.approx(4 * 99.95) == Worst(view, [order(A, Side.BUY, "1")]).usd(A)
    assert 0.0 == Worst(view, ()).usd(B)


def test_a_position_without_a_price_is_unknown_and_none_is_nothing() -> None:
    """
    What hangs on a coin without a price is nan, and zero where nothing is held.
    """
    view = Case(universe=coins()).view()
    assert 0.0 == Worst(view, ()).usd(A)
    assert isnan(Worst(view, [order(A, Side.BUY, "1")]).usd(A))


# --- cash in a coin


@pytest.mark.parametrize(
    ("cash", "orders", "usd"),
    [
        ("0", [], 0.0),
        ("500", [], 500.0),
        ("-500", [], 500.0),
        ("500", [(B, Side.SELL, "2")], 500 + 202.1),
        ("500", [(B, Side.BUY, "2")], 500.0),
        ("-500", [(B, Side.BUY, "2")], 500 + 202.1),
        ("500", [(B, Side.BUY, "9")], 500.0),
        ("100", [(B, Side.BUY, "9")], 809.45),
        ("0", [(B, Side.SELL, "2"), (P, Side.SELL, "3")], 202.1 + 300),
        ("0", [(B, Side.BUY, "2"), (P, Side.BUY, "3")], 202.1 + 300),
        ("0", [(B, Side.SELL, "2"), (P, Side.BUY, "3")], 300.0),
        ("50", [(A, Side.SELL, "9")], 50.0),  # another coin
    ],
)
def test_cash_in_a_coin_is_the_most_or_the_deepest_debt_that_may_come(
    cash: str, orders: list[tuple[int, Side, str]], usd: float
) -> None:
    """
    Every instrument against the coin counts: its sales where they bring the most, its purchases where they owe most.
    """
    view = Case(universe=coins()).view()
    view.ledger.adjust_cash("b", "USDT", Decimal(cash), Decimal(1))
    assert pytest.approx(usd) == Worst(view, [order(*one) for one in orders]).coin_usd("USDT")


def test_cash_in_a_coin_counts_at_the_price_of_the_coin() -> None:
    """
    500 coins of 0.98 USD are 490 USD.
    """
    fallen = Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801)
    view = Case(universe=coins(), rows=(fallen,)).view()
    view.ledger.adjust_cash("b", "USDT", Decimal(500), Decimal(1))
    assert pytest.approx(490.0) == Worst(view, ()).coin_usd("USDT")


def test_cash_in_a_coin_without_a_price_is_unknown() -> None:
    """
    A coin that is held, or would be, and has no price is nan; one that nobody holds is nothing; nor does an unknown
    coin make another one unknown.
    """
    view = Case(universe=coins()).view()
    assert 0.0 == Worst(view, ()).coin_usd("USDC")
    assert isnan(Worst(view, [order(A, Side.SELL, "1")]).coin_usd("USDC"))
    assert isnan(Worst(view, [order(A, Side.BUY, "1")]).coin_usd("USDC"))
    view.ledger.adjust_cash("a", "USDC", Decimal(5), Decimal(1))
    assert isnan(Worst(view, ()).coin_usd("USDC"))
    view.ledger.adjust_cash("z", "DAI", Decimal(5), Decimal(1))
    assert isnan(Worst(view, ()).coin_usd("DAI"))
    assert 0.0 == Worst(view, ()).coin_usd("USDT")


# --- what is refused


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"max_position_usd": Decimal(500)}, "b:T/USDT: up to 505.25 USD after the trade, allowed 500"),
        ({"max_gross_usd": Decimal(1000)}, "up to 1005.00 USD in all after the trade, allowed 1000"),
        ({"caps": {"token_usd": 1000.0}}, "T: up to 1005.00 USD after the trade, allowed 1000"),
        ({"caps": {"venue_usd": 500.0}}, "b: up to 505.25 USD after the trade, allowed 500"),
        ({"caps": {"issuer_usd": 490.0}}, "i: up to 499.75 USD after the trade, allowed 490"),
        ({"caps": {"chain_usd": 490.0}}, "c: up to 499.75 USD after the trade, allowed 490"),
        ({"caps": {"stablecoin_usd": 500.0}}, "USDT: up to 505.25 USD of cash after the trade, allowed 500"),
    ],
)
def test_a_refusal_tells_name_amount_and_limit(limits: dict[str, object], says: str) -> None:
    """
    Whoever reads it sees which limit and by how much.
    """
    caps = replace(WIDE.caps, **limits.get("caps", {}))  # type: ignore[arg-type]
    allowed = replace(WIDE, **{**limits, "caps": caps})  # type: ignore[arg-type]
    found = problem(Case(universe=instruments(issuer="i", chain="c")).view(), intent(), allowed)
    assert found is not None
    assert says == found[1]


@pytest.mark.parametrize(
    ("name", "at_most"),
    [("max_position_usd", "505.25"), ("max_gross_usd", "1005"), ("token", "1005"), ("stablecoin", "505.25")],
)
def test_the_limit_itself_is_allowed(name: str, at_most: str) -> None:
    """
    Positions that just reach a limit pass.
    """
    view = Case().view()
    usd = float(at_most)
    if name.startswith("max"):
        limits = replace(WIDE, **{name: Decimal(at_most) + Decimal("1e-9")})
    else:
        limits = replace(WIDE, caps=replace(WIDE.caps, **{f"{name}_usd": usd + 1e-9}))
    assert problem(view, intent(), limits) is None


@pytest.mark.parametrize("name", ["max_position_usd", "max_gross_usd"])
def test_exactly_the_limit_is_allowed_and_a_cent_of_growth_beyond_it_is_not(name: str) -> None:
    """
    Two at 99.95 are 199.90 USD: the limit to the last digit; above it already, 0.0001 more are too many.
    """
    limits = replace(WIDE, **{name: Decimal("199.9")})
    assert problem(Case().view(), one_leg(A, Side.BUY, "2"), limits) is None
    view = Case().view()
    filled(view, A, "3")
    assert problem(view, one_leg(A, Side.BUY, "0.0001"), limits) is not None


@pytest.mark.parametrize(
    ("cap", "at", "usd"), [("token_usd", A, 199.9), ("venue_usd", A, 199.9), ("stablecoin_usd", B, 202.1)]
)
def test_exactly_the_cap_of_a_name_is_allowed(cap: str, at: int, usd: float) -> None:
    """
    Two units sold at A or at B are the cap to the last digit.
    """
    limits = replace(WIDE, caps=replace(WIDE.caps, **{cap: usd}))
    assert problem(Case().view(), one_leg(at, Side.SELL, "2"), limits) is None


def test_what_is_not_touched_counts_and_speaks_against_nothing_of_its_own() -> None:
    """
    A position at P is above its limit: an intent that does not touch it passes there, but the sum counts it.
    """
    view = Case().view()
    filled(view, P, "10")
    assert problem(view, one_leg(B, Side.BUY, "1"), replace(WIDE, max_position_usd=Decimal(500))) is None
    gross = replace(WIDE, max_gross_usd=Decimal(1100))
    assert problem(view, one_leg(B, Side.BUY, "0.98"), gross) is None
    assert problem(view, one_leg(B, Side.BUY, "1"), gross) is not None


def test_every_position_takes_its_part_of_the_sum() -> None:
    """
    Six at A and six at P are 1,200 USD: one more at B is too many for 1,250, though no two of them are.
    """
    view = Case().view()
    filled(view, A, "6")
    filled(view, P, "6")
    assert problem(view, one_leg(B, Side.BUY, "1"), replace(WIDE, max_gross_usd=Decimal(1250))) is not None
    assert problem(view, one_leg(B, Side.BUY, "1"), replace(WIDE, max_gross_usd=Decimal(1301))) is None


def test_earlier_wishes_of_the_moment_count_and_are_no_growth_of_the_later_ones() -> None:
    """
    Three are wished before: three more at a limit of five are refused, and what brings down is not, though above it.
    """
    limits = replace(WIDE, max_position_usd=Decimal(500))
    view = Case().view()
    assert problem(view, one_leg(A, Side.BUY, "3"), limits, leg(A, Side.BUY, "3")) is not None
    assert problem(view, one_leg(A, Side.BUY, "2"), limits, leg(A, Side.BUY, "3")) is None
    filled(view, A, "9")
    assert problem(view, one_leg(A, Side.SELL, "2"), limits, leg(A, Side.SELL, "3")) is None


@pytest.mark.parametrize("cap", ["token_usd", "venue_usd"])
def test_a_name_that_is_above_its_cap_may_come_down_in_one_place_and_not_grow(cap: str) -> None:
    """
    Nine are held at A: to sell there passes any cap of the name, to buy one more does not.
    """
    view = Case().view()
    filled(view, A, "9")
    limits = replace(WIDE, caps=replace(WIDE.caps, **{cap: 100.0}))
    assert problem(view, one_leg(A, Side.SELL, "2"), limits) is None
    assert problem(view, one_leg(A, Side.BUY, "1"), limits) is not None


def test_an_instrument_without_the_name_falls_under_no_cap_of_it() -> None:
    """
    Nothing here has an issuer or a chain: nothing hangs on a name that is empty.
    """
    limits = replace(WIDE, caps=replace(WIDE.caps, issuer_usd=0.0, chain_usd=0.0))
    assert problem(Case().view(), intent(), limits) is None


def test_a_position_without_a_price_stops_what_makes_the_sum_larger() -> None:
    """
    What hangs on an unknown price cannot be below a limit; its refusal says why no number stands there.
    """
    view = Case(universe=coins()).view()
    filled(view, A, "1")
    found = problem(view, one_leg(B, Side.BUY, "1"), WIDE)
    assert found is not None
    assert (Reason.POSITION, True) == (found[0], found[1].endswith("a position has no price now"))
    assert problem(view, one_leg(A, Side.BUY, "1"), WIDE) is not None


def test_cash_that_is_above_its_cap_may_come_down() -> None:
    """
    1,000 coins are held at a cap of 100: to buy with them passes, to sell for more does not, USD has no such cap.
    """
    view = Case().view()
    view.ledger.adjust_cash("b", "USDT", Decimal(1000), Decimal(1))
    limits = replace(WIDE, caps=replace(WIDE.caps, stablecoin_usd=100.0))
    assert problem(view, one_leg(B, Side.BUY, "5"), limits) is None
    found = problem(view, one_leg(B, Side.SELL, "1"), limits)
    assert found is not None and found[0] is Reason.STABLECOIN_CAP
    assert problem(view, one_leg(A, Side.SELL, "5"), limits) is None


# --- what is told


def test_the_use_of_each_limit_is_its_largest_part() -> None:
    """
    Two at A and one at B, one more under way: position, sum, and what hangs on one token, venue, issuer and chain.
    """
    view = Case(universe=instruments(issuer="i", chain="c")).view()
    filled(view, A, "2")
    filled(view, B, "-1")
    view.ledger.reserve(order(B, Side.SELL, "1"))
    a, b = 2 * 99.95, 2 * 101.05
    limits = replace(
        WIDE, max_position_usd=Decimal(7), max_gross_usd=Decimal(8), caps=replace(WIDE.caps, venue_usd=9.0)
    )
    found = positions_usd(view, limits)
    expected = {"position": (b, 7.0), "gross": (a + b, 8.0), "token": (a + b, inf), "venue": (b, 9.0),
                "issuer": (a, inf), "chain": (a, inf)}  # fmt: skip
    assert {name: pytest.approx(pair) for name, pair in expected.items()} == found
    assert {0.0} == {used for used, _ in positions_usd(Case().view(), limits).values()}


def test_what_has_no_name_uses_no_limit_of_it() -> None:
    """
    Two are held of a token without an issuer and a chain.
    """
    view = Case().view()
    filled(view, A, "2")
    found = positions_usd(view, WIDE)
    assert [0.0, 0.0] == [found[kind][0] for kind in ("issuer", "chain")]
