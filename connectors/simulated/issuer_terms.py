"""How a simulated issuer works: its fees, hours, limits and delays, and what it does wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from math import exp
from statistics import NormalDist
from typing import Final, NamedTuple

from connectors.events import NEVER, NS
from connectors.simulated.order_faults import chance

ZERO = Decimal(0)
HOUR_NS = 3600 * NS


class IssuerFault(StrEnum):
    """What befalls one request."""

    NEVER_SETTLES = "never_settles"
    """It is accepted and takes what is given; then nothing more is heard."""
    REJECTED = "rejected"
    """It is rejected after its usual delay; what was sent comes back."""
    SHORT = "short"
    """Two hundredths of what is due are lacking, and it is closed."""
    OTHER_PRICE = "other_price"
    """It is settled at a price one per cent worse."""
    FAILED = "failed"
    """What was given is gone, and nothing comes."""
    UNFAILS = "unfails"
    """It is told as failed, and settles an hour later."""
    NO_WORD = "no_word"
    """Its answer is lost, so that nobody can tell; a status that is asked for tells."""
    REPEATS = "repeats"
    """Each news is told again later, when newer news has come."""


class Delay(NamedTuple):
    """Time from a request to its delivery: lognormal."""

    median_s: float
    sigma: float = 0.0
    """Of its logarithm."""

    def drawn_ns(self, part: float) -> int:
        """The delay that this part of all requests does not exceed, ns; `part` in (0, 1)."""
        return round(self.median_s * exp(self.sigma * NormalDist().inv_cdf(min(max(part, 1e-9), 1 - 1e-9))) * NS)


AT_ONCE: Final = Delay(0.0)


class Freeze(NamedTuple):
    """From `begin` to `end` (ns UTC) an underlying is neither minted nor redeemed."""

    underlying: str
    begin: int
    end: int = NEVER
    why: str = "corporate action"


class Open(NamedTuple):
    """Whether requests are taken on, and when next; 0 is not known or now."""

    closed: str
    opens_ns: int


def always(now: int) -> Open:
    """Around the clock."""
    return Open("", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """One direction: minting or redeeming."""

    fee: Decimal
    """Kept in kind, a share of what is due."""
    fee_usd: Decimal = ZERO
    """In cash, of each request."""
    delay: Delay = AT_ONCE
    hourly: Mapping[int, Delay] = field(default_factory=dict)
    """By hour of the day (UTC), where it is another."""
    least: Decimal = ZERO
    """Units of the source in one request."""
    most: Decimal = Decimal("Infinity")
    most_open: Decimal = Decimal("Infinity")
    """Units of the source in all open requests of a pair together."""
    least_usd: Decimal = ZERO
    """Of one request, at the price of what is given; so the next one. Where one is set, a price must be known."""
    most_usd: Decimal | None = None
    most_open_usd: Decimal | None = None
    """Of all open requests of a pair together."""

    def delay_at(self, now: int) -> Delay:
        """The delay of a request at `now`."""
        return self.hourly.get(now // HOUR_NS % 24, self.delay)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTerms:
    """How an issuer treats requests."""

    mint: Ways | None
    """None: it does not mint for us; likewise redeem."""
    redeem: Ways | None
    hours: Callable[[int], Open] = always
    digits: int = 9
    """Decimals of what it delivers; the rest is not delivered."""
    valid_s: float = 30.0
    """How long its soft quotes hold."""
    shares_at: str = ""
    """Venue of the shares that it takes and gives; empty: shares at any."""
    cash: bool = True
    """Whether it takes and gives coins."""
    attested: bool = False
    """It mints and redeems in one step against a signed price, or not at all."""
    by_transfer: bool = True
    """A redemption is tokens sent to its wallet: they have left before it says anything."""
    freezes: tuple[Freeze, ...] = ()
    scripted: Mapping[int, IssuerFault] = field(default_factory=dict)
    """By the number of the request, counted from 0."""
    shares: Mapping[IssuerFault, float] = field(default_factory=dict)
    """Share of the requests that each befalls."""
    seed: int = 0

    def fault(self, number: int, id: str) -> IssuerFault | None:
        """What befalls a request; by chance it hangs on the seed and the id alone."""
        if number in self.scripted:
            return self.scripted[number]
        left = chance(self.seed, id)
        for fault, share in self.shares.items():
            left -= share
            if left < 0:
                return fault
        return None
