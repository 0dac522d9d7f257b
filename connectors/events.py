"""Rows and blocks of rows: everything that a connector can say, in ten fixed fields.

What each field means for each kind (absent is NaN; prices are in the instrument's quote currency per transferable
unit; sizes are in units; times are integer nanoseconds, UTC):

kind        bid                ask                  bid_size    ask_size      extra
QUOTE       best bid           best ask             size at bid size at ask   -
TRADE       price              price                -           size          +1 buyer, -1 seller took, else NaN
DEPTH       best bid           best ask             size        size          index of the levels in side table `depth`
POOL        bid after fee      ask after fee        size        size          -             (prices are those of the
                                                                               whole size, on average)
REFERENCE   share bid          share ask            size        size          where from (connectors/provenance.py)
FX          coin bid in USD    coin ask in USD      size        size          -
SESSION     session code       -                    -           -             -            (a venue's own market status)
MULTIPLIER  shares per unit    activation, unix s   -           -             index of the exact record
FUNDING     rate per period    period in seconds    open interest mark price  next payment, unix s (units, quote)
REWARD      USD per day        end, unix s          -           -             -
SUPPLY      tokens             backing shares       minted      burnt         -            (both since the last
                                                                               such row, units)
FILL        price              fee in quote         -           quantity      index of the exact fill
CONVERSION  state code         -                    -           quantity      index of the exact record
HEALTH      code of Health     code of Why          -           -             -
TICK        -                  -                    -           -             -            (time passes)
ACTION      shares per old     ex-moment, unix s    cash, USD   1 by hand     -            (a split or a dividend of
                                                                               the share, known ahead)

A series that has one price and no book is a QUOTE, REFERENCE or FX row with bid = ask and the flag ONE_PRICE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

import numpy as np
import numpy.typing as npt

from connectors.instruments import Role

SCHEMA_VERSION: Final = 1
"""Raised when a column or its meaning changes; a tape carries the version it was written with."""

NS: Final = 1_000_000_000
"""Nanoseconds in a second."""

NAN: Final = float("nan")
NEVER: Final = np.iinfo(np.int64).max
"""A moment that does not come: the largest int64."""


class Kind(IntEnum):
    """What a row says; the numbers stand on disk, so they are only ever added to."""

    QUOTE = 0
    TRADE = 1
    DEPTH = 2
    POOL = 3
    REFERENCE = 4
    FX = 5
    SESSION = 6
    MULTIPLIER = 7
    FUNDING = 8
    REWARD = 9
    SUPPLY = 10
    FILL = 11
    CONVERSION = 12
    HEALTH = 13
    TICK = 14
    ACTION = 15


PRICE_OF: Final[dict[Role, Kind]] = {
    Role.TOKEN: Kind.QUOTE,
    Role.PERP: Kind.QUOTE,
    Role.SHARE: Kind.REFERENCE,
    Role.COIN: Kind.FX,
}
"""What a row is called that tells the price of an instrument of a role."""


class Health(IntEnum):
    """How an instrument's stream stands; the numbers stand on disk, so they are only ever added to."""

    DOWN = 0
    """Nothing is heard."""
    UP = 1
    DEGRADED = 2
    """It is heard, but something speaks against trading on it: shown, never a leg."""
    CLOSED = 3
    """The venue says that it does not trade now: halted, in maintenance, between sessions."""


class Why(IntEnum):
    """What speaks against an instrument's stream; the numbers stand on disk, so they are only ever added to."""

    NOTHING = 0
    NOT_HEARD = 1
    """No first message of this life yet, or the book is not built again yet."""
    DISCONNECTED = 2
    SILENT = 3
    """Connected, but nothing comes in the time in which something must."""
    ENTITLEMENT = 4
    """401 or 403: this account may not have it (any more)."""
    NOT_LISTED = 5
    MAINTENANCE = 6
    HALTED = 7
    """The venue's trading status of this instrument."""
    CLOCK = 8
    """The clocks of venue and machine are too far apart, or ours has jumped."""
    LAGS = 9
    """What arrives is old by the venue's own time."""
    DISAGREES = 10
    """The stream's book and the venue's own snapshot of it differ."""
    RATE_LIMITED = 11
    BASIS = 12
    """Whether the price is per unit or per share is not known."""
    IMPLAUSIBLE = 13
    """The price cannot be that of the token: probably another asset under its name."""
    LOOP_LAG = 14
    """This process was held up; what was read meanwhile is old."""
    DELAYED = 15
    """A share source that follows the others with a delay."""
    IDENTITY = 16
    """The contract is not, or no longer, what the registry means."""
    UNVERIFIED = 17
    """Our quotes of this pool are not checked against its contract: a fork whose bytecode could not be had, or a hook
    or dynamic fee that only the chain knows."""
    PAUSED = 18
    """The issuer has stopped the token, or says that its multiplier is not to be used now."""


STANDING: Final[dict[Why, Health]] = {
    Why.NOTHING: Health.UP,
    Why.NOT_HEARD: Health.DOWN,
    Why.DISCONNECTED: Health.DOWN,
    Why.SILENT: Health.DOWN,
    Why.ENTITLEMENT: Health.DOWN,
    Why.NOT_LISTED: Health.DOWN,
    Why.MAINTENANCE: Health.CLOSED,
    Why.HALTED: Health.CLOSED,
    Why.CLOCK: Health.DEGRADED,
    Why.LAGS: Health.DEGRADED,
    Why.DISAGREES: Health.DEGRADED,
    Why.RATE_LIMITED: Health.DEGRADED,
    Why.BASIS: Health.DEGRADED,
    Why.IMPLAUSIBLE: Health.DEGRADED,
    Why.LOOP_LAG: Health.DEGRADED,
    Why.DELAYED: Health.DEGRADED,
    Why.IDENTITY: Health.DOWN,
    Why.UNVERIFIED: Health.DEGRADED,
    Why.PAUSED: Health.CLOSED,
}
"""The state that each reason makes; of several reasons the worst counts: DOWN, then CLOSED, then DEGRADED."""


class Flag(IntFlag):
    """Bits of a row's `flags`."""

    SUPERSEDED = 1
    """A newer row of the same instrument overtook it in the inbox: on the tape, but never seen by the scan."""
    ONE_PRICE = 2
    """The series has one price and no book; bid = ask = that price, sizes absent."""
    HALTED = 4
    """The source says that trading is halted."""
    RAISED = 8
    """`ts_recv` was raised to the last one handed out, because it arrived with an earlier stamp."""
    SELL = 16
    """For FILL: the fill was a sale."""
    SAME_PRINT = 32
    """For DEPTH: the levels of the book whose best bid and ask an earlier row told already, so no print of its own."""


NO_FLAG: Final = Flag(0)

ROW: Final = np.dtype(
    [
        ("ts_venue", "<i8"),
        ("ts_recv", "<i8"),
        ("instrument", "<i4"),
        ("kind", "<i2"),
        ("flags", "<i2"),
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("bid_size", "<f8"),
        ("ask_size", "<f8"),
        ("extra", "<f8"),
    ]
)
"""One row: 64 bytes."""

FIELDS: Final[tuple[str, ...]] = tuple(ROW.names or ())

I8 = npt.NDArray[np.int64]
I4 = npt.NDArray[np.int32]
I2 = npt.NDArray[np.int16]
F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A readable view of one row, for people, tests and the socket side."""

    ts_recv: int
    instrument: int
    kind: Kind
    ts_venue: int = 0
    flags: Flag = NO_FLAG
    bid: float = NAN
    ask: float = NAN
    bid_size: float = NAN
    ask_size: float = NAN
    extra: float = NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A block of rows as ten arrays of one length (struct of arrays), in order of (ts_recv, position)."""

    ts_venue: I8
    ts_recv: I8
    instrument: I4
    kind: I2
    flags: I2
    bid: F8
    ask: F8
    bid_size: F8
    ask_size: F8
    extra: F8

    def __len__(self) -> int:
        """How many rows the block holds."""
        return len(self.ts_recv)

    def __getitem__(self, part: slice | npt.NDArray[np.bool_]) -> Rows:
        """A part of the block: of a slice the arrays are views, nothing is copied; a mask chooses rows."""
        return Rows(**{name: getattr(self, name)[part] for name in FIELDS})

    def row(self, at: int) -> Row:
        """One row as a readable value. Raises IndexError outside the block."""
        return Row(
            ts_venue=int(self.ts_venue[at]),
            ts_recv=int(self.ts_recv[at]),
            instrument=int(self.instrument[at]),
            kind=Kind(int(self.kind[at])),
            flags=Flag(int(self.flags[at])),
            bid=float(self.bid[at]),
            ask=float(self.ask[at]),
            bid_size=float(self.bid_size[at]),
            ask_size=float(self.ask_size[at]),
            extra=float(self.extra[at]),
        )

    def __iter__(self) -> Iterator[Row]:
        """Row by row; for tests and the socket side, not for the hot path."""
        return (self.row(at) for at in range(len(self)))

    def blocks(self, size: int) -> Iterator[Rows]:
        """The same rows in blocks of at most `size` rows."""
        return (self[start : start + size] for start in range(0, len(self), size))

    @staticmethod
    def of(rows: Sequence[Row]) -> Rows:
        """A block from readable rows, in the order given."""
        records = np.array([tuple(getattr(row, name) for name in FIELDS) for row in rows], dtype=ROW)
        return Rows.from_records(records)

    @staticmethod
    def from_records(records: npt.NDArray[np.void]) -> Rows:
        """A block from an array of ROW records; each field becomes a contiguous array."""
        return Rows(**{name: np.ascontiguousarray(records[name]) for name in FIELDS})

    @staticmethod
    def one_price(points: Sequence[tuple[int, float]], kind: Kind) -> Rows:
        """Rows of instrument 0 from (ns UTC, price) pairs of a series that has one price and no book."""
        count = len(points)
        ts = np.array([at for at, _ in points], np.int64)
        price = np.array([value for _, value in points], np.float64)
        absent = np.full(count, np.nan)
        return Rows(
            ts_venue=ts,
            ts_recv=ts,
            instrument=np.zeros(count, np.int32),
            kind=np.full(count, kind, np.int16),
            flags=np.full(count, Flag.ONE_PRICE, np.int16),
            bid=price,
            ask=price,
            bid_size=absent,
            ask_size=absent,
            extra=absent,
        )

    @staticmethod
    def join(blocks: Sequence[Rows]) -> Rows:
        """Several blocks as one, in the order given."""
        if not blocks:
            return Rows.from_records(np.empty(0, dtype=ROW))
        return Rows(**{name: np.concatenate([getattr(block, name) for block in blocks]) for name in FIELDS})


TWO_SIDED: Final = (Kind.QUOTE, Kind.DEPTH, Kind.POOL, Kind.REFERENCE, Kind.FX)
"""Kinds whose bid and ask are both prices; of a TRADE only one is looked at."""

IMPORT_ORDER: Final[dict[Kind, int]] = {
    Kind.MULTIPLIER: 0,
    Kind.SESSION: 1,
    Kind.FX: 2,
    Kind.REFERENCE: 3,
    Kind.FUNDING: 4,
}
"""Rank of a kind among rows of one instant in an import; every other kind ranks 5 (token quotes come last)."""
