"""What is offered for gas: enough for the next block, more to replace, and never above the caps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import BadMessage, TooDear
from connectors.evm.fees import Fees, Market, bumped, cost_usd, fees, read_history

WEI = st.integers(0, 10**13)


@given(base=WEI, tip=WEI, cap=WEI, tip_cap=WEI)
def test_an_offer_is_taken_by_the_next_block_and_within_the_caps(base: int, tip: int, cap: int, tip_cap: int) -> None:
    """
    It pays the base fee and the priority fee, or is refused where the cap does not allow that.
    """
    needed = base + min(tip, tip_cap)
    if needed > cap:
        with pytest.raises(TooDear, match=f"costs {needed} wei, {cap} is allowed"):
            fees(Market(base, tip), cap, tip_cap)
        return
    offer = fees(Market(base, tip), cap, tip_cap)
    assert needed <= offer.max_fee <= cap
    assert min(tip, tip_cap) == offer.max_priority
    assert offer.max_fee == cap or 2 * base <= offer.max_fee


@given(fee=WEI, tip=WEI, base=WEI, now=WEI, cap=WEI, tip_cap=WEI)
def test_a_replacement_pays_a_tenth_more_of_both_or_there_is_none(
    fee: int, tip: int, base: int, now: int, cap: int, tip_cap: int
) -> None:
    """
    Nodes take no replacement that pays less; the caps hold, and there is one whenever they allow an eighth more.
    """
    before = Fees(fee, min(tip, fee))
    offer = bumped(before, Market(base, now), cap, tip_cap)
    if offer is None:
        assert before.max_fee * 9 // 8 + 1 >= cap or before.max_priority * 9 // 8 + 1 >= tip_cap
        return
    assert before.max_fee * 1.1 <= offer.max_fee <= cap
    assert before.max_priority * 1.1 <= offer.max_priority <= min(tip_cap, offer.max_fee)


def test_the_history_of_fees_tells_the_next_base_fee_and_a_usual_priority() -> None:
    """
    The base fee is the last one, of the block to come; the priority fee the middle one of what blocks paid.
    """
    answer = {"baseFeePerGas": ["0x1", "0x2", "0xa"], "reward": [["0x5"], ["0x3"]]}
    assert Market(10, 4) == read_history(answer)
    assert Market(10, 0) == read_history({"baseFeePerGas": ["0xa"], "reward": None})


@pytest.mark.parametrize(
    "answer", [None, {}, {"baseFeePerGas": []}, {"baseFeePerGas": ["x"]}, {"baseFeePerGas": ["0x1"], "reward": [[]]}]
)
def test_what_is_no_history_is_a_bad_message(answer: Any) -> None:
    """
    A node that says something else is not believed to charge nothing.
    """
    with pytest.raises(BadMessage, match="eth_feeHistory"):
        read_history(answer)


def test_gas_costs_its_price_and_what_publishing_costs() -> None:
    """
    200,000 units at 5 gwei and 0.0005 coins for publishing, at 2,000 USD a coin.
    """
    assert Decimal("3.0") == cost_usd(200_000, 5 * 10**9, 5 * 10**14, Decimal(2_000))
