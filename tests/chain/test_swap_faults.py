"""Rows 47 to 51 of the fault matrix: what the market, gas and tokens do to a swap, and what holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.amm.forks import Family
from connectors.evm.data_fees import Habit, Publishing
from connectors.evm.fees import Caps
from connectors.evm.tokens_identity import IMPLEMENTATION_SLOT
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import DOLLAR, GWEI, STOCK, Pit, by_hand, pit, price_oracle, sent, trader, waiting
from tests.servers.anvil import Anvil


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


@pytest.fixture
async def here(chain: Parts, node: Anvil) -> Pit:
    """A pool on it."""
    return await pit(chain, node)


# --- 47, 48: it comes out otherwise than it was rehearsed


@pytest.mark.parametrize("limit", ["249", "225"])
async def test_row_47_and_48_whoever_comes_before_us_costs_us_the_limit_at_most(
    here: Pit, node: Anvil, limit: str
) -> None:
    """
    Somebody sells 200 stocks in the same block before our swap. Beyond the limit it reverts: gas is booked, nothing is
    tried again and nothing moved; within it the fill is at the limit or better, at the price that was paid.
    """
    async with trader(here) as one:
        before = await one.balances()
        await sent(one, limit=limit)
        wei = int(await node.rpc("eth_getBalance", one.address, "latest"), 16)
        gas = one.ledger.gas
        data = here.router.artifact.data(
            "exactInputSingle",
            (here.token.address, here.coin.address, here.route.fee, node.accounts[0], 2**40, 200 * STOCK, 0, 0),
        )
        wish = {"from": node.accounts[0], "to": here.router.address, "data": "0x" + data.hex(), "gas": hex(10**6)}
        await node.rpc(
            "eth_sendTransaction", wish | {"maxFeePerGas": hex(90 * GWEI), "maxPriorityFeePerGas": hex(80 * GWEI)}
        )
        await node.mine()
        for _ in range(4):
            await one.ticks()
            await node.mine()
        spent = Decimal(wei - int(await node.rpc("eth_getBalance", one.address, "latest"), 16)) / 10**18 * 2_000
        assert spent == one.ledger.gas - gas > 0
        after = await one.balances()
        assert 0 == await here.token.read("allowance", one.address, here.router.address)
        if limit == "249":
            assert (before, 3) == (after, await one.count())
            assert ["approve", "reverted", "revoke"] == one.told("detail")
            assert (0, 0) == one.booked()
        else:
            (fill,) = one.reports[-1].fills
            assert (2, True) == (await one.count(), 225 <= fill.price < 228)
            assert Decimal(after[1] - before[1]) / DOLLAR == one.booked()[1] >= 4 * 225


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize(("side", "limit"), [(Side.SELL, "249"), (Side.BUY, "251")])
async def test_row_48_a_pool_that_was_drained_is_seen_before_anything_is_sent(
    chain: Parts, node: Anvil, family: Family, side: Side, limit: str
) -> None:
    """
    When the price is gone before we send, the rehearsal says so: no transaction, no gas, a reason. Back within the
    limit it goes through.
    """
    here = await pit(chain, node, family)
    async with trader(here) as one:
        await here.swap(side, 200 * STOCK)
        one.order(side, "4", limit)
        await one.ticks(2)
        (report,) = one.reports
        assert (Outcome.REFUSED, "simulation", True) == (report.outcome, report.reason, report.final)
        assert (0, 0) == (await one.count(), one.ledger.gas)
        await here.swap(Side.BUY if side is Side.SELL else Side.SELL, 203 * STOCK)
        one.order(side, "4", limit, id="two")
        await one.ticks(4)
        (fill,) = [fill for report in one.reports for fill in report.fills]
        assert fill.price >= 249 if side is Side.SELL else fill.price <= 251


@pytest.mark.parametrize("family", list(Family))
async def test_row_48_a_swap_that_waits_beyond_its_deadline_moves_nothing(
    chain: Parts, node: Anvil, family: Family
) -> None:
    """
    A block later than the deadline reverts the swap, be the price as good as it may: the contract itself refuses it.
    """
    here = await pit(chain, node, family)
    async with trader(here) as one:
        before = await one.balances()
        one.order(Side.SELL, "4", "240")
        await one.ticks(2 if family is Family.V4 else 1)
        await by_hand(node)
        await one.ticks()
        assert 1 == len(await waiting(node))
        await node.at(one.at_ns // 10**9 + 601)
        await one.ticks()
        assert (Outcome.REFUSED, "reverted") == (one.reports[-1].outcome, one.reports[-1].reason)
        assert before == await one.balances()


# --- 49: gas


async def test_row_49_when_gas_costs_more_than_the_edge_the_swap_is_skipped(here: Pit, node: Anvil) -> None:
    """
    At gas fifty times as dear the edge of a swap is gone and it is refused with the reason gas; one with an edge that
    is large enough goes on, and one above the operator's cap does not, whatever its edge.
    """
    async with trader(here, caps=Caps(max_fee_wei=100 * GWEI, max_priority_wei=GWEI, max_cost_usd=Decimal(2))) as one:
        await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI // 5))
        await node.mine()
        one.order(Side.SELL, "4", "240", id="cheap", edge_bps=10)
        await one.ticks(3)
        cheap = one.ledger.gas
        assert -4 == one.booked()[0]
        await by_hand(node)
        await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
        await node.mine()
        for id, edge_bps in (("dear", 10), ("dearer", 100_000)):
            one.order(Side.SELL, "4", "240", id=id, edge_bps=edge_bps)
            await one.ticks()
            assert (id, "gas") == (one.reports[-1].intent_id, one.reports[-1].reason)
        assert (cheap, 2) == (one.ledger.gas, await one.count())
    wide = Caps(max_fee_wei=1_000 * GWEI, max_priority_wei=3 * GWEI, max_cost_usd=Decimal(1_000))
    async with trader(here, caps=wide, records=one.records, funded=False) as one:
        one.order(Side.SELL, "4", "240", id="worth it", edge_bps=100_000)
        await one.ticks()
        await node.mine()
        await one.ticks()
        assert "approve" == one.reports[-1].detail


async def test_row_49_publishing_on_the_chain_below_counts(chain: Parts, here: Pit, node: Anvil) -> None:
    """
    What an oracle of the chain asks for publishing is part of the cost: it refuses a swap that would else pay, also one
    of which the approval alone would pay, and is booked where the receipt does not say another one.
    """
    oracle = await price_oracle(chain, node)
    async with trader(here, habit=Habit(Publishing.OP_STACK)) as one:
        for wei in (10**16, 2 * 10**15):
            await oracle.write("set", wei)
            one.order(Side.SELL, "4", "240", id=f"dear at {wei}")
            await one.ticks()
            assert (Outcome.REFUSED, "gas") == (one.reports[-1].outcome, one.reports[-1].reason)
        await oracle.write("set", 10**14)
        wei = int(await node.rpc("eth_getBalance", one.address, "latest"), 16)
        one.order(Side.SELL, "4", "240", id="paid")
        await one.ticks(3)
        spent = wei - int(await node.rpc("eth_getBalance", one.address, "latest"), 16)
        assert Decimal(spent + 2 * 10**14) / 10**18 * 2_000 == one.ledger.gas


async def test_row_49_nothing_is_swapped_where_publishing_may_cost_anything(here: Pit, node: Anvil) -> None:
    """
    On a chain of which nobody said what publishing costs a swap is refused, and nothing is sent.
    """
    async with trader(here, habit=None) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks()
        assert (Outcome.REFUSED, "cost_unknown", True) == (
            one.reports[-1].outcome, one.reports[-1].reason, one.reports[-1].final,
        )  # fmt: skip
        assert "what chain 31337 takes for publishing is not known" == one.reports[-1].detail
        assert 0 == await one.count()


async def test_row_49_a_wallet_that_cannot_pay_the_gas_signs_nothing(here: Pit, node: Anvil) -> None:
    """
    Without a coin of the chain a leg is refused with what is there and what it may take, and nothing is signed that
    would be in everybody's way; with one the next leg goes through.
    """
    async with trader(here) as one:
        await node.fund(one.address, 10**9)
        one.order(Side.SELL, "4", "240")
        await one.ticks(2)
        (report,) = one.reports
        assert (Outcome.REFUSED, "gas", True) == (report.outcome, report.reason, report.final)
        assert "the wallet holds 1000000000" in report.detail
        assert ([], 0) == (one.records.payloads, await one.count())
        await node.fund(one.address, 10**18)
        one.order(Side.SELL, "4", "240", id="two")
        await one.ticks(3)
        assert -4 == one.booked()[0]


# --- 50: the token turns bad


@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
@pytest.mark.parametrize("how", ["pause", "block", "fee"])
async def test_row_50_a_token_that_turned_bad_is_found_out_before_it_costs(
    here: Pit, node: Anvil, side: Side, how: str
) -> None:
    """
    Paused, our address blocked, or a fee on transfers: the rehearsal finds it, the token is stuck with the reason,
    nothing is sent; when it is over the next order goes through.
    """
    words = {"pause": "while paused", "block": "address blocked", "fee": "arrive"}
    turn: dict[str, tuple[str, tuple[Any, ...], tuple[Any, ...]]] = {
        "pause": ("setPause", (True,), (False,)),
        "block": ("setBlocked", ("", True), ("", False)),
        "fee": ("setFee", (100,), (0,)),
    }
    function, on, off = turn[how]
    async with trader(here) as one:
        fill = tuple(one.address if value == "" else value for value in on)
        await here.token.write(function, *fill)
        one.order(side, "4", "240" if side is Side.SELL else "260")
        await one.ticks(2)
        (report,) = one.reports
        assert (Outcome.REFUSED, "token", True) == (report.outcome, report.reason, report.final)
        assert words[how] in report.detail
        assert [here.token.address.lower()] == list(one.executor.stuck)
        assert (0, 0) == (await one.count(), one.ledger.gas)
        await here.token.write(function, *(one.address if value == "" else value for value in off))
        one.order(side, "4", "240" if side is Side.SELL else "260", id="two")
        await one.ticks(3)
        assert (4 if side is Side.BUY else -4, {}) == (one.booked()[0], one.executor.stuck)


async def test_row_50_a_fee_that_is_switched_on_after_the_rehearsal_is_booked_as_delivered(
    here: Pit, node: Anvil
) -> None:
    """
    A fee on transfers that comes between rehearsal and block takes part of what was bought: what arrived is booked.
    """
    async with trader(here) as one:
        await sent(one, Side.BUY, "260")
        data = here.token.artifact.data("setFee", 100)
        wish = {"from": node.accounts[0], "to": here.token.address, "data": "0x" + data.hex(), "gas": hex(10**6)}
        await node.rpc(
            "eth_sendTransaction", wish | {"maxFeePerGas": hex(90 * GWEI), "maxPriorityFeePerGas": hex(80 * GWEI)}
        )
        before = await one.balances()
        await node.mine()
        await one.ticks()
        after = await one.balances()
        assert Decimal("3.96") == one.booked()[0] == Decimal(after[0] - before[0]) / STOCK
        assert Decimal(after[1] - before[1]) / DOLLAR == one.booked()[1]
        assert "3.96" in one.reports[-1].detail


# --- 51: look-alikes


@pytest.mark.parametrize("which", ["token", "pool", "router", "coin"])
async def test_row_51_a_contract_that_is_not_the_one_on_the_list_is_not_touched(
    chain: Parts, here: Pit, node: Anvil, which: str
) -> None:
    """
    Another code at the address of token, pool, router or coin, even one that names the right code as the implementation
    it is a proxy of: no approval, no swap, and the reason names it.
    """
    contract = getattr(here.route, which)
    other = await node.deploy(chain.artifact("Coin"), "Tesla xStock", "TSLAx", 18)
    async with trader(here) as one:
        code = await node.rpc("eth_getCode", contract.address, "latest")
        changed = code[:-2] + ("00" if code[-2:] != "00" else "01")
        await node.rpc("anvil_setCode", contract.address, changed)
        one.order(Side.SELL, "4", "240")
        await one.ticks(2)
        (report,) = one.reports
        assert (Outcome.REFUSED, "identity") == (report.outcome, report.reason)
        assert contract.address in report.detail
        # Code that is not the token's, and says that it is a proxy of one that is.
        twin = "0x" + "5a" * 20
        await node.rpc("anvil_setCode", twin, code)
        await node.rpc("anvil_setCode", contract.address, "0x60006000fd")
        await node.rpc("anvil_setStorageAt", contract.address, hex(IMPLEMENTATION_SLOT), "0x" + twin[2:].zfill(64))
        one.order(Side.SELL, "4", "240", id="proxy")
        await one.ticks(2)
        assert (Outcome.REFUSED, "identity") == (one.reports[-1].outcome, one.reports[-1].reason)
        await node.rpc("anvil_setStorageAt", contract.address, hex(IMPLEMENTATION_SLOT), "0x" + "0" * 64)
        await node.rpc("anvil_setCode", contract.address, "0x")
        one.order(Side.SELL, "4", "240", id="two")
        await one.ticks(2)
        assert "no code" in one.reports[-1].detail
        assert 0 == await one.count()
        assert 0 == await other.read("allowance", one.address, here.router.address)
        await node.rpc("anvil_setCode", contract.address, code)
        one.order(Side.SELL, "4", "240", id="three")
        await one.ticks(3)
        assert -4 == one.booked()[0]
