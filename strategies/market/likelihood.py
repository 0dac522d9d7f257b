"""The most likely parameters of one underlying's filter, with a prior, and how sure they are.

Parameters are a vector: log daily volatility; by group log sd and log half-life of its premium; by witness log
noise and mean premium (in tens of bps). Evidence of the share itself has its noise as given. The filter's
log-likelihood of all prints plus the prior's is maximised by BFGS with numeric gradients: many vectors are walked
through the prints in one call. What a tape cannot tell stays where the prior has it, and its error stays the prior's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from math import inf, log
from typing import Final

import numpy as np
from numba import njit

from connectors.events import F8
from strategies.market.filter import Premium, Witness
from strategies.market.kalman import START_VAR
from strategies.market.kernel import KEPT

MEAN_UNIT: Final = 1e-3
"""Of the vector's means: 10 bps."""

MAX_ROUNDS: Final = 60
_STEP: Final = 0.02
_LENGTHS: Final = np.array([2.0, 1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001])


@dataclass(frozen=True, slots=True)
class Series:
    """Prints of one underlying: T steps of time, W witnesses."""

    witnesses: tuple[Witness, ...]
    days: F8
    """Of the variance clock since the moment before [T]; the first is not used."""
    seconds: F8
    shut: np.ndarray
    z: F8
    """Log USD per share [T, W]; NaN is no print."""
    var: F8
    """Of the error by the spread [T, W]."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which place of the vector is which parameter."""

    witnesses: tuple[Witness, ...]
    groups: tuple[str, ...]
    names: tuple[tuple[str, int], ...]
    """(kind, number of group or witness): kinds are vol (which comes first), sd, half_life, noise, mean."""

    @staticmethod
    def of(witnesses: Sequence[Witness], given: Collection[str] = ()) -> Layout:
        """The layout of one underlying's witnesses; of the groups `given` only the noise is in the vector."""
        groups = tuple(dict.fromkeys(w.group for w in witnesses if w.group))
        names = [("vol", 0)]
        names += [(kind, g) for g, name in enumerate(groups) if name not in given for kind in ("sd", "half_life")]
        for n, one in enumerate(witnesses):
            if one.group:
                names += [("noise", n)] + ([("mean", n)] if one.group not in given else [])
        return Layout(tuple(witnesses), groups, tuple(names))

    def own(self, kind: str) -> F8:
        """A parameter as the witnesses have it, in the vector's unit: of each group (sd, half_life) or witness."""
        first = [next(w.premium for w in self.witnesses if w.group == g) for g in self.groups]
        with np.errstate(divide="ignore"):
            if kind == "sd":
                return np.log([premium.sd for premium in first])
            if kind == "half_life":
                return np.log([premium.half_life_s for premium in first])
            if kind == "noise":
                return np.log([w.premium.noise for w in self.witnesses])
        return np.array([w.premium.mean / MEAN_UNIT for w in self.witnesses])

    def vector(self, vol: float) -> F8:
        """The vector of the witnesses' own parameters and a daily volatility (a fraction)."""
        return np.array([np.log(vol) if kind == "vol" else self.own(kind)[n] for kind, n in self.names])

    def full(self, kind: str, vectors: F8) -> F8:
        """A parameter under each of the vectors [R, P] -> [groups or witnesses, R]; what is not in them is its own."""
        found = np.repeat(self.own(kind)[:, None], len(vectors), axis=1)
        for place, (of, number) in enumerate(self.names):
            if of == kind:
                found[number] = vectors[:, place]
        return found

    def premia(self, vector: F8) -> list[Premium]:
        """Each witness's premium by a vector; evidence of the share keeps its own."""
        sd, half, noise, mean = (self.full(kind, vector[None])[:, 0] for kind in ("sd", "half_life", "noise", "mean"))
        found = []
        for n, w in enumerate(self.witnesses):
            g = self.groups.index(w.group) if w.group else -1
            told = {"noise": float(np.exp(noise[n])), "mean": float(mean[n]) * MEAN_UNIT}
            if w.group:
                told |= {"sd": float(np.exp(sd[g])), "half_life_s": float(np.exp(half[g]))}
            found.append(replace(w.premium, **told))
        return found


def loglik(series: Series, layout: Layout, vectors: F8) -> F8:
    """Log-likelihood of all prints under each of the vectors [R, P] -> [R]. No print is damped."""
    noise, mean = np.exp(2 * layout.full("noise", vectors)), layout.full("mean", vectors) * MEAN_UNIT
    spread, decay = np.exp(2 * layout.full("sd", vectors)), -log(2) / np.exp(layout.full("half_life", vectors))
    often = np.array([next(w.premium.shut for w in layout.witnesses if w.group == g) for g in layout.groups])
    slot = np.array([layout.groups.index(w.group) + 1 if w.group else 0 for w in layout.witnesses], np.int64)
    z, var, days, seconds = (
        np.ascontiguousarray(one, dtype=np.float64) for one in (series.z, series.var, series.days, series.seconds)
    )
    found: F8 = _walk(
        z, var, days, seconds, np.asarray(series.shut, dtype=np.bool_), slot, np.argsort(slot, kind="stable"),
        noise, mean, spread, spread * often[:, None], decay, np.exp(2 * vectors[:, 0]),
    )  # fmt: skip
    return found


@njit(cache=KEPT)
def _walk(z, var, days, seconds, shut, slot, order, noise, mean, spread, shut_spread, decay, daily):  # type: ignore[no-untyped-def]
    """The steps of strategies/market/kalman.py without gate and Joseph form (a test holds the two together).

    Prints are [T, W], parameters [W or G, R]; returns log-likelihoods [R]. Compiled: a fit asks for thousands of walks.
    """
    count, size = len(daily), len(spread) + 1
    total = np.zeros(count)
    state, cov, ph, keep = np.zeros(size), np.zeros((size, size)), np.zeros(size), np.ones(size)
    for r in range(count):
        state[:] = 0.0
        cov[:, :] = 0.0
        for g in range(1, size):
            cov[g, g] = spread[g - 1, r]
        known = False
        for at in range(len(z)):
            if at:
                for g in range(1, size):
                    keep[g] = np.exp(decay[g - 1, r] * seconds[at])
                    state[g] *= keep[g]
                for a in range(size):
                    for b in range(size):
                        cov[a, b] *= keep[a] * keep[b]
                for g in range(1, size):
                    far = shut_spread[g - 1, r] if shut[at] else spread[g - 1, r]
                    cov[g, g] += far * (1.0 - keep[g] * keep[g])
                cov[0, 0] += daily[r] * days[at]
            for w in order:
                said = z[at, w]
                if not np.isfinite(said):
                    continue
                k = slot[w]
                said -= mean[w, r]
                if not known:
                    known = True
                    state[0], cov[0, 0] = said, START_VAR
                y = said - state[0]
                for a in range(size):
                    ph[a] = cov[a, 0]
                if k:
                    y -= state[k]
                    for a in range(size):
                        ph[a] += cov[a, k]
                s = ph[0] + var[at, w] + noise[w, r]
                if k:
                    s += ph[k]
                for a in range(size):
                    state[a] += ph[a] / s * y
                    for b in range(size):
                        cov[a, b] -= ph[a] * ph[b] / s
                total[r] -= 0.5 * (np.log(2 * np.pi * s) + y * y / s)
    return total


@dataclass(frozen=True, slots=True)
class Fit:
    """A maximum: the vector, its standard errors (prior included), and the log-likelihood without the prior."""

    vector: F8
    error: F8
    loglik: float
    rounds: int


def maximise(
    series: Series,
    layout: Layout,
    start: F8,
    prior_mean: F8,
    prior_sd: F8,
    progress: Callable[[int], None] = lambda done: None,
) -> Fit:
    """The maximum of log-likelihood plus Gaussian prior, from `start` on; vectors are [P]."""
    size = len(start)

    def value(vectors: F8) -> F8:
        """Log posterior of vectors [R, P], up to a constant; -inf where it is no number."""
        held = np.clip(vectors, prior_mean - 8 * prior_sd, prior_mean + 8 * prior_sd)
        told = loglik(series, layout, held) - 0.5 * np.sum(((held - prior_mean) / prior_sd) ** 2, axis=1)
        told = told - 1e3 * np.sum((vectors - held) ** 2, axis=1)
        return np.where(np.isfinite(told), told, -inf)

    steps = _STEP * np.eye(size)
    point, inverse = start.copy(), np.diag(np.minimum(prior_sd**2, 1.0)) * 0.05
    best, slope, before = -inf, np.zeros(size), start
    rounds = 0
    for rounds in range(1, MAX_ROUNDS + 1):
        around = value(np.concatenate((point[None], point + steps, point - steps)))
        now, fresh = float(around[0]), (around[1 : size + 1] - around[size + 1 :]) / (2 * _STEP)
        if rounds > 1:
            moved, turned = point - before, slope - fresh
            bend = float(moved @ turned)
            if bend > 1e-10:
                left = np.eye(size) - np.outer(moved, turned) / bend
                inverse = left @ inverse @ left.T + np.outer(moved, moved) / bend
        best, slope, before = now, fresh, point
        direction = inverse @ slope
        direction *= min(1.0, 2.0 / float(np.abs(direction).max(initial=1e-12)))
        tried = value(point + _LENGTHS[:, None] * direction)
        progress(rounds)
        if not tried.max() > best + 1e-4:
            break
        point = point + _LENGTHS[int(np.argmax(tried))] * direction
    return Fit(point, _errors(value, point, prior_sd), float(loglik(series, layout, point[None])[0]), rounds)


def _errors(value: Callable[[F8], F8], point: F8, prior_sd: F8) -> F8:
    """Standard errors from the curvature at the maximum; the prior's where there is none."""
    size, step = len(point), 0.05
    moves = step * np.eye(size)
    pairs = [(i, j) for i in range(size) for j in range(i, size)]
    corners = [point + a * moves[i] + b * moves[j] for i, j in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    told = value(np.array(corners)).reshape(-1, 4)
    bent = (told[:, 0] - told[:, 1] - told[:, 2] + told[:, 3]) / (4 * step**2)
    curvature = np.zeros((size, size))
    for (i, j), found in zip(pairs, bent.tolist(), strict=True):
        curvature[i, j] = curvature[j, i] = -found
    values, axes = np.linalg.eigh(curvature)
    # No axis is less sure than the widest prior says.
    inverse = axes @ np.diag(1 / np.maximum(values, 1 / prior_sd.max() ** 2)) @ axes.T
    return np.minimum(np.sqrt(np.diag(inverse)), prior_sd)
