"""Which nonce of a wallet belongs to which task, on one chain: a state machine without any I/O.

A task (one approval, one swap) has one nonce for ever, under which any number of transactions may be signed; the chain
takes at most one of them. So a task can happen once, whatever is lost, sent again or replaced. A nonce is given out
only while nobody else uses the key: once somebody does, everything pauses until an operator says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from connectors.errors import NoncePaused


class State(StrEnum):
    """Where the task of a nonce stands."""

    RESERVED = "reserved"
    """Nothing is signed yet."""
    SENT = "sent"
    """One or more transactions are signed and may have been sent."""
    MINED = "mined"
    """One of them is in a block, which a reorg may take away."""
    SETTLED = "settled"
    """It stays there."""
    GONE = "gone"
    """Something that is not ours took the nonce; the task will not happen."""


@dataclass(slots=True)
class Slot:
    """One nonce."""

    nonce: int
    key: str
    """Of its task."""
    state: State = State.RESERVED
    hashes: list[str] = field(default_factory=list)
    """Of what was signed, the newest last."""
    mined: str = ""
    """Hash of the one that is in a block."""
    block: int = 0
    block_hash: str = ""

    @property
    def waiting(self) -> bool:
        """Whether the chain has not taken the nonce yet, as far as we know."""
        return self.state in (State.RESERVED, State.SENT)


class Nonces:
    """All nonces of one wallet on one chain, from the first that was seen."""

    def __init__(self) -> None:
        """Before anything is known of the chain."""
        self.slots: dict[str, Slot] = {}
        self.next: int | None = None
        """The next nonce to give out; None before the chain was asked."""
        self.paused = ""
        """Why nothing is given out; empty is running."""

    def reserve(self, key: str) -> Slot:
        """The slot of a task: the one that it has and that waits, or a new one. Raises NoncePaused, also where a block
        has the task already.

        One task waits at a time, so that a nonce never waits for one before it.
        """
        if key in self.slots:
            if not self.slots[key].waiting:
                raise NoncePaused(f"{key} has happened already")
            return self.slots[key]
        if self.paused:
            raise NoncePaused(self.paused)
        if self.next is None:
            raise NoncePaused("the chain was not asked yet")
        if waiting := self.waiting():
            raise NoncePaused(f"nonce {waiting.nonce} is still under way")
        slot = self.slots[key] = Slot(self.next, key)
        self.next += 1
        return slot

    def release(self, key: str) -> None:
        """Gives a nonce back under which nothing was ever signed."""
        slot = self.slots[key]
        if slot.state is not State.RESERVED or self.next != slot.nonce + 1:
            raise ValueError(f"nonce {slot.nonce} is {slot.state}")
        del self.slots[key]
        self.next = slot.nonce

    def signed(self, key: str, nonce: int, hash: str) -> None:
        """A transaction was signed under a task's nonce; at a restart this is how the slot comes back."""
        slot = self.slots.setdefault(key, Slot(nonce, key))
        if slot.nonce != nonce:
            raise ValueError(f"{key} has nonce {slot.nonce}, not {nonce}")
        if hash not in slot.hashes:
            slot.hashes.append(hash)
        if slot.state is State.RESERVED:
            slot.state = State.SENT
        self.next = max(self.next or 0, nonce + 1)

    def mined(self, key: str, hash: str, block: int, block_hash: str) -> None:
        """A block has one of a task's transactions."""
        slot = self.slots[key]
        if hash not in slot.hashes:
            raise ValueError(f"{hash} is not of {key}")
        slot.state, slot.mined, slot.block, slot.block_hash = State.MINED, hash, block, block_hash

    def undone(self, key: str) -> None:
        """A reorg took that block away."""
        slot = self.slots[key]
        slot.state, slot.mined, slot.block, slot.block_hash = State.SENT, "", 0, ""

    def settled(self, key: str) -> None:
        """That block will stay."""
        self.slots[key].state = State.SETTLED

    def gone(self, key: str, *, foreign: bool = True) -> None:
        """The chain took the nonce for something else: `foreign`, somebody else has the key."""
        slot = self.slots[key]
        slot.state = State.GONE
        if foreign:
            self._pause(f"nonce {slot.nonce} was used by a transaction that is not ours")

    def observe(self, mined: int, pending: int) -> None:
        """The chain counts `mined` transactions of the wallet, and `pending` with those that wait.

        Pauses where that is more than was given out, and goes on after them once an operator says so.
        """
        seen = max(mined, pending)
        if self.next is None:
            self.next = seen
            if pending > mined:
                self._pause(f"{pending - mined} transactions wait that are not ours")
        elif seen > self.next:
            self._pause(f"nonces {self.next} to {seen - 1} were used by transactions that are not ours")
            self.next = seen

    def resume(self, next: int) -> None:
        """An operator says that the key is ours alone again; `next` is the first nonce that was not used."""
        self.paused = ""
        self.next = max(self.next or 0, next)

    def waiting(self) -> Slot | None:
        """The slot that the chain has not taken yet; there is at most one, except after a reorg."""
        return min((slot for slot in self.slots.values() if slot.waiting), key=lambda slot: slot.nonce, default=None)

    def open(self) -> tuple[Slot, ...]:
        """Every slot of which something may still come, by nonce."""
        closed = (State.SETTLED, State.GONE)
        return tuple(sorted((s for s in self.slots.values() if s.state not in closed), key=lambda slot: slot.nonce))

    def forget(self, key: str) -> None:
        """A closed slot is no longer needed."""
        del self.slots[key]

    def _pause(self, why: str) -> None:
        self.paused = self.paused or why
