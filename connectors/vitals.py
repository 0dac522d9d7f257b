"""What the connections of one venue share: counts for whoever shows them, and until when the venue asked for peace."""

from __future__ import annotations

from collections import Counter


class Vitals:
    """One for each venue; its sockets and polls write, monitoring reads."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self.lives = 0
        """Websocket connections that were made."""
        self.reconnects = 0
        """Those of them that followed the end of an earlier one."""
        self.calls: Counter[str] = Counter()
        """REST calls that went out, by endpoint."""
        self.failures: Counter[str] = Counter()
        """REST calls that failed, by the word of their error."""
        self.not_before = float("-inf")
        """Monotonic seconds before which nobody may ask: one limit holds for calls and handshakes alike."""
        self.used_ratio: float | None = None
        """Share of the rate budget that is used, by the venue's word where it gives one; None before the first call."""
