"""Swaps on the real exchanges through the executor: what is asked, what is paid, what is told, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from connectors.amm.forks import Family
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import DOLLAR, STOCK, pit, trader
from tests.servers.anvil import Anvil


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield node


@pytest.mark.parametrize("family", [Family.V2, Family.V3])
@pytest.mark.parametrize(("side", "limit"), [(Side.SELL, "248"), (Side.BUY, "252")])
async def test_a_swap_settles_and_is_booked_to_the_smallest_unit(
    chain: Parts, node: Anvil, family: Family, side: Side, limit: str
) -> None:
    """
    Selling or buying four stocks moves exactly what the ledger books: tokens, coins and gas; nothing may be spent any
    more afterwards, and the leg is final once no reorg can change it.
    """
    here = await pit(chain, node, family)
    async with trader(here) as one:
        before = await one.balances()
        wei = int(await node.rpc("eth_getBalance", one.address, "latest"), 16)
        one.order(side, "4", limit)
        await one.ticks(3)
        after = await one.balances()
        token, coin = (Decimal(b - a) for a, b in zip(before, after, strict=True))
        sign = 1 if side is Side.BUY else -1
        assert sign * 4 * STOCK == token
        assert sign * 4 * 250 * DOLLAR == pytest.approx(float(-coin), rel=0.006)
        assert (token / STOCK, coin / DOLLAR) == one.booked()
        spent = wei - int(await node.rpc("eth_getBalance", one.address, "latest"), 16)
        assert Decimal(spent) / 10**18 * 2_000 == one.ledger.gas
        assert 0 == await here.coin.read("allowance", one.address, here.router.address) or side is Side.BUY
        assert [Outcome.UNKNOWN, Outcome.ACCEPTED] == one.told("outcome")
        assert [False, False] == one.told("final")
        await node.mine(10)
        await one.ticks(1)
        assert (Outcome.ACCEPTED, True, ()) == (one.reports[-1].outcome, one.reports[-1].final, one.reports[-1].fills)
        assert 2 == await one.count()
