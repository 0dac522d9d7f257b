"""A wallet on one chain: signs tasks, sends them, and looks for what became of them until no reorg can change it.

One task waits at a time. What is signed is durable before it is sent, so that after kill -9 the transaction is found by
its hash. A send that failed is not a transaction that failed: what happened is asked of the chain, by receipt and
nonce. A task that waits too long is replaced under its own nonce, after its deadline by nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

import msgspec

from connectors.errors import ConnectorError, VenueUnreachable, WrongChain
from connectors.events import NS
from connectors.evm.fees import Caps, Fees, Market, bumped, fees, read_history
from connectors.evm.keys import Signer, Transaction
from connectors.evm.node import Agreed, Node
from connectors.evm.nonces import Nonces, Slot, State
from connectors.evm.receipt import Receipt, read_receipt
from connectors.evm.rpc import Head, number

KIND: Final = "wallet"
"""Of its records in the journal."""
PLAIN_GAS: Final = 21_000
"""What a transaction without data takes."""


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


class Noted(msgspec.Struct, frozen=True, kw_only=True, tag="noted"):
    """Something became of a task, and its owner has been told."""

    key: str
    what: str
    hash: str = ""
    block: int = 0
    block_hash: str = ""
    kept: bytes = b""
    """What its owner wants to know again when this is undone or settled."""


class Resumed(msgspec.Struct, frozen=True, kw_only=True, tag="resumed"):
    """An operator said that the key is ours alone again."""

    next: int


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


class _Seen(NamedTuple):
    """What a node says of one nonce at one block."""

    block_hash: str = ""
    """Of the block in which it was mined."""
    receipt: Receipt | None = None
    taken: int = 0
    """Transactions of the wallet up to this block."""
    stays: int = 0
    """Those that stay."""
    used_by: str = ""
    """Hash of the one that used the nonce for good, where no receipt is known; empty where that cannot be shown."""


class _Open:
    """What a wallet remembers of a task under way."""

    def __init__(self, task: Task) -> None:
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
        self._open: dict[str, _Open] = {}
        self._head: Head | None = None
        self.capped: set[str] = set()
        """Tasks that wait and may not pay more."""

    @property
    def address(self) -> str:
        """Whose wallet it is."""
        return self._signer.address

    @property
    def busy(self) -> bool:
        """Whether a task waits for its block."""
        return self.nonces.waiting() is not None

    def restore(self, payloads: Iterable[bytes]) -> None:
        """Goes on from the records of earlier runs, in order."""
        for payload in payloads:
            record = msgspec.msgpack.decode(payload, type=Signing | Noted | Resumed)
            if isinstance(record, Resumed):
                self.nonces.resume(record.next)
            elif isinstance(record, Signing):
                self.nonces.signed(record.task.key, record.nonce, record.hash)
                self._open.setdefault(record.task.key, _Open(record.task)).signed.append(record)
            else:
                self._apply(record)

    def tasks(self) -> tuple[Task, ...]:
        """Tasks of which something may still come."""
        return tuple(self._open[slot.key].task for slot in self.nonces.open() if slot.key in self._open)

    def signings(self, key: str) -> int:
        """How many transactions were signed for a task under way."""
        return len(self._open[key].signed) if key in self._open else 0

    async def at(self, node: Node, head: Head) -> tuple[int, int]:
        """For `agreed`: how many transactions of the wallet a block's chain has, and how many up to where it stays.

        Raises WrongChain, and as Rpc.ask.
        """
        await self._check_chain(node)
        deep = max(0, head.number - self.terms.confirmations)
        count = await asyncio.gather(*(self._count(node, hex(block)) for block in (head.number, deep)))
        return count[0], count[1]

    async def ready(self, head: Head, counted: int) -> None:
        """Sees that a task may be begun: the head is new enough and nobody else uses our key.

        Raises VenueUnreachable for a node that is behind, and as Rpc.ask.
        """
        self._newest(head)
        self.nonces.observe(counted, await self._count(self._node, "pending"))

    async def market(self) -> Market:
        """What gas costs in the next block."""
        return read_history(await self._node.ask("eth_feeHistory", "0x5", "latest", [50]))

    async def begin(self, task: Task, head: Head, market: Market) -> bool:
        """Signs a task and sends it; whether the send was answered. `head` and `market` are those of the moment.

        Raises TooDear, NotSigned, NoncePaused, WrongChain: then nothing was sent, nor ever will be. JournalError
        likewise.
        """
        offer = fees(market, min(task.max_fee_wei, self.terms.caps.max_fee_wei), self.terms.caps.max_priority_wei)
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
        slots = self.nonces.open()
        if not slots:
            return []
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
        return told

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
        self._records.append(KIND, self._clock(), msgspec.msgpack.encode(record))
        self._apply(record)

    def resume(self) -> None:
        """An operator says that the key is ours alone again: nonces are given out after all that were used."""
        self.nonces.resume(self.nonces.next or 0)
        record = Resumed(next=self.nonces.next or 0)
        self._records.append(KIND, self._clock(), msgspec.msgpack.encode(record))

    # --- what became of one task

    async def _see(self, node: Node, head: Head, slots: tuple[Slot, ...]) -> tuple[_Seen, ...]:
        """What a node says of nonces at a block."""
        count, deep = await self.at(node, head)
        found = []
        for slot in slots:
            if slot.state is State.MINED:
                found.append(_Seen(block_hash=(await node.head(slot.block)).hash))
                continue
            receipts = [await _receipt(node, signing.hash, head) for signing in self._open[slot.key].signed]
            receipt = next((r for r in receipts if r is not None), None)
            used_by = ""
            if receipt is None and deep > slot.nonce:
                used_by = await self._user(node, slot.nonce, head.number - self.terms.confirmations)
            found.append(_Seen("", receipt, count, deep, used_by))
        return tuple(found)

    def _judge(self, slot: Slot, seen: _Seen, head: Head) -> What | None:
        """What that means; None where there is nothing new."""
        kept = self._open[slot.key]
        if slot.state is State.MINED:
            if seen.block_hash != slot.block_hash:
                return What(kept.task, State.SENT, kept.noted, slot.mined, kept=kept.kept)
            if head.number - slot.block + 1 >= self.terms.confirmations:
                return What(kept.task, State.SETTLED, kept.noted, slot.mined, kept=kept.kept)
        elif seen.receipt is not None:
            instead = next(signing.instead for signing in kept.signed if signing.hash == seen.receipt.hash)
            return What(kept.task, State.MINED, kept.noted, seen.receipt.hash, seen.receipt, instead)
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
        signed = self._signer.sign(
            Transaction(
                chain_id=self.terms.chain_id,
                nonce=nonce,
                to=self.address if instead else task.to,
                data=b"" if instead else task.data,
                gas=PLAIN_GAS if instead else task.gas,
                max_fee_wei=offer.max_fee,
                max_priority_wei=offer.max_priority,
            )
        )
        record = Signing(
            task=task, nonce=nonce, hash=signed.hash, raw=signed.raw,
            max_fee_wei=offer.max_fee, max_priority_wei=offer.max_priority, instead=instead,
        )  # fmt: skip
        seq = self._records.append(KIND, self._clock(), msgspec.msgpack.encode(record))
        # From here on it may come to life at any restart: the nonce is taken.
        self.nonces.signed(task.key, nonce, signed.hash)
        kept = self._open.setdefault(task.key, _Open(task))
        kept.signed.append(record)
        kept.seq = seq
        return record

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

    async def _user(self, node: Node, nonce: int, block: int) -> str:
        """Hash of the transaction that used a nonce, in a block where it is used; empty where a node cannot show it."""
        high, low, back = block, block - 1, 1
        try:
            while low > 0 and await self._count(node, hex(low)) > nonce:
                back *= 2
                high, low = low, max(0, low - back)
            while high - low > 1:
                middle = (low + high) // 2
                used = await self._count(node, hex(middle)) > nonce
                high, low = (middle, low) if used else (high, middle)
            found = await node.ask("eth_getBlockByNumber", hex(high), True)
            for one in found["transactions"]:
                if one["from"].lower() == self.address.lower() and number(one["nonce"]) == nonce:
                    return str(one["hash"]).lower()
        except (ConnectorError, KeyError, TypeError, AttributeError):
            pass
        return ""

    async def _count(self, node: Node, block: str) -> int:
        return number(await node.ask("eth_getTransactionCount", self.address, block))

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
                self.nonces.gone(record.key)
            case State.RESERVED:
                pass
        if record.what in (State.SETTLED, State.GONE):
            self.capped.discard(record.key)
            self._open.pop(record.key, None)
            self.nonces.forget(record.key)


async def _receipt(node: Node, hash: str, head: Head) -> Receipt | None:
    """The receipt of a transaction in the chain up to a block."""
    receipt = read_receipt(await node.ask("eth_getTransactionReceipt", hash), hash)
    if receipt is None or receipt.block > head.number:
        return None
    return receipt if (await node.head(receipt.block)).hash == receipt.block_hash else None
