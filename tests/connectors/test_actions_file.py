"""The file of corporate actions: what it says, what is wrong with it and where, and what is told of it."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from connectors.equity.actions_file import LOOK_S, ActionsFile, read
from connectors.equity.corporate import Action
from connectors.errors import DataError
from connectors.events import Kind
from connectors.instruments import Instrument, Role
from tests.servers.doors import Doors
from tests.servers.heard import Heard

SPLIT = '[[action]]\nsymbol = "NVDA"\nkind = "split"\nratio = 10\nex_date = 2026-12-07\n'
DIVIDEND = (
    '# quarterly\n[[action]]  # AAPL\nsymbol = "AAPL"\nkind = "dividend"\ncash_usd = 0.26\nex_date = 2026-12-04\n'
)


def test_a_file_is_read_in_its_order(tmp_path: Path) -> None:
    """A split and a dividend, comments left out."""
    path = tmp_path / "actions.toml"
    path.write_text(SPLIT + DIVIDEND)
    split, dividend = read(path)
    assert Action("NVDA", date(2026, 12, 7), 10.0)[:3] == split[:3]
    assert ("AAPL", date(2026, 12, 4), 1.0, 0.26) == dividend


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (SPLIT + DIVIDEND.replace('"dividend"', '"bonus"'), 7, "kind is 'bonus'"),
        (DIVIDEND + SPLIT.replace("ratio", "ration"), 7, "ratio, ration"),
        (SPLIT.replace("ratio = 10", "ratio = 0"), 1, "a ratio of 0"),
        (SPLIT.replace("ratio = 10", "ratio = nan"), 1, "a ratio of nan"),
        (SPLIT.replace("ratio = 10", 'ratio = "10"'), 1, "ratio is no number"),
        (SPLIT.replace("2026-12-07", '"2026-12-07"'), 1, "ex_date is no date"),
        (SPLIT.replace("ratio = 10", "ratio = 1"), 1, "neither a ratio nor cash"),
        (DIVIDEND.replace("0.26", "-0.26"), 2, "a dividend of -0.26"),
        (SPLIT + "ratio =\n", 6, "not TOML"),
        ("[action]\nx = 1\n", 1, "actions are not written"),
        (SPLIT + "[other]\n", 1, "unknown: other"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, text: str, line: int, word: str) -> None:
    """One clear error: where, what, and what to write."""
    path = tmp_path / "actions.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read(path)
    assert f"actions.toml:{line}" == caught.value.where
    assert word in caught.value.what


async def test_its_actions_are_rows_of_the_share_and_a_later_mistake_keeps_the_last_good_file(tmp_path: Path) -> None:
    """The file changes while it runs: a new action is told, a broken file is counted, an unknown ticker too."""
    path = tmp_path / "actions.toml"
    path.write_text(SPLIT)
    shares = (
        Instrument(venue="yahoo", symbol="NVDA", role=Role.SHARE, underlying="NVDA"),
        Instrument(venue="alpaca", symbol="NVDA", role=Role.SHARE, underlying="NVDA"),
    )
    heard, doors = Heard(), Doors(LOOK_S)
    feed = ActionsFile(path, shares, sleep=doors.sleep)
    running = asyncio.create_task(feed.run(heard, {shares[0].name: 0, shares[1].name: 1}))
    await doors.until(lambda waits: len(waits) == 1)
    path.write_text("[[action]]\n")
    doors.let()
    await heard.until(lambda: ("actions_file", "bad_file") in heard.rejected)
    path.write_text(SPLIT.replace("10\n", "5\n") + DIVIDEND)
    doors.let()
    await heard.until(lambda: ("actions_file", "unknown_symbol") in heard.rejected)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [(Kind.ACTION, 0, 10.0), (Kind.ACTION, 0, 5.0)] == [
        (row.kind, row.instrument, row.bid) for row in heard.rows
    ]
