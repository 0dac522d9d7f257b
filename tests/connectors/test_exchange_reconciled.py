"""Books that heard what the simulated exchange told, against its statement: every fault of an order is found."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from connectors.events import NS
from connectors.orders import Fill, OpenOrder, Report, Side
from connectors.simulated.exchange import Exchange
from connectors.simulated.order_faults import Foreign, OrderFault, Spell, Trouble, Withdrawal
from strategies.execution.reconcile import Books, Difference, Kind, compare, reduce_only
from tests.connectors.test_exchange import BOOK, START, UNIVERSE, leg, market, sent

THEN = 60 * NS


def heard(reports: list[Report], *, more: tuple[Fill, ...] = ()) -> Books:
    """What a ledger makes of them: each fill once, and the order under way until its last answer."""
    fills = {fill.id: fill for report in reports for fill in report.fills} | {fill.id: fill for fill in more}
    units = sum((fill.quantity if fill.side is Side.BUY else -fill.quantity for fill in fills.values()), START["T"])
    left = OpenOrder(client_id="i-0", instrument=0, side=Side.BUY, left=D(1))
    orders = {} if any(report.final for report in reports) else {"i-0": left}
    return Books(positions={0: units}, fills=tuple(fills.values()), orders=orders, sent={"i-0": 0})


def found(exchange: Exchange, books: Books) -> tuple[Difference, ...]:
    """What a look at the venue a minute later finds."""
    exchange.truth.pass_to(THEN, BOOK)
    (due,) = exchange.read(0, THEN)
    (statement,) = exchange.statements(due)
    return compare(
        books, statement, UNIVERSE, ours=lambda id: id.startswith("i-"), since=0, patience_ns=5 * NS
    )  # fmt: skip


LOST = {OrderFault.ACK_LOST, OrderFault.RECORDED_5XX, OrderFault.JUST_OVER}


@pytest.mark.parametrize("fault", [None, *(one for one in OrderFault if one is not OrderFault.RAISES)])
def test_what_a_fault_hid_is_found_and_taking_the_venues_fills_in_mends_it(fault: OrderFault | None) -> None:
    """
    A fill whose answer was lost is missing, with the venue's own fill; with that booked once the balance agrees. One
    that was told at another price or fee differs. Told three times, late or too much, it is equal.
    """
    exchange = market(*([fault] if fault else []))
    reports = [report for _, report in sent(exchange)]
    differences = found(exchange, heard(reports))
    kinds = {one.kind for one in differences}
    missing = tuple(one.fill for one in differences if one.kind is Kind.MISSING_FILL and one.fill)
    assert (fault in LOST) == bool(missing)
    assert (fault in {OrderFault.WRONG_PRICE, OrderFault.WRONG_FEE_COIN}) == (Kind.FILL_DIFFERS in kinds)
    assert (fault in {*LOST, OrderFault.REQUEST_LOST}) == (Kind.ORDER_GONE in kinds)
    mended = {one.kind for one in found(exchange, heard(reports, more=missing))}
    assert not {Kind.MISSING_FILL, Kind.EXTRA_FILL, Kind.BALANCE} & mended


def test_a_withdrawal_by_hand_pauses_the_token_there() -> None:
    """
    Four tokens are gone: the difference says so, and that token may only be reduced at that venue.
    """
    exchange = market(events=(Withdrawal(NS, "T", D(4)),))
    (one,) = found(exchange, heard([report for _, report in sent(exchange)]))
    assert (Kind.BALANCE, D(-4)) == (one.kind, one.amount)
    assert {0} == reduce_only([one]).keys()


def test_somebody_elses_orders_are_told_and_their_trade_is_not_made_ours() -> None:
    """
    One stands: foreign, and no more. One traded: our balance differs by it, and no fill of ours is missing.
    """
    events = (
        Foreign(0, "hand-1", 0, Side.SELL, D(1), D(105), trades=False),
        Foreign(0, "hand-2", 0, Side.SELL, D(1), D(104), trades=True),
    )
    exchange = market(events=events)
    differences = found(exchange, heard([report for _, report in sent(exchange)]))
    assert [(Kind.FOREIGN_ORDER, "hand-1"), (Kind.BALANCE, "T")] == [(one.kind, one.subject) for one in differences]
    assert D(-1) == differences[1].amount


def test_a_venue_that_is_down_is_not_flat() -> None:
    """
    Nothing of it can be read: everything there may only be reduced, with the venue's word.
    """
    exchange = market(spells=(Spell(Trouble.MAINTENANCE, 30 * NS),))
    differences = found(exchange, heard([report for _, report in sent(exchange, leg())]))
    assert {Kind.UNREAD} == {one.kind for one in differences}
    assert {0} == reduce_only(differences).keys()
