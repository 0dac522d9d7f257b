"""Several nodes of one chain: who is behind, who says something else, and what so many of them agree on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp
import msgspec

from connectors.errors import BadMessage, ConnectorError, EntitlementLost, NoQuorum, VenueUnreachable
from connectors.evm.abi import Call, batch, unbatch
from connectors.evm.logs import Log, RawLog, read_log
from connectors.evm.rpc import MULTICALL3, Head, Rpc
from connectors.evm.subscription import Filter
from connectors.poll import Poll
from connectors.ports import FeedSetup
from connectors.vitals import Vitals

T = TypeVar("T")

LAG_BLOCKS: Final = 3
"""A node that is more blocks than this behind the best is not asked."""

CALLS_PER_S: Final = 20
"""To each node."""

PER_BATCH: Final = 500
"""Reads in one call of Multicall3: some 3 million gas where each reads one cold word."""


class Look(NamedTuple):
    """What a look at all nodes found."""

    heads: tuple[Head | None, ...]
    """Newest block of each; None where a node does not answer."""
    best: int
    """Highest number among them; -1 where nobody answers."""
    behind: tuple[int, ...]
    """Which nodes are behind."""
    number: int = -1
    """A height that all that are not behind should have."""
    hashes: Mapping[str, str] = {}
    """What block they have there, by name."""


def behind(heads: Sequence[Head | None], lag_blocks: int = LAG_BLOCKS) -> tuple[int, ...]:
    """Which nodes are more than `lag_blocks` behind the best; who does not answer is not among them."""
    best = max((head.number for head in heads if head), default=-1)
    return tuple(at for at, head in enumerate(heads) if head and head.number < best - lag_blocks)


def disagreement(number: int, hashes: Mapping[str, str]) -> str:
    """What is wrong where nodes, by name, have different hashes at one height; empty where they have one."""
    if len(set(hashes.values())) < 2:
        return ""
    return f"block {number} is " + ", ".join(f"{hash_[:10]} at {name}" for name, hash_ in sorted(hashes.items()))


class Rpcs:
    """The nodes of one chain. The first one that is not behind is asked; when it fails, the next."""

    def __init__(self, rpcs: Sequence[Rpc], lag_blocks: int = LAG_BLOCKS) -> None:
        """At least one node."""
        self.rpcs = tuple(rpcs)
        self.lag_blocks = lag_blocks
        self._good = list(range(len(self.rpcs)))

    @property
    def good(self) -> tuple[Rpc, ...]:
        """Those that were not behind at the last look, in order; all where that would be none."""
        return tuple(self.rpcs[at] for at in self._good) or self.rpcs

    async def look(self) -> Look:
        """Asks every node for its newest block, and all that are not behind for one that they must share.

        Nobody is waited for longer than one answer may take. Raises nothing.
        """
        heads = await asyncio.gather(*(_or_none(rpc.head()) for rpc in self.rpcs))
        late = behind(heads, self.lag_blocks)
        self._good = [at for at, head in enumerate(heads) if head and at not in late]
        best = max((head.number for head in heads if head), default=-1)
        if not self._good:
            return Look(tuple(heads), best, late)
        number = min(head.number for at, head in enumerate(heads) if head and at in self._good)
        shared = await asyncio.gather(*(_or_none(self.rpcs[at].head(number)) for at in self._good))
        named = {f"node {at + 1}": head.hash for at, head in zip(self._good, shared, strict=True) if head}
        return Look(tuple(heads), best, late, number, named)

    async def first(self, ask: Callable[[Rpc], Awaitable[T]]) -> T:
        """What the first good node answers that answers at all. Raises the last one's ConnectorError."""
        last: ConnectorError = VenueUnreachable("no node to ask")
        for rpc in self.good:
            try:
                return await ask(rpc)
            except ConnectorError as error:
                last = error
        raise last

    async def agreed(self, count: int, ask: Callable[[Rpc, Head], Awaitable[T]]) -> tuple[Head, T]:
        """For decisions about money: what `count` nodes, and more than all the others together, say alike of one block
        that they share by its hash.

        The block is the newest that as many of the nodes that are not behind have. Raises NoQuorum where fewer have
        one, or say the same of it.
        """
        found = await asyncio.gather(*(tried(rpc.head()) for rpc in self.rpcs))
        heads = [None if isinstance(head, ConnectorError) else head for head in found]
        late = behind(heads, self.lag_blocks)
        good = [(head.number, rpc) for at, (head, rpc) in enumerate(zip(heads, self.rpcs, strict=True))
                if head and at not in late]  # fmt: skip
        if len(good) < count:
            why = "".join(f"; node {at + 1}: {e}" for at, e in enumerate(found) if isinstance(e, ConnectorError))
            raise NoQuorum(f"{len(good)} of {len(self.rpcs)} nodes are there and not behind, {count} are needed{why}")
        enough = max(count, len(good) // 2 + 1)
        number = sorted((number for number, _ in good), reverse=True)[enough - 1]
        asked = [rpc for newest, rpc in good if newest >= number]
        shared = await asyncio.gather(*(_or_none(rpc.head(number)) for rpc in asked))
        common, votes = Counter(head for head in shared if head).most_common(1)[0] if any(shared) else (None, 0)
        if common is None or votes < count or 2 * votes <= sum(head is not None for head in shared):
            raise NoQuorum(f"only {votes} nodes have the same block {number}, {enough} are needed")
        holders = [rpc for rpc, head in zip(asked, shared, strict=True) if head == common]
        answers = [a for a in await asyncio.gather(*(_said(ask(rpc, common)) for rpc in holders)) if a is not None]
        for (answer,) in answers:
            votes = sum(answer == other for (other,) in answers)
            if votes >= count and 2 * votes > len(answers):
                return common, answer
        raise NoQuorum(f"the nodes say different things of block {number} ({len(answers)} answers)")


class Foremost:
    """The first of the nodes of a chain that answers, as one: a send that one does not take goes to the next."""

    def __init__(self, rpcs: Rpcs) -> None:
        """Errors are those of `Rpcs.first`."""
        self._rpcs = rpcs

    async def ask(self, method: str, *params: Any) -> Any:
        """The result of a call."""
        return await self._rpcs.first(lambda rpc: rpc.ask(method, *params))

    async def chain_id(self) -> int:
        """By which the chain is known."""
        return await self._rpcs.first(lambda rpc: rpc.chain_id())

    async def head(self, block: int | str = "latest") -> Head:
        """A block."""
        return await self._rpcs.first(lambda rpc: rpc.head(block))

    async def code(self, address: str, head: Head) -> bytes:
        """The code of a contract at a block."""
        return await self._rpcs.first(lambda rpc: rpc.code(address, head))

    async def slot(self, address: str, slot: int, head: Head) -> bytes:
        """One word of a contract's storage at a block."""
        return await self._rpcs.first(lambda rpc: rpc.slot(address, slot, head))

    async def call(self, call: Call, head: Head) -> bytes:
        """What a contract answers at a block."""
        return await self._rpcs.first(lambda rpc: rpc.call(call, head))


async def read_at(rpc: Rpc, calls: Sequence[Call], head: Head, per_batch: int = PER_BATCH) -> list[bytes | None]:
    """What contracts answer at a block by its hash (EIP-1898), so that no fork is mixed in; None where one failed.

    Raises VenueUnreachable where the node does not have that block any more (or yet), BadMessage without Multicall3.
    """
    found: list[bytes | None] = []
    for start in range(0, len(calls), per_batch):
        part = [Call(MULTICALL3, _NOW), *calls[start : start + per_batch]]
        wish = {"to": MULTICALL3, "data": "0x" + batch(part).hex()}
        answer = bytes.fromhex(str(await rpc.ask("eth_call", wish, {"blockHash": head.hash})).removeprefix("0x"))
        if not answer:
            raise BadMessage("no Multicall3 on this chain")
        now, *rest = unbatch(answer, len(part))
        if now is None or int.from_bytes(now, "big") != head.timestamp_s:
            raise VenueUnreachable(f"not answered from block {head.number}")
        found += rest
    return found


async def block_of(rpc: Rpc, block: str) -> Head:
    """A block by its hash. Raises VenueUnreachable where the node does not have it."""
    found = await rpc.ask("eth_getBlockByHash", block, False)
    if not isinstance(found, dict):
        raise VenueUnreachable(f"the node does not have block {block}")
    try:
        return Head(
            int(found["number"], 16), str(found["hash"]).lower(), str(found["parentHash"]).lower(),
            int(found["timestamp"], 16),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise BadMessage("not a block") from error


async def logs_of_block(rpc: Rpc, filters: Sequence[Filter], block: str) -> list[Log]:
    """The logs of one block by its hash (EIP-234): a node that does not have it says so, and not that there are none.

    Raises as Rpc.ask.
    """
    return [log for one in filters for log in _read(await rpc.ask("eth_getLogs", {**one, "blockHash": block}))]


async def logs_of(rpc: Rpc, filters: Sequence[Filter], first: int, last: int) -> list[Log]:
    """The logs of some blocks, in parts where the node does not tell them at once. Raises as Rpc.logs_where."""
    return [log for one in filters for log in _read(await rpc.logs_where(one, first, last))]


def _read(answer: Any) -> list[Log]:
    try:
        raw = msgspec.convert(answer, list[RawLog])
    except msgspec.ValidationError as error:
        raise BadMessage(f"not a list of logs: {str(answer)[:80]!a}") from error
    return [log for one in raw if (log := read_log(one)) is not None]


def nodes(
    setup: FeedSetup,
    session: aiohttp.ClientSession,
    lag_blocks: int = LAG_BLOCKS,
    calls_per_s: int = CALLS_PER_S,
    frame: Callable[[bytes], None] = lambda _: None,
    max_wait_s: float = inf,
) -> Rpcs:
    """The nodes of a venue: addresses with spaces between them in `url` of the key file, since they may hold keys, or
    else in the config's. Each has a rate budget of its own. `frame` gets every answer as it came; one that asks
    for more patience than `max_wait_s` is not waited for, but RateLimited.

    Raises EntitlementLost where there is none.
    """
    urls = (setup.key().get("url") or setup.url).split()
    if not urls:
        hint = 'write url = "http://..." there, or key_file with addresses that hold a key'
        raise EntitlementLost("no address of a node", where=f"[venues.{setup.venue}]", hint=hint)
    rpcs = []
    for at, url in enumerate(urls):
        poll = Poll(
            setup.venue, clock=setup.clock, monotonic=setup.monotonic, rng=setup.rng, sleep=setup.sleep,
            per_period=calls_per_s, period_s=1.0, tries=2, vitals=Vitals() if at else setup.vitals,
            max_wait_s=max_wait_s,
        )  # fmt: skip
        rpcs.append(Rpc(session, url, poll, frame))
    return Rpcs(rpcs, lag_blocks)


_NOW: Final = bytes.fromhex("0f28c97d")
"""getCurrentBlockTimestamp()"""


async def tried(asked: Awaitable[T]) -> T | ConnectorError:
    """What was answered, or what went wrong."""
    try:
        return await asked
    except ConnectorError as error:
        return error


async def _or_none(asked: Awaitable[T]) -> T | None:
    answer = await tried(asked)
    return None if isinstance(answer, ConnectorError) else answer


async def _said(asked: Awaitable[T]) -> tuple[T] | None:
    try:
        return (await asked,)
    except ConnectorError:
        return None
