"""What a leg lets somebody spend ends with the leg, whatever becomes of it; and what tokens make of allowances."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from connectors.amm.forks import Family
from connectors.evm.abi import Method
from connectors.orders import Approved, Intent, Leg, Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import GWEI, PRICE, STOCK, Kept, Pit, Trader, pit, trader
from tests.servers.anvil import Anvil

PERMITTED = Method("allowance", ("address", "address", "address"), ("uint160", "uint48", "uint48"))


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


@pytest.fixture
async def here(chain: Parts, node: Anvil) -> Pit:
    """A pool on it."""
    return await pit(chain, node)


async def spendable(one: Trader) -> int:
    """Units of token and coin that somebody may spend of the wallet."""
    route, found = one.pit.route, 0
    for side in (one.pit.token, one.pit.coin):
        found += await side.read("allowance", one.address, route.spender)
        if route.permit:
            asked = PERMITTED.call(route.permit.address, one.address, side.address, route.router.address)
            found += int(PERMITTED.one(await one.rpc.call(asked, await one.rpc.head())))
    return found


async def gas_usd(one: Trader, wei: int) -> Decimal:
    """USD that the wallet has paid since it had so much."""
    return Decimal(wei - int(await one.pit.node.rpc("eth_getBalance", one.address, "latest"), 16)) / 10**18 * 2_000


@pytest.mark.parametrize("family", list(Family))
async def test_after_a_purchase_nothing_may_be_spent(chain: Parts, node: Anvil, family: Family) -> None:
    """
    A purchase pays less than it may. The rest is taken back behind it, at Permit2 too, its gas is booked, and only then
    the leg is final: bought.
    """
    here = await pit(chain, node, family)
    async with trader(here, confirmations=2) as one:
        wei = 10**19
        one.order(Side.BUY, "3", "260")
        for _ in range(8):
            await one.ticks()
            await node.mine()
        assert "revoke" in one.told("detail")
        assert (3, 0, 1) == (one.booked()[0], await spendable(one), sum(one.told("final")))
        assert (Outcome.ACCEPTED, True) == (one.reports[-1].outcome, one.reports[-1].final)
        assert await gas_usd(one, wei) == one.ledger.gas


async def test_a_refusal_behind_an_approval_takes_it_back(here: Pit, node: Anvil) -> None:
    """
    The price goes between approval and swap: the leg is refused, its allowance taken back, the gas of both booked.
    """
    async with trader(here, confirmations=2) as one:
        one.order(Side.SELL, "4", "249")
        await one.ticks()
        assert 4 * STOCK == await spendable(one)
        await here.swap(Side.SELL, 200 * STOCK)
        for _ in range(4):
            await one.ticks()
            await node.mine()
        assert ["", "simulation", "", ""] == one.told("reason")
        assert (Outcome.REFUSED, True, 1) == (one.reports[-1].outcome, one.reports[-1].final, sum(one.told("final")))
        assert (0, 2) == (await spendable(one), await one.count())
        assert await gas_usd(one, 10**19) == one.ledger.gas


@pytest.mark.parametrize("ticks", [1, 2])
async def test_after_a_restart_what_was_left_is_taken_back_once(here: Pit, node: Anvil, ticks: int) -> None:
    """
    Stopped behind the approval of a purchase, or behind its swap, before anything was taken back: the next run takes it
    back and ends the leg, refused or bought; the run after that sends nothing.
    """
    kept = Kept()
    async with trader(here, records=kept, confirmations=2) as one:
        one.order(Side.BUY, "4", "260")
        await one.ticks(ticks)
        assert await spendable(one) > 0
    for run in range(2):
        async with trader(here, records=kept, confirmations=2, funded=False) as one:
            for _ in range(5):
                await one.ticks()
                await node.mine()
            assert (0, ticks + 1) == (await spendable(one), await one.count())
            if run:
                assert [] == one.reports
            else:
                outcome = Outcome.ACCEPTED if ticks == 2 else Outcome.REFUSED
                assert (outcome, True, 1) == (one.reports[-1].outcome, one.reports[-1].final, sum(one.told("final")))


async def test_the_legs_of_a_trade_do_not_wait_for_what_is_taken_back(here: Pit, node: Anvil) -> None:
    """
    A purchase and a sale of one trade follow each other at once; the rest of the purchase's allowance ends behind both.
    """
    async with trader(here) as one:
        legs = tuple(
            Leg(instrument=0, side=side, quantity=Decimal(2), limit=Decimal(limit), seen=Decimal(PRICE))
            for side, limit in ((Side.BUY, "260"), (Side.SELL, "240"))
        )
        intent = Intent(
            id="pair", strategy="test", legs=legs, reason="", edge_bps=100, notional_usd=Decimal(500),
            deadline_ns=one.at_ns + 600 * 10**9,
        )  # fmt: skip
        one.executor.submit(Approved(intent), one.at_ns)
        await one.ticks(7)
        assert ["approve", "", "approve", "", "revoke"] == one.told("detail")
        assert (0, 0) == (one.booked()[0], await spendable(one))


async def test_taking_back_waits_while_gas_is_too_dear_and_says_so(here: Pit, node: Anvil) -> None:
    """
    Above the operator's cap nothing is sent; what may still be spent is named with the reason, other work goes on, and
    it ends when gas falls.
    """
    async with trader(here) as one:
        one.order(Side.BUY, "4", "260")
        await one.ticks(2)
        await node.rpc("evm_setAutomine", False)
        await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(400 * GWEI))
        await node.mine()
        await one.ticks(3)
        assert 2 == await one.count()
        assert {here.coin.address.lower()} == set(one.executor.left)
        assert "gas costs" in one.executor.left[here.coin.address.lower()]
        await node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        await node.rpc("evm_setAutomine", True)
        await node.mine()
        await one.ticks(3)
        assert (0, {}) == (await spendable(one), one.executor.left)


async def test_an_allowance_that_does_not_end_is_tried_once_and_named(here: Pit, node: Anvil) -> None:
    """
    A token that keeps an allowance although it was taken back: one try, the contract is named with the reason, the leg
    is final, and the next leg is not held up.
    """
    async with trader(here, confirmations=2) as one, asyncio.timeout(60):
        await here.token.write("setAllowances", 0, True)
        one.order(Side.SELL, "4", "249")
        await one.ticks()
        await here.swap(Side.SELL, 200 * STOCK)
        for _ in range(5):
            await one.ticks()
            await node.mine()
        assert (2, 4 * STOCK) == (await one.count(), await spendable(one))
        assert {here.token.address.lower(): "it was taken back, and is still there"} == one.executor.left
        assert (Outcome.REFUSED, True, 1) == (one.reports[-1].outcome, one.reports[-1].final, sum(one.told("final")))
        one.order(Side.BUY, "4", "260", id="two")
        await one.ticks(4)
        assert 4 == one.booked()[0]


@pytest.mark.parametrize("before", [True, False])
async def test_a_token_that_rounds_allowances_down_fails_its_leg_alone(here: Pit, node: Anvil, before: bool) -> None:
    """
    An allowance that comes out a unit smaller is not given at all where that is seen, and else once: the leg is refused
    with the token as the reason, what is there is taken back, and a leg that pays with the coin goes through. Once the
    token rounds no more, so does a sale.
    """
    async with trader(here, confirmations=2) as one, asyncio.timeout(60):
        if before:
            await here.token.write("setAllowances", 1, False)
        one.order(Side.SELL, "4", "240", id="short")
        if not before:
            await one.ticks()
            await here.token.write("setAllowances", 1, False)
        one.order(Side.BUY, "4", "260", id="two")
        for _ in range(6):
            await one.ticks()
            await node.mine()
        (refused,) = [report for report in one.reports if report.reason]
        assert ("short-0", "token") == (refused.client_id, refused.reason)
        assert f"of an allowance of {4 * STOCK} that is given, {4 * STOCK - 1} is there" in refused.detail
        assert (4, 0, 3 if before else 5) == (one.booked()[0], await spendable(one), await one.count())
        await here.token.write("setAllowances", 0, False)
        one.order(Side.SELL, "4", "240", id="three")
        await one.ticks(3)
        assert (0, {}) == (one.booked()[0], one.executor.stuck)


async def test_a_token_that_no_longer_tells_an_allowance_holds_up_nothing(here: Pit, node: Anvil) -> None:
    """
    Behind the approval the contract answers with nothing: the leg is refused and final, the contract is named, and once
    it answers again the next leg goes through and leaves nothing.
    """
    async with trader(here, confirmations=2) as one, asyncio.timeout(60):
        code = await node.rpc("eth_getCode", here.token.address, "latest")
        one.order(Side.SELL, "4", "240")
        await one.ticks()
        await node.rpc("anvil_setCode", here.token.address, "0x00")
        for _ in range(4):
            await one.ticks()
            await node.mine()
        assert (Outcome.REFUSED, True, 1) == (one.reports[-1].outcome, one.reports[-1].final, sum(one.told("final")))
        assert "does not answer" in one.executor.left[here.token.address.lower()]
        await node.rpc("anvil_setCode", here.token.address, code)
        one.order(Side.SELL, "4", "240", id="two")
        for _ in range(4):
            await one.ticks()
            await node.mine()
        assert (-4, 0) == (one.booked()[0], await spendable(one))
