"""Keeps every row that passed the door on a tape, overtaken ones included; writes in a thread, once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from connectors.events import Rows


class Writer(Protocol):
    """What a recorder needs of a tape (connectors.tape.TapeWriter)."""

    def append(self, rows: Rows) -> None:
        """Takes rows."""

    def flush(self) -> None:
        """Makes them durable."""

    def close(self) -> None:
        """Ends the tape."""


class Recorder:
    """Stands at the inbox as a tap; the disk never holds up the loop."""

    def __init__(self, writer: Writer, *, sleep: Callable[[float], Awaitable[None]], flush_s: float = 1.0) -> None:
        """`sleep` is the door to wait through; at most `flush_s` seconds of rows are lost with the process."""
        self.rows = 0
        """Rows that are on disk."""
        self._writer = writer
        self._sleep = sleep
        self._flush_s = flush_s
        self._held: list[Rows] = []
        self._writing = asyncio.Lock()

    def append(self, rows: Rows) -> None:
        """Takes a block; never waits."""
        self._held.append(rows)

    async def run(self) -> None:
        """Writes what was taken, every `flush_s`, until cancelled. Raises TapeError when the disk refuses."""
        while True:
            await self._sleep(self._flush_s)
            await self.flush()

    async def flush(self) -> None:
        """Makes everything taken so far durable. Raises TapeError when the disk refuses."""
        async with self._writing:
            held, self._held = self._held, []
            if not held:
                return
            rows = Rows.join(held)
            writing = asyncio.ensure_future(asyncio.to_thread(self._write, rows))
            try:
                await asyncio.shield(writing)
            finally:
                # A thread cannot be cancelled: whoever stops us waits for it, or two would write one tape.
                await writing
                self.rows += len(rows)

    async def close(self) -> None:
        """Writes the rest and ends the tape. Raises TapeError."""
        await self.flush()
        async with self._writing:
            await asyncio.to_thread(self._writer.close)

    def _write(self, rows: Rows) -> None:
        self._writer.append(rows)
        self._writer.flush()
