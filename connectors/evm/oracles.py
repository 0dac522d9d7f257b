"""Prices that oracles keep on chain, and when they are fresh: that one answers does not say that it is. Pure.

Chainlink (AggregatorV3Interface): `latestRoundData` gives a price and when it was updated; a feed of shares stops
between sessions and repeats its last word to whoever asks, and a frozen one does so for days. It is fresh for its
heartbeat and a tenth more. Pyth: `getPriceUnsafe` gives price, confidence and the time of publishing; on chain it is
as old as the last one who paid for an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connectors.errors import BadMessage
from connectors.events import Why
from connectors.evm.abi import Call, Method

HEARTBEAT_S: Final = 86_400.0
"""Of most Chainlink feeds of shares (docs.chain.link, tokenized equity feeds)."""
PYTH_MAX_AGE_S: Final = 60.0
GRACE: Final = 1.1
"""A heartbeat is a promise to send, not to be mined."""
AHEAD_S: Final = 60.0
"""An update from further ahead of its block is none: chains bound how far a block's clock may be off."""

_DECIMALS: Final = Method("decimals", gives=("uint8",))
_ROUND: Final = Method("latestRoundData", gives=("uint80", "int256", "uint256", "uint256", "uint80"))
_PRICE: Final = Method("getPriceUnsafe", ("bytes32",), ("int64", "uint64", "int32", "uint256"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an oracle said last."""

    price: float
    error: float = 0.0
    """Half the width of what it is sure of, in the price's unit; 0 where it says nothing."""
    updated_s: int
    """When, unix seconds."""

    def speaks_against(self, now_s: float, max_age_s: float) -> Why | None:
        """What speaks against using it now: too old, or from the future; None where nothing does."""
        if self.updated_s > now_s + AHEAD_S:
            return Why.CLOCK
        return Why.LAGS if now_s - self.updated_s > max_age_s * GRACE else None


@dataclass(frozen=True, slots=True)
class Aggregator:
    """A Chainlink price feed at an address."""

    address: str

    def calls(self) -> tuple[Call, ...]:
        """What to ask, at one block."""
        return _ROUND.call(self.address), _DECIMALS.call(self.address)

    def read(self, answers: Sequence[bytes | None]) -> Price:
        """The newest round. Raises BadMessage where it is none: no answer, not above zero, never updated."""
        _, answer, _, updated_s, _ = _ROUND.read(answers[0])
        decimals = _DECIMALS.one(answers[1])
        if not (answer > 0 and updated_s > 0):
            raise BadMessage(f"answer {answer}, updated at {updated_s}", where=self.address)
        return Price(price=answer / 10**decimals, updated_s=updated_s)


@dataclass(frozen=True, slots=True)
class Pyth:
    """A Pyth feed in Pyth's contract."""

    contract: str
    feed_id: str

    def calls(self) -> tuple[Call, ...]:
        """What to ask, at one block."""
        return (_PRICE.call(self.contract, bytes.fromhex(self.feed_id.removeprefix("0x"))),)

    def read(self, answers: Sequence[bytes | None]) -> Price:
        """The newest price. Raises BadMessage where it is none."""
        price, confidence, exponent, published_s = _PRICE.read(answers[0])
        if not (price > 0 and published_s > 0 and -30 <= exponent <= 12):
            raise BadMessage(f"price {price}, exponent {exponent}, published at {published_s}", where=self.feed_id)
        scale = 10.0**exponent
        return Price(price=price * scale, error=confidence * scale, updated_s=published_s)
