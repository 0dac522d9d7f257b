"""What may go wrong in a scene: each kind with its row of the fault matrix, and how one of it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.simulated.issuer_terms import IssuerFault
from connectors.simulated.order_faults import OrderFault, Trouble
from connectors.simulated.row_faults import RowFault

if TYPE_CHECKING:
    import numpy as np

    from connectors.simulated.short import Gap


class Event(StrEnum):
    """What happens on an account or at an issuer without us."""

    NEW_RULES = "new_rules"
    WITHDRAWAL = "withdrawal"
    FOREIGN = "foreign"
    RIGHTS = "rights"
    FREEZE = "freeze"


class Custody(StrEnum):
    """What befalls the backing of a token."""

    SHORTFALL = "shortfall"
    """More units are on chains than its issuer attests."""
    OLD = "attestation_old"
    """Its issuer has attested nothing for too long."""


class Process(StrEnum):
    """What befalls the process."""

    CRASH_BEFORE = "crash_before"
    """It dies before record `number` is written."""
    CRASH_TORN = "crash_torn"
    """While it is written."""
    CRASH_AFTER = "crash_after"
    """In the moment in which it is durable, before anything is sent."""
    CRASH_SENDING = "crash_sending"
    """While it sends for the `number`-th time: one venue has the order, the next one not."""
    DISK_FULL = "disk_full"
    """From record `number` on nothing can be written; when there is room again, the operator starts it anew."""
    SLOW_DISK = "slow_disk"
    """From record `number` on a record takes five seconds to be durable."""


class Hand(StrEnum):
    """What the operator does, and takes back."""

    KILL = "kill"
    PAUSE = "pause"


Kind = OrderFault | Trouble | Event | IssuerFault | RowFault | Custody | Process | Hand

ROWS: Final[dict[Kind, int]] = {
    RowFault.DROP: 1,
    RowFault.MUTE: 2,
    RowFault.STALE: 3,
    RowFault.CROSSED: 4,
    RowFault.GARBAGE: 8,
    RowFault.SPIKE: 9,
    RowFault.DRIFT: 10,
    RowFault.HALT: 20,
    OrderFault.ACK_LOST: 22,
    OrderFault.REQUEST_LOST: 22,
    OrderFault.RECORDED_5XX: 23,
    OrderFault.JUST_UNDER: 24,
    OrderFault.JUST_OVER: 24,
    OrderFault.PARTIAL_SILENCE: 25,
    OrderFault.DUPLICATE_FILL: 26,
    OrderFault.FILL_BEFORE_ACK: 27,
    OrderFault.FILL_AFTER_CANCEL: 27,
    OrderFault.OVER_FILL: 28,
    OrderFault.WRONG_PRICE: 29,
    OrderFault.WRONG_FEE_COIN: 29,
    Trouble.RATE: 30,
    Trouble.MAINTENANCE: 31,
    OrderFault.CANCEL_REFUSED: 32,
    OrderFault.CANCEL_LOST: 32,
    Event.NEW_RULES: 33,
    Trouble.DOWN: 34,
    Event.WITHDRAWAL: 35,
    Event.FOREIGN: 36,
    Trouble.KEY_REVOKED: 37,
    Event.RIGHTS: 37,
    IssuerFault.NEVER_SETTLES: 54,
    IssuerFault.NO_WORD: 54,
    IssuerFault.REPEATS: 54,
    IssuerFault.REJECTED: 55,
    IssuerFault.SHORT: 56,
    IssuerFault.OTHER_PRICE: 56,
    IssuerFault.FAILED: 56,
    IssuerFault.UNFAILS: 56,
    Event.FREEZE: 57,
    RowFault.MULTIPLIER: 58,
    RowFault.DIVIDEND: 59,
    Custody.SHORTFALL: 60,
    Custody.OLD: 60,
    RowFault.COIN: 61,
    RowFault.THIN: 62,
    Process.CRASH_BEFORE: 65,
    Process.CRASH_TORN: 65,
    Process.CRASH_AFTER: 65,
    Process.CRASH_SENDING: 66,
    Process.DISK_FULL: 68,
    Process.SLOW_DISK: 69,
    Hand.KILL: 79,
    Hand.PAUSE: 79,
    OrderFault.RAISES: 81,
}
"""Every kind that is drawn, and its row in the fault matrix (docs/selftest.md)."""

BY_NAME: Final[dict[str, Kind]] = {kind.value: kind for kind in ROWS}


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that goes wrong."""

    what: str
    where: str = ""
    """Venue, issuer, instrument or scope."""
    number: int = 0
    """Of the order at its venue or the request at its issuer, from 0; of the record or the sending, from 1."""
    times: int = 1
    """So many orders in a row."""
    at_s: float = 0.0
    """After the start."""
    for_s: float = 0.0

    @property
    def kind(self) -> Kind:
        """Its kind. Raises KeyError for a name that is none."""
        return BY_NAME[self.what]

    @property
    def row(self) -> int:
        """Of the fault matrix."""
        return ROWS[self.kind]


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where something can go wrong."""

    venues: tuple[str, ...]
    """Those that take orders."""
    issuers: tuple[str, ...]
    gaps: tuple[Gap, ...]
    """What is worth trading, and when: a fault that hits nothing shows nothing."""
    names: tuple[str, ...]
    """Instruments by number."""


def draw(rng: np.random.Generator, kind: Kind, places: Places) -> Fault:
    """One fault of a kind, near to something that it can spoil."""
    gap = places.gaps[int(rng.integers(len(places.gaps)))]
    at_s = max(1.0, gap.begin_s + float(rng.uniform(-10.0, 6.0)))
    for_s = float(rng.uniform(5.0, 60.0))
    venue = _one(rng, places.venues)
    if isinstance(kind, OrderFault):
        return Fault(what=kind, where=venue, number=int(rng.integers(4)), times=2)
    if isinstance(kind, IssuerFault):
        return Fault(what=kind, where=_one(rng, places.issuers), number=int(rng.integers(2)))
    if kind is Process.CRASH_SENDING:
        return Fault(what=kind, number=int(rng.integers(1, 12)))
    if isinstance(kind, Process):
        lasts = kind in (Process.DISK_FULL, Process.SLOW_DISK)
        return Fault(what=kind, number=int(rng.integers(2, 60)), for_s=for_s if lasts else 0.0)
    if kind is Event.FREEZE:
        return Fault(what=kind, where=_one(rng, places.issuers), at_s=at_s, for_s=for_s)
    if isinstance(kind, (RowFault, Custody)) or kind is Hand.PAUSE:
        return Fault(what=kind, where=places.names[gap.instrument], at_s=at_s, for_s=for_s)
    return Fault(what=kind, where="" if kind is Hand.KILL else venue, at_s=at_s, for_s=for_s)


def _one(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]
