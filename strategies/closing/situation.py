"""What paths are looked for in: who sells and buys the share in any form, and at what terms issuers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, log, nan, sqrt

from connectors.instruments import Role
from strategies.closing.path import Way
from strategies.execution.habits import Habit
from strategies.pricing import offers as priced
from strategies.pricing.carry import DAY_S
from strategies.pricing.costs import Costs


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
    buying: priced.Offer | None = None
    """All that can be bought there now, with its levels, lots and room; None where nothing is traded."""
    selling: priced.Offer | None = None
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
    no_buying: str = ""
    """Why nothing can be bought there now; empty is nothing. So with `no_selling`."""
    no_selling: str = ""
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
    """One direction of an issuer for a token, at a size: the primary market as a venue."""

    issuer: str
    closed: str
    """Why it cannot be had now or at all; empty: it can."""
    cost: float
    """What it takes, a part of what is given; nan where nobody knows."""
    told: bool
    """The issuer has told a price that holds, else it is reckoned from its fees."""
    source: str
    """Whence its price is known, in words."""
    told_s: float = nan
    """Age of what it told; nan where it told nothing that holds."""
    holds_s: float = nan
    """How long what it told still holds."""
    wait_s: float
    """Until it takes requests on; inf: that is not known."""
    habit: Habit | None
    """How long it takes from then on and how often it refuses; None where nobody knows."""
    least_usd: float
    most_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One share at one moment, for one size."""

    fair: float
    """USD per share."""
    size_usd: float
    offers: tuple[Offer, ...]
    daily_vol: float
    """One sigma of the share in a day of 24 h, as a fraction."""
    open_s: float
    """Until the share's market opens; 0 while it is open."""
    horizon_s: float | None
    """A hedged bet that is not back by then is given up; None: when nearly all of such are back."""
    error: float = 0.0
    """One sigma of the fair value, a part of it."""
    most_bps: float = inf
    """A premium beyond this is believed by no strategy: it is a broken peg, or a wrong number."""
    cross_bps: float = 0.0
    """What a trade between venues must bring, of the fair value; of each share that is traded."""
    max_legs: int = 4
    """Orders of such a trade."""
    objections: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """What the run's strategy has against hedging one offer with another, by their names."""
    hedges: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """What it expects of those that it would hedge now, bps: it holds until the far side of the mean."""
    by: Mapping[Way, str] = field(default_factory=dict)
    """Strategies of this run, by the ways in which they trade."""
    crosses: frozenset[str] = frozenset()
    """Names of what is traded in the one trade between venues that the strategy would make now."""
    rather: str = ""
    """That trade in words, or why there is none."""

    def drift_sd(self, seconds: float) -> float:
        """One sigma of the share in a time, as a fraction."""
        return self.daily_vol * sqrt(seconds / DAY_S)
