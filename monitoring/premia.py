"""Premia beyond one venue: of a token over all its venues, and of one issuer's token over another's of the same share.

A token says what the median of its venues' last prices says, per share and in USD. It is held against the fair value
that everybody but the token itself gives. Errors are one sigma in bps.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from math import exp, inf, log, pi, sqrt
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from monitoring.premium_lines import IssuerPremium, TokenPremium
from strategies.market.fair import BPS, SPREAD_SIGMAS

if TYPE_CHECKING:
    from strategies.market.columns import Columns

OF_MEDIAN: Final = sqrt(pi / 2)
"""sd of a median over that of a mean, for normal errors (large samples)."""
OF_MAD: Final = 1.4826
"""sd over median absolute deviation, for normal errors."""


class _Word(NamedTuple):
    """What a token says."""

    log_usd: float
    """Of one share."""
    variance: float
    venues: int


def at_par_bps(premium_bps: float, usd: float) -> float | None:
    """A premium without the coin leg: were its quote coin, which is worth `usd`, worth one dollar. None where that is
    not known."""
    if usd == 1:
        return premium_bps
    return ((1 + premium_bps / BPS) / usd - 1) * BPS if 0 < usd < inf else None


def premia(columns: Columns, live: Iterable[int]) -> tuple[tuple[TokenPremium, ...], tuple[IssuerPremium, ...]]:
    """Premia of tokens and between issuers at `columns.now`, from the token instruments that are `live`: those whose
    prices are believed, in the order of the universe."""
    universe = columns.universe
    venues: dict[tuple[int, str, str], list[int]] = {}
    for at in live:
        one = universe[at]
        venues.setdefault((columns.group(at), one.token or one.symbol, one.issuer), []).append(at)
    words = {key: word for key, numbers in venues.items() if (word := _word(columns, numbers)) is not None}
    tokens = tuple(_token(columns, key, word) for key, word in words.items())
    pairs = tuple(
        _pair(columns.underlyings[one[0]], (one[1], words[one]), (other[1], words[other]))
        for one, other in combinations(words, 2)
        if one[0] == other[0] and one[1] != other[1] and (one[2] != other[2] or not one[2])
    )
    return tokens, pairs


def _word(columns: Columns, numbers: list[int]) -> _Word | None:
    """What the venues of one token say together; None where none has a price.

    The error of a median of n: that of its prints, or by the scatter of the venues where that is more.
    """
    from strategies.market import kernel as K  # compiled code: only a process that has columns pays for it

    logs, prints, coins = [], [], []
    for at in numbers:
        f = columns.f_rows[at]
        bid, ask, usd = f[K.BID], f[K.ASK], f[K.MID_USD]
        if usd > 0 and 0 < bid <= ask:
            vol2 = columns.g.item(columns.group(at), K.VOL2)
            days = columns.clock.at(columns.now) - columns.clock.at(columns.k_rows[at][K.TS])
            logs.append(log(usd))
            prints.append(((ask - bid) / (ask + bid) / SPREAD_SIGMAS) ** 2 + vol2 * max(days, 0.0))
            coins.append(columns.coin_variance(columns.universe[at].quote))
    count = len(logs)
    if not count:
        return None
    centre = median(logs)
    scatter = median(abs(one - centre) for one in logs) * (OF_MAD if count > 2 else 1.0)
    wide = (OF_MEDIAN if count > 2 else 1.0) / sqrt(count)
    by_scatter = scatter * wide if count > 2 else scatter  # of two, half their distance
    variance = max(sum(prints) / count * wide**2, by_scatter**2) + min(coins)
    return _Word(centre, variance, count)


def _token(columns: Columns, key: tuple[int, str, str], word: _Word) -> TokenPremium:
    """A token against the fair value of everybody else."""
    group, token, issuer = key
    fair, variance = _without(columns, group, token, issuer)
    known = variance > 0
    premium, error = (exp(word.log_usd) / fair - 1) * BPS if known else 0.0, sqrt(variance) * BPS if known else 0.0
    return TokenPremium(
        token=token,
        issuer=issuer,
        underlying=columns.underlyings[group],
        venues=word.venues,
        premium_bps=premium if known else None,
        error_bps=error if known else None,
        sigmas=premium / error if known else None,
        spread_bps=sqrt(word.variance) * BPS if word.variance < 1 else None,
    )


def _without(columns: Columns, group: int, token: str, issuer: str) -> tuple[float, float]:
    """(USD a share, variance of its logarithm) by everybody but a token; (0, 0) where that is unknown."""
    from strategies.market import kernel as K

    now, universe = columns.now, columns.universe
    anchor, own, _ = columns.evidence(group, now)
    weight = pull = 0.0
    for one in columns.heard(group, now):
        its = universe[one.number]
        if (its.token or its.symbol, its.issuer) != (token, issuer):
            weight += one.weight
            pull += one.weight * (one.price - anchor)
    total = weight + (1 / own if own > 0 else 0.0)
    if not total > 0:
        return 0.0, 0.0
    price, variance = anchor + pull / total, 1 / total
    return (price, variance) if variance <= columns.p.item(K.MAX_VAR) and price > 0 else (0.0, 0.0)


def _pair(underlying: str, one: tuple[str, _Word], other: tuple[str, _Word]) -> IssuerPremium:
    """One token over another."""
    away, error = one[1].log_usd - other[1].log_usd, sqrt(one[1].variance + other[1].variance)
    premium, wide = (exp(away) - 1) * BPS, error * BPS
    return IssuerPremium(
        underlying=underlying,
        token=one[0],
        over=other[0],
        premium_bps=premium,
        error_bps=wide,
        sigmas=premium / wide,
    )
