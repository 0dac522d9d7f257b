"""Bybit's order books over its public websocket v5: xStocks in USDT (spot), perpetuals on shares (linear).

`options.depth` is 1, 50 or 200 levels; where it is not said, 1, or the fewest that hold `depth_levels` where DEPTH rows
are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from connectors.cex.bybit_talk import DEPTHS, BybitTalk
from connectors.cex.ladder import Ladder
from connectors.cex.native import NativeFeed, Wire, addressed, depth_of
from connectors.cex.stream import Stream
from connectors.cex.watch import VENUE
from connectors.errors import BadMessage, ConnectorError, RateLimited, SymbolUnknown, VenueUnreachable
from connectors.events import NS
from connectors.instruments import Instrument, Role
from connectors.offset import offset
from connectors.poll import Budget, Poll
from connectors.ports import Feed, FeedSetup, Finding, Option
from connectors.socket import Line

REST: Final = "https://api.bybit.com"
SOCKET: Final = "wss://stream.bybit.com/v5/public/"

CALLS_PER_S: Final = 10
"""Public REST calls; the venue allows 600 in 5 s for each address."""


BUDGET: Final = Budget(left="X-Bapi-Limit-Status", limit="X-Bapi-Limit", window_s=1.0)
"""Headers of its answers."""


class Answer(msgspec.Struct):
    """What every REST call answers."""

    retCode: int
    retMsg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class Snapshot(msgspec.Struct):
    """A book over REST: levels of (price, size)."""

    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


class Info(msgspec.Struct):
    """What instruments-info says of one instrument."""

    symbol: str
    status: str = ""


class Infos(msgspec.Struct):
    """The instruments of a category, or the one that was asked for."""

    rows: list[Info] = msgspec.field(default_factory=list, name="list")


class Work(msgspec.Struct):
    """Announced works: scheduled, ongoing, completed or canceled."""

    title: str = ""
    state: str = ""


class Works(msgspec.Struct):
    """What system/status answers."""

    rows: list[Work] = msgspec.field(default_factory=list, name="list")


class ServerTime(msgspec.Struct):
    """The venue's time."""

    timeNano: int


OPTIONS: Final[Mapping[str, Option]] = {"depth": DEPTHS}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of Bybit's books for the instruments of `setup`: `TSLAX/USDT` is spot, `TSLA/USDT:USDT` linear."""
    return NativeFeed(setup, BybitDesk(setup), wires, depth_of(setup, DEPTHS))


def wires(setup: FeedSetup, numbers: Mapping[str, int], depth: int) -> tuple[Wire, ...]:
    """One websocket for each category."""
    made = []
    for category in ("spot", "linear"):
        members = [i for i in setup.instruments if category_of(i) == category]
        if not members:
            continue
        streams = tuple(Stream(i, numbers[i.name], venue_symbol(i), Ladder()) for i in members)
        talk = BybitTalk(streams, depth)
        line = Line(
            venue=setup.venue,
            url=addressed(SOCKET + category, setup.url),
            hello=talk.hello(),
            first_message_s=setup.first_message_s,
        )
        made.append(Wire(line=line, talk=talk, streams=streams))
    return tuple(made)


def category_of(instrument: Instrument) -> str:
    """Perpetuals are linear, everything else is spot."""
    return "linear" if instrument.role is Role.PERP or ":" in instrument.symbol else "spot"


def venue_symbol(instrument: Instrument) -> str:
    """`TSLAX/USDT` and `TSLA/USDT:USDT` as the venue spells them: `TSLAXUSDT`, `TSLAUSDT`."""
    return instrument.symbol.partition(":")[0].replace("/", "")


class BybitDesk:
    """Bybit's public REST calls."""

    def __init__(self, setup: FeedSetup) -> None:
        """Calls go to `setup.url`, where it is given."""
        self._venue = setup.venue
        self._url = addressed(REST, setup.url)
        self._clock = setup.clock
        self._poll = Poll(
            setup.venue, clock=setup.clock, rng=setup.rng, sleep=setup.sleep, per_period=CALLS_PER_S, budgets=(BUDGET,),
            vitals=setup.vitals,
        )  # fmt: skip

    async def top(self, session: aiohttp.ClientSession, stream: Stream) -> tuple[float, float]:
        """Best bid and ask of the book."""
        asked = {"category": category_of(stream.instrument), "symbol": stream.symbol, "limit": "1"}
        book = await self._ask(session, "orderbook", Snapshot, **asked)
        if not (book.b and book.a):
            raise BadMessage("a snapshot without a bid or an ask", where=self._venue)
        return book.b[0][0], book.a[0][0]

    async def statuses(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> dict[str, tuple[bool, str]]:
        """By instruments-info, where only `Trading` is open; for the venue itself by system/status."""
        works = await self._works(session)
        said = {VENUE: (not works, works or "online")}
        for stream in streams:
            for info in await self._info(session, stream):
                said[info.symbol] = (info.status == "Trading", info.status)
        return said

    async def now(self, session: aiohttp.ClientSession) -> int:
        """The venue's time, ns UTC."""
        time: ServerTime = await self._ask(session, "time", ServerTime)
        return time.timeNano

    async def findings(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> tuple[Finding, ...]:
        """Clock, and for each symbol whether it is listed and its status; fees are told to accounts only."""
        asked = self._clock()
        now = await self.now(session)
        answered_at = self._clock()
        took = (answered_at - asked) / NS
        found = [
            Finding(what="latency", ok=True, value=took, unit="s", detail="one REST call"),
            Finding(what="fees", ok=None, detail="Bybit tells fees to accounts only", hint="write taker_fee_bps"),
        ]
        if (ahead := offset(asked, now, answered_at, grain_ns=1)) is not None:
            known = f"known to {ahead.error_s:.3f} s"
            near = abs(ahead.offset_s) - ahead.error_s < 1.0
            found.append(Finding(what="clock", ok=near, value=ahead.offset_s, unit="s", detail=known))
        works = await self._works(session)
        found.append(Finding(what="status", ok=not works, detail=works or "online"))
        for stream in streams:
            name = stream.instrument.symbol
            try:
                infos = await self._info(session, stream)
            except ConnectorError as trouble:
                found.append(Finding(what="symbol", subject=name, ok=None, detail=str(trouble)))
                continue
            if not infos:
                hint = "spot is written TSLAX/USDT, a perpetual TSLA/USDT:USDT"
                found.append(Finding(what="symbol", subject=name, ok=False, detail="not listed", hint=hint))
            for info in infos:
                found.append(Finding(what="symbol", subject=name, ok=True, detail="listed"))
                found.append(Finding(what="status", subject=name, ok=info.status == "Trading", detail=info.status))
        budget = f"{CALLS_PER_S} public calls in 1 s"
        return (*found, Finding(what="rate_budget", ok=True, value=float(CALLS_PER_S), unit="calls/s", detail=budget))

    async def _works(self, session: aiohttp.ClientSession) -> str:
        """The title of works that go on at the venue now; empty for none."""
        body = await self._poll.get(session, f"{self._url}/v5/system/status")
        works: Works = answered(body, Works, self._venue)
        return next((work.title or "maintenance" for work in works.rows if work.state == "ongoing"), "")

    async def _info(self, session: aiohttp.ClientSession, stream: Stream) -> list[Info]:
        """What the venue lists under a symbol; empty where it is not listed."""
        asked = {"category": category_of(stream.instrument), "symbol": stream.symbol}
        try:
            infos: Infos = await self._ask(session, "instruments-info", Infos, **asked)
        except SymbolUnknown:
            return []
        return [info for info in infos.rows if info.symbol == stream.symbol]

    async def _ask(self, session: aiohttp.ClientSession, method: str, kind: Any, **params: str) -> Any:
        """The result of a public method of the market, as `kind`."""
        body = await self._poll.get(session, f"{self._url}/v5/market/{method}", **params)
        return answered(body, kind, self._venue)


def answered(body: bytes, kind: Any, venue: str) -> Any:
    """The result out of a REST answer, as `kind`. Raises SymbolUnknown, RateLimited, VenueUnreachable, BadMessage."""
    try:
        answer = msgspec.json.decode(body, type=Answer)
        if answer.retCode != 0:
            raise _refusal(answer, venue)
        return msgspec.json.decode(answer.result, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadMessage(f"an answer that cannot be read: {error}", where=venue) from error


def _refusal(answer: Answer, venue: str) -> ConnectorError:
    """A retCode as one of our errors: 10001 is a parameter (the symbol), 10006 and 10018 limits, 10016 their server."""
    words = f"{answer.retCode} {answer.retMsg}"
    if answer.retCode == 10001:
        return SymbolUnknown(words, where=venue)
    if answer.retCode in (10006, 10018):
        return RateLimited(words, where=venue)
    return VenueUnreachable(words, where=venue) if answer.retCode == 10016 else BadMessage(words, where=venue)
