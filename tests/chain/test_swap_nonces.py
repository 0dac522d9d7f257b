"""Rows 41 to 44 of the fault matrix: what reorgs and nonces do to a swap, and what holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from typing import Any, cast

import pytest

from bot.clock import monotonic_s
from connectors.errors import VenueUnreachable
from connectors.evm.fees import Caps
from connectors.evm.node import Agreed, alone
from connectors.evm.rpc import Rpc
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import DOLLAR, GWEI, STOCK, Pit, pit, sent, trader, waiting
from tests.servers.anvil import Anvil
from tests.servers.node import NodeServer


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


@pytest.fixture
async def here(chain: Parts, node: Anvil) -> Pit:
    """A pool on it."""
    return await pit(chain, node)


# --- 41: a reorg takes our swap out


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
async def test_row_41_a_reorg_undoes_the_fill_and_the_swap_is_sent_again_once(
    here: Pit, node: Anvil, depth: int
) -> None:
    """
    After a reorg of depth 1 to 6 positions and cash are what they were before the swap; it is sent again under its own
    nonce after that was seen to be free, and in the end it is booked once.
    """
    async with trader(here) as one:
        before = await one.balances()
        one.order(Side.SELL, "4", "240")
        await one.ticks(3)
        booked = one.booked()
        assert -4 == booked[0]
        await node.mine(depth - 1)
        await node.reorg(depth)
        begun = monotonic_s()
        # The whole wallet may have been reorganized; blocks come meanwhile.
        await one.ticks()
        assert (0, 0) == one.booked()
        print(f"noticed in {monotonic_s() - begun:.3f} s")
        assert await one.balances() == before
        for _ in range(4):
            await node.mine()
            await one.ticks()
        assert booked == one.booked()
        assert 2 == await one.count()
        assert {"one-0.approve": {0}, "one-0.swap": {1}} == one.nonces()
        await node.mine(10)
        await one.ticks()
        assert (True, Outcome.ACCEPTED) == (one.reports[-1].final, one.reports[-1].outcome)
        assert 1 == sum(len(r.fills) for r in one.reports) - sum(len(r.undone) for r in one.reports)
        after = await one.balances()
        assert (Decimal(after[0] - before[0]) / STOCK, Decimal(after[1] - before[1]) / DOLLAR) == one.booked()


async def test_row_41_nothing_is_sent_again_after_its_deadline(here: Pit, node: Anvil) -> None:
    """
    A swap that a reorg took out too late is never sent again; its nonce is used up for nothing, and the leg is refused.
    """
    async with trader(here) as one:
        one.order(Side.SELL, "4", "240", for_s=60)
        await one.ticks(3)
        before = len(one.records.payloads)
        await node.reorg(1)
        one.at_ns += 90 * 10**9
        for _ in range(4):
            await one.ticks()
            await node.mine()
        assert (0, 0) == one.booked()
        assert (Outcome.REFUSED, "deadline") == (one.reports[-1].outcome, one.reports[-1].reason)
        assert 2 == await one.count() < before


# --- 42: stuck


async def test_row_42_a_stuck_transaction_is_replaced_under_its_nonce_within_the_cap(here: Pit, node: Anvil) -> None:
    """
    Blocks that cost more than it offers pass it by: each replacement has the same nonce, pays at least a tenth more,
    never more than the cap, and is durable before it is sent; one of them is mined, and one fill is booked.
    """
    caps = Caps(max_fee_wei=12 * GWEI, max_priority_wei=3 * GWEI, max_cost_usd=Decimal(50))
    async with trader(here, caps=caps) as one:
        await sent(one)
        offered = []
        while not one.booked()[0]:
            offered += [int(each["maxFeePerGas"], 16) for each in await waiting(node)]
            await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(min(offered[-1] + 1, 8 * GWEI)))
            await node.mine()
            await one.ticks()
        ladder = sorted(set(offered))
        assert ladder == list(dict.fromkeys(offered))
        assert len(ladder) >= 3
        assert all(1.1 * low <= high <= 12 * GWEI for low, high in pairwise(ladder))
        assert ({1}, 2) == (one.nonces()["one-0.swap"], await one.count())
        assert 1 == sum(len(report.fills) for report in one.reports)


async def test_row_42_at_the_cap_it_waits_and_says_so(here: Pit, node: Anvil) -> None:
    """
    Where the cap forbids a replacement none is signed; it waits, is told to be at its cap, and is mined once gas falls.
    """
    caps = Caps(max_fee_wei=3 * GWEI, max_priority_wei=2 * GWEI, max_cost_usd=Decimal(50))
    async with trader(here, caps=caps) as one:
        await sent(one)
        signed = len(one.records.payloads)
        for _ in range(12):
            await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
            await node.mine()
            await one.ticks()
        assert {"one-0.swap"} == one.wallet.capped
        assert (0, 1) == (one.booked()[0], await one.count())
        assert len(one.records.payloads) <= signed + 2
        for _ in range(4):
            await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
            await node.mine()
            await one.ticks()
        assert (-4, set()) == (one.booked()[0], one.wallet.capped)


# --- 43: dropped


async def test_row_43_a_dropped_transaction_is_sent_again_once(here: Pit, node: Anvil) -> None:
    """
    What the node no longer knows and no block has is sent again under its nonce, once, and booked once.
    """
    async with NodeServer(node.url) as server, trader(here, url=server.url) as one:
        await sent(one)
        (gone,) = await waiting(node)
        await node.rpc("anvil_dropTransaction", gone["hash"])
        assert [] == await waiting(node)
        server.calls.clear()
        await node.mine()
        await one.ticks(3)
        (again,) = await waiting(node)
        assert gone["nonce"] == again["nonce"]
        assert 1 == sum(call["method"] == "eth_sendRawTransaction" for call in server.calls)
        await node.mine()
        await one.ticks()
        assert (-4, 2) == (one.booked()[0], await one.count())


# --- 44: somebody else uses the key


async def test_row_44_a_foreign_transaction_pauses_until_an_operator_says_so(here: Pit, node: Anvil) -> None:
    """
    A transaction that is not ours stops all sending, with a reason; once an operator says so, nonces go on behind it.
    """
    async with trader(here) as one:
        one.order(Side.SELL, "4", "240", id="first")
        await one.ticks(3)
        await node.become(one.address)
        await node.send(one.address, sender=one.address, gas=21_000)
        one.order(Side.SELL, "4", "240", id="second")
        await one.ticks(3)
        assert (Outcome.REFUSED, "nonce") == (one.reports[-1].outcome, one.reports[-1].reason)
        assert "nonces 2 to 2 were used by transactions that are not ours" == one.reports[-1].detail
        assert 3 == await one.count()
        await one.wallet.resume("it was me")
        one.order(Side.SELL, "4", "240", id="third")
        await one.ticks(3)
        assert (-8, 5) == (one.booked()[0], await one.count())


async def test_row_44_a_nonce_that_was_taken_from_under_a_swap_ends_it(here: Pit, node: Anvil) -> None:
    """
    When somebody else's transaction takes the nonce of a swap that waits, the swap is given up only when no reorg can
    bring it back; it is not sent under another nonce, and everything pauses.
    """
    async with trader(here, confirmations=3) as one:
        await sent(one)
        (ours,) = await waiting(node)
        await node.rpc("anvil_dropTransaction", ours["hash"])
        await node.become(one.address)
        wish = {"from": one.address, "to": one.address, "gas": hex(21_000), "maxFeePerGas": hex(50 * GWEI)}
        await node.rpc("eth_sendTransaction", wish | {"maxPriorityFeePerGas": hex(GWEI), "nonce": ours["nonce"]})
        await node.mine()
        await one.ticks()
        assert [False] == [report.final for report in one.reports[1:]] or not one.reports[1:]
        await node.mine(4)
        await one.ticks(2)
        assert (Outcome.REFUSED, "nonce") == (one.reports[-1].outcome, one.reports[-1].reason)
        assert "not ours" in one.wallet.nonces.paused
        assert (0, 2) == (one.booked()[0], await one.count())
        # What the leg let the router spend can be taken back only now, and then the leg is final.
        await one.wallet.resume("it was me")
        for _ in range(3):
            await one.ticks()
            await node.mine(3)
        assert (Outcome.REFUSED, True, 1) == (
            one.reports[-1].outcome, one.reports[-1].final, sum(one.told("final")),
        )  # fmt: skip
        assert 0 == await here.token.read("allowance", one.address, here.router.address)


async def test_row_44_a_swap_without_a_receipt_is_unknown_however_deep_it_is(here: Pit, node: Anvil) -> None:
    """
    A node that counts our swap deep in the chain and has no receipt of it says nothing of what came of it: the swap is
    not given up, that is told as trouble, and once receipts are there it is booked.
    """
    async with NodeServer(node.url) as server, trader(here, url=server.url, confirmations=3) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks(2)
        told = len(one.reports)
        server.instead["eth_getTransactionReceipt"] = lambda call: None
        for blocks in (5, 1, 40):
            await node.mine(blocks)
            with suppress(VenueUnreachable):
                await one.ticks(2)
        assert Outcome.REFUSED not in one.told("outcome")
        assert ("", told) == (one.wallet.nonces.paused, len(one.reports))
        with pytest.raises(VenueUnreachable, match="nonce 1 is used, and no receipt says what came of it"):
            await one.executor.tick()
        server.instead.clear()
        await one.ticks(3)
        assert (-4, True, Outcome.ACCEPTED) == (one.booked()[0], one.reports[-1].final, one.reports[-1].outcome)


async def test_row_44_what_used_a_nonce_must_be_shown(here: Pit, node: Anvil) -> None:
    """
    A node without the blocks of then cannot show that it was not our swap that used its nonce: it is not given up
    before one can.
    """
    pruned: list[Pruned] = []

    def agreed(rpcs: list[Rpc]) -> Agreed:
        pruned.append(Pruned(rpcs[0]))
        return alone(cast(Any, pruned[0]))

    async with trader(here, confirmations=3, agreed=agreed) as one:
        await sent(one)
        (ours,) = await waiting(node)
        await node.rpc("anvil_dropTransaction", ours["hash"])
        await node.become(one.address)
        wish = {"from": one.address, "to": one.address, "gas": hex(21_000), "maxFeePerGas": hex(50 * GWEI)}
        await node.rpc("eth_sendTransaction", wish | {"maxPriorityFeePerGas": hex(GWEI), "nonce": ours["nonce"]})
        await node.mine(6)
        await one.ticks()
        with pytest.raises(VenueUnreachable, match="no receipt"):
            await one.executor.tick()
        assert Outcome.REFUSED not in one.told("outcome")
        pruned[0].whole = True
        await one.ticks()
        assert (Outcome.REFUSED, "nonce") == (one.reports[-1].outcome, one.reports[-1].reason)


class Pruned:
    """A node that no longer has the transactions of its blocks, until it is whole."""

    def __init__(self, node: Rpc) -> None:
        self.node, self.whole = node, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)

    async def ask(self, method: str, *params: Any) -> Any:
        """What the node answers."""
        if not self.whole and method == "eth_getBlockByNumber" and params[1:] == (True,):
            raise VenueUnreachable("pruned")
        return await self.node.ask(method, *params)
