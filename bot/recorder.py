"""Keeps every row that passed the door on a tape, overtaken ones and levels too; writes in a thread, once a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, Protocol

from bot.frames import Frames
from connectors.errors import TapeError
from connectors.events import Kind, Rows
from connectors.ports import Levels

HELD_ROWS: Final = 2_000_000
"""Rows that may wait for a slow disk, 130 MB; more of them are dropped and counted."""


class Writer(Protocol):
    """What a recorder needs of a tape (connectors.tape: DayWriter, TapeWriter)."""

    def append(self, rows: Rows, levels: Mapping[int, Levels] | None = None) -> None:
        """Takes rows, and the levels of their DEPTH rows by `extra`."""

    def flush(self) -> None:
        """Makes them durable."""

    def close(self) -> None:
        """Ends the tape."""


class Recorder:
    """Stands at the inbox as a tap; the disk never holds up the loop."""

    def __init__(
        self,
        writer: Writer,
        *,
        sleep: Callable[[float], Awaitable[None]],
        levels: Mapping[int, Levels] | None = None,
        frames: Frames | None = None,
        flush_s: float = 1.0,
        held_rows: int = HELD_ROWS,
    ) -> None:
        """`sleep` is the door to wait through; at most `flush_s` seconds of rows are lost with the process.

        `levels` is the inbox's table of what DEPTH rows hold; `frames` keeps raw messages, where somebody asked for it.
        """
        self.rows = 0
        """Rows that are on disk."""
        self.dropped: Counter[tuple[int, str]] = Counter()
        """Rows that are on no tape, by instrument and reason: the disk was behind, or it refused."""
        self.error: TapeError | None = None
        """What the disk said when it refused; nothing is taken any more."""
        self._writer = writer
        self._sleep = sleep
        self._flush_s = flush_s
        self._levels: Mapping[int, Levels] = {} if levels is None else levels
        self._frames = frames
        self._held: list[Rows] = []
        self._books: dict[int, Levels] = {}
        self._held_rows = held_rows
        self._waiting = 0
        self._writing = asyncio.Lock()

    def append(self, rows: Rows) -> None:
        """Takes a block; never waits."""
        if self.error is not None or self._waiting + len(rows) > self._held_rows:
            self._drop(rows, "disk_refused" if self.error else "disk_behind")
            return
        self._held.append(rows)
        self._waiting += len(rows)
        if self._levels:
            for key in rows.extra[rows.kind == Kind.DEPTH].tolist():
                if key in self._levels:
                    self._books[int(key)] = self._levels[int(key)]

    async def run(self) -> None:
        """Writes what was taken, every `flush_s`, until cancelled. Raises TapeError when the disk refuses."""
        while True:
            await self._sleep(self._flush_s)
            await self.flush()

    async def flush(self) -> None:
        """Makes everything taken so far durable. Raises TapeError when the disk refuses."""
        async with self._writing:
            await self._write()

    async def close(self) -> None:
        """Writes the rest and ends the tape. Raises TapeError, once."""
        refused = self.error is not None
        async with self._writing:
            try:
                if not refused:
                    await self._write()
            finally:
                try:
                    await asyncio.to_thread(_said, self._writer.close)
                except TapeError:
                    if self.error is None:
                        raise

    async def _write(self) -> None:
        """Hands what was taken to a thread and waits for it."""
        held, self._held = self._held, []
        books, self._books = self._books, {}
        frames = self._frames.take() if self._frames is not None else {}
        if not (held or frames):
            return
        rows = Rows.join(held)
        writing = asyncio.ensure_future(asyncio.to_thread(_said, partial(self._put, rows, books, frames)))
        try:
            try:
                await asyncio.shield(writing)
            finally:
                # A thread cannot be cancelled: whoever stops us waits for it, or two would write one tape.
                await writing
        except TapeError as error:
            self.error = error
            for lost in (rows, *self._held):
                self._drop(lost, "disk_refused")
            self._held = []
            raise
        finally:
            self._waiting -= len(rows)
        self.rows += len(rows)

    def _drop(self, rows: Rows, reason: str) -> None:
        for number in rows.instrument.tolist():
            self.dropped[number, reason] += 1

    def _put(
        self, rows: Rows, books: Mapping[int, Levels], frames: Mapping[str, list[tuple[int, str | bytes]]]
    ) -> None:
        if frames and self._frames is not None:
            self._frames.write(frames)
        self._writer.append(rows, books)
        self._writer.flush()


def _said(write: Callable[[], None]) -> None:
    """Writes; what the system refuses besides (a folder that cannot be opened) is the disk's refusal too."""
    try:
        write()
    except OSError as error:
        raise TapeError(f"the disk refuses: {error.strerror}", where=str(error.filename or "")) from error
