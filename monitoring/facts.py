"""What does not change during a run, and what each stream is doing: plain data that bot hands to monitoring."""

from __future__ import annotations

from typing import Final

import msgspec

SLOW_S: Final = 2.0
"""A record that is not durable after so many seconds shows that the disk hangs; usual are milliseconds."""
LOW: Final = 0.1
"""Of the disk is free, or of the open files that are allowed: less is told."""


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


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """How our account at a venue stands against the books."""

    venue: str
    as_of_ns: int
    """Of the last statement, ns UTC."""
    equal_ns: int
    """Of the last one that was equal; 0: none was."""
    differences: int
    """Those for which something there may only be reduced."""


class BackingState(msgspec.Struct, frozen=True, kw_only=True):
    """How what an issuer attests of a token stands against its supply."""

    token: str
    issuer: str
    attested_units: float | None = None
    """None: nothing is attested of a moment that has come."""
    supply_units: float | None = None
    """On all chains that tell it; None where none does."""
    age_ratio: float | None = None
    """Age of the attestation, as a part of the age that is allowed."""
    state: str = "sound"
    """sound, short or old."""
    why: str = ""
    """Why nothing of it is bought; empty where it is sound."""


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
    journal_error: str = ""
    """Why nothing is recorded any more; empty while all is well."""
    journal_waiting: int = 0
    """Records that are not durable yet."""
    journal_behind_s: float = 0.0
    """For how long they have waited without one becoming durable."""
    disk_free_ratio: float | None = None
    """Share of the state folder's disk that is free; None is not known."""
    open_files_ratio: float | None = None
    """Share of the files and sockets that it may have open that it has; None is not known."""

    def wants(self) -> dict[str, str]:
        """What this process lacks, by name, and a sentence about each."""
        found = {}
        if self.journal_error:
            found["journal"] = f"nothing is recorded and nothing leaves any more: {self.journal_error}"
        elif self.journal_behind_s > SLOW_S:
            found["slow"] = f"the disk hangs: {self.journal_waiting} records wait for it, and nothing leaves before"
        if self.disk_free_ratio is not None and self.disk_free_ratio < LOW:
            found["disk"] = (
                f"{self.disk_free_ratio:.1%} of the state folder's disk is free; when it is full, trading ends"
            )
        if self.open_files_ratio is not None and self.open_files_ratio > 1 - LOW:
            found["files"] = f"{self.open_files_ratio:.0%} of the open files that are allowed are in use (ulimit -n)"
        return found


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
