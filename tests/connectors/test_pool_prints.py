"""Swaps of pools as TRADE rows: price, size and side, each once, and none of blocks that were taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.amm import v3
from connectors.amm.curve import Pool
from connectors.amm.ticks import Q96, tick_at
from connectors.amm.v2 import V2Pool
from connectors.events import Kind, Row, Why
from connectors.evm.logs import Swapped, Synced, Traded
from connectors.evm.pool_rows import printed
from connectors.evm.pools import PoolsFeed
from connectors.evm.teller import PRINT_BLOCKS
from connectors.instruments import Instrument, Role
from tests.chain.pools import Ear
from tests.servers.chain import PROOF, TOKEN, ChainServer, Say
from tests.servers.doors import Doors
from tests.servers.heard import setup_for

PAIR, POOL = ("0x" + digit * 40 for digit in "ab")
UNIT = 10**18


def pools() -> dict[str, Pool]:
    """A v2 and a v3 pool at a price of one."""
    empty = v3.initialized(Q96, 0, fee_pips=10_000, spacing=200)
    return {
        PAIR: V2Pool(reserve0=10**24, reserve1=10**24),
        POOL: v3.after_mint(empty, -2_000, 2_000, 10**24),
    }


def swap(ours: int, other: int, times: int = 1) -> Say:
    """A swap in the v3 pool that moved its balances so."""
    price = Q96 + Q96 * times // 200_000
    return POOL, Swapped(ours, other, price, 10**24, tick_at(price), None)


@asynccontextmanager
async def following(server: ChainServer, **options: object) -> AsyncIterator[Ear]:
    """What a feed of both pools says."""
    heard = Ear()
    instruments = [
        Instrument(
            venue="dex", symbol=pool, role=Role.TOKEN, token="TSLAx", underlying="TSLA", chain="nowhere",
            contract=TOKEN, quote="USDC",
        )
        for pool in server.tip.states
    ]  # fmt: skip
    given_options = {
        PAIR: "uniswap_v2", POOL: "uniswap_v3", **PROOF, "watch_s": 12.0, "reconcile_blocks": 1e9, "check_blocks": 1e9,
        "fresh_s": 1e9, "calls_per_s": 1e4, **options,
    }  # fmt: skip
    setup = setup_for(server, *instruments, sleep=Doors(12.0).sleep, options=given_options, url=server.url)
    numbers = {instrument.name: at for at, instrument in enumerate(instruments)}
    feed = PoolsFeed(setup)
    heard.against(numbers.values(), Why.NOT_HEARD)
    running = asyncio.create_task(feed.run(heard, numbers))
    try:
        await heard.until(lambda: running.done() or (feed.keeper is not None and feed.keeper.whole))
        await server.until(lambda: server.followers == 1)
        yield heard
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def trades(heard: Ear) -> list[Row]:
    """The prints so far."""
    return [row for row in heard.rows if row.kind is Kind.TRADE]


async def test_each_swap_is_told_once_when_its_block_is_deep() -> None:
    """
    A sale and a purchase in one block, one of a v2 pair in the next: prices, sizes and sides as they were, in order,
    once twelve blocks lie on them and not before.
    """
    async with ChainServer(pools()) as server, following(server, trades=True) as heard:
        await server.mine(swap(2 * UNIT, -4 * UNIT), swap(-UNIT, 3 * UNIT, 2))
        await server.mine((PAIR, Synced(10**24 - 5 * UNIT, 10**24 + 5 * UNIT)), (PAIR, Traded(-5 * UNIT, 5 * UNIT)))
        for _ in range(PRINT_BLOCKS - 2):
            await server.mine()
        assert [] == trades(heard)
        await server.mine()
        await server.mine()
        await heard.until(lambda: len(trades(heard)) == 3)
        await server.mine()
        told = [(row.instrument, row.bid, row.ask, row.ask_size, row.extra) for row in trades(heard)]
    assert [(1, 2.0, 2.0, 2.0, -1.0), (1, 3.0, 3.0, 1.0, 1.0), (0, 1.0, 1.0, 5.0, 1.0)] == told


async def test_a_swap_that_was_taken_back_is_no_print() -> None:
    """
    The last block is replaced by one with another swap: only that one is told.
    """
    async with ChainServer(pools()) as server, following(server, trades=True) as heard:
        await server.mine()
        await server.mine(swap(2 * UNIT, -4 * UNIT))
        await server.reorg(1, [swap(7 * UNIT, -7 * UNIT, 3)], [], removed=True)
        for _ in range(PRINT_BLOCKS + 1):
            await server.mine()
        await heard.until(lambda: bool(trades(heard)))
        sizes = [row.ask_size for row in trades(heard)]
    assert [7.0] == sizes


async def test_swaps_are_told_only_where_they_are_asked_for() -> None:
    """
    Without the option a pool tells its price and nothing else.
    """
    async with ChainServer(pools()) as server, following(server) as heard:
        await server.mine(swap(2 * UNIT, -4 * UNIT))
        for _ in range(PRINT_BLOCKS + 2):
            await server.mine()
        await server.mine(swap(UNIT, -UNIT, 5))
        before = len(heard.quotes(1))
        await heard.until(lambda: len(heard.quotes(1)) >= before)
        assert [] == trades(heard)


@given(ours=st.integers(1, 10**30), other=st.integers(1, 10**20), base=st.sampled_from((0, 1)))
def test_a_print_is_what_was_paid_for_what(ours: int, other: int, base: int) -> None:
    """
    Size times price is what was paid, on either side and for either order of the tokens; what is no swap of one for
    the other is no print.
    """
    decimals = (18, 6) if base == 0 else (6, 18)
    for sign, taker in ((1, -1.0), (-1, 1.0)):
        amounts = (sign * ours, -sign * other) if base == 0 else (-sign * other, sign * ours)
        found = printed(*amounts, base, decimals)
        assert found is not None
        assert (taker, ours / 1e18) == (found.taker, found.size)
        assert other / 1e6 == pytest.approx(found.price * found.size)
    assert None is printed(ours, other, base, decimals)
    assert None is printed(ours, 0, base, decimals)
