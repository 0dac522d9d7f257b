"""Prices of Pyth's oracle through Hermes: its stream of server-sent events, or a poll.

    [venues.pyth]
    kind = "oracle"
    feed = "pyth"
    key_file = "pyth.key"        # key = "...", sent as a bearer token; Hermes answers 401 without one since August 2026
    options = { poll_s = 5.0 }   # poll instead of streaming

    [instruments."pyth:TSLA"]    # a ticker whose id the registry has, or the id itself: "pyth:16dad5...", 64 hex digits
    role = "share"
    underlying = "TSLA"

`price` and `conf` are integers times 10**expo. The interval price -/+ conf is told as bid and ask, so that the error
that the publishers admit is in the row; it is nobody's offer. What was published before is no news: an old price that
can still be called is never made to look fresh.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import aiohttp
import msgspec

from connectors.backoff import of_stream
from connectors.equity.look import Look, masked
from connectors.errors import (
    BadMessage,
    ConnectorError,
    EntitlementLost,
    FrameTooLarge,
    RateLimited,
    Silent,
    VenueUnreachable,
)
from connectors.events import NS, PRICE_OF, Flag, Kind, Why
from connectors.instruments import Instrument
from connectors.poll import Poll
from connectors.ports import ANY_SYMBOL, Feed, FeedSetup, Finding, Option, Sink
from connectors.provenance import Source, pack
from connectors.refusal import refused
from connectors.registry import load_registry

HERMES: Final = "https://hermes.pyth.network"
LATEST: Final = "/v2/updates/price/latest"
STREAM: Final = "/v2/updates/price/stream"
RETRY_S: Final = 300.0
MAX_EVENT_BYTES: Final = 1 << 20
SILENT_S: Final = 12.0
"""Hermes sends every 400 ms; a stream that is silent for so long is dead."""

_ID: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_DIGITS: Final = re.compile(r"-?[0-9]{1,25}")
_EXTRA: Final = pack(Source.PYTH)


class Price(NamedTuple):
    """One update of one id; the bounds are in the feed's currency, `ts` is when it was published."""

    id: str
    low: float
    high: float
    ts: int


class _Value(msgspec.Struct, frozen=True):
    price: str
    conf: str
    expo: int
    publish_time: int


class _Update(msgspec.Struct, frozen=True):
    id: str
    price: _Value


class _Answer(msgspec.Struct, frozen=True):
    parsed: list[msgspec.Raw] | None = None


OPTIONS: Final[Mapping[str, Option]] = {"poll_s": float, "retry_s": float, ANY_SYMBOL: str}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of Pyth prices."""
    return PythFeed(setup)


def prices(body: bytes | str) -> Iterator[Price | str]:
    """The updates of an answer or event; in the place of one that cannot be read, why. Raises BadMessage."""
    try:
        parts = msgspec.json.decode(body, type=_Answer).parsed or []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not an update: {error}") from error
    for part in parts:
        try:
            yield _price(msgspec.json.decode(part, type=_Update))
        except (msgspec.MsgspecError, BadMessage, UnicodeDecodeError, RecursionError) as error:
            yield str(error)


def _price(update: _Update) -> Price:
    """The exact bounds of an update. Raises BadMessage for numbers that no price has."""
    value = update.price
    if not (_DIGITS.fullmatch(value.price) and _DIGITS.fullmatch(value.conf) and -30 <= value.expo <= 12):
        raise BadMessage(f"price {value.price[:30]} conf {value.conf[:30]} expo {value.expo}")
    middle, width = int(value.price), int(value.conf)
    if width < 0 or not 0 < value.publish_time < 1 << 33:
        raise BadMessage(f"conf {width} publish_time {value.publish_time}")
    low, high = (float(Decimal(number).scaleb(value.expo)) for number in (middle - width, middle + width))
    return Price(update.id.removeprefix("0x").lower(), low, high, value.publish_time * NS)


class PythFeed:
    """A Feed of REFERENCE rows (FX rows for a coin)."""

    def __init__(self, setup: FeedSetup) -> None:
        """Options: `poll_s` polls instead of streaming; `retry_s`. An option named like a symbol is its id, too.

        Raises BadMessage for an instrument whose id is not known.
        """
        self._setup = setup
        self._base = (setup.url or HERMES).rstrip("/")
        self._poll_s = float(setup.options.get("poll_s", 0.0))
        self._retry_s = float(setup.options.get("retry_s", RETRY_S))
        self._ids = {_id_of(instrument, setup.options): instrument for instrument in setup.instruments}
        self._poll = Poll(
            setup.venue,
            clock=setup.clock,
            monotonic=setup.monotonic,
            rng=setup.rng,
            sleep=setup.sleep,
            per_period=30,
            period_s=10.0,
            tries=2,
            vitals=setup.vitals,
        )
        self._backoff = of_stream(setup.rng)
        self._sink: Sink
        self._numbers: dict[str, int] = {}
        self._seen: dict[int, int] = {}
        self._up: set[int] = set()
        self._missing = False
        self._unlisted: set[int] = set()

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""
        return self._setup.venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._setup.instruments

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams or polls until cancelled; nothing that Hermes does ends it."""
        self._sink = sink
        self._numbers = {id_: numbers[instrument.name] for id_, instrument in self._ids.items()}
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    self._latest(await self._fetch(session))
                    if self._poll_s > 0:
                        pause_s = self._poll_s
                    else:
                        await self._life(session)
                        pause_s = self._backoff.next_s()
                except ConnectorError as error:
                    pause_s = self._failed(error)
                await self._setup.sleep(pause_s)

    async def probe(self) -> tuple[Finding, ...]:
        """Whether we are let in, which ids have a price and of when, and how quickly Hermes answers."""
        look = Look(self._setup)
        async with aiohttp.ClientSession() as session:

            async def ask() -> list[Price | str]:
                return list(prices(await self._fetch(session)))

            updates = await look.ask(ask)
        if updates is not None:
            look.say("entitlement", ok=True, detail="allowed")
            found = {update.id: update for update in updates if not isinstance(update, str)}
            for id_, instrument in self._ids.items():
                if (update := found.get(id_)) is None:
                    hint = "write its id, 64 hex digits, as Pyth's list of price feeds has it"
                    look.symbol(instrument.symbol, f"no price of {id_}", missing=hint)
                else:
                    age_s = (self._setup.clock() - update.ts) / NS
                    detail = f"{update.low:g} / {update.high:g}, published {age_s:.0f} s ago"
                    look.symbol(instrument.symbol, detail)
        look.latency()
        return tuple(look.found)

    async def _fetch(self, session: aiohttp.ClientSession) -> bytes:
        """The latest prices. Raises as Poll.fetch does."""
        return await self._poll.fetch(session, self._url(LATEST), {}, headers=self._headers)

    def _latest(self, body: bytes) -> None:
        """All prices that there are; an id that has none is not listed. Raises BadMessage."""
        self._sink.frame(self.venue, body)
        for id_ in self._ids.keys() - self._take(body):
            number = self._numbers[id_]
            if number not in self._unlisted:
                self._unlisted.add(number)
                self._sink.reject(self.venue, "symbol_unknown", f"{self._ids[id_].symbol}: no price of {id_}")
                self._sink.against([number], Why.NOT_LISTED)

    async def _life(self, session: aiohttp.ClientSession) -> None:
        """One life of the stream. Raises the ConnectorError that ended it."""
        patience = aiohttp.ClientTimeout(total=None, sock_read=SILENT_S)
        headers, where = self._headers(), self.venue
        try:
            async with (
                asyncio.timeout(self._setup.first_message_s) as first,
                session.get(
                    self._url(STREAM), headers=headers, allow_redirects=not headers, timeout=patience
                ) as answer,
            ):
                if answer.status != 200:
                    raise refused(where, answer.status, answer.headers, self._setup.clock())
                self._setup.vitals.lives += 1
                async for event in _events(answer.content, where):
                    first.reschedule(None)
                    self._sink.frame(where, event)
                    try:
                        self._take(event)
                    except BadMessage as error:
                        self._reject(error)
        except TimeoutError as error:
            raise Silent("no event in time", where=where) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise VenueUnreachable(f"no connection: {type(error).__name__}", where=where) from error
        raise VenueUnreachable("the venue ended the stream", where=where)

    def _take(self, body: bytes) -> set[str]:
        """One answer or event: rows, or counted reasons; gives its ids. Raises BadMessage where it is none."""
        updates = list(prices(body))
        if self._missing:
            self._missing = False
            everything = sorted(self._numbers.values())
            self._sink.against(everything, Why.NOT_HEARD)
            self._sink.cleared(everything, Why.ENTITLEMENT)
        self._backoff.reset()
        for update in updates:
            if isinstance(update, str):
                self._sink.reject(self.venue, "wrong_type", update)
            elif update.id not in self._numbers:
                self._sink.reject(self.venue, "unknown_symbol", update.id)
            else:
                self._put(update)
        return {update.id for update in updates if not isinstance(update, str)}

    def _put(self, update: Price) -> None:
        number = self._numbers[update.id]
        if update.ts <= self._seen.get(number, 0):
            return
        self._seen[number] = update.ts
        if number in self._unlisted:
            self._unlisted.discard(number)
            self._sink.cleared([number], Why.NOT_LISTED)
        if number not in self._up:
            self._up.add(number)
            self._sink.cleared([number], Why.NOT_HEARD)
        kind = PRICE_OF[self._ids[update.id].role]
        flags = int(Flag.ONE_PRICE) if update.low == update.high else 0
        extra = _EXTRA if kind is Kind.REFERENCE else float("nan")
        self._sink.put(kind, number, ts_venue=update.ts, bid=update.low, ask=update.high, flags=flags, extra=extra)

    def _failed(self, error: ConnectorError) -> float:
        """Tells a failure; returns the pause after it."""
        self._reject(error)
        everything = sorted(self._numbers.values())
        if isinstance(error, EntitlementLost):
            self._missing = True
            self._sink.against(everything, Why.ENTITLEMENT)
            self._sink.cleared(everything, Why.NOT_HEARD)
            self._up.clear()
            return self._retry_s
        self._sink.against(sorted(self._up), Why.NOT_HEARD)
        self._up.clear()
        wait_s = self._poll_s or self._backoff.next_s()
        return max(wait_s, error.retry_after_s or 0.0) if isinstance(error, RateLimited) else wait_s

    def _reject(self, error: ConnectorError) -> None:
        self._sink.reject(self.venue, error.word, masked(self._setup, str(error)))

    def _url(self, path: str) -> str:
        ids = "&".join(f"ids[]={id_}" for id_ in self._ids)
        return f"{self._base}{path}?{ids}&parsed=true&ignore_invalid_price_ids=true"

    def _headers(self) -> dict[str, str]:
        key = self._setup.key().get("key")
        return {"Authorization": f"Bearer {key}"} if key else {}


def _id_of(instrument: Instrument, options: Mapping[str, str | float | bool]) -> str:
    """The id of an instrument: the option of its name, its symbol where that is one, or the registry's."""
    known = load_registry().pyth.get(instrument.symbol, {})
    listed = known.get("equity") or known.get("usd") or ""
    for text in (str(options.get(instrument.symbol, "")), instrument.symbol, listed):
        if (found := _ID.fullmatch(text)) is not None:
            return found[1].lower()
    hint = f'write [instruments."{instrument.venue}:ID"] with its 64 hex digits'
    raise BadMessage(f"the id of {instrument.symbol} is not known", where=instrument.venue, hint=hint)


async def _events(content: aiohttp.StreamReader, where: str) -> AsyncIterator[bytes]:
    """The data of each server-sent event. Raises FrameTooLarge."""
    data = bytearray()
    pending = b""
    async for chunk in content.iter_any():
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                data += line[5:].strip()
            elif not line and data:
                yield bytes(data)
                data.clear()
        if len(pending) + len(data) > MAX_EVENT_BYTES:
            raise FrameTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes", where=where)
