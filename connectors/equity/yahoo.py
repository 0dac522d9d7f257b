"""Share prices from Yahoo: its stream read by a socket loop of our own, polled through yfinance where it is silent.

yfinance's own stream reader freezes the loop on a clean close and never reconnects (1.7.0). Prices are informational:
one price per message for most shares, bid and ask for some; at most one source among several, never the only trigger.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Final

from connectors.equity.corporate import put as put_action
from connectors.equity.look import Look
from connectors.equity.pricing import MARKET_HOURS, Pricing, decode
from connectors.equity.yahoo_poll import delays, last_bar, load
from connectors.errors import BadMessage, ConnectorError, EntitlementLost
from connectors.events import NAN, PRICE_OF, Flag, Kind, Why
from connectors.instruments import Instrument
from connectors.poll import Poll
from connectors.ports import Feed, FeedSetup, Finding, Option, Sink
from connectors.provenance import Source, pack
from connectors.socket import Line, Socket

LOADS: Final = ("yfinance", "curl_cffi.requests")
"""Imported before any feed runs: they take seconds of CPU, and even in a thread they would hold up the loop."""

STREAM: Final = "wss://streamer.finance.yahoo.com/?version=2"
_STREAM, _POLL = "stream", "poll"

FIRST_POLL_S: Final = 5.0
"""How long the stream has to say something before the first poll."""

REFUSED_S: Final = 600.0
"""Pause after the stream refuses us; polling goes on meanwhile."""

POLL_S: Final = 30.0
FIRST_MESSAGE_S: Final = 60.0
"""Outside the hours Yahoo may have nothing to say for long."""


OPTIONS: Final[Mapping[str, Option]] = {"poll_s": float, "first_message_s": float}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of Yahoo's prices."""
    return YahooFeed(setup)


class YahooFeed:
    """A Feed of REFERENCE rows (FX rows for a coin such as `USDT-USD`)."""

    def __init__(self, setup: FeedSetup) -> None:
        """A silent symbol is polled every `poll_s` seconds of the options; the stream may be silent for a minute."""
        options = setup.options
        self._setup = setup
        venue, instruments, url = setup.venue, setup.instruments, setup.url
        self._venue, self._instruments, self._url, self._sleep = venue, instruments, url, setup.sleep
        self._poll_s = float(options.get("poll_s", POLL_S))
        first_message_s = float(options.get("first_message_s", FIRST_MESSAGE_S))
        rng, clock, sleep = setup.rng, setup.clock, setup.sleep
        symbols = json.dumps({"subscribe": [i.symbol for i in instruments]})
        line = Line(
            venue=venue,
            url=f"ws{url.rstrip('/').removeprefix('http')}/?version=2" if url else STREAM,
            hello=(symbols,),
            repeat=(symbols,),
            first_message_s=first_message_s,
            refused_s=REFUSED_S,
        )
        vitals = setup.vitals
        self.socket = Socket(line, rng=rng, sleep=sleep, vitals=vitals)
        self.poll = Poll(
            venue, clock=clock, rng=rng, sleep=sleep, per_period=1, period_s=1.0, tries=2, vitals=vitals,
            monotonic=setup.monotonic,
        )  # fmt: skip
        self.polled = 0
        """Prices that came by polling."""
        self._sink: Sink
        self._numbers: dict[str, tuple[int, Kind]] = {}
        self._seen: dict[str, int] = {}
        self._spoke: set[str] = set()
        self._fed: dict[int, str] = {}
        """By instrument that is up: what its last price came by, the stream or a poll."""

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""
        return self._venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._instruments

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams and polls until cancelled; nothing that Yahoo does ends it."""
        self._sink = sink
        self._numbers = {i.symbol: (numbers[i.name], PRICE_OF[i.role]) for i in self._instruments}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stream())
            group.create_task(self._polls())

    async def probe(self) -> tuple[Finding, ...]:
        """Which symbols Yahoo knows, whether their exchanges' prices come late, and how quickly it answers."""
        look = Look(self._setup)
        await asyncio.to_thread(load)
        symbols = [i.symbol for i in self._instruments]
        found = await look.ask(lambda: self.poll.call(lambda: asyncio.to_thread(delays, symbols, self._url)))
        if found is None:
            return tuple(look.found)
        for symbol in symbols:
            if (minutes := found.get(symbol)) is None:
                look.symbol(symbol, "not listed", missing="write it as finance.yahoo.com does: BRK-B, USDT-USD")
                continue
            look.symbol(symbol, "listed")
            late = minutes > 0
            hint = "another source for this share: late prices are seen and not traded on" if late else ""
            ok = None if minutes != minutes else not late
            look.say("delay", symbol, ok=ok, value=minutes * 60.0, unit="s", hint=hint,
                     detail="its exchange's prices, by Yahoo's word")  # fmt: skip
        look.latency()
        return tuple(look.found)

    async def _stream(self) -> None:
        await self.socket.live(self._hear, self._ended, lambda: None)

    def _ended(self, error: ConnectorError) -> None:
        """A life of the stream is over: what it fed is down until somebody speaks again, be it a poll."""
        self._sink.reject(self._venue, error.word, str(error))
        self._down(sorted(number for number, way in self._fed.items() if way == _STREAM))

    def _down(self, numbers: Sequence[int]) -> None:
        """What fed these does not any more."""
        self._sink.against(numbers, Why.NOT_HEARD)
        for number in numbers:
            self._fed.pop(number, None)

    def _alive(self, number: int, way: str) -> None:
        """An instrument was heard of; it stands by what feeds it from now on."""
        if number not in self._fed:
            self._sink.cleared([number], Why.NOT_HEARD)
        self._fed[number] = way

    def _hear(self, text: str | bytes) -> None:
        """One message of the stream: a row, or a counted reason."""
        self._sink.frame(self._venue, text)
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):  # brackets without end are no JSON either
            self._sink.reject(self._venue, "not_json", str(text[:80]))
            return
        if not isinstance(message, dict) or not isinstance(message.get("message", ""), str):
            self._sink.reject(self._venue, "wrong_type", str(text[:80]))
            return
        if message.get("type") != "pricing":
            return
        try:
            pricing = decode(base64.b64decode(message.get("message", ""), validate=True))
        except (BadMessage, binascii.Error) as error:
            self._sink.reject(self._venue, "bad_message", str(error))
            return
        if pricing.id not in self._numbers:
            self._sink.reject(self._venue, "unknown_symbol", pricing.id)
            return
        self._spoke.add(pricing.id)
        ts = pricing.time_ms * 1_000_000
        self._seen[pricing.id] = max(ts, self._seen.get(pricing.id, 0))
        self._put(pricing, ts, _STREAM)

    def _put(self, pricing: Pricing, ts: int, way: str) -> None:
        """Bid and ask where Yahoo gives both, else the one price. Its sizes have no stated unit and stay out."""
        number, kind = self._numbers[pricing.id]
        self._alive(number, way)
        extra = pack(Source.YAHOO, MARKET_HOURS.get(pricing.market_hours, "")) if kind is Kind.REFERENCE else NAN
        if _present(pricing.bid) and _present(pricing.ask):
            self._sink.put(kind, number, ts_venue=ts, bid=pricing.bid, ask=pricing.ask, extra=extra)
        else:
            one = int(Flag.ONE_PRICE)
            self._sink.put(kind, number, ts_venue=ts, bid=pricing.price, ask=pricing.price, flags=one, extra=extra)

    async def _polls(self) -> None:
        """Asks for the symbols that the stream has not spoken of since the last round."""
        await self._sleep(FIRST_POLL_S)
        await self._ask_delays()
        while True:
            silent = [symbol for symbol in self._numbers if symbol not in self._spoke]
            self._spoke.clear()
            for symbol in silent:
                await self._ask(symbol)
            await self._sleep(self._poll_s)

    async def _ask_delays(self) -> None:
        """Asks once which of the symbols come from an exchange whose prices Yahoo gives with a delay."""
        try:
            found = await self.poll.call(lambda: asyncio.to_thread(delays, list(self._numbers), self._url))
        except ConnectorError as error:
            self._poll_failed(error)
            return
        for symbol, minutes in found.items():
            if minutes > 0 and symbol in self._numbers:
                self._sink.reject(self._venue, "delayed", f"{symbol} by {minutes:g} minutes, says Yahoo")
                self._sink.against([self._numbers[symbol][0]], Why.DELAYED)

    def _poll_failed(self, error: ConnectorError) -> None:
        word = error.word if isinstance(error, EntitlementLost) else "poll_failed"
        self._sink.reject(self._venue, word, str(error))

    async def _ask(self, symbol: str) -> None:
        number = self._numbers[symbol][0]
        try:
            bar = await self.poll.call(lambda: asyncio.to_thread(last_bar, symbol, self._url))
        except ConnectorError as error:
            self._poll_failed(error)
            if self._fed.get(number, _POLL) == _POLL:
                self._down([number])
            return
        if bar is None:
            self._sink.reject(self._venue, "no_quote", symbol)
            return
        for action in bar.actions:
            put_action(self._sink, self._venue, number, action)
        # A bar that we have seen is no news: repeating it would make an old price look fresh.
        if bar.ts > self._seen.get(symbol, 0):
            self._seen[symbol] = bar.ts
            self.polled += 1
            self._put(Pricing(id=symbol, price=bar.price, market_hours=-1), bar.ts, _POLL)
        elif number not in self._fed:
            self._alive(number, _POLL)


def _present(price: float) -> bool:
    """Whether a price was sent: proto3 cannot tell zero from absent. A negative one was, and the door refuses it."""
    return price == price and price != 0.0
