"""The numbers of the shared job (told in job.py), on the standard library alone: peers run in other environments."""

from __future__ import annotations

from typing import Final

LEGS: Final = 4
SHARE: Final = 3
"""Legs 0, 1, 2 are the token on three venues, leg 3 is the share."""
LIMIT: Final = 50
"""Units long or short per leg."""
FEE: Final = 0.001
"""Taker fee, part of the notional."""
MIN_EDGE_BPS: Final = 20.0
COOLDOWN_NS: Final = 1_000_000_000
"""From a decision to the next."""
LATENCY_NS: Final = 5_000_000
"""From a decision to its fills."""
CENT: Final = 0.01
"""Step of a price, USD."""
