"""The best whole numbers of lots: branch and bound over water-filling, in decimals that no comparison can get wrong.

With lots that may be split the best trade is a walk: the cheapest units against those that bring most. That walk bounds
what whole lots can make, and where it splits none it is the best trade itself; so it is with one lot size everywhere.
Else the lot that was split is left or taken whole, each with a walk of its own. Own derivation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from heapq import heappop, heappush
from math import gcd
from typing import Final, NamedTuple

from strategies.pricing.lot_pool import Piece, Pool

SAME: Final = Decimal("1e-30")
"""Profits that differ by less, USD, are one: it is far above the roundings of 50 digits."""
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Stack:
    """Lots of one size on one side, best first."""

    buy: bool
    units: int
    """What one lot holds, in the common unit of all lots."""
    levels: tuple[tuple[Decimal, int], ...]
    """USD a lot, all in, and how many lots."""
    least: int = 0
    """Fewer lots than these are not taken, none excepted."""
    venue: int = -1
    """Whose fixed cost it pays; -1: nobody's."""

    @property
    def lots(self) -> int:
        """All of them."""
        return sum(count for _, count in self.levels)

    def usd(self, lots: int) -> Decimal:
        """What the first lots cost or bring."""
        total = ZERO
        for price, count in self.levels:
            total += min(lots, count) * price
            lots -= min(lots, count)
        return total


class Found(NamedTuple):
    """Lots of each stack, the profit, and what no trade can pass; what is over or short is the pool's."""

    lots: tuple[int, ...]
    profit: Decimal
    bound: Decimal
    looks: int


class _Node(NamedTuple):
    """A part of all trades: so many lots of each stack at least and at most; whether the pool is used, if decided."""

    low: tuple[int, ...]
    high: tuple[int, ...]
    pool: bool | None


class _Walk(NamedTuple):
    """The best trade of a node if lots may be split."""

    profit: Decimal
    taken: list[Decimal | int]
    """Units of each stack."""
    pool: Decimal


class _Run(NamedTuple):
    """Lots of one stack at one price, from one number of lots to another; or a piece of the pool (stack -1)."""

    price: Decimal
    """USD a unit; of a piece where it begins."""
    end: Decimal
    stack: int
    first: int
    last: int
    units: Decimal


class Search:
    """Branch and bound, the node of the highest bound first and the deeper one of equals."""

    def __init__(
        self, stacks: Sequence[Stack], fixed: Sequence[Decimal], pool: Pool | None, cap: Decimal | None
    ) -> None:
        """`fixed` is each venue's cost, USD; `cap` is in units."""
        self.stacks, self.fixed, self.pool, self.cap = stacks, fixed, pool, cap
        self.steps = [1 if pool else _step(stacks, at) for at in range(len(stacks))]
        prices = {price / one.units for one in stacks for price, _ in one.levels}
        self.runs = [self._runs(buy, sorted(prices)) for buy in (True, False)]

    def best(self, looks: int) -> Found:
        """The best trade after so many walks at most; the bound is above its profit where they did not suffice."""
        nothing = tuple(0 for _ in self.stacks)
        found, best, count = nothing, ZERO, 0
        heap: list[tuple[Decimal, int, _Node, _Walk]] = []
        fresh = [_Node(nothing, tuple(one.lots for one in self.stacks), None)]
        while True:
            for node in fresh:
                count += 1
                walk = self._walk(node)
                if walk and walk.profit > best + SAME:
                    heappush(heap, (-walk.profit, -count, node, walk))
            if not heap or -heap[0][0] <= best + SAME:
                return Found(found, best, best, count)
            if count >= looks:
                return Found(found, best, -heap[0][0], count)
            bound, _, node, walk = heappop(heap)
            fresh = self._branches(node, walk)
            if not fresh:
                found = tuple(int(taken // one.units) for taken, one in zip(walk.taken, self.stacks, strict=True))
                best = -bound

    def _branches(self, node: _Node, walk: _Walk) -> list[_Node]:
        """The two halves of a node, parted at the first thing in its walk that cannot be; none if all can."""
        paid = self._paid(node)
        for at, (one, taken, low) in enumerate(zip(self.stacks, walk.taken, node.low, strict=True)):
            if not taken:
                continue
            step = self.steps[at]
            whole = int(taken // (one.units * step)) * step
            unpaid = one.venue >= 0 and one.venue not in paid and self.fixed[one.venue] > 0
            if low == 0 and (unpaid or taken < one.least * one.units):
                least = -(-max(one.least, 1) // step) * step
                return self._parted(node, at, 0, least)
            if whole * one.units != taken:
                return self._parted(node, at, whole, whole + step)
        if walk.pool and self.pool and self.pool.fixed_usd and node.pool is None:
            return [node._replace(pool=False), node._replace(pool=True)]
        return []

    @staticmethod
    def _parted(node: _Node, at: int, most: int, least: int) -> list[_Node]:
        """With at most, and with at least, so many lots of one stack."""
        found = []
        if most >= node.low[at]:
            found.append(node._replace(high=(*node.high[:at], most, *node.high[at + 1 :])))
        if least <= node.high[at]:
            found.append(node._replace(low=(*node.low[:at], least, *node.low[at + 1 :])))
        return found or [node._replace(high=(*node.high[:at], -1, *node.high[at + 1 :]))]

    def _paid(self, node: _Node) -> set[int]:
        """Venues whose fixed cost a node pays for sure."""
        return {one.venue for one, low in zip(self.stacks, node.low, strict=True) if low > 0 and one.venue >= 0}

    def _meets(self, node: _Node) -> bool:
        """Whether there are lots between the limits of a node whose sums can be equal, as far as divisors tell."""
        if any(low > high for low, high in zip(node.low, node.high, strict=True)):
            return False
        if self.pool and node.pool is not False:
            return True
        open_ = gcd(*(one.units for one, a, b in zip(self.stacks, node.low, node.high, strict=True) if a < b))
        held = sum(one.units * low * (1 if one.buy else -1) for one, low in zip(self.stacks, node.low, strict=True))
        return held % open_ == 0 if open_ else held == 0

    def _walk(self, node: _Node) -> _Walk | None:
        """The best trade of a node if lots may be split and what is not decided is free; None where there is none."""
        if not self._meets(node):
            return None
        taken: list[Decimal | int] = [one.units * low for one, low in zip(self.stacks, node.low, strict=True)]
        sums = [sum(t for t, one in zip(taken, self.stacks, strict=True) if one.buy is buy) for buy in (True, False)]
        ahead, volume = Decimal(sums[0] - sums[1]), Decimal(max(sums))
        if self.cap is not None and volume > self.cap:
            return None
        usd = sum(
            (one.usd(low) * (-1 if one.buy else 1) for one, low in zip(self.stacks, node.low, strict=True) if low), ZERO
        )
        usd -= sum((self.fixed[at] for at in self._paid(node)), ZERO)
        sides = [self._open(node, runs) for runs in self.runs]
        place, used, pool = [0, 0], [ZERO, ZERO], ZERO
        while True:
            runs = [side[at] if at < len(side) else None for side, at in zip(sides, place, strict=True)]
            # What was forced on one side finds its other side first, at any price.
            wanted = (True, True) if not ahead else (ahead < 0, ahead > 0)
            if any(run is None for run, want in zip(runs, wanted, strict=True) if want):
                if ahead:
                    return None
                break
            buy, sell = runs
            steps = [run.units - done for run, done, want in zip(runs, used, wanted, strict=True) if run and want]
            if ahead:
                steps.append(abs(ahead))
            else:
                assert buy and sell
                if buy.price >= sell.price or volume == self.cap:
                    break
                if self.cap is not None:
                    steps.append(self.cap - volume)
            step = min(steps)
            volume += ZERO if ahead else step
            for side, run in enumerate(runs):
                if run is None or not wanted[side]:
                    continue
                sign = -1 if side == 0 else 1
                used[side] += step
                ahead -= step * sign
                whole = used[side] >= run.units
                if run.stack < 0:
                    pool += step * sign
                else:
                    usd += step * run.price * sign
                    one = self.stacks[run.stack].units
                    taken[run.stack] = one * run.last if whole else one * run.first + used[side]
                if whole:
                    place[side], used[side] = place[side] + 1, ZERO
        if self.pool:
            usd += self.pool.usd(pool) - (self.pool.fixed_usd if node.pool else ZERO)
        return _Walk(usd, taken, pool)

    def _open(self, node: _Node, runs: list[_Run]) -> list[_Run]:
        """What a node may take of its own will, best first."""
        found = []
        for run in runs:
            if run.stack < 0:
                if node.pool is not False:
                    found.append(run)
                continue
            first, last = max(run.first, node.low[run.stack]), min(run.last, node.high[run.stack])
            if first < last:
                units = Decimal((last - first) * self.stacks[run.stack].units)
                found.append(run._replace(first=first, last=last, units=units))
        return found

    def _runs(self, buy: bool, prices: list[Decimal]) -> list[_Run]:
        """All of one side, best first."""
        found = []
        for at, one in enumerate(self.stacks):
            first = 0
            for price, count in one.levels if one.buy is buy else ():
                each = price / one.units
                found.append(_Run(each, each, at, first, first + count, Decimal(count * one.units)))
                first += count
        pieces: list[Piece] = self.pool.pieces(buy, prices) if self.pool else []
        found += [_Run(one.start, one.end, -1, 0, 0, one.units) for one in pieces]
        return sorted(found, key=lambda run: (run.price, run.end), reverse=not buy)


def _step(stacks: Sequence[Stack], at: int) -> int:
    """Lots of one stack come in multiples of this, for whatever the others hold is a multiple of what they share."""
    others = gcd(*(one.units for place, one in enumerate(stacks) if place != at))
    return others // gcd(others, stacks[at].units) if others else 1
