"""What a pool loses to those who know the price: loss versus rebalancing (LVR), gaps, and how much a fee spares it.

V is the pool's value in USD, sigma the share's volatility per year (log), A the concentration of the liquidity: how
many times as deep a position is as one of the same value over all prices (1 for a v2 pool).
"""

from __future__ import annotations

from math import expm1, pi, sqrt
from typing import Final

YEAR_S: Final = 365 * 86_400
"""Seconds of a year."""

BLOCK_CONSTANT: Final = sqrt(2 * pi) / 1.4603545088095868
"""sqrt(2 pi) / |zeta(1/2)|: how far a price goes beyond a fee that it is held against at even steps."""


def lvr_apr(sigma: float, concentration: float = 1.0) -> float:
    """LVR per year as a share of V: A sigma^2 / 8 (Milionis, Moallemi, Roughgarden, Zhang 2022, arXiv 2208.06046)."""
    return concentration * sigma * sigma / 8.0


def range_concentration(down: float, up: float) -> float:
    """A of a position between price / down and price * up: V = L sqrt(P) (2 - 1/sqrt(up) - 1/sqrt(down)), and the same
    L over all prices is worth 2 L sqrt(P). Both factors are above 1; infinite ones give 1."""
    return 2.0 / (2.0 - 1.0 / sqrt(up) - 1.0 / sqrt(down))


def jump_loss(value: float, log_jump: float, concentration: float = 1.0) -> float:
    """What arbitrage takes from a pool of value V when the price jumps by `log_jump` at once: A V/2 (e^(J/2) - 1)^2,
    USD. Exact for x y = k without a fee; in a range, as long as the price stays in it."""
    return concentration * value / 2.0 * expm1(log_jump / 2.0) ** 2


def gap_loss(value: float, log_variance: float, concentration: float = 1.0) -> float:
    """The mean of that over a Gaussian log gap with no mean return of the price (its mean is -v/2): A V (1 - e^(-v/8)).

    A gap over closed hours is one jump, whatever the path was meanwhile.
    """
    return concentration * value * -expm1(-log_variance / 8.0)


def block_sigma(sigma: float, block_s: float) -> float:
    """Volatility over one block of `block_s` seconds."""
    return sigma * sqrt(block_s / YEAR_S)


def arb_share(fee_log: float, sigma_block: float) -> float:
    """Part of the LVR that arbitrage still gets behind a fee (log), with blocks at random (Poisson) moments; also the
    part of blocks in which it trades: 1 / (1 + sqrt(2) g / s) (Milionis, Moallemi, Roughgarden 2023, arXiv 2305.14604).
    """
    return 1.0 / (1.0 + sqrt(2.0) * fee_log / sigma_block)


def arb_share_even_blocks(fee_log: float, sigma_block: float) -> float:
    """The same with blocks at even distances: arbitrage gets s^2 / (2 + c g / s) per block where it would get s^2 / 2
    without a fee, c = sqrt(2 pi) / |zeta(1/2)| = 1.7164 (abstract of arXiv 2505.05113)."""
    return 2.0 / (2.0 + BLOCK_CONSTANT * fee_log / sigma_block)


def full_range_exit(value: float, share: float, fee: float) -> float:
    """USD that a pool of x y = k and value V pays for a sale whose average price, fee included, is `share` under its
    price: V/2 (1 - (1 - share) / (1 - fee)); nothing where the fee alone is more.

    A sale that moves the price to P s^2 gets V/2 (1 - s) at P s (1 - fee) a unit on average.
    """
    left = (1.0 - share) / (1.0 - fee)
    return 0.0 if left >= 1.0 else value / 2.0 * (1.0 - left)
