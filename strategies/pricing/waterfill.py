"""The best size over many venues: water-filling, exact, with a certificate.

Shares are bought where they are cheapest and sold where they bring most, until the next one would cost what it brings.
Every side of a venue is a curve (strategies/pricing/curve.py) on which shares are affine in u = 1/sqrt(price). So the
cheapest V shares of all venues together have a marginal u that is affine in V from one breakpoint to the next, and so
has what V shares bring: where they meet is one division, without iteration and without tolerance. The dual value at the
prices found is a bound that no trade can pass, and this one reaches it: `gap_usd` is rounding alone. Own
derivation.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit, types

from connectors.events import F8
from strategies.market.kernel import KEPT
from strategies.pricing.curve import Curve

_IN = types.Array(types.float64, 1, "A", readonly=True)
_OUT = types.float64[::1]
_PIECES = types.float64[:, ::1]
_F: Final = types.float64
# Each as numba wants it. With numpy's error model 1 / sqrt(0) is inf, which is where the last arc of a v2 pool ends.
_SORTED: Any = types.Tuple((_PIECES, types.int64))(_IN, _IN, _IN, types.boolean, _F)  # type: ignore[no-untyped-call]
_MET: Any = types.UniTuple(_F, 3)(_PIECES, types.int64, _PIECES, types.int64, _F, _F, _F)  # type: ignore[no-untyped-call]
_FILLED: Any = types.UniTuple(_F, 3)(_IN, _IN, _IN, types.boolean, _F, _F, _OUT, _OUT)  # type: ignore[no-untyped-call]

SHARES: Final = 0
FROM: Final = 1
SLOPE: Final = 2
PRICE: Final = 3


@njit(_SORTED, cache=KEPT, error_model="numpy")
def _pieces(start, end, weight, buy, worst):  # type: ignore[no-untyped-def]
    """One side's pieces, best price first, and how many there are: (shares, u where it begins, |du| a share, price).

    A flat piece has slope 0 and its price; on an arc the price is nan, since it moves. What begins no better than the
    `worst` price is left out.
    """
    there = np.flatnonzero((start < worst) if buy else (start > worst))
    start, end, weight = start[there], end[there], weight[there]
    n = len(start)
    key = np.empty(2 * n)
    for s in range(n):
        key[2 * s], key[2 * s + 1] = start[s], end[s]
    if not buy:
        key = -key
    order = np.argsort(key, kind="mergesort")
    pieces, count = np.empty((2 * n, 4)), 0
    active, u = 0.0, 0.0
    arcs = 0
    for event in order:
        s, ends = event >> 1, event & 1
        flat = start[s] == end[s]
        if flat and ends:
            continue
        u_there = 1 / np.sqrt(end[s] if ends else start[s])
        if arcs > 0 and u_there != u:
            pieces[count, SHARES], pieces[count, FROM] = active * abs(u - u_there), u
            pieces[count, SLOPE], pieces[count, PRICE] = 1 / active, np.nan
            count += 1
        u = u_there
        if flat:
            pieces[count, SHARES], pieces[count, FROM] = weight[s], u
            pieces[count, SLOPE], pieces[count, PRICE] = 0.0, start[s]
            count += 1
        elif ends:
            arcs -= 1
            # Without an arc left the sum is nothing, whatever the roundings of what came and went.
            active = active - weight[s] if arcs > 0 else 0.0
        else:
            arcs += 1
            active += weight[s]
    return pieces, count


@njit(_MET, cache=KEPT, error_model="numpy")
def _meet(buys, n_buys, sells, n_sells, bought, sold, cap):  # type: ignore[no-untyped-def]
    """(volume, marginal price of what is bought, and of what is sold) where the two sides meet, or at the cap.

    The first `bought` shares come from elsewhere, whatever they cost, and the first `sold` go there. A price is nan
    where no free share is bought or sold. A volume of nan: the forced shares find no other side.
    """
    volume, floor = 0.0, max(bought, sold)
    b = s = 0
    used_b = used_s = 0.0
    price_b = price_s = np.nan
    while True:
        forced_b, forced_s = volume < bought, volume < sold
        if volume >= cap or (b >= n_buys and not forced_b) or (s >= n_sells and not forced_s):
            break
        u_b, slope_b, left_b, flat_b = np.inf, 0.0, bought - volume, np.nan
        if not forced_b:
            slope_b, flat_b = buys[b, SLOPE], buys[b, PRICE]
            u_b, left_b = buys[b, FROM] - used_b * slope_b, buys[b, SHARES] - used_b
        u_s, slope_s, left_s, flat_s = 0.0, 0.0, sold - volume, np.nan
        if not forced_s:
            slope_s, flat_s = sells[s, SLOPE], sells[s, PRICE]
            u_s, left_s = sells[s, FROM] + used_s * slope_s, sells[s, SHARES] - used_s
        must = volume < floor
        # Two flat prices are compared as they are: roots of neighbours may be one number.
        meet = flat_b >= flat_s if flat_b == flat_b and flat_s == flat_s else u_b <= u_s
        if meet and not must:
            break
        step = min(min(left_b, left_s), cap - volume)
        if must:
            step = min(step, floor - volume)
        elif slope_b + slope_s > 0.0 and u_b < np.inf and u_s < np.inf:
            step = min(step, (u_b - u_s) / (slope_b + slope_s))
        volume = floor if must and step == floor - volume else volume + step
        if not forced_b:
            used_b += step
            price_b = flat_b if slope_b == 0.0 else (buys[b, FROM] - used_b * slope_b) ** -2.0
            if step == left_b:
                b, used_b = b + 1, 0.0
        if not forced_s:
            used_s += step
            price_s = flat_s if slope_s == 0.0 else (sells[s, FROM] + used_s * slope_s) ** -2.0
            if step == left_s:
                s, used_s = s + 1, 0.0
        if step == 0.0:
            break
    if volume < floor:
        volume = np.nan
    return volume, price_b, price_s


@njit(_FILLED, cache=KEPT, error_model="numpy")
def _fill(start, end, weight, buy, price, shares, taken, paid):  # type: ignore[no-untyped-def]
    """Takes `shares` of one side at the marginal `price` and writes what each segment gives, and for how many USD.

    Better segments give all they have; flat ones at the price share what is left, in their order. Returns (shares, USD
    that they cost or bring, what all segments can gain against the marginal price). That gain is a sum of terms above
    zero: no small profit is lost between two large notionals.
    """
    n = len(start)
    total = usd = gain = 0.0
    for i in range(n):
        a, z, w = start[i], end[i], weight[i]
        taken[i] = paid[i] = 0.0
        if not ((a < price) if buy else (a > price)):
            continue
        if a == z:
            taken[i] = w
            paid[i] = w * a
            gain += w * abs(price - a)
        else:
            root_a, stop = np.sqrt(a), min(z, price) if buy else max(z, price)
            root_z = np.sqrt(stop)
            taken[i] = w * abs(1 / root_a - 1 / root_z)
            paid[i] = w * abs(root_z - root_a)
            gain += w * (root_z - root_a) ** 2 / root_a + abs(price - stop) * taken[i]
        total += taken[i]
        usd += paid[i]
    for i in range(n):
        if start[i] == price == end[i] and total < shares:
            taken[i] = min(weight[i], shares - total)
            paid[i] = taken[i] * price
            total += taken[i]
            usd += paid[i]
    return total, usd, gain


class Side(NamedTuple):
    """What is done on one side."""

    taken: F8
    """Shares of each segment, in the curve's order."""
    paid: F8
    """USD that they cost or bring."""
    shares: float
    """Their sum, without what was forced."""
    usd: float
    """And that of what they cost or bring."""
    marginal: float
    """Price of the last one, USD; nan where there is none."""
    gain_usd: float
    """What can be gained against that price."""


class Fill(NamedTuple):
    """The best trade over two sides."""

    shares: float
    """Bought and sold; nan where forced shares find no other side."""
    bought: Side
    sold: Side
    profit_usd: float
    """Without what the forced shares cost or bring: the dual value at the marginal prices, so no trade makes more."""

    @property
    def gap_usd(self) -> float:
        """How much less comes of adding up what is paid and received; of the best trade it is rounding."""
        return self.profit_usd - (self.sold.usd - self.bought.usd)


def fill(buy: Curve, sell: Curve, *, cap: float = inf, bought: float = 0.0, sold: float = 0.0) -> Fill:
    """The most profitable trade that buys on one curve and sells on the other, at most `cap` shares.

    Several venues' curves are one (`together`); segments need no order. The first `bought` shares are bought elsewhere
    and the first `sold` are sold elsewhere, whatever they cost: the curves give what is missing, at a loss if need be.
    Of several best volumes it is the smallest. Raises ValueError for numbers that are not at least 0.
    """
    if not (cap >= 0 and 0 <= bought < inf and 0 <= sold < inf):
        raise ValueError(f"no numbers of shares: cap {cap}, bought {bought}, sold {sold}")
    # Nobody buys for more than the best bid unless he must; so most segments need not be sorted.
    must = bought > 0 or sold > 0
    buys, n_buys = _pieces(*buy, True, inf if must else sell.start.max(initial=0.0))
    sells, n_sells = _pieces(*sell, False, 0.0 if must else buy.start.min(initial=inf))
    volume, price_b, price_s = _meet(buys, n_buys, sells, n_sells, bought, sold, cap)
    if not volume >= 0 or max(bought, sold) > cap:
        return Fill(nan, _nothing(buy), _nothing(sell), nan)
    one = _side(buy, True, price_b, volume - bought)
    other = _side(sell, False, price_s, volume - sold)
    between = _between(volume - sold, price_s) - _between(volume - bought, price_b)
    return Fill(volume, one, other, one.gain_usd + other.gain_usd + between)


def _nothing(curve: Curve) -> Side:
    """Nothing is done on this side."""
    return Side(np.zeros(len(curve.start)), np.zeros(len(curve.start)), 0.0, 0.0, nan, 0.0)


def _side(curve: Curve, buy: bool, price: float, shares: float) -> Side:
    """What is done on one side at its marginal price."""
    if not price >= 0:
        return _nothing(curve)
    taken, paid = np.empty(len(curve.start)), np.empty(len(curve.start))
    total, usd, gain = _fill(*curve, buy, price, shares, taken, paid)
    return Side(taken, paid, total, usd, price, gain)


def _between(shares: float, price: float) -> float:
    """Free shares at their marginal price; nothing where there are none."""
    return shares * price if shares > 0 else 0.0


def together(curves: list[Curve]) -> Curve:
    """Several curves as one; their segments stay in order."""
    if not curves:
        return Curve(np.empty(0), np.empty(0), np.empty(0))
    return Curve(*(np.concatenate(columns) for columns in zip(*curves, strict=True)))
