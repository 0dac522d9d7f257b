"""Swaps of real pools as prints: what each contract moved, on one node."""

from __future__ import annotations

import pytest

from connectors.amm.v2 import V2Pool, amount_out
from connectors.events import Kind
from connectors.evm.teller import PRINT_BLOCKS
from tests.chain.exchanges import ONE
from tests.chain.parts import Parts
from tests.chain.pools import call, followed, world


async def test_prints_of_real_pools_are_what_their_contracts_moved(chain: Parts) -> None:
    """
    A sale in a v2 pair, a purchase and a sale in v3, PancakeSwap v3 and v4: each is one print of that price, size and
    side, by what the contracts said that their balances changed by.
    """
    async with world(chain) as there, followed(there, options={"trades": True}) as follow:
        ours = there.token.address == there.pair0
        expected: dict[int, list[tuple[float, float, float]]] = {}

        def moved(number: int, deltas: tuple[int, int]) -> None:
            token, other = deltas if ours else deltas[::-1]
            side = 1.0 if token < 0 else -1.0
            expected.setdefault(number, []).append((abs(other) / abs(token), abs(token) / ONE, side))

        pair = follow.states[there.pair.address]
        assert isinstance(pair, V2Pool)
        held = (pair.reserve0, pair.reserve1) if ours else (pair.reserve1, pair.reserve0)
        path = [there.token.address, there.other.address]
        router = there.v2.router
        sale = call(router, "swapExactTokensForTokens", ONE, 0, path, there.node.accounts[0], 2**40)
        await there.block(sale)
        got = -amount_out(ONE, *held)
        moved(0, (ONE, got) if ours else (got, ONE))
        for sell in (False, True):
            moved(1, await there.v3.swap(there.pool, sell == ours, 3 * ONE))
            moved(2, await there.pancake.swap(there.cake, sell == ours, 5 * ONE))
            moved(3, await there.v4.swap(there.key, sell == ours, -7 * ONE))
        for _ in range(PRINT_BLOCKS + 1):
            await there.node.rpc("evm_mine")
        await follow.heard.until(lambda: sum(row.kind is Kind.TRADE for row in follow.heard.rows) == 7)
        prints = [row for row in follow.heard.rows if row.kind is Kind.TRADE]
    for number, wanted in expected.items():
        found = [(row.bid, row.ask_size, row.extra) for row in prints if row.instrument == number]
        assert [pytest.approx(one, rel=1e-12) for one in wanted] == found
