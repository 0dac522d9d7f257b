"""The feed of contracts on a real node: every unit model, identity, one block for all, a node that errs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.events import NS, Health, Kind, Row, Why
from connectors.evm.onchain import OnchainFeed
from connectors.evm.rpc import MULTICALL3
from connectors.evm.tokens_tell import MAX_RECOUNTS
from tests.chain.looks import POLL_S, Looks, eight056, looking, options_of, said
from tests.chain.models import MODELS, ONE, coinbase, ondo, robinhood, xstock
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil
from tests.servers.node import NodeServer, error


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain with Multicall3 at its usual address."""
    async with Anvil(chain.anvil) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        yield node


@pytest.mark.parametrize("model", MODELS)
async def test_every_unit_model_tells_its_multiplier_ahead_and_at_its_moment(
    model: str, chain: Parts, node: Anvil
) -> None:
    """
    One share per unit at first; a split is told with its moment (by those who announce), and holds from then on. What
    the holder has agrees: balances move where the token is rebasing, and stand still where it is not.
    """
    stock = await MODELS[model](chain, node)
    at = await node.now() + 3600
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        rows = await looks.look()
        assert [(1.0, -1.0)] == said(rows, Kind.MULTIPLIER)
        assert [(100.0, -1.0)] == said(rows, Kind.SUPPLY)
        assert (Health.UP, Why.NOTHING) == looks.state
        assert [] == [row for row in await looks.look() if row.kind is not Kind.HEALTH]
        await stock.change(10.0, at)
        assert ([(10.0, float(at))] if stock.announces else [(10.0, -1.0)]) == said(await looks.look(), Kind.MULTIPLIER)
        await node.at(at)
        rows = await looks.look()
        if stock.needs_end:
            assert (Health.CLOSED, Why.PAUSED) == looks.state
            await stock.end()
            rows = await looks.look()
        assert ([(10.0, -1.0)] if stock.announces else []) == said(rows, Kind.MULTIPLIER)
        assert (Health.UP, Why.NOTHING) == looks.state
        assert (1000.0 if stock.rebasing else 100.0) == await stock.balance()
        assert at * NS <= max(row.ts_venue for row in rows) if rows else not stock.announces


@pytest.mark.parametrize("model", MODELS)
async def test_a_paused_token_is_closed_until_it_is_not(model: str, chain: Parts, node: Anvil) -> None:
    """
    While the issuer has stopped a token its instrument is closed, with that reason; then it is up again.
    """
    stock = await MODELS[model](chain, node)
    states = []
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        for paused in (False, True, True, False):
            await stock.pause(paused)
            await looks.look()
            states.append(looks.state)
    up, closed = (Health.UP, Why.NOTHING), (Health.CLOSED, Why.PAUSED)
    assert [up, closed, closed, up] == states


async def test_a_change_that_is_put_off_or_called_off_is_taken_back(chain: Parts, node: Anvil) -> None:
    """
    Another moment: at the old one nothing will change, at the new one it will. Called off: the same, without a new one.
    """
    stock = await robinhood(chain, node)
    at = await node.now() + 3600
    await stock.change(2.0, at)
    async with looking(stock.instrument(), url=node.url) as looks:
        assert [(1.0, -1.0), (2.0, float(at))] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.change(2.0, at + 600)
        assert [(1.0, float(at)), (2.0, float(at + 600))] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.change(3.0, at + 600)
        assert [(3.0, float(at + 600))] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.change(1.0, 0)
        assert [(1.0, float(at + 600))] == said(await looks.look(), Kind.MULTIPLIER)
        await node.at(at + 700)
        assert [] == said(await looks.look(), Kind.MULTIPLIER)


async def test_a_change_that_did_not_come_is_taken_back_when_the_pause_ends(chain: Parts, node: Anvil) -> None:
    """
    58. Ondo pauses at the moment of a split and goes on without it: what was to hold from then on is taken back when
    the pause ends, not before; nothing more is told then.
    """
    stock = await ondo(chain, node)
    at = await node.now() + 3600
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        await looks.look()
        await stock.change(10.0, at)
        assert [(10.0, float(at))] == said(await looks.look(), Kind.MULTIPLIER)
        await node.at(at)
        assert [] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.helper.write("set", stock.token.address, ONE)
        assert [(1.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        assert (Health.UP, Why.NOTHING) == looks.state
        assert [] == said(await looks.look(), Kind.MULTIPLIER)


async def test_mints_and_burns_are_told_with_the_supply(chain: Parts, node: Anvil) -> None:
    """
    Between two looks 5 units were minted and 2 burnt: the supply is 103, and both are told; nothing, and nothing is.
    """
    stock = await coinbase(chain, node)
    async with looking(stock.instrument(), url=node.url) as looks:
        await looks.look()
        await stock.token.write("mint", node.accounts[1], 5 * 10**8)
        await stock.token.write("burn", node.accounts[1], 2 * 10**8)
        await stock.token.write("transfer", node.accounts[1], 10**8)
        (row,) = [row for row in await looks.look() if row.kind is Kind.SUPPLY]
        assert (103.0, 5.0, 2.0) == (row.bid, row.bid_size, row.ask_size)
        await node.mine()
        assert [] == said(await looks.look(), Kind.SUPPLY)


def supplies(rows: list[Row]) -> list[tuple[float | None, ...]]:
    """Supply, minted and burnt of the SUPPLY rows; None is unknown."""
    found = [(row.bid, row.bid_size, row.ask_size) for row in rows if row.kind is Kind.SUPPLY]
    return [tuple(None if value != value else value for value in row) for row in found]


NO_LOGS = {
    "empty": lambda _: [],
    "refused": error(-32000, "no logs today"),
    "asked too much": error(-32602, "too wide"),
}


@pytest.mark.parametrize("fault", NO_LOGS)
async def test_mints_that_a_node_does_not_tell_are_unknown_until_it_does(chain: Parts, node: Anvil, fault: str) -> None:
    """
    46. The supply rises by 5 and no log tells why, or logs are refused: the supply is told and minted is unknown, the
    multiplier beside it is told all the same; once the logs are there, they are counted from where they lacked.
    """
    stock = await coinbase(chain, node)
    async with NodeServer(node.url) as server, looking(stock.instrument(), url=server.url) as looks:
        await looks.look()
        await stock.token.write("mint", node.accounts[1], 5 * 10**8)
        await stock.change(10.0, 0)
        server.instead["eth_getLogs"] = NO_LOGS[fault]
        rows = await looks.look()
        assert ([(105.0, None, None)], [(10.0, -1.0)]) == (supplies(rows), said(rows, Kind.MULTIPLIER))
        assert (Health.UP, Why.NOTHING) == looks.state
        server.instead.clear()
        await stock.token.write("burn", node.accounts[1], 2 * 10**8)
        assert [(103.0, 5.0, 2.0)] == supplies(await looks.look())
        await stock.token.write("mint", node.accounts[1], 10**8)
        assert [(104.0, 1.0, 0.0)] == supplies(await looks.look())


async def test_mints_that_are_never_told_stay_unknown_and_later_ones_are_counted(chain: Parts, node: Anvil) -> None:
    """
    46. Logs that lack for long are given up: what comes after them is counted from there.
    """
    stock = await coinbase(chain, node)
    async with NodeServer(node.url) as server, looking(stock.instrument(), url=server.url) as looks:
        await looks.look()
        await stock.token.write("mint", node.accounts[1], 5 * 10**8)
        server.instead["eth_getLogs"] = lambda _: []
        told = []
        for _ in range(MAX_RECOUNTS):
            told += supplies(await looks.look())
            await node.mine()
        assert [(105.0, None, None)] == told
        server.instead.clear()
        await stock.token.write("mint", node.accounts[1], 10**8)
        assert [(106.0, 1.0, 0.0)] == supplies(await looks.look())


@pytest.mark.parametrize("model", ["xstock", "dinari"])
async def test_a_rebase_is_no_mint_that_lacks(model: str, chain: Parts, node: Anvil) -> None:
    """
    46. Balances are multiplied by ten: the supply is 1000, and nothing was minted; a mint after it is counted.
    """
    stock = await MODELS[model](chain, node)
    async with looking(stock.instrument(), url=node.url) as looks:
        await looks.look()
        at = await node.now() + 10
        await stock.change(10.0, at)
        await node.at(at)
        assert [(1000.0, 0.0, 0.0)] == supplies(await looks.look())
        await stock.token.write("mint", node.accounts[0], 5 * ONE)
        assert [(1005.0, 5.0, 0.0)] == supplies(await looks.look())


async def test_everything_is_read_at_one_block(chain: Parts, node: Anvil) -> None:
    """
    All rows of one look carry the time of one block, and a node that answers from another block than it named tells
    nothing until it agrees with itself.
    """
    stock = await xstock(chain, node)
    other = await robinhood(chain, node)
    async with looking(stock.instrument(), other.instrument(), url=node.url) as looks:
        rows = [row for row in await looks.look() if row.kind is not Kind.HEALTH]
        assert {await node.now() * NS} == {row.ts_venue for row in rows}
        assert {0, 1} == {row.instrument for row in rows}


async def test_a_node_whose_newest_block_is_old_is_late(chain: Parts, node: Anvil) -> None:
    """
    45. Callable is not fresh: the chain stands still while our clock goes on, and its instruments are late.
    """
    stock = await robinhood(chain, node)
    async with looking(stock.instrument(), url=node.url, max_block_age_s=120.0) as looks:
        await looks.look()
        assert (Health.UP, Why.NOTHING) == looks.state
        looks.ahead_s = 300.0
        await looks.look()
        assert (Health.DEGRADED, Why.LAGS) == looks.state
        await node.at(await node.now() + 300)
        await looks.look()
        assert (Health.UP, Why.NOTHING) == looks.state


@pytest.mark.parametrize("older", [True, False])
async def test_a_multiplier_never_goes_back_to_an_older_block(chain: Parts, node: Anvil, older: bool) -> None:
    """
    45. After a new multiplier a node behind the same address names the block before it, or another block of the same
    height: the token is down and the old value is not told again; it is up again with the next newest block.
    """
    stock = await robinhood(chain, node)
    at = await node.now() + 3600
    await stock.change(10.0, at)
    async with NodeServer(node.url) as server, looking(stock.instrument(), url=server.url) as looks:
        await looks.look()
        old = await node.rpc("eth_getBlockByNumber", "latest", False)
        await node.at(at)
        assert [(10.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        new = await node.rpc("eth_getBlockByNumber", "latest", False)
        server.instead["eth_getBlockByNumber"] = lambda _: old if older else {**new, "hash": "0x" + "5a" * 32}
        looks.doors.let(POLL_S)
        await looks.heard.until(lambda: looks.state == (Health.DOWN, Why.DISCONNECTED))
        server.instead.clear()
        await looks.heard.until(lambda: looks.state == (Health.UP, Why.NOTHING))
    assert [] == said(looks.heard.rows[looks.told :], Kind.MULTIPLIER)


async def test_a_reorg_counts_once_it_is_longer(chain: Parts, node: Anvil) -> None:
    """
    The block in which the multiplier rose is replaced by one without it: told when the new chain is longer.
    """
    stock = await robinhood(chain, node)
    async with looking(stock.instrument(), url=node.url) as looks:
        await looks.look()
        before = await node.rpc("evm_snapshot")
        await stock.change(10.0, 0)
        assert [(10.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        await node.rpc("evm_revert", before)
        await node.mine()
        await node.mine()
        assert [(1.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)


async def test_a_probe_names_what_is_wrong(chain: Parts, node: Anvil) -> None:
    """
    The node's chain and block, and by token whether it is what it must be, in words.
    """
    stock = await robinhood(chain, node)
    looks = Looks(stock.instrument(), eight056("0x" + "5a" * 20), url=node.url)
    found = await OnchainFeed(looks.setup).probe()
    assert [True, True, True, False] == [one.ok for one in found]
    assert "no code at this address" == found[-1].detail
    away = await OnchainFeed(Looks(stock.instrument(), url="http://127.0.0.1:1").setup).probe()
    assert [("reachable", False)] == [(one.what, one.ok) for one in away]
