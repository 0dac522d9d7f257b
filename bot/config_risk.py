"""The shape of `[risk]`: the limits of the review."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from bot.config_types import YEARS_S, Limit, Positive, SessionName, Table


class CapsTable(Table):
    """[risk.caps]: most USD in one name, absolute; `inf` switches a cap off."""

    token_usd: Limit
    """In one token, on all venues together."""
    venue_usd: Limit
    issuer_usd: Limit
    chain_usd: Limit
    stablecoin_usd: Limit
    """Cash in one coin other than USD."""


class Risk(Table):
    """[risk]: limits of the review; every one must be written as soon as a strategy trades."""

    max_order_usd: Positive
    max_position_usd: Positive
    """Per instrument, absolute."""
    max_gross_usd: Positive
    collar_bps: Limit
    """A leg may not be further than this from the fair value. `inf` switches it off."""
    max_orders_per_minute: Annotated[int, Field(ge=1)]
    max_daily_loss_usd: Positive
    sessions: tuple[SessionName, ...]
    """Sessions in which new trades may be opened."""
    coin_band_bps: Limit
    """A quote coin further than this from one dollar stops trading in it."""
    need_fair: bool = True
    """Refuse when the fair value is unknown."""
    hedge_orders_per_minute: Annotated[int, Field(ge=0)] | None = None
    """So many more than `max_orders_per_minute` may leave where they close what a trade has opened."""
    max_wishes_per_minute: Limit | None = None
    """A strategy that wishes for more is halted."""
    max_turnover_usd_per_day: Limit | None = None
    """Per underlying: all legs of a UTC day."""
    trade_gap_s: Annotated[float, Field(ge=0, le=YEARS_S, allow_inf_nan=False)] | None = None
    """Least time between two trades that are opened in an underlying."""
    max_drawdown_usd: Limit | None = None
    """Net profit further below its peak leaves only what reduces."""
    max_naked_usd: Limit | None = None
    """Net shares of an underlying that are worth more have no hedge;"""
    max_naked_s: Limit | None = None
    """after so long only what reduces passes in it."""
    caps: CapsTable | None = None


WHEN_TRADING: Final = {
    "hedge_orders_per_minute": "NUMBER, or 0 for none",
    "max_wishes_per_minute": "NUMBER, or inf for none",
    "max_turnover_usd_per_day": "NUMBER in US dollars, or inf for none",
    "trade_gap_s": "NUMBER in seconds, or 0 for none",
    "max_drawdown_usd": "NUMBER in US dollars, or inf for none",
    "max_naked_usd": "NUMBER in US dollars, or inf for none",
    "max_naked_s": "NUMBER in seconds, or inf for none",
    "caps": "{ token_usd = NUMBER, venue_usd = ..., issuer_usd = ..., chain_usd = ..., stablecoin_usd = ... }, "
    "each in US dollars, or inf for none",
}
"""Limits that no strategy trades without, and what to write for each."""
