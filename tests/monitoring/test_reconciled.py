"""Accounts against the books: metrics, lines of the story, and what the page says is wrong."""

from __future__ import annotations

import pytest

from connectors.events import NS
from monitoring.facts import AccountState
from monitoring.reconciled import samples, told, troubles
from strategies.base import Note

STATES = (
    AccountState(venue="a", as_of_ns=9 * NS, equal_ns=9 * NS, differences=0),
    AccountState(venue="b", as_of_ns=9 * NS, equal_ns=0, differences=2),
)


def test_each_account_has_its_differences_and_the_moment_of_its_last_agreement() -> None:
    """
    One is equal as of second 9; the other never was, so it has no moment.
    """
    found = samples(STATES)
    assert [(("a",), 0.0), (("b",), 2.0)] == found["reconcile_differences"]
    assert [(("a",), 9.0)] == found["reconcile_last_success_timestamp_seconds"]


def test_only_what_differs_is_wrong() -> None:
    """
    One line, with the venue.
    """
    (line,) = troubles(STATES)
    assert "b differ (2)" in line and "pegline reconcile" in line


@pytest.mark.parametrize(("before", "state", "said"), [("", "equal", "a and the books agree"), ("equal", "equal", ""),
                                                       ("equal", "differ", "a and the books differ"),
                                                       ("differ", "equal", "a and the books agree")])  # fmt: skip
def test_the_story_tells_only_changes(before: str, state: str, said: str) -> None:
    """
    That a venue stands as it stood is no news.
    """
    text, _ = told(Note(kind="books", detail={"venue": "a", "before": before, "state": state}))
    assert bool(said) == bool(text) and text.startswith(said)


def test_a_difference_and_an_adjustment_are_told_with_their_words() -> None:
    """
    Evidence of the one, who and why of the other.
    """
    note = Note(kind="difference", detail={"venue": "a", "what": "unknown_order", "subject": "x", "evidence": "seen"})
    assert ("a: unknown order x: seen", "bad") == told(note)
    detail: dict[str, float | str] = {"venue": "a", "subject": "T", "amount": "-4", "by": "ann", "reason": "sold"}
    assert ("a: T adjusted by -4; ann: sold", "plain") == told(Note(kind="adjust", detail=detail))
