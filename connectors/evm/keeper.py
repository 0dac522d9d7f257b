"""Keeps the pools of one chain: their states from heads and logs, mended where something was missed or replaced.

What a node says is applied at once. What needs an answer of the chain first (the start, a gap, replaced blocks) is
mended by one worker: until it is done nothing is told, NOT_HEARD stands against the pools, and what is heard meanwhile
waits. A pool whose state cannot be is read anew alone, while the others go on. A second worker looks back now and then:
whether eth_getLogs has other logs than were heard, and whether the chain has other states than are kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from connectors.backoff import of_stream
from connectors.errors import BadMessage, ConnectorError, PoolError, VenueUnreachable
from connectors.events import Why
from connectors.evm.blocks import DEPTH, Blocks, State, Took
from connectors.evm.logs import Log
from connectors.evm.pool_facts import Facts, Identities
from connectors.evm.pool_read import differs, read_states, same_top, top_read, tops
from connectors.evm.pool_spec import PoolSpec
from connectors.evm.rpc import Head, Rpc
from connectors.evm.rpcs import Rpcs, block_of, logs_of, logs_of_block, read_at
from connectors.evm.subscription import Filter
from connectors.evm.teller import Teller
from connectors.ports import FeedSetup, Sink

HELD: Final = 50_000
"""Messages that wait while something is mended; with more of them the pools are read anew instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How often the keeper looks back."""

    reconcile_blocks: int
    """Kept states are held against the chain's every so many blocks: the numbers of all pools, and all of one."""
    check_blocks: int
    """Logs are asked for again every so many blocks, from so many before the last time."""


class Keeper:
    """Give it heads and logs by `take`, and run `mending` and `checking`."""

    def __init__(
        self,
        setup: FeedSetup,
        specs: Sequence[PoolSpec],
        rpcs: Rpcs,
        sink: Sink,
        teller: Teller,
        *,
        filters: Sequence[Filter],
        habits: Habits,
        chain_id: int | None = None,
    ) -> None:
        """`teller` makes rows of what changed; a node of another chain than `chain_id` is not read."""
        self.blocks: Blocks | None = None
        """None before the first reading."""
        self._identities = Identities(specs)
        self.facts: Mapping[str, Facts] = self._identities.known
        """Of every pool that is what is meant."""
        self.whole = False
        """Whether everything that was heard is applied and nothing is in doubt."""
        self._setup, self._rpcs, self._sink, self._teller = setup, rpcs, sink, teller
        self._specs = {spec.pool: spec for spec in specs}
        self._filters, self._habits, self._chain_id = tuple(filters), habits, chain_id
        self._held: deque[Head | Log] = deque()
        self._anew = False
        self._unread: dict[str, str] = {}
        """Pools that could not be read at the last try, and why."""
        self._refused: set[str] = set()
        """Pools that were not what is meant at the last look."""
        self._doubt = False
        self._mend, self._look = asyncio.Event(), asyncio.Event()
        self._live = False
        self._checked = 0
        self._reconciled = 0
        self._turn = 0

    def take(self, said: Head | Log) -> None:
        """One head or log."""
        if not self.whole or self.blocks is None:
            self._held.append(said)
            if len(self._held) > HELD:
                self._held.clear()
                self._anew = True
            self._mend.set()
            return
        took = self._applied(self.blocks, said)
        if took is Took.ASTRAY and isinstance(said, Head):
            self._held.append(said)
            self._halt()
        elif took is Took.REORG and isinstance(said, Log):
            self.doubt()
        elif self.blocks.unproved:
            self._halt()
        else:
            self._teller.changed(head=isinstance(said, Head))
            if self.blocks.broken:
                self._mend.set()

    def doubt(self) -> None:
        """A new connection, or blocks were taken back: where the chain is now was not heard."""
        self._live = self._doubt = True
        self._halt()

    def down(self) -> None:
        """The connection is gone: nothing is told until `doubt` and mending."""
        self.whole = self._live = False
        self._teller.halt()

    async def mending(self) -> None:
        """The worker that makes things whole; until cancelled."""
        backoff = of_stream(self._setup.rng)
        while True:
            await self._mend.wait()
            self._mend.clear()
            try:
                await self._whole()
            except ConnectorError as error:
                self._sink.reject(self._setup.venue, error.word, str(error))
                await self._setup.sleep(backoff.next_s())
                self._doubt = self.blocks is not None and not self.whole
                self._mend.set()
            else:
                backoff.reset()

    async def checking(self) -> None:
        """The worker that looks back; until cancelled."""
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                if self.blocks is not None and self.whole:
                    await self._check(self.blocks)
                if self.blocks is not None and self.whole:
                    await self._reconcile(self.blocks)
            except ConnectorError as error:
                self._sink.reject(self._setup.venue, error.word, str(error))

    def _applied(self, blocks: Blocks, said: Head | Log) -> Took:
        took = blocks.log(said) if isinstance(said, Log) else blocks.head(said)
        if took is Took.REORG:
            self._sink.reject(self._setup.venue, "reorg", f"block {said.number} was replaced")
        if isinstance(said, Head):
            self._look.set()
        return took

    def _halt(self) -> None:
        """Nothing is told until it is mended."""
        if self.whole:
            self._sink.against(self._teller.numbers(self._specs), Why.NOT_HEARD)
        self.whole = False
        self._teller.halt()
        self._mend.set()

    async def _whole(self) -> None:
        """Mends until nothing is left to mend. Raises ConnectorError."""
        while True:
            if self._anew or self.blocks is None:
                await self._begin()
                self._anew = False
            blocks = self.blocks
            assert blocks is not None
            if self._doubt:
                self._doubt = False
                blocks.unproved |= {head.hash: head.number for head in (blocks.settled, blocks.tip)}
                await self._reach(blocks, await self._rpcs.first(lambda rpc: rpc.head()))
            while self._held and not self._anew:
                said = self._held.popleft()
                if self._applied(blocks, said) is Took.ASTRAY and isinstance(said, Head):
                    await self._reach(blocks, said)
            for block, number in list(blocks.unproved.items()):
                await self._prove(blocks, block, number)
            if self._anew or self._held or self._doubt:
                continue
            if any(state is None and pool not in self._unread for pool, state in blocks.now.items()):
                await self._read(blocks)
                continue
            if not blocks.unproved:
                break
        if self.whole:
            self._teller.changed(head=True)
        elif self._live:
            self.whole = True
            self._look.set()
            self._teller.everything(blocks, self.facts)

    async def _begin(self) -> None:
        """Reads all pools at the newest block, and begins from there."""

        async def ask(rpc: Rpc) -> Blocks:
            if self._chain_id is not None and (found := await rpc.chain_id()) != self._chain_id:
                raise BadMessage(f"a node of chain {found}, not of {self._chain_id}")
            head = await rpc.head()
            read = partial(read_at, rpc, head=head)
            await self._identities.look(rpc, head)
            return Blocks(head, self._known(await read_states(read, tuple(self.facts.values()))))

        self._unread = {}
        self.blocks = await self._rpcs.first(ask)
        self._identified()
        self._checked = self._reconciled = self.blocks.tip.number
        self._teller.begin(self.blocks, self.facts)

    def _identified(self) -> None:
        """Tells which pools are what is meant; the others are no longer followed."""
        blocks, wrong = self.blocks, self._identities.wrong
        assert blocks is not None
        for why in wrong.values():
            self._sink.reject(self._setup.venue, "identity", why)
        for reason in (Why.NOT_HEARD, Why.IDENTITY):
            self._sink.against(self._teller.numbers(wrong), reason)
        self._sink.cleared(self._teller.numbers(self._refused - wrong.keys()), Why.IDENTITY)
        self._refused = set(wrong)
        for pool in wrong.keys() & blocks.now.keys():
            self._unread.pop(pool, None)
            blocks.forget(pool)
        for pool in self.facts.keys() - blocks.now.keys():
            blocks.await_reading(pool)
            self._mend.set()

    def _known(self, states: Mapping[str, State | PoolError | BadMessage]) -> dict[str, State]:
        """What could be read; None, counted and remembered, where it could not."""
        known: dict[str, State] = {}
        for pool, state in states.items():
            if isinstance(state, (PoolError, BadMessage)):
                self._unread[pool] = str(state)
                self._sink.reject(self._setup.venue, "not_read", f"{pool}: {state}")
                known[pool] = None
            else:
                self._unread.pop(pool, None)
                known[pool] = state
        return known

    async def _reach(self, blocks: Blocks, head: Head) -> None:
        """Takes the blocks between a kept one and a head; where there is none, all is read anew."""
        if head.number < blocks.oldest.number:
            # An old head told again, or a chain that is shorter now: the newest block of the node says which.
            head = await self._rpcs.first(lambda rpc: rpc.head())
        if blocks.knows(head):
            return
        path = [head]
        while path[-1].number > blocks.oldest.number and len(path) <= DEPTH:
            parent = path[-1].parent
            if blocks.hash_at(path[-1].number - 1) == parent:
                for one in reversed(path):
                    self._applied(blocks, one)
                    blocks.unproved[one.hash] = one.number
                return
            path.append(await self._rpcs.first(partial(block_of, block=parent)))
        self._sink.reject(self._setup.venue, "read_anew", f"block {head.number} stands on none that is kept")
        self._anew = True

    async def _prove(self, blocks: Blocks, block: str, number: int) -> None:
        """Asks for the logs of one block; an answer that lacks what was heard is no answer."""
        last: ConnectorError = VenueUnreachable("no node to ask")
        for rpc in self._rpcs.good:
            if block not in blocks.unproved:
                return
            try:
                logs = await logs_of_block(rpc, self._filters, block)
            except ConnectorError as error:
                last = error
                continue
            found = blocks.compare(logs, (number,))
            if not found.lacking:
                blocks.unproved.pop(block, None)
                return
            last = VenueUnreachable(f"{found.lacking} logs of block {number} are not in the answer")
            self._sink.reject(self._setup.venue, "logs_lacking", str(last))
        raise last

    async def _read(self, blocks: Blocks) -> None:
        """Reads the pools anew that are not known."""
        head = blocks.tip if blocks.knows(blocks.tip) else blocks.settled
        lost = [self.facts[pool] for pool, state in blocks.now.items() if state is None and pool not in self._unread]

        async def ask(rpc: Rpc) -> Mapping[str, State | PoolError | BadMessage]:
            return await read_states(partial(read_at, rpc, head=head), lost)

        for pool, why in blocks.broken.items():
            self._sink.reject(self._setup.venue, "broken", f"{pool}: {why}")
        blocks.install(head, self._known(await self._rpcs.first(ask)))

    async def _check(self, blocks: Blocks) -> None:
        """Asks for the logs since the last time, and of some blocks before, and holds them against what was heard."""
        last, every = blocks.settled, self._habits.check_blocks
        if last.number < self._checked + every:
            return
        first = max(self._checked - every, blocks.oldest.number) + 1
        for rpc in self._rpcs.good:
            try:
                logs = await logs_of(rpc, self._filters, first, last.number)
            except ConnectorError as error:
                self._sink.reject(self._setup.venue, error.word, str(error))
                continue
            if not self.whole or blocks is not self.blocks or blocks.hash_at(last.number) != last.hash:
                return
            found = blocks.compare(logs, range(first, last.number + 1))
            if found.missed:
                self._sink.reject(self._setup.venue, "logs_missed", f"{found.missed} up to block {last.number}")
                self._teller.changed(head=True)
            if not found.lacking and not found.foreign:
                self._checked = last.number
                return
            said = f"{found.lacking} lacking, {found.foreign} of other blocks, up to block {last.number}"
            self._sink.reject(self._setup.venue, "logs_lacking" if found.lacking else "logs_foreign", said)
        # Nobody gives an answer that holds what was heard: each block is asked for by its hash.
        for number in range(max(first, blocks.oldest.number + 1), last.number + 1):
            blocks.unproved[blocks.hash_at(number) or ""] = number
        self._checked = last.number
        self._halt()

    async def _reconcile(self, blocks: Blocks) -> None:
        """Looks at what all pools are, and holds the numbers of all and the whole of one in turn against the chain, at
        the same block."""
        head = blocks.settled
        if head.number < self._reconciled + self._habits.reconcile_blocks:
            return
        await self._rpcs.first(lambda rpc: self._identities.look(rpc, head))
        if blocks is not self.blocks:
            return
        self._identified()
        facts = [facts for pool, facts in self.facts.items() if blocks.now.get(pool) is not None]
        if self._unread:
            self._reconciled, self._unread = head.number, {}
            self._mend.set()
            return
        if not facts:
            self._reconciled = head.number
            return
        turn = facts[self._turn % len(facts)]
        calls = [tops(one) for one in facts]

        async def ask(rpc: Rpc) -> tuple[list[bytes | None], Mapping[str, State | PoolError | BadMessage]]:
            read = partial(read_at, rpc, head=head)
            return await read([call for part in calls for call in part]), await read_states(read, [turn])

        answers, whole = await self._rpcs.first(ask)
        kept = blocks.states_at(head)
        if kept is None or not self.whole or blocks is not self.blocks:
            return
        self._reconciled, self._turn = head.number, self._turn + 1
        rest = iter(answers)
        for one, part in zip(facts, calls, strict=True):
            pool = one.spec.pool
            top, state = [next(rest) for _ in part], kept[pool]
            if blocks.now.get(pool) is None or state is None:
                continue
            try:
                read = top_read(one, top)
            except BadMessage as error:
                self._sink.reject(self._setup.venue, error.word, str(error))
                continue
            wrong = "" if same_top(read, state) else f"on chain {read}"
            again = whole.get(pool)
            if not wrong and again is not None and not isinstance(again, (PoolError, BadMessage)):
                wrong = differs(state, again)
            if wrong:
                self._sink.reject(self._setup.venue, "mismatch", f"{pool} at block {head.number}: {wrong}")
                blocks.distrust(pool, f"at block {head.number}: {wrong}")
        if blocks.broken:
            self._teller.changed(head=True)
            self._mend.set()
