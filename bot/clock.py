"""The one door to the clock, to chance and to fresh names; everything else is handed what it needs from here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Clock = Callable[[], int]
"""Nanoseconds UTC since 1970."""


def wall_ns() -> int:
    """Now, in nanoseconds UTC since 1970. It may jump when the machine's clock is set."""
    return time.time_ns()


def monotonic_s() -> float:
    """Seconds since some fixed moment; never runs backwards. For durations only."""
    return time.monotonic()


def monotonic_ns() -> int:
    """The same in nanoseconds."""
    return time.monotonic_ns()


def cpu_s() -> float:
    """Seconds of CPU that this process has used."""
    return time.process_time()


async def sleep(seconds: float) -> None:
    """Waits without holding up others; negative or zero only lets them have a turn."""
    await asyncio.sleep(max(0.0, seconds))


def pause(seconds: float) -> None:
    """Waits and does nothing else; for commands that run no loop."""
    time.sleep(seconds)


def chance(seed: int) -> np.random.Generator:
    """A generator whose draws depend on the seed alone."""
    import numpy as np

    return np.random.default_rng(seed)
