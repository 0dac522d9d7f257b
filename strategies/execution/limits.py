"""What the operator allows: every limit of the review, with its unit. An infinite one is off."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from math import inf

from strategies.market.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Most USD in one name: absolute positions, each as large as the orders under way could make it."""

    token_usd: float
    """In one token, on all venues together."""
    venue_usd: float
    issuer_usd: float
    chain_usd: float
    stablecoin_usd: float
    """Cash in one coin other than USD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator allows."""

    max_order_usd: Decimal
    max_position_usd: Decimal
    """Per instrument, absolute, after the fill."""
    max_gross_usd: Decimal
    """Sum of absolute positions, after the fill."""
    caps: Caps
    collar_bps: float
    """Farthest a leg's price may be from the fair value; inf is off."""
    max_orders_per_minute: int
    hedge_orders_per_minute: int
    """So many more may leave where they close what a trade has opened."""
    max_wishes_per_minute: float
    """A strategy that wishes for more is halted."""
    max_turnover_usd_per_day: float
    """Per underlying: legs of approved trades, in a UTC day."""
    trade_gap_ns: int
    """Between two trades that are opened in an underlying."""
    max_daily_loss_usd: Decimal
    """Fall of net profit since the start of the UTC day."""
    max_drawdown_usd: float
    """Fall of net profit since its peak."""
    max_naked_usd: float
    """Net shares of an underlying that are worth more have no hedge."""
    max_naked_ns: int
    """So long they may stand."""
    sessions: frozenset[Session]
    coin_band_bps: float
    """Farthest a quote coin may be from one dollar; inf is off."""
    need_fair: bool
    harmless_usd: float = field(init=False, repr=False, compare=False)
    """While all positions together are worth less, no cap can speak; 0 where cash in a coin has one."""

    def __post_init__(self) -> None:
        """It is asked for at every decision."""
        caps = self.caps
        each = (caps.token_usd, caps.venue_usd, caps.issuer_usd, caps.chain_usd)
        least = min(*each, float(self.max_position_usd), float(self.max_gross_usd))
        object.__setattr__(self, "harmless_usd", least if caps.stablecoin_usd == inf else 0.0)
