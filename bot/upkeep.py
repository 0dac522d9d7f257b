"""What the process itself lives on: its journal, room on the disk and open files; told before one runs out."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bot.holds import OUT_OF_FILES
from bot.inbox import Inbox
from bot.keeper import Keeper
from bot.steady import SteadyClock
from monitoring.facts import LoopState

FILES: Final = Path("/proc/self/fd")


class Upkeep:
    """Looked at with every beat of the loop; says each want once when it begins."""

    def __init__(
        self,
        keeper: Keeper,
        inbox: Inbox,
        *,
        state: Path | None,
        steady: SteadyClock | None,
        warn: Callable[[str], None],
    ) -> None:
        """`state` is the folder whose disk is watched, where one is kept."""
        self.keeper, self._inbox, self._state, self._steady, self._warn = keeper, inbox, state, steady, warn
        self._told: tuple[str, ...] = ()

    def look(self) -> None:
        """Warns of what has begun to run out since the last look."""
        self.keeper.look()
        wants = self.loop_state().wants()
        for name, text in wants.items():
            if name not in self._told:
                self._warn(text)
        self._told = tuple(wants)

    def loop_state(self) -> LoopState:
        """How this process keeps up now."""
        inbox, steady = self._inbox, self._steady
        return LoopState(
            waiting=len(inbox),
            superseded=inbox.superseded,
            dropped=inbox.let_go,
            clock_apart_s=steady.apart_s if steady is not None else 0.0,
            journal_error=self.keeper.failed,
            journal_waiting=self.keeper.journal.waiting(),
            journal_behind_s=self.keeper.behind_s,
            disk_free_ratio=None if self._state is None else free_ratio(self._state),
            open_files_ratio=files_ratio(),
        )


def unless_files(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handles what nobody awaits: that a caller cannot be let in for want of files is told once, by `Upkeep`, and not a
    hundred times a second."""
    error = context.get("exception")
    if not (isinstance(error, OSError) and error.errno in OUT_OF_FILES):
        loop.default_exception_handler(context)


def free_ratio(folder: Path) -> float | None:
    """Share of a folder's file system that we may still fill; None where the system does not say."""
    with suppress(OSError):
        found = os.statvfs(folder)
        if found.f_blocks:
            return found.f_bavail / found.f_blocks
    return None


def files_ratio() -> float | None:
    """Share of the files and sockets that this process may have open that it has; None where that is not known."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed <= 0 or not FILES.is_dir():
        return None
    try:
        return min(1.0, len(os.listdir(FILES)) / allowed)
    except OSError:  # not even the folder that lists them can be opened
        return 1.0
