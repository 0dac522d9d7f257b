"""The shape of `[strategies.hedge]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.config_types import Bps, NotNegative, NotNegativeFloat, Positive, Seconds, Table


class Hedge(Table):
    """[strategies.hedge]: a token that is dear or cheap, against a perp or the share, until its premium is usual."""

    enabled: bool = True
    min_edge_bps: Annotated[float, Field(gt=-100_000, lt=100_000)]
    """What an entry must be expected to bring, after all costs of both legs in and out and what holding costs."""
    most_bps: Bps
    """A deviation beyond this is no premium but a broken peg: nothing is entered on it."""
    size_usd: Positive
    """Per leg."""
    max_short_units: NotNegative
    """How far below zero the position in a token may go at one venue (inventory or borrow)."""
    slippage_bps: Bps
    """Worst price against the price seen."""
    horizon_s: Seconds
    """What has not come back after so long is given up."""
    gap_sigmas: NotNegativeFloat
    """What carrying a hedge over its venue's closure costs: so many standard deviations of the share over it."""
    margin_reserve_share: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Equity at a perp's venue, a part of what is held there, below which what is held there is reduced."""
    max_open_trades: Annotated[int, Field(ge=1)] = 1
    """Trades under way at once."""
    cooldown_s: NotNegativeFloat = 60.0
    """From one decision to the next on the same underlying."""
    flatten_s: Seconds = 900.0
    """So long before its venue closes it is decided whether a hedge is carried over the closure."""
    flatten_bps: tuple[Bps, Bps] = (100.0, 400.0)
    """Before a closure of days the worst price of what is not carried goes from the first to the last of these."""
