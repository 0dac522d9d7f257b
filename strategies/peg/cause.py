"""What a venue's deviation comes from, and what a token's venues come to: pure decisions on the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from strategies.peg.state import Cause, PegState

MULTIPLIER_SIGMAS: Final = 4.0
"""A premium is that of another multiplier where it is so many sd from nothing, and within two of that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known beside a venue's own price. Absent is the empty text, NaN or nothing."""

    coin_off_bps: float = 0.0
    """How far the coin that it is quoted in is off its peg; 0 while it holds."""
    reference: str = ""
    """Why the share's price cannot be believed in this matter."""
    ratio: float = 1.0
    """Price over fair value."""
    ratio_sd: float = 0.0
    """One sd of its logarithm at this venue."""
    missed: float = 1.0
    """What the ratio would be, had the venue missed the last change of the multiplier."""
    issuer: str = ""
    """What the issuer has stopped or lacks."""
    others: int = 0
    """Other venues of this token that are depegged or strained on the same side."""


def cause_of(evidence: Evidence) -> Cause:
    """The likeliest cause of a deviation. What makes the measurement itself doubtful comes before what it measures."""
    if evidence.reference:
        return Cause.REFERENCE
    if evidence.coin_off_bps:
        return Cause.STABLECOIN
    if _another_multiplier(evidence):
        return Cause.MULTIPLIER
    if evidence.issuer:
        return Cause.ISSUER
    return Cause.TOKEN if evidence.others else Cause.VENUE


def allowed(state: PegState, cause: Cause) -> PegState:
    """The worst that a venue may be called for a cause: nothing is known against a reference in doubt, and a token is
    not depegged for its coin or for its unit."""
    if cause is Cause.REFERENCE and state >= PegState.STRAINED:
        return PegState.UNKNOWN
    if cause in (Cause.STABLECOIN, Cause.MULTIPLIER):
        return min(state, PegState.STRAINED)
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class OfVenue:
    """What one venue of a token came to."""

    venue: str
    state: PegState
    cause: Cause
    side: int
    depth_usd: float = 0.0
    """What rests on the thinner side; 0 where no sizes are told."""


def token_of(venues: Sequence[OfVenue], issuer: str, depth_usd: float) -> tuple[PegState, Cause]:
    """The state of a token as a whole, and its cause.

    DEPEGGED needs two venues on the same side that are at least half of those that are known, or one with `depth_usd`
    on both sides where the issuer has failed too. Anything less is STRAINED. Without a venue that is known: UNKNOWN.
    """
    known = [one for one in venues if one.state is not PegState.UNKNOWN]
    if not known:
        named = {one.cause for one in venues if one.cause is not Cause.NONE}
        return PegState.UNKNOWN, Cause.REFERENCE if Cause.REFERENCE in named else Cause.NONE
    off = [one for one in known if one.state is PegState.DEPEGGED]
    for side in (1, -1):
        places = {one.venue for one in off if one.side == side}
        if len(places) >= 2 and 2 * len(places) >= len({one.venue for one in known}):
            return PegState.DEPEGGED, Cause.ISSUER if issuer else Cause.TOKEN
    if issuer and any(one.depth_usd >= depth_usd for one in off):
        return PegState.DEPEGGED, Cause.ISSUER
    worst = max(known, key=lambda one: one.state)
    if worst.state is PegState.PEGGED:
        return PegState.PEGGED, Cause.NONE
    return PegState.STRAINED, worst.cause


def _another_multiplier(evidence: Evidence) -> bool:
    """Whether the price fits another number of shares per unit, and not the one in force."""
    if not (evidence.ratio > 0 and evidence.missed > 0):
        return False
    away, missed, sd = log(evidence.ratio), log(evidence.missed), evidence.ratio_sd
    return abs(missed) > MULTIPLIER_SIGMAS * sd and abs(away - missed) < 2 * sd
