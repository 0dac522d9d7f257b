"""Prices that oracles keep on chain, and when they are fresh: that one answers does not say that it is. Pure.

Chainlink (AggregatorV3Interface): `latestRoundData` gives a price and when it was updated; a feed of shares stops
between sessions and repeats its last word to whoever asks, and a frozen one does so for days. It is fresh for its
heartbeat and a tenth more, and only where the round that it names is the one that was answered. Where a chain has a
sequencer, nobody can update anything while that is down, so its uptime feed is asked too. Pyth: `getPriceUnsafe` gives
price, confidence and the time of publishing; on chain it is as old as the last one who paid for an update.
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

RESTART_S: Final = 3_600.0
"""After a sequencer is back, prices are those of before for a while (docs.chain.link, L2 sequencer uptime feeds)."""

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
    old_round: str = ""
    """Where the answer is not of the round that it is told for: which ones they are."""

    def speaks_against(self, now_s: float, max_age_s: float) -> tuple[Why, str, str] | None:
        """What speaks against using it now: the reason, its word, and the numbers; None where nothing does."""
        if self.updated_s > now_s + AHEAD_S:
            return Why.CLOCK, "from_the_future", f"updated {self.updated_s - now_s:.0f} s after its block"
        if self.old_round:
            return Why.LAGS, "old_round", self.old_round
        if now_s - self.updated_s > max_age_s * GRACE:
            return Why.LAGS, "stale", f"updated {now_s - self.updated_s:.0f} s ago, {max_age_s:g} s are its measure"
        return None


@dataclass(frozen=True, slots=True)
class Aggregator:
    """A Chainlink price feed at an address."""

    address: str

    def calls(self) -> tuple[Call, ...]:
        """What to ask, at one block."""
        return _ROUND.call(self.address), _DECIMALS.call(self.address)

    def read(self, answers: Sequence[bytes | None]) -> Price:
        """The newest round. Raises BadMessage where it is none: no answer, not above zero, never updated."""
        round_, answer, _, updated_s, answered_in = _ROUND.read(answers[0])
        decimals = _DECIMALS.one(answers[1])
        if updated_s == 0:
            raise BadMessage(f"round {round_} was never answered", where=self.address)
        if answer <= 0:
            raise BadMessage(f"answer {answer} is not above zero", where=self.address)
        old = f"round {round_} has the answer of round {answered_in}" if answered_in < round_ else ""
        return Price(price=answer / 10**decimals, updated_s=updated_s, old_round=old)


@dataclass(frozen=True, slots=True)
class Sequencer:
    """A Chainlink feed that tells whether a chain's sequencer is up: 0 up, 1 down, and since when."""

    address: str
    restart_s: float = RESTART_S
    """For so long after it came back nothing is believed."""

    def calls(self) -> tuple[Call, ...]:
        """What to ask, at one block."""
        return (_ROUND.call(self.address),)

    def speaks_against(self, answers: Sequence[bytes | None], now_s: float) -> tuple[Why, str, str] | None:
        """As that of a price. Raises BadMessage where it does not answer, or something else than up and down."""
        _, answer, since_s, _, _ = _ROUND.read(answers[0])
        if answer not in (0, 1):
            raise BadMessage(f"answer {answer} is neither up nor down", where=self.address)
        if answer or not since_s:
            return Why.LAGS, "sequencer_down", f"since {since_s}"
        if now_s - since_s < self.restart_s:
            return Why.LAGS, "sequencer_restarted", f"{now_s - since_s:.0f} s ago, {self.restart_s:g} s are waited for"
        return None


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
