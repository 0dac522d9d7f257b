"""Swaps on the real exchanges through the executor: what is asked, what is paid, what is told, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from connectors.amm.forks import Family
from connectors.evm.abi import Method
from connectors.evm.data_fees import Habit, Publishing
from connectors.evm.keys import APPROVE, PERMIT
from connectors.orders import Approved, Intent, Leg, Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import DOLLAR, PRICE, STOCK, Kept, pit, price_oracle, trader
from tests.servers.anvil import Anvil
from tests.servers.node import Call, NodeServer


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize(("side", "limit"), [(Side.SELL, "248"), (Side.BUY, "252")])
async def test_a_swap_settles_and_is_booked_to_the_smallest_unit(
    chain: Parts, node: Anvil, family: Family, side: Side, limit: str
) -> None:
    """
    Selling or buying three stocks moves exactly what the ledger books: tokens, coins and gas; nothing may be spent any
    more afterwards, and the leg is final once no reorg can change it.
    """
    here = await pit(chain, node, family)
    async with trader(here) as one:
        before = await one.balances()
        wei = int(await node.rpc("eth_getBalance", one.address, "latest"), 16)
        one.order(side, "3", limit)
        tasks = 3 if family is Family.V4 else 2
        # A purchase is allowed a little more than it pays, and that is taken back.
        back = 0 if side is Side.SELL else 2 if family is Family.V4 else 1
        await one.ticks(tasks + back + 1)
        after = await one.balances()
        token, coin = (Decimal(b - a) for a, b in zip(before, after, strict=True))
        sign = 1 if side is Side.BUY else -1
        assert sign * 3 * STOCK == token, one.reports
        assert sign * 3 * 250 * DOLLAR == pytest.approx(float(-coin), rel=0.006)
        assert (token / STOCK, coin / DOLLAR) == one.booked()
        spent = wei - int(await node.rpc("eth_getBalance", one.address, "latest"), 16)
        assert Decimal(spent) / 10**18 * 2_000 == one.ledger.gas
        assert 0 == await here.token.read("allowance", one.address, here.route.spender)
        unknown = Outcome.UNKNOWN
        assert [*(tasks - 1) * [unknown], Outcome.ACCEPTED, *back * [unknown]] == one.told("outcome")
        assert (tasks + back) * [False] == one.told("final")
        await node.mine(10)
        await one.ticks(1)
        assert (Outcome.ACCEPTED, True, ()) == (one.reports[-1].outcome, one.reports[-1].final, one.reports[-1].fills)
        assert (tasks + back, 1) == (await one.count(), sum(one.told("final")))


async def test_a_swap_in_a_later_second_than_its_rehearsal_has_gas_enough(chain: Parts, node: Anvil) -> None:
    """
    A v2 pair writes its price history in the first swap of a second: 44,000 gas that a rehearsal does not see
    which runs in the second of the pair's last move.
    """
    await node.rpc("anvil_setBlockTimestampInterval", 0)
    here = await pit(chain, node, Family.V2)
    async with trader(here) as one:
        one.order(Side.SELL, "3", "240")
        await one.ticks(1)
        await node.rpc("anvil_removeBlockTimestampInterval")
        await node.rpc("evm_setNextBlockTimestamp", await node.now() + 12)
        await one.ticks(2)
        assert [Outcome.UNKNOWN, Outcome.ACCEPTED] == one.told("outcome"), one.reports
        assert Decimal(-3) == one.booked()[0]


async def test_a_stock_whose_balances_are_shares_settles_too(chain: Parts, node: Anvil) -> None:
    """
    A token of balances times a multiplier that is no round number: what is booked is what the receipt says, and the
    balance agrees to the last unit that the token itself can tell.
    """
    stock = await node.deploy(chain.artifact("XStock"), "Tesla xStock", "TSLAx")
    await stock.write("update", 1_234_567_890_123_456_789)
    here = await pit(chain, node, Family.V2, stock=stock)
    async with trader(here) as one:
        before = await one.balances()
        one.order(Side.BUY, "4", "252")
        await one.ticks(3)
        after = await one.balances()
        assert 4 == one.booked()[0]
        assert 4 * STOCK == pytest.approx(after[0] - before[0], abs=2)
        assert Decimal(after[1] - before[1]) / DOLLAR == one.booked()[1]


async def test_legs_are_swapped_in_turn_and_an_allowance_is_exact(chain: Parts, node: Anvil) -> None:
    """
    Orders follow each other. What one may spend and did not is taken back before the next one is allowed exactly its
    own, as some coins want it, and behind the last one too.
    """
    here = await pit(chain, node)
    async with trader(here) as one:
        one.order(Side.BUY, "4", "260", id="first")
        one.order(Side.BUY, "1", "260", id="second")
        one.order(Side.BUY, "2", "260", id="third")
        await one.ticks(10)
        assert 7 == one.booked()[0]
        assert 0 == await here.coin.read("allowance", one.address, here.router.address)
        assert 3 * ["approve", "", "revoke"] == one.told("detail")


@pytest.mark.parametrize("family", [Family.V3, Family.V4])
async def test_an_allowance_that_is_larger_than_needed_is_not_left(chain: Parts, node: Anvil, family: Family) -> None:
    """
    What somebody may spend from before, however much, is taken back and set to what the order needs: after a sale,
    which needs all of it, nothing may be spent any more, at Permit2 neither.
    """
    here = await pit(chain, node, family)
    async with trader(here) as one:
        token, router = here.route.token.address, here.route.router.address
        await node.become(one.address)
        calls = [APPROVE.call(token, here.route.spender, 2**255)]
        if here.route.permit:
            calls.append(PERMIT.call(here.route.permit.address, token, router, 2**159, 2**47))
        for call in calls:
            await node.send(call.to, call.data, sender=one.address)
        one.order(Side.SELL, "4", "240")
        await one.ticks(5)
        assert -4 == one.booked()[0]
        assert 0 == await here.token.read("allowance", one.address, here.route.spender)
        if here.route.permit:
            call = Method("allowance", ("address", "address", "address"), ("uint160", "uint48", "uint48")).call(
                here.route.permit.address, one.address, token, router
            )
            answer = await one.rpc.call(call, await one.rpc.head())
            assert 0 == int.from_bytes(answer[:32], "big")


async def test_a_token_that_rounds_its_allowances_up_is_asked_for_one_only(chain: Parts, node: Anvil) -> None:
    """
    An allowance that comes out a unit larger than it was given is not given again and again: one approval, one swap.
    """
    here = await pit(chain, node)
    async with trader(here) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks()
        await node.become(one.address)
        one.wallet.nonces.next = 2
        call = APPROVE.call(here.route.token.address, here.route.spender, 4 * STOCK + 1)
        await node.send(call.to, call.data, sender=one.address)
        await one.ticks(3)
        assert (-4, ["approve", "", "revoke"]) == (one.booked()[0], one.told("detail"))


async def test_the_legs_of_an_intent_share_one_edge(chain: Parts, node: Anvil) -> None:
    """
    An edge that pays for what one leg and a half cost lets the first one be swapped and the second not; one that pays
    for three lets both. A leg costs 0.40 USD for publishing, and gas of a few cents.
    """
    here = await pit(chain, node)
    oracle = await price_oracle(chain, node)
    await oracle.write("set", 10**14)
    async with trader(here, habit=Habit(Publishing.OP_STACK)) as one:
        for edge_usd, swapped in ((0.65, 1), (1.5, 2)):
            legs = tuple(
                Leg(instrument=0, side=side, quantity=Decimal(1), limit=Decimal(limit), seen=Decimal(PRICE))
                for side, limit in ((Side.SELL, "240"), (Side.BUY, "260"))
            )
            intent = Intent(
                id=f"pays-{edge_usd}", strategy="test", legs=legs, reason="", edge_bps=edge_usd * 10_000,
                notional_usd=Decimal(1), deadline_ns=one.at_ns + 600 * 10**9,
            )  # fmt: skip
            one.executor.submit(Approved(intent), one.at_ns)
            await one.ticks(5)
            reports = [report for report in one.reports if report.intent_id == intent.id]
            assert swapped == sum(len(report.fills) for report in reports)
            assert (2 - swapped) * ["gas"] == [report.reason for report in reports if report.reason]


async def test_an_order_that_cannot_be_right_is_refused_in_one_word(chain: Parts, node: Anvil) -> None:
    """
    No pool, no time left, no money, an amount below the smallest unit, a price of gas that is not known: each says so,
    final, and nothing is sent.
    """
    here = await pit(chain, node)
    async with trader(here) as one:
        one.order(Side.SELL, "4", "240", id="late", for_s=-1)
        one.order(Side.SELL, "4000", "1", id="rich")
        one.order(Side.SELL, "0.0000000000000000001", "240", id="dust")
        await one.ticks()
        assert ["deadline", "balance", "amount"] == one.told("reason")
        one.native_usd = None
        one.order(Side.SELL, "4", "240", id="unknown")
        await one.ticks()
        assert ("cost_unknown", 4 * [True], 4 * [Outcome.REFUSED]) == (
            one.reports[-1].reason, one.told("final"), one.told("outcome"),
        )  # fmt: skip
        assert 0 == await one.count()


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_send_without_an_answer_is_unknown_and_not_failed(chain: Parts, node: Anvil, arrives: bool) -> None:
    """
    The node breaks off when it is handed the swap, having taken it or not: that is told as unknown; what happened is
    found out, the swap happens once and is booked once.
    """
    here = await pit(chain, node)
    async with NodeServer(node.url) as server, trader(here, url=server.url) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks()
        taken: list[str] = []

        def lost(call: Call) -> dict[str, object]:
            taken.append(call["params"][0])
            return {"error": {"code": -32000, "message": "the connection was closed"}}

        server.instead["eth_sendRawTransaction"] = lost
        await one.executor.tick()
        assert (Outcome.UNKNOWN, False) == (one.reports[-1].outcome, one.reports[-1].final)
        server.instead.clear()
        if arrives:
            await node.rpc("eth_sendRawTransaction", taken[0])
            await one.mined()
        for _ in range(3):
            await node.mine()
            await one.ticks()
        assert (-4, 2, {1}) == (one.booked()[0], await one.count(), one.nonces()["one-0.swap"])
        assert 1 == sum(len(report.fills) for report in one.reports)


async def test_a_relay_gets_what_is_sent_and_nobody_else_does(chain: Parts, node: Anvil) -> None:
    """
    With a relay the node is never handed a transaction; one that no block takes is handed to the relay again only when
    it is overdue, under its nonce.
    """
    here = await pit(chain, node)
    async with (
        NodeServer(node.url) as public,
        NodeServer(node.url) as relay,
        trader(here, url=public.url, relay=relay.url) as one,
    ):
        one.order(Side.SELL, "4", "240")
        await one.ticks()
        relay.instead["eth_sendRawTransaction"] = lambda call: "0x" + "00" * 32
        await one.executor.tick()
        relay.calls.clear()
        for blocks in range(5):
            handed = sum(call["method"] == "eth_sendRawTransaction" for call in relay.calls)
            assert handed == 0 or blocks > 2
            await node.mine()
            await one.executor.tick()
        relay.instead.clear()
        for _ in range(4):
            await node.mine()
            await one.ticks()
        assert (-4, {1}) == (one.booked()[0], one.nonces()["one-0.swap"])
        assert "eth_sendRawTransaction" not in {call["method"] for call in public.calls}


async def test_nothing_is_sent_before_its_record_is_durable(chain: Parts, node: Anvil) -> None:
    """
    While the disk has not answered, the node is handed nothing; when it has failed, nothing is ever sent.
    """
    here = await pit(chain, node)
    async with NodeServer(node.url) as server:
        for fails in (False, True):
            slow = Slow()
            async with trader(here, url=server.url, records=slow) as one:
                one.order(Side.SELL, "4", "240", id=f"fails {fails}")
                server.calls.clear()
                tick = asyncio.create_task(one.executor.tick())
                await slow.asked.wait()
                assert "eth_sendRawTransaction" not in {call["method"] for call in server.calls}
                slow.failed = fails
                slow.answered.set()
                if not fails:
                    await tick
                    await one.mined()
                    await one.ticks(2)
                    assert (-4, 2) == (one.booked()[0], await one.count())
                    continue
                for _ in range(2):
                    with pytest.raises(OSError, match="the disk is full"):
                        await (tick if not tick.done() else one.executor.tick())
                    await node.mine()
                assert "eth_sendRawTransaction" not in {call["method"] for call in server.calls}
                assert 2 == await one.count()


class Slow(Kept):
    """Records on a disk that answers when a test says so, or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answered, self.failed = asyncio.Event(), asyncio.Event(), False

    async def wait(self, seq: int) -> None:
        """Until the disk has answered."""
        self.asked.set()
        await self.answered.wait()
        if self.failed:
            raise OSError("the disk is full")
