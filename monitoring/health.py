"""Whether the daemon is ready, degraded or down, and why: what /healthz answers."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from monitoring.snapshot import NO_FAIR, Snapshot
from monitoring.words import because

Status = Literal["ready", "degraded", "down"]

LAG_S: Final = 30.0
"""Without a step or row for this long in wall time the loop is taken for hung."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """An answer fit for a probe and for a person."""

    schema: int = 1
    status: Status
    reasons: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """HTTP status: 200 while it works at all, else 503."""
        return 503 if self.status == "down" else 200


def health(picture: Snapshot, *, idle_s: float | None = None) -> Health:
    """Judges a picture; `idle_s` is how long ago the engine last took in a row, in wall time, where known.

    Down: nothing was heard yet, every feed is gone, or the engine stands still. Degraded: a feed is down, a fair
    value is unknown, or a token's quote is not believed.
    """
    down: list[str] = []
    degraded: list[str] = []
    if not any(line.age_s is not None for line in picture.tokens):
        down.append("no quote of any token yet")
    if picture.feeds and not any(feed.up for feed in picture.feeds):
        down.append("every feed is down")
    if idle_s is not None and idle_s > LAG_S:
        down.append(f"no row for {idle_s:.0f} s")
    degraded += picture.troubles
    degraded += [
        f"feed {feed.venue}/{feed.feed} is {feed.stands}{f' ({because(feed.why)})' if feed.why else ''}"
        for feed in picture.feeds
        if not feed.up or feed.stands != "up"
    ]
    degraded += [
        f"fair value of {share.underlying} is unknown: {share.unknown}"
        for share in picture.shares
        if share.fair_usd is None
    ]
    degraded += [
        f"{line.instrument}: {line.reason}"
        for line in picture.tokens
        if line.reason and not line.reason.startswith(NO_FAIR) and not line.reason.startswith("feed ")
    ]
    if down:
        return Health(status="down", reasons=tuple(down + degraded))
    return Health(status="degraded" if degraded else "ready", reasons=tuple(degraded))
