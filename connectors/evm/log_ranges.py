"""eth_getLogs over many blocks: the words in which providers say that those are too many, and asking for fewer then.

Each bounds the blocks, the logs or the bytes of one answer, under codes of its own; some use the code that others have
for a rate limit (-32005). Which words were heard where: tests/connectors/test_log_ranges.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from connectors.errors import LogsRefused

T = TypeVar("T")

TOO_MANY: Final = (
    "block range", "blocks range", "range limit", "range too large", "range is too large", "ranges over",
    "limited to a", "exceeds limit of", "too many blocks", "requested blocks", "query returned more than",
    "max results", "too many results", "too many logs", "response size", "response is too big", "response too large",
    "query timeout",
)  # fmt: skip
"""In lower case, what is said of too many blocks, logs or bytes."""

TOO_OFTEN: Final = (
    "rate limit", "request limit", "per second", "too many requests", "compute unit", "credits", "quota", "daily",
)  # fmt: skip
"""What is said of calls that come too often; the first of the two lists counts."""

_EITHER: Final = -32005
"""EIP-1474: limit exceeded, of whatever."""


def too_many(code: int, said: str) -> bool:
    """Whether an error says that an answer about a range of blocks would be too long, and not that we ask too often."""
    words = said.lower()
    if any(word in words for word in TOO_MANY):
        return True
    return code == _EITHER and not any(word in words for word in TOO_OFTEN)


async def in_parts(ask: Callable[[int, int], Awaitable[list[T]]], first: int, last: int) -> list[T]:
    """What `ask` says of blocks `first` to `last`: of all at once, and of half as many each time it is refused.

    Parts do not grow again, since what is refused once mostly is again. Raises LogsRefused, with what was said, where
    one block alone is refused.
    """
    found: list[T] = []
    size = last - first + 1
    while first <= last:
        end = min(last, first + size - 1)
        try:
            found += await ask(first, end)
        except LogsRefused as error:
            if end == first:
                said = f"not even the logs of block {first} alone: {error.what}"
                raise LogsRefused(said, where=error.where) from error
            size = (end - first + 1) // 2
        else:
            first = end + 1
    return found
