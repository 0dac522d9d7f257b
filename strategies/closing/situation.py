"""What paths are looked for in: who sells and buys the share in any form, and at what terms issuers do."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

from connectors.instruments import Role
from strategies.pricing.costs import Costs

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How the premium of one offer moves: Ornstein-Uhlenbeck, in fractions of the price."""

    mean: float
    sd: float
    """Stationary."""
    half_life_s: float
    source: str
    """Learned here, fitted, or the default of its kind."""

    @property
    def kappa(self) -> float:
        """Per second."""
        return log(2) / self.half_life_s

    def against(self, other: Usual) -> Usual:
        """The difference of two: both variances, and the slower of the two ways back."""
        slower = max(self, other, key=lambda one: one.half_life_s)
        return Usual(
            mean=self.mean - other.mean,
            sd=sqrt(self.sd**2 + other.sd**2),
            half_life_s=slower.half_life_s,
            source=slower.source,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One instrument at the size asked for; prices in USD per share, before costs, nan where there are none."""

    name: str
    role: Role
    token: str
    issuer: str
    ask: float
    bid: float
    costs: Costs
    """Of one leg, as bot/costs.py has it, with funding for a perp."""
    latency_s: float
    held_usd: float
    """Worth of what is held there; negative is short."""
    may_buy_usd: float
    """Room up to the limits of the strategy."""
    may_sell_usd: float
    barred: str
    """Why nothing can be traded there now; empty is nothing."""
    usual: Usual

    @property
    def half(self) -> float:
        """Half of the spread, USD per share."""
        return (self.ask - self.bid) / 2

    @property
    def mid(self) -> float:
        """USD per share."""
        return (self.ask + self.bid) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One direction of an issuer: its mint, or its redemption."""

    issuer: str
    closed: str
    """Why it cannot be had at all; empty: it can."""
    price: float
    """USD per share all in for the size: the effective ask of a mint, the effective bid of a redemption."""
    costs: Costs
    wait_s: float
    """Until it takes requests on."""
    delay_s: float
    """Mean time from the request to delivery."""
    rejects: float
    """Probability of a rejection."""
    least_usd: float
    most_usd: float
    source: str
    """Its soft quote, or the fees of the config."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One share at one moment, for one size."""

    fair: float
    """USD per share."""
    size_usd: float
    offers: tuple[Offer, ...]
    mints: dict[str, Door]
    """By issuer."""
    redemptions: dict[str, Door]
    daily_vol: float
    """One sigma of the share in a day of 24 h, as a fraction."""
    open_s: float
    """Until the share's market opens; 0 while it is open."""
    horizon_s: float
    """A hedged bet that is not back by then is given up."""

    def drift_sd(self, seconds: float) -> float:
        """One sigma of the share in a time, as a fraction."""
        return self.daily_vol * sqrt(seconds / DAY_S)
