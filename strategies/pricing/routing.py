"""The best way between many assets at once, over all venues: what is given where, and a bound that no way can pass.

At prices of the assets each swap by itself gains what its closed form says; the least sum of all gains over all prices
is what the best route brings (Angeris et al. 2022, Diamandis et al. 2023). Route and prices are found together, by
Newton's steps towards a centre that moves to the edge (Mehrotra 1992): each step is a system of as many equations as
there are assets. Two things make it certain. A price is held between what the asset is worth and twice the most that
any chain of swaps makes of it; and swaps that bend are cut into pieces (swaps.py), so that none looks much different
one step later.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

import numpy as np

from connectors.events import F8
from strategies.pricing.swaps import Swaps, pieces

_STEPS: Final = 100
_EDGE: Final = 0.995
"""Part of the way to the edge that a step goes at most."""
_EXACT: Final = 1e-14
"""A gap that is so small a part of the bound is rounding."""
_DUST: Final = 1e-12
"""Of all that moves; less is rounding."""
_HIGHEST: Final = 2.0
"""Of the most that a chain of swaps makes of an asset: what is missing of it costs so much, so nothing is."""


class Route(NamedTuple):
    """The best trade over all swaps; arrays of zeros where none gains."""

    taken: F8
    """What each swap takes of its source."""
    given: F8
    """What it gives of its target."""
    net: F8
    """What comes of each asset, below 0 what goes; no more goes than is held, to rounding."""
    value: float
    """Of the net, at the values that were asked for."""
    bound: float
    """What no route can pass: of the prices, by itself."""
    prices: F8
    """What one more of each asset would bring."""


def route(swaps: Swaps, value: Sequence[float], held: Sequence[float]) -> Route:
    """The trade of the highest value that pays with no more than is held of each asset.

    `value` is that of one of each asset at the end, `held` how much there is at the beginning. Raises ValueError where
    one of them is no number of at least 0, or a swap at one rate has no end.
    """
    worth, have = np.array(value, dtype=float), np.array(held, dtype=float)
    if len(worth) != len(have) or not (np.all((worth >= 0) & (worth < inf)) and np.all((have >= 0) & (have < inf))):
        raise ValueError("a route needs a value and a holding of each asset, of at least 0")
    if not np.all((swaps.bend > 0) | (swaps.most < inf)):
        raise ValueError("a swap at one rate has no end")
    most = _most_worth(swaps, worth)
    useful = most[swaps.target] > 0
    there = np.flatnonzero(useful)
    taken = np.zeros(len(useful))
    taken[there], prices = _search(swaps.among(there), worth, have, np.where(most > 0, most, 1.0))
    prices = np.where(most > 0, prices, 0.0)
    given, bound = swaps.given(taken), _bound(swaps, worth, have, prices)
    moved = np.maximum(prices[swaps.source] * taken, prices[swaps.target] * given)
    taken, given = (np.where(moved > _DUST * moved.sum(), one, 0.0) for one in (taken, given))
    net = _net(swaps, taken, given, len(worth))
    gained = float(worth @ net)
    # What rounding has left unpaid counts against it: a value that is no more than roundings is none.
    paid = gained - float(prices @ np.maximum(-(have + net), 0))
    if paid <= abs(bound - paid):
        return Route(np.zeros(len(taken)), np.zeros(len(taken)), np.zeros(len(net)), 0.0, bound, prices)
    return Route(taken, given, net, gained, bound, prices)


def _most_worth(swaps: Swaps, worth: F8) -> F8:
    """The most that a chain of swaps can make of the first one of each asset; 0 where it leads to nothing of value."""
    most = worth.copy()
    for _ in range(len(worth)):
        np.maximum.at(most, swaps.source, swaps.rate * most[swaps.target])
    return most


def _net(swaps: Swaps, taken: F8, given: F8, count: int) -> F8:
    """What comes of each asset."""
    net = np.zeros(count)
    np.add.at(net, swaps.target, given)
    np.subtract.at(net, swaps.source, taken)
    return net


def _bound(swaps: Swaps, worth: F8, have: F8, prices: F8) -> float:
    """What all swaps gain at prices, and what is held is worth more at them than by its value."""
    best = swaps.best(prices)
    if not np.all(np.isfinite(best)):
        return inf
    gains = prices[swaps.target] * swaps.given(best) - prices[swaps.source] * best
    return float(gains.sum() + (prices - worth) @ have)


class _Point(NamedTuple):
    """Where the search stands: pairs of numbers above 0, of which one of each is 0 in the end."""

    taken: tuple[F8, F8]
    """What each piece takes, and how much its next one would lose."""
    left: tuple[F8, F8]
    """What it could still take, and how much its next one would gain."""
    spare: tuple[F8, F8]
    """What is left of each asset, and its price above its value."""
    short: tuple[F8, F8]
    """What is missing of it, and its price below its highest."""

    @property
    def gap(self) -> float:
        """The sum of all products."""
        return float(sum(x @ y for x, y in self))

    def along(self, step: _Point, part: float) -> _Point:
        """A part of a step further."""
        return _Point(*((x + part * dx, y + part * dy) for (x, y), (dx, dy) in zip(self, step, strict=True)))

    def room(self, step: _Point) -> float:
        """The part of a step, at most all, at which the first number is 0."""
        ends = [1.0]
        for pair, moves in zip(self, step, strict=True):
            for number, move in zip(pair, moves, strict=True):
                if (down := move < 0).any():
                    ends.append(float((-number[down] / move[down]).min()))
        return min(ends)


def _search(swaps: Swaps, worth: F8, have: F8, most: F8) -> tuple[F8, F8]:
    """What each swap takes in the best route, and the prices."""
    # Amounts in what the largest venue holds at the highest prices, and prices in those: so every rate is at most 1.
    bent = swaps.bend > 0
    size = np.where(bent, np.minimum(swaps.most, 1 / np.where(bent, swaps.bend, 1.0)), swaps.most)
    largest = max(float((size * most[swaps.source]).max(initial=0.0)), float((have * most).max(initial=0.0)))
    if not (len(size) and 0 < largest < inf):
        return np.zeros(len(size)), worth
    unit = largest / most
    source, target = unit[swaps.source], unit[swaps.target]
    scaled = swaps._replace(rate=swaps.rate * source / target, bend=swaps.bend * source, most=swaps.most / source)
    parts, owner = pieces(scaled)
    found, prices = _centred(parts, worth / most, have / unit)
    taken = np.zeros(len(size))
    np.add.at(taken, owner, found)
    return np.minimum(taken * source, swaps.most), prices * most


def _centred(parts: Swaps, value: F8, held: F8) -> tuple[F8, F8]:
    """What each piece takes in the best route, and the prices, in numbers that are neither large nor small."""
    count, width = len(value), np.arange(len(parts.rate))
    at = _begin(parts, value)
    best, prices, least = np.zeros(len(width)), value, inf
    for _ in range(_STEPS):
        taken, price = at.taken[0], value + at.spare[1]
        given, slope = parts.given(taken), parts.slope(taken)
        net = _net(parts, taken, given, count)
        bound = _bound(parts, value, held, price)
        gap = bound - float(value @ net) + _HIGHEST * float(np.maximum(-(held + net), 0).sum())
        if gap < least:
            best, prices, least = taken, price, gap
        if least <= _EXACT * bound or at.gap <= _EXACT**2:
            break
        flows = np.zeros((count, len(width)))
        flows[parts.source, width] -= 1
        flows[parts.target, width] += slope
        bend = price[parts.target] * parts.fall(taken) + sum(y / x for x, y in (at.taken, at.left))
        equations = (flows / bend) @ flows.T + np.diag(at.spare[0] / at.spare[1] + at.short[0] / at.short[1])
        try:
            straight = _step(at, flows, bend, equations, price, held + net, 0.0, None)
            # Mehrotra: the centre is the nearer to the edge the further the straight way leads.
            nearer = at.along(straight, at.room(straight)).gap / at.gap
            centre = nearer**3 * at.gap / (2 * (count + len(width)))
            step = _step(at, flows, bend, equations, price, held + net, centre, straight)
        except np.linalg.LinAlgError:
            break  # rounding has the last word
        at = at.along(step, min(1.0, _EDGE * at.room(step)))
    return best, prices


def _begin(parts: Swaps, value: F8) -> _Point:
    """Each piece takes a half of what it can before it has bent, at prices in the middle."""
    bends = parts.bend > 0
    taken = np.minimum(parts.most, np.where(bends, 1 / np.where(bends, parts.bend, 1.0), inf)) / 2
    taken = np.minimum(taken, 1.0)
    left, one, above = parts.most - taken, np.ones(len(value)), (_HIGHEST - value) / 2
    return _Point(
        (taken, np.minimum(0.1 / taken, 100.0)), (left, np.minimum(0.1 / left, 100.0)), (one, above), (one, above)
    )


def _step(
    at: _Point, flows: F8, bend: F8, equations: F8, price: F8, had: F8, centre: float, straight: _Point | None
) -> _Point:
    """Newton's step to where every pair's product is `centre`, less what the straight step would leave of it."""
    goals = [np.full(len(x), centre) for x, _ in at]
    if straight is not None:
        goals = [goal - dx * dy for goal, (dx, dy) in zip(goals, straight, strict=True)]
    (taken, loses), (left, gains), (spare, above), (short, below) = at
    pull = price @ flows + goals[0] / taken - goals[1] / left
    right = -had - flows @ (pull / bend) + goals[2] / above - goals[3] / below
    dearer: F8 = np.linalg.solve(equations, right).astype(float, copy=False)
    more = (pull + dearer @ flows) / bend
    moves = (more, -more, dearer, -dearer)
    known = ((taken, loses), (left, gains), (above, spare), (below, short))
    others = [(goal - y * dx) / x - y for goal, (x, y), dx in zip(goals, known, moves, strict=True)]
    return _Point((more, others[0]), (-more, others[1]), (others[2], dearer), (others[3], -dearer))
