"""The feed of contracts with several nodes of one chain: one is dead, behind, or says another thing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.events import Health, Kind, Row, Why
from connectors.evm.onchain import OnchainFeed
from connectors.evm.rpc import MULTICALL3
from tests.chain.looks import POLL_S, Looks, looking
from tests.chain.models import ONE, Stock, coinbase, robinhood
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil
from tests.servers.node import NodeServer
from tests.servers.proxy import FaultProxy
from tests.servers.refusals import Answer

UP = (Health.UP, Why.NOTHING)
SECRET = "s3cr3t-k3y-0123456789"


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain with Multicall3 at its usual address."""
    async with Anvil(chain.anvil) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        yield node


@pytest.fixture
async def stock(chain: Parts, node: Anvil) -> Stock:
    """A token on it."""
    return await robinhood(chain, node)


@pytest.fixture
async def second(node: Anvil) -> AsyncIterator[NodeServer]:
    """Another node of that chain, that errs as told."""
    async with NodeServer(node.url) as server:
        yield server


def multipliers(rows: list[Row]) -> list[tuple[int, float]]:
    """Instrument and value of the rows that say what holds now."""
    return [(row.instrument, row.bid) for row in rows if row.kind is Kind.MULTIPLIER and row.ask != row.ask]


async def stand_still(node: Anvil, server: NodeServer) -> None:
    """A node goes on no more: its newest block stays the one of now."""
    old = await node.rpc("eth_getBlockByNumber", "latest", False)
    number = int(old["number"], 16)

    def answer(call: dict[str, Any]) -> Any:
        at = call["params"][0]
        return old if at == "latest" or int(at, 16) == number else None

    server.instead["eth_getBlockByNumber"] = answer


def tenfold(text: str) -> str:
    """A lie: every word of 1e18 in an answer becomes 1e19."""
    return text.replace(f"{ONE:064x}", f"{10 * ONE:064x}")


async def until(looks: Looks, state: tuple[Health, Why]) -> None:
    """The next looks, until the first instrument stands like this."""
    looks.doors.let(POLL_S)
    await looks.heard.until(lambda: looks.state == state)


@pytest.mark.parametrize("dead", [0, 1])
async def test_one_node_that_is_gone_leaves_the_others_to_ask(stock: Stock, node: Anvil, dead: int) -> None:
    """
    45. Whichever of two it is: what the other one says is told, and that one is gone is told too, without its address,
    which holds a key. Where two must agree, the token is down.
    """
    urls = [node.url, node.url]
    urls[dead] = f"http://127.0.0.1:1/{SECRET}?key={SECRET}"
    async with looking(stock.instrument(), url=" ".join(urls)) as looks:
        assert [(0, 1.0)] == multipliers(await looks.look())
        assert UP == looks.state
        await stock.change(10.0, 0)
        assert [(0, 10.0)] == multipliers(await looks.look())
        found = await OnchainFeed(looks.setup).probe()
    assert looks.heard.details["chain", "node_down"].startswith(f"node {dead + 1}: ")
    assert [("node_down", False)] == [(one.what, one.ok) for one in found if not one.ok]
    async with looking(stock.instrument(), url=" ".join(urls), quorum=2.0) as strict:
        await strict.heard.until(lambda: strict.heard.rejected["chain", "no_quorum"] > 0)
        assert ([], Health.DOWN) == (multipliers(strict.heard.rows), strict.state[0])
    assert SECRET not in f"{looks.heard.details} {strict.heard.details} {found}"


async def test_a_node_that_is_behind_is_not_asked(stock: Stock, node: Anvil, second: NodeServer) -> None:
    """
    45. The first node stands still before the multiplier changes: while it is a block behind, the block that both have
    is read; once it is too far behind, the other one's is, and who is behind is told. The value never goes back.
    """
    async with looking(stock.instrument(), url=f"{second.url} {node.url}") as looks:
        assert [(0, 1.0)] == multipliers(await looks.look())
        await stand_still(node, second)
        await stock.change(10.0, 0)
        assert [] == multipliers(await looks.look())
        await node.mine(3)
        assert [(0, 10.0)] == multipliers(await looks.look())
        assert UP == looks.state
        assert "node 1 is at" in looks.heard.details["chain", "node_behind"]
        second.instead.clear()
        assert [] == multipliers(await looks.look())
        assert UP == looks.state


async def test_too_few_that_are_not_behind_are_late_and_not_down(stock: Stock, node: Anvil, second: NodeServer) -> None:
    """
    45. Two must agree and one is behind: nothing new is told, and the token is degraded, not down; then it is up again.
    """
    async with looking(stock.instrument(), url=f"{second.url} {node.url}", quorum=2.0) as looks:
        await looks.look()
        assert UP == looks.state
        await stand_still(node, second)
        await stock.change(10.0, 0)
        await node.mine(4)
        await until(looks, (Health.DEGRADED, Why.LAGS))
        second.instead.clear()
        await looks.heard.until(lambda: looks.state == UP)
    assert [Health.DOWN, Health.UP, Health.DEGRADED, Health.UP] == looks.heard.health(0)
    assert [(0, 1.0), (0, 10.0)] == multipliers(looks.heard.rows)


async def test_nodes_that_say_different_things_of_a_token_are_not_believed(
    chain: Parts, stock: Stock, node: Anvil, second: NodeServer
) -> None:
    """
    45. They share a block, and one says that the multiplier is ten: nothing of that token is told, in whichever order
    they are asked; the token beside it, of which they say the same, goes on. Then they agree, and all is told.
    """
    other = await coinbase(chain, node)
    for urls in (f"{second.url} {node.url}", f"{node.url} {second.url}"):
        await other.change(3.0, 0)
        async with looking(stock.instrument(), other.instrument(), url=urls) as looks:
            assert {(0, 1.0), (1, 3.0)} == set(multipliers(await looks.look()))
            second.edits["eth_call"] = tenfold
            await other.change(4.0, 0)
            assert [(1, 4.0)] == multipliers(await looks.look())
            assert ((Health.DEGRADED, Why.DISAGREES), UP) == (looks.state, looks.heard.standing.state(1))
            assert "answer 1 is another one at node" in looks.heard.details["chain", "nodes_disagree"]
            second.edits.clear()
            assert [] == multipliers(await looks.look())
            assert UP == looks.state


async def test_two_of_three_that_say_the_same_are_believed(stock: Stock, node: Anvil, second: NodeServer) -> None:
    """
    45. The third one lies about the multiplier: it is outvoted, and that is told; where all three must agree, not.
    """
    urls = f"{second.url} {node.url} {node.url}"
    second.edits["eth_call"] = tenfold
    async with looking(stock.instrument(), url=urls, quorum=2.0) as looks:
        assert [(0, 1.0)] == multipliers(await looks.look())
        assert UP == looks.state
        assert "at node 1" in looks.heard.details["chain", "nodes_disagree"]
    async with looking(stock.instrument(), url=urls, quorum=3.0) as strict:
        assert [] == multipliers(await strict.look())
        assert Why.DISAGREES in strict.heard.standing.reasons(0)


async def test_nodes_with_different_blocks_are_not_believed(stock: Stock, node: Anvil, second: NodeServer) -> None:
    """
    45. One has another block at the same height: nothing is told, the token is degraded because they disagree, and the
    block is named; up again when they have one chain.
    """
    async with looking(stock.instrument(), url=f"{node.url} {second.url}") as looks:
        await looks.look()
        await stock.change(10.0, 0)
        ours = (await node.rpc("eth_getBlockByNumber", "latest", False))["hash"]
        second.edits["eth_getBlockByNumber"] = lambda text: text.replace(ours, "0x" + "5a" * 32)
        await until(looks, (Health.DEGRADED, Why.DISAGREES))
        assert "0x5a5a5a5a at node 2" in looks.heard.details["chain", "nodes_disagree"]
        assert [(0, 1.0)] == multipliers(looks.heard.rows)
        second.edits.clear()
        await looks.heard.until(lambda: looks.state == UP)
    assert [(0, 1.0), (0, 10.0)] == multipliers(looks.heard.rows)


async def test_a_node_that_wants_an_hour_of_peace_holds_up_no_other(stock: Stock, node: Anvil) -> None:
    """
    45. One says 429 and names an hour: the other one is read meanwhile.
    """
    async with FaultProxy(node.url) as proxy, looking(stock.instrument(), url=f"{proxy.url} {node.url}") as looks:
        proxy.refusals.append(lambda _: Answer(429, headers={"Retry-After": "3600"}))
        assert [(0, 1.0)] == multipliers(await looks.look())
        assert UP == looks.state
        assert [] == multipliers(await looks.look())
    assert 2 == looks.heard.rejected["chain", "node_down"]


async def test_code_that_only_one_node_has_seen_exchanged_is_disputed(
    stock: Stock, node: Anvil, second: NodeServer
) -> None:
    """
    51. One node shows other code at the token's address: disputed, and not another token; then it is what it was.
    """
    async with looking(stock.instrument(), url=f"{node.url} {second.url}") as looks:
        await looks.look()
        second.instead["eth_getCode"] = lambda _: "0x6000"
        assert [] == multipliers(await looks.look())
        assert (Health.DEGRADED, Why.DISAGREES) == looks.state
        second.instead.clear()
        await looks.look()
        assert UP == looks.state


async def test_a_node_that_goes_and_comes_back_is_down_between(stock: Stock, node: Anvil) -> None:
    """
    Without a node the instruments are down; when one answers again they are up, and what has not changed is not
    told again.
    """
    async with FaultProxy(node.url) as proxy, looking(stock.instrument(), url=proxy.url) as looks:
        await looks.look()
        proxy.refusing = True
        proxy.reset()
        looks.doors.let(POLL_S)
        await looks.heard.until(lambda: looks.state == (Health.DOWN, Why.DISCONNECTED))
        proxy.refusing = False
        await looks.heard.until(lambda: looks.state == (Health.UP, Why.NOTHING))
    assert [] == multipliers(looks.heard.rows[looks.told :])
