"""What the nodes of one chain say alike of one block, and which of them do not: for words that money hangs on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from connectors.errors import ConnectorError, NodesBehind, NodesDisagree, NoQuorum, VenueUnreachable
from connectors.evm.rpc import Head, Rpc
from connectors.evm.rpcs import Rpcs, behind, disagreement, tried

T = TypeVar("T")


class Agreement:
    """Asks all nodes that are not behind at one block. What is said alike counts where at least `count` nodes say it,
    and more than all the others together; every node that is away, behind or says something else is told of."""

    def __init__(self, rpcs: Rpcs, count: int, told: Callable[[str, str], None]) -> None:
        """`told(word, detail)` hears of nodes by their number; their addresses may hold keys."""
        self.rpcs, self.count, self._told = rpcs, count, told
        self._holders: tuple[int, ...] = ()

    async def block(self, last: Head | None = None) -> Head:
        """The newest block that all have who are not behind; never one before `last`, nor another in its place.

        A node that is a few blocks behind would take a new multiplier back; what a reorg put in the place of `last`
        counts as soon as it is longer. Raises NodesDisagree where too few have the same block, NodesBehind where too
        few are not behind, NoQuorum where too few answer, and as Rpc.ask where none does.
        """
        rpcs, floor = self.rpcs.rpcs, -1 if last is None else last.number
        heads = self._answers(range(len(rpcs)), await asyncio.gather(*(tried(rpc.head()) for rpc in rpcs)))
        late = behind([heads.get(at) for at in range(len(rpcs))], self.rpcs.lag_blocks)
        best = max(head.number for head in heads.values())
        for at in late:
            self._told("node_behind", f"node {at + 1} is at {heads[at].number} of {best}")
        fresh = {at: head for at, head in heads.items() if at not in late and head.number >= floor}
        if not fresh:
            raise VenueUnreachable(f"block {best} again, after {floor} was read")
        if len(fresh) < self.count:
            what = f"{len(fresh)} of {len(rpcs)} nodes are there and not behind, {self.count} are needed"
            raise NodesBehind(what) if len(heads) >= self.count else NoQuorum(what)
        number = min(head.number for head in fresh.values())
        asked = (_at(rpcs[at], head, number) for at, head in fresh.items())
        shared = self._answers(fresh, await asyncio.gather(*asked))
        common, votes = Counter(shared.values()).most_common(1)[0]
        wrong = disagreement(number, {f"node {at + 1}": head.hash for at, head in shared.items()})
        if not self._enough(votes, len(shared)):
            raise NodesDisagree(wrong) if wrong else NoQuorum(f"{votes} nodes have block {number}")
        if last is not None and number == floor and common.hash != last.hash:
            raise VenueUnreachable(f"another block {number} than was read")
        if wrong:
            self._told("nodes_disagree", wrong)
        self._holders = tuple(at for at, head in shared.items() if head == common)
        return common

    async def said(self, ask: Callable[[Rpc], Awaitable[Sequence[T]]]) -> list[T | None]:
        """What is said alike by those that have the block, answer by answer; None where there is no such thing.

        Raises NoQuorum where too few answer, and as Rpc.ask where none does.
        """
        rpcs = self.rpcs.rpcs
        answers = self._answers(self._holders, await asyncio.gather(*(tried(ask(rpcs[at])) for at in self._holders)))
        if len(answers) < self.count:
            raise NoQuorum(f"{len(answers)} of {len(rpcs)} nodes answer, {self.count} are needed")
        found: list[T | None] = []
        for place, parts in enumerate(zip(*answers.values(), strict=True)):
            best = max(parts, key=parts.count)
            votes = parts.count(best)
            found.append(best if self._enough(votes, len(parts)) else None)
            if votes < len(parts):
                others = [f"node {at + 1}" for at, part in zip(answers, parts, strict=True) if part != best]
                self._told("nodes_disagree", f"answer {place + 1} is another one at {', '.join(others)}")
        return found

    async def first(self, ask: Callable[[Rpc], Awaitable[T]]) -> T:
        """What the first of those that have the block answers, and the next where it fails; for what is no matter of
        money. Raises the last one's ConnectorError."""
        return await Rpcs([self.rpcs.rpcs[at] for at in self._holders]).first(ask)

    def _enough(self, votes: int, of: int) -> bool:
        return votes >= self.count and 2 * votes > of

    def _answers(self, nodes: Iterable[int], tried: Sequence[T | ConnectorError]) -> dict[int, T]:
        """By node what it answered. Raises the first one's error where none did."""
        found: dict[int, T] = {}
        failed: list[tuple[int, ConnectorError]] = []
        for at, answer in zip(nodes, tried, strict=True):
            if isinstance(answer, ConnectorError):
                failed.append((at, answer))
            else:
                found[at] = answer
        if not found:
            raise failed[0][1]
        for at, error in failed:
            self._told("node_down", f"node {at + 1}: {error}")
        return found


async def _at(rpc: Rpc, newest: Head, number: int) -> Head | ConnectorError:
    return newest if newest.number == number else await tried(rpc.head(number))
