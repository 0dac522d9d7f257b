"""Rows 41 to 51 and 53 of the fault matrix: what a chain, its nodes and its tokens do to a swap, and what holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from inspect import Parameter, signature
from itertools import pairwise
from typing import Any, cast

import pytest

from bot.clock import monotonic_s
from connectors.amm.forks import Family
from connectors.errors import BadMessage, ConnectorError, VenueUnreachable, WrongChain
from connectors.evm.data_fees import PRICE_ORACLE, Habit, Publishing
from connectors.evm.fees import Caps
from connectors.evm.node import Agreed, alone
from connectors.evm.rpc import Rpc
from connectors.evm.rpcs import Rpcs
from connectors.evm.tokens_identity import IMPLEMENTATION_SLOT
from connectors.evm.wallet import Wallet
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import DOLLAR, GWEI, STOCK, Pit, Trader, pit, price_oracle, trader
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


async def by_hand(node: Anvil) -> None:
    """From now on only `mine` makes blocks."""
    await node.rpc("evm_setAutomine", False)


async def sent(one: Trader, side: Side = Side.SELL, limit: str = "240") -> None:
    """An order whose approval is mined and whose swap is sent; from now on only `mine` makes blocks."""
    one.order(side, "4", limit)
    await one.ticks()
    await by_hand(one.pit.node)
    await one.ticks()
    assert ["approve"] == one.told("detail")


async def waiting(node: Anvil) -> list[dict[str, Any]]:
    """Transactions in the node's pool."""
    found = await node.rpc("txpool_content")
    return [one for sender in found["pending"].values() for one in sender.values()]


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
