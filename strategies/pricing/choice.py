"""Which venues to use at all, where using one costs something fixed or takes a least size: gas, a mint's flat fee.

With the venues fixed, water-filling is exact (strategies/pricing/waterfill.py). Over which of them are used, profit is
neither sub- nor supermodular (venues of one side replace each other, those of different sides need each other), so
nothing greedy is exact. This is branch and bound: a venue that is not decided yet costs nothing fixed and takes any
size, which no trade can beat. Own derivation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf, nan
from typing import NamedTuple

import numpy as np

from connectors.events import F8
from strategies.pricing.curve import EMPTY, Curve, cost, cut, split
from strategies.pricing.waterfill import Fill, fill, together


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """One venue: what it sells us and buys from us, shares and USD. Minimums hold where that side is used at all."""

    buy: Curve = EMPTY
    sell: Curve = EMPTY
    fixed_usd: float = 0.0
    """Paid once if the venue is used, whatever the size."""
    least_buy: float = 0.0
    least_sell: float = 0.0
    most_buy: float = inf
    most_sell: float = inf

    def __post_init__(self) -> None:
        """Raises ValueError for a cost or a size that is not a number of at least 0."""
        if not all(0 <= one < inf for one in (self.fixed_usd, self.least_buy, self.least_sell)):
            raise ValueError("a fixed cost or a least size is no number of at least 0")
        if not (self.most_buy >= 0 and self.most_sell >= 0):
            raise ValueError("a largest size is no number of at least 0")


class Leg(NamedTuple):
    """What is done on one side of one venue."""

    venue: int
    """Its place among those that were asked about."""
    buy: bool
    shares: float
    usd: float
    """Cost or proceeds, without the venue's fixed cost."""


class Trade(NamedTuple):
    """The best trade; without legs where none pays."""

    legs: tuple[Leg, ...]
    shares: float
    profit_usd: float
    """After fixed costs."""
    fixed_usd: float
    marginal_buy: float
    """Price of the last share bought, USD; nan where all that is bought is a least size, or nothing is."""
    marginal_sell: float
    gap_usd: float
    """How far the profit, added up from the legs, is below what no trade over the venues used can pass."""


NOTHING = Trade((), 0.0, 0.0, 0.0, nan, nan, 0.0)


class _Toggle(NamedTuple):
    """A side of a venue that may be used or not: both, where only the venue's fixed cost counts."""

    venue: int
    buy: bool
    sell: bool
    fixed_usd: float


def best_trade(venues: Sequence[Venue], *, cap: float = inf) -> Trade:
    """The most profitable trade over all venues, at most `cap` shares; exact up to rounding.

    Raises ValueError for a cap that is not at least 0. The time grows with 2 to the number of venues that have a fixed
    cost or a minimum, at worst; ten are milliseconds.
    """
    return _Search(venues, cap).best()


class _Search:
    """Branch and bound over the toggles, largest fixed cost first."""

    def __init__(self, venues: Sequence[Venue], cap: float) -> None:
        self.venues, self.cap = venues, cap
        self.curves = {
            (at, buy): curve if most == inf else cut(curve, most)
            for at, one in enumerate(venues)
            for buy, curve, most in ((True, one.buy, one.most_buy), (False, one.sell, one.most_sell))
        }
        self.toggles = sorted(
            (one for at, venue in enumerate(venues) for one in _toggles(at, venue)), key=lambda one: -one.fixed_usd
        )
        self.best_usd, self.found = 0.0, NOTHING

    def best(self) -> Trade:
        """The best trade of all."""
        self._branch(())
        return self.found

    def _branch(self, decided: tuple[bool, ...]) -> None:
        """Looks at every choice of the toggles behind those decided, unless even the bound is no better."""
        relaxed = self._solve(decided)
        if relaxed is None or relaxed.profit_usd <= self.best_usd:
            return
        used = {(leg.venue, leg.buy) for leg in relaxed.legs}
        open_ = self.toggles[len(decided) :]
        if not any(self._touches(one, used) for one in open_):
            self.best_usd, self.found = relaxed.profit_usd, relaxed
            return
        # What is used in the bound is tried first: a good trade early cuts off most of the rest.
        first = self._touches(open_[0], used)
        self._branch((*decided, first))
        self._branch((*decided, not first))

    @staticmethod
    def _touches(toggle: _Toggle, used: set[tuple[int, bool]]) -> bool:
        return (toggle.buy and (toggle.venue, True) in used) or (toggle.sell and (toggle.venue, False) in used)

    def _solve(self, decided: tuple[bool, ...]) -> Trade | None:
        """The best trade with these toggles decided and the others free of charge; None where least sizes clash."""
        off: set[tuple[int, bool]] = set()
        least: dict[tuple[int, bool], float] = {}
        paid: set[int] = set()
        for toggle, on in zip(self.toggles, decided, strict=False):
            sides = [(toggle.venue, buy) for buy, has in ((True, toggle.buy), (False, toggle.sell)) if has]
            if not on:
                off.update(sides)
                continue
            paid.add(toggle.venue)
            one = self.venues[toggle.venue]
            least |= {side: size for side in sides if (size := one.least_buy if side[1] else one.least_sell) > 0}
        return self._filled(off, least, sum(self.venues[at].fixed_usd for at in paid))

    def _filled(self, off: set[tuple[int, bool]], least: dict[tuple[int, bool], float], fixed: float) -> Trade | None:
        forced: dict[tuple[int, bool], tuple[float, float]] = {}
        free: dict[bool, list[tuple[int, Curve]]] = {True: [], False: []}
        for (at, buy), curve in self.curves.items():
            if (at, buy) in off:
                continue
            rest = curve
            if size := least.get((at, buy), 0.0):
                head, rest = split(curve, size)
                if sum(head.shares) < size * (1 - 1e-12):
                    return None  # there is less than the least size
                forced[at, buy] = size, cost(head)
            free[buy].append((at, rest))
        bought, sold = (sum(size for (_, buy), (size, _) in forced.items() if buy is side) for side in (True, False))
        made = fill(
            together([one for _, one in free[True]]),
            together([one for _, one in free[False]]),
            cap=self.cap,
            bought=bought,
            sold=sold,
        )
        if not made.shares >= 0:
            return None
        return _trade(made, free, forced, fixed)


def _toggles(at: int, venue: Venue) -> list[_Toggle]:
    """The sides of a venue that are a choice: each that has a minimum, and all together where only a cost is fixed.

    The fixed cost of a venue with minimums on both sides is paid once, with whichever is used first.
    """
    if not (venue.fixed_usd or venue.least_buy or venue.least_sell):
        return []
    sides = [(True, len(venue.buy.start), venue.least_buy), (False, len(venue.sell.start), venue.least_sell)]
    there = [(buy, least) for buy, count, least in sides if count]
    if venue.fixed_usd == 0 and not any(least for _, least in there):
        return []
    if any(least for _, least in there):
        return [_Toggle(at, buy, not buy, venue.fixed_usd) for buy, _ in there]
    return [_Toggle(at, True, True, venue.fixed_usd)]


def _trade(
    made: Fill,
    free: dict[bool, list[tuple[int, Curve]]],
    forced: dict[tuple[int, bool], tuple[float, float]],
    fixed: float,
) -> Trade:
    """The legs of a fill, by venue."""
    legs: list[Leg] = []
    for buy, side in ((True, made.bought), (False, made.sold)):
        sums = _sums(side.taken, side.paid, [len(curve.start) for _, curve in free[buy]])
        for (at, _), (taken, paid) in zip(free[buy], sums, strict=True):
            size, usd = forced.get((at, buy), (0.0, 0.0))
            if taken > 0 or size > 0:
                legs.append(Leg(at, buy, size + taken, usd + paid))
    given = sum(-usd if buy else usd for (_, buy), (_, usd) in forced.items())
    return Trade(
        tuple(sorted(legs, key=lambda leg: (leg.venue, not leg.buy))),
        made.shares,
        made.profit_usd + given - fixed,
        fixed,
        made.bought.marginal,
        made.sold.marginal,
        made.gap_usd,
    )


def _sums(taken: F8, paid: F8, counts: Sequence[int]) -> list[tuple[float, float]]:
    """Sums of so many values of both each, one stretch after the other."""
    # reduceat gives an empty stretch what comes after it, so it does not hear of those.
    starts = [start for start, count in zip(accumulate(counts, initial=0), counts, strict=False) if count]
    found = iter(np.add.reduceat((taken, paid), starts, axis=1).T.tolist() if starts else [])
    return [tuple(next(found)) if count else (0.0, 0.0) for count in counts]
