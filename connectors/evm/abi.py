"""The functions of contracts that we read: what a call carries and what its answer says (Solidity ABI)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from connectors.errors import BadMessage

WORD: Final = 32


class Call(NamedTuple):
    """One read of one contract."""

    to: str
    data: bytes


@dataclass(frozen=True)
class Method:
    """A function of a contract: its name, the types of its arguments and of what it answers."""

    name: str
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ("uint256",)

    @cached_property
    def selector(self) -> bytes:
        """The first four bytes of a call."""
        return keccak(text=f"{self.name}({','.join(self.takes)})")[:4]

    def call(self, to: str, *args: Any) -> Call:
        """The call of a contract."""
        return Call(to, self.selector + encode(self.takes, args))

    def arguments(self, data: bytes) -> tuple[Any, ...]:
        """What a call's data carries. Raises BadMessage where it is no such call."""
        try:
            return tuple(decode(self.takes, data[4:]))
        except (DecodingError, ValueError, OverflowError) as error:
            raise BadMessage(f"not {','.join(self.takes)}: {type(error).__name__}", where=f"{self.name}()") from error

    def read(self, answer: bytes | None) -> tuple[Any, ...]:
        """What an answer says. Raises BadMessage where there is none, or it is not of these types."""
        if not answer:
            raise BadMessage("no answer", where=f"{self.name}()")
        try:
            return tuple(decode(self.gives, answer))
        except (DecodingError, UnicodeDecodeError, ValueError, OverflowError) as error:
            raise BadMessage(f"not {','.join(self.gives)}: {type(error).__name__}", where=f"{self.name}()") from error

    def one(self, answer: bytes | None) -> Any:
        """The first value of an answer. Raises BadMessage."""
        return self.read(answer)[0]

    def known(self, answer: bytes | None) -> Any | None:
        """The first value of an answer; None where the contract has no such function."""
        try:
            return self.read(answer)[0]
        except BadMessage:
            return None


def topic(event: str) -> str:
    """The first topic of an event's logs, from its signature: `Transfer(address,address,uint256)`."""
    return "0x" + keccak(text=event).hex()


def word_of(address: str) -> str:
    """An address as a topic."""
    return "0x" + address[2:].lower().rjust(2 * WORD, "0")


def text_of(answer: bytes | None) -> str:
    """A name or symbol: a string, or, as old contracts give it, 32 bytes with zeros behind. Raises BadMessage."""
    if answer is not None and len(answer) == WORD:
        return answer.rstrip(b"\0").decode("utf-8", "replace")
    return str(Method("symbol", gives=("string",)).one(answer))


def batch(calls: Sequence[Call]) -> bytes:
    """The data of one aggregate3 call of Multicall3; a call that fails does not fail the rest."""
    packed = [(call.to, True, call.data) for call in calls]
    return _AGGREGATE.selector + encode(_AGGREGATE.takes, [packed])


def unbatch(answer: bytes, count: int) -> list[bytes | None]:
    """What each call of a batch answered; None where it failed. Raises BadMessage where they are not `count`."""
    found = [data if success else None for success, data in _AGGREGATE.one(answer)]
    if len(found) != count:
        raise BadMessage(f"{len(found)} answers to {count} calls", where="aggregate3()")
    return found


_AGGREGATE: Final = Method("aggregate3", ("(address,bool,bytes)[]",), ("(bool,bytes)[]",))
