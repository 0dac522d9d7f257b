"""A swap before it is sent: what it would move now, what it would cost, or why it would fail.

`eth_simulateV1` runs calls one after the other on the newest block without changing it. A failure is looked into: where
a plain transfer fails or delivers less than it says, it is the token that is to blame, and what we hold of it is stuck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from connectors.errors import BadMessage
from connectors.evm.abi import Call, Method
from connectors.evm.node import Node
from connectors.evm.receipt import read_logs
from connectors.evm.rpc import Head
from connectors.evm.swap import moves

TRANSFER: Final = Method("transfer", ("address", "uint256"), ("bool",))
_ERROR: Final = Method("Error", ("string",), ())


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What one call would do."""

    ok: bool
    gas: int
    moved: dict[str, int]
    why: str = ""
    """What the contract said where it failed."""
    gave: bytes = b""
    """What it answered where it did not."""


async def rehearse(node: Node, calls: Sequence[tuple[str, Call]], wallet: str, head: Head) -> list[Ran]:
    """What calls would do after a block, in order: each is (sender, call), and moves are those of the wallet.

    Raises as Rpc.ask; BadMessage where the node cannot simulate.
    """
    wish = [{"from": sender, "to": call.to, "data": "0x" + call.data.hex()} for sender, call in calls]
    answer = await node.ask("eth_simulateV1", {"blockStateCalls": [{"calls": wish}]}, hex(head.number))
    try:
        return [_ran(found, wallet) for found in answer[0]["calls"]]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadMessage("not a simulation", where="eth_simulateV1") from error


async def blame(node: Node, token: str, holder: str, to: str, amount: int, head: Head) -> str:
    """Why a token cannot be moved as it should, in words; empty where a plain transfer works. Raises as Rpc.ask."""
    (ran,) = await rehearse(node, [(holder, TRANSFER.call(token, to, amount))], to, head)
    if not ran.ok:
        return f"it cannot be moved: {ran.why}"
    got = ran.moved.get(token.lower(), 0)
    return f"of {amount} that are sent {got} arrive" if got != amount else ""


def _ran(found: Any, wallet: str) -> Ran:
    ok, gave = found["status"] == "0x1", bytes.fromhex(found["returnData"].removeprefix("0x"))
    moved, gas = moves(read_logs(found["logs"]), wallet), int(found["gasUsed"], 16)
    return Ran(ok=ok, gas=gas, moved=moved, why="" if ok else revert_reason(gave), gave=gave if ok else b"")


def revert_reason(data: bytes) -> str:
    """What a contract says of a failure, fit to be shown: its sentence, else the first bytes."""
    if data[:4] == _ERROR.selector:
        try:
            said = str(decode(["string"], data[4:])[0])[:200]
            return "".join(letter if letter.isprintable() else "?" for letter in said)
        except (DecodingError, UnicodeDecodeError, OverflowError):
            pass
    return f"0x{data[:4].hex()}" if data else "no reason given"
