"""A wallet on one chain: signs tasks, sends them, and looks for what became of them until no reorg can change it.

One task waits at a time. What is signed is durable before it is sent, so that after kill -9 the transaction is found by
its hash. A send that failed is not a transaction that failed: what happened is asked of the chain, by receipt and
nonce. A task that waits too long is replaced under its own nonce, after its deadline by nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from connectors.errors import ConnectorError, CostUnknown, NotUnknown, TooDear, VenueUnreachable, WrongChain
from connectors.events import NS
from connectors.evm.data_fees import HABITS, Habit, mismatch
from connectors.evm.evidence import Seen, count_of, counts, see
from connectors.evm.fees import Fees, Market, bumped, fees, read_history
from connectors.evm.keys import Signer, Transaction
from connectors.evm.node import Agreed, Node
from connectors.evm.nonces import Nonces, Slot, State
from connectors.evm.rpc import Head, number
from connectors.evm.tasks import GivenUp, Noted, Open, Record, Records, Resumed, Signing, Task, Terms, What, kind_of

_SPARE: Final = 1.5
"""Times what a transaction that does nothing is said to take; what a chain takes for publishing moves."""


class Wallet:
    """The only one that sends for an address on a chain."""

    def __init__(
        self,
        terms: Terms,
        signer: Signer,
        node: Node,
        records: Records,
        *,
        clock: Callable[[], int],
        agreed: Agreed,
        relay: Node | None = None,
    ) -> None:
        """`relay` takes what is sent, where it must not be seen by others before it is in a block. `agreed` asks
        several nodes what they must say alike; that of `alone` believes one.
        """
        self.terms, self._signer, self._node, self._relay = terms, signer, node, relay
        self.agreed = agreed
        self._records, self._clock = records, clock
        self.nonces = Nonces()
        self._open: dict[str, Open] = {}
        self._head: Head | None = None
        self.capped: set[str] = set()
        """Tasks that wait and may not pay more."""
        self.given_up: dict[str, str] = {}
        """Tasks that an operator gave up, and why."""
        self._habit: Habit | None = None

    @property
    def address(self) -> str:
        """Whose wallet it is."""
        return self._signer.address

    @property
    def kind(self) -> str:
        """Of its records."""
        return kind_of(self.terms.chain_id, self.address)

    @property
    def busy(self) -> bool:
        """Whether a task waits for its block."""
        return self.nonces.waiting() is not None

    def restore(self, payloads: Iterable[bytes]) -> None:
        """Goes on from the records of earlier runs, in order."""
        for payload in payloads:
            record = msgspec.msgpack.decode(payload, type=Record)
            if isinstance(record, Resumed):
                self.nonces.resume(record.next)
            elif isinstance(record, GivenUp):
                self._end(record.key, record.reason)
            elif isinstance(record, Signing):
                self.nonces.signed(record.task.key, record.nonce, record.hash)
                self._open.setdefault(record.task.key, Open(record.task)).signed.append(record)
            else:
                self._apply(record)

    def tasks(self) -> tuple[Task, ...]:
        """Tasks of which something may still come."""
        keys = [*self.given_up, *(slot.key for slot in self.nonces.open())]
        return tuple(self._open[key].task for key in keys if key in self._open)

    def signings(self, key: str) -> int:
        """How many transactions were signed for a task under way."""
        return len(self._open[key].signed) if key in self._open else 0

    async def at(self, node: Node, head: Head) -> tuple[int, int]:
        """For `agreed`: how many transactions of the wallet a block's chain has, and how many up to where it stays.

        Raises WrongChain, and as Rpc.ask.
        """
        await self._check_chain(node)
        return await counts(node, self.address, head, self.terms.confirmations)

    async def habit(self) -> Habit:
        """How the chain charges, once it was seen to do so.

        Raises CostUnknown where that is not known, or the chain does otherwise; WrongChain, and as Rpc.ask.
        """
        if self._habit is None:
            known = self.terms.habit or HABITS.get(self.terms.chain_id)
            if known is None:
                raise CostUnknown(f"what chain {self.terms.chain_id} takes for publishing is not known")

            async def asked(node: Node, head: Head) -> str:
                await self._check_chain(node)
                return await mismatch(node, head, known)

            _, wrong = await self.agreed(asked)
            if wrong:
                raise CostUnknown(f"what chain {self.terms.chain_id} takes for publishing is not known: {wrong}")
            self._habit = known
        return self._habit

    async def ready(self, head: Head, counted: int) -> None:
        """Sees that a task may be begun: the head is new enough and nobody else uses our key.

        Raises VenueUnreachable for a node that is behind, and as Rpc.ask.
        """
        self._newest(head)
        self.nonces.observe(counted, await self.pending())

    async def pending(self) -> int:
        """How many transactions the node knows of, with those that wait. Raises as Rpc.ask."""
        return await count_of(self._node, self.address, "pending")

    async def market(self) -> Market:
        """What gas costs in the next block."""
        return read_history(await self._node.ask("eth_feeHistory", "0x5", "latest", [50]))

    async def begin(self, task: Task, head: Head, market: Market) -> bool:
        """Signs a task and sends it; whether the send was answered. `head` and `market` are those of the moment.

        Raises TooDear (also where the wallet cannot pay the gas), NotSigned, NoncePaused, WrongChain, and as Rpc.ask:
        then nothing was sent, nor ever will be. JournalError likewise.
        """
        offer = fees(market, min(task.max_fee_wei, self.terms.caps.max_fee_wei), self.terms.caps.max_priority_wei)
        held = number(await self._node.ask("eth_getBalance", self.address, hex(head.number)))
        if held < task.gas * offer.max_fee:
            # No node would take it, and its nonce would be in everybody's way.
            raise TooDear(f"gas may take {task.gas * offer.max_fee} wei, the wallet holds {held}")
        slot = self.nonces.reserve(task.key)
        try:
            signing = await self._sign(task, slot.nonce, offer)
        except BaseException:
            if slot.state is State.RESERVED:
                self.nonces.release(task.key)
            raise
        self._open[task.key].sent_at = self._open[task.key].tried_at = head.number
        return await self._send(signing)

    async def look(self) -> list[What]:
        """What became of tasks since the last look. Whoever is told says `noted`, or is told again.

        Sends again what was dropped, and replaces what is stuck. Raises as Rpc.ask, WrongChain, and VenueUnreachable
        for nodes that are behind, do not agree, or lack the receipt of what they count.
        """
        ended = [(self._open[key], why) for key, why in self.given_up.items()]
        gone = [What(one.task, State.GONE, one.noted, why=why) for one, why in ended]
        slots = self.nonces.open()
        if not slots:
            return gone
        head, seen = await self.agreed(lambda node, head: self._see(node, head, slots))
        self._newest(head)
        found = [self._judge(slot, one, head) for slot, one in zip(slots, seen, strict=True)]
        for slot, one, what in zip(slots, seen, found, strict=True):
            if what is None and slot.state is State.SENT and one.taken <= slot.nonce:
                await self._again(slot, head, first=one.taken == slot.nonce)
        told = [what for what in found if what is not None]
        for slot, one in zip(slots, seen, strict=True):
            # What is known of others is told first.
            if not told and slot.state is State.SENT and one.stays > slot.nonce:
                raise VenueUnreachable(f"nonce {slot.nonce} is used, and no receipt says what came of it")
        return gone + told

    def noted(self, what: What, kept: bytes = b"") -> None:
        """Its owner has taken in what became of a task. The record goes behind what the owner wrote of it."""
        receipt = what.receipt
        record = Noted(
            key=what.task.key,
            what=what.what,
            hash=what.hash,
            block=receipt.block if receipt else 0,
            block_hash=receipt.block_hash if receipt else "",
            kept=kept,
        )
        self._write(record)
        self._apply(record)

    async def resume(self, reason: str) -> None:
        """An operator says that the key is ours alone again: nonces are given out after all that were used; durable
        when it returns. Raises JournalError.
        """
        self.nonces.resume(self.nonces.next or 0)
        await self._records.wait(self._write(Resumed(next=self.nonces.next or 0, reason=reason)))

    async def give_up(self, key: str, reason: str) -> None:
        """An operator says that a task will never happen, since something else used its nonce that no node can show;
        durable when it returns, and told by the next look.

        Raises NotUnknown where a node can say more than the operator, and as `look`.
        """
        slot = next((slot for slot in self.nonces.open() if slot.key == key), None)
        if slot is None or key in self.given_up:
            raise NotUnknown("no task of this name is open", where=key)
        head, (seen,) = await self.agreed(lambda node, head: self._see(node, head, (slot,)))
        self._newest(head)
        if slot.state is State.MINED or seen.receipt is not None:
            found = slot.mined if seen.receipt is None else seen.receipt.hash
            raise NotUnknown(f"a block has its transaction {found}: what came of it is booked by a run", where=key)
        if seen.used_by in slot.hashes:
            said = f"its own transaction {seen.used_by} used nonce {slot.nonce}"
            raise NotUnknown(said, where=key, hint="ask a node that still has the receipt")
        if seen.stays <= slot.nonce:
            deep = head.number - self.terms.confirmations
            raise NotUnknown(f"nonce {slot.nonce} is free up to block {deep}: it may still happen", where=key)
        seq = self._write(GivenUp(key=key, reason=reason))
        self._end(key, reason)
        await self._records.wait(seq)

    # --- what became of one task

    async def _see(self, node: Node, head: Head, slots: tuple[Slot, ...]) -> tuple[Seen, ...]:
        """What a node says of nonces at a block."""
        await self._check_chain(node)
        return await see(node, self.address, head, self.terms.confirmations, slots)

    def _judge(self, slot: Slot, seen: Seen, head: Head) -> What | None:
        """What that means; None where there is nothing new."""
        kept = self._open[slot.key]
        if slot.state is State.MINED:
            if seen.block_hash != slot.block_hash:
                return What(kept.task, State.SENT, kept.noted, slot.mined, kept=kept.kept)
            if head.number - slot.block + 1 >= self.terms.confirmations:
                return What(kept.task, State.SETTLED, kept.noted, slot.mined, kept=kept.kept)
        elif seen.receipt is not None:
            signing = next(signing for signing in kept.signed if signing.hash == seen.receipt.hash)
            return What(
                kept.task, State.MINED, kept.noted, seen.receipt.hash, seen.receipt, signing.instead, limit=signing.gas
            )  # fmt: skip
        elif seen.used_by and seen.used_by not in slot.hashes:
            # That there is no receipt says nothing: a node may have it later than the count, or no longer.
            return What(kept.task, State.GONE, kept.noted)
        return None

    async def _again(self, slot: Slot, head: Head, *, first: bool) -> None:
        """Sends once more what was dropped, and replaces what waits too long, under the same nonce.

        `first`: no nonce before it waits. At most once a block.
        """
        kept = self._open[slot.key]
        if kept.tried_at == head.number:
            return
        last, task = kept.signed[-1], kept.task
        restarted = kept.sent_at is None
        sent_at = kept.sent_at = head.number if kept.sent_at is None else kept.sent_at
        overdue = head.number - sent_at > self.terms.stuck_blocks
        late = self._clock() // NS > task.deadline_s and not last.instead
        # What goes through a relay is seen by nobody before it is in a block.
        looks = self._relay is None or restarted or overdue
        unseen = looks and await self._node.ask("eth_getTransactionByHash", last.hash) is None
        if not (unseen or (first and (late or overdue))):
            return
        kept.tried_at = head.number
        market, caps = await self.market(), self.terms.caps
        before = Fees(last.max_fee_wei, last.max_priority_wei)
        enough = before.max_fee >= market.base + before.max_priority
        if late or overdue or not enough:
            offer = bumped(before, market, min(task.max_fee_wei, caps.max_fee_wei), caps.max_priority_wei)
            if offer is not None and offer.max_fee >= market.base + offer.max_priority:
                self.capped.discard(slot.key)
                signing = await self._sign(task, slot.nonce, offer, instead=late or last.instead)
                kept.sent_at = head.number
                await self._send(signing)
                return
            self.capped.add(slot.key)
        if unseen:
            await self._send(last)

    # --- signing and sending

    async def _sign(self, task: Task, nonce: int, offer: Fees, *, instead: bool = False) -> Signing:
        """Signs and records. Raises NotSigned, WrongChain, JournalError."""
        await self._check_chain(self._node)
        gas = await self._gas_of_nothing(task.gas) if instead else task.gas
        signed = self._signer.sign(
            Transaction(
                chain_id=self.terms.chain_id,
                nonce=nonce,
                to=self.address if instead else task.to,
                data=b"" if instead else task.data,
                gas=gas,
                max_fee_wei=offer.max_fee,
                max_priority_wei=offer.max_priority,
            )
        )
        record = Signing(
            task=task, nonce=nonce, hash=signed.hash, raw=signed.raw,
            max_fee_wei=offer.max_fee, max_priority_wei=offer.max_priority, instead=instead,
            gas=gas,
        )  # fmt: skip
        seq = self._write(record)
        # From here on it may come to life at any restart: the nonce is taken.
        self.nonces.signed(task.key, nonce, signed.hash)
        kept = self._open.setdefault(task.key, Open(task))
        kept.signed.append(record)
        kept.seq = seq
        return record

    async def _gas_of_nothing(self, most: int) -> int:
        """The gas limit of a transaction that does nothing: what the node says and some more, since it is not 21,000 on
        every chain, and never more than the task had.
        """
        wish = {"from": self.address, "to": self.address, "value": "0x0", "data": "0x"}
        try:
            needed = number(await self._node.ask("eth_estimateGas", wish))
        except ConnectorError:
            return most
        return min(int(needed * _SPARE), most)

    def _write(self, record: Record) -> int:
        return self._records.append(self.kind, self._clock(), msgspec.msgpack.encode(record))

    async def _send(self, signing: Signing) -> bool:
        """Hands a transaction to the node or the relay, once it is durable; whether they answered.

        It may be under way in any case, except where JournalError is raised.
        """
        await self._records.wait(self._open[signing.task.key].seq)
        try:
            await (self._relay or self._node).ask("eth_sendRawTransaction", "0x" + signing.raw.hex())
        except ConnectorError:
            return False
        return True

    # --- the node

    async def _check_chain(self, node: Node) -> None:
        found = await node.chain_id()
        if found != self.terms.chain_id:
            raise WrongChain(f"the node is of chain {found}, the wallet signs for {self.terms.chain_id}")

    def _newest(self, head: Head) -> None:
        """Raises VenueUnreachable where the nodes are behind the clock or behind what they said."""
        age_s = self._clock() / NS - head.timestamp_s
        if age_s > self.terms.max_head_age_s:
            raise VenueUnreachable(f"the newest block is {age_s:.0f} s old")
        if self._head is not None and head.number < self._head.number:
            raise VenueUnreachable(f"the newest block is {head.number}, it was {self._head.number}")
        self._head = head

    def _end(self, key: str, reason: str) -> None:
        """A task that an operator gave up is in nobody's way any more; its owner is told by `look`."""
        self.given_up[key] = reason
        self.nonces.gone(key, foreign=False)

    def _apply(self, record: Noted) -> None:
        """What was noted, into the nonces."""
        kept = self._open.get(record.key)
        if kept is not None:
            kept.noted += 1
            kept.kept = record.kept
        match State(record.what):
            case State.MINED:
                self.nonces.mined(record.key, record.hash, record.block, record.block_hash)
            case State.SENT:
                self.nonces.undone(record.key)
            case State.SETTLED:
                self.nonces.settled(record.key)
            case State.GONE:
                self.nonces.gone(record.key, foreign=record.key not in self.given_up)
            case State.RESERVED:
                pass
        if record.what in (State.SETTLED, State.GONE):
            self.capped.discard(record.key)
            self._open.pop(record.key, None)
            self.given_up.pop(record.key, None)
            self.nonces.forget(record.key)
