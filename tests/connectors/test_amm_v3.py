"""Pools of the v3 family: official swaps, a mainnet pool's own quotes, and properties against a plain walk."""

from __future__ import annotations

import csv
import gzip
import json
import re
from decimal import Decimal
from math import isqrt
from pathlib import Path

import numpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.amm import v3
from connectors.amm.forks import FORKS
from connectors.amm.quote import Quote
from connectors.amm.step import swap_step
from connectors.amm.ticks import MAX_SQRT_PRICE, MAX_TICK, MIN_SQRT_PRICE, MIN_TICK, sqrt_at, tick_at
from connectors.amm.v3 import V3Pool
from connectors.errors import ForkUnverified, PoolStateError, SwapRefused

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "univ3_pool_swaps.json").read_text())
ALL = (1 << 255) - 1


def sqrt_of(one: int, zero: int) -> int:
    """The sqrt price of so much token 1 for so much token 0."""
    return isqrt((one << 192) // zero)


def pool_of(case: dict) -> V3Pool:
    """The pool of a vector, made of its positions."""
    pool = v3.initialized(
        int(case["sqrt_price_x96"]), case["tick"], fee_pips=case["fee_pips"], spacing=case["tick_spacing"]
    )
    for at in case["positions"]:
        pool = v3.after_mint(pool, at["tick_lower"], at["tick_upper"], int(at["liquidity"]))
    return pool


def swap_of(pool: V3Pool, swap: dict) -> Quote:
    """The swap of a vector: an amount below zero is wanted out, none is all until the limit."""
    amount = ALL if swap["amount_specified"] is None else int(swap["amount_specified"])
    limit = swap["sqrt_price_limit_x96"]
    asked = pool.exact_in if amount > 0 else pool.exact_out
    return asked(abs(amount), zero_for_one=swap["zero_for_one"], limit=None if limit is None else int(limit))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["swap"]["title"])
def test_a_swap_gives_the_official_result(case):
    """
    Amounts, tick, price and liquidity after an official swap; where the official one reverts, ours is refused.
    """
    pool = pool_of(case)
    if "revert" in case["expected"]:
        with pytest.raises(SwapRefused):
            swap_of(pool, case["swap"])
        return
    quote, after = swap_of(pool, case["swap"]), case["expected_derived"]
    assert (int(case["expected"]["amount0"]), int(case["expected"]["amount1"])) == quote.pool_deltas
    assert case["expected"]["tick"] == quote.tick_after
    assert int(after["sqrt_price_x96_after"]) == quote.sqrt_price_after
    assert int(after["liquidity_after"]) == quote.liquidity_after
    pool.swapped(quote).check()


def test_the_vectors_swap_both_ways_in_and_out_and_get_refused():
    """
    The cases above hold swaps of each direction and kind, and ones that revert.
    """
    swaps = [case["swap"] for case in VECTORS["cases"]]
    kinds = {(swap["zero_for_one"], int(swap["amount_specified"] or 1) > 0) for swap in swaps}
    assert ({(True, True), (True, False), (False, True), (False, False)}, True) == (
        kinds,
        any("revert" in case["expected"] for case in VECTORS["cases"]),
    )


FULL = [(-887220, 887220)]
SNAPSHOTS = {
    "close to max price": (3000, 60, sqrt_of(1 << 127, 1), FULL),
    "high fee, 1:1 price, 2e18 max range liquidity": (10000, 200, 1 << 96, [(-887200, 887200)]),
    "initialized at the min ratio": (3000, 60, MIN_SQRT_PRICE, FULL),
    "low fee, large liquidity around current price (stable swap)": (500, 10, 1 << 96, [(-10, 10)]),
    "medium fee, 10:1 price, 2e18 max range liquidity": (3000, 60, sqrt_of(10, 1), FULL),
    "medium fee, 1:1 price, 2e18 max range liquidity": (3000, 60, 1 << 96, FULL),
    "medium fee, 1:10 price, 2e18 max range liquidity": (3000, 60, sqrt_of(1, 10), FULL),
    "medium fee, token1 liquidity only": (3000, 60, 1 << 96, [(-120000, 0)]),
}
"""Pools of the reference contract's own tests: fee, spacing, sqrt price, ranges that hold 2e18 of liquidity."""
TITLE = re.compile(
    r"swap (?:exactly (?P<in>[\d.]+) )?token(?P<side>[01])"
    r" for (?:exactly (?P<out>[\d.]+) )?token[01](?: to price (?P<limit>[\d.]+))?$"
)


def wei(text: str) -> int:
    """An amount of 18 decimals."""
    return int(Decimal(text) * 10**18)


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_pool_of_the_reference_snapshots_swaps_alike(shared: Path, name: str):
    """
    Each of a pool's 16 recorded swaps has our amounts and tick; what reverted there is refused here.
    """
    fee, spacing, price, ranges = SNAPSHOTS[name]
    pool = v3.initialized(price, tick_at(price), fee_pips=fee, spacing=spacing)
    for lower, upper in ranges:
        pool = v3.after_mint(pool, lower, upper, 2 * 10**18)
    begin, told = f"UniswapV3Pool swap tests {name} ", 0
    with gzip.open(shared / "data" / "uniswap_v3_vectors" / "v3core_swap_snapshots.csv.gz", "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["case"].startswith(begin)]
    for row in rows:
        title = TITLE.search(row["case"].removesuffix(" 1"))
        limit = {None: None, "0.50000": (1, 2), "2.0000": (2, 1), "0.40000": (2, 5), "2.5000": (5, 2)}[title["limit"]]
        ask = pool.exact_out if title["out"] else pool.exact_in
        amount = wei(title["out"] or title["in"]) if title["out"] or title["in"] else ALL
        bound = sqrt_of(*limit) if limit else None
        if row["swapError"]:
            with pytest.raises(SwapRefused):
                ask(amount, zero_for_one=title["side"] == "0", limit=bound)
            continue
        quote = ask(amount, zero_for_one=title["side"] == "0", limit=bound)
        assert (int(row["amount0Delta"]), int(row["amount1Delta"])) == quote.pool_deltas, row["case"]
        assert int(row["tickAfter"]) == quote.tick_after
        told += 1
    assert len(rows) == 16 and told >= 8


def test_a_mainnet_pool_answers_as_its_quoter_did(shared: Path):
    """
    The state of WBTC/WETH at a block gives all recorded answers of the quoter on chain; a request beyond the pool's
    liquidity is not filled and tells what was taken.
    """
    folder = shared / "data" / "uniswap_v3_vectors"
    state, answers = (
        json.loads(gzip.decompress((folder / f"wbtc_weth_030_block24407242_{part}.json.gz").read_bytes()))
        for part in ("state", "quoter")
    )
    kept = state["scalars"]
    pool = v3.read(
        kept["sqrt_price_x96"],
        kept["tick"],
        kept["liquidity"],
        {int(tick): (gross, net) for tick, (gross, net, _) in state["tick_data"].items()},
        fee_pips=kept["fee"],
        spacing=kept["tick_spacing"],
    )
    beyond = 0
    for asked, answer in answers["entries"].items():
        _, function, way, amount = asked.split("|")
        exact_in, zero_for_one = function == "quoteExactInputSingle", way == "WBTC->WETH"
        quote = (pool.exact_in if exact_in else pool.exact_out)(int(amount), zero_for_one=zero_for_one)
        assert answer["value"] == (quote.amount_out if exact_in else quote.amount_in), asked
        taken = quote.amount_in if exact_in else quote.amount_out
        assert quote.filled == (taken == int(amount)), asked
        beyond += not quote.filled
    assert (40, 6) == (len(answers["entries"]), beyond)


@st.composite
def pools(draw: st.DrawFn) -> V3Pool:
    """A pool with a few positions, anywhere."""
    spacing = draw(st.sampled_from([10, 60, 200, 1000]))
    tick = draw(st.integers(-100_000, 100_000))
    price = draw(st.integers(sqrt_at(tick), sqrt_at(tick + 1) - 1))
    pool = v3.initialized(price, tick, fee_pips=draw(st.sampled_from([0, 1, 500, 3000, 10000])), spacing=spacing)
    for _ in range(draw(st.integers(1, 5))):
        lower = tick // spacing + draw(st.integers(-300, 300))
        upper = lower + draw(st.integers(1, 400))
        if MIN_TICK <= lower * spacing and upper * spacing <= MAX_TICK:
            pool = v3.after_mint(pool, lower * spacing, upper * spacing, draw(st.integers(1, 1 << 90)))
    return pool


def walk(pool: V3Pool, amount: int, zero_for_one: bool, exact_in: bool, limit: int) -> tuple[int, int, int, int, int]:
    """The contract's loop, step by step: in, out, price, tick, liquidity."""
    price, tick, liquidity, rest = pool.sqrt_price, pool.tick, pool.liquidity, amount
    paid = got = 0
    while rest and price != limit:
        stop = pool.ticks.stop_below(tick) if zero_for_one else pool.ticks.stop_above(tick)
        target = max(sqrt_at(stop), limit) if zero_for_one else min(sqrt_at(stop), limit)
        begun = price
        # A step of no length has no direction of its own.
        if target != price or zero_for_one:
            price, taken, given, fee = swap_step(price, target, liquidity, rest, pool.fee_pips, exact_in=exact_in)
            rest -= taken + fee if exact_in else given
            paid, got = paid + taken + fee, got + given
        if price == sqrt_at(stop):
            liquidity += -pool.ticks.net(stop) if zero_for_one else pool.ticks.net(stop)
            tick = stop - 1 if zero_for_one else stop
        elif price != begun:
            tick = tick_at(price)
    return paid, got, price, tick, liquidity


@given(pools(), st.integers(0, 200), st.booleans(), st.booleans(), st.integers(1, 120_000), st.data())
def test_a_quote_is_what_a_plain_walk_gives(pool, bits, zero_for_one, exact_in, distance, data):
    """
    Summed up or step by step, with or without a limit: the same amounts, price, tick and liquidity.
    """
    amount = data.draw(st.integers(1, 1 << bits))
    limit = sqrt_at(pool.tick - distance if zero_for_one else pool.tick + distance)
    assume(limit != pool.sqrt_price)
    quote = (pool.exact_in if exact_in else pool.exact_out)(amount, zero_for_one=zero_for_one, limit=limit)
    expected = walk(pool, amount, zero_for_one, exact_in, limit)
    assert expected == (
        quote.amount_in,
        quote.amount_out,
        quote.sqrt_price_after,
        quote.tick_after,
        quote.liquidity_after,
    )
    if quote.sqrt_price_after != limit:
        assert quote == (pool.exact_in if exact_in else pool.exact_out)(amount, zero_for_one=zero_for_one)


@given(pools(), st.integers(1, 1 << 100), st.booleans())
def test_nobody_gains_from_going_there_and_back(pool, amount, zero_for_one):
    """
    What came out of a swap brings back no more than what was paid, however much or little that was.
    """
    quote = pool.exact_in(amount, zero_for_one=zero_for_one)
    assume(quote.amount_out)
    back = pool.swapped(quote).exact_in(quote.amount_out, zero_for_one=not zero_for_one)
    assert back.amount_out <= quote.amount_in <= amount


SIMPLE = v3.after_mint(v3.initialized(1 << 96, 0, fee_pips=3000, spacing=60), -600, 600, 10**18)


@pytest.mark.parametrize("zero_for_one", [True, False])
@pytest.mark.parametrize(
    ("amount", "limit"),
    [
        (0, None),
        (-1, None),
        (1 << 255, None),
        (1.0, None),
        (numpy.int64(1), None),
        (1, float(sqrt_at(-5))),
        (1, float(sqrt_at(5))),
        (1, 0),
        (1, MIN_SQRT_PRICE),
        (1, MAX_SQRT_PRICE),
        (1, 1 << 96),
    ],
)
def test_what_the_contract_reverts_on_is_refused(amount, limit, zero_for_one):
    """
    No amount, one beyond 255 bits, no Python integer, a limit at the price, at the ends, beyond: refused, not clamped.
    """
    for swap in (SIMPLE.exact_in, SIMPLE.exact_out):
        with pytest.raises(SwapRefused):
            swap(amount, zero_for_one=zero_for_one, limit=limit)
    assert SIMPLE.exact_in(10**15, zero_for_one=zero_for_one).filled


@pytest.mark.parametrize("zero_for_one", [True, False])
def test_a_limit_behind_the_price_is_refused(zero_for_one):
    """
    A limit must lie where the price goes.
    """
    with pytest.raises(SwapRefused, match="limit"):
        SIMPLE.exact_in(1, zero_for_one=zero_for_one, limit=sqrt_at(1 if zero_for_one else -1))


def test_logs_change_the_state_as_the_contract_does():
    """
    A swap's log sets price, tick and liquidity; a mint around the price adds to what is active, one beside it does
    not; a burn takes it back; a burn of nothing changes nothing; the state before stays what it was.
    """
    minted = v3.after_mint(SIMPLE, -60, 60, 5)
    beside = v3.after_mint(minted, 60, 120, 5)
    assert (10**18, 10**18 + 5, 10**18 + 5) == (SIMPLE.liquidity, minted.liquidity, beside.liquidity)
    assert (SIMPLE, beside) == (v3.after_burn(minted, -60, 60, 5), v3.after_burn(beside, -60, 60, 0))
    moved = v3.after_swap(beside, sqrt_at(70), 70, 10**18 + 5)
    moved.check()
    assert (sqrt_at(70), 70, 10**18 + 5) == (moved.sqrt_price, moved.tick, moved.liquidity)
    quotes = [pool.exact_in(10**16, zero_for_one=True).amount_out for pool in (SIMPLE, moved)]
    assert quotes[0] < quotes[1]


def test_a_log_that_does_not_fit_asks_for_a_new_reading():
    """
    A burn of more than there is, of what is not there, a price that is not the tick's, parts of different blocks.
    """
    for broken in (
        lambda: v3.after_burn(SIMPLE, -600, 600, 10**18 + 1),
        lambda: v3.after_burn(SIMPLE, -60, 60, 1),
        lambda: v3.after_mint(SIMPLE, -60, 60, -1),
        lambda: v3.after_burn(SIMPLE, -60, 60, -1),
        lambda: (
            v3.after_swap(SIMPLE, sqrt_at(100), 99, 10**18).swapped(SIMPLE.exact_in(1, zero_for_one=True))
            and v3.after_swap(SIMPLE, sqrt_at(100), 98, 10**18)
        ),
        lambda: v3.after_swap(SIMPLE, 1 << 96, 0, -1),
        lambda: v3.after_swap(SIMPLE, 0, 0, 1),
        lambda: v3.after_swap(SIMPLE, 1 << 96, 0, 10**18 - 1).check(),
        lambda: v3.read(1 << 96, 0, 5, {-60: (4, 4), 60: (4, -4)}, fee_pips=500, spacing=60),
        lambda: v3.initialized(1 << 96, 0, fee_pips=1_000_000, spacing=60),
        lambda: v3.initialized(1 << 96, 0, fee_pips=500, spacing=60, fork=FORKS["uniswap_v2"]),
    ):
        with pytest.raises(PoolStateError):
            broken()


def test_ticks_that_take_more_than_is_active_stop_the_quote():
    """
    Where a tick was missed the quote raises rather than going on with less than no liquidity.
    """
    pool = v3.after_swap(SIMPLE, 1 << 96, 0, 10**18 - 1)
    with pytest.raises(PoolStateError, match="-600"):
        pool.exact_in(10**30, zero_for_one=True)


def test_only_forks_that_were_checked_are_traded():
    """
    Uniswap and PancakeSwap v3 are; Slipstream, whose bytecode was not to be had, quotes but refuses to be traded.
    """
    for key in ("uniswap_v3", "pancakeswap_v3"):
        v3.initialized(1 << 96, 0, fee_pips=500, spacing=10, fork=FORKS[key]).tradable()
    pool = v3.initialized(1 << 96, 0, fee_pips=500, spacing=10, fork=FORKS["aerodrome_slipstream"])
    pool = v3.after_mint(pool, -10, 10, 10**18)
    assert pool.exact_in(1000, zero_for_one=True).amount_out
    with pytest.raises(ForkUnverified, match="aerodrome_slipstream"):
        pool.tradable()
