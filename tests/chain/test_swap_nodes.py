"""Rows 45, 46 and 53 of the fault matrix: what nodes say of a swap that is not so, and what holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from inspect import Parameter, signature
from typing import Any

import pytest

from connectors.errors import BadMessage, ConnectorError, VenueUnreachable, WrongChain
from connectors.evm.data_fees import PRICE_ORACLE, Habit, Publishing
from connectors.evm.rpcs import Rpcs
from connectors.evm.wallet import Wallet
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import Pit, pit, price_oracle, trader
from tests.servers.anvil import Anvil
from tests.servers.node import NodeServer, error


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


@pytest.fixture
async def here(chain: Parts, node: Anvil) -> Pit:
    """A pool on it."""
    return await pit(chain, node)


# --- 45: nodes that are behind, or do not agree


async def test_row_45_a_node_that_falls_behind_decides_nothing(here: Pit, node: Anvil) -> None:
    """
    A node that goes back to an older block, or stands still, neither undoes a fill nor lets anything be sent; once it
    is there again all goes on.
    """
    async with NodeServer(node.url) as server, trader(here, url=server.url) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks(3)
        booked, count = one.booked(), len(one.reports)
        height = await node.block()
        old = await node.rpc("eth_getBlockByNumber", hex(height - 2), False)
        server.instead["eth_getBlockByNumber"] = lambda call: old
        one.order(Side.SELL, "4", "240", id="two")
        with pytest.raises(VenueUnreachable, match="the newest block is"):
            await one.executor.tick()
        del server.instead["eth_getBlockByNumber"]
        one.at_ns += 300 * 10**9
        with pytest.raises(VenueUnreachable, match="s old"):
            await one.executor.tick()
        assert (booked, count) == (one.booked(), len(one.reports))
        await node.at(one.at_ns // 10**9)
        await one.ticks(3)
        assert -8 == one.booked()[0]


async def test_row_45_money_moves_only_on_what_two_nodes_say_alike(here: Pit, node: Anvil) -> None:
    """
    Of two nodes of which one says something else of the same block (another balance, another receipt), nothing is sent
    and nothing is booked until they agree.
    """
    async with NodeServer(node.url) as server:
        both = {"agreed": lambda rpcs: partial(Rpcs(rpcs).agreed, 2), "others": (server.url,)}
        async with trader(here, **both) as one:
            one.order(Side.SELL, "4", "240")
            server.instead["eth_getTransactionCount"] = lambda call: "0x7"
            with pytest.raises(ConnectorError):
                await one.executor.tick()
            assert (0, []) == (await one.count(), one.reports)
            server.instead.clear()
            await one.ticks(2)
            assert 2 == await one.count()
            server.instead["eth_getTransactionReceipt"] = lambda call: None
            with pytest.raises(ConnectorError):
                await one.executor.tick()
            assert (0, 0) == one.booked()
            server.instead.clear()
            await one.ticks()
            assert -4 == one.booked()[0]


def test_row_45_one_node_is_believed_only_where_that_was_said() -> None:
    """
    Whoever makes a wallet says which nodes must agree; there is nothing that holds where nobody said.
    """
    agreed = signature(Wallet).parameters["agreed"]
    assert Parameter.empty is agreed.default


# --- 46: answers without logs, or told again


async def test_row_46_a_receipt_without_its_logs_books_nothing_and_a_repeated_one_books_once(
    here: Pit, node: Anvil
) -> None:
    """
    A swap that worked and moved nothing is not believed and asked for again; the whole receipt, told again and again,
    is one fill.
    """
    async with NodeServer(node.url) as server, trader(here, url=server.url) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks(2)
        receipts = []

        async def tick_with(logs: Any) -> None:
            (key,) = [slot.hashes[-1] for slot in one.wallet.nonces.open() if slot.waiting]
            receipts.append(await node.rpc("eth_getTransactionReceipt", key))
            server.instead["eth_getTransactionReceipt"] = lambda call: receipts[0] | {"logs": logs}
            with pytest.raises(BadMessage, match="Transfer"):
                await one.executor.tick()

        await tick_with([])
        await tick_with(receipts[0]["logs"][:1])
        assert (0, 0) == one.booked()
        server.instead["eth_getTransactionReceipt"] = lambda call: receipts[0]
        await one.ticks(4)
        assert (-4, 1) == (one.booked()[0], sum(len(report.fills) for report in one.reports))


# --- 53: another chain


async def test_row_53_nothing_is_signed_for_a_node_of_another_chain(here: Pit, node: Anvil) -> None:
    """
    A node whose chain id is another one, from the start or all of a sudden, gets no signature at all.
    """
    async with NodeServer(node.url) as server, trader(here, url=server.url) as one:
        server.instead["eth_chainId"] = lambda call: "0x1"
        one.order(Side.SELL, "4", "240")
        await one.ticks(2)
        (report,) = one.reports
        assert (Outcome.REFUSED, "wrong_chain") == (report.outcome, report.reason)
        assert ([], 0) == (one.records.payloads, await one.count())
        server.instead.clear()
        one.order(Side.SELL, "4", "240", id="two")
        await one.ticks(2)
        server.instead["eth_chainId"] = lambda call: "0x1"
        signed = len(one.records.payloads)
        with pytest.raises(WrongChain, match="chain 1, the wallet signs for 31337"):
            await one.executor.tick()
        assert signed == len(one.records.payloads)
        server.instead.clear()
        await one.ticks()
        assert -4 == one.booked()[0]


# --- besides: a contract that refuses to be asked


@pytest.mark.parametrize(("reason", "stuck"), [("token", 1), ("simulation", 0)])
async def test_a_contract_that_does_not_answer_refuses_its_leg_alone(
    chain: Parts, here: Pit, node: Anvil, reason: str, stuck: int
) -> None:
    """
    A token that reverts when asked for a balance, or an oracle of fees that does, refuses the leg at once and for good;
    it holds up nothing, and the next leg is swapped once they answer.
    """
    await price_oracle(chain, node)
    habit = Habit(Publishing.OP_STACK)
    async with NodeServer(node.url) as server, trader(here, url=server.url, habit=habit) as one:
        assert habit == await one.wallet.habit()
        if reason == "simulation":
            await node.put(PRICE_ORACLE, chain.artifact("Multicall3"))
        else:
            server.instead["eth_call"] = error(3, "execution reverted", "0x")
        one.order(Side.SELL, "4", "240", id="one")
        one.order(Side.SELL, "4", "240", id="two")
        await one.ticks()
        assert 2 * [(Outcome.REFUSED, reason, True)] == [(r.outcome, r.reason, r.final) for r in one.reports]
        assert (stuck, 0) == (len(one.executor.stuck), await one.count())
        if reason == "token":
            server.instead.clear()
            one.order(Side.SELL, "4", "240", id="three")
            await one.ticks(3)
            assert (-4, {}) == (one.booked()[0], one.executor.stuck)
