"""Pool maths against the deployed contracts: random pools, random swaps, equal to the last unit."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from eth_utils.abi import abi_to_signature, get_abi_output_types
from eth_utils.crypto import keccak

from connectors.amm.concentrated import RangePool
from connectors.amm.forks import FORKS, Family
from connectors.amm.tickmap import ticks_of_word
from connectors.amm.tickmap import words as words_of_bitmap
from connectors.amm.ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE
from connectors.amm.v2 import MOST_RESERVE, V2Pool, amount_out
from connectors.errors import SwapRefused
from tests.chain.parts import Parts
from tests.chain.revm import OWNER, Refused, Revm
from tests.connectors.amm_deployed import (
    Told,
    V2World,
    V3World,
    V4World,
    World,
    random_amount,
    random_limit,
    random_liquidity,
    random_range,
)
from tests.sweep import cases


def swap_both(random: Random, world: World, pool: RangePool, known: object, seen: Counter[str]) -> RangePool:
    """One random swap on the chain and here; gives the pool after it."""
    zero_for_one, exact_in = random.random() < 0.5, random.random() < 0.6
    amount = random_amount(random, pool, zero_for_one, exact_in)
    limit = random_limit(random, pool, zero_for_one)
    end = MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1
    asked = f"{pool} {zero_for_one=} {exact_in=} {amount=} {limit=}"
    try:
        told = world.swap(known, zero_for_one, amount, limit if limit is not None else end, exact_in)
    except Refused as refused:
        told, why = None, str(refused)
    try:
        swap = pool.exact_in if exact_in else pool.exact_out
        quote = swap(amount, zero_for_one=zero_for_one, limit=limit)
    except SwapRefused as refused:
        assert told is None, f"{asked}: {refused}"
        seen["refused"] += 1
        return pool
    assert told is not None, f"{asked}: {why}"
    ours = Told(quote.pool_deltas, quote.sqrt_price_after, quote.liquidity_after, quote.tick_after)
    assert told == ours, asked
    assert quote.filled == (amount == (quote.amount_in if exact_in else quote.amount_out)), asked
    after = pool.swapped(quote)
    after.check()
    crossed = sum(min(pool.tick, after.tick) < tick <= max(pool.tick, after.tick) for tick in pool.ticks.order)
    seen["exact in" if exact_in else "exact out"] += 1
    seen["zero for one" if zero_for_one else "one for zero"] += 1
    seen["filled" if quote.filled else "beyond limit or liquidity"] += 1
    seen["crossed several ticks" if crossed > 1 else "crossed one" if crossed else "crossed none"] += 1
    return after


def move_both(
    random: Random, world: World, pool: RangePool, known: object, held: dict[tuple[int, int], int]
) -> RangePool:
    """Some liquidity comes, or a part or all of what is held goes; gives the pool after it."""
    spacing = pool.ticks.spacing
    if held and random.random() < 0.25:
        place = random.choice(list(held))
        amount = -random.choice([held[place], random.randrange(held[place] + 1)])
    else:
        place, amount = random_range(random, pool.tick, spacing), random_liquidity(random, spacing)
    try:
        world.move(known, *place, amount)
    except Refused:
        return pool
    held[place] = held.get(place, 0) + amount
    if not held[place]:
        del held[place]
    return pool.moved(*place, amount)


@pytest.mark.parametrize(
    ("family", "pools", "seed"),
    [
        ("uniswap_v3", cases(100, 360), 3),
        ("pancakeswap_v3", cases(60, 160), 33),
        ("uniswap_v4", cases(100, 320), 4),
    ],
)
def test_swaps_equal_those_of_the_deployed_contract(chain: Parts, family: str, pools: int, seed: int) -> None:
    """
    Amounts, price, tick and liquidity after 16 swaps in each of some hundred pools are the contract's, and where it
    reverts we refuse: both directions, exact in and out, across many ticks, any price, fee, spacing, amount and limit.
    """
    random, seen = Random(seed), Counter[str]()
    world = V4World(chain) if family == "uniswap_v4" else V3World(chain, family)
    for _ in range(pools):
        pool, known = world.pool(random)
        held: dict[tuple[int, int], int] = {}
        for _ in range(random.choice([1, 3, 12])):
            pool = move_both(random, world, pool, known, held)
        for _ in range(16):
            pool = swap_both(random, world, pool, known, seen)
            if random.random() < 0.1:
                pool = move_both(random, world, pool, known, held)
    print(dict(seen))
    assert 16 * pools == seen["refused"] + seen["exact in"] + seen["exact out"]
    assert all(seen[kind] >= pools for kind in ("exact in", "exact out", "zero for one", "one for zero", "filled"))
    assert all(
        seen[kind] >= pools / 2 for kind in ("beyond limit or liquidity", "crossed several ticks", "crossed one")
    )


@pytest.mark.parametrize(
    ("fork", "contract"),
    [("uniswap_v3", "UniswapV3Pool"), ("pancakeswap_v3", "PancakeV3Pool"), ("uniswap_v4", "PoolManager")],
)
def test_the_table_of_forks_says_what_the_deployed_contract_says(chain: Parts, fork: str, contract: str) -> None:
    """
    The signature of the Swap log and the types of slot0 are those of the package's ABI.
    """
    abi = chain.artifact(contract)
    swap = next(entry for entry in abi.abi if entry["type"] == "event" and entry["name"] == "Swap")
    assert abi_to_signature(swap) == FORKS[fork].swap_log
    if FORKS[fork].family is Family.V3:
        assert tuple(get_abi_output_types(abi.function("slot0"))) == FORKS[fork].slot0


@pytest.mark.parametrize(
    ("contract", "hash_"),
    [
        ("UniswapV3Pool", "0xe34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54"),
        ("PancakeV3Pool", "0x6ce8eb472fa82df5469c6ab6d485f17c3ad13c8cd7af59b3d4a8026c5ce0f7e2"),
    ],
)
def test_the_bytecode_of_a_v3_pool_is_that_which_addresses_of_pools_are_made_from(
    chain: Parts, contract: str, hash_: str
) -> None:
    """
    The hash of what deploys a pool is the one from which the exchange itself derives where its pools are: PoolAddress
    in @uniswap/v3-periphery 1.4.4 and @pancakeswap/v3-periphery 1.0.3. PancakeSwap ships no source of its pool.
    """
    assert hash_ == "0x" + keccak(chain.artifact(contract).bytecode).hex()


@pytest.mark.parametrize(
    ("fork", "factory"), [("uniswap_v3", "UniswapV3Factory"), ("pancakeswap_v3", "PancakeV3Factory")]
)
def test_the_table_of_forks_has_the_factory_s_spacings(chain: Parts, fork: str, factory: str) -> None:
    """
    Every fee that a new factory knows is in the table with its spacing; what an owner added later is beside them.
    """
    revm = Revm(chain)
    made = revm.deploy(factory, *([OWNER] if fork == "pancakeswap_v3" else []))
    has = {fee: revm.send(factory, made, "feeAmountTickSpacing", fee) for fee, _ in FORKS[fork].spacings}
    added = {100} if fork == "uniswap_v3" else set()
    assert {fee: 0 if fee in added else spacing for fee, spacing in FORKS[fork].spacings} == has


@pytest.mark.parametrize("family", ["uniswap_v3", "pancakeswap_v3", "uniswap_v4"])
def test_the_kept_ticks_are_those_of_the_deployed_contract(chain: Parts, family: str) -> None:
    """
    After liquidity came and went, gross and net of each tick and every word of the bitmap are the contract's.
    """
    random = Random(7)
    world = V4World(chain) if family == "uniswap_v4" else V3World(chain, family)
    ticks = 0
    for _ in range(12):
        pool, known = world.pool(random)
        held: dict[tuple[int, int], int] = {}
        for _ in range(12):
            pool = move_both(random, world, pool, known, held)
        ticks += len(pool.ticks)
        for tick in pool.ticks.order:
            assert world.tick(known, tick) == tuple(pool.ticks[tick])
        bitmap = words_of_bitmap(pool.ticks.order, pool.ticks.spacing)
        for word in bitmap.keys() | {at + 1 for at in bitmap} | {0}:
            bits = world.word(known, word)
            assert bits == bitmap.get(word, 0)
            assert [t for t in pool.ticks.order if t // pool.ticks.spacing // 256 == word] == ticks_of_word(
                word, bits, pool.ticks.spacing
            )
    assert ticks > 60


@pytest.mark.parametrize("family", ["uniswap_v3", "uniswap_v4"])
def test_quotes_equal_those_of_the_deployed_quoter(chain: Parts, family: str) -> None:
    """
    QuoterV2 and V4Quoter, which run the swap and take it back, give our amounts; where they refuse to, it is because
    nothing, or less than was asked for, would come.
    """
    random, quoted = Random(11), Counter[str]()
    world = V4World(chain) if family == "uniswap_v4" else V3World(chain, family)
    quoter = world.quoter()
    for _ in range(60):
        pool, known = world.pool(random)
        held: dict[tuple[int, int], int] = {}
        for _ in range(6):
            pool = move_both(random, world, pool, known, held)
        for _ in range(5):
            zero_for_one, exact_in = random.random() < 0.5, random.random() < 0.5
            amount = random.randrange(1, 1 << random.randrange(1, 120))
            try:
                quote = (pool.exact_in if exact_in else pool.exact_out)(amount, zero_for_one=zero_for_one)
                ours = (quote.amount_out if exact_in else quote.amount_in) if quote.filled else None
            except SwapRefused:
                ours = None
            try:
                theirs = quoter(known, zero_for_one, amount, exact_in)
            except Refused:
                assert ours is None or (family == "uniswap_v3" and not exact_in), pool
                quoted["refused"] += 1
                continue
            if ours is None:
                assert family == "uniswap_v3" and exact_in and theirs == quote.amount_out
            else:
                assert theirs == ours
            quoted["exact in" if exact_in else "exact out"] += 1
    print(dict(quoted))
    assert min(quoted["exact in"], quoted["exact out"]) > 40


@pytest.mark.parametrize("family", ["uniswap_v3", "uniswap_v4"])
def test_the_fee_is_what_the_deployed_contract_books_for_its_providers(chain: Parts, family: str) -> None:
    """
    Inside one tick range the growth of fees for a unit of liquidity is our fee over the liquidity, rounded down.
    """
    random, booked = Random(13), 0
    world = V4World(chain) if family == "uniswap_v4" else V3World(chain, family)
    for _ in range(150):
        pool, known = world.pool(random)
        if any(getattr(pool, "protocol_fees", ())):
            continue
        held: dict[tuple[int, int], int] = {}
        for _ in range(3):
            pool = move_both(random, world, pool, known, held)
        zero_for_one, exact_in = random.random() < 0.5, random.random() < 0.5
        amount, before = random.randrange(1, 1 << random.randrange(1, 100)), world.grown(known)
        try:
            quote = (pool.exact_in if exact_in else pool.exact_out)(amount, zero_for_one=zero_for_one)
        except SwapRefused:
            continue
        if not pool.liquidity or not pool.path(zero_for_one).passes(1, quote.sqrt_price_after):
            continue
        end = MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1
        world.swap(known, zero_for_one, amount, end, exact_in)
        growth = [after - was for after, was in zip(world.grown(known), before, strict=True)]
        ours = (quote.fee << 128) // pool.liquidity
        assert growth == ([ours, 0] if zero_for_one else [0, ours])
        booked += ours > 0
    assert booked > 10


def test_v2_swaps_equal_those_of_the_deployed_pair(chain: Parts) -> None:
    """
    For random reserves and amounts the pair gives what we quote and refuses one unit more; the router's arithmetic
    and the reserves after it are ours too; what we refuse, the pair refuses.
    """
    random, world, seen = Random(2), V2World(chain), Counter[str]()
    for _ in range(2500):
        if random.random() < 0.3 or not seen:
            pool = V2Pool(**{f"reserve{n}": random.randrange(1, 1 << random.randrange(1, 113)) for n in (0, 1)})
            world.hold(pool.reserve0, pool.reserve1)
        zero_for_one, exact_in = random.random() < 0.5, random.random() < 0.5
        source, target = (pool.reserve0, pool.reserve1) if zero_for_one else (pool.reserve1, pool.reserve0)
        amount = random.randrange(1, 1 << random.randrange(1, 114)) if exact_in else random.randrange(1, 2 * target)
        try:
            quote = (pool.exact_in if exact_in else pool.exact_out)(amount, zero_for_one=zero_for_one)
        except SwapRefused:
            seen["refused"] += 1
            wanted = max(amount_out(amount, source, target), 1) if exact_in else amount
            with pytest.raises(Refused):
                world.swap(zero_for_one, amount if exact_in else MOST_RESERVE, wanted)
            continue
        expected = quote.amount_out if exact_in else quote.amount_in
        assert expected == world.router(amount, source, target, exact_in)
        if exact_in:
            with pytest.raises(Refused):
                world.swap(zero_for_one, amount, expected + 1)
        assert quote.reserves_after == world.swap(zero_for_one, quote.amount_in, quote.amount_out)
        pool = pool.swapped(quote)
        seen["exact in" if exact_in else "exact out"] += 1
    print(dict(seen))
    assert min(seen["exact in"], seen["exact out"]) > 500
