"""Whether a book's frames follow each other without a gap, by the update ids that a venue gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.errors import BadMessage

NEXT: Final = "next"
WHOLE: Final = "whole"
REPEATED: Final = "repeated"
GAP: Final = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Where a decoded frame of a venue carries its update ids; for venues whose ids ccxt does not look at."""

    at: str
    """Key of the object that holds the ids."""
    stream: str
    """Key in it, or beside it, that tells one book's frames from another's."""
    first: str
    """Key of the first update that the frame covers."""
    last: str
    """Key of the last one."""
    whole: str = ""
    """Key that is true where the frame is a whole book, after which counting begins anew; empty: counting begins with
    the first frame."""

    def judge(self, frame: Mapping[str, Any], known: dict[str, int]) -> str:
        """NEXT, WHOLE, REPEATED (seen before: it changes nothing) or GAP; `known` keeps the last id of each book.

        Raises BadMessage for ids that are none.
        """
        inner = frame.get(self.at)
        if not isinstance(inner, Mapping):
            raise BadMessage(f"no {self.at} in a frame with a book")
        name, last = str(inner.get(self.stream, frame.get(self.stream))), _id(inner, self.last)
        if self.whole and inner.get(self.whole) is True:
            known[name] = last
            return WHOLE
        before = known.get(name)
        if before is None:
            if self.whole:
                return GAP
            known[name] = last
            return NEXT
        if last <= before:
            return REPEATED
        if _id(inner, self.first) > before + 1:
            return GAP
        known[name] = last
        return NEXT


def _id(inner: Mapping[str, Any], key: str) -> int:
    """An update id, which some venues write as a text."""
    value = inner.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value):
        return int(value)
    raise BadMessage(f"{key} is no update id")
