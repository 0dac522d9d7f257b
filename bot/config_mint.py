"""The shape of `[strategies.mint_redeem]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.config_types import Bps, Positive, Table


class MintRedeemTable(Table):
    """[strategies.mint_redeem]: close premia at the issuers of [issuers.NAME]."""

    enabled: bool = True
    min_edge_bps: Annotated[float, Field(gt=0, lt=100_000)]
    """Expected after all costs, rejections and the capital that is locked, over the fair value."""
    most_bps: Bps
    """A premium beyond this is a broken peg, or a coin whose tokens have not printed since it moved: nothing begins."""
    size_usd: Positive
    """Of a trade."""
    max_open_trades: Annotated[int, Field(ge=1)] = 1
    """Trades under way, those that wait for an issuer among them."""
    cooldown_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """From a decision to the next on the same premium."""
    refusal_backoff_s: Annotated[float, Field(ge=0.001, allow_inf_nan=False)] = 60.0
    """After a wake that ended without a trade."""
    slippage_bps: Bps | None = None
    """Worst price against the price seen. None: at the quotes in force when the order arrives, whatever they are."""
    late_after_delays: Annotated[float, Field(ge=1, le=1000)] = 4.0
    """A request without an end after so many of its usual delays is late: an operator is told."""
