"""What may be given for what, among many assets: each swap takes one asset and gives another, ever less for one more.

Book levels, mints and redemptions are swaps at a rate, stretches of v2 and v3 pools bend; a pool of several weighted
assets is swaps with an asset of its own (Angeris et al. 2022 for the pools; the splitting is our own derivation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.events import F8
from strategies.pricing.curve import Curve

I8 = NDArray[np.int64]


class Law(IntEnum):
    """How what the next one gives falls with t = bend * taken."""

    POOL = 0
    """rate / (1 + t)^2: two assets whose product is kept; with a bend of 0 a rate."""
    DEPOSIT = 1
    """rate / (1 + t): an asset put into a weighted pool, for that pool's own asset."""
    WITHDRAWAL = 2
    """rate exp(-t): an asset taken out of one."""


class Swaps(NamedTuple):
    """Swaps side by side, arrays of one length."""

    source: I8
    """What is taken: its place among all assets."""
    target: I8
    """What is given."""
    law: I8
    rate: F8
    """Target given for the first one of the source, all in."""
    bend: F8
    """Per unit of the source."""
    most: F8
    """Of the source; inf where it never ends."""

    def given(self, taken: F8) -> F8:
        """What each gives for what it takes."""
        t = self.bend * taken
        bent = np.where(self.law == Law.DEPOSIT, np.log1p(t), -np.expm1(-t)) / np.where(self.bend > 0, self.bend, 1.0)
        return self.rate * np.where(self.law == Law.POOL, taken / (1 + t), bent)

    def slope(self, taken: F8) -> F8:
        """What each gives for one more."""
        t = self.bend * taken
        return self.rate * np.where(
            self.law == Law.POOL, (1 + t) ** -2, np.where(self.law == Law.DEPOSIT, 1 / (1 + t), np.exp(-t))
        )

    def fall(self, taken: F8) -> F8:
        """How fast the slope falls, at least 0."""
        t = self.bend * taken
        after = np.where(self.law == Law.DEPOSIT, (1 + t) ** -2, np.exp(-t))
        return self.rate * self.bend * np.where(self.law == Law.POOL, 2 * (1 + t) ** -3, after)

    def best(self, prices: F8) -> F8:
        """What each takes at prices of all assets when it gains most: until the next one gives what it costs.

        inf where an asset of price 0 buys one that has a price and no end.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            more = self.rate * prices[self.target] / prices[self.source]
            bent = np.where(self.law == Law.POOL, np.sqrt(more) - 1, more - 1)
            bent = np.where(self.law == Law.WITHDRAWAL, np.log(more), bent) / self.bend
        return np.where(more > 1, np.minimum(np.where(self.bend > 0, bent, inf), self.most), 0.0)

    def among(self, there: I8 | NDArray[np.bool_]) -> Swaps:
        """Some of them."""
        source, target, law, rate, bend, most = self
        return Swaps(source[there], target[there], law[there], rate[there], bend[there], most[there])


def side_by_side(parts: Iterable[Swaps]) -> Swaps:
    """All swaps of several."""
    every = list(parts)
    source, target, law = (np.concatenate([one[at] for one in every]) for at in range(3))
    rate, bend, most = (np.concatenate([one[at] for one in every]) for at in range(3, 6))
    return Swaps(source, target, law, rate, bend, most)


def of_curve(curve: Curve, source: int, target: int, *, buy: bool) -> Swaps:
    """One side of a venue (strategies/pricing/curve.py): money for shares where one buys, shares for money else.

    An arc of weight w from the price p: selling bends by sqrt(p) / w a share, buying by 1 / (w sqrt(p)) a USD.
    """
    start, flat = curve.start, curve.start == curve.end
    root = np.sqrt(start)
    bend = np.where(flat, 0.0, 1 / (curve.weight * root) if buy else root / curve.weight)
    usd = np.where(flat, curve.weight * start, curve.weight * np.abs(np.sqrt(curve.end) - root))
    count = len(start)
    return Swaps(
        np.full(count, source), np.full(count, target), np.full(count, int(Law.POOL)),
        1 / start if buy else start.copy(), bend, usd if buy else curve.shares,
    )  # fmt: skip


def of_weighted(
    assets: Sequence[int], reserves: Sequence[float], weights: Sequence[float], *, fee: float, own: int
) -> Swaps:
    """A pool that keeps the product of its reserves, each to the power of its weight; `fee` is a part of the input.

    Its `own` asset, which nobody else has, counts the logarithm of that product: what is put in makes w log(1 + x / R)
    of it, and taking out R (1 - exp(-x / w)) costs x. Both at once of one asset is never better than one of them.
    """
    one, held, weight, keep = np.array(assets), np.array(reserves, float), np.array(weights, float), 1 - fee
    count, hub = len(one), np.full(len(one), own)
    unending = np.full(count, inf)
    return side_by_side(
        (
            Swaps(one, hub, np.full(count, int(Law.DEPOSIT)), weight * keep / held, keep / held, unending),
            Swaps(hub, one, np.full(count, int(Law.WITHDRAWAL)), held / weight, 1 / weight, unending),
        )
    )


_WIDER: Final = 4.0
"""1 + t at the end of a piece, in times of its beginning; a withdrawal's slope falls as much as a pool's."""
_PIECES: Final = 8
_END: Final = 1e9
"""1 + t at the end of the last one: a billionth of a pool is left."""


def pieces(swaps: Swaps) -> tuple[Swaps, I8]:
    """The same swaps cut into pieces that end, and to which swap each belongs. On all but the last of eight, which
    begins where 1 / 16,384 of a pool is left, slopes fall at most 16-fold."""
    begin, numbers = np.zeros(len(swaps.rate)), np.arange(len(swaps.rate))
    out = swaps.law == Law.WITHDRAWAL
    found, owners = list[Swaps](), list[I8]()
    for piece in range(_PIECES):
        t = swaps.bend * begin
        with np.errstate(divide="ignore"):
            last = piece == _PIECES - 1
            wide = np.where(out, 2 * np.log(_WIDER), _END if last else (_WIDER - 1) * (1 + t)) / swaps.bend
        end = np.minimum(begin + wide, swaps.most)
        there = begin < end
        bend = np.where(out, swaps.bend, swaps.bend / (1 + t))
        part = swaps._replace(rate=swaps.slope(begin), bend=bend, most=np.where(there, end, inf) - begin)
        found.append(part.among(there))
        owners.append(numbers[there])
        begin = np.where(there, end, begin)
    return side_by_side(found), np.concatenate(owners)
