"""What a chain says of a transaction that it took: where, whether it worked, what it cost and what it logged. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.errors import BadMessage


class Log(msgspec.Struct, frozen=True):
    """One log of a contract; hex in lower case."""

    address: str
    topics: tuple[str, ...]
    data: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction in a block."""

    hash: str
    block: int
    block_hash: str
    worked: bool
    """It was not reverted."""
    gas: int
    price_wei: int
    """Per unit of gas, as it was paid."""
    data_fee_wei: int | None
    """For publishing on the chain below, where the receipt says so."""
    logs: tuple[Log, ...]


def read_receipt(answer: Any, hash: str) -> Receipt | None:
    """A receipt of eth_getTransactionReceipt; None where there is none. Raises BadMessage."""
    if answer is None:
        return None
    try:
        if answer["transactionHash"] != hash or answer["status"] not in ("0x0", "0x1"):
            raise ValueError(answer["status"])
        return Receipt(
            hash=hash,
            block=int(answer["blockNumber"], 16),
            block_hash=str(answer["blockHash"]),
            worked=answer["status"] == "0x1",
            gas=int(answer["gasUsed"], 16),
            price_wei=int(answer["effectiveGasPrice"], 16),
            data_fee_wei=int(answer["l1Fee"], 16) if answer.get("l1Fee") else None,
            logs=read_logs(answer["logs"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadMessage("not a receipt of this transaction", where="eth_getTransactionReceipt") from error


def read_logs(found: Any) -> tuple[Log, ...]:
    """The logs in an answer. Raises KeyError, TypeError, AttributeError."""
    return tuple(
        Log(log["address"].lower(), tuple(topic.lower() for topic in log["topics"]), log["data"].lower())
        for log in found
    )
