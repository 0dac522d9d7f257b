"""What the process itself lives on: told once when it begins to run out, and again only after it was well."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from bot.inbox import Inbox
from bot.journal import Journal
from bot.keeper import Keeper
from bot.upkeep import Upkeep, files_ratio, unless_files
from connectors.instruments import Instrument, Role, Universe
from monitoring.facts import LoopState
from tests.faults.test_disk import held

UNIVERSE = Universe((Instrument(venue="a", symbol="S", role=Role.SHARE, underlying="S"),))


def test_a_want_is_said_once_each_time_that_it_begins(tmp_path: Path) -> None:
    """
    The disk hangs for three looks, moves, and hangs again: two sentences.
    """
    now, said = [0.0], list[str]()
    with Journal(tmp_path / "j.db") as journal:
        inbox = Inbox(UNIVERSE, clock=lambda: 1, timer_s=1.0)
        keeper = Keeper(journal, lambda: now[0])
        upkeep = Upkeep(keeper, inbox, state=tmp_path, steady=None, warn=said.append)
        for _ in range(2):
            with held(tmp_path / "j.db"):
                upkeep.look()
                keeper.append("step", 1, b"x")
                for _ in range(3):
                    now[0] += 3.0
                    upkeep.look()
            journal.flush()
            upkeep.look()
    assert 2 == len([text for text in said if "the disk hangs: 1 records wait" in text])


def test_what_is_well_is_not_said() -> None:
    """
    At a tenth left nothing is lacking; below it is, and a journal that has failed is said instead of its waiting.
    """
    assert {} == LoopState(disk_free_ratio=0.1, open_files_ratio=0.9, journal_behind_s=2.0).wants()
    assert {"disk", "files", "slow"} == set(
        LoopState(disk_free_ratio=0.09, open_files_ratio=0.91, journal_behind_s=2.1).wants()
    )
    assert ["journal"] == list(LoopState(journal_error="full", journal_behind_s=9.0).wants())


def test_open_files_are_counted() -> None:
    """
    More open files are a larger share of those that are allowed.
    """
    before = files_ratio()
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
    after = files_ratio()
    for one in opened:
        os.close(one)
    assert before is not None and after is not None and before < after <= 1.0


class Loop:
    """Keeps what it was told to handle itself."""

    def __init__(self) -> None:
        self.handled: list[object] = []

    def default_exception_handler(self, context: dict[str, object]) -> None:
        """Kept."""
        self.handled.append(context["exception"])


def test_only_the_want_of_files_is_not_told_by_the_loop() -> None:
    """
    Any other error that nobody awaits is told as ever.
    """
    loop, other = Loop(), OSError(errno.EIO, "x")
    for error in (OSError(errno.EMFILE, "x"), other, OSError(errno.ENFILE, "x")):
        unless_files(loop, {"exception": error})  # type: ignore[arg-type]
    assert [other] == loop.handled
