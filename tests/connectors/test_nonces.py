"""Nonces of a wallet: one for each task and for ever, none while somebody else uses the key."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectors.errors import NoncePaused
from connectors.evm.nonces import Nonces, State


class Chain(RuleBasedStateMachine):
    """A wallet, a chain that mines, drops and reorganizes, and sometimes a stranger with the same key."""

    def __init__(self) -> None:
        super().__init__()
        self.nonces = Nonces()
        self.mined: list[str] = []
        """What took each nonce: the hash of one of ours, or empty for a stranger's."""
        self.signed: list[tuple[str, int]] = []
        self.tasks = 0
        self.nonces.observe(0, 0)

    @rule()
    def begin(self) -> None:
        """A new task wants a nonce."""
        key = f"task {self.tasks}"
        self.nonces.observe(len(self.mined), len(self.mined))
        try:
            slot = self.nonces.reserve(key)
        except NoncePaused:
            return
        self.tasks += 1
        assert len(self.mined) == slot.nonce
        assert slot is self.nonces.reserve(key)
        self.sign(key, slot.nonce)

    def sign(self, key: str, nonce: int) -> None:
        """Another transaction of a task."""
        self.nonces.signed(key, nonce, f"{key} {len(self.signed)}")
        self.signed.append((key, nonce))

    @precondition(lambda self: self.nonces.waiting())
    @rule()
    def replace(self) -> None:
        """What waits is replaced."""
        slot = self.nonces.waiting()
        self.sign(slot.key, slot.nonce)

    @precondition(lambda self: self.nonces.waiting() and self.nonces.waiting().nonce == len(self.mined))
    @rule(data=st.data())
    def mine(self, data: st.DataObject) -> None:
        """A block takes one of its transactions."""
        slot = self.nonces.waiting()
        hash = data.draw(st.sampled_from(slot.hashes))
        self.mined.append(hash)
        self.nonces.mined(slot.key, hash, len(self.mined), f"block {len(self.mined)}")

    @precondition(lambda self: self.mined)
    @rule()
    def stranger(self) -> None:
        """Somebody else sends with our key, and takes a nonce of ours where one waits for its block."""
        waiting = self.nonces.waiting()
        if waiting and waiting.nonce == len(self.mined):
            self.nonces.gone(waiting.key)
        self.mined.append("")
        self.nonces.observe(len(self.mined), len(self.mined))
        assert self.nonces.paused
        self.nonces.resume(len(self.mined))

    @precondition(lambda self: self.mined and self.mined[-1])
    @rule()
    def reorganize(self) -> None:
        """The newest of our transactions is taken out."""
        hash = self.mined.pop()
        slot = next(slot for slot in self.nonces.slots.values() if slot.mined == hash)
        self.nonces.undone(slot.key)

    @invariant()
    def one_nonce_for_a_task_and_one_task_for_a_nonce(self) -> None:
        """However often something is signed again."""
        pairs = set(self.signed)
        assert all(count == 1 for count in Counter(key for key, _ in pairs).values())
        assert all(count == 1 for count in Counter(nonce for _, nonce in pairs).values())


TestNonces = Chain.TestCase
TestNonces.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_nonce_under_which_nothing_was_signed_is_given_back() -> None:
    """
    A task that is refused before it is signed leaves no gap; one that was signed keeps its nonce.
    """
    nonces = Nonces()
    nonces.observe(5, 5)
    assert 5 == nonces.reserve("a").nonce
    nonces.release("a")
    assert 5 == nonces.reserve("b").nonce
    nonces.signed("b", 5, "0x1")
    with pytest.raises(ValueError, match="nonce 5 is sent"):
        nonces.release("b")


def test_nothing_is_given_out_before_the_chain_was_asked_or_while_something_waits() -> None:
    """
    The first nonce is the chain's; a second task waits for the first one's block.
    """
    nonces = Nonces()
    with pytest.raises(NoncePaused, match="not asked yet"):
        nonces.reserve("a")
    nonces.observe(0, 0)
    nonces.signed("a", nonces.reserve("a").nonce, "0x1")
    with pytest.raises(NoncePaused, match="nonce 0 is still under way"):
        nonces.reserve("b")
    nonces.mined("a", "0x1", 1, "0xb")
    assert 1 == nonces.reserve("b").nonce


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        ((3, 4), (3, 4), "1 transactions wait that are not ours"),
        ((3, 3), (4, 4), "nonces 3 to 3 were used"),
        ((3, 3), (3, 5), "nonces 3 to 4 were used"),
    ],
)
def test_somebody_elses_use_of_the_key_pauses_until_an_operator_says_so(
    first: tuple[int, int], then: tuple[int, int], why: str
) -> None:
    """
    Mined or waiting, at the start or later: nothing is given out, and afterwards it goes on behind what was used.
    """
    nonces = Nonces()
    nonces.observe(*first)
    nonces.observe(*then)
    with pytest.raises(NoncePaused, match=why):
        nonces.reserve("a")
    nonces.resume(nonces.next)
    assert max(then) == nonces.reserve("a").nonce


def test_a_transaction_that_is_not_of_a_task_does_not_settle_it() -> None:
    """
    A hash that was never signed for a task, or a second nonce for it, is a mistake of ours and raised.
    """
    nonces = Nonces()
    nonces.observe(0, 0)
    nonces.signed("a", nonces.reserve("a").nonce, "0x1")
    with pytest.raises(ValueError, match="0x2 is not of a"):
        nonces.mined("a", "0x2", 1, "0xb")
    with pytest.raises(ValueError, match="a has nonce 0, not 1"):
        nonces.signed("a", 1, "0x3")
    assert State.SENT is nonces.slots["a"].state
