"""Client ids: within what venues take, the same for the same order, another for another, and known as ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.client_ids import Fence, client_id, fence_of, intent_part, request_id

FENCE = Fence("3f09ab", 7)
LONG = "cross_venue-1788537600000000000-123456-0"
texts = st.text(min_size=1, max_size=80)
legs = st.integers(0, 255)


def test_an_id_is_what_it_was_yesterday() -> None:
    """
    32 hexadecimal digits: mark, installation, start, leg, hash. A restart must find the same.
    """
    assert "9e93f09ab000070119ab8b118cdf763b" == client_id(LONG, 1, str(FENCE))


@given(texts, legs, st.integers(0, 16**5 - 1))
def test_every_id_fits_every_venue(intent: str, leg: int, start: int) -> None:
    """
    However long an intent's own id is: 32 digits of a UUID, from which the fence can be read, also where only the first
    28 were kept.
    """
    fence = Fence("00ffee", start)
    id = client_id(intent, leg, str(fence))
    assert 32 == len(id)
    assert {"9e9"} == {id[:3]} and set(id) <= set("0123456789abcdef")
    assert [fence, fence] == [fence_of(id), fence_of(id[:28])]


@given(st.lists(st.tuples(texts, legs, st.integers(0, 9)), unique=True, max_size=20))
def test_two_orders_never_share_one(orders: list[tuple[str, int, int]]) -> None:
    """
    Another intent, leg or start is another id; all legs of an intent share a part that no other has.
    """
    ids = [client_id(intent, leg, str(Fence("00ffee", start))) for intent, leg, start in orders]
    assert len(orders) == len(set(ids)) == len({id[:28] for id in ids})
    intents = {(intent, start) for intent, _, start in orders}
    assert len(intents) == len({intent_part(id) for id in ids})


@given(texts, st.integers(0, 99))
def test_a_request_has_an_id_of_the_same_kind_that_no_order_has(intent: str, leg: int) -> None:
    """
    Issuers take 32 to 36 characters too. It is the same after a restart, and none of the orders of its plan has it.
    """
    id = request_id(intent, str(FENCE))
    assert (32, FENCE, id) == (len(id), fence_of(id), request_id(intent, str(FENCE)))
    assert set(id) <= set("0123456789abcdef")
    assert id != client_id(intent, leg, str(FENCE))
    assert f"{intent}.c1" == request_id(intent, "")


def test_without_a_fence_an_id_is_the_intents() -> None:
    """
    In a replay nothing leaves, and what is read is what the strategy said.
    """
    assert f"{LONG}-1" == client_id(LONG, 1, "")
    assert LONG == intent_part(f"{LONG}-1")


@pytest.mark.parametrize("foreign", ["", "hand-1", "9e9", "9e9" + "g" * 29, "9e9" + "0" * 40, "a" * 32, f"{LONG}-0"])
def test_what_others_write_has_no_fence(foreign: str) -> None:
    """
    Nobody's order becomes ours because it looks a little like one.
    """
    assert fence_of(foreign) is None
