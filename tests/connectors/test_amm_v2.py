"""Pools of the v2 family: official and derived amounts, and what is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.amm import v2
from connectors.amm.forks import FORKS
from connectors.amm.v2 import MOST_RESERVE, V2Pool
from connectors.errors import ForkUnverified, PoolStateError, SwapRefused

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "univ2_amounts.json").read_text())
RESERVES = st.integers(1, MOST_RESERVE)


@pytest.mark.parametrize("case", VECTORS["cases"])
def test_an_input_gives_the_official_output(case):
    """
    Each vector's output, to the unit.
    """
    given_in = [int(case[name]) for name in ("amount_in", "reserve_in", "reserve_out")]
    assert int(case["amount_out"]) == v2.amount_out(*given_in)


@pytest.mark.parametrize("case", VECTORS["inverse"])
def test_an_output_costs_the_official_input(case):
    """
    Each vector's input, to the unit.
    """
    wanted = [int(case[name]) for name in ("amount_out", "reserve_in", "reserve_out")]
    assert int(case["amount_in"]) == v2.amount_in(*wanted)


@pytest.mark.parametrize("case", VECTORS["optimistic"])
def test_a_pair_lets_a_token_come_back_with_the_fee(case):
    """
    A token that is taken and paid back in the same swap passes with the official amounts, and not with one more out.
    """
    reserves = [int(Decimal(amount)) for amount in case.get("reserves", ("5e18", "10e18"))]
    paid, taken = int(Decimal(case["amount_in"])), int(Decimal(case["amount_out"]))
    pool = V2Pool(reserve0=reserves[0], reserve1=reserves[1])
    assert pool.accepts(paid, 0, taken, 0)
    assert not pool.accepts(paid, 0, taken + 1, 0)


@given(RESERVES, RESERVES, st.integers(1, MOST_RESERVE), st.booleans())
def test_the_pair_passes_what_is_quoted_and_not_one_unit_more(reserve0, reserve1, amount, zero_for_one):
    """
    An input's output is the most that the product allows, and the output's price is no more than that input.
    """
    pool = V2Pool(reserve0=reserve0, reserve1=reserve1)
    try:
        quote = pool.exact_in(amount, zero_for_one=zero_for_one)
    except SwapRefused:
        return
    most = (quote.amount_out, quote.amount_out + 1)
    for out, passes in zip(most, (True, False), strict=True):
        assert passes == (pool.accepts(amount, 0, 0, out) if zero_for_one else pool.accepts(0, amount, out, 0))
    assert pool.exact_out(quote.amount_out, zero_for_one=zero_for_one).amount_in <= amount
    back = pool.swapped(quote)
    assert (back.reserve0, back.reserve1) == quote.reserves_after
    assert back.reserve0 * back.reserve1 >= reserve0 * reserve1


def test_what_the_pair_reverts_on_is_refused():
    """
    Nothing in, nothing out, an empty pool, all of a reserve, a reserve beyond 112 bits: refused, never clamped.
    """
    pool = V2Pool(reserve0=1000, reserve1=10**30)
    for amount, pool_ in (
        (0, pool),
        (-1, pool),
        (5.0, pool),
        (1, V2Pool(reserve0=0, reserve1=0)),
        (MOST_RESERVE, pool),
    ):
        with pytest.raises(SwapRefused):
            pool_.exact_in(amount, zero_for_one=True)
    with pytest.raises(SwapRefused, match="too little"):
        pool.exact_in(10**10, zero_for_one=False)
    for amount in (0, -1, 5.0, 10**30, 10**30 + 1, 10**30 - 1):
        with pytest.raises(SwapRefused):
            V2Pool(reserve0=MOST_RESERVE - 5, reserve1=10**30).exact_out(amount, zero_for_one=True)


def test_reserves_that_no_pair_can_have_are_refused():
    """
    Less than nothing, more than 112 bits, another family's fork.
    """
    for bad in ({"reserve0": -1}, {"reserve1": MOST_RESERVE + 1}, {"fork": FORKS["uniswap_v3"]}):
        with pytest.raises(PoolStateError):
            V2Pool(**{"reserve0": 1, "reserve1": 1, **bad})


def test_a_fork_keeps_its_own_fee_and_is_not_traded_unchecked():
    """
    PancakeSwap v2 takes 0.25 %, Uniswap v2 0.3 %; only the one whose bytecode was there to check is traded.
    """
    reserves = {"reserve0": 10**24, "reserve1": 10**24}
    pancake = V2Pool(**reserves, fork=FORKS["pancakeswap_v2"])
    uniswap = V2Pool(**reserves)
    assert (25 * 10**14, 30 * 10**14) == tuple(p.exact_in(10**18, zero_for_one=True).fee for p in (pancake, uniswap))
    assert 10**18 * 9975 // 10000 > pancake.exact_in(10**18, zero_for_one=True).amount_out > 997499 * 10**12
    uniswap.tradable()
    with pytest.raises(ForkUnverified, match="pancakeswap_v2"):
        pancake.tradable()


def test_a_sync_log_sets_the_reserves():
    """
    The log's reserves are the pool's, whatever they were before.
    """
    pool = V2Pool(reserve0=1, reserve1=2)
    assert V2Pool(reserve0=7, reserve1=9) == v2.after_sync(pool, 7, 9)
