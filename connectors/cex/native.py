"""A feed over a venue's own websockets, made of what the venue's file gives: wires, and a REST side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from connectors.cex.listener import Listener
from connectors.cex.stream import Stream, Talk
from connectors.cex.watch import Desk, Watch
from connectors.errors import ConnectorError
from connectors.instruments import Instrument
from connectors.ports import FeedSetup, Finding, Sink
from connectors.socket import Line

_HOST: Final = re.compile(r"^(http|ws)(s?)://[^/]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One websocket of a venue and what is heard over it."""

    line: Line
    talk: Talk
    streams: tuple[Stream, ...]


class NativeFeed:
    """A Feed of order books, frame by frame; it can be probed."""

    def __init__(
        self,
        setup: FeedSetup,
        desk: Desk,
        wires: Callable[[FeedSetup, Mapping[str, int], int], Sequence[Wire]],
        depth: int,
    ) -> None:
        """`wires` makes the venue's websockets for the instruments of `setup`, given their numbers and a depth."""
        self.listeners: tuple[Listener, ...] = ()
        """One for each websocket, once it runs."""
        self._setup = setup
        self._desk = desk
        self._wires, self._depth = wires, depth

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""
        return self._setup.venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._setup.instruments

    def count(self, name: str) -> int:
        """Sum over the websockets: frames or lives."""
        return sum(int(getattr(listener.socket, name)) for listener in self.listeners)

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams until cancelled. Raises a ConnectorError that says STOP_VENUE when no websocket is left."""
        setup = self._setup
        wires = self._wires(setup, numbers, self._depth)
        watch = Watch(setup.venue, self._desk, setup.clock, setup.compare_s)
        self.listeners = tuple(Listener(setup, w.line, w.talk, w.streams, sink, watch.wake) for w in wires)
        # One group: a fault of whoever compares the books ends the feed, and no book is believed unwatched.
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch.run(sink, self.listeners))
            ends = await asyncio.gather(*(listener.run() for listener in self.listeners))
            watching.cancel()
        raise ends[0]

    async def probe(self) -> tuple[Finding, ...]:
        """Asks the venue's REST side once about time, symbols, statuses, fees and the rate budget."""
        numbers = {i.name: at for at, i in enumerate(self._setup.instruments)}
        wires = self._wires(self._setup, numbers, self._depth)
        streams = tuple(stream for wire in wires for stream in wire.streams)
        async with aiohttp.ClientSession() as session:
            try:
                return await self._desk.findings(session, streams)
            except ConnectorError as error:
                return (Finding(what="reachable", ok=False, detail=str(error), hint=error.hint),)


def addressed(address: str, base: str) -> str:
    """An address of the venue, on the host of `base` (`http://host:port`) where that is given."""
    if not base:
        return address
    return re.sub(r"^http", _HOST.match(address)[1], base.rstrip("/")) + _HOST.sub("", address)  # type: ignore[index]


def depth_of(setup: FeedSetup, offered: Sequence[int]) -> int:
    """Levels to subscribe to: `options.depth`, or else the fewest on offer that hold the DEPTH rows that are wanted.

    Raises ValueError where `options.depth` is not on offer.
    """
    if (said := setup.options.get("depth")) is not None:
        return offered[offered.index(int(said))]
    wanted = setup.depth_levels if setup.depth_every_s < float("inf") else 1
    return next((depth for depth in offered if depth >= wanted), offered[-1])
