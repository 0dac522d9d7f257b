"""Pools that are not what they seem, on a real node: one clear reason, no quotes; and facts that change under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from connectors.events import Health, Why
from connectors.evm.rpcs import nodes
from connectors.evm.tokens_identity import code_of
from connectors.instruments import Instrument
from tests.chain.exchanges import ONE, PLENTY, coins, deploy_v2, deploy_v3, deploy_v4, pool_id
from tests.chain.parts import Parts
from tests.chain.pools import DEEP, FEE, SPACING, World, followed, instrument, world
from tests.servers.anvil import Deployed
from tests.servers.heard import setup_for

Made = tuple[Instrument, dict[str, Any]]
"""A pool as a config names it, and what the options say then."""


async def of_a_stranger(chain: Parts, there: World) -> Made:
    """The exchange's own bytecode with the same two contracts and liquidity, made by a stranger's factory."""
    strangers = await deploy_v3(chain, there.node)
    pool = await strangers.pool(there.token, there.other, FEE)
    await strangers.mint(pool, -40 * SPACING, 40 * SPACING, DEEP)
    return instrument(pool.address, there.token), {pool.address: "uniswap_v3"}


async def lying(chain: Parts, there: World) -> Made:
    """A contract that answers like a pair, and says that the real factory made it."""
    pair = await there.node.deploy(
        chain.artifact("LyingPair"), there.v2.factory.address, there.pair0, there.pair1
    )  # fmt: skip
    return instrument(pair.address, there.token), {pair.address: "uniswap_v2"}


async def of_another_coin(chain: Parts, there: World) -> Made:
    """A real pool of the real factory, with a coin that is called USDC too."""
    (fake,) = await coins(chain, there.node, "USDC")
    pair = await there.v2.pair(*sorted((there.token, fake), key=lambda one: int(one.address, 16)), DEEP, DEEP)
    return instrument(pair.address, there.token), {pair.address: "uniswap_v2"}


async def of_another_coin_v4(chain: Parts, there: World) -> Made:
    """The same in v4: the key is right, and so is the pool's id; the coin is not."""
    (fake,) = await coins(chain, there.node, "USDC")
    key = await there.v4.pool(*sorted((there.token, fake), key=lambda one: int(one.address, 16)), FEE, SPACING)
    name = "0x" + pool_id(key).hex()
    return instrument(name, there.token), {name: "uniswap_v4 " + " ".join(str(part) for part in key)}


async def of_another_manager(chain: Parts, there: World) -> Made:
    """The same key at another PoolManager, whose StateView the config names."""
    strangers = await deploy_v4(chain, there.node)
    key = await strangers.pool(there.token, there.other, FEE, SPACING)
    await strangers.mint(key, -40 * SPACING, 40 * SPACING, DEEP)
    return there.instruments()[3], {"state_view": strangers.view.address}


async def without_our_token(chain: Parts, there: World) -> Made:
    """A real pool of the coin, with a token that is called like ours."""
    (fake,) = await coins(chain, there.node, "TSLAx")
    pair = await there.v2.pair(*sorted((fake, there.other), key=lambda one: int(one.address, 16)), DEEP, DEEP)
    return instrument(pair.address, there.token), {pair.address: "uniswap_v2"}


async def of_no_known_coin(chain: Parts, there: World) -> Made:
    """The real pool, but nobody said which contract USDT is."""
    return instrument(there.cake.address, there.token, quote="USDT"), {}


async def of_no_known_factory(chain: Parts, there: World) -> Made:
    """The real pool, but nobody said who makes those of PancakeSwap."""
    factories = f"uniswap_v2 {there.v2.factory.address} uniswap_v3 {there.v3.factory.address}"
    return instrument(there.cake.address, there.token), {"factories": factories}


async def without_code(chain: Parts, there: World) -> Made:
    """An address where nothing is."""
    return instrument("0x" + "5a" * 20, there.token), {"0x" + "5a" * 20: "uniswap_v3"}


async def that_burns_gas(chain: Parts, there: World) -> Made:
    """A contract that leaves no gas for what is asked beside it."""
    burner = await there.node.deploy(chain.artifact("Burner"))
    return instrument(burner.address, there.token), {burner.address: "uniswap_v3"}


@pytest.mark.parametrize(
    ("impostor", "reason"),
    [
        (of_a_stranger, "as its factory, uniswap_v3 has"),
        (lying, "the factory of uniswap_v2 has"),
        (of_another_coin, "its other side is"),
        (of_another_coin_v4, "its other side is"),
        (of_another_manager, "as its factory, uniswap_v4 has"),
        (without_our_token, "this pool does not hold the token"),
        (of_no_known_coin, 'USDT on nowhere is not known (write options = { coins = "USDT 0x..." })'),
        (of_no_known_factory, "the factory of pancakeswap_v3 on nowhere is not known (write options = { factories = "),
        (without_code, "no answer"),
        (that_burns_gas, "OutOfGas"),
    ],
)
async def test_an_impostor_has_one_clear_reason_and_no_quotes(
    chain: Parts, impostor: Callable[[Parts, World], Awaitable[Made]], reason: str
) -> None:
    """
    51. It stands DOWN with IDENTITY, has no row, the reason is counted once and says what is wrong of which instrument;
    the probe says the same. The real pool beside it is quoted.
    """
    async with world(chain) as there:
        bad, options = await impostor(chain, there)
        good = instrument(there.pool.address, there.token)
        async with followed(there, bad, good, options=options, first=1) as follow:
            await there.v3.swap(there.pool, True, 10**20)
            await follow.heard.until(lambda: len(follow.heard.quotes(1)) > 1)
            assert (Health.DOWN, Why.IDENTITY) == follow.heard.standing.state(0)
            assert (Health.UP, Why.NOTHING) == follow.heard.standing.state(1)
            assert [] == follow.heard.quotes(0)
            assert {("dex", "identity"): 1} == dict(follow.heard.rejected)
            said = follow.heard.details["dex", "identity"]
            assert reason in said and said.startswith(bad.name)
            found = {one.subject: one for one in await follow.feed.probe() if one.what == "symbol"}
        assert (False, True) == (found[bad.symbol].ok, found[good.symbol].ok)
        assert reason in found[bad.symbol].detail


async def hostile(chain: Parts, there: World, token: Deployed) -> tuple[Instrument, dict[str, Any]]:
    """A real pool of a token that may change."""
    strangers = await deploy_v2(chain, there.node)
    await token.write("mint", there.node.accounts[0], PLENTY)
    pair = await strangers.pair(*sorted((token, there.other), key=lambda one: int(one.address, 16)), DEEP, DEEP)
    factories = f"uniswap_v2 {strangers.factory.address} uniswap_v3 {there.v3.factory.address}"
    return instrument(pair.address, token), {pair.address: "uniswap_v2", "factories": factories}


@pytest.mark.parametrize(("symbol", "decimals"), [("TSLAx", 6), ("TSLAy", 18)])
async def test_a_token_that_changes_takes_its_pool_down(chain: Parts, symbol: str, decimals: int) -> None:
    """
    14. Decimals go from 18 to 6, or the symbol becomes another: at the next look the pool stands DOWN with IDENTITY and
    tells nothing, whatever is swapped; its neighbour goes on. As it was before, it comes back, with the chain's state.
    """
    async with world(chain) as there:
        token = await there.node.deploy(chain.artifact("HostileStock"), "Tesla", "TSLAx", 18)
        pool, options = await hostile(chain, there, token)
        instruments = [pool, instrument(there.pool.address, there.token)]
        async with followed(there, *instruments, options={**options, "reconcile_blocks": 1}) as follow:
            heard = follow.heard
            await token.write("remap", symbol, decimals)
            await there.node.mine(3)
            await heard.until(lambda: heard.standing.state(0) == (Health.DOWN, Why.IDENTITY))
            rows = len(heard.quotes(0)), len(heard.quotes(1))
            await there.other.write("transfer", pool.symbol, ONE)
            await Deployed(there.node, there.pair.artifact, pool.symbol).write("sync")
            await there.v3.swap(there.pool, True, 10**20)
            await heard.until(lambda: len(heard.quotes(1)) > rows[1])
            assert rows[0] == len(heard.quotes(0))
            assert "which were" in heard.details["dex", "identity"]
            await token.write("remap", "TSLAx", 18)
            await there.node.mine(3)
            await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
            head = await there.node.rpc("eth_getBlockByNumber", "latest", False)
            await follow.equals(there.node.url, head["hash"])
            assert 1 == heard.health(1).count(Health.UP)


async def test_a_proxy_that_gets_another_implementation_takes_its_pool_down(chain: Parts) -> None:
    """
    14. The address stays, the code behind it goes: what it says of itself is no longer what it was.
    """
    async with world(chain) as there:
        bodies = [await there.node.deploy(chain.artifact("Coin"), "", "", places) for places in (18, 6)]
        proxy = await there.node.deploy(chain.artifact("UpgradeableProxy"), bodies[0].address)
        token = Deployed(there.node, bodies[0].artifact, proxy.address)
        pool, options = await hostile(chain, there, token)
        async with followed(there, pool, options={**options, "reconcile_blocks": 1}) as follow:
            await proxy.write("upgrade", bodies[1].address)
            await there.node.mine(3)
            await follow.heard.until(lambda: follow.heard.standing.state(0) == (Health.DOWN, Why.IDENTITY))
            assert "decimals (" in follow.heard.details["dex", "identity"]


@pytest.mark.parametrize("which", ["token", "pair"])
async def test_pinned_code_that_changes_takes_its_pool_down(chain: Parts, which: str) -> None:
    """
    51. Of two pinned contracts one gets other code, which says the same of itself: its pool stands DOWN with IDENTITY
    at the next looks, and from the first on in a new run; another one is never down. Back as it was, all is quoted.
    """
    async with world(chain) as there:
        bodies = [await there.node.deploy(chain.artifact("Coin"), "", "", 18) for _ in range(2)]
        code = await there.node.rpc("eth_getCode", bodies[1].address, "latest")
        await there.node.rpc("anvil_setCode", bodies[1].address, code + "00")
        proxy = await there.node.deploy(chain.artifact("UpgradeableProxy"), bodies[0].address)
        token = Deployed(there.node, bodies[0].artifact, proxy.address)
        pool, options = await hostile(chain, there, token)
        async with aiohttp.ClientSession() as session:
            setup = setup_for(type("At", (), {"url": there.node.url})(), pool)  # type: ignore[arg-type]
            (rpc,) = nodes(setup, session).rpcs
            pins = {
                ("nowhere", one.lower()): (await code_of(rpc, one, await rpc.head()))[0]
                for one in (token.address, pool.symbol)
            }
        own = await there.node.rpc("eth_getCode", pool.symbol, "latest")

        async def change(body: Deployed, end: str) -> None:
            if which == "token":
                await proxy.write("upgrade", body.address)
            else:
                await there.node.rpc("anvil_setCode", pool.symbol, own + end)
            await there.node.mine(1)

        instruments = [pool, instrument(there.pool.address, there.token)]
        given: dict[str, Any] = {"options": {**options, "reconcile_blocks": 1}, "pins": pins}
        async with followed(there, *instruments, **given) as follow:
            await change(bodies[1], "00")
            while follow.heard.standing.state(0) != (Health.DOWN, Why.IDENTITY):
                told, number = follow.heard.rejected.total(), await there.node.block()
                await there.node.mine(1)
                await follow.heard.until(
                    lambda n=number, t=told: (  # type: ignore[misc]
                        follow.heard.rejected.total() > t or (follow.tip is not None and follow.tip.number > n)
                    )
                )
            assert "pinned is 0x" in follow.heard.details["dex", "identity"]
            assert 1 == follow.heard.health(1).count(Health.UP)
        async with followed(there, *instruments, first=1, **given) as follow:
            await follow.heard.until(lambda: follow.heard.standing.state(0) == (Health.DOWN, Why.IDENTITY))
            assert [] == follow.heard.quotes(0)
        await change(bodies[0], "")
        async with followed(there, *instruments, **given) as follow:
            assert (Health.UP, Why.NOTHING) == follow.heard.standing.state(0)
