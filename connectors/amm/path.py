"""All steps that a swap in one direction can make, summed up: a quote is a bisection and at most one step.

The steps to any stop are the same for every swap that gets there: an input reaches a stop exactly when it is not less
than the input and fees of all steps up to it, an output likewise, since every step rounds what it takes up and what it
gives down. So the sums are made once for a state of the pool, no further than somebody asked.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import neg
from typing import Final

from connectors.amm.quote import Quote
from connectors.amm.step import NEVER, PIPS, full, short_in, short_out, swap_step
from connectors.amm.tickmap import WORD, TickMap
from connectors.amm.ticks import MAX_SQRT_PRICE, MAX_TICK, MIN_SQRT_PRICE, MIN_TICK, sqrt_at, tick_at
from connectors.errors import PoolStateError, SwapRefused

MOST: Final = (1 << 255) - 1
"""The largest amount that a swap may be asked for."""


class Path:
    """The stops of one direction from one state, with what it takes to get there. Grows as it is asked.

    `spent` (with fees), `given` and `fees` are sums up to each stop, `prices` and `liquidity` hold from it on.
    """

    __slots__ = (
        "_complete", "_split", "_tick", "_ticks", "end", "fee", "fees", "given", "liquidity", "prices", "spent",
        "stops", "zero_for_one",
    )  # fmt: skip

    def __init__(
        self, price: int, tick: int, liquidity: int, ticks: TickMap, fee: int, zero_for_one: bool, split: bool
    ) -> None:
        """The state, the fee in pips, the direction, and whose rule splits the fee off (`split`: see short_in)."""
        self.zero_for_one = zero_for_one
        self.fee = fee
        self.end = MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1
        self.prices = [price]
        self.liquidity = [liquidity]
        self.spent = [0]
        self.given = [0]
        self.fees = [0]
        self.stops: list[int | None] = [tick + 1 if zero_for_one else tick]
        self._tick = tick
        self._ticks = ticks
        self._split = split
        self._complete = price <= self.end if zero_for_one else price >= self.end

    def exact_in(self, amount: int, limit: int | None = None) -> Quote:
        """Pays at most `amount`, until the price limit. Raises SwapRefused for an amount or limit not allowed."""
        self._check(amount, limit)
        spent = self.spent
        while spent[-1] < amount and not self._complete and not (limit and self._reached(limit)):
            self._advance()
        at = bisect_left(spent, amount)
        if limit:
            quote = self._limited(amount, limit, at, spent)
            if quote:
                return quote
        if at == len(spent) or spent[at] == amount:
            return self._at_stop(at, amount, spent)
        at -= 1
        liquidity = self.liquidity[at]
        price, _, given, fee = short_in(
            self.prices[at], liquidity, amount - spent[at], self.fee, self.zero_for_one, self._split
        )
        stop = self.stops[at] if price == self.prices[at] else None
        return Quote(
            self.zero_for_one, amount, self.given[at] + given, self.fees[at] + fee, price, liquidity, True, stop
        )

    def exact_out(self, amount: int, limit: int | None = None) -> Quote:
        """Gets at most `amount`, until the price limit. Raises SwapRefused for an amount or limit not allowed."""
        self._check(amount, limit)
        if self.fee >= PIPS:
            raise SwapRefused("a fee of all that is paid gives nothing out")
        given = self.given
        while given[-1] < amount and not self._complete and not (limit and self._reached(limit)):
            self._advance()
        at = bisect_left(given, amount)
        if limit:
            quote = self._limited(amount, limit, at, given)
            if quote:
                return quote
        if at == len(given) or given[at] == amount:
            return self._at_stop(at, amount, given)
        at -= 1
        liquidity = self.liquidity[at]
        price, taken, _, fee = short_out(self.prices[at], liquidity, amount - given[at], self.fee, self.zero_for_one)
        stop = None
        if price == self.prices[at + 1]:
            liquidity, stop = self.liquidity[at + 1], self.stops[at + 1]
        fees = self.fees[at] + fee
        return Quote(self.zero_for_one, self.spent[at] + taken + fee, amount, fees, price, liquidity, True, stop)

    def to_price(self, limit: int) -> Quote:
        """What a swap takes and gives that moves the price to `limit`. Raises SwapRefused where that is not allowed."""
        self._check(1, limit)
        if self.fee >= PIPS:
            raise SwapRefused("a fee of all that is paid moves no price")
        quote = self._limited(NEVER, limit, self._grow_to(limit), self.spent)
        assert quote is not None
        return quote._replace(filled=True)

    def grow(self, stops: int) -> None:
        """Makes sure that so many stops are summed up, or all that there are."""
        while len(self.prices) <= stops and not self._complete:
            self._advance()

    def count_to(self, limit: int) -> int:
        """How many steps begin before the price is at `limit`."""
        self._grow_to(limit)
        return self._bound(limit)

    def passes(self, at: int, limit: int) -> bool:
        """Whether stop `at` lies beyond the limit."""
        return self.prices[at] < limit if self.zero_for_one else self.prices[at] > limit

    @property
    def stuck(self) -> bool:
        """Whether the price is so near to its end that no swap can move it on."""
        return not self._inside(self.end)

    def _check(self, amount: int, limit: int | None) -> None:
        # A number of fixed width would wrap around in the products, a float would round: only Python's own will do.
        if not isinstance(amount, int) or not 0 < amount <= MOST:
            raise SwapRefused(f"an amount of {amount} cannot be swapped")
        if limit is None:
            if self.stuck:
                raise SwapRefused("the price cannot move further in this direction")
        elif not isinstance(limit, int) or not self._inside(limit):
            raise SwapRefused(f"a price limit of {limit} is not between the price and its end")

    def _inside(self, limit: int) -> bool:
        if self.zero_for_one:
            return MIN_SQRT_PRICE < limit < self.prices[0]
        return self.prices[0] < limit < MAX_SQRT_PRICE

    def _grow_to(self, limit: int) -> int:
        """Grows until the price is at the limit or beyond it; gives the number of stops."""
        while not self._complete and not self._reached(limit):
            self._advance()
        return len(self.prices)

    def _bound(self, limit: int) -> int:
        """The first stop at the limit or beyond it."""
        if self.zero_for_one:
            return bisect_left(self.prices, -limit, key=neg)
        return bisect_left(self.prices, limit)

    def _reached(self, limit: int) -> bool:
        return self.prices[-1] <= limit if self.zero_for_one else self.prices[-1] >= limit

    def _limited(self, amount: int, limit: int, at: int, sums: list[int]) -> Quote | None:
        """The quote where the limit may be what ends it; None where it cannot. `at`: first stop with enough."""
        prices = self.prices
        bound = self._bound(limit)
        if at < bound or (at == bound < len(prices) and prices[bound] == limit):
            return None
        if prices[bound] == limit:
            return self._at_stop(bound, amount, sums)
        at = bound - 1
        liquidity, rest = self.liquidity[at], amount - sums[at]
        exact_in = sums is self.spent
        price, taken, given, fee = swap_step(
            prices[at], limit, liquidity, rest, self.fee, exact_in=exact_in, split=self._split
        )
        return Quote(
            self.zero_for_one,
            self.spent[at] + taken + fee,
            self.given[at] + given,
            self.fees[at] + fee,
            price,
            liquidity,
            rest == (taken + fee if exact_in else given),
            self._stop_of(price, at),
        )

    def _stop_of(self, price: int, at: int) -> int | None:
        """The stop that a price short of stop `at + 1` lies on."""
        if price == self.prices[at]:
            return self.stops[at]
        if self.zero_for_one and not self.liquidity[at]:
            # Where there is no liquidity the ends of words were passed over; the contract stops there too.
            tick = tick_at(price)
            if tick % (WORD * self._ticks.spacing) == 0 and sqrt_at(tick) == price:
                return tick
        return None

    def _at_stop(self, at: int, amount: int, sums: list[int]) -> Quote:
        """A swap that ended on a stop, or at the end of all of them."""
        at = min(at, len(sums) - 1)
        return Quote(
            self.zero_for_one,
            self.spent[at],
            self.given[at],
            self.fees[at],
            self.prices[at],
            self.liquidity[at],
            sums[at] == amount,
            self.stops[at],
        )

    def _advance(self) -> None:
        """Goes one step further. Raises PoolStateError where the ticks take more liquidity than there is."""
        price, liquidity, ticks = self.prices[-1], self.liquidity[-1], self._ticks
        stop: int | None
        if self.zero_for_one:
            stop = ticks.stop_below(self._tick) if liquidity else ticks.below(self._tick)
            stop = MIN_TICK if stop is None else stop
            target = max(sqrt_at(stop), self.end)
            self._tick = stop - 1
        else:
            stop = ticks.stop_above(self._tick) if liquidity else ticks.above(self._tick)
            stop = MAX_TICK if stop is None else stop
            target = min(sqrt_at(stop), self.end)
            self._tick = stop
        taken, given, fee = full(price, target, liquidity, self.fee, self.zero_for_one)
        if target == self.end:
            self._complete, stop = True, None
        else:
            net = ticks.net(stop)
            liquidity = liquidity - net if self.zero_for_one else liquidity + net
            if liquidity < 0:
                raise PoolStateError(f"crossing tick {stop} would leave less than no liquidity")
        self.prices.append(target)
        self.liquidity.append(liquidity)
        self.spent.append(self.spent[-1] + taken + fee)
        self.given.append(self.given[-1] + given)
        self.fees.append(self.fees[-1] + fee)
        self.stops.append(stop)
