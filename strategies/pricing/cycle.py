"""A round trip through v2 pools that ends in the coin it began with: the best size in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple


class Hop(NamedTuple):
    """One pool in the direction of the trip, in units of what goes in and what comes out."""

    reserve_in: float
    reserve_out: float
    fee: float
    """Part of the input."""


class Cycle(NamedTuple):
    """out = a x / (b + c x) for x in; and the x that gains most."""

    a: float
    b: float
    c: float

    @property
    def best_in(self) -> float:
        """The input of the largest profit, (sqrt(a b) - b) / c; 0 where no size gains."""
        return (sqrt(self.a * self.b) - self.b) / self.c if self.a > self.b else 0.0

    @property
    def profit(self) -> float:
        """out - in at that size, (sqrt a - sqrt b)^2 / c, before gas; 0 where no size gains."""
        return (sqrt(self.a) - sqrt(self.b)) ** 2 / self.c if self.a > self.b else 0.0

    def out(self, amount: float) -> float:
        """What comes back for an input."""
        return self.a * amount / (self.b + self.c * amount)


def cycle(hops: Sequence[Hop]) -> Cycle:
    """The composition of constant-product swaps, which is one Moebius map (own derivation).

    Raises ValueError without a hop, for an empty pool and for a fee that is not in [0, 1).
    """
    if not hops:
        raise ValueError("a cycle needs a pool")
    a, b, c = 1.0, 1.0, 0.0
    for hop in hops:
        if not (hop.reserve_in > 0 and hop.reserve_out > 0 and 0 <= hop.fee < 1):
            raise ValueError(f"{hop} is no pool to trade with")
        keep = 1 - hop.fee
        a, b, c = hop.reserve_out * keep * a, hop.reserve_in * b, hop.reserve_in * c + keep * a
    return Cycle(a, b, c)
