"""The rig itself: the node starts and ends, the exchanges' own contracts swap on it, our Solidity compiles once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.clock import monotonic_s
from tests.chain.exchanges import ONE, coins, deploy_pancake_v3, deploy_v2, deploy_v3, deploy_v4, pool_id
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Reverted


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


async def test_two_nodes_live_beside_each_other_and_end(chain: Parts) -> None:
    """
    Each node has a chain of its own with the id that was asked for, and nothing listens there any more afterwards.
    """
    begun = monotonic_s()
    async with Anvil(chain.anvil, chain_id=56) as one:
        print(f"started in {monotonic_s() - begun:.3f} s")
        async with Anvil(chain.anvil, chain_id=1) as other:
            await other.mine(3)
            assert [0, 3] == [await one.block(), await other.block()]
            assert ["0x38", "0x1"] == [await one.rpc("eth_chainId"), await other.rpc("eth_chainId")]
            gone = other.address
    assert one.address != gone
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*gone.split(":"))


async def test_a_reorg_takes_transactions_back_and_a_snapshot_brings_a_state_again(chain: Parts, node: Anvil) -> None:
    """
    A reorg of depth 2 undoes the last two transfers and keeps the block number; going back to a snapshot undoes all.
    """
    (coin,) = await coins(chain, node, "USDC")
    before = await node.snapshot()
    for _ in range(3):
        await coin.write("transfer", node.accounts[1], 5)
    height = await node.block()
    await node.reorg(2)
    assert (height, 5) == (await node.block(), await coin.read("balanceOf", node.accounts[1]))
    await node.revert(before)
    assert 0 == await coin.read("balanceOf", node.accounts[1])


async def test_time_money_and_foreign_accounts_are_a_tests_to_set(chain: Parts, node: Anvil) -> None:
    """
    The chain's clock goes where it is put, an account without a key gets coins and sends; a failure raises.
    """
    (coin,) = await coins(chain, node, "USDC")
    later, stranger = await node.now() + 86_400, "0x" + "5a" * 20
    await node.at(later)
    assert later == await node.now()
    await node.fund(stranger, 100 * ONE)
    await node.become(stranger)
    with pytest.raises(Reverted):
        await coin.write("transfer", node.accounts[0], 1, sender=stranger)
    await coin.write("mint", stranger, 2)
    await coin.write("transfer", node.accounts[1], 1, sender=stranger)
    assert [1, 1] == [await coin.read("balanceOf", who) for who in (stranger, node.accounts[1])]


async def test_the_real_uniswap_v2_swaps(chain: Parts, node: Anvil) -> None:
    """
    A pair of 1,000 and 1,000 gives 996.7 / 1,000 of the constant product for one coin, by the router's own word.
    """
    one, two = await coins(chain, node, "ONE", "TWO")
    v2 = await deploy_v2(chain, node)
    pair = await v2.pair(one, two, 1_000 * ONE, 1_000 * ONE)
    assert [1_000 * ONE, 1_000 * ONE] == list((await pair.read("getReserves"))[:2])
    assert [ONE, 996006981039903216] == list(await v2.router.read("getAmountsOut", ONE, [one.address, two.address]))


async def test_the_real_v3_pools_and_v4_agree(chain: Parts, node: Anvil) -> None:
    """
    With the same liquidity, Uniswap v3, PancakeSwap v3 and v4 give the same for one coin, and the quoters say so.
    """
    one, two = await coins(chain, node, "ONE", "TWO")
    uniswap, pancake, v4 = [await deploy(chain, node) for deploy in (deploy_v3, deploy_pancake_v3, deploy_v4)]
    given = []
    for exchange, fee in ((uniswap, 500), (pancake, 500)):
        pool = await exchange.pool(one, two, fee)
        await exchange.mint(pool, -1_000, 1_000, 10**24)
        if exchange is uniswap:
            question = (one.address, two.address, ONE, fee, 0)
            given.append((await exchange.quoter.read("quoteExactInputSingle", question))[0])
        given.append(-(await exchange.swap(pool, True, ONE))[1])
    key = await v4.pool(one, two, 500, 10)
    await v4.mint(key, -1_000, 1_000, 10**24)
    given.append((await v4.quoter.read("quoteExactInputSingle", (key, True, ONE, b"")))[0])
    given.append(-(await v4.swap(key, True, -ONE))[1])
    assert 5 * [given[0]] == given
    assert 0.9994 * ONE < given[0] < 0.9996 * ONE
    assert (await v4.view.read("getLiquidity", pool_id(key))) == 10**24


async def test_what_is_compiled_is_kept(chain: Parts) -> None:
    """
    A second look at our own Solidity compiles nothing, and a name that is nowhere is an error.
    """
    chain.artifact("Coin")
    begun = monotonic_s()
    assert 100 < len(Parts().artifact("Coin").bytecode)
    print(f"read in {monotonic_s() - begun:.3f} s")
    with pytest.raises(KeyError):
        chain.artifact("Nothing")
