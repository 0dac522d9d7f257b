"""[execution]: what is done for a trade that does not fill as planned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.config_types import Bps, NotNegative, PositiveFloat, Seconds, Table


class Execution(Table):
    """[execution]: what is done for a trade whose legs do not fill as planned. Without it an operator is told at once,
    and its share is only reduced."""

    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Tries to hedge, and again as many to unwind; 0: none, an operator is told."""
    retry_wait_s: Seconds = 1.0
    """From the first try to the second; doubles with each."""
    retry_give_bps: Bps
    """The n-th try takes prices worse than the fresh quote by n times this."""
    max_loss_usd: NotNegative
    """The most that a trade may lose by being hedged or unwound."""
    naked_usd_s: PositiveFloat
    """USD x seconds without a hedge, from which a trade hastens."""
    answer_within_s: Seconds = 10.0
    """An order without a final answer is asked about after this."""
    page_after_s: Seconds = 300.0
    """An order without a final answer for so long is told to an operator."""
    cooldown_s: Seconds = 60.0
    """How long a trade rests that could be neither hedged nor unwound, and its share after an unwind."""
    max_unwinds: Annotated[int, Field(ge=1, le=1000)] = 3
    """After so many in a row, a share is only reduced and an operator is told."""
