"""A Sink that remembers, for tests of feeds: what was put, what was rejected, and a way to wait for either."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import numpy as np

from connectors.events import NAN, Flag, Health, Kind, Row, Why
from connectors.instruments import Instrument
from connectors.ports import FeedSetup, Level
from connectors.standing import Standing
from tests.servers.venue import PATIENCE_S, VenueServer

_PRICELESS = (Kind.HEALTH, Kind.SESSION, Kind.ACTION)


class Heard:
    """Everything that a feed said."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.details: dict[tuple[str, str], str] = {}
        self.standing = Standing()
        self.offsets: dict[str, tuple[float, float]] = {}
        self.levels: list[tuple[Sequence[Level], Sequence[Level]]] = []
        self.frames: list[tuple[str, str | bytes]] = []
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

    def depth(self, instrument: int, bids: Sequence[Level], asks: Sequence[Level], *, ts_venue: int = 0) -> None:
        """Remembers the levels; the row's `extra` is their place."""
        self.levels.append((bids, asks))
        (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
        self.put(
            Kind.DEPTH, instrument, ts_venue=ts_venue, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size,
            extra=float(len(self.levels) - 1),
        )  # fmt: skip

    def against(self, instruments: Iterable[int], why: Why) -> None:
        """Remembers a change of state as a HEALTH row."""
        for number, (state, worst) in self.standing.against(instruments, why):
            self.put(Kind.HEALTH, number, bid=float(state), ask=float(worst))

    def cleared(self, instruments: Iterable[int], why: Why) -> None:
        """Remembers a change of state as a HEALTH row."""
        for number, (state, worst) in self.standing.cleared(instruments, why):
            self.put(Kind.HEALTH, number, bid=float(state), ask=float(worst))

    def clock(self, venue: str, offset_s: float, error_s: float) -> None:
        """Remembers the newest offset of a venue."""
        self.offsets[venue] = (offset_s, error_s)
        self._changed.set()

    def frame(self, venue: str, data: str | bytes) -> None:
        """Remembers a raw message."""
        self.frames.append((venue, data))
        self._changed.set()

    def reject(self, venue: str, reason: str, detail: str = "") -> None:
        """Remembers one rejected message."""
        self.rejected[venue, reason] += 1
        self.details[venue, reason] = detail
        self._changed.set()

    def quotes(self, instrument: int) -> list[Row]:
        """Rows of an instrument that carry a price."""
        return [row for row in self.rows if row.instrument == instrument and row.kind not in _PRICELESS]

    def health(self, instrument: int) -> list[Health]:
        """The states of an instrument, in order."""
        return [Health(int(row.bid)) for row in self.rows if row.instrument == instrument and row.kind is Kind.HEALTH]

    def why(self, instrument: int) -> list[Why]:
        """The worst reason behind each of these states."""
        return [Why(int(row.ask)) for row in self.rows if row.instrument == instrument and row.kind is Kind.HEALTH]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something to be heard. Raises TimeoutError when it is not."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def no_wait(_: float) -> None:
    """A door to wait through that is always open: back-off without time, one turn of the loop."""
    await asyncio.sleep(0)


def setup_for(
    server: VenueServer,
    *instruments: Instrument,
    sleep: Callable[[float], Awaitable[None]] = no_wait,
    **more: Any,
) -> FeedSetup:
    """What a feed of a local venue is given; back-off costs no time where `sleep` is not said."""
    venue = instruments[0].venue
    given: dict[str, Any] = {"clock": time.time_ns, "monotonic": time.monotonic, "url": server.url, **more}
    return FeedSetup(venue=venue, instruments=instruments, sleep=sleep, rng=np.random.default_rng(1), **given)
