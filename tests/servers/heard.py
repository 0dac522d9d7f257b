"""A Sink that remembers, for tests of feeds: what was put, what was rejected, and a way to wait for either."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from connectors.events import NAN, Flag, Kind, Row
from tests.servers.venue import PATIENCE_S


class Heard:
    """Everything that a feed said."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.details: dict[tuple[str, str], str] = {}
        self._changed = asyncio.Event()

    def put(
        self,
        kind: Kind,
        instrument: int,
        *,
        ts_venue: int = 0,
        bid: float = NAN,
        ask: float = NAN,
        bid_size: float = NAN,
        ask_size: float = NAN,
        extra: float = NAN,
        flags: int = 0,
    ) -> None:
        """Remembers one row; the receive time is its position."""
        row = Row(
            ts_recv=len(self.rows),
            instrument=instrument,
            kind=kind,
            ts_venue=ts_venue,
            flags=Flag(flags),
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            extra=extra,
        )
        self.rows.append(row)
        self._changed.set()

    def reject(self, venue: str, reason: str, detail: str = "") -> None:
        """Remembers one rejected message."""
        self.rejected[venue, reason] += 1
        self.details[venue, reason] = detail
        self._changed.set()

    def quotes(self, instrument: int) -> list[Row]:
        """Rows of an instrument that carry a price."""
        return [row for row in self.rows if row.instrument == instrument and row.kind is not Kind.HEALTH]

    def health(self, instrument: int) -> list[float]:
        """Ups (1) and downs (0) of an instrument."""
        return [row.bid for row in self.rows if row.instrument == instrument and row.kind is Kind.HEALTH]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something to be heard. Raises TimeoutError when it is not."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def no_wait(_: float) -> None:
    """A door to wait through that is always open: back-off without time, one turn of the loop."""
    await asyncio.sleep(0)
