"""The state of a pool whose liquidity lies in ranges of ticks, and its quotes; v3 and v4 build on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from connectors.amm.path import Path
from connectors.amm.quote import Quote
from connectors.amm.tickmap import TickMap
from connectors.amm.ticks import MAX_SQRT_PRICE, MAX_TICK, MIN_SQRT_PRICE, MIN_TICK, sqrt_at
from connectors.errors import PoolStateError


@dataclass(frozen=True, slots=True, kw_only=True)
class RangePool:
    """A pool at one moment. Immutable: what a log does gives a new one, and the sums of its quotes belong to one state.

    Raises PoolStateError where price, tick and liquidity cannot be a pool's.
    """

    sqrt_price: int
    """sqrt(token 1 per token 0) * 2**96, in raw units."""
    tick: int
    liquidity: int
    """What is active at the price."""
    ticks: TickMap
    _paths: list[Path | None] = field(default_factory=lambda: [None, None], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuses a state that no pool can be in."""
        if not MIN_SQRT_PRICE <= self.sqrt_price < MAX_SQRT_PRICE:
            raise PoolStateError(f"sqrt price {self.sqrt_price} is out of range: is the pool initialised?")
        # A falling price that ends on a stop leaves the tick below it.
        if not MIN_TICK <= self.tick < MAX_TICK or not (
            sqrt_at(self.tick) <= self.sqrt_price <= sqrt_at(self.tick + 1)
        ):
            raise PoolStateError(f"tick {self.tick} is not that of sqrt price {self.sqrt_price}")
        if not 0 <= self.liquidity < 1 << 128:
            raise PoolStateError(f"a liquidity of {self.liquidity} is not possible")

    def fee(self, zero_for_one: bool) -> int:
        """What a swap in this direction pays, in pips of its input. Raises NotQuotable where only the chain knows."""
        raise NotImplementedError

    @property
    def splits(self) -> bool:
        """Whose rule splits the fee off an input that is used up between two stops; see step.short_in."""
        return False

    def path(self, zero_for_one: bool) -> Path:
        """The sums of one direction, made once for this state. Raises NotQuotable where only the chain knows."""
        path = self._paths[zero_for_one]
        if path is None:
            fee = self.fee(zero_for_one)
            path = Path(self.sqrt_price, self.tick, self.liquidity, self.ticks, fee, zero_for_one, self.splits)
            self._paths[zero_for_one] = path
        return path

    def exact_in(self, amount: int, *, zero_for_one: bool, limit: int | None = None) -> Quote:
        """What a swap does that pays `amount` raw units, until the sqrt price is at `limit`.

        Raises SwapRefused for an amount or limit that the contract does not take; NotQuotable: only the chain knows.
        """
        return (self._paths[zero_for_one] or self.path(zero_for_one)).exact_in(amount, limit)

    def exact_out(self, amount: int, *, zero_for_one: bool, limit: int | None = None) -> Quote:
        """What a swap does that wants `amount` raw units out, until the sqrt price is at `limit`.

        Raises SwapRefused for an amount or limit that the contract does not take; NotQuotable: only the chain knows.
        """
        return (self._paths[zero_for_one] or self.path(zero_for_one)).exact_out(amount, limit)

    def check(self) -> None:
        """Raises PoolStateError where the ticks do not sum up to the active liquidity: a log was missed."""
        active = self.ticks.active(self.tick)
        if active != self.liquidity:
            raise PoolStateError(f"liquidity is {self.liquidity}, but its ticks sum up to {active}")

    def priced(self, sqrt_price: int, tick: int, liquidity: int) -> Self:
        """The pool after a swap that left it so. Raises PoolStateError where it cannot."""
        return replace(self, sqrt_price=sqrt_price, tick=tick, liquidity=liquidity)

    def moved(self, lower: int, upper: int, amount: int) -> Self:
        """The pool after `amount` of liquidity came (or went, negative) between two ticks.

        Raises PoolStateError where more goes than there is, or the ticks cannot be a position's.
        """
        if not amount:
            return self
        liquidity = self.liquidity + amount if lower <= self.tick < upper else self.liquidity
        return replace(self, ticks=self.ticks.moved(lower, upper, amount), liquidity=liquidity)

    def swapped(self, quote: Quote) -> Self:
        """The pool after the swap that was quoted."""
        return self.priced(quote.sqrt_price_after, quote.tick_after, quote.liquidity_after)
