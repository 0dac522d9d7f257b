"""A pool beside books in whole lots: the one leg that may be any size, so it takes what is left between them."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from strategies.pricing.curve import Curve

ZERO = Decimal(0)


class Piece(NamedTuple):
    """A part of a pool's curve that lies between two prices of the books, in units and USD a unit."""

    start: Decimal
    end: Decimal
    units: Decimal


class Pool:
    """A pool's two curves in decimals; it is as exact as they are."""

    def __init__(self, buy: Curve, sell: Curve, *, fixed_usd: Decimal, unit: Decimal) -> None:
        """`unit` is how many shares a unit has. Raises ValueError for curves that cross: they are bad data."""
        if len(buy.start) and len(sell.start) and float(buy.start.min()) < float(sell.start.max()):
            raise ValueError("a pool sells for less than it pays")
        self.fixed_usd, self._unit = fixed_usd, unit
        self._curves = {
            side: sorted(
                (tuple(Decimal(float(one)) for one in segment) for segment in zip(*curve, strict=True)),
                reverse=not side,
            )
            for side, curve in ((True, buy), (False, sell))
        }

    def pieces(self, buy: bool, prices: list[Decimal]) -> list[Piece]:
        """One side, parted at the prices (USD a unit, rising): each piece is better or worse than any of them."""
        found, unit = [], self._unit
        for start, end, weight in self._curves[buy]:
            if start == end:
                found.append(Piece(start * unit, start * unit, weight / unit))
                continue
            low, high = min(start, end), max(start, end)
            inside = [one / unit for one in prices if low < one / unit < high]
            cuts = [start, *(inside if buy else reversed(inside)), end]
            found += [Piece(a * unit, b * unit, weight * abs(_root(a) - _root(b)) / unit) for a, b in pairwise(cuts)]
        return found

    def usd(self, units: Decimal) -> Decimal:
        """What it pays for so many units; below 0 what it asks for units that it gives."""
        left, total = abs(units) * self._unit, ZERO
        for start, end, weight in self._curves[units < 0]:
            if left <= 0:
                break
            if start == end:
                taken = min(left, weight)
                total += taken * start
            else:
                root = _root(start)
                taken = min(left, weight * abs(root - _root(end)))
                # 1 / sqrt(price) moves by shares over weight, down where one buys.
                there = root - taken / weight if end > start else root + taken / weight
                total += weight * abs(1 / there - 1 / root)
            left -= taken
        return -total if units < 0 else total


def _root(price: Decimal) -> Decimal:
    """1 / sqrt(price), at both ends of all prices too."""
    return Decimal("Infinity") if not price else 1 / price.sqrt()
