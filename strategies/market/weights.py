"""The scan's form of a filter, compiled: weight and offset of each witness. The maths is told in filter.py."""

from __future__ import annotations

from math import exp, expm1, inf, log, sqrt
from typing import Final

from numba import njit, types

from strategies.market.kernel import KEPT

MOST_SIGMAS: Final = 3.0
"""A level is moved by so many of its own sigmas at most."""

_I = types.Array(types.int64, 1, "C", readonly=True)
_F = types.Array(types.float64, 1, "C", readonly=True)
_F2 = types.Array(types.float64, 2, "C", readonly=True)
_F3 = types.Array(types.float64, 3, "C", readonly=True)
_W = types.float64[:, ::1]


@njit(
    types.void(
        _I, _I, _I, _F, _F, _F, _F2, _F3, _F2, _F3, types.int64[::1], _W, _W, types.float64[::1], types.float64[::1]
    ),
    cache=KEPT,
    error_model="numpy",
)
def weigh(  # type: ignore[no-untyped-def]
    pair, share, underlying, z, spoke, noise, alone, alone_cov, without, without_cov, speaker, by, of, weight, offset
):
    """Writes weight and offset [W] of each witness, both handed in as 0.

    By witness: `pair`, the row of its group in both banks (-1: the share itself), its underlying, last log price, when
    it was heard, and variance of its noise. By underlying: `share`, the row of `alone` that hears the share only.
    Where `without` has no row, weights are what each group says alone. `speaker` (-1 by row of `alone`), `by` (0,
    [7, U]) and `of` (0, [2, W]) are room to work in: to make it here would take the compiler longer than the rest.
    """
    groups, precision, total, base, own, whole, summed = by[0], by[1], by[2], by[3], by[4], by[5], by[6]
    level, rest = of[0], of[1]
    for w in range(len(z)):
        at = pair[w]
        if at >= 0 and -inf < z[w] < inf:
            other = speaker[at]
            if other < 0 or spoke[w] > spoke[other] or (spoke[w] == spoke[other] and noise[w] < noise[other]):
                speaker[at] = w
    for u in range(len(share)):
        if alone[share[u], 0] == alone[share[u], 0]:
            base[u] = whole[u] = 1.0 / alone_cov[share[u], 0, 0]
            own[u] = alone[share[u], 0]
    for w in range(len(z)):
        at, u = pair[w], underlying[w]
        if at < 0 or speaker[at] != w:
            continue
        alike = 1.0 / alone_cov[at, 0, 0] if alone[at, 0] == alone[at, 0] else 0.0
        added = alike - base[u]
        if not added > 0.0:
            speaker[at] = -1
            continue
        weight[w], level[w] = added, (alone[at, 0] * alike - own[u] * base[u]) / added
        if len(without) and -inf < without[at, 0] < inf:
            groups[u] += 1.0
            precision[u] += 1.0 / without_cov[at, 0, 0]
        total[u] += added
    for w in range(len(z)):
        at, u = pair[w], underlying[w]
        if at >= 0 and speaker[at] == w and groups[u] > 1.0:
            less = (precision[u] - groups[u] * base[u]) / ((groups[u] - 1.0) * total[u])
            weight[w] *= min(max(less, 0.0), 1.0) if less == less else 0.0
            whole[u] += weight[w]
    for w in range(len(z)):
        at, u = pair[w], underlying[w]
        if at >= 0 and speaker[at] == w and groups[u] > 1.0:
            rest[w] = exp(without[at, 0]) * (whole[u] - weight[w])
            summed[u] += rest[w] if rest[w] == rest[w] else 0.0
    for u in range(len(share)):
        # From adding up over i: n S - (S - base value) = sum of rest.
        summed[u] = (summed[u] - (exp(own[u]) * base[u] if base[u] > 0.0 else 0.0)) / (groups[u] - 1.0)
    for w in range(len(z)):
        at, u = pair[w], underlying[w]
        if at < 0 or speaker[at] != w:
            continue
        if groups[u] > 1.0:
            moved = log((summed[u] - rest[w]) / weight[w]) - level[w]
            if -inf < moved < inf:
                most = MOST_SIGMAS / sqrt(weight[w])
                level[w] += min(max(moved, -most), most)
        offset[w] = -expm1(level[w] - z[w])


@njit(types.void(_I, _I, _F, _F, _F2, _F3, types.float64[::1], types.float64[::1]), cache=KEPT)
def forecast(underlying, slot, shift, noise, state, cov, mean, var):  # type: ignore[no-untyped-def]
    """Writes mean and variance [W] of what each witness is expected to print, by the states of `together`."""
    for w in range(len(slot)):
        u, s = underlying[w], slot[w]
        mean[w], var[w] = state[u, 0] + shift[w], cov[u, 0, 0] + noise[w]
        if s > 0:
            mean[w] = state[u, 0] + state[u, s] + shift[w]
            var[w] = cov[u, 0, 0] + (2.0 * cov[u, 0, s] + cov[u, s, s]) + noise[w]
        if mean[w] != mean[w]:
            var[w] = inf
