"""What reduces: the proof by positions, by net shares and by a trade's own shares."""

from __future__ import annotations

from decimal import Decimal
from math import nan

import pytest

from connectors.events import NS
from connectors.orders import Conversion, ConversionState, Intent, Leg, Progress, Side
from strategies.base import View
from strategies.execution.reduces import OpenShares, reduces, units_of
from tests.strategies.test_gate import filled, holding, leg, one_leg
from tests.strategies.test_risk import NOW, USDT, A, B, Case, P, instruments, intent

NO_TRADES: OpenShares = {}


def order(at: int, side: Side, units: str = "5") -> Leg:
    """An order at any price."""
    return Leg(instrument=at, side=side, quantity=Decimal(units), limit=Decimal(100), seen=Decimal(100))


def pair(sold: str, bought: str) -> Intent:
    """Sells at A and buys at B."""
    return intent(legs=(order(A, Side.SELL, sold), order(B, Side.BUY, bought)))


def of(view: View, wish: Intent, *earlier: Leg, shares: OpenShares = NO_TRADES) -> bool:
    """Whether it reduces."""
    return reduces(wish, earlier, view, shares)


def test_units_of_legs_are_those_of_one_instrument_and_side() -> None:
    """
    Another side or instrument does not count.
    """
    legs = (order(A, Side.BUY, "1"), order(A, Side.BUY, "2"), order(A, Side.SELL, "4"), order(B, Side.BUY, "8"))
    assert [Decimal(3), Decimal(4), Decimal(8), Decimal(0)] == [
        units_of(legs, at, side) for at, side in ((A, Side.BUY), (A, Side.SELL), (B, Side.BUY), (B, Side.SELL))
    ]


def test_nothing_is_reduced_by_nothing() -> None:
    """
    A wish without legs brings nothing nearer to zero.
    """
    assert not of(holding(a="5"), intent(legs=()))


@pytest.mark.parametrize(
    ("sold", "bought", "even"),
    [("5", "5", True), ("5", "4.95", True), ("4.95", "5", True), ("5", "4.9", False), ("4.9", "5", False)],
)
def test_a_pair_closes_where_its_sides_are_worth_the_same_to_a_hundredth(sold: str, bought: str, even: bool) -> None:
    """
    Nine are held at A and as many short at B: what leaves no net shares behind closes, what leaves some does not.
    """
    assert even is of(holding(a="9", b="-9"), pair(sold, bought))


def test_a_pair_is_even_in_shares_and_not_in_units() -> None:
    """
    A unit at A is two shares: three there against six at B.
    """
    view = holding(a="9", b="-18")
    view.columns.set_shares_per_unit(A, 2.0)
    assert of(view, pair("3", "6"))
    assert not of(view, pair("6", "6"))
    view.columns.set_shares_per_unit(A, nan)
    assert not of(view, pair("3", "6"))


def test_a_pair_of_two_underlyings_is_even_in_neither() -> None:
    """
    What one share sells and another buys leaves net shares of both.
    """
    view = Case(universe=instruments(underlying="R")).view()
    filled(view, A, "9")
    filled(view, B, "-9")
    assert not of(view, pair("5", "5"))


def test_positions_close_with_what_is_under_way_and_what_was_wished_before() -> None:
    """
    Of nine, three are under way to be sold, and two are sold by an earlier wish: four are left for both legs together.
    """
    view = holding(a="9", b="-20")
    view.ledger.reserve(order(A, Side.SELL, "3"))
    earlier = order(A, Side.SELL, "2"), order(A, Side.BUY, "50"), order(B, Side.SELL, "50")
    assert of(view, pair("4", "4"), *earlier)
    assert not of(view, pair("4.01", "4"), *earlier)
    twice = intent(legs=(order(A, Side.SELL, "2"), order(A, Side.SELL, "2"), order(B, Side.BUY, "4")))
    assert of(view, twice, *earlier)
    more = intent(legs=(order(A, Side.SELL, "2"), order(A, Side.SELL, "2.02"), order(B, Side.BUY, "4")))
    assert not of(view, more, *earlier)


# --- net shares


@pytest.mark.parametrize(("side", "held"), [(Side.SELL, "6"), (Side.BUY, "-6")])
def test_net_shares_come_down_to_zero_and_not_beyond(side: Side, held: str) -> None:
    """
    Six are net at A: at B, where nothing is held, six may be traded against them and not more; nor with them.
    """
    view = holding(a=held)
    other = Side.BUY if side is Side.SELL else Side.SELL
    assert of(view, one_leg(B, side, "6"))
    assert not of(view, one_leg(B, side, "6.01"))
    assert not of(view, one_leg(B, other, "0.01"))


def test_net_shares_are_summed_over_all_instruments_and_counted_in_shares() -> None:
    """
    Four units of two shares at A and three at P, less one at B: ten may be sold at B.
    """
    view = holding(a="4", b="-1")
    filled(view, P, "3")
    view.columns.set_shares_per_unit(A, 2.0)
    assert of(view, one_leg(B, Side.SELL, "10"))
    assert not of(view, one_leg(B, Side.SELL, "10.01"))


def test_what_is_wished_is_counted_in_shares_too() -> None:
    """
    Ten are held at A; a unit at B is two shares: five may be sold there, and not more.
    """
    view = holding(a="10")
    view.columns.set_shares_per_unit(B, 2.0)
    assert of(view, one_leg(B, Side.SELL, "5"))
    assert not of(view, one_leg(B, Side.SELL, "5.01"))


def test_net_shares_are_less_by_what_is_under_way_and_was_wished_before_on_the_same_side() -> None:
    """
    Of ten, two units of two shares are under way at A and one was wished before at B: five are left; a purchase under
    way or wished before gives nothing.
    """
    view = holding(b="10")
    view.columns.set_shares_per_unit(A, 2.0)
    view.ledger.reserve(order(A, Side.SELL, "2"))
    view.ledger.reserve(order(A, Side.BUY, "9"))
    earlier = order(B, Side.SELL, "1"), order(B, Side.BUY, "7")
    assert of(view, intent(legs=(order(P, Side.SELL, "5"),)), *earlier)
    assert not of(view, intent(legs=(order(P, Side.SELL, "5.01"),)), *earlier)
    double = order(A, Side.SELL, "1")
    assert of(view, intent(legs=(order(P, Side.SELL, "4"),)), double)
    assert not of(view, intent(legs=(order(P, Side.SELL, "4.01"),)), double)


def test_net_shares_are_counted_to_the_last_digit() -> None:
    """
    A trillion and a bit, of 31 digits: as much may be sold at B, and not a quintillionth more.
    """
    view = Case().view()
    view.ledger.adjust(A, Decimal("1000000000000.000000000000000001"), Decimal(0))
    for units, passes in (("1000000000000.000000000000000001", True), ("1000000000000.000000000000000002", False)):
        assert passes is of(view, one_leg(B, Side.SELL, units))


def test_another_share_neither_gives_nor_takes_net_shares() -> None:
    """
    What is held, under way or wished before of another underlying does not count, nor do legs of two underlyings.
    """
    view = Case(universe=instruments(underlying="R")).view()
    filled(view, B, "5")
    filled(view, A, "7")
    view.ledger.reserve(order(A, Side.SELL, "3"))
    assert of(view, intent(legs=(order(P, Side.SELL, "5"),)), order(A, Side.SELL, "3"))
    assert not of(view, intent(legs=(order(P, Side.SELL, "5.01"),)))
    assert not of(view, intent(legs=(order(P, Side.SELL, "1"), order(A, Side.SELL, "8"))))


def test_legs_both_ways_prove_nothing_by_net_shares() -> None:
    """
    A pair that moves one share against each other could leave more behind if half of it filled.
    """
    assert not of(holding(a="9"), pair("2", "1"))
    assert of(holding(a="9"), intent(legs=(order(A, Side.SELL, "5"), order(B, Side.SELL, "4"))))
    assert not of(holding(a="9"), intent(legs=(order(A, Side.SELL, "5"), order(B, Side.SELL, "4.01"))))


@pytest.mark.parametrize("unknown", [A, B, P])
def test_net_shares_that_cannot_be_counted_prove_nothing(unknown: int) -> None:
    """
    Of what is held, what is under way and what is wished all must be known in shares.
    """
    view = holding(a="5")
    view.ledger.reserve(order(P, Side.SELL, "1"))
    assert of(view, one_leg(B, Side.SELL, "1"))
    view.columns.set_shares_per_unit(unknown, nan)
    assert not of(view, one_leg(B, Side.SELL, "1"))


def test_what_is_held_nowhere_may_be_unknown() -> None:
    """
    A unit of unknown worth of which nothing is held, under way or wished takes no proof away.
    """
    view = holding(a="5")
    view.columns.set_shares_per_unit(P, nan)
    assert of(view, one_leg(B, Side.SELL, "5"))


def test_what_a_mint_may_or_may_not_bring_leaves_the_smaller_proof() -> None:
    """
    Two are short at B and a mint brings five: neither may anything be sold nor bought; once it came, three may be sold.
    """
    view = holding(b="-2")
    mint = Conversion(id="c", issuer="i", mint=True, source=USDT, target=B, quantity=Decimal(500), expected=Decimal(5),
                      least=Decimal(5), sla_ns=NOW + NS, underlying="S", reason="test", fx=Decimal(1))  # fmt: skip
    view.ledger.convert(mint, NOW)
    assert [False, False] == [of(view, one_leg(A, side, "1")) for side in (Side.SELL, Side.BUY)]
    word = Progress(id="c", state=ConversionState.SETTLED, ts=NOW, given=Decimal(500), got=Decimal(5))
    view.ledger.progress(word)
    assert [True, False] == [of(view, one_leg(A, Side.SELL, units)) for units in ("3", "3.01")]


def test_a_mint_under_way_of_half_the_short_leaves_the_rest_to_be_bought() -> None:
    """
    Six are short, two will come: four may be bought, and not five, though today six are short.
    """
    view = holding(b="-6")
    mint = Conversion(id="c", issuer="i", mint=True, source=USDT, target=B, quantity=Decimal(200), expected=Decimal(2),
                      least=Decimal(2), sla_ns=NOW + NS, underlying="S", reason="test", fx=Decimal(1))  # fmt: skip
    view.ledger.convert(mint, NOW)
    assert of(view, one_leg(A, Side.BUY, "4"))
    assert not of(view, one_leg(A, Side.BUY, "5"))
    view.columns.set_shares_per_unit(B, 2.0)  # twelve short, four will come
    assert of(view, one_leg(A, Side.BUY, "8"))
    assert not of(view, one_leg(A, Side.BUY, "9"))


# --- a trade's own shares


@pytest.mark.parametrize(("side", "own"), [(Side.SELL, "5"), (Side.BUY, "-5")])
def test_a_trades_own_shares_come_down_to_zero_and_not_beyond(side: Side, own: str) -> None:
    """
    With nothing in the books, five of a trade's own are a proof for five of that trade, up to zero, the right way.
    """
    view, shares = Case().view(), {("t", "S"): Decimal(own)}
    other = Side.BUY if side is Side.SELL else Side.SELL
    assert of(view, one_leg(A, side, "5", trade="t"), shares=shares)
    assert not of(view, one_leg(A, side, "5.01", trade="t"), shares=shares)
    assert not of(view, one_leg(A, other, "1", trade="t"), shares=shares)
    assert not of(view, one_leg(A, side, "5", trade="u"), shares=shares)


def test_where_a_trades_own_shares_prove_nothing_the_books_still_may() -> None:
    """
    The trade itself is flat by its own fills; nine are held: what sells of them reduces.
    """
    assert of(holding(a="9"), one_leg(B, Side.SELL, "5", trade="t"), shares={("t", "S"): Decimal(0)})
    assert not of(Case().view(), intent(legs=(leg(A, Side.SELL),), trade="t"), shares={})
