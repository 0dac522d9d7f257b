"""What a swap through a pool of price ranges (v3, v4) would do."""

from __future__ import annotations

from typing import NamedTuple

from connectors.amm.ticks import tick_at


class Quote(NamedTuple):
    """A swap's result in raw units of the tokens, as the contract would compute it."""

    zero_for_one: bool
    """Token 0 goes in, token 1 comes out, and the price falls; else the other way round."""
    amount_in: int
    """What the trader pays, fee included."""
    amount_out: int
    """What the trader gets."""
    fee: int
    """The part of `amount_in` that the pool keeps as fee."""
    sqrt_price_after: int
    liquidity_after: int
    filled: bool
    """False: the price limit or the end of all liquidity came first; the amounts are what was taken until there."""
    stop: int | None
    """The tick of the stop that the swap ended on; None between two stops."""

    @property
    def tick_after(self) -> int:
        """The pool's tick after the swap; one below the stop when a falling price ended on it."""
        if self.stop is None:
            return tick_at(self.sqrt_price_after)
        return self.stop - 1 if self.zero_for_one else self.stop

    @property
    def pool_deltas(self) -> tuple[int, int]:
        """Tokens 0 and 1 as a v3 pool tells them: what its balances change by."""
        return (self.amount_in, -self.amount_out) if self.zero_for_one else (-self.amount_out, self.amount_in)

    @property
    def trader_deltas(self) -> tuple[int, int]:
        """Tokens 0 and 1 as a v4 pool manager tells them: what the trader's balances change by."""
        zero, one = self.pool_deltas
        return -zero, -one
