"""What a pool's state says as rows: tokens with different decimals, ours on either side, against sums done by hand."""

from __future__ import annotations

from math import isqrt

import pytest

from connectors.amm import v3, v4
from connectors.amm.curve import Pool
from connectors.amm.forks import FORKS
from connectors.amm.ticks import Q96, tick_at
from connectors.amm.v2 import V2Pool
from connectors.evm.pool_facts import Facts
from connectors.evm.pool_rows import book
from connectors.evm.pool_spec import PoolSpec
from connectors.evm.quoter import answered
from connectors.instruments import Instrument, Role

STOCK, DOLLAR = 10**18, 10**6
OURS = 4_000 * STOCK
THEIRS = 1_000_000 * DOLLAR
"""250 dollars a stock."""


def pool_of(family: str, base: int) -> Pool:
    """A pool with 4,000 stocks and a million dollars, the stock its token `base`, and a fee of 0.3 %."""
    amounts = (OURS, THEIRS) if base == 0 else (THEIRS, OURS)
    if family == "v2":
        return V2Pool(reserve0=amounts[0], reserve1=amounts[1])
    price = isqrt((amounts[1] << 192) // amounts[0])
    empty = v3.initialized(price, tick_at(price), fee_pips=3_000, spacing=60, fork=FORKS["uniswap_v3"])
    return v3.after_mint(empty, -887_220, 887_220, isqrt(OURS * THEIRS))


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("family", ["v2", "v3"])
def test_a_stock_of_18_decimals_for_a_dollar_of_6_has_the_price_after_the_fee(family: str, base: int) -> None:
    """
    A sale that moves the price from 250 to 249.75 brings the geometric mean of both less 0.3 %; a purchase up to 250.25
    costs the mean and the fee. About 2 of a pool's 4,000 stocks (half of 0.1 %) do that, and the sold ones pay the fee.
    """
    seen = book(pool_of(family, base), base, (18, 6) if base == 0 else (6, 18), (10,))
    ((bid, sold),), ((ask, bought),) = seen.bids, seen.asks
    assert (pytest.approx(249.125, abs=1e-3), pytest.approx(250.877, abs=1e-3)) == (bid, ask)
    assert (pytest.approx(2.006, abs=3e-3), pytest.approx(2.0, abs=3e-3)) == (sold, bought)


@pytest.mark.parametrize("base", [0, 1])
def test_what_the_quoter_says_is_read_with_the_decimals_of_both_tokens(base: int) -> None:
    """
    2 stocks bring 498 dollars and cost 502: 249 and 251 for one, wherever the stock stands in the pool.
    """
    token, pool = "0x" + "a" * 40, "0x" + "5a" * 32
    named = Instrument(venue="dex", symbol=pool, role=Role.TOKEN, token="TSLAx", underlying="TSLA", contract=token)
    spec = PoolSpec(instrument=named, pool=pool, token=token, fork=FORKS["uniswap_v4"])
    facts = Facts(spec=spec, base=base, decimals=(18, 6) if base == 0 else (6, 18))
    answers = [(dollars * DOLLAR).to_bytes(32, "big") + bytes(32) for dollars in (498, 502)]
    seen = answered(facts, 2 * STOCK, answers)
    assert (((249.0, 2.0),), ((251.0, 2.0),), "") == (seen.bids, seen.asks, seen.why_not)


def test_directions_with_different_fees_have_their_own_side() -> None:
    """
    A protocol fee on one direction moves only that side of the book; a hook with a say has no book, and the reason.
    """
    one = "0x" + "1" * 40
    key = v4.PoolKey(currency0=v4.NO_HOOKS, currency1=one, fee=3000, spacing=60)
    pool = v4.after_modify(v4.initialized(key, Q96, 0), -600, 600, 10**18)
    before, after = [book(each, 0, (18, 18), (10,)) for each in (pool, v4.after_protocol_fee(pool, 1000))]
    assert before.asks == after.asks
    assert 0.996003 / 0.997 == pytest.approx(after.bids[0][0] / before.bids[0][0], rel=1e-9)
    hooked = v4.PoolKey(currency0=v4.NO_HOOKS, currency1=one, fee=3000, spacing=60, hooks="0x" + "80".rjust(40, "0"))
    assert "hook" in book(v4.initialized(hooked, Q96, 0), 0, (18, 18), (10,)).why_not
