"""What sizes would be bought and sold at on one venue now, after costs, against the fair value of a share."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.exact import exact
from connectors.ports import Levels
from monitoring.quote_lines import Executable
from monitoring.snapshot import number
from strategies.market.depth import for_value
from strategies.market.fair import BPS, FairValue

if TYPE_CHECKING:
    from strategies.market.columns import Columns
    from strategies.pricing.costs import Costs

LADDER_USD: Final = (1000.0, 10_000.0, 50_000.0)
"""Sizes that every answer has."""


def ladder(
    columns: Columns, at: int, fair: FairValue, costs: Costs, levels: Levels | None, sizes: Sequence[float]
) -> tuple[Executable, ...]:
    """Each size, walked through the levels in force, or taken at the best price where that holds it."""
    from strategies.market import kernel as K

    f = columns.f.item
    usd = f(at, K.USD_PER_UNIT)
    worth = f(at, K.USD_PER_SHARE) / fair.price
    short = "its book does not hold that much"
    if levels is None:
        levels, short = best(columns, at)
    found = []
    for size in sizes:
        buy, sell = (
            for_value(rows, size / usd).price * worth for rows in ((levels.asks, levels.bids) if levels else ((), ()))
        )
        share = costs.share(exact(size))
        more = inf if share is None else float(share)
        why = short if not (isfinite(buy) and isfinite(sell)) else costs.why
        bought = _bps(buy * (1 + more)) if share is not None else None
        sold = _bps(sell * (1 - more)) if share is not None else None
        found.append(
            Executable(
                size_usd=size,
                buy_bps=bought,
                sell_bps=sold,
                buy_sigmas=_sigmas(bought, fair),
                sell_sigmas=_sigmas(sold, fair),
                buy_before_costs_bps=_bps(buy),
                sell_before_costs_bps=_bps(sell),
                why=why,
            )
        )
    return tuple(found)


class _Top(msgspec.Struct, frozen=True):
    """A book of which only the best prices are known."""

    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


def best(columns: Columns, at: int) -> tuple[Levels | None, str]:
    """The best prices with their sizes as a book, or None, and what is to be said of a size that it does not hold."""
    from strategies.market import kernel as K

    f, facts = columns.f.item, columns.facts[at]
    bid, ask, bid_size, ask_size = (f(at, column) for column in (K.BID, K.ASK, K.BID_SIZE, K.ASK_SIZE))
    if columns.universe[at].one_price:
        if facts.assumed_half_spread is None:
            return None, "it has one price and no book: what a size would cost is not known"
        bid, ask = bid * (1 - facts.assumed_half_spread), ask * (1 + facts.assumed_half_spread)
        bid_size = ask_size = facts.assumed_size
        return _Top(((bid, bid_size),), ((ask, ask_size),)), "the config assumes no such size for its one price"
    return _Top(((bid, bid_size),), ((ask, ask_size),)), "only the best price is known, and it does not hold that much"


def _bps(ratio: float) -> float | None:
    """A price over fair value in bps above it; None where unknown."""
    return number((ratio - 1) * BPS)


def _sigmas(bps: float | None, fair: FairValue) -> float | None:
    """A distance from a fair value in its sigmas; None where one of the two is unknown."""
    return bps / fair.error_bps if bps is not None and fair.error > 0 else None
