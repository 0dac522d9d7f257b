"""Whether a stream's book is the venue's own: judged by a snapshot that was asked for while the stream went on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass


@dataclass(slots=True)
class Window:
    """What a stream's best prices were between the asking for a snapshot and its answer."""

    low_bid: float
    high_bid: float
    low_ask: float
    high_ask: float

    @staticmethod
    def at(bid: float, ask: float) -> Window:
        """Opened at a stream's best prices of this moment."""
        return Window(bid, bid, ask, ask)

    def saw(self, bid: float, ask: float) -> None:
        """The stream has moved on."""
        if not self.low_bid <= bid <= self.high_bid:
            self.low_bid, self.high_bid = min(self.low_bid, bid), max(self.high_bid, bid)
        if not self.low_ask <= ask <= self.high_ask:
            self.low_ask, self.high_ask = min(self.low_ask, ask), max(self.high_ask, ask)

    def holds(self, bid: float, ask: float, *, slack: float = 0.0) -> bool:
        """Whether a snapshot's best prices lie where the stream's have been, `slack` (a share of the price) aside.

        NaN is nowhere. A snapshot is a state of one moment between asking and answer, so a stream that tells the truth
        has been there; one that repeats old data has not, unless the price has not moved either.
        """
        return self.low_bid * (1.0 - slack) <= bid <= self.high_bid * (1.0 + slack) and self.low_ask * (
            1.0 - slack
        ) <= ask <= self.high_ask * (1.0 + slack)


async def pause(seconds: float) -> None:
    """Waits in the loop's own time: the door to wait through is for back-off."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
