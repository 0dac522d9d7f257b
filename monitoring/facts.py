"""What does not change during a run, and what each stream is doing: plain data that bot hands to monitoring."""

from __future__ import annotations

import msgspec


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of one venue, as its connector and the inbox count it."""

    venue: str
    feed: str
    up: bool
    messages: int = 0
    rejected: dict[str, int] = {}
    """Messages that never became a row, by reason."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change during a run."""

    version: str
    mode: str
    """monitor, dry_run or live."""
    commit: str = ""
    python: str = ""
    config_hash: str = ""
    config_file: str = ""
    market: str = "us_equity"
    venue_kinds: dict[str, str] = {}
    """cex, dex, broker, issuer or oracle, by venue."""
    strategies: tuple[str, ...] = ()
    """Names of the strategies that may trade."""
    warn_bps: dict[str, float] = {}
    """Alert threshold by session name."""
