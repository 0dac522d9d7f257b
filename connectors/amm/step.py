"""One step of a swap between two stops, rounded as the contracts round: always against the trader.

Prices are sqrt(price) * 2**96, L is liquidity, fees are in pips (1/1,000,000 of the input). Between two stops L is
constant, and amount0 = L * (1/sqrt(p) - 1/sqrt(q)), amount1 = L * (sqrt(q) - sqrt(p)).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from connectors.errors import SwapRefused

PIPS: Final = 1_000_000
WHOLE: Final = 1 << 256
"""One more than a word of the contracts can hold."""
NEVER: Final = 1 << 300
"""The cost of a step that no input reaches, because the fee takes all of it; more than any amount."""


class Step(NamedTuple):
    """What one step does; `amount_in` is without the fee."""

    sqrt_price: int
    amount_in: int
    amount_out: int
    fee: int


def amount0(low: int, high: int, liquidity: int) -> int:
    """Token 0 between two prices, rounded down."""
    return (liquidity << 96) * (high - low) // (high * low)


def amount0_up(low: int, high: int, liquidity: int) -> int:
    """Token 0 between two prices, rounded up."""
    return -(-(liquidity << 96) * (high - low) // (high * low))


def amount1(low: int, high: int, liquidity: int) -> int:
    """Token 1 between two prices, rounded down."""
    return liquidity * (high - low) >> 96


def amount1_up(low: int, high: int, liquidity: int) -> int:
    """Token 1 between two prices, rounded up."""
    return -(-liquidity * (high - low) >> 96)


def price_after_in(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    """The price that an input (without its fee) moves the pool to, were there no stop on the way."""
    if not zero_for_one:
        return price + (amount << 96) // liquidity
    if not amount:
        return price
    whole = liquidity << 96
    product = amount * price
    if whole + product < WHOLE:
        return -(-whole * price // (whole + product))
    # The contract's product would not fit, and it takes a coarser way.
    return -(-whole // (whole // price + amount))


def price_after_out(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    """The price that an output moves the pool to, were there no stop on the way.

    Raises SwapRefused where the pool does not hold so much at any price.
    """
    if zero_for_one:
        after = price + (-amount << 96) // liquidity
        if after <= 0:
            raise SwapRefused("more is asked for than this liquidity holds")
        return after
    whole = liquidity << 96
    if amount * price >= whole:
        raise SwapRefused("more is asked for than this liquidity holds")
    return -(-whole * price // (whole - amount * price))


def full(price: int, target: int, liquidity: int, fee: int, zero_for_one: bool) -> tuple[int, int, int]:
    """The amounts of a step that reaches its target: in (without the fee), out, and the fee."""
    if zero_for_one:
        taken, given = amount0_up(target, price, liquidity), amount1(target, price, liquidity)
    else:
        taken, given = amount1_up(price, target, liquidity), amount0(price, target, liquidity)
    if fee < PIPS:
        return taken, given, -(-taken * fee // (PIPS - fee))
    return taken, given, NEVER if taken else 0


def short_in(price: int, liquidity: int, amount: int, fee: int, zero_for_one: bool, split: bool) -> Step:
    """A step whose input, fee included, is used up before the target. All of it is taken.

    `split`: the fee is what the input's share leaves (v4), not all that the move of the price does not need (v3).
    """
    less = amount * (PIPS - fee) // PIPS
    after = price_after_in(price, liquidity, less, zero_for_one)
    if zero_for_one:
        given = amount1(after, price, liquidity)
        taken = less if split else amount0_up(after, price, liquidity)
    else:
        given = amount0(price, after, liquidity)
        taken = less if split else amount1_up(price, after, liquidity)
    return Step(after, taken, given, amount - taken)


def short_out(price: int, liquidity: int, amount: int, fee: int, zero_for_one: bool) -> Step:
    """A step that gives what is asked for before the target (or exactly there: its price is rounded away from ours)."""
    after = price_after_out(price, liquidity, amount, zero_for_one)
    taken = amount0_up(after, price, liquidity) if zero_for_one else amount1_up(price, after, liquidity)
    return Step(after, taken, amount, -(-taken * fee // (PIPS - fee)))


def swap_step(
    price: int, target: int, liquidity: int, remaining: int, fee: int, *, exact_in: bool, split: bool = False
) -> Step:
    """One step towards `target`, which lies below for token 0 in, above for token 1 in.

    `remaining` input with its fee, or output; `split` as in short_in.
    """
    zero_for_one = price >= target
    taken, given, paid = full(price, target, liquidity, fee, zero_for_one)
    if remaining >= (taken + paid if exact_in else given):
        return Step(target, taken, given, paid)
    if exact_in:
        return short_in(price, liquidity, remaining, fee, zero_for_one, split)
    return short_out(price, liquidity, remaining, fee, zero_for_one)
