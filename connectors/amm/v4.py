"""Pools of a v4 pool manager: key, fees, state, quotes, and what the logs do.

A pool whose hook has a say in swaps, or whose fee is dynamic, is kept like any other, but cannot be quoted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from connectors.amm.concentrated import RangePool
from connectors.amm.forks import FORKS
from connectors.amm.quote import Quote
from connectors.amm.step import PIPS
from connectors.amm.tickmap import TickMap
from connectors.errors import NotQuotable, PoolStateError, SwapRefused

DYNAMIC_FEE: Final = 0x800000
"""The fee of a key whose hook sets the fee when it likes; no log tells of it."""
MOST_PROTOCOL_FEE: Final = 1000
SWAP_HOOKS: Final = 0b11001100
"""Bits of a hook's address: called before and after a swap, and may change what it gives."""
NO_HOOKS: Final = "0x" + "0" * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolKey:
    """What a v4 pool is known by; its id is the hash of these. Raises PoolStateError where no pool can have them."""

    currency0: str
    """Address, all zeros for the chain's own coin."""
    currency1: str
    fee: int
    """What liquidity providers get, in pips, or DYNAMIC_FEE."""
    spacing: int
    hooks: str = NO_HOOKS

    def __post_init__(self) -> None:
        """Refuses what the manager would refuse."""
        if not int(self.currency0, 16) < int(self.currency1, 16):
            raise PoolStateError(f"{self.currency0} is not below {self.currency1}")
        if self.fee != DYNAMIC_FEE and not 0 <= self.fee <= PIPS:
            raise PoolStateError(f"a fee of {self.fee} pips is not possible")

    @property
    def surprise(self) -> str:
        """Why only the chain knows what a swap would do; empty where the state says all."""
        if self.fee == DYNAMIC_FEE:
            return "its fee is dynamic"
        return f"its hook {self.hooks} has a say in swaps" if int(self.hooks, 16) & SWAP_HOOKS else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class V4Pool(RangePool):
    """A v4 pool at one moment. Raises PoolStateError where it cannot be one."""

    key: PoolKey
    protocol_fees: tuple[int, int] = (0, 0)
    """In pips of the input, taken before the providers' fee: token 0 in, token 1 in."""

    def __post_init__(self) -> None:
        """Refuses a state that no pool can be in."""
        RangePool.__post_init__(self)
        if self.ticks.spacing != self.key.spacing:
            raise PoolStateError(f"ticks lie {self.ticks.spacing} apart, the key says {self.key.spacing}")
        if not all(0 <= fee <= MOST_PROTOCOL_FEE for fee in self.protocol_fees):
            raise PoolStateError(f"protocol fees of {self.protocol_fees} pips are not possible")

    @property
    def splits(self) -> bool:
        """An input's fee is split off before the price moves."""
        return True

    def fee(self, zero_for_one: bool) -> int:
        """The protocol's fee, and the providers' on the rest. Raises NotQuotable where only the chain knows."""
        if self.key.surprise:
            raise NotQuotable(f"the pool cannot be quoted here: {self.key.surprise}", hint="ask the quoter on chain")
        protocol = self.protocol_fees[0 if zero_for_one else 1]
        return protocol + self.key.fee - protocol * self.key.fee // PIPS

    def exact_in(self, amount: int, *, zero_for_one: bool, limit: int | None = None) -> Quote:
        """As RangePool.exact_in; also refuses results beyond the 128 bits of the manager's balances."""
        return _fits(RangePool.exact_in(self, amount, zero_for_one=zero_for_one, limit=limit))

    def exact_out(self, amount: int, *, zero_for_one: bool, limit: int | None = None) -> Quote:
        """As RangePool.exact_out; also refuses results beyond the 128 bits of the manager's balances."""
        return _fits(RangePool.exact_out(self, amount, zero_for_one=zero_for_one, limit=limit))

    def tradable(self) -> None:
        """Raises NotQuotable where only the chain knows what a swap would do."""
        self.fee(True)
        FORKS["uniswap_v4"].tradable()


def initialized(key: PoolKey, sqrt_price: int, tick: int) -> V4Pool:
    """The empty pool that an Initialize log makes."""
    return V4Pool(key=key, sqrt_price=sqrt_price, tick=tick, liquidity=0, ticks=TickMap(key.spacing))


def after_swap(pool: V4Pool, sqrt_price: int, tick: int, liquidity: int, fee: int) -> V4Pool:
    """A Swap log tells the state that it left, and the whole fee that was paid.

    Raises PoolStateError where the fee is none of ours: a change of the protocol's fee was missed.
    """
    if not pool.key.surprise and fee not in (pool.fee(True), pool.fee(False)):
        raise PoolStateError(f"a swap paid {fee} pips, which is not the pool's fee")
    return pool.priced(sqrt_price, tick, liquidity)


def after_modify(pool: V4Pool, lower: int, upper: int, delta: int) -> V4Pool:
    """A ModifyLiquidity log: liquidity came or went (negative). Raises PoolStateError where it cannot."""
    return pool.moved(lower, upper, delta)


def after_protocol_fee(pool: V4Pool, packed: int) -> V4Pool:
    """A ProtocolFeeUpdated log: 12 bits for token 0 in, then 12 for token 1 in. Raises PoolStateError beyond 0.1 %."""
    return replace(pool, protocol_fees=(packed & 0xFFF, packed >> 12))


def read(
    key: PoolKey,
    sqrt_price: int,
    tick: int,
    liquidity: int,
    ticks: Mapping[int, tuple[int, int]],
    *,
    packed_protocol_fee: int,
) -> V4Pool:
    """The pool of a whole reading of the chain at one block; ticks as gross and net liquidity.

    Raises PoolStateError where the parts do not fit: they were read at different blocks, or a tick is missing.
    """
    pool = V4Pool(
        key=key, sqrt_price=sqrt_price, tick=tick, liquidity=liquidity, ticks=TickMap(key.spacing, ticks),
        protocol_fees=(packed_protocol_fee & 0xFFF, packed_protocol_fee >> 12),
    )  # fmt: skip
    pool.check()
    return pool


def _fits(quote: Quote) -> Quote:
    """The manager books in 128 bits with a sign: one more may be owed than given."""
    if quote.amount_in > 1 << 127 or quote.amount_out >= 1 << 127:
        raise SwapRefused("the amounts are more than the pool manager can book")
    return quote
