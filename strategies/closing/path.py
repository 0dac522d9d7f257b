"""One path that closes a premium, and which of several is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import erfc, exp, pi, sqrt
from typing import Final

import msgspec

from strategies.market.excursions import above

WORST: Final = 2.326
"""Sigmas of the hundredth worst case of a normal law."""
LEAST_HOURS: Final = 1 / 3600
"""A lock that is shorter counts as a second, so that what is over at once can be compared."""


class Way(StrEnum):
    """What closes the premium."""

    VENUE = "venue"
    """The same token at another venue, at once."""
    ISSUER = "issuer"
    """Another issuer's token of the share, until both premia are usual."""
    MINT = "mint"
    """New tokens of the issuer, sold when they come; until then a perp or the share is sold, where one can be."""
    REFILL = "refill"
    """Tokens that are held are sold now, and minted anew: inventory first."""
    REDEEM = "redeem"
    """Tokens are bought and given back to the issuer."""
    PERP = "perp"
    """A perp of the share as a hedge, until the premium is usual."""
    SHARE = "share"
    """The share itself as a hedge, until then."""
    OPEN = "open"
    """Held without a hedge until the share's market opens."""


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """One path for one size. What is not known is None, and then it is refused and says why."""

    way: Way
    legs: tuple[str, ...]
    """What is done, in words, in order."""
    size_usd: float
    """What is traded of the size that was asked for, lots and what is shown considered."""
    others: tuple[str, ...] = ()
    """Who is on the other side: instruments elsewhere, what hedges, or an issuer."""
    by: str = ""
    """Strategy of this run that would do so now; empty: none would."""
    rather: str = ""
    """What the strategy that trades in this way does instead, or why it does nothing; empty where there is none."""
    gross_usd: float | None = None
    """Expected before costs, USD."""
    costs_usd: dict[str, float] = {}
    """Expected costs by component."""
    edge_usd: float | None = None
    """Expected after costs, failures included."""
    edge_bps: float | None = None
    """The same, of the size."""
    sd_usd: float | None = None
    risks_usd: dict[str, float] = {}
    """What makes up `sd_usd`, one sigma each, by what it comes from."""
    close_s: tuple[float, float, float] | None = None
    """Time to the end: by when one in ten, half, and nine in ten such are closed, seconds."""
    fails: float | None = None
    """Probability that it does not close as meant."""
    locked_usd_h: float | None = None
    """Expected USD x hours that are locked."""
    worst_usd: float | None = None
    """One in a hundred is worse, USD."""
    score_bps_per_h: float | None = None
    """Edge less the expected loss (losses count twice), in bps of the locked dollars an hour: what paths are ranked
    by."""
    refused: tuple[str, ...] = ()
    """Why it is not taken; empty: it may be."""


def expected_loss(mean: float, sd: float) -> float:
    """E max(-X, 0) of a normal X."""
    if sd <= 0:
        return max(-mean, 0.0)
    z = mean / sd
    return sd * exp(-z * z / 2) / sqrt(2 * pi) - mean * 0.5 * erfc(z / sqrt(2))


def together(risks: Mapping[str, float]) -> float:
    """One sigma of all of them, which know nothing of each other."""
    return sqrt(sum(sd * sd for sd in risks.values()))


def loses(edge_usd: float, sd_usd: float) -> float:
    """Probability of a loss, of a normal law."""
    return above(edge_usd / sd_usd) if sd_usd > 0 else float(edge_usd <= 0)


def score(edge_usd: float, sd_usd: float, locked_usd_h: float) -> float:
    """What Path.score_bps_per_h says."""
    return (edge_usd - expected_loss(edge_usd, sd_usd)) / locked_usd_h * 1e4


def ranked(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Those that may be taken, best first; then the refused ones, those with the largest edge first."""

    def key(path: Path) -> tuple[bool, float]:
        value = path.edge_bps if path.refused else path.score_bps_per_h
        return bool(path.refused), -(value if value is not None else -1e18)

    return tuple(sorted(paths, key=key))
