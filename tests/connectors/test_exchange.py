"""The simulated exchange: what befalls orders, and that what the venue did can always be read apart from it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.events import NS
from connectors.instruments import Instrument, Role, Universe
from connectors.orders import Approved, Intent, Leg, Outcome, Report, Side
from connectors.simulated.exchange import Exchange, Exchanges
from connectors.simulated.order_faults import (
    Foreign,
    NewRights,
    NewRules,
    OrderFault,
    OrderFaults,
    Rules,
    Spell,
    Trouble,
    Withdrawal,
)
from connectors.simulated.venue import FEE_COIN, Terms, Venue
from tests.connectors.test_paper import Book

MS = 1_000_000
LATE = 5 * NS
UNIVERSE = Universe(
    (
        Instrument(venue="v", symbol="T/USD", role=Role.TOKEN, token="T", underlying="S"),
        Instrument(venue="w", symbol="T/USD", role=Role.TOKEN, token="T", underlying="S"),
    )
)
START = {"USD": D(1000), "T": D(10)}
BOOK = Book(b=99.0, a=101.0, b_size=50.0, a_size=50.0)


def leg(side: Side = Side.BUY, quantity: str = "2", limit: str = "", at: int = 0) -> Leg:
    """A leg that may trade at what `BOOK` shows."""
    worst = limit or ("101" if side is Side.BUY else "99")
    return Leg(instrument=at, side=side, quantity=D(quantity), limit=D(worst), seen=D(100))


def order(*legs: Leg, id: str = "i") -> Approved:
    """An approved intent of these legs."""
    return Approved(
        Intent(id=id, strategy="s", legs=legs, reason="", edge_bps=0.0, notional_usd=D(1), deadline_ns=LATE)
    )


def market(
    *faults: OrderFault, spells: tuple[Spell, ...] = (), events: tuple[object, ...] = (), rules: Rules | None = None
) -> Exchange:
    """An exchange at venue v whose first orders these faults befall."""
    what = OrderFaults(scripted=dict(enumerate(faults)), spells=spells, events=events)  # type: ignore[arg-type]
    terms = Terms(fee=D("0.001"), rules=rules or Rules(lot=D("0.01")))
    return Exchange(Venue("v", UNIVERSE, {0: terms}, START, what))


def hear(exchange: Exchange | Exchanges, dues: Iterable[int], book: Book = BOOK) -> list[tuple[int, Report]]:
    """All that is told at these moments."""
    return [(due, report) for due in sorted(set(dues)) for report in exchange.answer(due, book)]


def sent(exchange: Exchange, *legs: Leg, id: str = "i", now: int = 0) -> list[tuple[int, Report]]:
    """What is told of one order that is sent."""
    return hear(exchange, exchange.submit(order(*(legs or (leg(),)), id=id), now))


def asked(exchange: Exchange, client_id: str = "i-0", now: int = 10 * NS) -> Report:
    """What a query finds."""
    ((_, report),) = hear(exchange, exchange.query(client_id, 0, now))
    return report


def units(report: Report) -> D:
    """Units that a report's fills sum up to."""
    return sum((fill.quantity for fill in report.fills), D(0))


def test_an_order_trades_at_what_is_shown_and_moves_the_venues_balances() -> None:
    """
    Two units at 101 with ten basis points: told at once, and gone from and come to the balances.
    """
    exchange = market()
    ((due, report),) = sent(exchange)
    assert (20 * MS, Outcome.ACCEPTED, True, D(2)) == (due, report.outcome, report.final, units(report))
    assert {"USD": D("797.798"), "T": D(12)} == exchange.truth.balances


def test_a_lost_request_is_unknown_until_the_venue_says_that_it_never_had_it() -> None:
    """
    Silence at the time-out; asked by client id the venue refuses, and nothing has moved.
    """
    exchange = market(OrderFault.REQUEST_LOST)
    ((due, report),) = sent(exchange)
    assert (LATE, Outcome.UNKNOWN, False) == (due, report.outcome, report.final)
    found = asked(exchange)
    assert (Outcome.REFUSED, True) == (found.outcome, found.final)
    assert START == exchange.truth.balances


@pytest.mark.parametrize("fault", [OrderFault.ACK_LOST, OrderFault.RECORDED_5XX, OrderFault.JUST_OVER])
def test_an_order_whose_answer_is_lost_is_found_by_its_client_id(fault: OrderFault) -> None:
    """
    Rows 22 to 24: what was told is unknown and not final; the venue has one order, and a query tells its fills.
    """
    exchange = market(fault)
    ((_, report),) = sent(exchange)
    assert (Outcome.UNKNOWN, False, ()) == (report.outcome, report.final, report.fills)
    found = asked(exchange)
    assert (Outcome.ACCEPTED, True, D(2)) == (found.outcome, found.final, units(found))
    assert ["i-0"] == list(exchange.truth.orders)


def test_an_answer_at_the_last_moment_still_counts() -> None:
    """
    Row 24, the other side of the boundary: one nanosecond before the time-out.
    """
    ((due, report),) = sent(market(OrderFault.JUST_UNDER))
    assert (LATE - 1, Outcome.ACCEPTED, D(2)) == (due, report.outcome, units(report))


def test_half_a_fill_and_silence_leaves_an_order_that_stands() -> None:
    """
    Row 25: half is told, the order is not over, a query says the same, and a cancel ends it.
    """
    exchange = market(OrderFault.PARTIAL_SILENCE)
    ((_, report),) = sent(exchange)
    assert (D(1), False) == (units(report), report.final)
    assert (D(1), False) == (units(asked(exchange)), asked(exchange).final)
    assert D(1) == exchange.truth.standing()[0].left
    ((_, over),) = hear(exchange, exchange.cancel("i-0", 0, 20 * NS))
    assert (D(1), True) == (units(over), over.final)
    assert () == exchange.truth.standing()


def test_a_fill_that_is_told_three_times_has_one_id() -> None:
    """
    Row 26: three reports, one fill by its id, and the venue has moved once.
    """
    exchange = market(OrderFault.DUPLICATE_FILL)
    told = sent(exchange)
    assert 3 == len(told)
    assert 1 == len({fill.id for _, report in told for fill in report.fills})
    assert D(12) == exchange.truth.balances["T"]


def test_a_fill_may_come_before_its_acknowledgement() -> None:
    """
    Row 27: first the fill, not final; then the end, without fills.
    """
    (_, first), (_, second) = sent(market(OrderFault.FILL_BEFORE_ACK))
    assert (D(2), False) == (units(first), first.final)
    assert (D(0), True) == (units(second), second.final)


def test_a_fill_may_come_after_its_cancel() -> None:
    """
    Row 27: the cancel is confirmed with half; then the other half is told, since it was before the cancel.
    """
    exchange = market(OrderFault.FILL_AFTER_CANCEL)
    sent(exchange)
    (_, canceled), (_, late) = hear(exchange, exchange.cancel("i-0", 0, NS))
    assert (D(1), True) == (units(canceled), canceled.final)
    assert (D(2), True) == (units(late), late.final)
    assert D(12) == exchange.truth.balances["T"]


def test_more_may_trade_than_was_asked_for() -> None:
    """
    Row 28: three of two.
    """
    ((_, report),) = sent(market(OrderFault.OVER_FILL))
    assert D(3) == units(report)


def test_a_wrong_price_is_told_and_the_venues_own_can_be_read() -> None:
    """
    Row 29: the report says 102.01, the statement 101, under one id.
    """
    exchange = market(OrderFault.WRONG_PRICE)
    ((_, report),) = sent(exchange)
    (due,) = exchange.read(0, NS)
    (statement,) = exchange.statements(due)
    assert statement.fills is not None
    assert (D("102.01"), D(101)) == (report.fills[0].price, statement.fills[0].price)
    assert report.fills[0].id == statement.fills[0].id


def test_a_fee_in_another_coin_shows_in_the_balances() -> None:
    """
    Row 29: the report tells a fee of the quote currency that never left, and the other coin is owed.
    """
    exchange = market(OrderFault.WRONG_FEE_COIN)
    ((_, report),) = sent(exchange)
    assert D("0.0202") == report.fills[0].fee
    assert {"USD": D(798), "T": D(12), FEE_COIN: D("-0.0202")} == exchange.truth.balances


def test_too_many_requests_are_refused_with_the_moment_to_come_again() -> None:
    """
    Row 30: refused with Retry-After; whoever asks again meanwhile waits longer, and who waits is served.
    """
    exchange = market(spells=(Spell(Trouble.RATE, 0, 30 * NS),))
    ((_, first),) = sent(exchange)
    assert (Outcome.REFUSED, "rate", 30 * NS) == (first.outcome, first.reason, first.retry_ns)
    ((_, second),) = sent(exchange, id="j", now=NS)
    assert (40 * NS, 1) == (second.retry_ns, exchange.truth.ban_extended)
    ((_, third),) = sent(exchange, id="k", now=40 * NS)
    assert Outcome.ACCEPTED is third.outcome


def test_a_page_in_html_is_unknown() -> None:
    """
    Row 31: while it lasts nothing can be told, not even by a query; afterwards the venue never had the order.
    """
    exchange = market(spells=(Spell(Trouble.MAINTENANCE, 0, 10 * NS),))
    ((_, report),) = sent(exchange)
    assert (Outcome.UNKNOWN, False) == (report.outcome, report.final)
    assert Outcome.UNKNOWN is asked(exchange, now=NS).outcome
    assert Outcome.REFUSED is asked(exchange, now=20 * NS).outcome


def test_a_cancel_may_come_too_late() -> None:
    """
    Row 32: it is refused, the order is not over, and then its other half is told.
    """
    exchange = market(OrderFault.CANCEL_REFUSED)
    sent(exchange)
    (_, refused), (_, over) = hear(exchange, exchange.cancel("i-0", 0, NS))
    assert (False, D(0)) == (refused.final, units(refused))
    assert (True, D(2)) == (over.final, units(over))


def test_a_lost_cancel_leaves_the_order_live() -> None:
    """
    Row 32: nothing is heard, the order stands; the second cancel arrives.
    """
    exchange = market(OrderFault.CANCEL_LOST)
    sent(exchange)
    ((due, silence),) = hear(exchange, exchange.cancel("i-0", 0, NS))
    assert (NS + LATE, Outcome.UNKNOWN, False) == (due, silence.outcome, silence.final)
    assert 1 == len(exchange.truth.standing())
    ((_, over),) = hear(exchange, exchange.cancel("i-0", 0, 10 * NS))
    assert over.final and not exchange.truth.standing()


@pytest.mark.parametrize("rules", [Rules(lot=D(3)), Rules(tick=D(2)), Rules(least=D(500))])
def test_rules_that_changed_at_night_refuse_what_was_good(rules: Rules) -> None:
    """
    Row 33: lot, tick or smallest order; what a refresh tells is what refuses.
    """
    exchange = market(events=(NewRules(NS, 0, rules),))
    assert Outcome.ACCEPTED is sent(exchange)[0][1].outcome
    ((_, report),) = sent(exchange, id="j", now=NS)
    assert (Outcome.REFUSED, "rules") == (report.outcome, report.reason)
    assert rules == exchange.rules(0)


def test_a_venue_may_be_down_for_the_second_leg() -> None:
    """
    Row 34: one venue trades, the other cannot be reached: refused, since nothing has left.
    """
    down = OrderFaults(spells=(Spell(Trouble.DOWN, 0),))
    both = Exchanges({"v": market(), "w": Exchange(Venue("w", UNIVERSE, {1: Terms()}, START, down))})
    told = hear(both, both.submit(order(leg(), leg(Side.SELL, at=1)), 0))
    assert [("i-0", "accepted"), ("i-1", "refused")] == [(r.client_id, r.outcome.value) for _, r in told]
    ((_, found),) = hear(both, both.query("i-1", 1, NS))
    assert Outcome.UNKNOWN is found.outcome


def test_a_balance_may_be_lower_than_believed() -> None:
    """
    Row 35: somebody took nine of ten units out, so that two cannot be sold; the statement says one.
    """
    exchange = market(events=(Withdrawal(NS, "T", D(9)),))
    ((_, report),) = sent(exchange, leg(Side.SELL), now=NS)
    assert (Outcome.REFUSED, "balance") == (report.outcome, report.reason)
    (due,) = exchange.read(0, 2 * NS)
    assert {"USD": D(1000), "T": D(1)} == exchange.statements(due)[0].balances


def test_orders_of_others_stand_in_the_statement_under_their_own_ids() -> None:
    """
    Row 36: one stands and one has traded; neither is ours, and both are told.
    """
    events = (
        Foreign(0, "hand-1", 0, Side.SELL, D(1), D(105), trades=False),
        Foreign(0, "hand-2", 0, Side.SELL, D(1), D(104), trades=True),
    )
    exchange = market(events=events)
    exchange.truth.pass_to(NS, BOOK)
    (due,) = exchange.read(0, NS)
    (statement,) = exchange.statements(due)
    assert statement.orders is not None and statement.fills is not None
    assert ["hand-1"] == [one.client_id for one in statement.orders]
    assert [("hand-2", D(104))] == [(fill.client_id, fill.price) for fill in statement.fills]


def test_a_revoked_key_refuses_orders_and_leaves_the_account_unread() -> None:
    """
    Row 37: 401 is a refusal of an order, and of an account neither zero nor flat: nothing was read.
    """
    exchange = market(spells=(Spell(Trouble.KEY_REVOKED, NS),))
    sent(exchange)
    ((_, report),) = sent(exchange, id="j", now=NS)
    assert (Outcome.REFUSED, "key") == (report.outcome, report.reason)
    (due,) = exchange.read(0, NS)
    (statement,) = exchange.statements(due)
    assert (None, None, None, None) == (statement.balances, statement.orders, statement.fills, statement.rights)
    assert "401" in statement.unread


def test_a_key_that_may_withdraw_says_so() -> None:
    """
    Row 37: its rights stand in the statement.
    """
    exchange = market(events=(NewRights(0, ("read", "trade", "withdraw")),))
    exchange.truth.pass_to(NS, BOOK)
    (due,) = exchange.read(0, NS)
    assert ("read", "trade", "withdraw") == exchange.statements(due)[0].rights


def test_a_client_id_that_the_venue_knows_is_no_refusal_of_the_first() -> None:
    """
    Row 40: the second is turned away and says that nobody can tell; asked, the venue has one order.
    """
    exchange = market()
    sent(exchange)
    ((_, report),) = sent(exchange, now=NS)
    assert (Outcome.UNKNOWN, False, "duplicate") == (report.outcome, report.final, report.reason)
    assert D(2) == units(asked(exchange))


def test_what_was_sent_before_a_crash_arrives_after_it() -> None:
    """
    A new exchange over the same venue finds by client id what its predecessor was never told.
    """
    before = market()
    before.submit(order(leg()), 0)
    after = Exchange(before.truth)
    assert D(2) == units(asked(after))


def test_a_statement_is_as_of_the_moment_before_it_was_read() -> None:
    """
    What trades while it is read may stand in it, and it does not claim to be newer than its question.
    """
    exchange = market()
    dues = exchange.submit(order(leg()), 0)
    (due,) = exchange.read(0, 0)
    hear(exchange, dues)
    (statement,) = exchange.statements(due)
    assert statement.fills is not None
    assert (0, 20 * MS) == (statement.as_of, statement.fills[0].ts)


def test_what_we_took_is_not_there_a_second_time() -> None:
    """
    Two orders on one print with an answer lost: together they trade no more than was shown.
    """
    exchange, book = market(OrderFault.ACK_LOST), Book(a=101.0, a_size=3.0)
    hear(exchange, exchange.submit(order(leg()), 0), book)
    ((_, second),) = hear(exchange, exchange.submit(order(leg(), id="j"), NS), book)
    assert D(1) == units(second)


@given(
    st.lists(st.sampled_from([one for one in OrderFault if one is not OrderFault.RAISES]), min_size=1, max_size=6),
    st.booleans(),
)
def test_a_query_at_the_end_tells_all_that_the_venue_did(faults: list[OrderFault], cancel: bool) -> None:
    """
    Whatever befell the orders, the fills of queries sum up to the venue's own balances.
    """
    exchange, bought = market(*faults), D(0)
    for number in range(len(faults)):
        sent(exchange, leg(quantity="0.5"), id=f"o{number}", now=number * 20 * NS)
        if cancel:
            hear(exchange, exchange.cancel(f"o{number}-0", 0, number * 20 * NS + 10 * NS))
        bought += units(asked(exchange, f"o{number}-0", number * 20 * NS + 19 * NS))
    assert exchange.truth.balances["T"] == START["T"] + bought


def test_faults_by_chance_hang_on_the_seed_and_the_order_alone() -> None:
    """
    About a third of the orders, the same ones again, and others with another seed.
    """
    shares = {OrderFault.ACK_LOST: 0.3}
    one, two = OrderFaults(shares=shares, seed=1), OrderFaults(shares=shares, seed=2)
    drawn = [one.of(0, f"x{i}") for i in range(300)]
    assert drawn == [one.of(0, f"x{i}") for i in range(300)]
    assert drawn != [two.of(0, f"x{i}") for i in range(300)]
    assert 60 < sum(fault is not None for fault in drawn) < 120
