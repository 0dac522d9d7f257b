"""What gas costs and what may be paid for it (EIP-1559): a fee for now, a higher one to replace it, both capped.

A block takes a transaction that pays its base fee; what is paid above it, up to the priority fee, goes to whoever makes
the block. The base fee moves by at most an eighth a block, so twice of it lasts for five full blocks.
"""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import Any, Final, NamedTuple

import msgspec

from connectors.errors import BadMessage, TooDear

WEI: Final = Decimal(10) ** 18
"""Of one coin of the chain."""
HISTORY_BLOCKS: Final = 5
_BUMP: Final = 8
"""A replacement pays at least an eighth more; nodes take one that pays a tenth more."""


class Fees(NamedTuple):
    """Wei per unit of gas."""

    max_fee: int
    max_priority: int


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """The most that may be paid."""

    max_fee_wei: int
    """Per unit of gas, all in."""
    max_priority_wei: int
    max_cost_usd: Decimal
    """For one swap."""


class Market(NamedTuple):
    """What gas costs now, wei."""

    base: int
    """Of the next block."""
    priority: int
    """What half of the transactions in the last blocks paid at most."""

    @property
    def price(self) -> int:
        """Per unit of gas in the next block."""
        return self.base + self.priority


def read_history(answer: Any) -> Market:
    """What eth_feeHistory with the reward percentile 50 says. Raises BadMessage."""
    try:
        base = int(answer["baseFeePerGas"][-1], 16)
        rewards = [int(block[0], 16) for block in answer.get("reward") or ()]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadMessage("not a history of fees", where="eth_feeHistory") from error
    return Market(base, int(median(rewards)) if rewards else 0)


def fees(market: Market, max_fee: int, max_priority: int) -> Fees:
    """What to offer now. Raises TooDear where the next block costs more than `max_fee`."""
    priority = min(market.priority, max_priority)
    if market.base + priority > max_fee:
        raise TooDear(f"gas costs {market.base + priority} wei, {max_fee} is allowed")
    return Fees(min(2 * market.base + priority, max_fee), priority)


def bumped(before: Fees, market: Market, max_fee: int, max_priority: int) -> Fees | None:
    """What replaces a transaction that waits: at least an eighth more of both; None where the caps forbid it."""
    priority = max(_more(before.max_priority), min(market.priority, max_priority))
    fee = max(_more(before.max_fee), min(2 * market.base + priority, max_fee))
    if fee > max_fee or priority > max_priority:
        return None
    return Fees(fee, min(priority, fee))


def cost_usd(gas: int, price_wei: int, data_fee_wei: int, native_usd: Decimal) -> Decimal:
    """What `gas` units cost in USD; `native_usd` is one coin of the chain."""
    return (gas * price_wei + data_fee_wei) / WEI * native_usd


def _more(value: int) -> int:
    return value + max(1, -(-value // _BUMP))
