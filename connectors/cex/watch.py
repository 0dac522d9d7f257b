"""Asks a venue's REST side beside its stream: is the book that we hear the venue's own, does it trade, what time is it.

A stream that repeats old data in new envelopes looks alive by every measure of its own; the venue's snapshot tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import aiohttp

from connectors.cex.compare import Window, pause
from connectors.cex.listener import Listener
from connectors.cex.stream import Stream
from connectors.errors import ConnectorError
from connectors.offset import offset
from connectors.ports import Finding, Sink

TRIES: Final = 2
"""Snapshots in a row where the stream has not been, before it is disbelieved: one alone may come out of a cache."""

SETTLE_S: Final = 1.0
"""So long a stream may lag behind the venue's snapshot; venues batch updates by 10 to 250 ms."""

SLACK: Final = 1e-4
"""Of the price, by which a snapshot may lie outside of what the stream said meanwhile."""


VENUE: Final = ""
"""Stands for the venue itself among its symbols."""


class Desk(Protocol):
    """The REST side of one venue. Every call may raise a ConnectorError."""

    async def top(self, session: aiohttp.ClientSession, stream: Stream) -> tuple[float, float]:
        """Best bid and ask of the venue's own snapshot."""

    async def statuses(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> dict[str, tuple[bool, str]]:
        """By venue symbol, and for the whole venue under VENUE: whether it trades, and the venue's word for it.

        Empty where the stream says it.
        """

    async def now(self, session: aiohttp.ClientSession) -> int:
        """The venue's time, ns UTC; 0 where the stream is the better clock."""

    async def findings(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> tuple[Finding, ...]:
        """What a probe finds."""


class Watch:
    """One round after each begun life, and one every `every_s` seconds."""

    def __init__(self, venue: str, desk: Desk, clock: Callable[[], int], every_s: float) -> None:
        """`every_s` = inf: no comparisons, and rounds only when a life begins."""
        self.rounds = 0
        """Rounds that were gone to the end."""
        self._venue, self._desk, self._clock = venue, desk, clock
        self._every_s = every_s
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Something has changed: go a round now."""
        self._awake.set()

    async def run(self, sink: Sink, listeners: Sequence[Listener]) -> None:
        """Round after round, until cancelled; what a call runs into is counted, and the stream goes on."""
        async with aiohttp.ClientSession() as session:
            await self._awake.wait()
            while True:
                self._awake.clear()
                for step in (self._time, self._statuses, self._compare_all):
                    try:
                        await step(session, sink, listeners)
                    except ConnectorError as error:
                        sink.reject(self._venue, "rest_failed", str(error))
                self.rounds += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self._every_s == float("inf") else self._every_s):
                        await self._awake.wait()

    async def _time(self, session: aiohttp.ClientSession, sink: Sink, listeners: Sequence[Listener]) -> None:
        asked = self._clock()
        now = await self._desk.now(session)
        found = offset(asked, now, self._clock(), grain_ns=1) if now else None
        if found is not None:
            sink.clock(self._venue, *found)

    async def _statuses(self, session: aiohttp.ClientSession, sink: Sink, listeners: Sequence[Listener]) -> None:
        for listener in listeners:
            found = await self._desk.statuses(session, listener.streams)
            if VENUE in found:
                listener.venue_open(*found[VENUE])
            for stream in listener.streams:
                if stream.symbol in found:
                    listener.traded(stream, *found[stream.symbol])

    async def _compare_all(self, session: aiohttp.ClientSession, sink: Sink, listeners: Sequence[Listener]) -> None:
        for listener in listeners if self._every_s < float("inf") else ():
            for stream in listener.streams:
                try:
                    await self._compare(session, listener, stream)
                except ConnectorError as error:
                    sink.reject(self._venue, "rest_failed", f"{stream.instrument.symbol} {error}")

    async def _compare(self, session: aiohttp.ClientSession, listener: Listener, stream: Stream) -> None:
        """Asks until the snapshot and what the stream said meanwhile agree, or have disagreed too often."""
        detail = ""
        for _ in range(TRIES):
            if not stream.heard:
                return
            bid, ask = stream.book.bids.levels[0][0], stream.book.asks.levels[0][0]
            stream.window = window = Window.at(bid, ask)
            top = await self._desk.top(session, stream)
            if not window.holds(*top, slack=SLACK):
                await pause(SETTLE_S)
            if stream.window is not window:
                return  # another book by now
            stream.window = None
            if window.holds(*top, slack=SLACK):
                listener.agrees(stream)
                return
            detail = f"venue {top[0]:g} {top[1]:g}, stream {bid:g} {ask:g}"
        listener.disagrees(stream, detail)
