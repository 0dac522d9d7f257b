"""Pools of every family on one node, random things that happen to them, and the feed that follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
from numpy.random import Generator

from bot.clock import chance, sleep
from connectors.amm.v4 import DYNAMIC_FEE
from connectors.events import Why
from connectors.evm.blocks import State
from connectors.evm.pool_facts import Facts
from connectors.evm.pool_read import differs, read_states
from connectors.evm.pools import PoolsFeed
from connectors.evm.rpc import MULTICALL3, Head, Rpc
from connectors.evm.rpcs import block_of, read_at
from connectors.instruments import Instrument, Role
from connectors.poll import Poll
from connectors.ports import FeedSetup
from tests.chain.exchanges import (
    HIGHEST_PRICE,
    LOWEST_PRICE,
    ONE,
    PLENTY,
    V2,
    V3,
    V4,
    Key,
    coins,
    deploy_pancake_v3,
    deploy_v2,
    deploy_v3,
    deploy_v4,
    pool_id,
)
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed
from tests.servers.doors import Doors
from tests.servers.heard import Heard, setup_for

FEE, SPACING = 10_000, 200
"""A wide spacing: the whole bitmap has 35 words."""
WATCH_S: Final = 12.0
FEE_HOOK: Final = "0x" + "5a" * 18 + "4000"
"""Its lowest 14 bits are what a hook wants to be called for: nothing."""
DEEP: Final = 10**6 * ONE


class Ear(Heard):
    """Remembers also that a frame has been applied, row or not."""

    def frame(self, venue: str, data: str | bytes) -> None:
        """One frame, before it is applied."""
        asyncio.get_running_loop().call_soon(self._changed.set)


@dataclass
class World:
    """A node with one pool of each family, and our token on one side of each."""

    node: Anvil
    token: Deployed
    other: Deployed
    v2: V2
    v3: V3
    pancake: V3
    v4: V4
    pair: Deployed
    pool: Deployed
    cake: Deployed
    key: Key

    @property
    def forks(self) -> dict[str, str]:
        """The options of a feed that name these pools."""
        return {
            self.pair.address: "uniswap_v2",
            self.pool.address: "uniswap_v3",
            self.cake.address: "pancakeswap_v3",
            "0x" + pool_id(self.key).hex(): "uniswap_v4 " + " ".join(str(part) for part in self.key),
        }

    @property
    def options(self) -> dict[str, Any]:
        """Everything that a feed of these pools is told; it looks back only when a test lets it."""
        return {
            **self.forks, "coins": f"USDC {self.other.address}",
            "factories": f"uniswap_v2 {self.v2.factory.address} uniswap_v3 {self.v3.factory.address} "
            f"pancakeswap_v3 {self.pancake.factory.address}",
            "manager": self.v4.manager.address, "state_view": self.v4.view.address, "watch_s": WATCH_S,
            "reconcile_blocks": 1e9, "check_blocks": 1e9, "fresh_s": 1e9, "calls_per_s": 1e4, "max_block_age_s": 1e9,
        }  # fmt: skip

    def instruments(self) -> list[Instrument]:
        """The pools, as a config names them."""
        return [instrument(name, self.token) for name in self.forks]

    def act(self, rng: Generator) -> tuple[str, bytes]:
        """A transaction that does something to one of the pools: whom to call, and with what."""
        amount = int(10 ** rng.uniform(3, 22.5))
        down = rng.random() < 0.5
        which = int(rng.integers(8))
        if which < 2:
            return self._v2(rng, amount, down)
        lower = int(rng.integers(-30, 30)) * SPACING
        upper = lower + int(rng.integers(1, 30)) * SPACING
        limit = LOWEST_PRICE + 1 if down else HIGHEST_PRICE - 1
        if which < 6:
            caller, pool = (self.v3.caller, self.pool) if which < 4 else (self.pancake.caller, self.cake)
            if rng.random() < 0.7:
                return call(caller, "swap", pool.address, down, amount * (1 if rng.random() < 0.5 else -1), limit)
            back = self._take_back(pool.address, rng)
            if back:
                return call(caller, "burn", pool.address, *back)
            self.positions.setdefault(pool.address, []).append((lower, upper, amount))
            return call(caller, "mint", pool.address, lower, upper, amount)
        if rng.random() < 0.7:
            order = (down, amount * (1 if rng.random() < 0.5 else -1), limit)
            return call(self.v4.swaps, "swap", self.key, order, (False, False), b"")
        back = self._take_back("v4", rng)
        if not back:
            self.positions.setdefault("v4", []).append((lower, upper, amount))
        lower, upper, change = (back[0], back[1], -back[2]) if back else (lower, upper, amount)
        signature = "modifyLiquidity((address,address,uint24,int24,address),(int24,int24,int256,bytes32),bytes)"
        return call(self.v4.liquidity, signature, self.key, (lower, upper, change, bytes(32)), b"")

    def _v2(self, rng: Generator, amount: int, down: bool) -> tuple[str, bytes]:
        router, who = self.v2.router, self.node.accounts[0]
        path = [self.pair0, self.pair1][:: 1 if down else -1]
        if rng.random() < 0.7:
            return call(router, "swapExactTokensForTokens", amount, 0, path, who, 2**40)
        if rng.random() < 0.5:
            return call(router, "addLiquidity", self.pair0, self.pair1, amount, amount, 0, 0, who, 2**40)
        return call(router, "removeLiquidity", self.pair0, self.pair1, amount // 10**6 + 1, 0, 0, who, 2**40)

    def _take_back(self, pool: str, rng: Generator) -> tuple[int, int, int] | None:
        held = self.positions.setdefault(pool, [])
        if len(held) < 2 or rng.random() < 0.5:
            return None
        return held.pop(int(rng.integers(len(held))))

    def __post_init__(self) -> None:
        self.positions: dict[str, list[tuple[int, int, int]]] = {}
        self.pair0, self.pair1 = sorted((self.token.address, self.other.address), key=lambda a: int(a, 16))

    async def dynamic(self) -> Key:
        """One v4 pool more, whose fee its hook may set whenever it likes; the hook has no other say."""
        key = await self.v4.pool(self.token, self.other, DYNAMIC_FEE, SPACING, hooks=FEE_HOOK)
        await self.v4.mint(key, -40 * SPACING, 40 * SPACING, DEEP)
        return key

    async def fee_of(self, key: Key, pips: int) -> None:
        """The hook sets the fee, of which no log tells."""
        await self.node.become(FEE_HOOK)
        await self.node.fund(FEE_HOOK, 100 * ONE)
        await self.v4.manager.write("updateDynamicLPFee", key, pips, sender=FEE_HOOK)

    async def block(self, *acts: tuple[str, bytes]) -> str:
        """One block with these transactions, whether they succeed or not; gives its hash."""
        for to, data in acts:
            await self.node.rpc(
                "eth_sendTransaction",
                {"from": self.node.accounts[0], "to": to, "data": "0x" + data.hex(), "gas": hex(3_000_000),
                 "maxFeePerGas": hex(10 * 10**9), "maxPriorityFeePerGas": "0x1"},
            )  # fmt: skip
        await self.node.rpc("evm_mine")
        return (await self.node.rpc("eth_getBlockByNumber", "latest", False))["hash"]


def call(contract: Deployed, function: str, *args: Any) -> tuple[str, bytes]:
    """Whom to call, and with what."""
    return contract.address, contract.artifact.data(function, *args)


def instrument(symbol: str, token: Deployed, quote: str = "USDC") -> Instrument:
    """A pool as a config names it."""
    return Instrument(
        venue="dex", symbol=symbol, role=Role.TOKEN, token="TSLAx", underlying="TSLA", chain="nowhere",
        contract=token.address, quote=quote,
    )  # fmt: skip


@asynccontextmanager
async def world(chain: Parts, *options: str) -> AsyncIterator[World]:
    """All of it, with much liquidity around a price of one."""
    async with Anvil(chain.anvil, *options) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        token, other = await coins(chain, node, "TSLAx", "USDC")
        v2, v3 = await deploy_v2(chain, node), await deploy_v3(chain, node)
        pancake, v4 = await deploy_pancake_v3(chain, node), await deploy_v4(chain, node)
        pair = await v2.pair(token, other, DEEP, DEEP)
        pool, cake = [await exchange.pool(token, other, FEE) for exchange in (v3, pancake)]
        key = await v4.pool(token, other, FEE, SPACING)
        for exchange, one in ((v3, pool), (pancake, cake)):
            await exchange.mint(one, -40 * SPACING, 40 * SPACING, DEEP)
        await v4.mint(key, -40 * SPACING, 40 * SPACING, DEEP)
        for coin in (token, other, Deployed(node, pair.artifact, pair.address)):
            await coin.write("approve", v2.router.address, PLENTY)
        yield World(node, token, other, v2, v3, pancake, v4, pair, pool, cake, key)


class Followed:
    """A feed of pools that runs, and what it said."""

    def __init__(self, setup: FeedSetup, doors: Doors, session: aiohttp.ClientSession) -> None:
        self.feed, self.heard, self.doors = PoolsFeed(setup), Ear(), doors
        self.setup = setup
        poll = Poll("witness", clock=setup.clock, rng=chance(1), sleep=sleep, per_period=10**6, period_s=1.0, tries=1)
        self._session, self._poll = session, poll

    @property
    def states(self) -> dict[str, State]:
        """What is kept."""
        keeper = self.feed.keeper
        return dict(keeper.blocks.now) if keeper is not None and keeper.blocks is not None else {}

    @property
    def tip(self) -> Head | None:
        """The newest block that is kept."""
        keeper = self.feed.keeper
        return keeper.blocks.tip if keeper is not None and keeper.blocks is not None else None

    @property
    def whole(self) -> bool:
        """Whether everything that was heard is applied."""
        return self.feed.keeper is not None and self.feed.keeper.whole

    async def on_chain(self, url: str, block: str) -> dict[str, State]:
        """The states of all pools as a node has them after a block."""
        rpc = Rpc(self._session, url, self._poll)
        assert self.feed.keeper is not None
        facts: list[Facts] = list(self.feed.keeper.facts.values())
        found = await read_states(partial(read_at, rpc, head=await block_of(rpc, block)), facts)
        assert not [state for state in found.values() if isinstance(state, Exception)]
        return found  # type: ignore[return-value]

    async def equals(self, url: str, block: str) -> None:
        """Waits until what is kept is what the chain has after a block. Raises AssertionError when that never is."""
        real = await self.on_chain(url, block)

        def same() -> bool:
            kept = self.states
            return self.whole and self.tip is not None and self.tip.hash == block and kept == real

        try:
            await self.heard.until(same)
        except TimeoutError:
            wrong = {pool: differs(self.states.get(pool), state) for pool, state in real.items()}
            raise AssertionError(f"tip {self.tip}, wanted {block}: {wrong}, {self.heard.details}") from None


@asynccontextmanager
async def followed(
    world: World,
    *instruments: Instrument,
    url: str = "",
    first: int = 0,
    wait: Callable[[float], Awaitable[None]] | None = None,
    **more: Any,
) -> AsyncIterator[Followed]:
    """The feed of all pools (or these), listening to the node or to what stands before it at `url`. It has told each,
    but the `first` ones of them, when it is given.
    """
    doors = Doors(WATCH_S)
    options = {**world.options, **more.pop("options", {})}
    server = type("At", (), {"url": url or world.node.url})()
    setup = setup_for(server, *(instruments or world.instruments()), sleep=wait or doors.sleep, options=options, **more)
    async with aiohttp.ClientSession() as session:
        follow = Followed(setup, doors, session)
        numbers = {instrument.name: at for at, instrument in enumerate(setup.instruments)}
        follow.heard.against(numbers.values(), Why.NOT_HEARD)
        running = asyncio.create_task(follow.feed.run(follow.heard, numbers))
        running.add_done_callback(lambda _: follow.heard._changed.set())
        try:
            await follow.heard.until(
                lambda: running.done() or all(follow.heard.quotes(at) for at in [*numbers.values()][first:])
            )
            yield follow
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


__all__ = ["Followed", "World", "call", "followed", "instrument", "world"]
