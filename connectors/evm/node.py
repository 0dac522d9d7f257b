"""What a wallet asks of a chain: one node, or what several nodes say alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from connectors.evm.abi import Call
from connectors.evm.rpc import Head

T = TypeVar("T")


class Node(Protocol):
    """One node; errors as those of Rpc.ask."""

    async def ask(self, method: str, *params: Any) -> Any:
        """The result of a call."""

    async def chain_id(self) -> int:
        """By which the chain is known."""

    async def head(self, block: int | str = "latest") -> Head:
        """A block."""

    async def code(self, address: str, head: Head) -> bytes:
        """The code of a contract at a block."""

    async def slot(self, address: str, slot: int, head: Head) -> bytes:
        """One word of a contract's storage at a block."""

    async def call(self, call: Call, head: Head) -> bytes:
        """What a contract answers at a block."""


class Agreed(Protocol):
    """For decisions about money: what so many nodes as must agree say alike of one block that they share."""

    async def __call__(self, ask: Callable[[Node, Head], Awaitable[T]]) -> tuple[Head, T]:
        """The block and the answer. Raises VenueUnreachable where they do not agree, and as Rpc.ask."""


def alone(node: Node) -> Agreed:
    """One node, which is believed."""

    async def agreed(ask: Callable[[Node, Head], Awaitable[T]]) -> tuple[Head, T]:
        head = await node.head()
        return head, await ask(node, head)

    return agreed
