"""What a simulated exchange does wrong with orders: to which order, or from when to when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from connectors.events import NEVER
from connectors.orders import Side


class OrderFault(StrEnum):
    """What befalls one order."""

    REQUEST_LOST = "request_lost"
    """It never arrives, and nobody says so."""
    ACK_LOST = "ack_lost"
    """It trades, and the answer is lost."""
    RECORDED_5XX = "recorded_5xx"
    """It trades, and the answer is a server error."""
    JUST_UNDER = "just_under"
    """The answer comes at the last moment at which somebody listens."""
    JUST_OVER = "just_over"
    """The answer comes when nobody listens any more."""
    PARTIAL_SILENCE = "partial_silence"
    """Half trades and is told; then it stands, and nothing is told any more."""
    DUPLICATE_FILL = "duplicate_fill"
    """Each fill is told three times: as it happens, with the answer, and again after the answer."""
    FILL_BEFORE_ACK = "fill_before_ack"
    FILL_AFTER_CANCEL = "fill_after_cancel"
    """Half trades and it stands; a cancel is confirmed, and then a fill from just before it is told."""
    OVER_FILL = "over_fill"
    """Half as much again trades as was asked for."""
    WRONG_PRICE = "wrong_price"
    """The fill is told one per cent off the price that was paid."""
    WRONG_FEE_COIN = "wrong_fee_coin"
    """The fee is taken in another coin, and its amount is told as if it were the quote currency's."""
    CANCEL_REFUSED = "cancel_refused"
    """Half trades and it stands; a cancel comes too late for the rest."""
    CANCEL_LOST = "cancel_lost"
    """Half trades and it stands; the first cancel never arrives."""
    RAISES = "raises"
    """It trades, and our connector breaks with an error whose text holds its key."""


STANDS: Final = frozenset(
    {
        OrderFault.PARTIAL_SILENCE,
        OrderFault.FILL_AFTER_CANCEL,
        OrderFault.CANCEL_REFUSED,
        OrderFault.CANCEL_LOST,
    }
)
"""Those under which half of an order trades and the rest stands."""


class Trouble(StrEnum):
    """What befalls every request for a while."""

    DOWN = "down"
    """Nobody can connect: nothing of a request leaves."""
    MAINTENANCE = "maintenance"
    """A page in HTML answers; the venue does nothing with what it is sent."""
    RATE = "rate"
    """429 with Retry-After; each further request makes it longer."""
    KEY_REVOKED = "key"
    """401: the key is no longer good."""


class Spell(NamedTuple):
    """A trouble from `begin` on, until `end` (ns UTC)."""

    what: Trouble
    begin: int
    end: int = NEVER


class Rules(NamedTuple):
    """What an order of an instrument must keep to; 0 is no rule."""

    lot: Decimal = Decimal(0)
    """Units."""
    tick: Decimal = Decimal(0)
    """Quote currency."""
    least: Decimal = Decimal(0)
    """Quote currency: quantity x limit."""


NO_RULES: Final = Rules()


class NewRules(NamedTuple):
    """At `at` other rules hold for an instrument."""

    at: int
    instrument: int
    rules: Rules


class Withdrawal(NamedTuple):
    """At `at` somebody takes units or coins out by hand."""

    at: int
    asset: str
    amount: Decimal


class Foreign(NamedTuple):
    """At `at` somebody else places an order on our account; where it trades, it does so at its limit."""

    at: int
    client_id: str
    instrument: int
    side: Side
    quantity: Decimal
    limit: Decimal
    trades: bool


class NewRights(NamedTuple):
    """At `at` the key may do this, and no more."""

    at: int
    rights: tuple[str, ...]


Event = NewRules | Withdrawal | Foreign | NewRights


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFaults:
    """Everything that will go wrong at one venue. Without anything said, nothing does."""

    scripted: Mapping[int, OrderFault] = field(default_factory=dict)
    """By the number of the order at this venue, counted from 0."""
    shares: Mapping[OrderFault, float] = field(default_factory=dict)
    """Share of the orders that each befalls; together at most 1."""
    seed: int = 0
    spells: tuple[Spell, ...] = ()
    events: tuple[Event, ...] = ()

    def of(self, number: int, client_id: str) -> OrderFault | None:
        """What befalls this order; by chance it hangs on the seed and the order's id, and on nothing else."""
        if number in self.scripted:
            return self.scripted[number]
        left = chance(self.seed, client_id)
        for fault, share in self.shares.items():
            left -= share
            if left < 0:
                return fault
        return None


def chance(seed: int, id: str) -> float:
    """A number in [0, 1) that hangs on a seed and an id."""
    return int.from_bytes(blake2b(f"{seed}:{id}".encode(), digest_size=8).digest(), "big") / 2**64
