"""An order book of price levels, kept up to date change by change."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from connectors.ports import Level

BID: Final = -1.0
ASK: Final = 1.0


_INF: Final = float("inf")


def trouble(price: float, size: float) -> str:
    """What is wrong with the numbers of a level: not_finite, not_positive, negative_size; empty for nothing."""
    if 0.0 < price < _INF and 0.0 <= size < _INF:
        return ""
    if not (-_INF < price < _INF and -_INF < size < _INF):
        return "not_finite"
    return "negative_size" if price > 0.0 else "not_positive"


class Side:
    """One side of a book, best level first: three lists of one length, so that a change costs one bisection.

    Prices are told apart as floats: two decimal texts of one value are one float, and ticks are far wider apart.
    """

    __slots__ = ("keys", "levels", "marks", "sign", "touched")

    def __init__(self, sign: float) -> None:
        """`sign` is BID or ASK."""
        self.sign = sign
        self.keys: list[float] = []
        """Sign times price, ascending."""
        self.levels: list[Level] = []
        """(price, size), best first."""
        self.marks: list[bytes] = []
        """What else is remembered of each level, in the same order."""
        self.touched = 0
        """Place of the best level that was changed since somebody set this to a larger number."""

    def __len__(self) -> int:
        """How many levels there are."""
        return len(self.keys)

    def clear(self) -> None:
        """No levels."""
        self.keys.clear()
        self.levels.clear()
        self.marks.clear()
        self.touched = 0

    def set(self, price: float, size: float, mark: bytes = b"") -> None:
        """The size at a price is now `size`; 0 takes the level away, and taking away what is not there changes nothing.

        `price` and `size` are finite, `price` is positive and `size` not negative: that is the caller's to see to.
        """
        keys = self.keys
        key = self.sign * price
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            if size:
                self.levels[at] = (price, size)
                self.marks[at] = mark
            else:
                del keys[at], self.levels[at], self.marks[at]
        elif size:
            keys.insert(at, key)
            self.levels.insert(at, (price, size))
            self.marks.insert(at, mark)
        else:
            return
        if at < self.touched:
            self.touched = at

    def cut(self, depth: int) -> None:
        """Forgets what lies deeper than `depth` levels."""
        if len(self.keys) > depth:
            del self.keys[depth:], self.levels[depth:], self.marks[depth:]


class Ladder:
    """Both sides of a book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        """An empty book."""
        self.bids, self.asks = Side(BID), Side(ASK)

    def clear(self) -> None:
        """Forgets all levels."""
        self.bids.clear()
        self.asks.clear()

    def cut(self, depth: int) -> None:
        """Forgets what lies deeper than `depth` levels."""
        self.bids.cut(depth)
        self.asks.cut(depth)
