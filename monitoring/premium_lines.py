"""Premia beyond one venue, as data; light to import."""

from __future__ import annotations

import msgspec


class TokenPremium(msgspec.Struct, frozen=True, kw_only=True):
    """One token over all its venues. None is unknown."""

    token: str
    issuer: str
    underlying: str
    venues: int
    """That have a believed price now."""
    premium_bps: float | None
    error_bps: float | None
    """Of the fair value that everybody but this token gives."""
    sigmas: float | None
    """The premium in those."""
    spread_bps: float | None
    """One sigma of what the venues say together: of their scatter, or of their prints where that is more."""


class IssuerPremium(msgspec.Struct, frozen=True, kw_only=True):
    """One issuer's token over another's, share for share."""

    underlying: str
    token: str
    over: str
    """The other token."""
    premium_bps: float
    error_bps: float
    """Of both prices together; no fair value is in it."""
    sigmas: float
