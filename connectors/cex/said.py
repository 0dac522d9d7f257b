"""What one speaker said against instruments, so that it takes back what it said itself and nothing of others."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.events import Why
from connectors.ports import Sink


class Said:
    """The reasons that the speaker gave and that still stand."""

    def __init__(self, sink: Sink) -> None:
        """Nothing was said yet."""
        self._sink = sink
        self._said: set[tuple[int, Why]] = set()

    def stands(self, numbers: Iterable[int], why: Why) -> bool:
        """Whether a reason was said of any of these instruments."""
        return any((one, why) in self._said for one in numbers)

    def stand(self, numbers: Iterable[int], why: Why, speaks: bool) -> None:
        """Says a reason, or takes back what was said."""
        for one in numbers:
            if speaks:
                self._said.add((one, why))
                self._sink.against([one], why)
            elif (one, why) in self._said:
                self._said.discard((one, why))
                self._sink.cleared([one], why)

    def take_back(self, numbers: Iterable[int]) -> None:
        """Takes everything back that was said of these instruments: whoever asks next finds out anew."""
        for one in numbers:
            for why in sorted(why for number, why in self._said if number == one):
                self.stand([one], why, False)
