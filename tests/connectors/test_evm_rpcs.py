"""Several nodes of one chain: who is behind, who has another chain, and what is said only when enough agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import numpy as np
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import monotonic_s
from connectors.amm.forks import FORKS
from connectors.amm.v2 import V2Pool
from connectors.errors import BadMessage, NoQuorum
from connectors.events import Health, Why
from connectors.evm.abi import Call, Method, batch, unbatch
from connectors.evm.rpc import Head, Rpc
from connectors.evm.rpcs import Rpcs, behind, disagreement, read_at
from connectors.poll import Poll
from tests.connectors.test_evm_pools import CAKE, PAIR, POOL, WATCH_S, Follow, start, swapped, synced
from tests.servers.chain import ChainServer
from tests.servers.heard import no_wait

RESERVES = Method("getReserves", gives=("uint112", "uint112", "uint32")).call(PAIR)


def head(number: int, hash_: str = "") -> Head:
    """A block."""
    return Head(number, hash_ or f"h{number}", "", 0)


def test_who_is_more_blocks_behind_than_allowed_is_dropped() -> None:
    """
    The rule is about the best of all; a node that does not answer is neither behind nor the best.
    """
    heads = [head(100), None, head(97), head(96), head(103)]
    assert (2, 3) == behind(heads, 3)
    assert (3,) == behind(heads, 6)
    assert () == behind([None, None], 0)


def test_another_hash_at_one_height_is_a_disagreement() -> None:
    """
    It names the block and who says what; one node alone, or all alike, disagree with nobody.
    """
    assert "block 5 is 0xa at node 1, 0xb at node 2" == disagreement(5, {"node 2": "0xb", "node 1": "0xa"})
    assert ["", ""] == [disagreement(5, {"node 1": "0xa"}), disagreement(5, {"node 1": "0xa", "node 2": "0xa"})]


@asynccontextmanager
async def chain_of(count: int, blocks: int = 3) -> AsyncIterator[tuple[list[ChainServer], Rpcs]]:
    """So many nodes that have the same blocks."""
    async with all_of([ChainServer(start()) for _ in range(count)]) as servers, aiohttp.ClientSession() as net:
        for server in servers:
            for times in range(1, blocks + 1):
                await server.mine(synced(times))
            for block, other in zip(server.blocks, servers[0].blocks, strict=True):
                block.timestamp_s = other.timestamp_s
        rng = np.random.default_rng(1)
        rpcs = [
            Rpc(
                net,
                server.url,
                Poll(f"node{at}", clock=time.time_ns, rng=rng, sleep=no_wait, per_period=10**4, tries=1),
            )
            for at, server in enumerate(servers)
        ]
        yield servers, Rpcs(rpcs)


@asynccontextmanager
async def all_of(servers: list[ChainServer]) -> AsyncIterator[list[ChainServer]]:
    """All of them, started and ended."""
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.__aenter__())
    try:
        yield servers
    finally:
        for server in servers:
            await server.__aexit__(None, None, None)


async def reserves(rpc: Rpc, at: Head) -> tuple[Any, ...]:
    """The reserves of the pair at a block."""
    (answer,) = await read_at(rpc, [RESERVES], at)
    return Method("getReserves", gives=("uint112", "uint112")).read(answer)


async def test_what_enough_nodes_say_of_one_block_is_known() -> None:
    """
    Fault 45. Two of three are asked for: one node may be ahead by a block, behind, of another chain, or not answer.
    """
    async with chain_of(3) as (servers, rpcs):
        one, two, three = servers
        common, said = await rpcs.agreed(2, reserves)
        assert (one.tip.hash, 10**24 + 3) == (common.hash, said[0])
        await three.mine(synced(77))
        assert (one.tip.hash, said) == ((await rpcs.agreed(2, reserves))[0].hash, said)
        await three.reorg(2, [synced(5)], [synced(6)], [synced(7)], removed=False)
        common, said = await rpcs.agreed(2, reserves)
        assert (one.tip.hash, 10**24 + 3) == (common.hash, said[0])
        with pytest.raises(NoQuorum):
            await rpcs.agreed(3, reserves)
        await two.__aexit__(None, None, None)
        for count in (1, 2):  # the two that are left have different chains
            with pytest.raises(NoQuorum):
                await rpcs.agreed(count, reserves)
        await three.__aexit__(None, None, None)
        assert 10**24 + 3 == (await rpcs.agreed(1, reserves))[1][0]


async def test_one_node_is_not_believed_against_the_others() -> None:
    """
    Fault 45. Where one node is enough, one of three that is ahead on a chain of its own is outvoted, one of three that
    answers otherwise too, and of two that say different things neither is believed.
    """
    async with chain_of(3) as (servers, rpcs):
        one, _, three = servers
        await three.reorg(2, [synced(77)], [synced(78)], [synced(79)], removed=False)
        common, said = await rpcs.agreed(1, reserves)
        assert (one.tip.hash, 10**24 + 3) == (common.hash, said[0])
    async with chain_of(3) as (servers, rpcs):
        servers[0].tip.states = dict(servers[0].blocks[1].states)
        assert 10**24 + 3 == (await rpcs.agreed(1, reserves))[1][0]
        await servers[2].__aexit__(None, None, None)
        with pytest.raises(NoQuorum):
            await rpcs.agreed(1, reserves)


async def test_nodes_that_say_different_things_of_one_block_make_no_quorum() -> None:
    """
    Fault 45. They share the block's hash, but one answers from another state: nothing is known.
    """
    async with chain_of(2) as (servers, rpcs):
        servers[1].tip.states = dict(servers[1].blocks[1].states)
        with pytest.raises(NoQuorum):
            await rpcs.agreed(2, reserves)
        servers[1].tip.states = servers[0].tip.states
        assert 10**24 + 3 == (await rpcs.agreed(2, reserves))[1][0]


async def test_a_node_that_is_behind_is_not_asked_and_one_that_fails_is_passed_over() -> None:
    """
    Fault 45. The first node stands still while the others go on: it is dropped, and asked again when it is back.
    """
    async with chain_of(3) as (servers, rpcs):
        for server in servers[1:]:
            for _ in range(5):
                await server.mine()
        look = await rpcs.look()
        assert ((0,), 108, 2) == (look.behind, look.best, len(look.hashes))
        servers[1].instead["eth_getBlockByNumber"] = lambda _: {"code": -32000, "message": "no"}
        assert 108 == (await rpcs.first(lambda rpc: rpc.head())).number
        for _ in range(5):
            await servers[0].mine()
        assert () == (await rpcs.look()).behind
        assert rpcs.good[0] is rpcs.rpcs[0]


@asynccontextmanager
async def two_nodes(**options: Any) -> AsyncIterator[tuple[ChainServer, ChainServer, Follow]]:
    """A feed that streams from the first of two nodes and may ask both."""
    async with ChainServer(start()) as one, ChainServer(start()) as two:
        follow = Follow(one, nodes=f"{one.url} {two.url}", **{"lag_blocks": 2, **options})
        two.blocks[0].timestamp_s = one.blocks[0].timestamp_s
        running = asyncio.create_task(follow.feed.run(follow.heard, follow.numbers))
        try:
            await follow.heard.until(follow.same)
            await one.until(lambda: one.followers == 1)
            yield one, two, follow
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def watched(follow: Follow) -> None:
    """The feed looks at all nodes once more."""
    looks = follow.doors.waits.count(WATCH_S)
    await follow.doors.until(lambda waits: waits.count(WATCH_S) >= max(looks, 1))
    looks = follow.doors.waits.count(WATCH_S)
    follow.doors.let(WATCH_S)
    await follow.doors.until(lambda waits: waits.count(WATCH_S) > looks)


async def test_a_stream_that_is_behind_other_nodes_speaks_against_all() -> None:
    """
    Fault 45. The node that streams stands still while another goes on: LAGS, nothing is traded on it; it heals when
    the stream has caught up.
    """
    async with two_nodes() as (one, two, follow):
        for times in range(1, 6):
            await two.mine(swapped(times))
        begun = monotonic_s()
        await watched(follow)
        await follow.heard.until(lambda: follow.state == (Health.DEGRADED, Why.LAGS))
        print(f"a stream behind is seen {monotonic_s() - begun:.3f} s after the look")
        rows = len(follow.heard.quotes(1))
        await one.mine(swapped(1))
        await follow.heard.until(lambda: len(follow.heard.quotes(1)) > rows)
        assert (Health.DEGRADED, Why.LAGS) == follow.state
        for times in range(2, 6):
            await one.mine(swapped(times))
        await watched(follow)
        await one.mine()
        await follow.heard.until(lambda: follow.state == (Health.UP, Why.NOTHING))
        assert follow.count("stream_behind")


async def test_nodes_with_different_chains_speak_against_all_until_they_agree() -> None:
    """
    Fault 45. Two nodes have another block at the same height: DISAGREES, until they have the same chain again.
    """
    async with two_nodes() as (one, two, follow):
        await one.mine(swapped(1))
        two.next_block()
        await two.mine(swapped(2))
        for server in (one, two):
            await server.mine(synced(3))
        await watched(follow)
        await follow.heard.until(lambda: follow.state == (Health.DEGRADED, Why.DISAGREES))
        two.blocks, two.every = list(one.blocks), dict(one.every)
        await watched(follow)
        await follow.heard.until(lambda: follow.state == (Health.UP, Why.NOTHING))
        assert follow.count("nodes_disagree")


async def test_a_node_that_lacks_logs_is_passed_over_for_one_that_has_them() -> None:
    """
    Faults 45 and 46. The first node answers eth_getLogs with nothing, the second has the logs: no state is lost.
    """
    async with two_nodes(check_blocks=1) as (one, two, follow):
        one.instead["eth_getLogs"] = lambda _: []
        for times in range(1, 6):
            for server in (two, one):
                server.tip.timestamp_s = one.tip.timestamp_s
                await server.mine(swapped(times), synced(times))
            await follow.agrees()
        await follow.heard.until(lambda: follow.count("logs_lacking") > 0)
        await follow.agrees()
        assert not follow.count("broken")


async def test_a_probe_names_what_is_wrong() -> None:
    """
    Chain, age and agreement of the nodes, the one that is behind, the pool that is shown only, and the one without our
    token; a node that is not there is one finding.
    """
    pools = {**start(), PAIR: V2Pool(reserve0=10**24, reserve1=10**24, fork=FORKS["pancakeswap_v2"])}
    async with ChainServer(pools) as one, ChainServer(pools) as two:
        for _ in range(5):
            await one.mine()
        two.blocks[0].timestamp_s = one.blocks[0].timestamp_s
        follow = Follow(one, nodes=f"{one.url} {two.url}", **{PAIR: "pancakeswap_v2"})
        del one.tip.states[POOL]
        found = {(f.what, f.subject): (f.ok, f.detail) for f in await follow.feed.probe()}
        away = Follow(one, nodes="http://127.0.0.1:1")
        (gone,) = await away.feed.probe()
    assert ("reachable", False) == (gone.what, gone.ok)
    assert (True, "block 105") == found["reachable", ""]
    assert [True, True, True] == [found[what, ""][0] for what in ("chain", "latency", "agreement")]
    assert (False, "5 blocks behind") == found["node", "node 2"]
    assert [None, False, True] == [found["symbol", pool][0] for pool in (PAIR, POOL, CAKE)]
    assert "never traded" in found["symbol", PAIR][1]


WORDS = st.binary(max_size=100)


@given(st.lists(st.tuples(st.integers(0, 2**160 - 1), WORDS), max_size=6))
def test_a_batch_is_what_the_abi_says(calls: list[tuple[int, bytes]]) -> None:
    """
    The call of aggregate3 equals a general encoder's, byte by byte.
    """
    made = [Call(f"0x{to:040x}", data) for to, data in calls]
    wanted = encode(["(address,bool,bytes)[]"], [[(call.to, True, call.data) for call in made]])
    assert wanted == batch(made)[4:]


@given(st.lists(st.tuples(st.booleans(), WORDS), max_size=6), st.integers(0, 2000))
def test_an_answer_of_a_batch_is_read_and_a_cut_one_refused(answers: list[tuple[bool, bytes]], keep: int) -> None:
    """
    Every answer comes out, None where the call failed; an answer that is cut off, or is of another count, raises.
    """
    told = encode(["(bool,bytes)[]"], [answers])
    assert [data if good else None for good, data in answers] == unbatch(told, len(answers))
    with pytest.raises(BadMessage):
        unbatch(told, len(answers) + 1)
    cut = told[: keep % len(told)]
    if cut.rstrip(b"\0") != told.rstrip(b"\0"):
        with pytest.raises(BadMessage):
            unbatch(cut, len(answers))
