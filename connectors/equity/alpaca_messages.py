"""Alpaca's stock stream, read: a frame becomes messages, a quote a row or a reason, a status a halt or its end.

A frame is an array of objects in JSON (text) or MessagePack (binary), one object a message, `T` its type:

    [{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":100,"ax":"Q","ap":87.68,"as":400,"c":["R"],"z":"C",
      "t":"2021-02-22T15:51:45.335689322Z"}]

Sizes are shares (round lots before 3 November 2025); a price of 0 is no active quote. Times are kept to the
microsecond. Source: docs.alpaca.markets, "WebSocket Stream" and "Real-time Stock Data" (2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, NamedTuple

import msgspec

from connectors.errors import BadMessage
from connectors.provenance import Source, pack

FEEDS: Final = {
    "sip": ("/v2/sip", Source.SIP),
    "iex": ("/v2/iex", Source.IEX),
    "delayed_sip": ("/v2/delayed_sip", Source.DELAYED_SIP),
    "boats": ("/v1beta1/boats", Source.BOATS),
    "overnight": ("/v1beta1/overnight", Source.OVERNIGHT),
    "test": ("/v2/test", Source.TEST),
}
"""Name of a feed -> path of its stream, and what its rows say of their source."""

NOT_FIRM: Final = frozenset("DGIJKLMNPSVWXYZ123")
"""Quote conditions of a market that is closed, paused, not open yet or not firm (CTA and UTP plans)."""

HALTS: Final = frozenset({"2", "H", "P"})
"""Status codes that begin a halt or a pause: CTA 2; UTP H, P."""

RESUMES: Final = frozenset({"3", "T"})
"""Status codes that end one: CTA 3; UTP T. Q resumes quotes only, and trading is still halted."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NAN: Final = float("nan")


class Message(msgspec.Struct, frozen=True):
    """Any message; what its type does not have is absent."""

    T: str
    S: str = ""
    t: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    bp: float = _NAN
    ap: float = _NAN
    bs: float = _NAN
    ask_size: float = msgspec.field(name="as", default=_NAN)
    bx: str = ""
    ax: str = ""
    c: list[str] | None = None
    p: float = _NAN
    s: float = _NAN
    x: str = ""
    sc: str = ""
    sm: str = ""
    rc: str = ""
    rm: str = ""
    u: float = _NAN
    d: float = _NAN
    i: int | str = ""
    code: int = 0
    msg: str = ""
    quotes: list[str] | None = None

    @property
    def ts(self) -> int:
        """The venue's time, ns UTC; 0 where the message has none."""
        return 0 if self.t is None else (self.t - _EPOCH) // _MICROSECOND * 1000


class Quote(NamedTuple):
    """A quote that may become a row; USD per share, shares."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float
    ts: int
    extra: float


_JSON = msgspec.json.Decoder(list[Message])
_PACKED = msgspec.msgpack.Decoder(list[Message])
_JSON_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
_PACKED_PARTS = msgspec.msgpack.Decoder(list[msgspec.Raw])
_JSON_ONE = msgspec.json.Decoder(Message)
_PACKED_ONE = msgspec.msgpack.Decoder(Message)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError)


def messages(frame: str | bytes) -> Iterator[Message | str]:
    """The messages of a frame in order; in the place of one that cannot be read, why.

    Raises BadMessage where the frame as a whole is none.
    """
    try:
        yield from _JSON.decode(frame) if isinstance(frame, str) else _PACKED.decode(frame)
        return
    except _UNREADABLE:
        pass
    try:
        parts = _JSON_PARTS.decode(frame) if isinstance(frame, str) else _PACKED_PARTS.decode(frame)
    except _UNREADABLE as error:
        raise BadMessage(f"not a list of messages: {error}") from error
    one = _JSON_ONE if isinstance(frame, str) else _PACKED_ONE
    for part in parts:
        try:
            yield one.decode(part)
        except _UNREADABLE as error:
            yield str(error)


def quote(message: Message, source: Source) -> Quote | str:
    """The row of a quote, or the word why it is none."""
    bid, ask = message.bp, message.ap
    if bid != bid or ask != ask:
        return "no_price"
    if bid == 0.0 or ask == 0.0:
        return "no_quote" if bid == ask else "one_sided"
    conditions = message.c or ()
    if not NOT_FIRM.isdisjoint(conditions):
        return "not_firm"
    if bid == ask:
        return "locked"
    extra = pack(source, "", message.bx, message.ax, "".join(conditions)[:2])
    return Quote(bid, ask, message.bs, message.ask_size, message.ts, extra)


def in_limit_state(bid: float, ask: float, low: float, high: float) -> bool:
    """Whether a quote stands at a price band (limit up, limit down): nobody may trade beyond, and a pause may follow.

    Absent bands (NaN) and bands of 0 are none.
    """
    return (high > 0.0 and bid >= high) or (low > 0.0 and ask <= low)
