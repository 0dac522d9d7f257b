"""What a swap costs before it is sent: does it pay, may it cost so much, and does the chain charge as is believed?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from bot.clock import wall_ns
from connectors.errors import CostUnknown
from connectors.evm.data_fees import HABITS, NODE_INTERFACE, PRICE_ORACLE, Habit, Publishing
from connectors.evm.fees import Caps
from connectors.evm.keys import KeySigner, Policy
from connectors.evm.node import alone
from connectors.evm.wallet import Wallet
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import CAPS, GWEI, KEY, Kept, Pit, client, pit, price_oracle, terms_of, trader
from tests.servers.anvil import Anvil, Deployed
from tests.servers.node import Call, NodeServer


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


@pytest.fixture
async def here(chain: Parts, node: Anvil) -> Pit:
    """A pool on it."""
    return await pit(chain, node)


async def node_interface(chain: Parts, node: Anvil, gas: int = 0) -> Deployed:
    """What tells on a chain of Arbitrum how much gas publishing adds."""
    await node.put(NODE_INTERFACE, chain.artifact("NodeInterface"))
    found = Deployed(node, chain.artifact("NodeInterface"), NODE_INTERFACE)
    await found.write("set", gas)
    return found


@asynccontextmanager
async def wallet(node: Anvil) -> AsyncIterator[Wallet]:
    """A wallet that believes the table."""
    async with aiohttp.ClientSession() as session:
        rpc = client(session, node.url)
        signer = KeySigner(KEY, Policy(chain_id=node.chain_id, max_fee_wei=1))
        terms = terms_of(CAPS, chain_id=node.chain_id, habit=None)
        yield Wallet(terms, signer, rpc, Kept(), clock=wall_ns, agreed=alone(rpc))


# --- how a chain charges


@pytest.mark.parametrize("chain_id", sorted(HABITS))
async def test_what_the_table_says_of_a_chain_is_asked_of_the_chain(chain: Parts, chain_id: int) -> None:
    """
    On a chain that has what the table says, the wallet begins; on one that lacks it, or has what it should not have, it
    refuses and names the contract.
    """
    how = HABITS[chain_id].publishing
    for oracle, interface in ((False, False), (True, False), (False, True)):
        async with Anvil(chain.anvil, chain_id=chain_id) as node, wallet(node) as one:
            if oracle:
                await price_oracle(chain, node)
            if interface:
                await node_interface(chain, node)
            right = (oracle, interface) == (how is Publishing.OP_STACK, how is Publishing.ARBITRUM)
            if right:
                assert HABITS[chain_id] == await one.habit()
                continue
            with pytest.raises(CostUnknown, match=f"what chain {chain_id} takes for publishing is not known: ") as said:
                await one.habit()
            assert PRICE_ORACLE in str(said.value) or NODE_INTERFACE in str(said.value)


async def test_a_contract_that_answers_otherwise_is_no_oracle(chain: Parts, node: Anvil) -> None:
    """
    Some other code at the oracle's address is not taken for one.
    """
    await node.put(PRICE_ORACLE, chain.artifact("Multicall3"))
    async with trader(await pit(chain, node), habit=Habit(Publishing.OP_STACK)) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks()
        (report,) = one.reports
        assert (Outcome.REFUSED, "cost_unknown", True) == (report.outcome, report.reason, report.final)
        assert PRICE_ORACLE in report.detail
        await price_oracle(chain, node)
        one.order(Side.SELL, "4", "240", id="two")
        await one.ticks(3)
        assert -4 == one.booked()[0]


async def test_gas_that_publishing_adds_is_given_and_counts(chain: Parts, here: Pit, node: Anvil) -> None:
    """
    On a chain whose nodes add gas for publishing, a task is given that gas too, and it is part of what a swap costs.
    """
    interface = await node_interface(chain, node, 1_000_000)
    await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI // 10))
    async with trader(here, habit=Habit(Publishing.ARBITRUM)) as one:
        one.order(Side.SELL, "4", "240", id="given")
        await one.ticks(3)
        assert -4 == one.booked()[0]
        block = await node.rpc("eth_getBlockByNumber", "latest", True)
        assert int(block["transactions"][0]["gas"], 16) >= 2_000_000
        await interface.write("set", 10**9)
        one.order(Side.SELL, "4", "240", id="dear")
        await one.ticks()
        assert (Outcome.REFUSED, "gas") == (one.reports[-1].outcome, one.reports[-1].reason)


async def test_where_the_whole_limit_is_charged_it_is_expected_and_booked(here: Pit, node: Anvil) -> None:
    """
    On a chain that charges for the gas limit, that is what decides whether a swap pays, and what is booked of it.
    """
    async with trader(here, habit=Habit(Publishing.NONE, charges_limit=True)) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks(3)
        booked = Decimal(0)
        for number in range(await node.block() + 1):
            block = await node.rpc("eth_getBlockByNumber", hex(number), True)
            for sent in block["transactions"]:
                if sent["from"] == one.address.lower():
                    receipt = await node.rpc("eth_getTransactionReceipt", sent["hash"])
                    booked += Decimal(int(sent["gas"], 16) * int(receipt["effectiveGasPrice"], 16)) / 10**18 * 2_000
        assert booked == one.ledger.gas > 0


# --- does it pay, and may it


async def first_cost_usd(here: Pit) -> Decimal:
    """What a sale of four stocks is expected to cost with its approval, by the words of a refusal."""
    async with trader(here) as one:
        await here.node.rpc("evm_setAutomine", False)
        await here.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
        await here.node.mine()
        await here.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
        one.order(Side.SELL, "4", "240", edge_bps=0.0)
        await one.ticks()
        (report,) = one.reports
        return Decimal(report.detail.split()[2])


@pytest.mark.parametrize(("part", "swapped"), [(Decimal("1.3"), True), (Decimal("0.9"), False)])
async def test_a_swap_that_pays_by_a_little_is_sent(here: Pit, node: Anvil, part: Decimal, swapped: bool) -> None:
    """
    What is expected to be paid decides, not what the gas limit would allow: an edge 1.3 times the cost is taken, one of
    0.9 times is not.
    """
    edge_usd = await first_cost_usd(here) * part
    caps = Caps(max_fee_wei=100 * GWEI, max_priority_wei=3 * GWEI, max_cost_usd=Decimal(100))
    async with trader(here, caps=caps, funded=False) as one:
        one.order(Side.SELL, "4", "240", edge_bps=float(edge_usd / 1_000 * 10_000))
        for _ in range(3):
            await one.ticks()
            await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
            await node.mine()
        assert (-4 if swapped else 0, not swapped) == (one.booked()[0], "gas" in one.told("reason")), one.reports
        assert one.ledger.gas <= edge_usd


@pytest.mark.parametrize("part", [Decimal("1.05"), Decimal(10)])
async def test_a_task_may_never_cost_more_than_the_cap(here: Pit, node: Anvil, part: Decimal) -> None:
    """
    The operator's cap holds for all the gas that a task is given: one just above what is expected sends nothing, be the
    edge what it may; one that is wide enough does, and no transaction could cost more than it.
    """
    cap_usd = await first_cost_usd(here) * part
    caps = Caps(max_fee_wei=1_000 * GWEI, max_priority_wei=3 * GWEI, max_cost_usd=cap_usd)
    async with trader(here, caps=caps, funded=False) as one:
        one.order(Side.SELL, "4", "240", edge_bps=10_000)
        await one.ticks()
        pool = await node.rpc("txpool_content")
        sent = [each for sender in pool["pending"].values() for each in sender.values()]
        if part < 2:
            assert (["gas"], []) == (one.told("reason"), sent)
        else:
            (each,) = sent
            most = Decimal(int(each["gas"], 16) * int(each["maxFeePerGas"], 16)) / 10**18 * 2_000
            assert 0 < most <= cap_usd


# --- what does nothing is given gas enough


@pytest.mark.parametrize("says", [True, False])
async def test_what_is_sent_instead_of_a_late_swap_has_gas_enough(here: Pit, node: Anvil, says: bool) -> None:
    """
    On a chain where a transaction that does nothing takes 90,000 gas the nonce of a late swap is used up all the same,
    also where the node does not say how much it takes; and with no more gas than the swap had.
    """

    def refuses(call: Call) -> Any:
        raw = HexBytes(call["params"][0])
        gas = TypedTransaction.from_bytes(raw).as_dict()["gas"]
        limits.append(gas)
        if gas < 90_000:
            return {"error": {"code": -32000, "message": "intrinsic gas too low"}}
        passed.append(raw)
        return "0x" + "00" * 32

    limits: list[int] = []
    passed: list[HexBytes] = []
    async with NodeServer(node.url) as server, trader(here, url=server.url) as one:
        one.order(Side.SELL, "4", "240", for_s=60)
        await one.ticks(3)
        booked = one.booked()[0]
        await node.reorg(1)
        one.at_ns += 90 * 10**9
        server.instead["eth_sendRawTransaction"] = refuses
        said: Any = "0x15f90" if says else {"error": {"code": -32601, "message": "no such method"}}
        server.instead["eth_estimateGas"] = lambda call: said
        for _ in range(4):
            await one.ticks()
            for raw in passed:
                await node.rpc("eth_sendRawTransaction", "0x" + raw.hex().removeprefix("0x"))
            passed.clear()
            await node.mine()
        await one.ticks()
        assert (-4, 0) == (booked, one.booked()[0])
        assert "deadline" in one.told("reason")
        assert all(gas >= 90_000 for gas in limits)
        assert limits if not says else 135_000 in limits
