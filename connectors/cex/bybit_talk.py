"""How Bybit's public websocket v5 is spoken: order books of one depth, numbered message by message.

Level 1 comes as snapshots, on change and, unchanged, after 3 s; deeper books as a snapshot and changes. `u` counts the
messages of a topic; 1 means that the service was restarted and the message is a whole book.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from connectors.cex.ladder import Side, trouble
from connectors.cex.stream import Stream, Told

DEPTHS: Final = (1, 50, 200)
"""Levels that both spot and linear books may be asked for with."""

_INF: Final = float("inf")
_MS: Final = 1_000_000
_Millis = Annotated[int, msgspec.Meta(ge=0, lt=1 << 43)]
_Level = tuple[float, float]


class BookData(msgspec.Struct, gc=False):
    """The levels of one symbol: all of them, or those that changed."""

    s: str
    b: list[_Level]
    a: list[_Level]
    u: Annotated[int, msgspec.Meta(ge=0)]


class Book(msgspec.Struct, gc=False):
    """A snapshot of a book, or a change of it."""

    topic: str
    ts: _Millis
    type: Literal["snapshot", "delta"]
    data: BookData
    cts: _Millis = 0
    """When the matching engine made it; `ts` is when it was sent."""


class Reply(msgspec.Struct):
    """An answer to what we said, or whatever else came: a first look at what it is."""

    op: str = ""
    topic: str = ""
    success: bool = True
    ret_msg: str = ""


# Numbers are texts here; `strict=False` reads them by the rules of JSON numbers, in the decoder (and lets `nan` pass).
_decode: Final = msgspec.json.Decoder(Book, strict=False).decode
_REPLY: Final = msgspec.json.Decoder(Reply)
_UNREAD: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What the decoder raises over a message that is not what it should be."""


class BybitTalk:
    """A Talk: books of `depth` levels of some symbols of one category."""

    def __init__(self, streams: Sequence[Stream], depth: int) -> None:
        """Raises ValueError for a depth that the venue does not have."""
        if depth not in DEPTHS:
            raise ValueError(f"a depth of {depth}")
        self._depth = depth
        self._streams = {self._topic(stream): stream for stream in streams}

    def hello(self) -> tuple[str, ...]:
        """One message for each book: a refused topic refuses all of its message."""
        return tuple(_say("subscribe", topic) for topic in self._streams)

    def anew(self, stream: Stream) -> tuple[str, ...]:
        """The snapshot comes with a new subscription; level 1 is snapshots, and needs none."""
        if self._depth == 1:
            return ()
        return _say("unsubscribe", self._topic(stream)), _say("subscribe", self._topic(stream))

    def ping(self) -> str:
        """The answer carries no time; without pings the venue hangs up."""
        return '{"op":"ping"}'

    def read(self, data: str | bytes, told: Told) -> None:
        """Takes one message; raises nothing, whatever it is."""
        try:
            message = _decode(data)
        except _UNREAD as error:
            self._reply(data, error, told)
            return
        stream = self._streams.get(message.topic)
        if stream is None:
            told.refuse("unknown_topic", message.topic)
            return
        part = message.data
        stamp = message.cts or message.ts
        number = part.u
        whole = message.type == "snapshot" or number == 1
        again = number == stream.update
        # A book that is told anew as a whole is true when it is sent, however long ago the engine last changed it.
        anew = whole and (again or number == 1 or not stream.synced)
        late = stream.synced and 1 < number <= stream.update and stamp <= stream.stamp
        if late and not (whole and again):
            told.refuse("duplicate" if again else "out_of_order", f"{message.topic} u {number} after {stream.update}")
            return
        book = stream.book
        if whole:
            book.clear()
            stream.synced = True
        elif not stream.synced:
            told.refuse("before_snapshot", message.topic)
            return
        elif number != stream.update + 1:
            told.lost(stream, "sequence_gap", f"u {number} after {stream.update}")
            return
        trouble = _take(part.a, book.asks) or _take(part.b, book.bids)
        if trouble:
            told.lost(stream, trouble)
            return
        book.cut(self._depth)
        stream.update, stream.stamp = number, stamp
        if anew:
            stamp = max(stamp, message.ts)
        told.book(stream, stamp * _MS)

    def _reply(self, data: str | bytes, error: Exception, told: Told) -> None:
        """A message that is no book."""
        try:
            reply = _REPLY.decode(data)
        except _UNREAD:
            readable = isinstance(error, msgspec.ValidationError)
            told.refuse("wrong_type" if readable else "not_json", str(error))
            return
        stream = self._streams.get(reply.topic)
        if stream is not None:
            told.lost(stream, "wrong_type", str(error))
        elif reply.topic:
            told.refuse("unknown_topic", f"{reply.topic}: {error}")
        elif not reply.success:
            stream = self._streams.get(reply.ret_msg.rpartition("topic:")[2])
            if stream is not None and "not found" in reply.ret_msg:
                told.unlisted(stream, reply.ret_msg)
            else:
                told.refuse("subscription_refused", reply.ret_msg)
        elif not reply.op:
            told.refuse("wrong_type", str(error))

    def _topic(self, stream: Stream) -> str:
        return f"orderbook.{self._depth}.{stream.symbol}"


def _take(levels: Iterable[_Level], side: Side) -> str:
    """Applies levels; stops at the first that is none, with why."""
    for price, size in levels:
        if not (0.0 < price < _INF and 0.0 <= size < _INF):
            return trouble(price, size)
        side.set(price, size)
    return ""


def _say(op: str, topic: str) -> str:
    return msgspec.json.encode({"op": op, "args": [topic], "req_id": f"{op} {topic}"}).decode()
