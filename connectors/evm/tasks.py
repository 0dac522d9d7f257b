"""The words of a wallet: what it is asked to do, what it writes down of it, and what it tells of what became of it."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import msgspec

from connectors.evm.data_fees import Habit
from connectors.evm.fees import Caps
from connectors.evm.nonces import State
from connectors.evm.receipt import Receipt

KIND: Final = "wallet"
"""What the kind of a wallet's records begins with; `kind_of` is the whole of it."""


def kind_of(chain_id: int, address: str) -> str:
    """The kind of the records of one wallet on one chain in a journal, where others may be too."""
    return f"{KIND} {chain_id} {address.lower()}"


class Records(Protocol):
    """Where records are kept; the journal is one."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Takes one record; gives its number."""

    async def wait(self, seq: int) -> None:
        """Returns when the record is durable."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a wallet treats its chain."""

    chain_id: int
    confirmations: int
    """Blocks, the transaction's own included, after which it is taken to stay."""
    stuck_blocks: int = 3
    """A transaction that waits longer is replaced."""
    max_head_age_s: float = 60.0
    """A node whose newest block is older is not believed."""
    caps: Caps
    habit: Habit | None = None
    """How the chain charges; None is what the table says of it."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be done on the chain, once."""

    key: str
    to: str
    data: bytes
    gas: int
    deadline_s: int
    """Unix seconds; the contract refuses it afterwards."""
    max_fee_wei: int
    """Per unit of gas, replacements included."""
    note: bytes = b""
    """What its owner needs to know after a restart."""


class Signing(msgspec.Struct, frozen=True, kw_only=True, tag="signed"):
    """A transaction that was signed and may have been sent."""

    task: Task
    nonce: int
    hash: str
    raw: bytes
    max_fee_wei: int
    max_priority_wei: int
    instead: bool = False
    """It does nothing, so that the task no longer can."""
    gas: int
    """Its limit."""


class Noted(msgspec.Struct, frozen=True, kw_only=True, tag="noted"):
    """Something became of a task, and its owner has been told."""

    key: str
    what: str
    hash: str = ""
    block: int = 0
    block_hash: str = ""
    kept: bytes = b""
    """What its owner wants to know again when this is undone or settled."""


class GivenUp(msgspec.Struct, frozen=True, kw_only=True, tag="given_up"):
    """An operator said that a task will never happen, which no node can show."""

    key: str
    reason: str
    """In the operator's words."""


class Resumed(msgspec.Struct, frozen=True, kw_only=True, tag="resumed"):
    """An operator said that the key is ours alone again."""

    next: int
    reason: str = ""


Record = Signing | Noted | GivenUp | Resumed
"""What a wallet writes down."""


class What(NamedTuple):
    """What became of a task: `mined`, `undone` by a reorg, `settled`, or `gone` since its nonce was used otherwise."""

    task: Task
    what: State
    number: int
    """How many such things were noted of this task before: tells one that is told again from a new one."""
    hash: str = ""
    receipt: Receipt | None = None
    instead: bool = False
    """What was mined does nothing: the task will not happen."""
    kept: bytes = b""
    """What its owner gave when it was mined."""
    limit: int = 0
    """Of the gas of what was mined."""
    why: str = ""
    """Why it is gone."""


class Open:
    """What a wallet remembers of a task under way."""

    def __init__(self, task: Task) -> None:
        """Of which nothing is signed yet."""
        self.task = task
        self.signed: list[Signing] = []
        self.noted = 0
        self.kept = b""
        self.seq = 0
        """Of the record of the newest transaction."""
        self.sent_at: int | None = None
        """Number of the block after which the newest transaction was sent first; None in an earlier run."""
        self.tried_at: int | None = None
        """Number of the block after which something was sent last."""
