"""What is said over a node's websocket: subscriptions to heads and logs, and what comes of them; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from connectors.errors import BadMessage, VenueUnreachable
from connectors.evm.logs import CONTRACT_TOPICS, MANAGER_TOPICS, Log, RawLog, read_log
from connectors.evm.rpc import Head

Filter = dict[str, Any]
"""Addresses and topics, as eth_subscribe and eth_getLogs take them."""


class _Result(RawLog, frozen=True):
    """A log, or a head."""

    number: str | None = None
    hash: str | None = None
    parentHash: str | None = None
    timestamp: str = "0x0"


class _Params(msgspec.Struct, frozen=True):
    result: _Result


class _Message(msgspec.Struct, frozen=True):
    method: str = ""
    params: _Params | None = None
    error: Any = None


_DECODE: Final = msgspec.json.Decoder(_Message).decode


def filters(contracts: Sequence[str], manager: str, ids: Sequence[str]) -> list[Filter]:
    """The logs that change these pools: those with a contract of their own, those of a v4 manager by their ids."""
    found: list[Filter] = []
    if contracts:
        found.append({"address": list(contracts), "topics": [list(CONTRACT_TOPICS)]})
    if ids:
        found.append({"address": manager, "topics": [list(MANAGER_TOPICS), list(ids)]})
    return found


def hello(asked: Sequence[Filter]) -> tuple[str, ...]:
    """The texts that subscribe to heads and to the logs of these filters."""
    wishes: list[list[Any]] = [["newHeads"], *(["logs", one] for one in asked)]
    return tuple(
        msgspec.json.encode({"jsonrpc": "2.0", "id": at, "method": "eth_subscribe", "params": wish}).decode()
        for at, wish in enumerate(wishes, 1)
    )


def read_message(data: str | bytes) -> Head | Log | None:
    """A head, a log, or None for what needs no answer.

    Raises BadMessage for what cannot be read, VenueUnreachable where the node refuses a subscription.
    """
    try:
        said = _DECODE(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage(f"not a message of a node: {str(data[:80])!a}") from error
    if said.error is not None:
        raise VenueUnreachable(f"the node refuses a subscription: {str(said.error)[:200]}")
    if said.params is None:
        return None
    told = said.params.result
    if told.topics:
        return read_log(told)
    try:
        if told.number is None or told.hash is None or told.parentHash is None:
            raise ValueError("something is absent")
        return Head(int(told.number, 16), told.hash.lower(), told.parentHash.lower(), int(told.timestamp, 16))
    except ValueError as error:
        raise BadMessage(f"neither a head nor a log: {str(data[:80])!a}") from error
