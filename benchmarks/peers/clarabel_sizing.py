"""CLARABEL and ours on the same markets: python -m benchmarks.peers.clarabel_sizing MARKETS ROUNDS; JSON.

A flat segment is a bounded variable. An arc of weight W from the price a gives s shares for d USD where
(1 / sqrt(a) - s / W) (sqrt(a) + d / W) >= 1, a second-order cone; where one sells the signs are the other way round.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from statistics import median
from typing import Any

import clarabel
import numpy as np
from scipy import sparse

from benchmarks.sizing import market
from strategies.pricing.choice import Venue, best_trade
from strategies.pricing.curve import Curve
from strategies.pricing.waterfill import fill, together

CALLS = 20
"""Of ours in one turn, since one is too short for the clock."""


class Cones:
    """One market as a cone problem: shares of every segment, USD of every arc."""

    def __init__(self, venues: list[Venue]) -> None:
        self.sides = [(True, together([one.buy for one in venues])), (False, together([one.sell for one in venues]))]
        rows: list[tuple[int, int, float]] = []
        bounds: list[float] = [0.0]
        cost: list[float] = []
        arcs: list[tuple[int, int, float, float, int]] = []
        self.shares_at: list[list[int]] = []
        for buy, held in self.sides:
            sign, places = (1 if buy else -1), []
            for start, end, weight, most in zip(*held, held.shares, strict=True):
                at = len(cost)
                places.append(at)
                rows.append((0, at, float(sign)))
                if start == end:
                    cost.append(sign * start)
                else:
                    cost += [0.0, float(sign)]
                    arcs.append((at, at + 1, float(start), float(weight), sign))
                bounds += [float(most), 0.0]
                rows += [(len(bounds) - 2, at, 1.0), (len(bounds) - 1, at, -1.0)]
            self.shares_at.append(places)
        cones: list[Any] = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(len(bounds) - 1)]
        for shares, usd, start, weight, sign in arcs:
            x, y, at = start**-0.5, start**0.5, len(bounds)
            # With X = x - s / W and Y = y + d / W: |(2, X - Y)| <= X + Y.
            bounds += [x + y, 2.0, x - y]
            for row, of_x, of_y in ((at, 1, 1), (at + 2, 1, -1)):
                rows += [(row, shares, of_x * sign / weight), (row, usd, -of_y * sign / weight)]
            cones.append(clarabel.SecondOrderConeT(3))
        place, column, value = zip(*rows, strict=True)
        size = (len(bounds), len(cost))
        self.matrix = sparse.csc_matrix((value, (place, column)), shape=size)
        self.nothing = sparse.csc_matrix((len(cost), len(cost)))
        self.cost, self.bounds, self.cones = np.array(cost), np.array(bounds), cones
        self.settings = clarabel.DefaultSettings()
        self.settings.verbose = False

    def solve(self) -> Any:
        """The solver's answer, with its own tolerances."""
        return clarabel.DefaultSolver(
            self.nothing, self.cost, self.matrix, self.bounds, self.cones, self.settings
        ).solve()

    def profit(self, x: list[float]) -> float:
        """What its sizes make: those of the side that has more are cut down alike."""
        sizes = [
            np.clip(np.array(x)[places], 0, held.shares)
            for places, (_, held) in zip(self.shares_at, self.sides, strict=True)
        ]
        traded = min(float(one.sum()) for one in sizes)
        usd = [
            _usd(held, one * traded / one.sum() if one.sum() else one, buy)
            for one, (buy, held) in zip(sizes, self.sides, strict=True)
        ]
        return usd[1] - usd[0]


def _usd(held: Curve, sizes: Any, buy: bool) -> float:
    """What so many shares of every segment cost or bring."""
    root = 1 / np.sqrt(held.start)
    there = root - sizes / held.weight if buy else root + sizes / held.weight
    arcs = held.weight * np.abs(1 / there - 1 / root)
    return float(np.sum(np.where(held.start == held.end, sizes * held.start, arcs)))


def main() -> None:
    """Both on every market in turns."""
    markets, rounds = map(int, sys.argv[1:3])
    names = ("water-filling", "best trade", "cones")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    short, status, lost = [], [], 0
    for seed in range(markets):
        venues = market(seed)
        cones, found = Cones(venues), best_trade(venues)
        runs = {
            "water-filling": (partial(fill, *(held for _, held in cones.sides)), CALLS),
            "best trade": (partial(best_trade, venues), CALLS),
            "cones": (cones.solve, 1),
        }
        times: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, (run, calls) in runs.items():
                begun = time.process_time()
                for _ in range(calls):
                    answer = run()
                times[name].append((time.process_time() - begun) / calls)
        for name in names:
            seconds[name].append(median(times[name]))
        profit = cones.profit(answer.x)
        lost += profit > found.profit_usd * (1 + 1e-12)
        short.append(1 - profit / found.profit_usd)
        status.append(str(answer.status))
    ratios = {
        name: [cone / own for cone, own in zip(seconds["cones"], seconds[name], strict=True)] for name in names[:2]
    }
    print(
        json.dumps(
            {
                "markets": markets,
                "ours_lost": lost,
                "median_us": {name: median(one) * 1e6 for name, one in seconds.items()},
                "times_slower_than": {name: _spread(one) for name, one in ratios.items()},
                "its_profit_below_ours": _spread(short),
                "status": {one: status.count(one) for one in sorted(set(status))},
            }
        )
    )


def _spread(values: list[float]) -> dict[str, float]:
    """The middle and both ends."""
    return {"median": median(values), "least": min(values), "most": max(values)}


if __name__ == "__main__":
    main()
