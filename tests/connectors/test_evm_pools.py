"""The feed of pools on a node that a test makes up: removed logs, lost, late and repeated ones, answers that lack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from bot.clock import monotonic_s
from connectors.amm import v3
from connectors.amm.curve import Pool
from connectors.amm.forks import FORKS
from connectors.amm.ticks import Q96, tick_at
from connectors.amm.v2 import V2Pool
from connectors.errors import BadMessage
from connectors.events import Health, Kind, Why
from connectors.evm.logs import Moved, Swapped, Synced
from connectors.evm.pools import PoolsFeed
from connectors.evm.rpcs import CALLS_PER_S
from connectors.instruments import Instrument, Role
from tests.chain.pools import Ear
from tests.servers.chain import PROOF, TOKEN, Block, ChainServer, Say
from tests.servers.doors import Doors
from tests.servers.heard import setup_for

WATCH_S = 12.0
PAIR, POOL, CAKE = ("0x" + digit * 40 for digit in "abc")
FORK = {PAIR: "uniswap_v2", POOL: "uniswap_v3", CAKE: "pancakeswap_v3"}


def start() -> dict[str, Pool]:
    """One pool of each kind at a price of one."""
    ranged = [
        v3.after_mint(v3.initialized(Q96, 0, fee_pips=10_000, spacing=200, fork=FORKS[name]), -2_000, 2_000, 10**24)
        for name in ("uniswap_v3", "pancakeswap_v3")
    ]
    return {PAIR: V2Pool(reserve0=10**24, reserve1=10**24), POOL: ranged[0], CAKE: ranged[1]}


def swapped(times: int, pool: str = POOL, liquidity: int = 10**24) -> Say:
    """A swap that leaves the price `times` thousandths of a percent above one."""
    price = Q96 + Q96 * times // 200_000
    return pool, Swapped(1, -1, price, liquidity, tick_at(price), None)


def moved(amount: int, lower: int = -400, upper: int = -200) -> Say:
    """Liquidity below the price."""
    return POOL, Moved(lower, upper, amount)


def synced(amount: int) -> Say:
    """Reserves of the v2 pair."""
    return PAIR, Synced(10**24 + amount, 10**24)


class Follow:
    """The feed, running, and what it said."""

    def __init__(self, server: ChainServer, *, nodes: str = "", **options: Any) -> None:
        """`nodes` are the addresses of all nodes where there are several."""
        self.server, self.heard, self.doors = server, Ear(), Doors(WATCH_S)
        instruments = [
            Instrument(
                venue="dex", symbol=pool, role=Role.TOKEN, token="TSLAx", underlying="TSLA", chain="nowhere",
                contract=TOKEN, quote="USDC",
            )
            for pool in server.tip.states
        ]  # fmt: skip
        given = {
            **FORK, **PROOF, "watch_s": WATCH_S, "reconcile_blocks": 1e9, "check_blocks": 1e9, "fresh_s": 1e9,
            "calls_per_s": 1e4, **options,
        }  # fmt: skip
        self.setup = setup_for(
            server, *instruments, sleep=self.doors.sleep, options=given, url=nodes or server.url
        )  # fmt: skip
        self.numbers = {instrument.name: at for at, instrument in enumerate(instruments)}
        self.feed = PoolsFeed(self.setup)

    @property
    def count(self) -> Callable[[str], int]:
        """How often something was rejected for a reason."""
        return lambda reason: self.heard.rejected["dex", reason]

    def same(self, block: Block | None = None) -> bool:
        """Whether all pools are whole and as the server has them."""
        keeper, wanted = self.feed.keeper, block or self.server.tip
        if keeper is None or keeper.blocks is None or not keeper.whole:
            return False
        return keeper.blocks.tip.hash == wanted.hash and keeper.blocks.now == wanted.states

    async def agrees(self) -> None:
        """Waits until what is kept is what the server has. Raises AssertionError when that never is."""
        try:
            await self.heard.until(self.same)
        except TimeoutError:
            keeper = self.feed.keeper
            assert keeper is not None and keeper.blocks is not None
            raise AssertionError(
                f"{keeper.whole} {keeper.blocks.tip} {keeper.blocks.now} {self.heard.rejected} {self.heard.details}"
            ) from None

    @property
    def state(self) -> tuple[Health, Why] | None:
        """How the v3 pool stands."""
        return self.heard.standing.state(1)


@asynccontextmanager
async def following(server: ChainServer, **options: Any) -> AsyncIterator[Follow]:
    """A feed that has heard every pool."""
    follow = Follow(server, **options)
    follow.heard.against(follow.numbers.values(), Why.NOT_HEARD)
    running = asyncio.create_task(follow.feed.run(follow.heard, follow.numbers))
    running.add_done_callback(lambda _: follow.heard._changed.set())
    try:
        await follow.heard.until(lambda: running.done() or follow.same())
        await server.until(lambda: server.followers == 1)
        yield follow
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.parametrize("heads_first", [False, True])
async def test_swaps_mints_and_burns_become_states_and_rows(heads_first: bool) -> None:
    """
    Each block's logs become the state that they tell, whether the head or the logs come first, and one row of each pool
    that changed, with the block's time.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        server.heads_first = heads_first
        for times in range(1, 5):
            await server.mine(swapped(times), moved(10**22), synced(times), swapped(-times, CAKE))
            await follow.agrees()
        await server.mine(moved(-3 * 10**22))
        await follow.agrees()
        rows = [row for row in follow.heard.quotes(2) if row.kind is Kind.POOL]
        stamps = {row.ts_venue // 10**9 - server.blocks[0].timestamp_s for row in rows}
    assert {0, 1, 2, 3, 4} >= stamps and max(stamps) >= 3
    assert 5 == len(rows) and not follow.heard.rejected


@pytest.mark.parametrize("depth", range(1, 7))
@pytest.mark.parametrize("removed", [True, False])
async def test_a_reorg_with_other_swaps_leaves_no_trace(depth: int, removed: bool) -> None:
    """
    Fault 41, feed side. The last 1 to 6 blocks are replaced by others with other swaps, with `removed` logs or without:
    states and rows are those of the new chain; a swap that was taken back is nowhere, and pools were down meanwhile.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        for times in range(1, 9):
            await server.mine(swapped(times), moved(10**22), synced(times))
        await follow.agrees()
        begun = monotonic_s()
        await server.reorg(
            depth, *([swapped(-times), synced(-times)] for times in range(1, depth + 2)), removed=removed
        )
        await follow.agrees()
        print(f"depth {depth}, removed {removed}: right again in {monotonic_s() - begun:.3f} s")
        keeper = follow.feed.keeper
        assert keeper is not None and keeper.blocks is not None and depth == keeper.blocks.deepest
        await follow.heard.until(lambda: follow.state == (Health.UP, Why.NOTHING))
        assert Health.DOWN in follow.heard.health(1)[2:]
        assert not any(reason in ("broken", "mismatch") for _, reason in follow.heard.rejected)


@pytest.mark.parametrize("removed", [True, False])
async def test_a_reorg_costs_calls_by_its_depth_and_not_by_its_pools(removed: bool) -> None:
    """
    41. Six blocks with swaps in each of 50 pools are replaced: that takes less than the 20 calls a second that a node
    is asked by default, since blocks are asked for and no pool is read anew. Times are printed.
    """
    pools = {
        f"0x{at + 1:040x}": v3.after_mint(v3.initialized(Q96, 0, fee_pips=3_000 + at, spacing=200), -400, 400, 10**24)
        for at in range(50)
    }
    options = {**dict.fromkeys(pools, "uniswap_v3"), "calls_per_s": CALLS_PER_S}
    async with ChainServer(pools) as server, following(server, **options) as follow:
        for times in range(1, 11):
            await server.mine(*(swapped(times, pool) for pool in pools))
        await follow.agrees()
        asked, begun = len(server.calls), monotonic_s()
        blocks = ([swapped(-times, pool) for pool in pools] for times in range(1, 8))
        await server.reorg(6, *blocks, removed=removed)
        told = monotonic_s()
        await follow.agrees()
        calls = len(server.calls) - asked
    print(f"removed {removed}: told in {told - begun:.3f} s, right {monotonic_s() - told:.3f} s later, {calls} calls")
    assert 1 <= calls < CALLS_PER_S
    assert {"reorg"} == {reason for _, reason in follow.heard.rejected}


async def test_logs_that_come_twice_count_once() -> None:
    """
    Fault 46. Every log is sent twice, those of the block before once more, and in another order: nothing counts twice.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        before: list[dict[str, Any]] = []

        def sends(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
            again, before[:] = list(before), logs
            return [*reversed(logs), *again, *logs]

        server.sends = sends
        for times in range(1, 6):
            await server.mine(moved(10**22), swapped(times), moved(10**21), synced(times))
            await follow.agrees()
        assert follow.feed.keeper is not None and follow.feed.keeper.blocks is not None
        assert 36 <= follow.feed.keeper.blocks.replayed
        assert not follow.heard.rejected


async def test_lost_logs_are_noticed_by_asking_again() -> None:
    """
    Fault 46. The stream loses every second log; asking for the logs of the last blocks again brings them back.
    """
    async with ChainServer(start()) as server, following(server, check_blocks=1) as follow:
        server.sends = lambda logs: logs[::2]
        begun = monotonic_s()
        for times in range(1, 8):
            await server.mine(swapped(times), moved(10**22), synced(times), swapped(times, CAKE))
        server.sends = list
        await server.mine()
        await server.mine()
        await follow.agrees()
        print(f"lost logs: back in {monotonic_s() - begun:.3f} s")
    assert follow.count("logs_missed") and not follow.count("broken")


@pytest.mark.parametrize("keeps", [0, 1], ids=["empty", "truncated"])
async def test_an_answer_that_lacks_what_was_heard_is_no_answer(keeps: int) -> None:
    """
    Fault 46. eth_getLogs answers with nothing, or with less than was heard: it is counted, asked again, and no state
    changes by it; what was heard stays.
    """
    async with ChainServer(start()) as server, following(server, check_blocks=2) as follow:
        await server.mine(swapped(1), synced(1))
        server.instead["eth_getLogs"] = lambda logs: logs[:keeps]
        for times in range(2, 6):
            await server.mine(swapped(times), synced(times))
        await follow.heard.until(lambda: follow.count("logs_lacking") > 1)
        asked = len(server.calls)
        del server.instead["eth_getLogs"]
        await follow.agrees()
        assert len(server.calls) > asked
    assert not follow.count("logs_missed") and not follow.count("broken")


async def test_a_gap_is_filled_from_the_blocks_between() -> None:
    """
    After a connection that was lost for five blocks, one of them replaced, the kept states are those of the chain.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        await server.mine(swapped(1))
        await follow.agrees()
        server.drop()
        await follow.heard.until(lambda: Health.DOWN in follow.heard.health(1)[2:])
        await server.reorg(1, [swapped(7)], removed=False)
        for times in range(2, 6):
            await server.mine(swapped(times), moved(10**22), synced(times))
        await server.until(lambda: server.followers == 1)
        await follow.agrees()
        await server.mine(swapped(9))
        await follow.agrees()
        assert not any(reason in ("broken", "mismatch") for _, reason in follow.heard.rejected)


async def test_a_connection_that_ends_within_a_block_loses_none_of_its_logs() -> None:
    """
    Half of a block's logs came before the line was cut; the other half is asked for, and nothing is read anew.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        server.sends = lambda logs: logs[:1]
        await server.mine(moved(10**22), swapped(3), synced(4))
        await follow.heard.until(lambda: follow.feed.keeper.blocks.tip.hash == server.tip.hash)  # type: ignore[union-attr]
        assert not follow.same()
        server.drop()
        await follow.agrees()
        assert not any(reason in ("broken", "mismatch", "logs_missed") for _, reason in follow.heard.rejected)


async def test_a_node_of_another_chain_is_not_read() -> None:
    """
    The node says chain 1, the instruments are on another: nothing is told, and why is counted.
    """
    async with ChainServer(start()) as server:
        follow = Follow(server)
        elsewhere = [msgspec.structs.replace(one, chain="bsc") for one in follow.setup.instruments]
        setup = setup_for(server, *elsewhere, sleep=follow.doors.sleep, options=follow.setup.options)
        running = asyncio.create_task(PoolsFeed(setup).run(follow.heard, follow.numbers))
        await follow.heard.until(lambda: follow.count("bad_message") > 0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert "chain 1, not of 56" in follow.heard.details["dex", "bad_message"]
    assert not follow.heard.quotes(1)


async def test_a_gap_that_is_too_long_reads_all_anew() -> None:
    """
    After a hundred blocks that were not heard, the pools are read again rather than the blocks.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        server.drop()
        await follow.heard.until(lambda: Health.DOWN in follow.heard.health(1)[2:])
        for times in range(1, 101):
            await server.mine(swapped(times))
        await follow.agrees()
        await server.mine(swapped(3))
        await follow.agrees()


async def test_a_state_that_is_not_the_chains_is_found_and_read_anew() -> None:
    """
    A mint is lost that changes no number of the price, and nobody asks for logs again: the reconciliation finds it,
    counts it, the pool goes down and comes back right; the others never went down.
    """
    async with ChainServer(start()) as server, following(server, reconcile_blocks=1) as follow:
        server.sends = lambda logs: [log for log in logs if log["address"] != POOL]
        await server.mine(moved(10**22))
        server.sends = list
        begun = monotonic_s()
        for times in range(1, 9):
            await server.mine(synced(times))
            await follow.heard.until(lambda: follow.feed.keeper.blocks.tip.hash == server.tip.hash)  # type: ignore[union-attr]
        await follow.heard.until(lambda: follow.count("mismatch") > 0)
        await follow.agrees()
        print(f"mismatch: found and read anew in {monotonic_s() - begun:.3f} s")
        await follow.heard.until(lambda: follow.state == (Health.UP, Why.NOTHING))
        assert [Health.UP, Health.DOWN, Health.UP] == follow.heard.health(1)[-3:]
        assert [Health.UP] == follow.heard.health(0)[-1:] and follow.heard.health(0).count(Health.UP) == 1
    assert "ticks differ" in follow.heard.details["dex", "mismatch"]


async def test_an_impossible_log_sets_only_its_pool_aside() -> None:
    """
    A mint is lost, so the burn that follows cannot be: the pool goes down, is read anew, and is right; the others stay.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        server.sends = lambda logs: []
        await server.mine(moved(10**22))
        server.sends = list
        await server.mine(moved(-(10**22)), swapped(2, CAKE))
        await follow.agrees()
        await follow.heard.until(lambda: follow.state == (Health.UP, Why.NOTHING))
        assert Health.DOWN in follow.heard.health(1)[2:] and 1 == follow.heard.health(2).count(Health.UP)
    assert 1 == follow.count("broken")


async def test_rubbish_is_counted_and_the_feed_goes_on() -> None:
    """
    What is no message, a log without a block and a head without a parent are counted; the connection stays.
    """
    async with ChainServer(start()) as server, following(server) as follow:
        for text in ("{", "null", "7", '{"params":{"result":{}}}', '{"params":{"result":{"topics":["0x1"]}}}', b"\xff"):
            await server.send(text)
        await server.notify("logs", {**server.next_block([swapped(1)]).logs[0], "blockHash": None})
        await server.mine(swapped(2))
        await follow.agrees()
    assert 1 == server.connections
    assert 5 <= follow.count("bad_message")


async def test_a_node_that_refuses_a_subscription_is_asked_again() -> None:
    """
    The refusal is counted and ends that connection; nothing is told by a connection that hears no logs.
    """
    async with ChainServer(start()) as server:
        follow = Follow(server)
        said, refusals = server.said, iter((True, True))

        async def refuses(socket: Any, text: str) -> None:
            if next(refusals, False):
                await socket.send_str('{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"not here"}}')
            else:
                await said(socket, text)

        server.said = refuses  # type: ignore[method-assign]
        running = asyncio.create_task(follow.feed.run(follow.heard, follow.numbers))
        await follow.heard.until(follow.same)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert 1 <= follow.count("disconnected")


async def test_a_pool_without_our_token_or_with_an_unknown_fork_is_not_quoted() -> None:
    """
    A contract that holds other tokens is no pool of ours (IDENTITY), and the others are; a fork that nobody knows is
    a mistake of the config.
    """
    wrong = "0x" + "9" * 40
    async with ChainServer(start()) as server:
        follow = Follow(server)
        instrument = follow.setup.instruments[0]
        bad = Instrument(
            venue="dex",
            symbol=POOL,
            role=Role.TOKEN,
            token="TSLAx",
            underlying="TSLA",
            chain="nowhere",
            contract=wrong,
            quote="USDC",
        )
        setup = setup_for(server, instrument, bad, sleep=follow.doors.sleep, options=follow.setup.options)
        running = asyncio.create_task(PoolsFeed(setup).run(follow.heard, {instrument.name: 0, bad.name: 1}))
        await follow.heard.until(lambda: bool(follow.heard.quotes(0)))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert (Health.DOWN, Why.IDENTITY) == follow.state and not follow.heard.quotes(1)
        with pytest.raises(BadMessage):
            PoolsFeed(setup_for(server, instrument, options={PAIR: "sushiswap"}))


async def test_a_fork_that_was_not_checked_is_shown_and_never_traded() -> None:
    """
    A pool of a fork without a bytecode has rows and stands DEGRADED with the reason; a checked one is UP.
    """
    pair = V2Pool(reserve0=10**24, reserve1=10**24, fork=FORKS["pancakeswap_v2"])
    pools = {**start(), PAIR: pair}
    async with ChainServer(pools) as server, following(server, **{PAIR: "pancakeswap_v2"}) as follow:
        await server.mine(synced(5))
        await follow.heard.until(lambda: len(follow.heard.quotes(0)) > 1)
        assert (Health.DEGRADED, Why.UNVERIFIED) == follow.heard.standing.state(0)
        assert (Health.UP, Why.NOTHING) == follow.state


async def test_a_quiet_pool_is_told_again_and_an_old_block_is_late() -> None:
    """
    A state holds as of each block: after `fresh_s` it is told again though nothing happened. Where blocks are old by
    our clock, LAGS stands against all pools.
    """
    async with ChainServer(start()) as server, following(server, fresh_s=1e-6, max_block_age_s=100.0) as follow:
        rows = len(follow.heard.quotes(1))
        await server.mine()
        await follow.heard.until(lambda: len(follow.heard.quotes(1)) > rows)
        server.tip.timestamp_s -= 1_000
        await server.mine()
        await follow.heard.until(lambda: follow.state == (Health.DEGRADED, Why.LAGS))
        server.tip.timestamp_s += 1_000
        await server.mine()
        await follow.heard.until(lambda: follow.state == (Health.UP, Why.NOTHING))
