"""One node over JSON-RPC: each error says what to do, reads agree on their block, keys stay with us."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import (
    BadMessage,
    ConnectorError,
    EntitlementLost,
    Maintenance,
    RateLimited,
    Reverted,
    VenueUnreachable,
)
from connectors.evm.abi import Method, text_of, unbatch
from connectors.evm.rpc import MULTICALL3, Rpc
from connectors.evm.rpcs import nodes
from connectors.evm.tokens import DECIMALS, SUPPLY, moved
from connectors.instruments import Instrument, Role
from connectors.poll import Poll
from tests.chain.exchanges import coins
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil
from tests.servers.heard import no_wait, setup_for
from tests.servers.node import NodeServer, body, error

SHARE = Instrument(venue="chain", symbol="0x" + "11" * 20, role=Role.SHARE, underlying="TSLA")


@pytest.fixture
async def real(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain with Multicall3."""
    async with Anvil(chain.anvil, chain_id=4663) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        yield node


@pytest.fixture
async def server(real: Anvil) -> AsyncIterator[NodeServer]:
    """A node that errs when it is told to."""
    async with NodeServer(real.url) as server:
        yield server


@pytest.fixture
async def rpc(server: NodeServer) -> AsyncIterator[Rpc]:
    """The client, asking that node; it never waits."""
    setup = setup_for(server, SHARE, sleep=no_wait)
    poll = Poll("chain", clock=time.time_ns, rng=setup.rng, sleep=no_wait, per_period=1000, tries=1, max_wait_s=0.0)
    async with aiohttp.ClientSession() as session:
        yield Rpc(session, server.url, poll)


async def test_a_chain_is_read_at_a_block_that_is_past(chain: Parts, real: Anvil, rpc: Rpc) -> None:
    """
    Heads by number carry their parents; supply is what it was at each block, also in one batch of many reads.
    """
    (coin,) = await coins(chain, real, "USDC")
    before = await rpc.head()
    await coin.write("mint", real.accounts[1], 7)
    after = await rpc.head()
    assert (4663, before.hash, before.number + 1) == (await rpc.chain_id(), after.parent, after.number)
    nobody = SUPPLY.call("0x" + "5a" * 20)
    for head, more in ((before, 0), (after, 7)):
        answers = await rpc.calls([SUPPLY.call(coin.address), nobody, *[DECIMALS.call(coin.address)] * 700], head)
        assert (10**36 + more, None, 18) == (
            SUPPLY.one(answers[0]),
            SUPPLY.known(answers[1]),
            DECIMALS.one(answers[-1]),
        )
        assert 702 == len(answers)


async def test_answers_from_another_block_are_refused(chain: Parts, real: Anvil, server: NodeServer, rpc: Rpc) -> None:
    """
    45. Behind one address stands a second node that lags by a block: its batch says another time, and is not taken.
    """
    (coin,) = await coins(chain, real, "USDC")
    await real.mine(3)
    server.lag = 1
    with pytest.raises(VenueUnreachable, match="not answered from block"):
        await rpc.calls([SUPPLY.call(coin.address)], await rpc.head())
    server.lag = 0
    assert 10**36 == SUPPLY.one((await rpc.calls([SUPPLY.call(coin.address)], await rpc.head()))[0])


async def test_a_contract_that_refuses_says_why(chain: Parts, real: Anvil, rpc: Rpc) -> None:
    """
    A call that reverts is told apart from a node that fails, with the contract's reason as it gave it.
    """
    (coin,) = await coins(chain, real, "USDC")
    transfer = Method("transfer", ("address", "uint256"), ("bool",))
    with pytest.raises(Reverted) as caught:
        await rpc.call(transfer.call(coin.address, real.accounts[1], 5), await rpc.head())
    assert "96c6fd1e" == caught.value.data[:4].hex()  # ERC20InvalidSender (ERC-6093): nobody called


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        (error(-32005, "limit exceeded"), RateLimited),
        (error(-32000, "header not found"), VenueUnreachable),
        (error(-32601, "method not found"), BadMessage),
        (error(3, "execution reverted"), Reverted),
        (error(-32000, "out of gas"), Reverted),
        (error(-32603, "EVM error OutOfGas"), Reverted),
        (body("{"), BadMessage),
        (body("[]"), BadMessage),
        (body('{"result": "0xzz"}'), BadMessage),
        (lambda _: None, BadMessage),
    ],
)
async def test_each_error_of_a_node_is_one_of_ours(
    server: NodeServer, rpc: Rpc, instead: Callable[[Any], Any], expected: type[ConnectorError]
) -> None:
    """
    What a node may say instead of a number becomes the error that tells the caller what to do.
    """
    server.instead["eth_chainId"] = instead
    with pytest.raises(ConnectorError) as caught:
        await rpc.chain_id()
    assert expected is type(caught.value)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, EntitlementLost), (429, RateLimited), (500, Maintenance), (503, Maintenance)],
)
async def test_each_status_is_one_of_ours(
    server: NodeServer, rpc: Rpc, status: int, expected: type[ConnectorError]
) -> None:
    """
    401 is a right that is gone, 429 a wish to be asked less, a page for people a node that is not there.
    """
    server.refuse = (status, {"Content-Type": "application/json" if status < 500 else "text/html"})
    with pytest.raises(ConnectorError) as caught:
        await rpc.chain_id()
    assert expected is type(caught.value)


async def test_a_block_that_the_node_does_not_have_may_come(rpc: Rpc) -> None:
    """
    A number beyond the newest block is no error for good.
    """
    with pytest.raises(VenueUnreachable):
        await rpc.head(10**9)


async def test_no_error_names_the_address_of_the_node(server: NodeServer) -> None:
    """
    The address may hold a key: neither a node that is gone nor one that refuses brings it into what we say.
    """
    secret = "s3cr3t-k3y"
    for url in (f"http://127.0.0.1:1/{secret}", f"{server.url}/{secret}", f"nonsense://{secret}"):
        setup = setup_for(server, SHARE, sleep=no_wait, key=lambda url=url: {"url": url})
        async with aiohttp.ClientSession() as session:
            with pytest.raises(ConnectorError) as caught:
                await nodes(setup, session).rpcs[0].chain_id()
        assert secret not in str(caught.value)


async def test_without_an_address_of_a_node_the_feed_says_what_to_write(server: NodeServer) -> None:
    """
    Neither `url` nor a key file with one: the venue stops, and the hint names both.
    """
    setup = setup_for(type("None", (), {"url": ""})(), SHARE)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(EntitlementLost, match="url"):
            nodes(setup, session)


@given(st.binary(max_size=200))
def test_no_answer_of_a_contract_breaks_a_reader(answer: bytes) -> None:
    """
    Whatever bytes come: a value of the right type, or BadMessage.
    """
    for read in (SUPPLY.one, DECIMALS.one, text_of, lambda a: unbatch(a, 1)):
        try:
            read(answer)
        except BadMessage:
            continue


def test_a_log_that_is_said_twice_counts_once() -> None:
    """
    46. Replayed and removed logs change nothing: a mint is known by its transaction and place.
    """
    log = {"address": "0xAb", "transactionHash": "0x1", "logIndex": "0x0", "data": "0x05"}
    assert {"0xab": 5} == moved([log, log, {**log, "logIndex": "0x1", "removed": True}])
    assert {"0xab": 10} == moved([log, {**log, "logIndex": "0x1"}])
    with pytest.raises(BadMessage):
        moved([{**log, "data": "0x"}])
