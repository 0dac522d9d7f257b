"""Where a share's price came from: source, session, exchanges and conditions, packed into `extra` of its REFERENCE row.

So the tape keeps it for every row, and nobody needs a side table. The number is a whole one below 2**41, which a float
holds exactly: 6 bits for the source, 3 for the session, 8 for each of two exchange codes and two conditions.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from connectors.events import NAN


class Source(IntEnum):
    """Which stream said it; the numbers stand on disk, so they are only ever added to."""

    UNKNOWN = 0
    SIP = 1
    """The consolidated tape of all US exchanges."""
    IEX = 2
    """One exchange, about a fiftieth of the volume."""
    DELAYED_SIP = 3
    """The tape, a quarter of an hour late."""
    BOATS = 4
    """Blue Ocean ATS, the overnight session."""
    OVERNIGHT = 5
    """A broker's own indication of the overnight price, made from others' quotes."""
    TEST = 6
    """A test stream: not a price of anything."""
    YAHOO = 7
    PYTH = 8
    CHAINLINK = 9


LATE_S: Final = {Source.DELAYED_SIP: 900.0}
"""How late a source is by its own word: so much older may its prices be. Their feed says DELAYED of them, so none of
them is fresh to anybody: in doubt, its error is 100 % larger."""


def late_s(extra: float) -> float:
    """By how many seconds the source of a row says that it is late; 0 where it is in time or says nothing."""
    origin = unpack(extra)
    return 0.0 if origin is None else LATE_S.get(origin.source, 0.0)


SESSIONS: Final = ("", "pre", "regular", "post", "overnight", "closed", "halted")
"""What a source may say about its market at that moment; empty is nothing."""


class Provenance(NamedTuple):
    """What a source says about where its price is from; codes as the source writes them, empty where it says none."""

    source: Source = Source.UNKNOWN
    session: str = ""
    """One of SESSIONS."""
    bid_exchange: str = ""
    ask_exchange: str = ""
    conditions: str = ""
    """At most two condition letters."""

    @property
    def extra(self) -> float:
        """The number that a row carries."""
        return pack(self.source, self.session, self.bid_exchange, self.ask_exchange, self.conditions)

    def __str__(self) -> str:
        """`sip regular Q/V R`, absent parts left out."""
        exchanges = "/".join(dict.fromkeys(code for code in (self.bid_exchange, self.ask_exchange) if code))
        parts = (self.source.name.lower(), self.session, exchanges, self.conditions)
        return " ".join(part for part in parts if part)


def pack(source: int, session: str = "", bid_exchange: str = "", ask_exchange: str = "", conditions: str = "") -> float:
    """The five facts as one number; a session or code that is none of the known ones is left out."""
    packed = int(source) & 63
    packed |= (SESSIONS.index(session) if session in SESSIONS else 0) << 6
    letters = (bid_exchange[:1], ask_exchange[:1], conditions[:1], conditions[1:2])
    for at, letter in enumerate(letters):
        if letter and 32 < ord(letter) < 127:
            packed |= ord(letter) << (9 + 8 * at)
    return float(packed)


def unpack(extra: float) -> Provenance | None:
    """The facts behind a row's `extra`; None where it carries none."""
    if not (extra == extra and 0 <= extra < 2**41 and extra == int(extra)):
        return None
    packed = int(extra)
    source, session = packed & 63, packed >> 6 & 7
    letters = [chr(code) if 32 < (code := packed >> (9 + 8 * at) & 255) < 127 else "" for at in range(4)]
    return Provenance(
        source=Source(source) if source in Source.__members__.values() else Source.UNKNOWN,
        session=SESSIONS[session] if session < len(SESSIONS) else "",
        bid_exchange=letters[0],
        ask_exchange=letters[1],
        conditions=letters[2] + letters[3],
    )


ABSENT: Final = NAN
"""`extra` of a row whose source says nothing."""
