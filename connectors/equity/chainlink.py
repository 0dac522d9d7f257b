"""Chainlink Data Streams by poll: share quotes of 24/5 equity streams (v11), tokenized assets and multipliers (v10).

    [venues.chainlink]
    kind = "oracle"
    feed = "chainlink"
    key_file = "chainlink.key"                 # key = "..." and secret = "..."
    options = { poll_s = 1.0 }

    [instruments."chainlink:0x000b..."]        # the symbol is the id of the feed, 0x and 64 hex digits
    role = "share"
    underlying = "TSLA"
    hours = "24/5"                             # a 24/5 stream names its session; any other says open or closed

The market's status, not a timestamp, says which session a report belongs to; a report that can be called is not
therefore fresh. In the overnight session `mid` may be zero; `lastSeenTimestampNs` is that of `mid` and may go back.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final, assert_never

import aiohttp
import msgspec

from connectors.equity.look import Look, masked
from connectors.equity.reports import Advanced, Tokenized, decode
from connectors.errors import BadMessage, ConnectorError, EntitlementLost
from connectors.events import NAN, NS, PRICE_OF, Flag, Kind, Why
from connectors.instruments import Hours, Instrument, Role
from connectors.poll import Poll
from connectors.ports import ANY_SYMBOL, Feed, FeedSetup, Finding, Option, Sink
from connectors.provenance import Source, pack

KEYS: Final = ("key", "secret")
BASE: Final = "https://api.dataengine.chain.link"
PATH: Final = "/api/v1/reports/latest"
POLL_S: Final = 1.0
ANSWER_S: Final = 5.0
"""Two answers that do not come are found out in 11 s."""
RETRY_S: Final = 300.0
STALE_S: Final = 300.0
"""A share price that was last seen so long before its report is none, outside the overnight session."""

_EXTENDED: Final = {1: ("pre", 0), 2: ("regular", 1), 3: ("post", 2), 4: ("overnight", 3), 5: ("closed", 5)}
"""Market status of a 24/5 stream: its name, and the code of a SESSION row."""

_PLAIN: Final = {1: ("closed", None), 2: ("regular", 1), 3: ("halted", None)}
"""Market status of other streams; closed is not said to be which session."""

_ID: Final = re.compile(r"0x[0-9a-f]{64}")


class _Report(msgspec.Struct, frozen=True):
    fullReport: str


class _Answer(msgspec.Struct, frozen=True):
    report: _Report


OPTIONS: Final[Mapping[str, Option]] = {"poll_s": float, "retry_s": float, ANY_SYMBOL: str}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of Chainlink reports."""
    return ChainlinkFeed(setup)


def signature(secret: str, key: str, path: str, ms: int) -> str:
    """The HMAC of a GET without a body: method, path with query, hash of the body, key and time, spaces between."""
    nothing = hashlib.sha256(b"").hexdigest()
    return hmac.new(secret.encode(), f"GET {path} {nothing} {key} {ms}".encode(), hashlib.sha256).hexdigest()


class ChainlinkFeed:
    """A Feed of REFERENCE and SESSION rows of shares, QUOTE and MULTIPLIER rows of tokens."""

    def __init__(self, setup: FeedSetup) -> None:
        """The symbol is the feed id, or an option of its name holds it; other options: `poll_s`, `retry_s`.

        Raises BadMessage for an instrument without an id.
        """
        self._setup = setup
        self._base = (setup.url or BASE).rstrip("/")
        self._poll_s = float(setup.options.get("poll_s", POLL_S))
        self._retry_s = float(setup.options.get("retry_s", RETRY_S))
        self._ids: dict[str, Instrument] = {}
        for instrument in setup.instruments:
            text = str(setup.options.get(instrument.symbol, instrument.symbol)).lower()
            if _ID.fullmatch(text) is None:
                hint = f'write [instruments."{setup.venue}:0x..."] with its 64 hex digits'
                raise BadMessage(f"{instrument.symbol} is not the id of a feed", where=setup.venue, hint=hint)
            self._ids[text] = instrument
        self._poll = Poll(
            setup.venue,
            clock=setup.clock,
            monotonic=setup.monotonic,
            rng=setup.rng,
            sleep=setup.sleep,
            per_period=10,
            period_s=1.0,
            tries=2,
            answer_s=ANSWER_S,
            vitals=setup.vitals,
        )
        self._sink: Sink
        self._numbers: dict[str, int] = {}
        self._seen: dict[int, int] = {}
        self._up: set[int] = set()
        self._halted: set[int] = set()
        self._missing: set[int] = set()
        self._multipliers: dict[int, tuple[float, float]] = {}

    @property
    def venue(self) -> str:
        """Name of the venue that it asks."""
        return self._setup.venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._setup.instruments

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Asks until cancelled; nothing that the venue answers ends it."""
        self._sink = sink
        self._numbers = {id_: numbers[instrument.name] for id_, instrument in self._ids.items()}
        async with aiohttp.ClientSession() as session:
            while True:
                pause_s = self._poll_s
                for id_, number in self._numbers.items():
                    try:
                        await self._ask(session, id_, number)
                    except ConnectorError as error:
                        if isinstance(error, EntitlementLost):
                            pause_s = self._retry_s
                        self._failed(number, self._ids[id_].symbol, error)
                await self._setup.sleep(pause_s)

    async def probe(self) -> tuple[Finding, ...]:
        """Which feeds there are, which of them the key may have, of when their reports are, how quickly it answers."""
        look = Look(self._setup)
        async with aiohttp.ClientSession() as session:
            for id_, instrument in self._ids.items():
                subject = instrument.symbol

                async def ask(id_: str = id_) -> Advanced | Tokenized:
                    return self._read(await self._fetch(session, id_), id_)

                hint = "this feed needs another subscription"
                report = await look.ask(ask, subject=subject, entitled=hint, unreadable="symbol")
                if report is not None:
                    age_s = self._setup.clock() / NS - report.observed_s
                    look.symbol(subject, f"observed {age_s:.0f} s ago")
                    look.say("entitlement", subject, ok=True, detail="allowed")
                elif not look.reached:
                    break
        look.latency()
        return tuple(look.found)

    async def _fetch(self, session: aiohttp.ClientSession, id_: str) -> bytes:
        """The answer to a question for the latest report of a feed. Raises as Poll.fetch does."""
        path = f"{PATH}?feedID={id_}"
        return await self._poll.fetch(session, self._base + path, {}, headers=lambda: self._headers(path))

    def _read(self, body: bytes, id_: str) -> Advanced | Tokenized:
        """The report in an answer. Raises BadMessage for any that is not one of this feed."""
        try:
            text = msgspec.json.decode(body, type=_Answer).report.fullReport
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadMessage(f"not a report: {error}", where=self.venue) from error
        report = decode(text)
        if report.feed_id != id_:
            raise BadMessage(f"a report of {report.feed_id} for {id_}", where=self.venue)
        return report

    async def _ask(self, session: aiohttp.ClientSession, id_: str, number: int) -> None:
        """One report of one feed. Raises ConnectorError where there is none."""
        body = await self._fetch(session, id_)
        self._sink.frame(self.venue, body)
        report = self._read(body, id_)
        self._entitled(number)
        ts = report.observed_s * NS
        if ts < self._seen.get(number, 0):
            self._sink.reject(self.venue, "out_of_order", id_)
            return
        fresh = ts > self._seen.get(number, 0)
        self._seen[number] = ts
        if not fresh:
            return
        if isinstance(report, Advanced):
            self._advanced(number, self._ids[id_], report, ts)
        elif isinstance(report, Tokenized):
            self._tokenized(number, self._ids[id_], report, ts)
        else:
            assert_never(report)

    def _advanced(self, number: int, instrument: Instrument, report: Advanced, ts: int) -> None:
        """A share's quote, if its market is open in the session that the report names."""
        extended = instrument.hours in (Hours.WEEKDAYS, Hours.ALWAYS)
        session, code = (_EXTENDED if extended else _PLAIN).get(report.status, ("", None))
        if code is not None:
            self._sink.put(Kind.SESSION, number, ts_venue=ts, bid=float(code))
        if session in ("", "closed", "halted"):
            self._sink.reject(self.venue, f"market_{session or 'unknown'}", instrument.symbol)
            return
        if session != "overnight" and ts - report.seen_ns > STALE_S * NS:
            self._sink.reject(self.venue, "stale", f"{instrument.symbol} last seen {report.seen_ns}")
            return
        extra = pack(Source.CHAINLINK, session)
        if report.bid > 0.0 and report.ask > 0.0:
            self._price(number, instrument, report.bid, report.ask, ts, extra, (report.bid_size, report.ask_size))
        elif report.mid > 0.0:
            self._price(number, instrument, report.mid, report.mid, min(ts, report.seen_ns), extra)
        else:
            self._sink.reject(self.venue, "no_quote", instrument.symbol)

    def _tokenized(self, number: int, instrument: Instrument, report: Tokenized, ts: int) -> None:
        """A token's price on exchanges and its multiplier; for a share, its price while the market is open."""
        if instrument.role is Role.TOKEN:
            told = (report.multiplier, report.new_multiplier if report.activation_s else 0.0)
            if report.multiplier > 0.0 and self._multipliers.get(number) != told:
                self._multipliers[number] = told
                self._sink.put(Kind.MULTIPLIER, number, ts_venue=ts, bid=report.multiplier)
                if report.activation_s and report.new_multiplier > 0.0:
                    at = float(report.activation_s)
                    self._sink.put(Kind.MULTIPLIER, number, ts_venue=ts, bid=report.new_multiplier, ask=at)
            self._price(number, instrument, report.tokenized, report.tokenized, ts, NAN)
            return
        session, _ = _PLAIN.get(report.status, ("", None))
        if session == "halted":
            self._halted.add(number)
            self._sink.against([number], Why.HALTED)
        elif number in self._halted:
            self._halted.discard(number)
            self._sink.cleared([number], Why.HALTED)
        if session != "regular":
            self._sink.reject(self.venue, f"market_{session or 'unknown'}", instrument.symbol)
            return
        at = min(ts, report.updated_ns)
        self._price(number, instrument, report.price, report.price, at, pack(Source.CHAINLINK, session))

    def _price(
        self,
        number: int,
        instrument: Instrument,
        bid: float,
        ask: float,
        ts: int,
        extra: float,
        sizes: tuple[float, float] = (NAN, NAN),
    ) -> None:
        if number not in self._up:
            self._up.add(number)
            self._sink.cleared([number], Why.NOT_HEARD)
        flags = int(Flag.ONE_PRICE) if bid == ask else 0
        bid_size, ask_size = sizes
        self._sink.put(
            PRICE_OF[instrument.role],
            number,
            ts_venue=ts,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            extra=extra,
            flags=flags,
        )

    def _entitled(self, number: int) -> None:
        if number in self._missing:
            self._missing.discard(number)
            self._sink.against([number], Why.NOT_HEARD)
            self._sink.cleared([number], Why.ENTITLEMENT)

    def _failed(self, number: int, symbol: str, error: ConnectorError) -> None:
        """One feed could not be read; the others are not touched."""
        self._sink.reject(self.venue, error.word, masked(self._setup, f"{symbol}: {error}"))
        if isinstance(error, EntitlementLost):
            self._missing.add(number)
            self._sink.against([number], Why.ENTITLEMENT)
            self._sink.cleared([number], Why.NOT_HEARD)
        elif number in self._up:
            self._sink.against([number], Why.NOT_HEARD)
        self._up.discard(number)

    def _headers(self, path: str) -> dict[str, str]:
        key, ms = self._setup.key(), self._setup.clock() // 1_000_000
        return {
            "Authorization": key.get("key", ""),
            "X-Authorization-Timestamp": str(ms),
            "X-Authorization-Signature-SHA256": signature(key.get("secret", ""), key.get("key", ""), path, ms),
        }
