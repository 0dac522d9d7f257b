"""How Kraken's websocket v2 is spoken: order books with checksums, trading statuses, the venue's own state.

Numbers arrive as JSON numbers in full precision, and the checksum is over their digits: they are taken as they stand in
the text (msgspec.Raw), never through a float and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from connectors.cex.kraken_book import KrakenBook, Quoted
from connectors.cex.stream import Stream, Told
from connectors.events import NS

DEPTHS: Final = (10, 25, 100, 500, 1000)
"""Levels that a subscription may ask for."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class BookData(msgspec.Struct, gc=False):
    """The levels of one symbol: all of them, or those that changed."""

    symbol: str
    bids: list[Quoted]
    asks: list[Quoted]
    checksum: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    timestamp: _Time | None = None


class Book(msgspec.Struct, tag_field="channel", tag="book", gc=False):
    """A snapshot of books, or changes of them."""

    type: Literal["snapshot", "update"]
    data: list[BookData]


class Named(msgspec.Struct):
    """The symbol of a book that cannot be read."""

    symbol: str


class BookHead(msgspec.Struct):
    """Whose books a message carries, whatever else is wrong with it."""

    data: list[Named]


class Heartbeat(msgspec.Struct, tag_field="channel", tag="heartbeat"):
    """Sent each second in which nothing else is."""


class State(msgspec.Struct):
    """online, maintenance, cancel_only or post_only."""

    system: str


class Status(msgspec.Struct, tag_field="channel", tag="status"):
    """The state of the whole venue: after each connect, and when it changes."""

    data: list[State]


class Pair(msgspec.Struct):
    """Status of one pair: online, cancel_only, delisted, limit_only, maintenance, post_only, reduce_only, ..."""

    symbol: str
    status: str


class Pairs(msgspec.Struct):
    """Those that there are, or that changed."""

    pairs: list[Pair] = []


class InstrumentMessage(msgspec.Struct, tag_field="channel", tag="instrument"):
    """What trades."""

    data: Pairs


class Reply(msgspec.Struct):
    """An answer to what we said, or whatever else came: a first look at what it is."""

    method: str = ""
    channel: str = ""
    success: bool = True
    error: str = ""
    symbol: str = ""
    time_in: _Time | None = None
    time_out: _Time | None = None


_decode: Final = msgspec.json.Decoder(Book | Heartbeat | Status | InstrumentMessage).decode
_REPLY: Final = msgspec.json.Decoder(Reply)
_HEAD: Final = msgspec.json.Decoder(BookHead)
_UNREAD: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What the decoder raises over a message that is not what it should be."""


class KrakenTalk:
    """A Talk: books of `depth` levels of some symbols, their statuses, and the venue's."""

    def __init__(self, streams: Sequence[Stream], depth: int) -> None:
        """Each stream's book is a KrakenBook. Raises ValueError for a depth that the venue does not have."""
        if depth not in DEPTHS:
            raise ValueError(f"a depth of {depth}")
        self._streams = {stream.symbol: stream for stream in streams}
        self._depth = depth

    def hello(self) -> tuple[str, ...]:
        """Statuses first, so that they stand when the first book comes; one message for each book, so that one refused
        symbol leaves the others alone."""
        statuses = _say("subscribe", channel="instrument", include_tokenized_assets=True)
        return (statuses, *(self._books("subscribe", symbol) for symbol in self._streams))

    def anew(self, stream: Stream) -> tuple[str, ...]:
        """The snapshot comes with a new subscription."""
        return self._books("unsubscribe", stream.symbol), self._books("subscribe", stream.symbol)

    def ping(self) -> str:
        """Answered with two stamps of the venue's clock."""
        return '{"method":"ping"}'

    def read(self, data: str | bytes, told: Told) -> None:
        """Takes one message; raises nothing, whatever it is."""
        try:
            message = _decode(data)
        except _UNREAD as error:
            self._reply(data, error, told)
            return
        kind = message.__class__
        if kind is Book:
            for part in message.data:
                self._book(message.type == "snapshot", part, told)
        elif kind is Status:
            for state in message.data:
                told.venue_open(state.system == "online", state.system)
        elif kind is InstrumentMessage:
            for pair in message.data.pairs:
                stream = self._streams.get(pair.symbol)
                if stream is not None:
                    told.traded(stream, pair.status == "online", pair.status)

    def _book(self, whole: bool, part: BookData, told: Told) -> None:
        """A snapshot or a change of one book; what does not fit it makes it lost."""
        stream = self._streams.get(part.symbol)
        if stream is None:
            told.refuse("unknown_symbol", part.symbol)
            return
        book: KrakenBook = stream.book  # type: ignore[assignment]  # the wiring of this venue gives its own books
        if whole:
            book.clear()
            stream.synced = True
        elif not stream.synced:
            told.refuse("before_snapshot", part.symbol)
            return
        trouble = book.take(part.asks, part.bids)
        if trouble:
            told.lost(stream, trouble)
            return
        ours = book.checksum()
        if ours != part.checksum:
            told.lost(stream, "checksum", f"{part.checksum} sent, {ours} made")
            return
        stamp = part.timestamp
        told.book(stream, 0 if stamp is None else _ns(stamp))

    def _reply(self, data: str | bytes, error: Exception, told: Told) -> None:
        """A message that is none of the channels that are read."""
        try:
            reply = _REPLY.decode(data)
        except _UNREAD:
            readable = isinstance(error, msgspec.ValidationError)
            told.refuse("wrong_type" if readable else "not_json", str(error))
            return
        if reply.channel == "book":
            for stream in self._missed(data):
                told.lost(stream, "wrong_type", str(error))
        elif reply.channel:
            known = reply.channel in ("status", "instrument", "heartbeat")
            told.refuse("wrong_type" if known else "unknown_channel", f"{reply.channel}: {error}")
        elif reply.method == "pong":
            if reply.time_in is not None and reply.time_out is not None:
                told.pong((_ns(reply.time_in) + _ns(reply.time_out)) // 2)
        elif not reply.success or reply.error:
            self._refused(reply, told)
        elif not reply.method:
            told.refuse("wrong_type", str(error))

    def _missed(self, data: str | bytes) -> Iterable[Stream]:
        """The streams that an unreadable book message may have been about: those that it names, or all."""
        try:
            names = {part.symbol for part in _HEAD.decode(data).data}
        except _UNREAD:
            names = set()
        return [self._streams[name] for name in names if name in self._streams] or list(self._streams.values())

    def _refused(self, reply: Reply, told: Told) -> None:
        """A subscription that was not granted."""
        stream = self._streams.get(reply.symbol or reply.error.rpartition(" ")[2])
        if stream is not None and "not supported" in reply.error:
            told.unlisted(stream, reply.error)
        else:
            told.refuse("subscription_refused", reply.error)

    def _books(self, method: str, symbol: str) -> str:
        return _say(method, channel="book", symbol=[symbol], depth=self._depth)


def _ns(stamp: datetime) -> int:
    """Nanoseconds UTC; the venue's stamps have microseconds."""
    since = stamp - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS + since.microseconds * 1_000


def _say(method: str, **params: Any) -> str:
    return msgspec.json.encode({"method": method, "params": params}).decode()
