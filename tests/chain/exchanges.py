"""The real exchanges on a node: Uniswap v2, v3 and v4, PancakeSwap v3, two coins, and pools with liquidity in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed

ONE: Final = 10**18
PLENTY: Final = 10**36
EVEN_PRICE: Final = 1 << 96
"""sqrtPriceX96 of a price of one."""
LOWEST_PRICE: Final = 4295128739
"""sqrtPriceX96 at the lowest tick; a swap's limit must be above."""
HIGHEST_PRICE: Final = 1461446703485210103287273052203988822378723970342
"""sqrtPriceX96 at the highest tick; a swap's limit must be below."""
NOBODY: Final = "0x" + "00" * 20


async def coins(chain: Parts, node: Anvil, *names: str, decimals: int = 18) -> list[Deployed]:
    """Coins in order of their addresses, as pools sort them; the first account has plenty of each."""
    made = [await node.deploy(chain.artifact("Coin"), name, name, decimals) for name in names]
    for coin in made:
        await coin.write("mint", node.accounts[0], PLENTY)
    return sorted(made, key=lambda coin: int(coin.address, 16))


async def allow(coins: list[Deployed], spender: Deployed) -> None:
    """Lets a contract take as much as it wants of the first account's coins."""
    for coin in coins:
        await coin.write("approve", spender.address, 2**256 - 1)


@dataclass(frozen=True)
class V2:
    """Uniswap v2."""

    factory: Deployed
    router: Deployed
    pairs: Parts

    async def pair(self, token0: Deployed, token1: Deployed, amount0: int, amount1: int) -> Deployed:
        """A new pair that holds these amounts, which come from the first account."""
        node = self.factory.node
        await self.factory.write("createPair", token0.address, token1.address)
        address = await self.factory.read("getPair", token0.address, token1.address)
        pair = Deployed(node, self.pairs.artifact("UniswapV2Pair"), address)
        await token0.write("transfer", address, amount0)
        await token1.write("transfer", address, amount1)
        await pair.write("mint", node.accounts[0])
        return pair


async def deploy_v2(chain: Parts, node: Anvil) -> V2:
    """Factory and router."""
    factory = await node.deploy(chain.artifact("UniswapV2Factory"), node.accounts[0])
    weth = await node.deploy(chain.artifact("WETH9"))
    return V2(factory, await node.deploy(chain.artifact("UniswapV2Router02"), factory.address, weth.address), chain)


@dataclass(frozen=True)
class V3:
    """Uniswap v3, or PancakeSwap v3."""

    factory: Deployed
    caller: Deployed
    """Mints, burns and swaps for itself, from its own balance, without a router."""
    pools: Parts
    pool_name: str
    router: Deployed | None = None
    quoter: Deployed | None = None
    """QuoterV2; it knows the pools of Uniswap's factory only."""
    positions: Deployed | None = None
    tick_lens: Deployed | None = None

    async def pool(self, token0: Deployed, token1: Deployed, fee: int, *, sqrt_price_x96: int = EVEN_PRICE) -> Deployed:
        """A new pool at a price, without liquidity; the caller gets plenty of both coins."""
        node = self.factory.node
        await self.factory.write("createPool", token0.address, token1.address, fee)
        address = await self.factory.read("getPool", token0.address, token1.address, fee)
        pool = Deployed(node, self.pools.artifact(self.pool_name), address)
        await pool.write("initialize", sqrt_price_x96)
        for token in (token0, token1):
            await token.write("mint", self.caller.address, PLENTY)
        return pool

    async def mint(self, pool: Deployed, lower: int, upper: int, liquidity: int) -> None:
        """Adds liquidity between two ticks."""
        await self.caller.write("mint", pool.address, lower, upper, liquidity)

    async def burn(self, pool: Deployed, lower: int, upper: int, liquidity: int) -> None:
        """Takes liquidity out again."""
        await self.caller.write("burn", pool.address, lower, upper, liquidity)

    async def swap(self, pool: Deployed, zero_for_one: bool, amount: int, limit: int | None = None) -> tuple[int, int]:
        """Swaps: what the pool got (above zero) and gave (below) of both coins. `amount` below zero is wanted out."""
        limit = limit or (LOWEST_PRICE + 1 if zero_for_one else HIGHEST_PRICE - 1)
        receipt = await self.caller.write("swap", pool.address, zero_for_one, amount, limit)
        event = next(values for name, values in pool.artifact.events(receipt["logs"]) if name == "Swap")
        return event["amount0"], event["amount1"]


async def deploy_v3(chain: Parts, node: Anvil) -> V3:
    """Uniswap v3: factory, router, QuoterV2, positions, tick lens."""
    factory = await node.deploy(chain.artifact("UniswapV3Factory"))
    weth = await node.deploy(chain.artifact("WETH9"))
    return V3(
        factory,
        await node.deploy(chain.artifact("PoolCaller")),
        chain,
        "UniswapV3Pool",
        router=await node.deploy(chain.artifact("SwapRouter"), factory.address, weth.address),
        quoter=await node.deploy(chain.artifact("QuoterV2"), factory.address, weth.address),
        positions=await node.deploy(
            chain.artifact("NonfungiblePositionManager"), factory.address, weth.address, NOBODY
        ),
        tick_lens=await node.deploy(chain.artifact("TickLens")),
    )


async def deploy_pancake_v3(chain: Parts, node: Anvil) -> V3:
    """PancakeSwap v3: the factory and the pool's own bytecode."""
    deployer = await node.deploy(chain.artifact("PancakePoolDeployer"), chain.artifact("PancakeV3Pool").bytecode)
    factory = await node.deploy(chain.artifact("PancakeV3Factory"), deployer.address)
    return V3(factory, await node.deploy(chain.artifact("PoolCaller")), chain, "PancakeV3Pool")


Key = tuple[str, str, int, int, str]
"""(currency0, currency1, fee in 1e-6, tick spacing, hooks) of a v4 pool."""


def pool_id(key: Key) -> bytes:
    """What a v4 pool is known by: the hash of its key."""
    return keccak(encode(["address", "address", "uint24", "int24", "address"], key))


@dataclass(frozen=True)
class V4:
    """Uniswap v4: all pools are in one contract."""

    manager: Deployed
    view: Deployed
    """StateView."""
    quoter: Deployed
    """V4Quoter."""
    swaps: Deployed
    """PoolSwapTest."""
    liquidity: Deployed
    """PoolModifyLiquidityTest."""

    async def pool(
        self,
        token0: Deployed,
        token1: Deployed,
        fee: int,
        spacing: int,
        *,
        hooks: str = NOBODY,
        sqrt_price_x96: int = EVEN_PRICE,
    ) -> Key:
        """A new pool at a price, without liquidity; gives its key."""
        for contract in (self.swaps, self.liquidity):
            await allow([token0, token1], contract)
        key = (token0.address, token1.address, fee, spacing, hooks)
        await self.manager.write("initialize", key, sqrt_price_x96)
        return key

    async def mint(self, key: Key, lower: int, upper: int, liquidity: int) -> None:
        """Adds liquidity between two ticks; below zero takes it out."""
        change = (lower, upper, liquidity, bytes(32))
        signature = "modifyLiquidity((address,address,uint24,int24,address),(int24,int24,int256,bytes32),bytes)"
        await self.liquidity.write(signature, key, change, b"")

    async def swap(self, key: Key, zero_for_one: bool, amount: int, limit: int | None = None) -> tuple[int, int]:
        """Swaps: what the pool got (above zero) and gave (below) of both coins. `amount` above zero is wanted out,
        below zero is given: v4 turned the sign round, and we leave that as it is.
        """
        limit = limit or (LOWEST_PRICE + 1 if zero_for_one else HIGHEST_PRICE - 1)
        receipt = await self.swaps.write("swap", key, (zero_for_one, amount, limit), (False, False), b"")
        event = next(values for name, values in self.manager.artifact.events(receipt["logs"]) if name == "Swap")
        return -event["amount0"], -event["amount1"]


async def deploy_v4(chain: Parts, node: Anvil) -> V4:
    """PoolManager, StateView, V4Quoter, and the package's routers for tests."""
    manager = await node.deploy(chain.artifact("PoolManager"), node.accounts[0])
    view, quoter, swaps, liquidity = [
        await node.deploy(chain.artifact(name), manager.address)
        for name in ("StateView", "V4Quoter", "PoolSwapTest", "PoolModifyLiquidityTest")
    ]
    return V4(manager, view, quoter, swaps, liquidity)


PERMIT2: Final = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
"""The same address on every chain (uniswap/permit2)."""
CHEATS: Final = "0x7109709ECfa91a80626fF3989D68f67F5b1DD12D"
"""Whom a contract of a foundry script asks to change the chain."""


async def deploy_permit2(chain: Parts, node: Anvil) -> None:
    """Permit2 at its address: v4-periphery's script for it carries the code and asks the cheats to put it there."""
    await node.put(CHEATS, chain.artifact("Told"))
    script = await node.deploy(chain.artifact("DeployPermit2"))
    receipt = await script.write("deployPermit2")
    (told,) = [values["data"] for name, values in chain.artifact("Told").events(receipt["logs"]) if name == "Call"]
    _, code = decode(["address", "bytes"], told[4:])
    await node.rpc("anvil_setCode", PERMIT2, "0x" + code.hex())


async def deploy_universal_router(chain: Parts, node: Anvil, v4: V4) -> Deployed:
    """UniversalRouter for v4 pools, with Permit2; it knows none of the other exchanges."""
    await deploy_permit2(chain, node)
    known = (PERMIT2, NOBODY, NOBODY, NOBODY, bytes(32), bytes(32), v4.manager.address, NOBODY, NOBODY, NOBODY)
    return await node.deploy(chain.artifact("UniversalRouter"), known)
