"""The feed of pools on a real node: what is kept from logs is what the chain has, at every block and after reorgs."""

from __future__ import annotations

import statistics
from math import isqrt

import pytest
from numpy.random import Generator

from bot.clock import chance, monotonic_s
from connectors.events import Health, Kind, Why
from connectors.evm.pool_read import top_kept
from tests.chain.exchanges import ONE, coins, pool_id
from tests.chain.parts import Parts
from tests.chain.pools import FEE, Followed, World, followed, instrument, world
from tests.sweep import cases

BLOCKS = cases(250, 1_000)


def not_read_anew(follow: Followed) -> bool:
    """Whether all came from logs since the first reading."""
    return not any(reason in ("broken", "mismatch", "not_read") for _, reason in follow.heard.rejected)


@pytest.mark.timeout(300)
async def test_hundreds_of_random_blocks_are_kept_to_the_unit(chain: Parts) -> None:
    """
    After every block of random swaps, mints and burns the states that were kept from logs alone are those that the
    contracts have, in v2, v3, PancakeSwap v3 and v4, and nothing had to be read anew.
    """
    rng, began, states = chance(1), monotonic_s(), set()
    async with world(chain) as there, followed(there) as follow:
        await there.node.rpc("evm_setAutomine", False)
        for _ in range(BLOCKS):
            acts = [there.act(rng) for _ in range(int(rng.integers(4)))]
            await follow.equals(there.node.url, await there.block(*acts))
            states.update((pool, top_kept(state)) for pool, state in follow.states.items())
        assert not follow.heard.rejected
        ticks = [len(state.ticks) for state in follow.states.values() if hasattr(state, "ticks")]
        rows = [len(follow.heard.quotes(at)) for at in range(4)]
    print(f"{BLOCKS} blocks in {monotonic_s() - began:.1f} s: {len(states)} states, ticks {ticks}, rows {rows}")
    assert len(states) > BLOCKS * 0.8
    assert statistics.mean(ticks) > 5
    assert min(rows) > BLOCKS / 20


async def after(there: World, follow: Followed, rng: Generator, blocks: int) -> str:
    """Some blocks more, each kept; gives the hash of the last."""
    hash_ = ""
    for _ in range(blocks):
        hash_ = await there.block(*(there.act(rng) for _ in range(4)))
        await follow.equals(there.node.url, hash_)
    return hash_


@pytest.mark.parametrize("depth", range(1, 7))
async def test_what_a_reorg_took_back_is_taken_back(chain: Parts, depth: int) -> None:
    """
    Fault 41, feed side. When the last 1 to 6 blocks are replaced, by empty ones or by others, all pools go down, come
    back with the states of the new chain, taken from the common ancestor and new logs, and go on from there.
    """
    rng = chance(depth)
    async with world(chain) as there, followed(there) as follow:
        await there.node.rpc("evm_setAutomine", False)
        await after(there, follow, rng, depth + 1)
        before = dict(follow.states)
        begun = monotonic_s()
        await there.node.reorg(depth)
        head = await there.node.rpc("eth_getBlockByNumber", "latest", False)
        await follow.equals(there.node.url, head["hash"])
        print(f"depth {depth}: right again {monotonic_s() - begun:.3f} s after it was asked for")
        assert before != follow.states
        snapshot = await there.node.snapshot()
        await after(there, follow, rng, depth)
        await there.node.revert(snapshot)
        await there.node.rpc("evm_setAutomine", False)
        await after(there, follow, rng, depth + 1)
        keeper = follow.feed.keeper
        assert keeper is not None and keeper.blocks is not None
        assert 2 <= keeper.blocks.reorgs and depth == keeper.blocks.deepest
        assert Health.DOWN in follow.heard.health(0)[2:] and Health.UP is follow.heard.health(0)[-1]
        assert not_read_anew(follow)


async def test_a_reorg_that_is_deeper_than_what_is_kept_reads_all_anew(chain: Parts) -> None:
    """
    Where the common ancestor is not kept any more the pools are read again, and are right.
    """
    rng = chance(1)
    async with world(chain) as there:
        await there.node.rpc("evm_setAutomine", False)
        before = await there.node.snapshot()
        for _ in range(3):
            await there.block(there.act(rng), there.act(rng))
        async with followed(there) as follow:
            await after(there, follow, rng, 2)
            await there.node.revert(before)
            await there.node.rpc("evm_setAutomine", False)
            await after(there, follow, rng, 6)
            assert "read_anew" in {reason for _, reason in follow.heard.rejected}


async def test_the_rows_of_a_pool_are_what_its_contract_gives(chain: Parts) -> None:
    """
    What a POOL row's bid says of its whole size is what the pool's swap pays for it, and the ask what it asks.
    """
    async with world(chain) as there, followed(there) as follow:
        row = follow.heard.quotes(1)[-1]
        assert Kind.POOL is row.kind
        ours = there.token.address == there.pair0
        for sell, price, size in ((True, row.bid, row.bid_size), (False, row.ask, row.ask_size)):
            before = await there.node.snapshot()
            amount = round(size * 1e18) if sell else -round(size * 1e18)
            deltas = await there.v3.swap(there.pool, sell == ours, amount)
            await there.node.revert(before)
            token, other = deltas if ours else deltas[::-1]
            assert abs(token) == pytest.approx(size * 1e18, rel=1e-12)
            assert price == pytest.approx(abs(other) / abs(token), rel=1e-9)


@pytest.mark.parametrize("base", [0, 1])
async def test_a_coin_of_6_decimals_on_either_side_is_a_price_in_dollars(chain: Parts, base: int) -> None:
    """
    4,000 stocks of 18 decimals for a million dollars of 6, in v2 (0.3 %) and v3 (1 %), the stock as token 0 or 1: the
    bid is 250 less the fee and half of the 0.1 % by which it moves the price, the ask is 250 with both, for 2 stocks.
    """
    async with world(chain) as there:
        while True:
            (coin,) = await coins(chain, there.node, "USDC", decimals=6)
            pair = sorted((there.token, coin), key=lambda one: int(one.address, 16))
            if pair[base] is there.token:
                break
        first, second = (4_000 * ONE, 10**12) if base == 0 else (10**12, 4_000 * ONE)
        v2 = await there.v2.pair(pair[0], pair[1], first, second)
        v3 = await there.v3.pool(pair[0], pair[1], FEE, sqrt_price_x96=isqrt((second << 192) // first))
        await there.v3.mint(v3, -880_000, 880_000, isqrt(first * second))
        pools = [instrument(one.address, there.token) for one in (v2, v3)]
        options = {v2.address: "uniswap_v2", v3.address: "uniswap_v3", "coins": f"USDC {coin.address}"}
        async with followed(there, *pools, options=options) as follow:
            rows = [follow.heard.quotes(at)[-1] for at in (0, 1)]
    wanted = [(249.125, 250.877), (247.376, 252.651)]
    assert [pytest.approx(prices, abs=2e-3) for prices in wanted] == [(row.bid, row.ask) for row in rows]
    assert [pytest.approx((2.0, 2.0), abs=0.03)] * 2 == [(row.bid_size, row.ask_size) for row in rows]


async def test_how_soon_a_log_is_a_row_is_printed(chain: Parts) -> None:
    """
    Every one of 200 swaps, each in a block of its own, becomes a row; how long that took is printed, not asserted: from
    the moment at which the swap was sent, and from the frame of its log.

    Where the node writes small pieces (log, then head), the machine's delayed ACK may hold the second back for 40 ms;
    that is the node's line and none of our time. A row needs the log only, which comes first.
    """
    sent, framed = [], []
    async with world(chain) as there, followed(there) as follow:
        frame, came = follow.heard.frame, [0.0]

        def noted(venue: str, data: str | bytes) -> None:
            if b'"topics"' in (data.encode() if isinstance(data, str) else data):
                came[0] = monotonic_s()
            frame(venue, data)

        follow.heard.frame = noted  # type: ignore[method-assign]
        for at in range(200):
            rows, begun = len(follow.heard.quotes(1)), monotonic_s()
            await there.v3.swap(there.pool, bool(at % 2), 10**20)
            await follow.heard.until(lambda n=rows: len(follow.heard.quotes(1)) > n)  # type: ignore[misc]
            sent.append((monotonic_s() - begun) * 1e3)
            framed.append((monotonic_s() - came[0]) * 1e3)
        assert 200 < len(follow.heard.quotes(1))
    for what, took in (("sent to row", sent), ("frame to row", framed)):
        print(f"{what}, ms: median {statistics.median(took):.2f}, p95 {sorted(took)[189]:.2f}, most {max(took):.2f}")


@pytest.mark.parametrize("quoted", [True, False])
async def test_a_pool_with_a_dynamic_fee_is_quoted_on_chain_or_not_at_all(chain: Parts, quoted: bool) -> None:
    """
    With a quoter its rows follow a fee that no log tells, and it stands DEGRADED with the reason, so it is never
    traded; without one it has no rows, and the reason is counted.
    """
    async with world(chain) as there:
        key = await there.dynamic()
        await there.fee_of(key, 3_000)
        name = "0x" + pool_id(key).hex()
        options = {name: "uniswap_v4 " + " ".join(str(part) for part in key)}
        options |= {"quoter": there.v4.quoter.address} if quoted else {}
        pools = [instrument(name, there.token), instrument(there.pool.address, there.token)]
        async with followed(there, *pools, options=options, first=1) as follow:
            if not quoted:
                await follow.heard.until(lambda: follow.heard.rejected["dex", "no_quote"] > 0)
                assert not follow.heard.quotes(0) and Health.DOWN is follow.heard.health(0)[-1]
                assert "dynamic" in follow.heard.details["dex", "no_quote"]
                return
            await follow.heard.until(lambda: bool(follow.heard.quotes(0)))
            for fee, spread in ((3_000, 0.007), (9_000, 0.019)):
                await there.fee_of(key, fee)

                def told(wanted: float = spread) -> bool:
                    row = follow.heard.quotes(0)[-1]
                    return row.ask / row.bid - 1.0 == pytest.approx(wanted, rel=0.03)

                await follow.heard.until(told)
            assert (Health.DEGRADED, Why.UNVERIFIED) == follow.heard.standing.state(0)
            assert (Health.UP, Why.NOTHING) == follow.heard.standing.state(1)
