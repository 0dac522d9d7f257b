"""Whether a price can be that of its token at all, or belongs to another asset under the same name.

Exchanges list other coins under a token's ticker, and a symbol may be mapped wrongly; such a price is stable, fresh and
tight, so no gate on quotes sees it, and the outlier gate believes it once it has stood. The rule here does not wear
out:

- A price further from the fair value than the band (and than 3 errors of the fair value, however wide the night makes
  them) is implausible, for as long as it is there. Distances are logarithmic: a band of 50 % is from 1/1.5 to 1.5.
- Unless a second venue says the same. Venues are separate markets; two of them that agree on one price of one token,
  and are more than those that still see it at its value, show a crash of the token and not a mistake in one listing:
  then it is plausible, and the depeg is told. Two tokens of one share do not vouch for each other; nor do two
  instruments of one venue, or of one witness name.
- It is plausible again when it is well inside the band (EASE of it), so that a price at the edge does not flap.
- A silent price, or an unknown fair value, changes nothing: neither is evidence.

So a token with a single venue that falls out of the band raises no depeg there; it is shown with this reason, and
`plausible_bps = inf` on the instrument says otherwise.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Final

SIGMAS: Final = 3.0
AGREE: Final = 0.10
"""Two venues say the same when ln of their prices differs by at most this."""

EASE: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """One instrument's price of a token."""

    thing: Hashable
    """What it is a price of: instruments with an equal thing may vouch for each other."""
    witness: str
    """Instruments of one witness count once."""
    price: float
    """USD per share; NaN where nothing fresh is said."""
    band: float
    """Farthest from the fair value, as a share of it; inf switches the rule off."""
    doubted: bool = False
    """Whether it was implausible at the last look."""


def implausible(quotes: Sequence[Quoted], fair: float, error: float) -> tuple[bool, ...]:
    """For each quote whether it cannot be the price of its thing, by the rule of this file's docstring.

    `fair` is USD per share and `error` one sigma as a share of it; where either is not known nothing changes.
    """
    if not (0 < fair < inf and 0 <= error < inf):
        return tuple(quote.doubted for quote in quotes)
    away = [log(quote.price) - log(fair) if 0 < quote.price < inf else None for quote in quotes]
    far = [
        distance is not None and abs(distance) > _limit(quote, error)
        for quote, distance in zip(quotes, away, strict=True)
    ]
    found = []
    for at, quote in enumerate(quotes):
        mine = away[at]
        if mine is None:
            found.append(quote.doubted and quote.band < inf)
            continue
        if not far[at]:
            found.append(False)
            continue
        same, near = {quote.witness}, set()
        for other, (theirs, distance) in enumerate(zip(quotes, away, strict=True)):
            if distance is None or theirs.thing != quote.thing:
                continue
            if not far[other]:
                near.add(theirs.witness)
            elif abs(distance - mine) <= AGREE:
                same.add(theirs.witness)
        found.append(not (len(same) >= 2 and len(same) > len(near)))
    return tuple(found)


def _limit(quote: Quoted, error: float) -> float:
    """How far from the fair value, as a logarithm, a quote may be."""
    limit = max(log(1 + quote.band) if quote.band < inf else inf, SIGMAS * error)
    return limit * EASE if quote.doubted else limit
