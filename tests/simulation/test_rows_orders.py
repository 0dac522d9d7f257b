"""Rows 22 to 34 of the fault matrix: what a venue may do to an order, and how the trade ends all the same.

In every scene the invariants are watched; `striking` asserts that none is breached.
"""

from __future__ import annotations

import pytest

from connectors.orders import Outcome
from tests.simulation.played import Played, in_a_gap, striking


def one_order_only(played: Played) -> None:
    """Each order that was hit stands once at its venue, its fills are in the books once, and none was sent for it."""
    for order in played.hit():
        sent = [client_id for client_id in played.driver.truth.sent if client_id == order.client_id]
        assert [order.client_id] == sent
        assert 2 == len(played.orders(order.client_id))
    assert played.driver.parts is not None
    real = sum(
        len(order.fills) for venue in played.driver.world.outside.venues.values() for order in venue.orders.values()
    )
    assert real == played.driver.parts.ledger.fills > 0


def test_row_22_an_answer_that_is_lost_is_found_by_client_id() -> None:
    """
    The order traded and its answer is lost: it is asked about, found with its fill, and nothing is sent for it.
    """
    played = striking("ack_lost")
    one_order_only(played)
    for order in played.hit():
        assert ["asked", "hedged"] == played.events(order.client_id)


def test_row_22_a_request_that_is_lost_is_sent_again_only_after_the_venue_has_answered() -> None:
    """
    It never arrived: the venue says so when it is asked, and then a hedge goes out under an id of its own.
    """
    played = striking("request_lost")
    lost = [client_id for client_id in played.driver.truth.sent if all(
        client_id not in venue.orders for venue in played.driver.world.outside.venues.values())]  # fmt: skip
    assert lost
    first = lost[0]
    events, orders = played.events(first), played.orders(first)
    assert ["asked", "hedge"] == events[:2] and events[-1] in ("hedged", "flat")
    assert 2 < len(orders) == len(set(orders))
    answers = [report.outcome for report in played.reports if report.client_id == first]
    assert [Outcome.UNKNOWN, Outcome.REFUSED] == answers[:2]


def test_row_23_a_server_error_after_the_order_was_recorded_is_not_a_refusal() -> None:
    """
    500, and it trades: unknown, asked about at once, found; nothing is sent for it.
    """
    played = striking("recorded_5xx")
    one_order_only(played)
    for order in played.hit():
        assert ["asked", "hedged"] == played.events(order.client_id)
        first = next(report for report in played.reports if report.client_id == order.client_id)
        assert Outcome.UNKNOWN is first.outcome


@pytest.mark.parametrize(("what", "asked"), [("just_under", False), ("just_over", True)])
def test_row_24_an_answer_just_under_and_just_over_the_timeout(what: str, asked: bool) -> None:
    """
    Both sides of the boundary: one is an answer and one is not; both times there is one order and one fill.
    """
    played = striking(what)
    one_order_only(played)
    for order in played.hit():
        assert asked == ("asked" in played.events(order.client_id))


def test_row_25_a_part_that_is_filled_before_the_silence_is_hedged_in_time() -> None:
    """
    Half traded and the rest stands without a word: it is cancelled after six seconds and the half is evened.
    """
    played = striking("partial_silence")
    for order in played.hit():
        assert not order.stands and 0 < order.filled < order.quantity
        assert "cancel" in played.events(order.client_id)
        assert played.events(order.client_id)[-1] in ("hedged", "flat")
    print(f"seen after {played.outcome.detected_s} s, mended after {played.outcome.recovered_s} s")


@pytest.mark.parametrize("what", ["duplicate_fill", "fill_before_ack"])
def test_rows_26_and_27_a_fill_that_is_told_twice_or_too_early_counts_once(what: str) -> None:
    """
    By the stream, with the answer, and again: one fill in the books, profit once, no repair.
    """
    played = striking(what)
    one_order_only(played)
    ids = [(report.client_id, fill.id) for report in played.reports for fill in report.fills]
    assert (what == "duplicate_fill") == (len(ids) > len(set(ids)))
    for order in played.hit():
        assert ["hedged"] == played.events(order.client_id)


def test_row_27_a_fill_after_the_cancel_is_booked_and_evened() -> None:
    """
    The cancel was confirmed, and then a fill from just before it is told: it is in the books, and the trade is even.
    """
    played = striking("fill_after_cancel")
    for order in played.hit():
        assert "cancel" in played.events(order.client_id)
        told = {fill.id for report in played.reports if report.client_id == order.client_id for fill in report.fills}
        assert {fill.id for fill in order.fills} == told
        assert played.events(order.client_id)[-1] in ("hedged", "flat")


def test_row_28_more_than_was_asked_for_is_booked_and_the_excess_hedged() -> None:
    """
    Half as much again was traded: noted as an over-fill, hedged by an order of its own.
    """
    played = striking("over_fill")
    for order in (order for order in played.hit() if order.filled > order.quantity):
        events = played.events(order.client_id)
        assert "overfill" in events and events[-1] == "hedged"
        assert 2 < len(played.orders(order.client_id))


@pytest.mark.parametrize("what", ["wrong_price", "wrong_fee_coin"])
def test_row_29_a_fill_with_a_wrong_price_or_fee_is_booked_as_it_is_told(what: str) -> None:
    """
    The position is right, and the money differs from the venue's own books in that coin: nobody invents another price.
    """
    played = striking(what)
    assert played.driver.parts is not None
    for order in played.hit():
        told = {
            fill.id: fill for report in played.reports if report.client_id == order.client_id for fill in report.fills
        }
        for fill in order.fills:
            assert fill.quantity == told[fill.id].quantity
            assert (fill.price, fill.fee) != (told[fill.id].price, told[fill.id].fee)


def test_row_30_a_venue_that_wants_peace_gets_it() -> None:
    """
    429 with a moment: until then no order, question or cancel goes there, so that the ban is never made longer.
    """
    played = in_a_gap("rate")
    (fault,) = played.faults
    assert 0 == played.venue(fault.where).ban_extended
    first = next((one, step) for step in played.steps for one in step.reports if one.reason == "rate")
    told, until = first[1].ts, first[0].retry_ns
    assert told < until
    assert [] == [at for at in played.sent_to(fault.where) if told < at < until]


def test_row_31_a_page_in_html_tells_nothing_of_an_order() -> None:
    """
    Maintenance: unknown and asked about until the venue is back; then it has no such order, and only then is evened.
    """
    played = in_a_gap("maintenance")
    unknown = [one for one in played.reports if one.outcome is Outcome.UNKNOWN and "HTML" in one.detail]
    assert unknown
    ends = {end for one in unknown for end in played.events(one.client_id)[-1:]}
    assert ends <= {"hedged", "flat"}


@pytest.mark.parametrize("what", ["cancel_refused", "cancel_lost"])
def test_row_32_an_order_whose_cancel_failed_stays_live_until_the_contrary_is_proven(what: str) -> None:
    """
    Too late, or lost: the order keeps its place in the books, and nothing more is sent that way until it is over.
    """
    played = striking(what)
    for order in played.hit():
        assert not order.stands
        told = {fill.id for report in played.reports if report.client_id == order.client_id for fill in report.fills}
        assert {fill.id for fill in order.fills} == told
        assert played.events(order.client_id)[-1] in ("hedged", "flat")


def test_row_33_a_rule_that_changed_makes_no_hot_loop_of_refusals() -> None:
    """
    Other lots at a venue for forty seconds: each trade tries there a few times, with pauses, and ends elsewhere.
    """
    played = in_a_gap("new_rules")
    refused = [one for one in played.reports if one.reason == "rules"]
    assert len(refused) <= 4 * max(1, len({played.trade_of(one.client_id) for one in refused}))
    assert {"paged"}.isdisjoint(played.outcome.ends)


def test_row_34_with_the_second_legs_venue_down_the_first_is_evened_elsewhere_or_given_back() -> None:
    """
    One leg filled, the other venue cannot be reached: hedged at another one or unwound, within the time budget.
    """
    played = in_a_gap("down")
    down = [one for one in played.reports if one.reason == "down"]
    assert down
    for one in down:
        assert played.events(one.client_id)[-1] in ("hedged", "flat")
        assert {"hedge", "unwind"} & set(played.events(one.client_id)) or played.events(one.client_id) == ["flat"]
    print(f"{played.outcome.worst_naked_usd_s:.0f} USD x s, mended after {played.outcome.recovered_s} s")
