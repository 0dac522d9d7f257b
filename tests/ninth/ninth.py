"""Ninth's order books: lists instead of objects, a decimal comma, sizes in hundred-millionths, lower-case symbols.

A message of changes carries the number of the message before it; a number grows by how many levels a message changes.
The venue greets with a count now and then and hangs up on who does not answer with the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from connectors.cex.ladder import Ladder, Side
from connectors.cex.native import NativeFeed, Wire, addressed
from connectors.cex.stream import Stream, Told
from connectors.errors import BadMessage
from connectors.poll import Poll
from connectors.ports import Feed, FeedSetup, Finding
from connectors.socket import Line


def feed(setup: FeedSetup) -> Feed:
    """A feed of the books of `setup`, whose symbols are spelt as in `tslax_usd`."""
    return NativeFeed(setup, NinthDesk(setup), wires, 0)


def wires(setup: FeedSetup, numbers: Mapping[str, int], depth: int) -> tuple[Wire, ...]:
    """One websocket for all books."""
    streams = tuple(Stream(i, numbers[i.name], i.symbol, Ladder()) for i in setup.instruments)
    talk = NinthTalk(streams)
    url = addressed("wss://ninth.example/talk", setup.url)
    line = Line(venue=setup.venue, url=url, hello=talk.hello(), first_message_s=setup.first_message_s)
    return (Wire(line=line, talk=talk, streams=streams),)


class NinthTalk:
    """How the venue's websocket is spoken."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        """Books of some symbols."""
        self._streams = {stream.symbol: stream for stream in streams}

    def hello(self) -> tuple[str, ...]:
        """One line for each book."""
        return tuple(f"follow {symbol}" for symbol in self._streams)

    def anew(self, stream: Stream) -> tuple[str, ...]:
        """Whoever follows again gets the whole book again."""
        return (f"follow {stream.symbol}",)

    def ping(self) -> str:
        """The venue has none."""
        return ""

    def read(self, data: str | bytes, told: Told) -> None:
        """Takes one message; raises nothing, whatever it is."""
        try:
            message = msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            told.refuse("not_json", str(error))
            return
        match message:
            case ["count", int(number)]:
                told.say(f"count {number + 1}")
            case ["unknown", str(symbol)] if symbol in self._streams:
                told.unlisted(self._streams[symbol], "the venue does not know it")
            case ["whole" | "change", str(symbol), int(before), list(levels)] if symbol in self._streams:
                self._book(self._streams[symbol], message[0] == "whole", before, levels, told)
            case _:
                told.refuse("wrong_type", str(message)[:80])

    def _book(self, stream: Stream, whole: bool, before: int, levels: list[Any], told: Told) -> None:
        if whole:
            stream.book.clear()
            stream.synced = True
        elif not stream.synced:
            told.refuse("before_snapshot", stream.symbol)
            return
        elif before != stream.update:
            told.lost(stream, "gap", f"{before} after {stream.update}")
            return
        stream.update = before + len(levels)
        for level in levels:
            if trouble := _change(stream.book, level):
                told.lost(stream, trouble)
                return
        told.book(stream, 0)


def _change(book: Ladder, level: Any) -> str:
    """Sets one level; gives the reason where it is none."""
    match level:
        case ["b" | "s" as letter, str(price), int(size)]:
            side: Side = book.bids if letter == "b" else book.asks
        case _:
            return "wrong_type"
    try:
        value = float(price.replace(",", "."))
        units = size / 1e8
    except (ValueError, OverflowError):
        return "wrong_type"
    if not 0.0 < value < float("inf"):
        return "not_positive" if value <= 0.0 else "not_finite"
    if units < 0.0:
        return "negative_size"
    side.set(value, units)
    return ""


class NinthDesk:
    """The venue's REST side: a book, and nothing else."""

    def __init__(self, setup: FeedSetup) -> None:
        """Calls go to `setup.url`."""
        self._url = addressed("https://ninth.example", setup.url)
        self._venue = setup.venue
        self._poll = Poll(setup.venue, clock=setup.clock, rng=setup.rng, sleep=setup.sleep, per_period=10)

    async def top(self, session: aiohttp.ClientSession, stream: Stream) -> tuple[float, float]:
        """Best bid and ask."""
        body = await self._poll.get(session, f"{self._url}/book/{stream.symbol}")
        try:
            bid, ask = msgspec.json.decode(body, type=tuple[str, str])
            return float(bid.replace(",", ".")), float(ask.replace(",", "."))
        except (msgspec.MsgspecError, UnicodeError, ValueError) as error:
            raise BadMessage(f"an answer that cannot be read: {error}", where=self._venue) from error

    async def statuses(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> dict[str, tuple[bool, str]]:
        """The venue never closes."""
        return {}

    async def now(self, session: aiohttp.ClientSession) -> int:
        """The venue tells no time."""
        return 0

    async def findings(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> tuple[Finding, ...]:
        """Which symbols have a book."""
        found = []
        for stream in streams:
            try:
                await self.top(session, stream)
                found.append(Finding(what="symbol", subject=stream.symbol, ok=True, detail="listed"))
            except BadMessage as error:
                found.append(Finding(what="symbol", subject=stream.symbol, ok=False, detail=str(error)))
        return tuple(found)
