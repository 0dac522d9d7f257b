"""The answer about one token, as data: what `pegline quote --json` prints and a daemon sends. None is unknown, and
`unknown` or `why` beside it says the reason. Light to import, for whoever only asks.
"""

from __future__ import annotations

from typing import Final

import msgspec

from monitoring.premium_lines import IssuerPremium, TokenPremium

SCHEMA: Final = 1
"""Raised when a field changes its meaning or goes; new ones may come."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer comes from."""

    how: str
    """daemon, tape or feeds."""
    where: str = ""
    """Address or path."""
    mode: str = ""
    version: str = ""
    pid: int = 0
    """Process that answers."""


class FairLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one share is worth."""

    price_usd: float
    error_usd: float
    """One sigma."""
    error_bps: float
    low_usd: float
    """95 % band."""
    high_usd: float
    source: str
    """The share's own source in it; empty where it stands on witnesses alone."""
    age_s: float | None
    """Since that source spoke."""
    own: float
    """Part of it that this source makes, 0 to 1."""
    witnesses: int
    """Independent witnesses in it besides."""
    stretch: float = 1.0
    """How many times the error is what it would be if those who speak did not contradict each other."""


class FundingLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the funding of a perp says of its price: strategies/market/funding.py."""

    rate_bps: float
    """Paid by who is long, per period."""
    period_s: float
    age_s: float
    basis_bps: float
    """What it makes expect the perp to lie above the share; the usual part of its offset."""
    sigma_bps: float
    """One sigma of that."""


class TermLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one source or witness says of the share, and whether it is listened to."""

    source: str
    role: str
    """share, token or perp."""
    used: bool
    why: str
    """Why it is not; empty where it is."""
    price_usd: float | None
    """Of one share, as it said last."""
    age_s: float | None
    offset_bps: float
    """What is taken off it: what it has been found to lie above the share."""
    funding: FundingLine | None
    """What its funding says of it; None where none is known, or it is no perp."""
    says_usd: float | None
    sigma_bps: float | None
    """One sigma of that; its weight is 1 / sigma^2. None where it is not listened to."""
    part: float
    """How much of the fair value it makes, 0 to 1; all together are 1."""
    group: str
    """Whose word it is: what has one name here depends on one another and is left out together."""


class ErrorLine(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the error; the squares of all add up to the square of the whole."""

    source: str
    what: str
    """source, spread, doubt, fused, clock, witness or contradiction (of nobody): strategies/market/terms.py."""
    sigma_bps: float
    part: float
    """Of the variance, 0 to 1."""


class ControlLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a share follows besides its own prices (an index, a sector, a coin); all together or not at all."""

    control: str
    """The underlying that is followed."""
    beta: float
    moved_bps: float | None
    """Since `since_ns`; None where it has not been heard."""
    since_ns: int | None
    """The last close of the share's market, or when this run first heard the control after it."""
    adds_bps: float | None
    """Beta times that: what the share would have moved by it, had nobody spoken of the share itself."""
    why: str
    """Why it is not heard now; empty where it is."""


class ShareQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A share: its fair value by everybody, and how that comes about."""

    underlying: str
    fair: FairLine | None
    unknown: str
    """Why the fair value is unknown; empty where it is known."""
    primary: bool
    """The share itself speaks: it trades, and a source is fresh, believed and not in doubt."""
    terms: tuple[TermLine, ...]
    """Everybody who could say something, those that make most of it first."""
    errors: tuple[ErrorLine, ...]
    clock_days: float | None
    """Regular trading days of variance that have passed since its own source spoke."""
    error_in_an_hour_bps: float | None
    """What the error would be, if nobody spoke for an hour of this session."""
    daily_vol_bps: float
    """One sigma of a regular day, by which the error grows."""
    params: str
    """Where that number is from: default, config or fit."""
    controls: tuple[ControlLine, ...] = ()
    own_part: float | None = None
    """Which part of the share's variance no control explains, so that it remains, 0 to 1; None without controls."""


class Executable(msgspec.Struct, frozen=True, kw_only=True):
    """What a size would be bought and sold at now, bps above (+) or below (-) fair value."""

    size_usd: float
    buy_bps: float | None
    """After costs."""
    sell_bps: float | None
    buy_sigmas: float | None
    """The same over one sigma of the fair value."""
    sell_sigmas: float | None
    buy_before_costs_bps: float | None
    sell_before_costs_bps: float | None
    why: str
    """Why something of this is unknown; empty where all is known."""


class CoinLine(msgspec.Struct, frozen=True, kw_only=True):
    """The quote currency of a venue, where it is not USD."""

    name: str
    usd: float | None
    age_s: float | None
    source: str
    fresh: bool


class VenueQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A token on one venue, judged by everybody but itself."""

    token: str
    issuer: str
    venue: str
    instrument: str
    underlying: str
    unknown: str
    """Why its premium is unknown; empty where it is known."""
    price: float | None
    """Mid of one unit, in the quote currency."""
    price_usd: float | None
    fair_usd: float | None
    """Of one unit, without what this instrument says."""
    fair: FairLine | None
    """Of one share, likewise."""
    left_out: tuple[str, ...]
    """Who was not listened to, since nobody judges itself."""
    siblings: float = 0.0
    """Which part of that is made by tokens of the same issuer, 0 to 1: a depeg of them all would hardly show in it."""
    premium_bps: float | None
    """The coin counted at its price."""
    premium_at_par_bps: float | None
    """The same, were the coin worth one dollar: without the stablecoin leg."""
    sigmas: float | None
    """The premium over one sigma of the fair value."""
    expected_bps: float | None
    """What the premium was expected to be before the last print."""
    innovation: float | None
    """What was not expected of it, over one sigma of that: nearly N(0, 1) while the peg is ordinary."""
    forecast_bps: float
    """What the next print is expected to lie above fair value."""
    forecast_sd_bps: float | None
    executable: tuple[Executable, ...]
    quote: str
    coin: CoinLine | None
    multiplier: float | None
    """Shares behind a unit, as issuer or config say."""
    shares_per_unit: float | None
    """What its price is divided by: the multiplier, or 1 where the venue applies it."""
    basis: str
    """unit or share: what its price is the price of; empty where both are the same."""
    fee_bps: float | None
    fixed_cost_usd: float
    age_s: float | None
    peg_state: str
    """As the alarms call it; empty where this run has none."""
    peg_cause: str = ""
    """What the alarms hold for the cause (token, venue, stablecoin, ...); empty where nothing is off or known."""
    peg_why: str = ""
    """Why the alarms cannot tell, where they said so."""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    schema: int = SCHEMA
    asked: str
    now_ns: int
    session: str
    session_ends_ns: int | None
    origin: Origin
    size_usd: float | None
    shares: tuple[ShareQuote, ...]
    venues: tuple[VenueQuote, ...]
    tokens: tuple[TokenPremium, ...] = ()
    """Each token that was asked for over all its venues, by everybody but itself."""
    issuers: tuple[IssuerPremium, ...] = ()
    """Such a token over another issuer's of the same share, or the other way round."""
