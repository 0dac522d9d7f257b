"""What does not change during a run, and what each stream is doing: plain data that bot hands to monitoring."""

from __future__ import annotations

import msgspec


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """How the stream of one instrument stands."""

    instrument: str
    state: str
    """up, degraded, closed or down."""
    why: str = ""
    """The worst reason against it."""
    reasons: tuple[str, ...] = ()
    """All of them, worst first."""
    origin: str = ""
    """For a share: where its last quote came from, e.g. `sip regular Q/V R`; empty where its source does not say."""
    via: str = ""
    """Of that, what does not change with every quote: `sip regular`."""


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of one venue, as its connector and the inbox count it. None is unknown."""

    venue: str
    feed: str
    up: bool
    state: str = ""
    """up, degraded, closed or down; empty: as `up` says."""
    why: str = ""
    messages: int = 0
    rejected: dict[str, int] = {}
    """Messages that never became a row, by reason."""
    streams: tuple[StreamState, ...] = ()
    """Its instruments, as far as something was ever said of them."""
    reconnects: int = 0
    calls: dict[str, int] = {}
    """REST calls by endpoint."""
    failures: dict[str, int] = {}
    """Those that failed, by reason."""
    used_ratio: float | None = None
    """Share of the rate budget in use."""
    offset_s: float | None = None
    """How far its clock is ahead of ours."""
    offset_error_s: float | None = None

    @property
    def stands(self) -> str:
        """Its state in one word."""
        return self.state or ("up" if self.up else "down")


class LoopState(msgspec.Struct, frozen=True, kw_only=True):
    """How this process itself keeps up."""

    waiting: int = 0
    """Rows that are heard and not looked at yet."""
    superseded: int = 0
    """Rows that a newer one overtook before anybody looked."""
    dropped: int = 0
    """Overtaken rows that were let go because there was no room."""
    clock_apart_s: float = 0.0
    """How far the machine's clock has jumped away from the one that we go by."""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """How the recording of rows stands."""

    rows: int
    """On disk since the start."""
    dropped: dict[tuple[str, str], int] = {}
    """Rows that passed the door and are on no tape, by (venue, reason)."""
    free_bytes: int | None = None
    """Room on the tape's file system; None where the system does not say."""
    error: str = ""
    """Why it has stopped; empty while it goes on."""


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
    depeg_bps: dict[str, float] = {}
    """The second one, beyond which a premium is a depeg."""
