"""What minting or redeeming earns while the premium moves: first the token and then its sale, or out of what is held.

The log premium of the token over its shares is an Ornstein-Uhlenbeck process (strategies/market/ou.py). Rates and fees
are parts of the notional, times are in the unit of 1 / kappa, the capital's rate per that unit. Own derivations.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf, pi, sqrt
from typing import NamedTuple

from strategies.market.excursions import above


@dataclass(frozen=True, slots=True, kw_only=True)
class Premium:
    """dX = kappa (theta - X) dt + sigma dW. Raises ValueError for a kappa or sigma that is not above 0."""

    theta: float
    kappa: float
    sigma: float

    def __post_init__(self) -> None:
        """Refuses what does not revert or does not move."""
        if not (0 < self.kappa < inf and 0 < self.sigma < inf and abs(self.theta) < inf):
            raise ValueError(f"{self} is no premium that reverts")

    @property
    def stationary_sd(self) -> float:
        """sigma / sqrt(2 kappa)."""
        return self.sigma / sqrt(2 * self.kappa)

    def decay(self, delay: float) -> float:
        """How many times as large a deviation must be for what is left of it after a delay: e^(kappa T)."""
        return exp(self.kappa * delay) if self.kappa * delay < 700 else inf

    def ahead(self, x0: float, delay: float) -> tuple[float, float]:
        """Mean and standard deviation of the premium after a delay."""
        left = exp(-self.kappa * delay)
        return self.theta + (x0 - self.theta) * left, self.stationary_sd * sqrt(-expm1(-2 * self.kappa * delay))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an issuer and the venues ask. Raises ValueError for a rejection that is not in [0, 1)."""

    mint: float
    """Fee of the mint."""
    sell: float
    """Of selling the token, spread included."""
    buy: float
    """Of buying it."""
    redeem: float
    capital_rate: float
    rejection: float
    """Probability that the issuer takes nothing."""
    unwind: float
    """Cost of closing the hedge after a rejection."""

    def __post_init__(self) -> None:
        """Refuses probabilities that leave nothing to expect."""
        if not 0 <= self.rejection < 1:
            raise ValueError(f"{self.rejection} is no probability of a rejection below 1")


class Mint(NamedTuple):
    """A mint that is ordered now, at premium x0, and whose token is sold when it comes; the share is hedged."""

    premium: float
    """Expected when the token comes."""
    profit: float
    """Expected, after all."""
    profit_or_redeem: float
    """Where the token is redeemed if that brings more than its sale."""
    sd: float
    """Of the profit, given that it is accepted."""
    loss: float
    """Probability of a loss, given that it is accepted."""
    break_even: float
    """Premium now at which the expected profit is 0."""


def mint_first(premium: Premium, x0: float, terms: Terms, delay: float) -> Mint:
    """Mint now, sell after the delay T: (1 - p) (mu_T - mint - sell) - p u - r T.

    It breaks even at theta + e^(kappa T) ((p u + r T) / (1 - p) + mint + sell - theta): a delay of one half-life
    doubles what is asked.
    """
    mean, sd = premium.ahead(x0, delay)
    carry, accepted = terms.capital_rate * delay, 1 - terms.rejection
    lost = terms.rejection * terms.unwind + carry
    least = terms.sell - terms.redeem
    option = _over(mean - least, sd) - terms.redeem
    needed = lost / accepted + terms.mint + terms.sell - premium.theta
    missing = terms.mint + terms.sell + carry - mean
    return Mint(
        mean,
        accepted * (mean - terms.mint - terms.sell) - lost,
        accepted * (option - terms.mint) - lost,
        sd,
        above(-missing / sd) if sd > 0 else float(missing > 0),
        premium.theta + (needed * premium.decay(delay) if needed else 0.0),
    )


def mint_at_random(premium: Premium, x0: float, terms: Terms, mean_delay: float) -> tuple[float, float]:
    """Expected premium and profit of minting first where the delay is exponential: e^(-kappa T) is 1 / (1 + kappa T)
    on average."""
    mean = premium.theta + (x0 - premium.theta) / (1 + premium.kappa * mean_delay)
    lost = terms.rejection * terms.unwind + terms.capital_rate * mean_delay
    return mean, (1 - terms.rejection) * (mean - terms.mint - terms.sell) - lost


def unhedged_sd(premium: Premium, share_vol: float, delay: float) -> float:
    """Standard deviation of minting first without a hedge: v_T + sigma_S^2 T under the root."""
    return sqrt(premium.ahead(premium.theta, delay)[1] ** 2 + share_vol**2 * delay)


def inventory_first(premium: Premium, x0: float, terms: Terms, delay: float) -> float:
    """Expected profit of selling tokens that are held now and minting them anew: x0 - sell - mint - r T, less what a
    rejection costs, which is to buy them back at the premium of then: p (mu_T + buy - mint)."""
    mean, _ = premium.ahead(x0, delay)
    rejected = terms.rejection * (mean + terms.buy - terms.mint)
    return x0 - terms.sell - terms.mint - terms.capital_rate * delay - rejected


def redeem_first(premium: Premium, x0: float, terms: Terms, delay: float) -> float:
    """Expected profit of buying tokens now and redeeming them; a rejection comes after the delay, and then they are
    sold at the premium of then: (1 - p) (-redeem) + p (mu_T - sell) - x0 - buy - r T."""
    mean, _ = premium.ahead(x0, delay)
    left = -(1 - terms.rejection) * terms.redeem + terms.rejection * (mean - terms.sell)
    return left - x0 - terms.buy - terms.capital_rate * delay


def late_leg_loss(edge: float, cost: float, vol: float, delay: float) -> float:
    """Probability that a pair with this edge loses because its second leg comes late: Phi((c - e) / (sigma sqrt d))."""
    return above((edge - cost) / (vol * sqrt(delay)))


def edge_needed(cost: float, failure: float, unwind: float) -> float:
    """Edge at which a pair is worth 0 whose second leg fails with this probability: (c + q w) / (1 - q)."""
    return (cost + failure * unwind) / (1 - failure)


def _over(mean: float, sd: float) -> float:
    """E max(Y, 0) of a normal Y."""
    if sd == 0:
        return max(mean, 0.0)
    d = mean / sd
    return mean * above(-d) + sd * exp(-d * d / 2) / sqrt(2 * pi)
