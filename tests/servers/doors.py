"""A door to wait through, for feeds under test: back-off costs no time, named pauses last until they are let go."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from tests.servers.venue import PATIENCE_S


class Doors:
    """`Doors(300.0, 30.0)`: whoever sleeps 300 s or 30 s waits for `let`; every other sleep is one turn of the loop."""

    def __init__(self, *paused: float) -> None:
        self.paused = frozenset(paused)
        self.waits: list[float] = []
        """What was asked for, in order."""
        self._gates: dict[float, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))
        self._asked = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """The door."""
        self.waits.append(seconds)
        self._asked.set()
        if seconds in self.paused:
            await self._gates[seconds].acquire()
        else:
            await asyncio.sleep(0)

    def let(self, *seconds: float) -> None:
        """One waiter of each of these pauses goes on; of every named pause where none is given."""
        for pause in seconds or self.paused:
            self._gates[pause].release()

    async def until(self, condition: Callable[[list[float]], bool]) -> None:
        """Waits for something to be asked for. Raises TimeoutError when it is not."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition(self.waits):
                self._asked.clear()
                await self._asked.wait()
