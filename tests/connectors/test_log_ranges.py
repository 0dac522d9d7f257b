"""eth_getLogs beyond what a provider allows: each one's refusal, over a real socket, is answered by asking for less."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import LogsRefused, RateLimited
from connectors.evm.log_ranges import in_parts, too_many
from connectors.evm.rpc import Rpc
from connectors.evm.rpcs import logs_of
from connectors.evm.subscription import filters
from connectors.poll import Poll
from tests.connectors.test_evm_pools import PAIR, following, start, swapped, synced
from tests.servers.chain import ChainServer
from tests.servers.heard import no_wait

SHORTER = "Based on your parameters, this block range should work: [0x1180fca, 0x1180fd3]."
RECORDED: list[tuple[str, int, dict[str, Any]]] = [
    ("alchemy, logs", 200, {"code": -32602, "message": (
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the "
        "response size, or you can request any block range with a cap of 10K logs in the response. " + SHORTER)}),
    ("alchemy, blocks", 400, {"code": -32600, "message": (
        "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. " + SHORTER)}),
    ("alchemy, time", 400, {"code": -32000, "message": (
        "Query timeout exceeded. Consider reducing your block range. " + SHORTER)}),
    ("infura, logs", 200, {"code": -32005, "data": {"from": "0xBDE5F8", "limit": 10000, "to": "0x102DBCC"}, "message": (
        "query returned more than 10000 results. Try with this block range [0xBDE5F8, 0x102DBCC].")}),
    ("infura, blocks", 200, {"code": -32602, "message": "range 1000000 exceeds limit of 10000"}),
    ("quicknode", 413, {"code": -32614, "message": "eth_getLogs is limited to a 10,000 range"}),
    ("ankr", 200, {"code": -32600, "message": "block range is too wide"}),
    ("publicnode", 200, {"code": -32701, "message": "exceed maximum block range: 50000"}),
    ("bnb chain's own", 200, {"code": -32005, "message": "limit exceeded"}),
    ("drpc, free", 200, {"code": 35, "message": "ranges over 10000 blocks are not supported on freetier"}),
    ("drpc", 200, {"code": -32000, "message": "requested too many blocks from 0 to 16777216, maximum is set to 2048"}),
    ("1rpc", 200, {"code": -32602, "message": "eth_getLogs is limited to 0 - 50 blocks range"}),
    ("thirdweb", 200, {"code": -32005, "message": (
        "Log response size exceeded. Maximum allowed number of requested blocks is 1000")}),
    ("tenderly", 200, {"code": -32602, "message": "invalid params", "data": {
        "error_id": "4ed94073", "payload": "range 9009594 is bigger than range limit 2000"}}),
    ("morph", 200, {"code": -32000, "message": (
        "block range is larger than max block range, block range = 5120, max block range = 5000")}),
    ("reth, logs", 200, {"code": -32602, "message": "query exceeds max results 20000, retry with the range 1-2"}),
    ("reth, blocks", 200, {"code": -32602, "message": "query exceeds max block range 100000"}),
    ("load shed", 200, {"code": -32012, "message": "requested range too large"}),
    ("nobody's", 200, {"code": -32099, "message": "computer says no"}),
]  # fmt: skip
"""Errors as they are in bug reports and logs of those who met them, numbers shortened: who, HTTP status, error. The
last one is made up."""


@asynccontextmanager
async def asked(server: ChainServer) -> AsyncIterator[Rpc]:
    """A client of the node, which never waits and tries once."""
    poll = Poll("node", clock=time.time_ns, rng=np.random.default_rng(1), sleep=no_wait, per_period=10**4, tries=1,
                max_wait_s=0.0)  # fmt: skip
    async with aiohttp.ClientSession() as session:
        yield Rpc(session, server.url, poll)


@pytest.mark.parametrize(("status", "error"), [given[1:] for given in RECORDED], ids=[given[0] for given in RECORDED])
async def test_what_is_refused_as_too_many_blocks_is_asked_for_in_parts(status: int, error: dict[str, Any]) -> None:
    """
    Of 25 blocks the node tells four at once and refuses more in the provider's words: every log comes, once, in order.
    """
    async with ChainServer(start()) as server, asked(server) as rpc:
        for times in range(1, 26):
            await server.mine(synced(times))
        server.limit = lambda blocks, logs: (status, error) if blocks > 4 else None
        found = await logs_of(rpc, filters([PAIR], "", []), 100, server.tip.number)
        calls = [call for call in server.calls if call["method"] == "eth_getLogs"]
    assert list(range(101, 126)) == [log.number for log in found]
    assert 12 == len(calls)  # 26, 13 and 6 are refused, then parts of 3


async def test_too_many_logs_are_asked_for_in_parts() -> None:
    """
    The node bounds the logs of an answer, not the blocks: where blocks are full the parts are small.
    """
    async with ChainServer(start()) as server, asked(server) as rpc:
        for times in range(1, 11):
            await server.mine(*[synced(times * 10 + at) for at in range(5)])
        server.limit = lambda blocks, logs: (200, RECORDED[3][2]) if logs > 10 else None
        found = await logs_of(rpc, filters([PAIR], "", []), 101, 110)
    assert 50 == len({(log.number, log.log_index) for log in found}) == len(found)


@pytest.mark.parametrize("error", [RECORDED[3][2], RECORDED[-1][2]], ids=["known words", "unknown words"])
async def test_a_node_that_refuses_one_block_is_given_up_with_its_words(error: dict[str, Any]) -> None:
    """
    Halves down to one block, then the error names that block and what the node said; it is not asked for ever.
    """
    async with ChainServer(start()) as server, asked(server) as rpc:
        server.limit = lambda blocks, logs: (200, error)
        with pytest.raises(LogsRefused, match="not even the logs of block 100 alone: ") as caught:
            await logs_of(rpc, filters([PAIR], "", []), 100, 1_123)
        assert error["message"] in str(caught.value)
        assert 11 == len(server.calls)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32005, "daily request count exceeded, request rate limited"),
        (-32005, "project ID request rate exceeded: 40 requests per second"),
        (429, "Your app has exceeded its compute units per second capacity."),
        (-32029, "Too Many Requests"),
    ],
)
async def test_who_is_asked_too_often_is_not_asked_more(code: int, message: str) -> None:
    """
    The same codes stand for rate limits: those are waited out as ever, not answered by more calls.
    """
    async with ChainServer(start()) as server, asked(server) as rpc:
        server.limit = lambda blocks, logs: (200, {"code": code, "message": message})
        with pytest.raises(RateLimited):
            await logs_of(rpc, filters([PAIR], "", []), 100, 1_123)
        assert 1 == len(server.calls)
    assert not too_many(code, message)


async def test_a_feed_of_pools_lives_with_a_node_that_tells_one_block_at_a_time() -> None:
    """
    46. Lost logs are found though the node refuses every range; nothing stays unchecked.
    """
    async with ChainServer(start()) as server, following(server, check_blocks=4) as follow:
        server.limit = lambda blocks, logs: (400, RECORDED[1][2]) if blocks > 1 else None
        server.sends = lambda logs: logs[::2]
        for times in range(1, 7):
            await server.mine(swapped(times), synced(times))
        server.sends = list
        for _ in range(4):
            await server.mine()
        await follow.agrees()
    assert follow.count("logs_missed") and not follow.count("logs_refused")


@given(st.integers(0, 50), st.integers(1, 200), st.integers(1, 300))
def test_parts_cover_every_block_once(first: int, count: int, most: int) -> None:
    """
    Whatever a node allows, the parts together are the range, and none is longer than allowed.
    """
    told: list[int] = []

    async def ask(start: int, end: int) -> list[int]:
        if end - start + 1 > most:
            raise LogsRefused("no")
        told.append(end - start + 1)
        return list(range(start, end + 1))

    coroutine = in_parts(ask, first, first + count - 1)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert list(range(first, first + count)) == done.value.value
    assert max(told) <= most
    assert max(told) > min(most, count) // 3 or most == 1
