"""Pools of the v2 family: two reserves whose product must not fall, fee aside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from connectors.amm.forks import FORKS, Family, Fork
from connectors.errors import PoolStateError, SwapRefused

MOST_RESERVE: Final = (1 << 112) - 1


class V2Quote(NamedTuple):
    """What a swap would do, in raw units. It is always whole: a v2 pool fills all of it or refuses."""

    zero_for_one: bool
    amount_in: int
    amount_out: int
    fee: int
    """The part of `amount_in` that the pool keeps as fee, rounded up."""
    reserves_after: tuple[int, int]

    @property
    def filled(self) -> bool:
        """Always: what cannot be filled is refused."""
        return True


def amount_out(amount_in: int, reserve_in: int, reserve_out: int, fork: Fork = FORKS["uniswap_v2"]) -> int:
    """What an input gets: floor(keep x R_out / (of R_in + keep x)); 0 where it is too little.

    Raises SwapRefused without an input or reserves.
    """
    if not isinstance(amount_in, int) or amount_in <= 0 or reserve_in <= 0 or reserve_out <= 0:
        raise SwapRefused(f"{amount_in} cannot be swapped against reserves of {reserve_in} and {reserve_out}")
    kept = amount_in * fork.keep
    return kept * reserve_out // (reserve_in * fork.of + kept)


def amount_in(amount_out: int, reserve_in: int, reserve_out: int, fork: Fork = FORKS["uniswap_v2"]) -> int:
    """What an output costs: floor(of R_in y / (keep (R_out - y))) + 1.

    Raises SwapRefused without an output or reserves, and where the pool does not hold so much.
    """
    if not isinstance(amount_out, int) or amount_out <= 0 or reserve_in <= 0:
        raise SwapRefused(f"{amount_out} cannot be swapped against reserves of {reserve_in} and {reserve_out}")
    if amount_out >= reserve_out:
        raise SwapRefused(f"{amount_out} is wanted, but the pool holds {reserve_out}")
    return reserve_in * amount_out * fork.of // ((reserve_out - amount_out) * fork.keep) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class V2Pool:
    """A v2 pool at one moment. Raises PoolStateError where it cannot be one."""

    reserve0: int
    reserve1: int
    fork: Fork = FORKS["uniswap_v2"]

    def __post_init__(self) -> None:
        """Refuses reserves that no pool can have."""
        if not (0 <= self.reserve0 <= MOST_RESERVE and 0 <= self.reserve1 <= MOST_RESERVE):
            raise PoolStateError(f"reserves of {self.reserve0} and {self.reserve1} are not possible")
        if self.fork.family is not Family.V2:
            raise PoolStateError(f"{self.fork.key} is not of this family")

    def exact_in(self, amount: int, *, zero_for_one: bool) -> V2Quote:
        """What is given for `amount` of the one token.

        Raises SwapRefused where nothing comes out, the pool is empty, or its reserve would not fit in 112 bits.
        """
        given = amount_out(amount, *self._sides(zero_for_one), self.fork)
        if not given:
            raise SwapRefused(f"{amount} is too little: nothing would come out")
        return self._quote(zero_for_one, amount, given)

    def exact_out(self, amount: int, *, zero_for_one: bool) -> V2Quote:
        """What `amount` of the other token costs.

        Raises SwapRefused where the pool does not hold so much, or its reserve would not fit in 112 bits.
        """
        return self._quote(zero_for_one, amount_in(amount, *self._sides(zero_for_one), self.fork), amount)

    def accepts(self, in0: int, in1: int, out0: int, out1: int) -> bool:
        """Whether the pair would let this swap pass: product of what is left, fees aside, not below that of now."""
        left0, left1 = self.reserve0 + in0 - out0, self.reserve1 + in1 - out1
        if out0 >= self.reserve0 or out1 >= self.reserve1 or not (out0 or out1) or not (in0 or in1):
            return False
        if max(left0, left1) > MOST_RESERVE:
            return False
        of, cost = self.fork.of, self.fork.of - self.fork.keep
        return (left0 * of - in0 * cost) * (left1 * of - in1 * cost) >= self.reserve0 * self.reserve1 * of * of

    def swapped(self, quote: V2Quote) -> V2Pool:
        """The pool after the swap that was quoted."""
        return after_sync(self, *quote.reserves_after)

    def tradable(self) -> None:
        """Raises ForkUnverified where the maths was not checked against the bytecode."""
        self.fork.tradable()

    def _sides(self, zero_for_one: bool) -> tuple[int, int]:
        return (self.reserve0, self.reserve1) if zero_for_one else (self.reserve1, self.reserve0)

    def _quote(self, zero_for_one: bool, taken: int, given: int) -> V2Quote:
        source, target = self._sides(zero_for_one)
        if source + taken > MOST_RESERVE:
            raise SwapRefused("the pool's reserve would not fit in 112 bits")
        after = (source + taken, target - given)
        fee = -(-taken * (self.fork.of - self.fork.keep) // self.fork.of)
        return V2Quote(zero_for_one, taken, given, fee, after if zero_for_one else after[::-1])


def after_sync(pool: V2Pool, reserve0: int, reserve1: int) -> V2Pool:
    """A Sync log tells the reserves that a swap, mint or burn left."""
    return replace(pool, reserve0=reserve0, reserve1=reserve1)
