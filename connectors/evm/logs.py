"""What the logs of pools say, and what each does to a pool's state; pure.

Layouts: the ABIs of the packages that connectors/amm/forks.py names. PancakeSwap v3 tells the protocol's part of the
fee behind what Uniswap's Swap tells, under a topic of its own; it is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from connectors.amm import v2, v3, v4
from connectors.amm.concentrated import RangePool
from connectors.amm.forks import FORKS, Family
from connectors.amm.v2 import V2Pool
from connectors.errors import BadMessage, PoolStateError
from connectors.evm.abi import topic

Pool = V2Pool | RangePool


class Initialized(NamedTuple):
    """A v3 or v4 pool has its first price."""

    sqrt_price: int
    tick: int


class Swapped(NamedTuple):
    """A swap left a v3 or v4 pool so. Amounts are what the pool's balances changed by."""

    amount0: int
    amount1: int
    sqrt_price: int
    liquidity: int
    tick: int
    fee: int | None
    """v4: the whole fee in pips."""


class Moved(NamedTuple):
    """Liquidity came to (went from, negative) a range of ticks."""

    lower: int
    upper: int
    amount: int


class Synced(NamedTuple):
    """The reserves of a v2 pool."""

    reserve0: int
    reserve1: int


class Traded(NamedTuple):
    """A swap in a v2 pool, whose reserves a Sync log told. Amounts are what the pool's balances changed by."""

    amount0: int
    amount1: int


class ProtocolFee(NamedTuple):
    """The protocol's fee of a v4 pool, both directions packed."""

    packed: int


Event = Initialized | Swapped | Moved | Synced | Traded | ProtocolFee


class RawLog(msgspec.Struct, frozen=True):
    """A log as a node tells it; what is absent belongs to no block yet."""

    address: str = ""
    topics: tuple[str, ...] = ()
    data: str = "0x"
    blockNumber: str | None = None
    blockHash: str | None = None
    transactionHash: str | None = None
    logIndex: str | None = None
    removed: bool = False
    blockTimestamp: str | None = None


class Log(NamedTuple):
    """One log of one pool."""

    pool: str
    """Its contract, or its id in the v4 manager, in lower case."""
    number: int
    block: str
    """Hash of the block."""
    tx: str
    log_index: int
    """Place in the block."""
    removed: bool
    """The block is not, or no longer, part of the chain."""
    timestamp_s: int
    """Of the block; 0 where the node does not say."""
    event: Event


class Unborn(NamedTuple):
    """A pool that has no price yet; `born` makes the state that its first log tells."""

    born: Callable[[int, int], RangePool]


def _v3_swapped(_: Sequence[str], data: Sequence[int]) -> Event:
    return Swapped(_signed(data[0]), _signed(data[1]), data[2], data[3], _signed(data[4]), None)


def _v4_swapped(_: Sequence[str], data: Sequence[int]) -> Event:
    return Swapped(-_signed(data[0]), -_signed(data[1]), data[2], data[3], _signed(data[4]), data[5])


def _minted(topics: Sequence[str], data: Sequence[int]) -> Event:
    return Moved(_signed(int(topics[2], 16)), _signed(int(topics[3], 16)), data[1])


def _burnt(topics: Sequence[str], data: Sequence[int]) -> Event:
    return Moved(_signed(int(topics[2], 16)), _signed(int(topics[3], 16)), -data[0])


def _modified(_: Sequence[str], data: Sequence[int]) -> Event:
    return Moved(_signed(data[0]), _signed(data[1]), _signed(data[2]))


_Reader = Callable[[Sequence[str], Sequence[int]], Event]

_CONTRACTS: Final[Mapping[str, _Reader]] = {
    topic("Sync(uint112,uint112)"): lambda _, data: Synced(data[0], data[1]),
    topic("Swap(address,uint256,uint256,uint256,uint256,address)"): lambda _, data: Traded(
        data[0] - data[2], data[1] - data[3]
    ),
    topic("Initialize(uint160,int24)"): lambda _, data: Initialized(data[0], _signed(data[1])),
    topic("Mint(address,address,int24,int24,uint128,uint256,uint256)"): _minted,
    topic("Burn(address,int24,int24,uint128,uint256,uint256)"): _burnt,
    **{topic(fork.swap_log): _v3_swapped for fork in FORKS.values() if fork.family is Family.V3},
}
_MANAGER: Final[Mapping[str, _Reader]] = {
    topic("Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)"): lambda _, data: Initialized(
        data[3], _signed(data[4])
    ),
    topic("ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)"): _modified,
    topic("ProtocolFeeUpdated(bytes32,uint24)"): lambda _, data: ProtocolFee(data[0]),
    topic(FORKS["uniswap_v4"].swap_log): _v4_swapped,
}

CONTRACT_TOPICS: Final = tuple(_CONTRACTS)
"""First topics of the logs that change a pool with a contract of its own."""
MANAGER_TOPICS: Final = tuple(_MANAGER)
"""First topics of the logs that change a pool of a v4 manager; the second topic is the pool's id."""


def read_log(raw: RawLog) -> Log | None:
    """What a log says; None where it is none of ours. Raises BadMessage where it is not what its topic promises."""
    if not raw.topics:
        return None
    try:
        reader, pool = _CONTRACTS.get(raw.topics[0]), raw.address.lower()
        if reader is None:
            reader = _MANAGER.get(raw.topics[0])
            if reader is None:
                return None
            pool = raw.topics[1].lower()
        data = bytes.fromhex(raw.data[2:])
        words = [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]
        return Log(
            pool, int(_said(raw.blockNumber), 16), _said(raw.blockHash).lower(), _said(raw.transactionHash).lower(),
            int(_said(raw.logIndex), 16), raw.removed, int(raw.blockTimestamp or "0x0", 16),
            reader(raw.topics, words),
        )  # fmt: skip
    except (ValueError, IndexError) as error:
        raise BadMessage(f"a log that cannot be read: {raw.topics[0][:10]} {raw.data[:80]}") from error


def applied(pool: Pool | Unborn, event: Event) -> Pool | Unborn:
    """The pool after a log. Raises PoolStateError where it cannot be: a log was missed, or is another family's."""
    if isinstance(event, Traded):
        return pool
    if isinstance(pool, Unborn):
        if isinstance(event, Initialized):
            return pool.born(event.sqrt_price, event.tick)
        if isinstance(event, ProtocolFee):
            return pool
    elif isinstance(pool, V2Pool):
        if isinstance(event, Synced):
            return v2.after_sync(pool, event.reserve0, event.reserve1)
    elif isinstance(event, Moved):
        return pool.moved(event.lower, event.upper, event.amount)
    elif isinstance(event, Swapped):
        if isinstance(pool, v4.V4Pool) and event.fee is not None:
            return v4.after_swap(pool, event.sqrt_price, event.tick, event.liquidity, event.fee)
        if isinstance(pool, v3.V3Pool) and event.fee is None:
            return v3.after_swap(pool, event.sqrt_price, event.tick, event.liquidity)
    elif isinstance(event, ProtocolFee) and isinstance(pool, v4.V4Pool):
        return v4.after_protocol_fee(pool, event.packed)
    raise PoolStateError(f"{type(event).__name__} cannot happen to {type(pool).__name__}")


def _signed(word: int) -> int:
    """A word with its sign."""
    return word - (1 << 256) if word >> 255 else word


def _said(text: str | None) -> str:
    if text is None:
        raise ValueError("the log belongs to no block")
    return text
