"""One side of one venue as prices that get worse with size: book levels, stretches of a pool, one price of an issuer.

Everything is in shares and USD per share: a token is `shares` shares, its quote coin `usd` USD. A price includes
whatever is paid per share: fees, and carry where a position is held. Source of the arcs: Uniswap v3
whitepaper 6.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from connectors.events import F8


class Curve(NamedTuple):
    """Segments of one side, best price first; three arrays of one length.

    A segment with `start` == `end` is flat: `weight` shares at that price. One with different prices is an arc: from
    `start` to the price p it gives weight * |1/sqrt(start) - 1/sqrt(p)| shares for weight * |sqrt(p) - sqrt(start)|
    USD. Prices are marginal, USD per share, all in; they rise where one buys and fall where one sells.
    """

    start: F8
    end: F8
    weight: F8

    @property
    def shares(self) -> F8:
        """What each segment holds; inf for an arc that ends at a price of 0 (or starts there)."""
        with np.errstate(divide="ignore"):
            arcs = self.weight * np.abs(1 / np.sqrt(self.start) - 1 / np.sqrt(self.end))
        return np.where(self.start == self.end, self.weight, arcs)


EMPTY = Curve(np.empty(0), np.empty(0), np.empty(0))


def book(
    levels: Iterable[tuple[float, float]],
    *,
    buy: bool,
    fee: float = 0.0,
    usd: float = 1.0,
    shares: float = 1.0,
    carry: float = 0.0,
    lot: float = 0.0,
) -> Curve:
    """Levels (price, size) of a book, best first: asks where one buys, bids where one sells.

    `fee` is a part of the price; `carry` is USD per share that are paid (below 0: received) for holding what is bought,
    or earned less for what is sold: it is added to the price on both sides. With a `lot` each level counts with the
    whole lots that it holds. Levels without a size are left out; one whose price is not above zero all in ends the
    curve. Raises ValueError where a price is better than the one before.
    """
    price, size = np.array([level for level in levels if level[1] > 0], dtype=float).reshape(-1, 2).T
    if lot > 0:
        # The quotient of two decimal numbers may lie a rounding below the whole number that it is.
        size = np.floor(size / lot * (1 + 1e-12)) * lot
        price, size = price[size > 0], size[size > 0]
    one = usd / shares * price * (1 + fee if buy else 1 - fee) + carry
    if np.any(np.diff(one) < 0 if buy else np.diff(one) > 0):
        raise ValueError("the levels of a book do not get worse with size")
    good = np.cumprod(one > 0).astype(bool)
    one = one[good]
    return Curve(one, one.copy(), size[good] * shares)


def arcs(
    stretches: Sequence[tuple[float, float, float]],
    *,
    buy: bool,
    fee: float = 0.0,
    usd: float = 1.0,
    shares: float = 1.0,
) -> Curve:
    """Stretches (price where a swap enters, price where it leaves, liquidity L) of a pool, in its own units.

    Prices are quote per token before the fee, which is a part of the input. A price of 0 or inf ends the last one. The
    stretch scales: buying pays k p / (1 - f) a share and selling gives k p (1 - f), with k = usd / shares, both of
    weight shares * L * sqrt(k / (1 - f)).
    """
    k, keep = usd / shares, 1 - fee
    start, end, liquidity = np.array(stretches, dtype=float).reshape(-1, 3).T
    factor = k / keep if buy else k * keep
    return Curve(start * factor, end * factor, liquidity * (shares * sqrt(k / keep)))


def constant_product(
    base: float, quote: float, *, buy: bool, fee: float = 0.0, usd: float = 1.0, shares: float = 1.0
) -> Curve:
    """A v2 pool of so many tokens and quote coins: one arc to the end of all prices."""
    if not (base > 0 and quote > 0):
        return EMPTY
    stretch = (quote / base, inf if buy else 0.0, sqrt(base * quote))
    return arcs([stretch], buy=buy, fee=fee, usd=usd, shares=shares)


def ranges(
    price: float,
    held: Sequence[tuple[float, float, float]],
    *,
    buy: bool,
    fee: float = 0.0,
    usd: float = 1.0,
    shares: float = 1.0,
) -> Curve:
    """A concentrated pool at `price` with liquidity L from one price to another, rising: its stretches on one side."""
    if buy:
        stretches = [(max(low, price), high, size) for low, high, size in held if high > price]
    else:
        stretches = [(min(high, price), low, size) for low, high, size in reversed(held) if low < price]
    return arcs([one for one in stretches if one[2] > 0], buy=buy, fee=fee, usd=usd, shares=shares)


def at_price(price: float, most: float) -> Curve:
    """`most` shares at one price all in: a mint (bought) or a redemption (sold)."""
    return Curve(np.array([price]), np.array([price]), np.array([most])) if most > 0 and price > 0 else EMPTY


def cut(curve: Curve, most: float) -> Curve:
    """The first `most` shares of a curve. Raises ValueError where that is not a number of at least 0."""
    if not most >= 0:
        raise ValueError(f"{most} is no number of shares")
    held = curve.shares
    before = np.concatenate(([0.0], np.cumsum(held)))[:-1]
    keep = before < most
    start, end, weight = curve.start[keep], curve.end[keep].copy(), curve.weight[keep].copy()
    if len(start) and before[len(start) - 1] + held[len(start) - 1] > most:
        left = most - before[len(start) - 1]
        if start[-1] == end[-1]:
            weight[-1] = left
        else:
            rising = end[-1] > start[-1]
            root = 1 / sqrt(start[-1]) + (-left if rising else left) / weight[-1]
            end[-1] = 1 / root**2
    return Curve(start, end, weight)


def split(curve: Curve, first: float) -> tuple[Curve, Curve]:
    """The first `first` shares of a curve, and the rest. Raises ValueError as `cut` does."""
    head = cut(curve, first)
    count = len(head.start)
    if count == 0:
        return head, curve
    tail = Curve(*(column[count - 1 :].copy() for column in curve))
    if curve.start[count - 1] == curve.end[count - 1]:
        tail.weight[0] -= head.weight[-1]
        gone = tail.weight[0] <= 0
    else:
        tail.start[0] = head.end[-1]
        gone = tail.start[0] == tail.end[0]
    return head, Curve(*(column[1:] for column in tail)) if gone else tail


def cost(curve: Curve) -> float:
    """What all shares of a curve cost, or bring, USD."""
    with np.errstate(invalid="ignore"):
        arcs = curve.weight * np.abs(np.sqrt(curve.end) - np.sqrt(curve.start))
    return float(np.sum(np.where(curve.start == curve.end, curve.weight * curve.start, arcs)))
