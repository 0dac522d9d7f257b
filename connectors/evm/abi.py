"""The functions of contracts that we read: what a call carries and what its answer says (Solidity ABI)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
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


def checksummed(address: str) -> str:
    """An address with the capitals that are its checksum (EIP-55)."""
    return str(to_checksum_address(address))


def word_of(address: str) -> str:
    """An address as a topic."""
    return "0x" + address[2:].lower().rjust(2 * WORD, "0")


def text_of(answer: bytes | None) -> str:
    """A name or symbol: a string, or, as old contracts give it, 32 bytes with zeros behind. Raises BadMessage."""
    if answer is not None and len(answer) == WORD:
        return answer.rstrip(b"\0").decode("utf-8", "replace")
    return str(Method("symbol", gives=("string",)).one(answer))


def words(*values: int | bytes) -> bytes:
    """Numbers, with sign where they are negative, and 32 bytes as they are, as words of a call."""
    return b"".join(
        value.to_bytes(WORD, "big", signed=value < 0) if isinstance(value, int) else value for value in values
    )


def batch(calls: Sequence[Call]) -> bytes:
    """The data of one aggregate3 call of Multicall3; a call that fails does not fail the rest.

    Written out by hand: hundreds of calls take a general encoder 20 ms and more.
    """
    parts, places, at = [], [], WORD * len(calls)
    for call in calls:
        data = call.data + bytes(-len(call.data) % WORD)
        parts.append(words(int(call.to, 16), 1, 3 * WORD, len(call.data)) + data)
        places.append(at)
        at += 4 * WORD + len(data)
    return _AGGREGATE3 + words(WORD, len(calls), *places) + b"".join(parts)


def unbatch(answer: bytes, count: int) -> list[bytes | None]:
    """What each call of a batch answered; None where it failed. Raises BadMessage where they are not `count`."""
    first = _number(answer, 0) + WORD
    told = _number(answer, first - WORD)
    if told != count:
        raise BadMessage(f"{told} answers to {count} calls", where="aggregate3()")
    found: list[bytes | None] = []
    for at in range(count):
        start = first + _number(answer, first + WORD * at)
        data = start + _number(answer, start + WORD)
        end = data + WORD + _number(answer, data)
        if end > len(answer):
            raise BadMessage("an answer that is cut off", where="aggregate3()")
        found.append(answer[data + WORD : end] if _number(answer, start) else None)
    return found


def _number(answer: bytes, at: int) -> int:
    """The word at a place. Raises BadMessage beyond the end."""
    if not 0 <= at <= len(answer) - WORD:
        raise BadMessage("an answer that is cut off", where="aggregate3()")
    return int.from_bytes(answer[at : at + WORD], "big")


_AGGREGATE3: Final = keccak(text="aggregate3((address,bool,bytes)[])")[:4]
