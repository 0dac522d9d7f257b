"""The recent chain and what it did to pools: exactly once for each log, and back again when blocks are replaced; pure.

Blocks lie one on the other by their hashes. Each keeps its logs and the states of the pools that it changed, so that a
state of any kept block can be told, a late log put in its place, and a replaced block forgotten. Logs often come before
the head of their block: the first one that is one higher than the tip is believed to lie on it until the head says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Final, NamedTuple

from connectors.errors import PoolError
from connectors.evm.logs import Log, Pool, Swapped, Traded, Unborn, applied
from connectors.evm.rpc import Head

DEPTH: Final = 64
"""Blocks that are kept. Reorgs of Ethereum end before two epochs (64 slots) are over; other chains are shallower."""

EARLY: Final = 256
"""Blocks whose logs are kept before the block itself is known."""

State = Pool | Unborn | None
"""None: not known, since a log could not be."""

Mark = tuple[str, int]
"""Transaction and log index: with the block's hash, what a log is known by."""


class Took(Enum):
    """What became of a head or log."""

    OLD = "old"
    """It was known, or is a log of before what is kept."""
    TAKEN = "taken"
    REORG = "reorg"
    """Blocks were replaced; states went back to the common ancestor first."""
    ASTRAY = "astray"
    """It lies on no kept block: what is between must be asked for, or all that is kept is of another chain."""


class Compared(NamedTuple):
    """What an answer to eth_getLogs says beside what is kept."""

    lacking: int
    """Logs that are kept and not in the answer: it is empty, cut off or of another moment."""
    missed: int
    """Logs of the answer that had not been heard; they are in their place now."""
    foreign: int
    """Logs of blocks that are not ours: of a fork."""


class _Block:
    """One block; `after` holds what it left of the pools it changed, `read` what was read of the chain after it."""

    __slots__ = ("after", "head", "logs", "read", "sure")

    def __init__(self, head: Head, *, sure: bool) -> None:
        self.head, self.sure = head, sure
        self.logs: dict[str, dict[Mark, Log]] = {}
        self.after: dict[str, State] = {}
        self.read: dict[str, State] = {}


class Blocks:
    """The kept blocks, oldest first, and the states of all pools after the newest."""

    def __init__(self, anchor: Head, states: Mapping[str, State], depth: int = DEPTH) -> None:
        """`states` were read of the chain after block `anchor`."""
        self.now: dict[str, State] = dict(states)
        self.dirty: set[str] = set()
        """Pools whose state may have changed; whoever looks clears it."""
        self.unproved: dict[str, int] = {}
        """Hash and number of blocks whose logs may not all have been heard: those that took the place of others. The
        feed adds those whose logs it did not hear, and takes out what it has asked for."""
        self.reorgs = 0
        self.deepest = 0
        """Most blocks that were replaced, counted from the highest that ever was."""
        self.replayed = 0
        """Logs that came again."""
        self.broken: dict[str, str] = {}
        """Why pools are not known, for people; only `install` makes one known again."""
        self._depth = depth
        self._blocks = [_Block(anchor, sure=True)]
        self._blocks[0].read = dict(states)
        self._blocks[0].after = dict(states)
        self._before: dict[str, State] = {}
        self._early: dict[str, list[Log]] = {}
        self._highest = anchor.number

    @property
    def tip(self) -> Head:
        """The newest block."""
        return self._blocks[-1].head

    @property
    def settled(self) -> Head:
        """The block below the tip: what it did has been heard, if nothing was lost on the way."""
        return self._blocks[-2 if len(self._blocks) > 1 else -1].head

    @property
    def oldest(self) -> Head:
        """The oldest block that is kept."""
        return self._blocks[0].head

    def hash_at(self, number: int) -> str | None:
        """The hash of a kept block."""
        at = number - self._blocks[0].head.number
        return self._blocks[at].head.hash if 0 <= at < len(self._blocks) else None

    def knows(self, head: Head) -> bool:
        """Whether this very block is kept, and its head was heard."""
        at = self._find(head.number, head.hash)
        return at is not None and self._blocks[at].sure

    def head(self, head: Head) -> Took:
        """Takes a block."""
        at = self._find(head.number, head.hash)
        if at is not None:
            block = self._blocks[at]
            if block.sure:
                return Took.OLD
            if self._blocks[at - 1].head.hash == head.parent:
                if not block.head.timestamp_s:
                    self.dirty.update(block.after)
                block.head, block.sure = head, True
                return Took.TAKEN
        parent = self._find(head.number - 1, head.parent)
        if parent is None:
            return Took.ASTRAY
        took = Took.TAKEN
        if parent + 1 < len(self._blocks):
            self._drop(parent + 1)
            took = Took.REORG
        if head.number <= self._highest:
            self.unproved[head.hash] = head.number
        self._append(_Block(head, sure=True))
        return took

    def log(self, log: Log) -> Took:
        """Takes a log, in its place; a removed one takes its block away."""
        at = self._find(log.number, log.block)
        if log.removed:
            if at is None:
                self._early.pop(log.block, None)
                return Took.OLD
            if at == 0:
                return Took.ASTRAY
            self._drop(at)
            return Took.REORG
        if at is None:
            tip = self._blocks[-1].head
            if log.number <= self._blocks[0].head.number:
                self.replayed += 1
                return Took.OLD
            if log.number != tip.number + 1:
                self._keep(log)
                return Took.ASTRAY
            self._append(_Block(Head(log.number, log.block, tip.hash, log.timestamp_s), sure=False))
            at = len(self._blocks) - 1
        return self._place(at, log)

    def install(self, block: Head, states: Mapping[str, State]) -> bool:
        """Takes states that were read of the chain after a block; False where that block is no longer ours."""
        at = self._find(block.number, block.hash)
        if at is None:
            return False
        for pool, state in states.items():
            if pool not in self.now:
                continue
            self.broken.pop(pool, None)
            self._blocks[at].read[pool] = state
            self._again(pool, at)
        return True

    def states_at(self, block: Head) -> dict[str, State] | None:
        """The states of all pools after a block; None where it is not kept."""
        at = self._find(block.number, block.hash)
        return None if at is None else {pool: self._state(pool, at + 1) for pool in self.now}

    def swaps(self, first: int, last: int) -> Iterator[Log]:
        """The swaps in the kept blocks of these numbers, in order."""
        for number in range(max(first, self.oldest.number), last + 1):
            block = self._at(number)
            if block is not None:
                logs = [log for known in block.logs.values() for log in known.values()]
                yield from sorted(
                    (log for log in logs if isinstance(log.event, (Swapped, Traded))), key=lambda log: log.log_index
                )

    def distrust(self, pool: str, why: str) -> None:
        """The state of a pool is not what the chain says."""
        self.broken[pool] = why
        self.now[pool] = None
        self.dirty.add(pool)

    def await_reading(self, pool: str) -> None:
        """A pool of which nothing is known joins the others; `install` makes it known."""
        self.now[pool] = None

    def forget(self, pool: str) -> None:
        """A pool is followed no more: all that is kept of it goes."""
        self.now.pop(pool, None)
        self._before.pop(pool, None)
        self.broken.pop(pool, None)
        for block in self._blocks:
            block.logs.pop(pool, None)
            block.after.pop(pool, None)
            block.read.pop(pool, None)
        self.dirty.discard(pool)

    def compare(self, logs: Iterable[Log], blocks: Iterable[int]) -> Compared:
        """Holds a whole answer about these block numbers against what is kept, and takes what had not been heard."""
        ours = {
            (block.head.hash, *mark)
            for number in blocks
            if (block := self._at(number)) is not None
            for known in block.logs.values()
            for mark in known
        }
        answered, missed, foreign = set(), 0, 0
        for log in logs:
            at = self._find(log.number, log.block)
            if at is None:
                foreign += log.number > self._blocks[0].head.number
                continue
            mark = (log.block, log.tx, log.log_index)
            answered.add(mark)
            if mark not in ours and self._place(at, log) is Took.TAKEN:
                missed += 1
        return Compared(len(ours - answered), missed, foreign)

    def _find(self, number: int, block: str) -> int | None:
        at = number - self._blocks[0].head.number
        return at if 0 <= at < len(self._blocks) and self._blocks[at].head.hash == block else None

    def _at(self, number: int) -> _Block | None:
        at = number - self._blocks[0].head.number
        return self._blocks[at] if 0 <= at < len(self._blocks) else None

    def _place(self, at: int, log: Log) -> Took:
        if log.pool not in self.now:
            return Took.OLD
        block = self._blocks[at]
        known = block.logs.setdefault(log.pool, {})
        mark = (log.tx, log.log_index)
        if mark in known:
            self.replayed += 1
            return Took.OLD
        last = max((mark[1] for mark in known), default=-1)
        known[mark] = log
        if log.pool in block.read:
            return Took.TAKEN  # what was read already has it
        if at + 1 < len(self._blocks) or log.log_index < last:
            self._again(log.pool, at)
        else:
            self.now[log.pool] = block.after[log.pool] = self._applied(self.now[log.pool], log)
            self.dirty.add(log.pool)
        return Took.TAKEN

    def _applied(self, state: State, log: Log) -> State:
        if state is None:
            return None
        try:
            return applied(state, log.event)
        except PoolError as error:
            self.broken[log.pool] = str(error)
            return None

    def _again(self, pool: str, first: int) -> None:
        """Applies a pool's logs again from a block on."""
        state = self._state(pool, first)
        for block in self._blocks[first:]:
            logs = block.logs.get(pool)
            if pool in block.read:
                block.after[pool] = state = block.read[pool]
            elif logs:
                for log in sorted(logs.values(), key=lambda log: log.log_index):
                    state = self._applied(state, log)
                block.after[pool] = state
        self.now[pool] = None if pool in self.broken else state
        self.dirty.add(pool)

    def _state(self, pool: str, count: int) -> State:
        """A pool after the oldest `count` blocks."""
        for block in reversed(self._blocks[:count]):
            if pool in block.after:
                return block.after[pool]
        return self._before.get(pool)

    def _append(self, block: _Block) -> None:
        self._blocks.append(block)
        self._highest = max(self._highest, block.head.number)
        for log in self._early.pop(block.head.hash, ()):
            self._place(len(self._blocks) - 1, log)
        if len(self._blocks) > self._depth:
            oldest = self._blocks.pop(0)
            self._before.update(oldest.after)
            self.unproved.pop(oldest.head.hash, None)

    def _drop(self, first: int) -> None:
        """Forgets blocks from `first` on."""
        gone = self._blocks[first:]
        del self._blocks[first:]
        self.reorgs += 1
        self.deepest = max(self.deepest, self._highest + 1 - gone[0].head.number)
        for block in gone:
            self.unproved.pop(block.head.hash, None)
        for pool in {pool for block in gone for pool in block.after}:
            self.now[pool] = None if pool in self.broken else self._state(pool, len(self._blocks))
            self.dirty.add(pool)

    def _keep(self, log: Log) -> None:
        self._early.setdefault(log.block, []).append(log)
        while len(self._early) > EARLY:
            self._early.pop(next(iter(self._early)))
