"""What an operator sees of a wallet on one chain: what it holds, who may spend of it, where its open tasks stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from connectors.client_ids import intent_part
from connectors.errors import BadMessage, CostUnknown, Reverted
from connectors.evm.abi import Method, text_of
from connectors.evm.allowances import Grant, allowed
from connectors.evm.evidence import Seen, see
from connectors.evm.node import Node
from connectors.evm.nonces import Slot, State
from connectors.evm.rpc import Head, number
from connectors.evm.swap_leg import leg_of
from connectors.evm.tasks import Record, Signing
from connectors.evm.tokens import DECIMALS, SYMBOL
from connectors.evm.wallet import Wallet

_BALANCE: Final = Method("balanceOf", ("address",))


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallet holds of a token."""

    contract: str
    symbol: str
    decimals: int | None
    units: int | None
    """Smallest ones; None where the contract does not answer."""


class Spendable(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody may spend, in smallest units; None where a contract does not answer."""

    token: str
    symbol: str
    spender: str
    permit: str
    """Permit2, where it is between the two."""
    direct: int | None
    permitted: int | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task stands of which something may still come."""

    key: str
    nonce: int
    hashes: tuple[str, ...]
    state: str
    """waits: no block has it; mined: a block has; foreign: another transaction used its nonce; unknown: its nonce is
    used, and no node can say by what; given_up: an operator ended it, and a run will tell."""
    detail: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet at one block."""

    block: int
    nonce_latest: int
    nonce_pending: int
    native_wei: int
    held: tuple[Held, ...]
    spendable: tuple[Spendable, ...]
    tasks: tuple[Standing, ...]
    paused: str
    """Why no nonce is given out; empty is not."""
    charges: str
    """How the chain charges for publishing, or why that is not known."""


async def shown(wallet: Wallet, tokens: Sequence[str], grants: Sequence[Grant]) -> Shown:
    """Looks, and changes nothing. Raises WrongChain, and as Rpc.ask."""
    try:
        charges = str((await wallet.habit()).publishing)
    except CostUnknown as error:
        charges = error.what

    async def asked(node: Node, head: Head) -> tuple[int, int, tuple[Held, ...], tuple[Spendable, ...]]:
        counted, _ = await wallet.at(node, head)
        native = number(await node.ask("eth_getBalance", wallet.address, hex(head.number)))
        held = {token: await _held(node, head, wallet.address, token) for token in tokens}
        can = [await _spendable(node, head, wallet.address, one, held[one.token].symbol) for one in grants]
        return counted, native, tuple(held.values()), tuple(can)

    head, (counted, native, held, can) = await wallet.agreed(asked)
    pending = await wallet.pending()
    wallet.nonces.observe(counted, pending)
    return Shown(
        block=head.number, nonce_latest=counted, nonce_pending=pending, native_wei=native, held=held, spendable=can,
        tasks=await standing(wallet), paused=wallet.nonces.paused, charges=charges,
    )  # fmt: skip


async def standing(wallet: Wallet) -> tuple[Standing, ...]:
    """Where each open task of a wallet stands. Raises as `shown`."""
    slots = wallet.nonces.open()
    ended = tuple(
        Standing(key=slot.key, nonce=slot.nonce, hashes=tuple(slot.hashes), state="given_up", detail=why)
        for slot, why in ((wallet.nonces.slots[key], why) for key, why in wallet.given_up.items())
    )
    if not slots:
        return ended

    async def asked(node: Node, head: Head) -> tuple[Seen, ...]:
        await wallet.at(node, head)
        return await see(node, wallet.address, head, wallet.terms.confirmations, slots)

    _, seen = await wallet.agreed(asked)
    return ended + tuple(_standing(slot, one) for slot, one in zip(slots, seen, strict=True))


def _standing(slot: Slot, seen: Seen) -> Standing:
    state, detail = "waits", "no block has it yet"
    if slot.state is State.MINED and seen.block_hash == slot.block_hash:
        state, detail = "mined", f"in block {slot.block}"
    elif seen.receipt is not None:
        how = "" if seen.receipt.worked else ", reverted"
        state, detail = "mined", f"in block {seen.receipt.block}{how}; a run books it"
    elif seen.used_by and seen.used_by not in slot.hashes:
        state, detail = "foreign", f"{seen.used_by} used its nonce; a run ends it"
    elif seen.taken > slot.nonce:
        state, detail = "unknown", "its nonce is used, and no node shows a receipt"
    return Standing(key=slot.key, nonce=slot.nonce, hashes=tuple(slot.hashes), state=state, detail=detail)


def meant(tasks: Sequence[Standing], name: str) -> tuple[Standing, ...]:
    """The open tasks that a name may mean: the hash of a transaction, an intent, a leg, or a task itself."""
    wanted = name.lower()
    return tuple(
        one for one in tasks
        if wanted in one.hashes or name in (one.key, leg_of(one.key), intent_part(leg_of(one.key)))
    )  # fmt: skip


async def _held(node: Node, head: Head, wallet: str, token: str) -> Held:
    """What a token says of itself and of us; None for what it does not say. Raises as Rpc.ask."""

    async def told(method: Method, *arguments: str) -> bytes:
        try:
            return await node.call(method.call(token, *arguments), head)
        except Reverted:
            return b""

    try:
        symbol = text_of(await told(SYMBOL))
    except BadMessage:
        symbol = ""
    decimals, units = DECIMALS.known(await told(DECIMALS)), _BALANCE.known(await told(_BALANCE, wallet))
    return Held(contract=token, symbol=symbol, decimals=decimals, units=units)


async def _spendable(node: Node, head: Head, wallet: str, grant: Grant, symbol: str) -> Spendable:
    """What may be spent. Raises as Rpc.ask."""
    direct = permitted = None
    with suppress(BadMessage):
        direct, permitted = await allowed(node, head, wallet, grant)
    return Spendable(
        token=grant.token, symbol=symbol, spender=grant.spender, permit=grant.permit, direct=direct, permitted=permitted
    )  # fmt: skip


def begun(records: Iterable[tuple[int, bytes]]) -> dict[str, int]:
    """When the first transaction of each task was signed, ns UTC, of records with the time of each."""
    found: dict[str, int] = {}
    for ts, payload in records:
        record = msgspec.msgpack.decode(payload, type=Record)
        if isinstance(record, Signing):
            found.setdefault(record.task.key, ts)
    return found
