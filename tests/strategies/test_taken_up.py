"""Trades of an earlier run: what they wait for, how long, and what nobody else need wait for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.events import NEVER, NS
from connectors.orders import Outcome
from strategies.base import View
from strategies.execution.saga import Stage
from strategies.execution.trades import Thought, Trades
from tests.strategies.test_all_trades import RULES, half, noted, said, trades
from tests.strategies.test_exits import CLOSED, exits, market
from tests.strategies.test_risk import NOW, A, B, Case, P, intent, quote
from tests.strategies.test_risk import S as SHARE

LATE = NOW + 61 * NS
"""No quote of `Case` counts any more."""
LAST = LATE + RULES.page_after_ns


def taken_up(stage: Stage = Stage.HEDGE) -> Trades:
    """A trade whose sale was refused, in a stage, after a restart."""
    kept = half()
    if stage is not Stage.LEGS:
        kept.noted(noted(stage=stage.value), NOW)
    kept.taken_up()
    return kept


def silent(now: int = LATE) -> View:
    """All quotes are old."""
    view = Case(at=LATE).view()
    return View(view.columns, view.ledger, now, ("S",))


@pytest.mark.parametrize("stage", [Stage.HEDGE, Stage.UNWIND])
def test_a_trade_is_not_repaired_while_nobody_quotes_its_share(stage: Stage) -> None:
    """
    Its tries would be spent on nothing: it waits, as long as an order may lack its answer, from the first look on.
    """
    kept = taken_up(stage)
    for now in (LATE, LATE + 1, LAST - 1):
        assert Thought() == kept.think(silent(now))
    assert ["no_offer"] == [note.detail["event"] for note in kept.think(silent(LAST)).notes]


def test_a_trade_is_repaired_at_the_first_quote_of_its_share() -> None:
    """
    The share is quoted: the hedge leaves at the first look.
    """
    assert ["x-1.h1"] == [wish.id for wish in taken_up().think(Case().view()).wishes]


def test_what_only_needs_its_books_waits_for_no_quote() -> None:
    """
    A leg fell short before the restart: that is noted at once, though no quote counts.
    """
    assert ["hedge"] == [note.detail["stage"] for note in taken_up(Stage.LEGS).think(silent()).notes]


def test_a_trade_of_this_run_waits_for_none_of_an_earlier_one() -> None:
    """
    The earlier trade waits for a quote; the new one of the same share is told that nothing can be sent.
    """
    kept = taken_up()
    half(id="x-2", kept=kept)
    kept.noted(noted("x-2", stage="hedge"), NOW)
    assert [("x-2", "no_offer")] == [
        (note.detail["trade"], note.detail["event"]) for note in kept.think(silent()).notes
    ]


def test_only_a_trade_that_waits_for_a_quote_is_looked_at_again_after_a_pause() -> None:
    """
    Nothing else would wake it: the next look is after the wait of a try; one of this run, or one that is not being
    repaired, needs none.
    """
    again = NOW + RULES.wait_ns
    assert again == taken_up().due(NOW, asked=False)
    fresh = half()
    fresh.noted(noted(stage="hedge"), NOW)
    assert again < fresh.due(NOW, asked=False)
    assert again < taken_up(Stage.LEGS).due(NOW, asked=False)


@pytest.mark.parametrize(
    ("case", "share", "quoted"),
    [
        (market(), "S", True),
        (market(quote(A, 99.9, 100.0, at=LATE), at=LATE), "S", True),
        (market(at=LATE), "S", False),
        (market(facts={number: CLOSED for number in (A, B, P)}), "S", False),
    ],
    ids=["all", "one of them", "all are old", "none is traded"],
)
def test_a_share_is_quoted_where_one_quote_of_what_is_traded_counts(case: Case, share: str, quoted: bool) -> None:
    """
    One instrument is enough; an old quote, or one of what is not traded, is none.
    """
    assert quoted is exits(case).quoted(case.view(), share)


# --- questions


def test_the_first_question_after_a_restart_is_noted_as_any_first_one() -> None:
    """
    Both orders are asked about at once, at any moment, the first of time too; the next question comes after 10 s.
    """
    kept = trades()
    kept.approved(intent(), 0)
    kept.taken_up()
    asks = kept.asks(0)
    assert ((("x-1-0", A), ("x-1-1", B)), ["asked", "asked"]) == (
        asks.queries, [note.detail["event"] for note in asks.notes],
    )  # fmt: skip
    assert RULES.answer_within_ns == kept.due(0, asked=True)


def test_an_order_that_is_not_overdue_keeps_no_other_from_being_asked_about() -> None:
    """
    The purchase has its ten seconds; the sale is unknown and asked about now.
    """
    kept = trades()
    kept.approved(intent(), NOW)
    kept.heard(said("x-1-1", outcome=Outcome.UNKNOWN, final=False), NOW)
    assert (("x-1-1", B),) == kept.asks(NOW).queries


def test_the_next_look_is_the_first_of_tries_and_questions() -> None:
    """
    A hedge may be tried again after a second, an order is asked about after ten.
    """
    kept = half()
    kept.noted(noted(stage="hedge"), NOW)
    kept.noted(noted(event="no_offer", why="all down"), NOW)
    kept.approved(intent(id="x-2"), NOW)
    assert NOW + RULES.wait_ns == kept.due(NOW, asked=True)


def test_what_is_due_now_is_not_due_later() -> None:
    """
    Dust may be swept up from this moment on, and that is not to come any more.
    """
    kept = trades()
    kept.dust["S"] = Decimal(9)
    kept.swept_ns["S"] = NOW - RULES.cooldown_ns
    assert NEVER == kept.due(NOW, asked=False)


# --- what bars a new trade


def test_a_share_that_was_never_unwound_rests_at_no_moment() -> None:
    """
    Not at the first moment of time either.
    """
    assert None is trades().objection(intent(), 0)


def test_a_trade_of_another_share_hides_none_of_this_one() -> None:
    """
    The first trade is of another share, the second is being repaired: that bars the share.
    """
    kept = trades()
    kept.approved(intent(id="x-0", underlying="R"), NOW)
    half(kept=kept)
    kept.noted(noted(stage="hedge"), NOW)
    found = kept.objection(intent(id="x-2"), NOW)
    assert found is not None
    assert "x-1 must come to its end first" == found[1]


# --- what it holds


def test_open_shares_go_by_the_instrument_of_each_unit() -> None:
    """
    A unit at A is two shares and at B one: three bought at A and five to be sold at B are one share.
    """
    universe = Case().universe
    kept = Trades(universe, worth=lambda number: 2.0 if number == A else 1.0)
    kept.approved(intent(), NOW)
    kept.heard(said("x-1-0"), NOW)
    assert {("x-1", "S"): Decimal(-5)} == kept.open_shares()
    assert SHARE not in {leg.instrument for leg in kept.live_legs()}
