"""What a node says became of a wallet's nonces at one block: receipts, counts, and who used one without a receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from connectors.errors import ConnectorError
from connectors.evm.node import Node
from connectors.evm.nonces import Slot, State
from connectors.evm.receipt import Receipt, read_receipt
from connectors.evm.rpc import Head, number


class Seen(NamedTuple):
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


async def see(node: Node, address: str, head: Head, confirmations: int, slots: Iterable[Slot]) -> tuple[Seen, ...]:
    """What a node says of nonces of a wallet at a block. Raises as Rpc.ask."""
    count, deep = await counts(node, address, head, confirmations)
    found = []
    for slot in slots:
        if slot.state is State.MINED:
            found.append(Seen(block_hash=(await node.head(slot.block)).hash))
            continue
        receipt = await receipt_of(node, slot.hashes, head)
        used_by = ""
        if receipt is None and deep > slot.nonce:
            used_by = await user_of(node, address, slot.nonce, head.number - confirmations)
        found.append(Seen("", receipt, count, deep, used_by))
    return tuple(found)


async def counts(node: Node, address: str, head: Head, confirmations: int) -> tuple[int, int]:
    """How many transactions of an address a block's chain has, and how many up to where it stays."""
    deep = max(0, head.number - confirmations)
    count = await asyncio.gather(*(count_of(node, address, hex(block)) for block in (head.number, deep)))
    return count[0], count[1]


async def count_of(node: Node, address: str, block: str) -> int:
    """How many transactions of an address a chain has up to a block."""
    return number(await node.ask("eth_getTransactionCount", address, block))


async def receipt_of(node: Node, hashes: Iterable[str], head: Head) -> Receipt | None:
    """The receipt of one of some transactions in the chain up to a block."""
    found = None
    for hash in hashes:
        receipt = read_receipt(await node.ask("eth_getTransactionReceipt", hash), hash)
        if receipt is None or receipt.block > head.number:
            continue
        if found is None and (await node.head(receipt.block)).hash == receipt.block_hash:
            found = receipt
    return found


async def user_of(node: Node, address: str, nonce: int, block: int) -> str:
    """Hash of the transaction that used a nonce, in a block where it is used; empty where a node cannot show it, or
    none did: an authorisation of EIP-7702 uses one too.
    """
    high, low, back = block, block - 1, 1
    try:
        while low > 0 and await count_of(node, address, hex(low)) > nonce:
            back *= 2
            high, low = low, max(0, low - back)
        while high - low > 1:
            middle = (low + high) // 2
            used = await count_of(node, address, hex(middle)) > nonce
            high, low = (middle, low) if used else (high, middle)
        found = await node.ask("eth_getBlockByNumber", hex(high), True)
        for one in found["transactions"]:
            if one["from"].lower() == address.lower() and number(one["nonce"]) == nonce:
                return str(one["hash"]).lower()
    except (ConnectorError, KeyError, TypeError, AttributeError):
        pass
    return ""
