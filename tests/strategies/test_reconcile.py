"""Books against a venue's statement: which differences are seen, which are none, and what they bar."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.orders import Fill, OpenOrder, Side, Statement
from strategies.execution.reconcile import Books, Difference, Kind, compare, reduce_only

AS_OF, PATIENCE = 1_000_000, 100


def token(venue: str, symbol: str, quote: str = "USD") -> Instrument:
    """A token of the share S."""
    return Instrument(venue=venue, symbol=symbol, role=Role.TOKEN, underlying="S", token="Sx", issuer="i",
                      unit_model=UnitModel.REBASING, quote=quote)  # fmt: skip


UNIVERSE = Universe((token("v", "Sx/USD"), token("v", "Sx/USDT", "USDT"), token("w", "Sx/USD")))
ASSET = UNIVERSE[0].asset


def fill(id: str, ts: int, quantity: int = 1, *, order: str = "pl-1-0", side: Side = Side.BUY) -> Fill:
    """A fill of the first instrument."""
    return Fill(id=id, client_id=order, instrument=0, side=side, quantity=Decimal(quantity), price=Decimal(10),
                fee=Decimal(0), fx=Decimal(1), ts=ts)  # fmt: skip


def books(*fills: Fill, held: int = 0, orders: tuple[OpenOrder, ...] = (), sent: int = AS_OF - 10**5) -> Books:
    """What we believe: `held` units of the first instrument, and these orders under way, all sent at one time."""
    under_way = {order.client_id: order for order in orders}
    return Books(positions={0: Decimal(held)}, fills=fills, orders=under_way, sent=dict.fromkeys(under_way, sent))


def statement(*fills: Fill, units: int = 0, orders: tuple[OpenOrder, ...] = (), **parts: Any) -> Statement:
    """What the venue says."""
    told = Statement(venue="v", as_of=AS_OF, balances={ASSET: Decimal(units)}, orders=orders, fills=fills)
    return replace(told, **parts)


def differences(mine: Books, theirs: Statement) -> tuple[Difference, ...]:
    """Ours are those that begin with `pl-`."""
    return compare(
        mine, theirs, UNIVERSE, ours=lambda id: id.startswith("pl-"), since=0, patience_ns=PATIENCE
    )  # fmt: skip


def kinds(mine: Books, theirs: Statement) -> list[Kind]:
    """Only what they are."""
    return [one.kind for one in differences(mine, theirs)]


@pytest.mark.parametrize(
    ("units", "differs"), [(-11, ["-1"]), (-10, []), (-3, []), (0, []), (5, []), (6, ["1"]), (40, ["35"])]
)
def test_what_a_request_under_way_may_have_moved_is_no_difference(units: int, differs: list[str]) -> None:
    """
    Up to ten units may have left and five have come before the issuer says so; what goes beyond that differs by the
    rest.
    """
    mine = replace(books(), in_flight={ASSET: (Decimal(-10), Decimal(5))})
    assert differs == [str(one.amount) for one in differences(mine, statement(units=units))]


@pytest.mark.parametrize(
    ("rights", "differs"),
    [(("read", "trade"), []), (None, []), (("read", "trade", "withdraw"), [Kind.KEY])],
)
def test_row_37_a_key_that_may_withdraw_bars_its_venue(rights: tuple[str, ...] | None, differs: list[Kind]) -> None:
    """
    Reading and trading is all that a key is for; what was not told says nothing.
    """
    told = differences(books(), statement(rights=rights))
    assert differs == [one.kind for one in told]
    assert ({0, 1} if differs else set()) == reduce_only(told).keys()


def test_what_is_equal_does_not_differ() -> None:
    """
    The same fills, the same units, no orders: nothing is barred.
    """
    old = fill("1", AS_OF - 9_000, 3)
    assert {} == reduce_only(differences(books(old, held=3), statement(old, units=3)))


def test_a_balance_that_is_less_bars_every_instrument_of_the_asset_and_no_other() -> None:
    """
    Somebody took two units away: both markets of that token at the venue are barred, the other venue is not.
    """
    (one,) = differences(books(held=3), statement(units=1))
    assert (Kind.BALANCE, Decimal(-2), (0, 1)) == (one.kind, one.amount, one.instruments)
    assert {0, 1} == reduce_only([one]).keys()
    assert "holds 1 " in one.evidence and str(AS_OF) in one.evidence and "books 3" in one.evidence


def test_positions_of_one_asset_are_added_up() -> None:
    """
    Bought for USD and sold for USDT, a token is held once: two plus minus two is what the venue's zero says.
    """
    mine = replace(books(held=2), positions={0: Decimal(2), 1: Decimal(-2), 2: Decimal(7)})
    assert [] == kinds(mine, statement(units=0))


@pytest.mark.parametrize("units", [5, 6])
def test_a_fill_during_the_read_is_not_counted_twice(units: int) -> None:
    """
    Five units, and one more was bought while the venue was read: its balance may hold that fill or not, and the books
    know it by now. Neither is a difference; four and seven are.
    """
    during = fill("2", AS_OF + 5)
    assert [] == kinds(books(during, held=6), statement(during, units=units))
    for other in (4, 7):
        assert [Kind.BALANCE] == kinds(books(during, held=6), statement(during, units=other))


@pytest.mark.parametrize("units", [5, 6])
def test_a_fill_whose_report_is_on_the_way_is_no_difference(units: int) -> None:
    """
    The venue tells it already, its order is under way: neither missing, nor added to a balance that holds it.
    """
    order = OpenOrder(client_id="pl-1-0", instrument=0, side=Side.BUY, left=Decimal(1))
    during = fill("2", AS_OF + 5)
    assert [] == kinds(books(held=5, orders=(order,), sent=AS_OF), statement(during, units=units))


def test_a_fill_that_we_never_heard_of_is_missing_and_explains_the_balance() -> None:
    """
    Its order is over for us: one difference, which carries the venue's fill; the balance is no second one.
    """
    lost = fill("7", AS_OF - 5_000, 2)
    (one,) = differences(books(held=3), statement(lost, units=5))
    assert (Kind.MISSING_FILL, lost) == (one.kind, one.fill)
    assert {0} == reduce_only([one]).keys()


def test_a_fill_whose_report_does_not_come_is_missing_too() -> None:
    """
    The order is under way, and the patience is over.
    """
    order = OpenOrder(client_id="pl-1-0", instrument=0, side=Side.BUY, left=Decimal(1))
    late = fill("2", AS_OF - PATIENCE)
    assert Kind.MISSING_FILL in kinds(books(held=5, orders=(order,)), statement(late, units=6, orders=(order,)))


def test_a_fill_that_the_venue_does_not_tell_is_extra() -> None:
    """
    We booked it, it is older than the patience, and the venue has never heard of it; a balance without it differs too.
    """
    ours = fill("3", AS_OF - 5_000)
    assert [Kind.EXTRA_FILL, Kind.BALANCE] == kinds(books(ours, held=1), statement(units=0))


def test_a_fill_at_another_price_differs() -> None:
    """
    The same id with other words is told, with both.
    """
    ours = fill("3", AS_OF - 5_000)
    (one,) = differences(books(ours, held=1), statement(replace(ours, price=Decimal(11)), units=1))
    assert Kind.FILL_DIFFERS == one.kind and "at 11," in one.evidence and "at 10," in one.evidence


def test_a_foreign_fill_is_never_absorbed() -> None:
    """
    Somebody else sold two units from our account: no fill of ours is missing, and the balance differs.
    """
    theirs = fill("9", AS_OF - 5_000, 2, order="manual", side=Side.SELL)
    assert [Kind.BALANCE] == kinds(books(held=3), statement(theirs, units=1))


def test_a_foreign_order_is_told_and_bars_nothing() -> None:
    """
    It is neither ours to cancel nor a reason to stop.
    """
    order = OpenOrder(client_id="manual", instrument=0, side=Side.SELL, left=Decimal(2))
    (one,) = differences(books(), statement(orders=(order,)))
    assert (Kind.FOREIGN_ORDER, "manual") == (one.kind, one.subject)
    assert {} == reduce_only([one])


def test_an_order_with_our_mark_that_we_do_not_know_bars_its_instrument() -> None:
    """
    A leftover of a crash, or of a second instance.
    """
    order = OpenOrder(client_id="pl-0-0", instrument=1, side=Side.SELL, left=Decimal(2))
    (one,) = differences(books(), statement(orders=(order,)))
    assert Kind.UNKNOWN_ORDER == one.kind
    assert {1} == reduce_only([one]).keys()


@pytest.mark.parametrize(("sent", "gone"), [(AS_OF - 5_000, True), (AS_OF - 50, False)])
def test_an_order_that_does_not_stand_any_more_is_gone_after_a_while(sent: int, gone: bool) -> None:
    """
    Just sent it may not stand yet.
    """
    order = OpenOrder(client_id="pl-1-0", instrument=0, side=Side.BUY, left=Decimal(1))
    assert ([Kind.ORDER_GONE] if gone else []) == kinds(books(orders=(order,), sent=sent), statement())


@pytest.mark.parametrize("part", ["balances", "orders", "fills"])
def test_what_was_not_read_is_not_nothing(part: str) -> None:
    """
    Without one part all instruments of the venue are barred, with the venue's reason; the other venue is not.
    """
    told = differences(books(), statement(**{part: None, "unread": "503"}))
    assert [(Kind.UNREAD, part)] == [(one.kind, one.subject) for one in told]
    assert {0, 1} == reduce_only(told).keys() and "503" in told[0].evidence


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-5, 5)), max_size=6),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(-3, 3),
)
def test_only_what_was_taken_away_is_found(
    moves: list[tuple[int, int]], heard: int, read: int, taken: int
) -> None:  # fmt: skip
    """
    Whatever traded before and during the read, and however much of it our books and the venue's balance hold: they
    differ exactly if something else moved the balance to where no moment of the read explains it.
    """
    order = OpenOrder(client_id="pl-1-0", instrument=0, side=Side.BUY, left=Decimal(1))
    fills = [
        fill(str(at), AS_OF + 10 * at + 1, abs(units), side=Side.BUY if units > 0 else Side.SELL)
        for at, (units, _) in enumerate(moves)
        if units
    ]
    signed = [int(one.quantity) * (1 if one.side is Side.BUY else -1) for one in fills]
    known = fills[:heard]
    mine = books(*known, held=sum(signed[:heard]), orders=(order,), sent=AS_OF)
    has = sum(signed[:read]) + taken
    explained = {sum(signed[:at]) for at in range(len(signed) + 1)}
    assert ([] if has in explained else [Kind.BALANCE]) == kinds(mine, statement(*fills, units=has))
