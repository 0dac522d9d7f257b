"""Fencing: each start is counted on disk, stands in the client ids of its orders, and those are known after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.fence import FILE, next_fence
from connectors.client_ids import client_id, fence_of
from connectors.errors import DataError
from tests.bot.test_trades import Ran

FENCE = "3f09ab00002"


def test_every_start_is_counted_and_the_name_stays(tmp_path: Path) -> None:
    """
    1, 2, 3 under one name; another folder has another name.
    """
    starts = [next_fence(tmp_path, 1) for _ in range(3)]
    assert [1, 2, 3] == [one.start for one in starts]
    (tmp_path / "other").mkdir()
    assert 2 == len({one.installation for one in (*starts, next_fence(tmp_path / "other", 1))})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"installation": "abcdef"}', '{"installation": "a", "start": 1}',
                                  '{"installation": "abcdef", "start": -1}',
                                  '{"installation": "abcdef", "start": 1048575}'])  # fmt: skip
def test_a_count_that_cannot_be_read_stops_the_start(tmp_path: Path, text: str) -> None:
    """
    Torn, foreign or full: a start that might use old ids again does not begin, and the file is left as it is.
    """
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DataError):
        next_fence(tmp_path, 1)
    assert text == (tmp_path / FILE).read_text()


def test_orders_carry_the_fence_of_their_start_and_trades_end_as_ever() -> None:
    """
    A leg that is refused is hedged under an id of this start; the venue knows short ids, the record the intents.
    """
    ran = Ran({client_id("t", 1, FENCE): ["refuse"]}, fence=FENCE).until(3)
    assert [client_id("t", 0, FENCE), client_id("t", 1, FENCE), client_id("t.h1", 0, FENCE)] == list(ran.venue.sent)
    assert [FENCE] == [note.detail["fence"] for note in ran.notes("start")]
    assert {"t", "t.h1"} == {report.intent_id for step in ran.steps for report in step.reports}
    assert ["hedge", "hedged"] == ran.stages("t")
    assert ran.over()


def test_an_order_of_an_earlier_start_is_asked_about_by_its_own_id() -> None:
    """
    The answer was lost with the process: the next start, with a fence of its own, asks by the id that was sent.
    """
    first = Ran({client_id("t", 1, FENCE): ["silence", "later:", "fill"]}, fence=FENCE).until(1.5)
    again = Ran(venue=first.venue, earlier=first.steps, wishes={}, fence="3f09ab00003").until(4)
    assert client_id("t", 1, FENCE) in again.venue.asked
    assert ["hedged"] == again.stages("t")
    assert {2} == {fence.start for id in again.venue.sent if (fence := fence_of(id))}


def test_without_a_fence_ids_are_those_of_the_strategies() -> None:
    """
    In a replay nothing leaves: ids and the first record stay as they are.
    """
    ran = Ran().until(3)
    assert ["t-0", "t-1"] == list(ran.venue.sent)
    assert "fence" not in ran.notes("start")[0].detail
