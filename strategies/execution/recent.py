"""A dict with an end: what runs for months remembers the newest keys only."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(OrderedDict[Key, Value]):
    """The last `most` keys that came; one more, and the oldest is forgotten. A key that is set again stays as old."""

    def __init__(self, most: int) -> None:
        """Empty."""
        super().__init__()
        self.most = most

    def __setitem__(self, key: Key, value: Value) -> None:
        """Sets a value, in a time that does not depend on how many there are."""
        super().__setitem__(key, value)
        if len(self) > self.most:
            self.popitem(last=False)
