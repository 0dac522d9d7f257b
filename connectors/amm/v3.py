"""Pools of the v3 family: state, quotes, and what their logs do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.amm.concentrated import RangePool
from connectors.amm.forks import FORKS, Family, Fork
from connectors.amm.step import PIPS
from connectors.amm.tickmap import TickMap
from connectors.errors import PoolStateError


@dataclass(frozen=True, slots=True, kw_only=True)
class V3Pool(RangePool):
    """A v3 pool at one moment; `fee_pips` of the input is kept. Raises PoolStateError where it cannot be one."""

    fee_pips: int
    fork: Fork = FORKS["uniswap_v3"]

    def __post_init__(self) -> None:
        """Refuses a state that no pool can be in."""
        RangePool.__post_init__(self)
        if not 0 <= self.fee_pips < PIPS:
            raise PoolStateError(f"a fee of {self.fee_pips} pips is not possible")
        if self.fork.family is not Family.V3:
            raise PoolStateError(f"{self.fork.key} is not of this family")

    def fee(self, zero_for_one: bool) -> int:
        """The same in both directions; what the protocol takes is a part of it."""
        return self.fee_pips

    def tradable(self) -> None:
        """Raises ForkUnverified where the maths was not checked against the bytecode."""
        self.fork.tradable()


def initialized(sqrt_price: int, tick: int, *, fee_pips: int, spacing: int, fork: Fork = FORKS["uniswap_v3"]) -> V3Pool:
    """The empty pool that an Initialize log makes."""
    ticks = TickMap(spacing)
    return V3Pool(sqrt_price=sqrt_price, tick=tick, liquidity=0, ticks=ticks, fee_pips=fee_pips, fork=fork)


def after_swap(pool: V3Pool, sqrt_price: int, tick: int, liquidity: int) -> V3Pool:
    """A Swap log tells the state that it left."""
    return pool.priced(sqrt_price, tick, liquidity)


def after_mint(pool: V3Pool, lower: int, upper: int, amount: int) -> V3Pool:
    """A Mint log: `amount` of liquidity came. Raises PoolStateError where it cannot."""
    if amount < 0:
        raise PoolStateError(f"a mint of {amount} is not possible")
    return pool.moved(lower, upper, amount)


def after_burn(pool: V3Pool, lower: int, upper: int, amount: int) -> V3Pool:
    """A Burn log: `amount` of liquidity went; 0 only books fees. Raises PoolStateError where there is less."""
    if amount < 0:
        raise PoolStateError(f"a burn of {amount} is not possible")
    return pool.moved(lower, upper, -amount)


def read(
    sqrt_price: int,
    tick: int,
    liquidity: int,
    ticks: Mapping[int, tuple[int, int]],
    *,
    fee_pips: int,
    spacing: int,
    fork: Fork = FORKS["uniswap_v3"],
) -> V3Pool:
    """The pool of a whole reading of the chain at one block; ticks as gross and net liquidity.

    Raises PoolStateError where the parts do not fit: they were read at different blocks, or a tick is missing.
    """
    pool = V3Pool(
        sqrt_price=sqrt_price,
        tick=tick,
        liquidity=liquidity,
        ticks=TickMap(spacing, ticks),
        fee_pips=fee_pips,
        fork=fork,
    )
    pool.check()
    return pool
