"""The answer about the paths of a token, as JSON and command have it; times are ns UTC, money is USD."""

from __future__ import annotations

from typing import Final

import msgspec

from monitoring.quote_lines import Origin
from strategies.closing.path import Path

SCHEMA: Final = 2
"""Version of the form of an answer."""


class HourLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a request made in one hour would cost or bring, by what is known now."""

    begins: int
    price_usd: float | None
    """As DoorLine.price_usd."""
    wait_s: float | None
    """From the hour's begin until it takes requests on; 0 while it does, None where nobody knows."""
    delay_s: float | None
    """From then until delivery, as requests of that hour of the day have taken."""


class DoorLine(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer would ask for a token, or pay for it, at the size: the primary market as a venue."""

    issuer: str
    mint: bool
    price_usd: float | None
    """USD per share, all in: effective ask of a mint, effective bid of a redemption."""
    told: bool
    """The issuer told this price and it holds; else it is reckoned from fees."""
    source: str
    told_s: float | None
    """Age of what it told."""
    holds_s: float | None
    """How long that still holds."""
    wait_s: float | None
    """Until it takes requests on."""
    delay_s: float | None
    """Mean time from the request to delivery."""
    delay_from: str
    """The config's, or learned from so many requests."""
    rejects: float | None
    """Probability of a rejection."""
    closed: str
    """Why it cannot be had; empty: it can."""
    hours: tuple[HourLine, ...]
    """The present hour and those that follow it."""


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
    horizon_s: float | None
    """A hedged bet that is not back by then is given up; None: when 99 in 100 of such are back."""
    premia: tuple[PremiumLine, ...]
    doors: tuple[DoorLine, ...]
