"""Kraken's order books over its websocket v2, checked by CRC32: xStocks, and USDT and USDC in USD.

`options.depth` is 10, 25, 100, 500 or 1000 levels; where it is not said, the fewest that hold `depth_levels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from connectors.cex.kraken_book import KrakenBook
from connectors.cex.kraken_talk import DEPTHS, KrakenTalk
from connectors.cex.native import NativeFeed, Wire, addressed, depth_of
from connectors.cex.stream import Stream
from connectors.errors import BadMessage, ConnectorError, RateLimited, SymbolUnknown, VenueUnreachable
from connectors.events import NS
from connectors.instruments import Instrument, Role
from connectors.offset import offset
from connectors.poll import Poll
from connectors.ports import Feed, FeedSetup, Finding, Option
from connectors.socket import Line

REST: Final = "https://api.kraken.com"
SOCKET: Final = "wss://ws.kraken.com/v2"

MAX_FRAME: Final = 8 << 20
"""The list of all pairs is one message of more than half a megabyte."""

IDLE_S: Final = 6.0
"""The venue sends a heartbeat in each second in which it has nothing else to say."""

SPELT: Final = "the case counts: TSLAx/USD"

CALLS: Final = 3
"""Public REST calls in as many seconds; the venue counts about one a second for each address and pair."""


class Answer(msgspec.Struct):
    """What every REST call answers."""

    error: list[str] = []
    result: msgspec.Raw = msgspec.Raw(b"null")


class Snapshot(msgspec.Struct):
    """A book over REST: levels of (price, quantity, time)."""

    bids: list[tuple[float, float, float]]
    asks: list[tuple[float, float, float]]


class Listed(msgspec.Struct):
    """What AssetPairs says of a pair."""

    wsname: str
    status: str = ""
    fees: list[tuple[float, float]] = []


class ServerTime(msgspec.Struct):
    """The venue's time, in whole seconds."""

    unixtime: int


class SystemStatus(msgspec.Struct):
    """online, maintenance, cancel_only or post_only."""

    status: str


OPTIONS: Final[Mapping[str, Option]] = {"depth": DEPTHS}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of Kraken's books for the instruments of `setup`, whose symbols are spelt as in `TSLAx/USD`."""
    return NativeFeed(setup, KrakenDesk(setup), wires, depth_of(setup, DEPTHS))


def wires(setup: FeedSetup, numbers: Mapping[str, int], depth: int) -> tuple[Wire, ...]:
    """One websocket for all books."""
    streams = tuple(Stream(i, numbers[i.name], i.symbol, KrakenBook(depth)) for i in setup.instruments)
    talk = KrakenTalk(streams, depth)
    line = Line(
        venue=setup.venue,
        url=addressed(SOCKET, setup.url),
        hello=talk.hello(),
        first_message_s=setup.first_message_s,
        idle_s=IDLE_S,
        max_bytes=MAX_FRAME,
    )
    return (Wire(line=line, talk=talk, streams=streams),)


class KrakenDesk:
    """Kraken's public REST calls."""

    def __init__(self, setup: FeedSetup) -> None:
        """Calls go to `setup.url`, where it is given."""
        self._venue = setup.venue
        self._url = addressed(REST, setup.url)
        self._clock, self._said_bps = setup.clock, setup.taker_fee_bps
        self._poll = Poll(
            setup.venue, clock=setup.clock, rng=setup.rng, sleep=setup.sleep, per_period=CALLS, period_s=float(CALLS),
            vitals=setup.vitals,
        )  # fmt: skip

    async def top(self, session: aiohttp.ClientSession, stream: Stream) -> tuple[float, float]:
        """Best bid and ask of Depth."""
        books = await self._ask(session, "Depth", dict[str, Snapshot], **_pair(stream.instrument), count="10")
        for book in books.values():
            if book.bids and book.asks:
                return book.bids[0][0], book.asks[0][0]
        raise BadMessage("a snapshot without a bid or an ask", where=self._venue)

    async def statuses(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> dict[str, tuple[bool, str]]:
        """The stream says them."""
        return {}

    async def now(self, session: aiohttp.ClientSession) -> int:
        """The stream has the better clock: REST tells whole seconds."""
        return 0

    async def findings(self, session: aiohttp.ClientSession, streams: Sequence[Stream]) -> tuple[Finding, ...]:
        """State of the venue, clock, and for each symbol whether it is listed, its status and its taker fee."""
        state = await self._ask(session, "SystemStatus", SystemStatus)
        found = [Finding(what="status", ok=state.status == "online", detail=state.status)]
        asked = self._clock()
        time = await self._ask(session, "Time", ServerTime)
        answered_at = self._clock()
        ahead = offset(asked, time.unixtime * NS, answered_at, grain_ns=NS)
        if ahead is not None:
            known = f"known to {ahead.error_s:.2f} s"
            near = abs(ahead.offset_s) - ahead.error_s < 1.0
            found.append(Finding(what="clock", ok=near, value=ahead.offset_s, unit="s", detail=known))
        took = (answered_at - asked) / NS
        found.append(Finding(what="latency", ok=True, value=took, unit="s", detail="one REST call"))
        for stream in streams:
            found.extend(await self._symbol(session, stream.instrument))
        budget = f"{CALLS} public calls in {CALLS} s"
        return (*found, Finding(what="rate_budget", ok=True, value=1.0, unit="calls/s", detail=budget))

    async def _symbol(self, session: aiohttp.ClientSession, instrument: Instrument) -> list[Finding]:
        name = instrument.symbol
        params = {"pair": name.replace("/", "")}
        if instrument.role is Role.TOKEN:
            params["aclass_base"] = "tokenized_asset"
        try:
            pairs = await self._ask(session, "AssetPairs", dict[str, Listed], **params)
        except SymbolUnknown as error:
            return [Finding(what="symbol", subject=name, ok=False, detail=error.what, hint=SPELT)]
        except ConnectorError as error:
            return [Finding(what="symbol", subject=name, ok=None, detail=str(error))]
        pair = next(iter(pairs.values()), None)
        if pair is None or pair.wsname != name:
            listed = f"listed as {pair.wsname}" if pair is not None else "not listed"
            return [Finding(what="symbol", subject=name, ok=False, detail=listed, hint=SPELT)]
        found = [
            Finding(what="symbol", subject=name, ok=True, detail="listed"),
            Finding(what="status", subject=name, ok=pair.status == "online", detail=pair.status),
        ]
        if pair.fees:
            fee = pair.fees[0][1] * 100.0
            said = self._said_bps
            same = None if said is None else abs(said - fee) < 0.005
            words = "taker, first tier" + ("" if said is None else f"; the config says {said:.4g}")
            hint = "taker_fee_bps of the venue in the config" if same is False else ""
            found.append(Finding(what="fees", subject=name, ok=same, value=fee, unit="bps", detail=words, hint=hint))
        return found

    async def _ask(self, session: aiohttp.ClientSession, method: str, kind: Any, **params: str) -> Any:
        """The result of a public method, as `kind`."""
        body = await self._poll.get(session, f"{self._url}/0/public/{method}", **params)
        return answered(body, kind, self._venue)


def answered(body: bytes, kind: Any, venue: str) -> Any:
    """The result out of a REST answer, as `kind`. Raises SymbolUnknown, RateLimited, VenueUnreachable, BadMessage."""
    try:
        answer = msgspec.json.decode(body, type=Answer)
        if answer.error:
            raise _refusal(answer.error[0], venue)
        return msgspec.json.decode(answer.result, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadMessage(f"an answer that cannot be read: {error}", where=venue) from error


def _refusal(error: str, venue: str) -> ConnectorError:
    """`EQuery:Unknown asset pair` and its like, as one of ours."""
    if "Unknown asset pair" in error:
        return SymbolUnknown(error, where=venue)
    if "Rate limit" in error or "Too many requests" in error:
        return RateLimited(error, where=venue)
    return VenueUnreachable(error, where=venue) if error.startswith("EService") else BadMessage(error, where=venue)


def _pair(instrument: Instrument) -> dict[str, str]:
    """How a REST call names a pair: tokenized assets are a class of their own, which has to be asked for."""
    named = {"pair": instrument.symbol.replace("/", "")}
    return {**named, "asset_class": "tokenized_asset"} if instrument.role is Role.TOKEN else named
