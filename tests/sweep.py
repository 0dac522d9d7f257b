"""How many cases a sweep takes: a few in the suite, all of them with PEGLINE_SWEEP=1."""

from __future__ import annotations

import os


def cases(few: int, every: int) -> int:
    """The first number; the second one where PEGLINE_SWEEP is set."""
    return every if os.environ.get("PEGLINE_SWEEP") else few
