"""Premia beyond one venue on a tape: of a token over its venues, and of one issuer's token over another's.

At every print of a token it says the median of its venues' last premia, each no older than the gap that ends a spell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from bot.peg_samples import Samples
from connectors.events import F8, I8, NAN
from connectors.instruments import Universe
from monitoring.premia import OF_MAD, OF_MEDIAN
from strategies.market.fair import SPREAD_SIGMAS

VENUES: Final = "all venues"
"""What stands for the instrument where there are several."""
BPS: Final = 1e4


def beyond(
    samples: Samples, universe: Universe, tokens: Sequence[int], gap_ns: int
) -> Iterator[tuple[str, str | None, Samples]]:
    """(token, what it is held against or None for what its venues are, samples) of every token with several venues and
    of every pair of issuers on one share. The error of a pair is not known here, and None."""
    of: dict[tuple[str, str, str], list[int]] = {}
    for number in tokens:
        its = universe[number]
        of.setdefault((its.underlying, its.token or its.symbol, its.issuer), []).append(number)
    series = {}
    for key, numbers in of.items():
        ts = np.unique(samples.ts[np.isin(samples.instrument, numbers)])
        if not len(ts):
            continue
        rows = [samples.of(samples.instrument == number) for number in numbers]
        prints = np.stack([_last(row.ts, row.premium_bps, ts, gap_ns) for row in rows])
        spreads = np.stack([_last(row.ts, _half_spread(row), ts, gap_ns) for row in rows])
        premium = _middle(prints)
        series[key] = ts, premium, _variance(prints, spreads)
        if sum(len(row.ts) > 0 for row in rows) > 1:
            errors = [_last(row.ts, row.error_bps, ts, gap_ns) for row in rows if row.error_bps is not None]
            error = _middle(np.stack(errors)) if errors else None
            yield key[1], None, Samples(ts, np.full(len(ts), numbers[0], np.int32), premium, error)
    for one, other in combinations(series, 2):
        if one[0] == other[0] and one[1] != other[1] and (one[2] != other[2] or not one[2]):
            ts = np.union1d(series[one][0], series[other][0])
            a, b = (_last(series[key][0], series[key][1], ts, gap_ns) for key in (one, other))
            premium = ((1 + a / BPS) / (1 + b / BPS) - 1) * BPS
            known = np.isfinite(premium)
            whose = np.full(int(known.sum()), of[one][0], np.int32)
            wide = np.sqrt(sum(_last(series[key][0], series[key][2], ts, gap_ns) for key in (one, other)))[known]
            yield one[1], other[1], Samples(ts[known], whose, premium[known], wide if (wide > 0).all() else None)


def _last(ts: I8, value: F8, at: I8, gap_ns: int) -> F8:
    """The last value at or before each moment; NaN where that is older than the gap."""
    if not len(ts):
        return np.full(len(at), NAN)
    place = np.searchsorted(ts, at, side="right") - 1
    fresh = (place >= 0) & (at - ts[np.maximum(place, 0)] <= gap_ns)
    found: F8 = np.where(fresh, value[np.maximum(place, 0)], NAN)
    return found


def _middle(rows: F8) -> F8:
    """The median of what is known at each moment, where something is."""
    found: F8 = np.nanmedian(rows, axis=0)
    return found


def _half_spread(row: Samples) -> F8:
    """Half the distance of bid and ask, bps; NaN where there is none."""
    if row.sell_bps is None or row.buy_bps is None:
        return np.full(len(row.ts), NAN)
    found: F8 = (row.buy_bps - row.sell_bps) / 2
    return found


def _variance(prints: F8, half_spreads: F8) -> F8:
    """Of a token's word at each moment, bps squared, as monitoring/premia.py has it: venues x moments in, NaN where a
    venue that speaks shows no spread."""
    speak = np.isfinite(prints)
    count = speak.sum(axis=0)
    scatter = np.nanmedian(np.abs(prints - _middle(prints)), axis=0)
    of_median = np.where(count > 2, OF_MEDIAN, 1.0) / np.sqrt(count)
    by_scatter = np.where(count > 2, OF_MAD * scatter * of_median, scatter)
    of_prints = np.sum(np.where(speak, (half_spreads / SPREAD_SIGMAS) ** 2, 0.0), axis=0) / count * of_median**2
    found: F8 = np.where(np.isfinite(of_prints), np.maximum(of_prints, by_scatter**2), NAN)
    return found
