"""Many small Kalman filters side by side: the log fair value of a share, and the premia through which it is seen.

A filter has the states s = (x, p_1 .. p_K): x the log fair value, a random walk on the variance clock, and p_k premia,
Ornstein-Uhlenbeck processes in seconds. A witness says z = x + p_k + e, evidence of the share itself z = x + e (slot
0). Predict: x += drift, P_xx += q days; p = m + (p - m) f, P_pp += s^2 (1 - f^2), f = 2^(-seconds / half-life).
Update, one number at a time: y = z - H s, S = H P H' + R, K = P H' / S, s += K y, P in Joseph's form, which keeps it
positive: (I - K H) P (I - K H)' + R K K'. Log-likelihood -1/2 (ln 2 pi S + y^2 / S). Kalman 1960; the scalar form is
that of batch least squares.

A premium as a state, not as noise, is what keeps the error honest: with white noise n witnesses or n prints would make
it fall like 1 / n, with a premium it cannot fall below what the premium hides.

The gate. An innovation beyond `gate` sigmas is damped: R grows until it is at the gate, so that the pull of an
outlier falls with its size. Where the same witness is beyond it on the same side at its next print, something has
jumped: the fair value, where another witness lies beyond its gate on that side too; this one's premium, where another
has been believed since; else nobody knows which, and both become half as uncertain as it takes. The print is then
inside the gate, and followed.

The share's own word is always believed. Beyond the gate the share has leapt: x becomes as uncertain as it takes, and
follows at once. Where its word leaps back without having been inside, sources contradict each other, and x goes
between them. In both cases premia learn of it only what lies inside the gate: a leap now says nothing of errors then.

Controls. What a share follows (an index, a sector, a coin, each times its beta) sums up to one log price f, another
random walk on the same clock: dx = df + de, and of x's variance f has the part `explained`. It is kept as the state
c = f - x, so that f is seen through x + c like a witness is, with P_xx += q days, P_xc -= (1 - explained) q days and
P_cc += (1 - explained) q days. So f moves x by as much as was not known of x yet, and f that is silent moves nothing
and takes no error away. The first word of f sets c (its level says nothing). A leap of x is no leap of f, and f bears
nobody out, since news of one share alone does not move it; f beyond its gate is gated like a witness, and when nobody
else has been believed since, x goes with it.
"""

from __future__ import annotations

from enum import IntEnum
from math import exp, inf, log, nan, pi, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit, types

from connectors.events import F8, I8, NAN
from strategies.market.kernel import KEPT

START_VAR: Final = 1.0
"""Variance of the log fair value before the first word: 100 %."""


class Verdict(IntEnum):
    """What became of a print."""

    UNHEARD = 0
    USED = 1
    DAMPED = 2
    """Beyond the gate: its weight was cut."""
    JUMPED = 3
    """Beyond the gate once more: the filter was made less certain and follows."""


_UNHEARD, _USED, _DAMPED, _JUMPED = (int(one) for one in Verdict)
_I = types.Array(types.int64, 1, "C", readonly=True)
_F = types.Array(types.float64, 1, "C", readonly=True)
_F2 = types.Array(types.float64, 2, "C", readonly=True)


@njit(
    types.void(
        _I, _I, _I, _F, _F, types.float64, types.float64, types.float64[:, ::1], types.float64[:, :, ::1],
        types.float64[::1], types.float64[:, ::1], types.int64[:, ::1], types.float64[:, ::1], types.float64[::1],
        types.float64[::1], types.int64[::1], types.int64,
    ),
    cache=KEPT,
)  # fmt: skip
def _update(  # type: ignore[no-untyped-def]
    rows, slots, who, z, var, now, gate, state, cov, loglik, believed, beyond, beyond_since, out_y, out_s, verdict,
    premia,
):  # fmt: skip
    """Bank.update over scalars: as arrays it takes a hundred times as long, being of a handful of numbers each."""
    count, control = state.shape[1], premia + 1
    ph, gain, lefth, seen_row = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    for n in range(len(rows)):
        w = who[n]
        if not (-inf < z[w] < inf and var[w] < inf):
            continue
        row, slot, r = rows[n], slots[n], var[w]
        x, p = state[row], cov[row]
        seen = 1.0 if slot > 0 else 0.0
        first = x[0] != x[0]
        if slot == control and (first or x[slot] != x[slot]):
            if not first:
                x[slot] = z[w] - x[0]
                for i in range(count):
                    p[i, slot] = p[slot, i] = -p[0, i]
                p[slot, slot] = p[0, 0] + r
                verdict[w] = _USED
            continue
        if first:
            x[0] = z[w] - (x[slot] if slot > 0 else 0.0)
            p[0, :] = 0.0
            p[:, 0] = 0.0
            p[0, 0] = START_VAR
        y = z[w] - x[0] - seen * x[slot]
        for i in range(count):
            ph[i] = p[i, 0] + seen * p[i, slot]
        s = ph[0] + seen * ph[slot] + r
        out_y[w], out_s[w] = y, s
        told, far = _USED, not first and abs(y) > gate * sqrt(s)
        side = 1 if y > 0 else -1
        if far:
            leap = 0.0
            if slot == 0:
                if beyond[row, 0] != -side:
                    leap = (y / gate) ** 2 - s
            elif beyond[row, slot] != side:
                told = _DAMPED
                beyond[row, slot], beyond_since[row, slot] = side, now
                r += (y / gate) ** 2 - s
            else:
                told = _JUMPED
                also, others = False, False
                for i in range(control):
                    if i != slot:
                        also = also or (i > 0 and beyond[row, i] == side)
                        others = others or believed[row, i] >= beyond_since[row, slot]
                to_x = 1.0 if also else 0.0 if others else 1.0 if slot == control else 0.5
                lacking = (y / gate) ** 2 - s
                leap = to_x * lacking
                p[slot, slot] += (1.0 - to_x) * lacking
            p[0, 0] += leap
            if slot < control < count:
                p[0, control] -= leap
                p[control, 0] -= leap
                p[control, control] += leap
            for i in range(count):
                ph[i] = p[i, 0] + seen * p[i, slot]
            s = ph[0] + seen * ph[slot] + r
        learnt = max(s, (y / gate) ** 2) if far and slot == 0 else s
        verdict[w] = told
        if told == _USED:
            believed[row, slot] = now
        if slot == 0:
            beyond[row, 0] = side if far else 0
        elif told != _DAMPED:
            beyond[row, slot] = 0
        for i in range(count):
            gain[i] = ph[i] / (s if i == 0 or i == control else learnt)
            seen_row[i] = p[0, i] + seen * p[slot, i]
        for i in range(count):
            x[i] += gain[i] * y
            for j in range(count):
                p[i, j] -= gain[i] * seen_row[j]
            lefth[i] = p[i, 0] + seen * p[i, slot]
        for i in range(count):
            for j in range(count):
                p[i, j] += (r * gain[i] - lefth[i]) * gain[j]
        for i in range(count):
            for j in range(i):
                p[i, j] = p[j, i] = (p[i, j] + p[j, i]) / 2
        loglik[row] -= 0.5 * (log(2 * pi * s) + y * y / s)


@njit(
    types.void(
        types.float64[:, ::1], types.float64[:, :, ::1], _F2, _F2, _F2, _F, _I, _F, _F, types.float64
    ),
    cache=KEPT,
)  # fmt: skip
def _predict(state, cov, mean, var, decay, daily_var, place, days, own, seconds):  # type: ignore[no-untyped-def]
    """Bank.predict over scalars."""
    count, control = state.shape[1], mean.shape[1] + 1
    keep = np.ones(count)
    for row in range(len(state)):
        x, p = state[row], cov[row]
        u = place[row]
        known = -inf < days[u] < inf
        if not known:
            x[0] = nan
        for i in range(1, control):
            keep[i] = exp(decay[row, i - 1] * seconds)
            x[i] = mean[row, i - 1] + (x[i] - mean[row, i - 1]) * keep[i]
        for i in range(count):
            for j in range(count):
                p[i, j] *= keep[i] * keep[j]
        for i in range(1, control):
            p[i, i] += var[row, i - 1] * (1 - keep[i] ** 2)
        moved = daily_var[row] * days[u] if known else 0.0
        p[0, 0] += moved
        if control < count:
            if not known:
                x[control] = nan
            p[0, control] -= own[row] * moved
            p[control, 0] -= own[row] * moved
            p[control, control] += own[row] * moved


class Bank:
    """R filters of K premia each. Arrays: state[R, K + 1], cov[R, K + 1, K + 1], loglik[R]; variances are of logs.
    With controls both have one more place for c, which is NaN until f was heard."""

    def __init__(
        self, mean: F8, sd: F8, half_life_s: F8, daily_var: F8, gate: float = inf, closed: F8 | float = 1.0,
        place: I8 | None = None, explained: F8 | None = None,
    ) -> None:  # fmt: skip
        """Filters that have heard nothing. mean, sd (stationary) and half_life_s are [R, K], daily_var is [R].

        A premium with sd 0 is a known constant. `closed` [R, K] multiplies its variance while the share is shut.
        `place` [R]: where each filter stands in what `predict` is handed; without it one after the other.
        `explained` [R]: the part of daily_var that controls explain; without it nobody has any.
        """
        rows, premia = mean.shape
        self._premia = premia
        self._own_part = np.ones(rows) if explained is None else 1 - explained
        width = premia + 1 + (explained is not None)
        self.mean, self.var, self.daily_var, self.gate = mean, sd**2, daily_var, gate
        self._shut_var = np.ascontiguousarray(self.var * closed)
        self._place = np.arange(rows) if place is None else place
        self._decay = -log(2) / half_life_s
        self.state: F8 = np.full((rows, width), NAN)
        self.state[:, 1 : premia + 1] = mean
        self.cov: F8 = np.zeros((rows, width, width))
        at = np.arange(1, premia + 1)
        self.cov[:, at, at] = self.var
        self.loglik: F8 = np.zeros(rows)
        self._now = 0.0
        self._believed: F8 = np.full((rows, width), -inf)
        self._beyond: I8 = np.zeros((rows, width), np.int64)
        self._beyond_since: F8 = np.zeros((rows, width))

    @property
    def x(self) -> F8:
        """Log fair values [R]; NaN before the first word."""
        return self.state[:, 0]

    @property
    def x_var(self) -> F8:
        """Their variances [R]; inf before the first word."""
        return np.where(np.isnan(self.state[:, 0]), inf, self.cov[:, 0, 0])

    def start(self, x: F8, var: F8) -> None:
        """Sets log fair value and variance of every filter; what was believed of it before is forgotten."""
        self.state[:, 0], self.state[:, self._premia + 1 :] = x, NAN
        self.cov[:, 0, :] = self.cov[:, :, 0] = 0.0
        self.cov[:, 0, 0] = var

    def forget(self, which: npt.NDArray[np.bool_]) -> None:
        """These filters [R] have heard nothing yet."""
        at = np.arange(1, self._premia + 1)
        self.state[which] = NAN
        self.state[which, 1 : self._premia + 1] = self.mean[which]
        fresh = np.zeros((int(which.sum()), *self.cov.shape[1:]))
        fresh[:, at, at] = self.var[which]
        self.cov[which] = fresh
        self._believed[which], self._beyond[which], self._beyond_since[which] = -inf, 0, 0.0

    def lose_controls(self, which: npt.NDArray[np.bool_]) -> None:
        """What these filters [R] follow stands they do not know where."""
        self.state[which, self._premia + 1 :] = NAN

    def widen(self, rows: I8, slots: I8, var: float) -> None:
        """The premia of these slots (from 1) vary by `var` more, or less, open or shut; where it is more, at once."""
        self.var[rows, slots - 1] += var
        self._shut_var[rows, slots - 1] += var
        self.cov[rows, slots, slots] += max(var, 0.0)

    def predict(self, days: F8, seconds: float, shut: bool = False) -> None:
        """Time passes: `days` (as `place` says) of the variance clock, `seconds` of the premia's.

        `shut`: the share trades nowhere meanwhile. Where days are not finite the fair value is forgotten.
        """
        var, place = self._shut_var if shut else self.var, self._place
        how = (self.mean, var, self._decay, self.daily_var, place, days, self._own_part, seconds)
        _predict(self.state, self.cov, *how)
        self._now += seconds

    def update(self, rows: I8, slots: I8, who: I8, z: F8, var: F8) -> tuple[F8, F8, I8]:
        """Filter rows[n] hears z[who[n]] with error variance var[who[n]] of premium slots[n] (0: of the share itself,
        K + 1: of what controls sum up to, which is not heard before the share is), in order of n.

        NaN in z is nothing heard. Returns, as z is, innovations y and their variances S as they were before the gate,
        and Verdicts: of who is heard by several filters those of the last.
        """
        y, s, verdict = np.full(len(z), NAN), np.full(len(z), NAN), np.zeros(len(z), np.int64)
        told = (self.state, self.cov, self.loglik, self._believed, self._beyond, self._beyond_since, y, s, verdict)
        _update(rows, slots, who, z, var, self._now, self.gate, *told, self._premia)
        return y, s, verdict
