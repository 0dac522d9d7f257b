"""The session table: what it answers inside, at its edges and outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import DataError
from connectors.events import NEVER
from strategies.market.session import Session, SessionTable

TABLE = SessionTable(np.array([100, 200, 350]), np.array([Session.PRE, Session.REGULAR, Session.POST]), 400)


def test_a_span_holds_its_start_and_not_its_end():
    """
    Sessions are half-open: to the nanosecond, the next session begins where the last one ends.
    """
    assert [Session.PRE, Session.PRE, Session.REGULAR] == [TABLE.at(100), TABLE.at(199), TABLE.at(200)]


def test_outside_the_table_nothing_is_known():
    """
    Before the first span and from `until` on the session is UNKNOWN, so that callers fail closed.
    """
    assert [Session.UNKNOWN, Session.POST, Session.UNKNOWN] == [TABLE.at(99), TABLE.at(399), TABLE.at(400)]


def test_next_change_names_every_edge_and_then_never():
    """
    The next change is strictly later; the end of the table is one; after it there is none.
    """
    assert [100, 200, 350, 400, NEVER] == [TABLE.next_change(ns) for ns in (-5, 100, 349, 350, 400)]


@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(90, 410), max_size=30))
def test_many_moments_at_once_equal_one_by_one(moments):
    """
    The vectorised look-up gives what the single one gives, everywhere.
    """
    assert [TABLE.at(ns) for ns in moments] == TABLE.codes_at(np.array(moments, dtype=np.int64)).tolist()


@pytest.mark.parametrize(
    ("starts", "codes", "until"),
    [
        ([], [], 5),
        ([1, 1], [0, 1], 5),
        ([1, 9], [0, 1], 9),
        ([1], [0, 1], 9),
        ([1, 2], [0, 6], 9),
        ([1, 2], [0, -1], 9),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(starts, codes, until):
    """
    Empty, unordered, uneven tables and codes that are no session raise DataError.
    """
    with pytest.raises(DataError):
        SessionTable(np.array(starts, dtype=np.int64), np.array(codes, dtype=np.int64), until)


def test_the_table_cannot_be_changed():
    """
    The arrays that are handed down are read-only: nobody moves a session by accident.
    """
    with pytest.raises(ValueError, match="read-only"):
        TABLE.starts[0] = 1
