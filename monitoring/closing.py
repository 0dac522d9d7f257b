"""The answer about the paths of a token, as JSON and command have it; times are ns UTC, money is USD."""

from __future__ import annotations

from typing import Final

import msgspec

from monitoring.quote_lines import Origin
from strategies.closing.path import Path

SCHEMA: Final = 1
"""Version of the form of an answer."""


class DoorLine(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer would ask for a token, or pay for it, at the size: the primary market as a venue."""

    issuer: str
    mint: bool
    price_usd: float | None
    """USD per share, all in: effective ask of a mint, effective bid of a redemption."""
    source: str
    wait_s: float | None
    """Until it takes requests on."""
    delay_s: float | None
    """Mean time from the request to delivery."""
    closed: str
    """Why it cannot be had; empty: it can."""


class PremiumLine(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's premium and every path that closes it, best first."""

    instrument: str
    token: str
    issuer: str
    fair_usd: float | None
    """USD per share, by everybody else."""
    premium_bps: float | None
    """At mid."""
    usual_bps: float | None
    """What it returns to."""
    half_life_s: float | None
    half_life_from: str
    unknown: str
    """Why there is no premium; then there is no path."""
    paths: tuple[Path, ...]


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The answer about a token, an instrument or a share."""

    schema: int = SCHEMA
    asked: str
    at: int
    origin: Origin
    session: str
    opens_s: float | None
    """Until the share's market opens; 0 while it is open."""
    size_usd: float
    premia: tuple[PremiumLine, ...]
    doors: tuple[DoorLine, ...]
