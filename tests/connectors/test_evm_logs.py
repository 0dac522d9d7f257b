"""What logs of pools say, and what they do to a state."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from connectors.amm import v3, v4
from connectors.amm.ticks import Q96
from connectors.amm.v2 import V2Pool
from connectors.amm.v4 import PoolKey
from connectors.errors import BadMessage, PoolStateError, VenueUnreachable
from connectors.evm.abi import topic
from connectors.evm.logs import (
    CONTRACT_TOPICS,
    MANAGER_TOPICS,
    Initialized,
    Log,
    Moved,
    ProtocolFee,
    RawLog,
    Swapped,
    Synced,
    Traded,
    Unborn,
    applied,
    read_log,
)
from connectors.evm.rpc import Head
from connectors.evm.subscription import read_message

POOL, WHO, ID = "0x" + "Ab" * 20, "0x" + "cd" * 20, "0x" + "ef" * 32
KEY = PoolKey(currency0="0x" + "01" * 20, currency1="0x" + "02" * 20, fee=3000, spacing=60)
U160, U128, I24 = st.integers(0, 2**160 - 1), st.integers(0, 2**128 - 1), st.integers(-887272, 887272)
I128, I256 = st.integers(-(2**127), 2**127 - 1), st.integers(-(2**255), 2**255 - 1)


def raw(event: str, indexed: list[tuple[str, Any]], data: list[tuple[str, Any]], **more: Any) -> RawLog:
    """A log as a node tells it: indexed values as topics, the rest as data."""
    topics = (topic(event), *("0x" + encode([kind], [value]).hex() for kind, value in indexed))
    body = "0x" + encode([kind for kind, _ in data], [value for _, value in data]).hex()
    given = {"blockNumber": "0x10", "blockHash": "0xAA", "transactionHash": "0xBB", "logIndex": "0x3", **more}
    return RawLog(address=POOL, topics=topics, data=body, **given)


def event_of(log: RawLog) -> Any:
    """What it says."""
    read = read_log(log)
    assert read is not None
    return read.event


@given(I256, I256, U160, U128, I24, st.booleans())
def test_a_v3_swap_is_read_with_or_without_pancakes_fees(
    amount0: int, amount1: int, price: int, liquidity: int, tick: int, pancake: bool
) -> None:
    """
    Amounts, price, liquidity and tick keep their signs; what PancakeSwap tells behind them changes nothing.
    """
    more = ",uint128,uint128" if pancake else ""
    data = [("int256", amount0), ("int256", amount1), ("uint160", price), ("uint128", liquidity), ("int24", tick)]
    log = raw(
        f"Swap(address,address,int256,int256,uint160,uint128,int24{more})",
        [("address", WHO), ("address", WHO)],
        data + ([("uint128", 7), ("uint128", 8)] if pancake else []),
    )
    assert Swapped(amount0, amount1, price, liquidity, tick, None) == event_of(log)


@given(I128, I128, U160, U128, I24, st.integers(0, 10**6))
def test_a_v4_swap_is_told_from_the_pools_side(
    amount0: int, amount1: int, price: int, liquidity: int, tick: int, fee: int
) -> None:
    """
    The manager tells what the trader gets; we say what the pool gets, and know the pool by its id.
    """
    log = raw(
        "Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)",
        [("bytes32", bytes.fromhex(ID[2:])), ("address", WHO)],
        [("int128", amount0), ("int128", amount1), ("uint160", price), ("uint128", liquidity), ("int24", tick),
         ("uint24", fee)],
    )  # fmt: skip
    read = read_log(log)
    assert read is not None
    assert (ID, Swapped(-amount0, -amount1, price, liquidity, tick, fee)) == (read.pool, read.event)


@given(I24, I24, U128)
def test_liquidity_that_comes_and_goes_is_read_of_every_family(lower: int, upper: int, amount: int) -> None:
    """
    Mint, Burn and ModifyLiquidity say between which ticks how much came, or went (negative).
    """
    places = [("address", WHO), ("int24", lower), ("int24", upper)]
    mint = raw(
        "Mint(address,address,int24,int24,uint128,uint256,uint256)", places,
        [("address", WHO), ("uint128", amount), ("uint256", 1), ("uint256", 2)],
    )  # fmt: skip
    burn = raw(
        "Burn(address,int24,int24,uint128,uint256,uint256)", places,
        [("uint128", amount), ("uint256", 1), ("uint256", 2)],
    )  # fmt: skip
    modify = raw(
        "ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)",
        [("bytes32", bytes.fromhex(ID[2:])), ("address", WHO)],
        [("int24", lower), ("int24", upper), ("int256", -amount), ("bytes32", bytes(32))],
    )  # fmt: skip
    said = [Moved(lower, upper, amount), Moved(lower, upper, -amount), Moved(lower, upper, -amount)]
    assert said == [event_of(log) for log in (mint, burn, modify)]


def test_the_rest_is_read_too() -> None:
    """
    Sync and Swap of v2, both Initialize logs, and the protocol's fee of v4.
    """
    manager = [("bytes32", bytes.fromhex(ID[2:]))]
    logs = (
        raw("Sync(uint112,uint112)", [], [("uint112", 5), ("uint112", 6)]),
        raw(
            "Swap(address,uint256,uint256,uint256,uint256,address)", [("address", WHO), ("address", WHO)],
            [("uint256", 5), ("uint256", 0), ("uint256", 0), ("uint256", 4)],
        ),
        raw("Initialize(uint160,int24)", [], [("uint160", Q96), ("int24", -1)]),
        raw(
            "Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)",
            [*manager, ("address", WHO), ("address", WHO)],
            [("uint24", 500), ("int24", 10), ("address", WHO), ("uint160", Q96), ("int24", -2)],
        ),
        raw("ProtocolFeeUpdated(bytes32,uint24)", manager, [("uint24", 0x3E8001)]),
    )  # fmt: skip
    said = [Synced(5, 6), Traded(5, -4), Initialized(Q96, -1), Initialized(Q96, -2), ProtocolFee(0x3E8001)]
    assert said == [event_of(log) for log in logs]


def test_a_log_is_known_by_its_block_transaction_and_place() -> None:
    """
    Where it stands, whether it was removed, and the block's time where the node says it; hashes in lower case.
    """
    log = read_log(
        raw("Sync(uint112,uint112)", [], [("uint112", 5), ("uint112", 6)], removed=True, blockTimestamp="0x64")
    )
    assert Log(POOL.lower(), 16, "0xaa", "0xbb", 3, True, 100, Synced(5, 6)) == log


@pytest.mark.parametrize(
    "log",
    [
        RawLog(address=POOL, topics=(topic("Sync(uint112,uint112)"),), data="0x" + "00" * 64),
        raw("Sync(uint112,uint112)", [], [("uint112", 5)]),
        RawLog(POOL, (topic("Sync(uint112,uint112)"),), "0xzz", "0x1", "0x1", "0x1", "0x1"),
        raw("ProtocolFeeUpdated(bytes32,uint24)", [], [("uint24", 1)]),
        raw("Mint(address,address,int24,int24,uint128,uint256,uint256)", [], [("uint128", 1)] * 4),
    ],
)
def test_a_log_that_breaks_its_promise_is_refused(log: RawLog) -> None:
    """
    One of no block yet, a short one, one that is not hexadecimal, one without its topics.
    """
    with pytest.raises(BadMessage):
        read_log(log)


NAMES = (
    "params", "result", "error", "number", "hash", "parentHash", "timestamp", "topics", "data", "address",
    "blockNumber", "blockHash", "transactionHash", "logIndex", "removed",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9) | st.sampled_from(["0x1", "0x" + "00" * 64]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=20,
)


@given(JSON, st.sampled_from([*CONTRACT_TOPICS, *MANAGER_TOPICS]))
def test_whatever_a_node_says_is_read_or_refused(said: Any, first: str) -> None:
    """
    A message of any shape is a head, a log, nothing, or an error of the house; it never raises anything else.
    """
    for message in (said, {"params": {"result": said}}, {"params": {"result": {"topics": [first], "data": said}}}):
        with suppress(BadMessage, VenueUnreachable):
            assert isinstance(read_message(msgspec.json.encode(message)), Head | Log | None)


def test_other_logs_are_none_of_ours() -> None:
    """
    A Transfer, and a log without a topic, say nothing about a pool.
    """
    other = raw("Transfer(address,address,uint256)", [("address", WHO)] * 2, [("uint256", 1)])
    assert [None, None] == [read_log(other), read_log(RawLog(address=POOL))]


def test_a_pool_is_born_moved_and_swapped_by_its_logs() -> None:
    """
    An empty v3 pool gets its price, liquidity around it, and the state that a swap left.
    """
    pool: Any = Unborn(lambda price, tick: v3.initialized(price, tick, fee_pips=500, spacing=10))
    for event in (Initialized(Q96, 0), Moved(-10, 10, 5), Moved(-20, -10, 7), Swapped(1, -1, Q96 + 9, 5, 0, None)):
        pool = applied(pool, event)
    assert (Q96 + 9, 0, 5, [-20, -10, 10]) == (pool.sqrt_price, pool.tick, pool.liquidity, pool.ticks.order)
    assert V2Pool(reserve0=3, reserve1=4) == applied(V2Pool(reserve0=1, reserve1=2), Synced(3, 4))
    four = applied(v4.initialized(KEY, Q96, 0), ProtocolFee(0x002001))
    assert isinstance(four, v4.V4Pool) and (1, 2) == four.protocol_fees


@pytest.mark.parametrize(
    ("pool", "event"),
    [
        (V2Pool(reserve0=1, reserve1=2), Moved(0, 1, 1)),
        (v3.initialized(Q96, 0, fee_pips=500, spacing=10), Synced(1, 2)),
        (v3.initialized(Q96, 0, fee_pips=500, spacing=10), Swapped(1, 1, Q96, 0, 0, 500)),
        (v3.initialized(Q96, 0, fee_pips=500, spacing=10), Moved(-10, 10, -1)),
        (v4.initialized(KEY, Q96, 0), Swapped(1, 1, Q96, 0, 0, 2999)),
        (v4.initialized(KEY, Q96, 0), Initialized(Q96, 0)),
        (Unborn(lambda price, tick: v4.initialized(KEY, price, tick)), Moved(0, 60, 1)),
    ],
)
def test_what_cannot_happen_to_a_pool_raises(pool: Any, event: Any) -> None:
    """
    A log of another family, liquidity that is not there, a fee that is not the pool's: a log was missed.
    """
    with pytest.raises(PoolStateError):
        applied(pool, event)
