"""Share quotes, trades, halts and price bands from Alpaca: the best feed that the key may have, in the order written.

    [venues.alpaca]
    kind = "oracle"
    feed = "alpaca"
    key_file = "alpaca.key"                # key = "..." and secret = "...", one a line
    options = { feed = "sip,iex" }         # or boats, overnight, delayed_sip, test

A venue is one line of feeds in order of preference; for the overnight session write a second venue, and both are
references with names of their own. Which feeds the key may have is asked at start and again every `retry_s`; what it
may not have is told, and the next one is taken. Where none is left the instruments are down for want of entitlement,
nobody else is touched, and the question is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import aiohttp

from connectors.equity import alpaca_messages as wire
from connectors.equity import alpaca_rest as rest
from connectors.equity.alpaca_ask import Ask
from connectors.equity.alpaca_market import Market
from connectors.equity.alpaca_stream import Stream
from connectors.equity.look import Look
from connectors.errors import BadMessage, ConnectorError, EntitlementLost
from connectors.events import NS, Why
from connectors.instruments import Instrument
from connectors.offset import measured
from connectors.ports import Feed, FeedSetup, Finding, Option, Sink
from connectors.provenance import Source
from connectors.socket import Line, Socket

KEYS: Final = ("key", "secret")
"""What the key file must hold."""

STREAM: Final = "wss://stream.data.alpaca.markets"
RETRY_S: Final = 300.0
CLOCK_S: Final = 30.0
ACTIONS_S: Final = 6 * 3600.0


OPTIONS: Final[Mapping[str, Option]] = {
    "feed": str,
    "encoding": ("json", "msgpack"),
    "account": ("live", "paper"),
    "retry_s": float,
    "clock_s": float,
    "actions_s": float,
}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of Alpaca's stock stream."""
    return AlpacaFeed(setup)


class AlpacaFeed:
    """A Feed of REFERENCE, TRADE, SESSION and ACTION rows."""

    def __init__(self, setup: FeedSetup) -> None:
        """Options: `feed`, `encoding` (json or msgpack), `account` (live or paper), `retry_s`, `clock_s`, `actions_s`.

        Raises BadMessage for a feed that Alpaca does not have.
        """
        options = setup.options
        self._setup = setup
        self._feeds = tuple(name.strip() for name in str(options.get("feed", "sip,iex")).split(","))
        for name in self._feeds:
            if name not in wire.FEEDS:
                raise BadMessage(f"no such feed: {name}", where=setup.venue, hint="write " + ", ".join(wire.FEEDS))
        self._packed = options.get("encoding", "json") == "msgpack"
        self._retry_s = float(options.get("retry_s", RETRY_S))
        self._url = f"ws{setup.url.removeprefix('http')}" if setup.url else STREAM
        self.using = ""
        """The feed that is listened to; empty where none may be."""
        self._lost: set[str] = set()
        self._late = False
        self._everything: list[int] = []
        self._ask: Ask
        self._sink: Sink
        self._stream: Stream

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""
        return self._setup.venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._setup.instruments

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams and asks until cancelled; nothing that Alpaca does ends it."""
        options = self._setup.options
        by_symbol = {i.symbol: numbers[i.name] for i in self.instruments}
        self._everything = sorted(by_symbol.values())
        self._sink, self._ask = sink, Ask(self._setup, sink)
        self._stream = Stream(self._ask, sink, by_symbol, packed=self._packed)
        market = Market(
            self._ask,
            sink,
            by_symbol,
            clock_s=float(options.get("clock_s", CLOCK_S)),
            actions_s=float(options.get("actions_s", ACTIONS_S)),
            retry_s=self._retry_s,
        )
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            group.create_task(self._streams(session))
            group.create_task(market.clocks(session))
            group.create_task(market.actions(session))

    async def probe(self) -> tuple[Finding, ...]:
        """Which feeds the key may have, which symbols have a quote on one of them, the market's clock and status."""
        ask, look = Ask(self._setup), Look(self._setup)
        quoted: dict[str, set[str]] = {}
        async with aiohttp.ClientSession() as session:

            async def on(name: str) -> set[str]:
                quotes = rest.latest(await ask.latest(session, name))
                return {symbol for symbol, quote in quotes.items() if not isinstance(quote, str)}

            for name in self._feeds:
                found = await look.ask(partial(on, name), subject=name, entitled="it needs another subscription")
                if found is not None:
                    look.say("entitlement", name, ok=True, detail="allowed")
                    quoted[name] = found
                elif not look.reached:
                    break
            for symbol in (i.symbol for i in self.instruments if quoted):
                where = ", ".join(name for name, symbols in quoted.items() if symbol in symbols)
                missing = "" if where else "write it as Alpaca does (BRK.B), or take it out of the config"
                look.symbol(symbol, f"quoted on {where}" if where else "no quote", missing=missing)
            if look.reached:
                await self._clock(look, ask, session)
        look.latency()
        return tuple(look.found)

    async def _clock(self, look: Look, ask: Ask, session: aiohttp.ClientSession) -> None:
        """Whether the regular session is on, and how far the venue's clock is ahead of ours."""
        answers: list[rest.Clock] = []

        async def now() -> int:
            answers.append(rest.clock(await ask.get(session, ask.trading + "/v2/clock")))
            return round(answers[-1].timestamp.timestamp() * NS)

        told = await look.ask(lambda: measured(now, self._setup.clock, grain_ns=1000), subject="clock")
        if answers:
            look.say("status", ok=True, detail=f"the regular session is {'open' if answers[-1].is_open else 'closed'}")
            look.clock(told)

    async def _streams(self, session: aiohttp.ClientSession) -> None:
        """The best feed that is allowed, until it is lost or a better one is allowed again."""
        while True:
            name = await self._best(session)
            self._use(name)
            if not name:
                await self._setup.sleep(self._retry_s)
                self._lost.clear()
                continue
            tasks = [asyncio.create_task(self._lives(name)), asyncio.create_task(self._better(session, name))]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
            for end in ends:
                if isinstance(end, Exception):
                    raise end
            self._stream.down()

    async def _best(self, session: aiohttp.ClientSession) -> str:
        """The first feed of the order that is not refused; a feed that cannot be asked about is tried."""
        for name in self._feeds:
            if name not in self._lost and await self._allowed(session, name):
                return name
        return ""

    async def _allowed(self, session: aiohttp.ClientSession, name: str) -> bool:
        """Asks for the latest quotes of a feed, which are rows too. False where the key may not have it."""
        source = wire.FEEDS[name][1]
        if source is Source.TEST:
            return True
        try:
            quotes = rest.latest(await self._ask.latest(session, name))
        except EntitlementLost as error:
            self._refused(name, error)
            return False
        except ConnectorError as error:
            self._ask.reject("poll_failed", str(error))
            return True
        self._stream.source = source
        for instrument in self.instruments:
            quote = quotes.get(instrument.symbol, "")
            if isinstance(quote, str):
                self._ask.reject("wrong_type" if quote else "no_latest_quote", f"{instrument.symbol} {quote}".rstrip())
            else:
                self._stream.quote(quote)
        return True

    async def _better(self, session: aiohttp.ClientSession, name: str) -> None:
        """Ends when a feed that stands before `name` is allowed."""
        before = self._feeds[: self._feeds.index(name)]
        if not before:
            await asyncio.Event().wait()
        while True:
            await self._setup.sleep(self._retry_s)
            for better in before:
                try:
                    await self._ask.latest(session, better)
                except ConnectorError:
                    continue
                self._lost.discard(better)
                return

    def _use(self, name: str) -> None:
        """Says which feed is listened to from now on."""
        self.using = name
        source = self._stream.source = wire.FEEDS[name][1] if name else Source.UNKNOWN
        if not name:
            self._stream.missing(self._everything)
        if source in (Source.DELAYED_SIP, Source.TEST):
            self._sink.against(self._everything, Why.DELAYED)
            self._late = True
        elif self._late:
            self._sink.cleared(self._everything, Why.DELAYED)
            self._late = False

    def _refused(self, name: str, error: EntitlementLost) -> None:
        self._lost.add(name)
        self._ask.reject(error.word, f"{name}: {error.what}")

    async def _lives(self, name: str) -> None:
        """Lives of one feed's stream; ends when the feed is lost."""
        line = Line(
            venue=self.venue,
            url=self._url + wire.FEEDS[name][0],
            first_message_s=self._setup.first_message_s,
            headers={"Content-Type": "application/msgpack" if self._packed else "application/json"},
            refused_s=None,
        )
        socket = Socket(line, rng=self._setup.rng, sleep=self._setup.sleep, vitals=self._setup.vitals)
        try:
            await socket.live(self._stream.hear, self._stream.ended, self._stream.begun)
        except EntitlementLost as error:
            self._refused(name, error)
