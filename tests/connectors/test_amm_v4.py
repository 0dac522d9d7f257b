"""Pools of a v4 manager: how its fees add up, its signs, and what cannot be quoted here."""

from __future__ import annotations

import pytest

from connectors.amm import v3, v4
from connectors.amm.step import PIPS
from connectors.amm.v4 import DYNAMIC_FEE, PoolKey, V4Pool
from connectors.errors import NotQuotable, PoolStateError, SwapRefused

ZERO, ONE = "0x" + "0" * 40, "0x" + "1" * 40


def pool_of(fee: int = 3000, protocol: tuple[int, int] = (0, 0), hooks: str = v4.NO_HOOKS) -> V4Pool:
    """A pool at a price of one with liquidity from tick -600 to 600."""
    key = PoolKey(currency0=ZERO, currency1=ONE, fee=fee, spacing=60, hooks=hooks)
    pool = v4.after_modify(v4.initialized(key, 1 << 96, 0), -600, 600, 10**18)
    return v4.after_protocol_fee(pool, protocol[1] << 12 | protocol[0])


def test_the_protocol_takes_its_fee_first_and_the_providers_theirs_of_the_rest():
    """
    0.1 % and 0.3 % are 3,997 pips, rounded up; each direction has its own, and without one the key's fee is all.
    """
    pool = pool_of(3000, (1000, 0))
    assert (3997, 3000) == (pool.fee(True), pool.fee(False))
    assert (1001, 2, 1_000_000) == (
        pool_of(1, (1000, 0)).fee(True),
        pool_of(1, (1, 0)).fee(True),
        pool_of(PIPS, (500, 500)).fee(False),
    )


def test_a_pool_without_protocol_fee_swaps_like_v3():
    """
    Same price, liquidity and fee: same amounts and price, in both directions, in and out; the signs are the trader's.
    """
    twin = v3.after_mint(v3.initialized(1 << 96, 0, fee_pips=3000, spacing=60), -600, 600, 10**18)
    for zero_for_one in (True, False):
        for name in ("exact_in", "exact_out"):
            four = getattr(pool_of(), name)(10**16, zero_for_one=zero_for_one)
            three = getattr(twin, name)(10**16, zero_for_one=zero_for_one)
            assert three.pool_deltas == four.pool_deltas == tuple(-delta for delta in four.trader_deltas)
            assert three.sqrt_price_after == four.sqrt_price_after
    assert four.trader_deltas[0] == 10**16 > 0 > four.trader_deltas[1]


def test_a_fee_of_everything_takes_an_input_and_gives_nothing():
    """
    The contract takes the input and moves no price; an output cannot be had.
    """
    pool = pool_of(PIPS)
    quote = pool.exact_in(10**10, zero_for_one=True)
    assert (10**10, 0, 10**10, 1 << 96) == (quote.amount_in, quote.amount_out, quote.fee, quote.sqrt_price_after)
    with pytest.raises(SwapRefused):
        pool.exact_out(1, zero_for_one=True)


@pytest.mark.parametrize(
    ("fee", "hooks"),
    [(DYNAMIC_FEE, "0x" + "0" * 36 + "1000"), (3000, "0x" + "0" * 38 + "80"), (3000, "0x" + "f" * 36 + "0044")],
)
def test_a_hook_with_a_say_in_swaps_and_a_dynamic_fee_cannot_be_quoted(fee, hooks):
    """
    Such a pool is kept by its logs, but a quote raises and it is not tradable: only the chain knows.
    """
    pool = pool_of(fee, hooks=hooks)
    for ask in (pool.exact_in, pool.exact_out):
        with pytest.raises(NotQuotable, match="quoter"):
            ask(1, zero_for_one=True)
    with pytest.raises(NotQuotable):
        pool.tradable()
    assert 10**18 == v4.after_swap(pool, (1 << 96) + 1, 0, 10**18, fee=77).liquidity


def test_a_hook_that_only_watches_liquidity_can_be_quoted():
    """
    Bits for adding, removing and donating say nothing about swaps: same answer as without the hook.
    """
    hook = "0x" + "a" * 36 + "2f33"
    expected = pool_of().exact_in(10**16, zero_for_one=True)
    assert expected == pool_of(hooks=hook).exact_in(10**16, zero_for_one=True)
    pool_of(hooks=hook).tradable()


def test_amounts_that_the_manager_cannot_book_are_refused():
    """
    Beyond 128 bits with a sign the manager reverts, though the maths would go on.
    """
    key = PoolKey(currency0=ZERO, currency1=ONE, fee=0, spacing=60)
    pool = v4.after_modify(v4.initialized(key, 1 << 96, 0), -887220, 887220, 1 << 112)
    assert pool.exact_in(1 << 127, zero_for_one=True).filled
    with pytest.raises(SwapRefused, match="book"):
        pool.exact_in((1 << 127) + 1, zero_for_one=True)


def test_logs_change_the_state_and_one_that_does_not_fit_is_noticed():
    """
    Liquidity comes and goes, a swap sets the price; a swap that paid another fee than ours tells that a log was missed.
    """
    pool = pool_of(3000, (1000, 0))
    assert pool == v4.after_modify(v4.after_modify(pool, -60, 60, 9), -60, 60, -9)
    assert pool.liquidity + 9 == v4.after_modify(pool, -60, 60, 9).liquidity
    assert (1 << 96) + 1 == v4.after_swap(pool, (1 << 96) + 1, 0, 10**18, fee=3997).sqrt_price
    with pytest.raises(PoolStateError, match="fee"):
        v4.after_swap(pool, (1 << 96) + 1, 0, 10**18, fee=3500)


def test_a_whole_reading_is_the_pool_that_its_logs_make():
    """
    Price, liquidity, ticks and the packed protocol fee of one block; parts that do not fit are refused.
    """
    pool = pool_of(3000, (1000, 20))
    ticks = {-600: (10**18, 10**18), 600: (10**18, -(10**18))}
    packed = 20 << 12 | 1000
    assert pool == v4.read(pool.key, 1 << 96, 0, 10**18, ticks, packed_protocol_fee=packed)
    for liquidity, fees in ((10**18 + 1, packed), (10**18, 1001)):
        with pytest.raises(PoolStateError):
            v4.read(pool.key, 1 << 96, 0, liquidity, ticks, packed_protocol_fee=fees)


def test_keys_that_no_pool_can_have_are_refused():
    """
    Currencies out of order, a fee of more than everything, ticks that lie otherwise apart than the key says.
    """
    for bad in ({"currency0": ONE}, {"fee": PIPS + 1}, {"fee": -1}):
        with pytest.raises(PoolStateError):
            PoolKey(**{"currency0": ZERO, "currency1": ONE, "fee": 0, "spacing": 60, **bad})
    other = PoolKey(currency0=ZERO, currency1=ONE, fee=0, spacing=10)
    with pytest.raises(PoolStateError, match="apart"):
        V4Pool(key=other, sqrt_price=1 << 96, tick=0, liquidity=0, ticks=pool_of().ticks)
