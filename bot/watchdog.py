"""The watchdog: a thread that halts everything once the loop has not beaten for too long."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bot.holds import Holds
from connectors.errors import DataError
from strategies.execution.latch import ALL, WATCHDOG, Hold, Mode


class Watchdog:
    """Watches from the first beat on, until it is ended."""

    def __init__(
        self, holds: Holds, limit_s: float, *, monotonic: Callable[[], float], clock: Callable[[], int]
    ) -> None:
        """`monotonic` in seconds, `clock` in ns UTC; both are read from the thread."""
        self._holds, self._limit_s, self._monotonic, self._clock = holds, limit_s, monotonic, clock
        self._beaten = 0.0
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def beat(self) -> None:
        """The loop lives."""
        self._beaten = self._monotonic()
        if self._thread is None and not self._end.is_set():
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Nothing is watched any more."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._limit_s / 10):
            silent_s = self._monotonic() - self._beaten
            if silent_s > self._limit_s and not self._holds.flagged():
                why = f"the loop has not beaten for {silent_s:.1f} s, allowed {self._limit_s:g} s"
                hold = Hold(scope=ALL, mode=Mode.HALT, cause=WATCHDOG, why=why, at=self._clock())
                try:
                    self._holds.kill(hold)
                except DataError:  # the folder takes no file: it is tried again
                    continue
