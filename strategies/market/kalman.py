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
"""

from __future__ import annotations

from enum import IntEnum
from math import inf, log, pi

import numpy as np

from connectors.events import F8, I8, NAN

START_VAR = 1.0
"""Variance of the log fair value before the first word: 100 %."""


class Verdict(IntEnum):
    """What became of a print."""

    UNHEARD = 0
    USED = 1
    DAMPED = 2
    """Beyond the gate: its weight was cut."""
    JUMPED = 3
    """Beyond the gate once more: the filter was made less certain and follows."""


class Bank:
    """R filters of K premia each. Arrays: state[R, K + 1], cov[R, K + 1, K + 1], loglik[R]; variances are of logs."""

    def __init__(
        self, mean: F8, sd: F8, half_life_s: F8, daily_var: F8, gate: float = inf, closed: F8 | float = 1.0
    ) -> None:
        """Filters that have heard nothing. mean, sd (stationary) and half_life_s are [R, K], daily_var is [R].

        A premium with sd 0 is a known constant. `closed` [R, K] multiplies its variance while the share is shut.
        """
        rows, premia = mean.shape
        self.mean, self.var, self.daily_var, self.gate = mean, sd**2, daily_var, gate
        self._shut_var = self.var * closed
        self._decay = -log(2) / half_life_s
        self.state: F8 = np.concatenate((np.full((rows, 1), NAN), mean), axis=1)
        self.cov: F8 = np.zeros((rows, premia + 1, premia + 1))
        at = np.arange(1, premia + 1)
        self.cov[:, at, at] = self.var
        self.loglik: F8 = np.zeros(rows)
        self._now = 0.0
        self._believed: F8 = np.full((rows, premia + 1), -inf)
        self._beyond: I8 = np.zeros((rows, premia + 1), np.int64)
        self._beyond_since: F8 = np.zeros((rows, premia + 1))

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
        self.state[:, 0] = x
        self.cov[:, 0, :] = self.cov[:, :, 0] = 0.0
        self.cov[:, 0, 0] = var

    def predict(self, days: F8, seconds: float, drift: F8 | float = 0.0, shut: bool = False) -> None:
        """Time passes: `days` [R] of the variance clock, `seconds` of the premia's.

        `drift` is what controls (an index future and the like, times beta) say of the log fair value; daily_var is
        then what they leave open. `shut`: the share trades nowhere meanwhile. Where days are not finite the fair value
        is forgotten.
        """
        keep = np.exp(self._decay * seconds)
        self.state[:, 0] += np.where(np.isfinite(days), drift, NAN)
        self.state[:, 1:] = self.mean + (self.state[:, 1:] - self.mean) * keep
        self.cov[:, 1:, :] *= keep[:, :, None]
        self.cov[:, :, 1:] *= keep[:, None, :]
        at = np.arange(1, self.state.shape[1])
        self.cov[:, at, at] += (self._shut_var if shut else self.var) * (1 - keep**2)
        self.cov[:, 0, 0] += np.where(np.isfinite(days), self.daily_var * days, 0.0)
        self._now += seconds

    def update(self, rows: I8, slots: I8, z: F8, var: F8) -> tuple[F8, F8, I8]:
        """Filter rows[n] hears z[n] with error variance var[n] of premium slots[n] (0: of the share itself).

        All arrays are [N]; a row stands in `rows` once. NaN in z is nothing heard. Returns innovations y and their
        variances S as they were before the gate, and Verdicts.
        """
        y, s, verdict = np.full(len(z), NAN), np.full(len(z), NAN), np.zeros(len(z), np.int64)
        heard = np.flatnonzero(np.isfinite(z) & (var < inf))
        rows, slots, z, var = rows[heard], slots[heard], z[heard], var[heard]
        first = np.isnan(self.state[rows, 0])
        if first.any():
            begun = rows[first]
            self.state[begun, 0] = z[first] - np.where(slots[first] > 0, self.state[begun, slots[first]], 0.0)
            self.cov[begun, 0, :] = self.cov[begun, :, 0] = 0.0
            self.cov[begun, 0, 0] = START_VAR
        seen = (slots > 0).astype(np.float64)
        at = np.arange(len(rows))
        cov = self.cov[rows]
        y[heard] = z - self.state[rows, 0] - seen * self.state[rows, slots]
        ph = cov[:, :, 0] + seen[:, None] * cov[at, :, slots]
        s[heard] = ph[:, 0] + seen * ph[at, slots] + var
        verdict[heard] = Verdict.USED
        y_, s_ = y[heard], s[heard]
        outside = (slots > 0) & ~first & (np.abs(y_) > self.gate * np.sqrt(s_))
        if outside.any():
            verdict[heard] = self._gate(rows, slots, y_, s_, outside)
            jumped = verdict[heard] == Verdict.JUMPED
            var = np.where(outside & ~jumped, var + (y_ / self.gate) ** 2 - s_, var)
            cov = self.cov[rows]
            ph = cov[:, :, 0] + seen[:, None] * cov[at, :, slots]
            s_ = ph[:, 0] + seen * ph[at, slots] + var
        calm = verdict[heard] == Verdict.USED
        self._believed[rows[calm], slots[calm]] = self._now
        calm |= verdict[heard] == Verdict.JUMPED
        self._beyond[rows[calm], slots[calm]] = 0
        gain = ph / s_[:, None]
        self.state[rows] += gain * y_[:, None]
        left = cov - gain[:, :, None] * (cov[:, 0, :] + seen[:, None] * cov[at, slots, :])[:, None, :]
        lefth = left[:, :, 0] + seen[:, None] * left[at, :, slots]
        new = left - lefth[:, :, None] * gain[:, None, :] + (var[:, None] * gain)[:, :, None] * gain[:, None, :]
        self.cov[rows] = (new + new.transpose(0, 2, 1)) / 2
        self.loglik[rows] -= 0.5 * (np.log(2 * pi * s_) + y_**2 / s_)
        return y, s, verdict

    def _gate(self, rows: I8, slots: I8, y: F8, s: F8, outside: np.ndarray) -> I8:
        """Verdicts on innovations of which some lie outside; makes a filter that has jumped less certain."""
        verdict = np.full(len(rows), int(Verdict.USED), np.int64)
        verdict[outside] = Verdict.DAMPED
        for n in np.flatnonzero(outside).tolist():
            row, slot, side = int(rows[n]), int(slots[n]), 1 if y[n] > 0 else -1
            if self._beyond[row, slot] != side:
                self._beyond[row, slot], self._beyond_since[row, slot] = side, self._now
                continue
            verdict[n] = Verdict.JUMPED
            others = np.arange(self.state.shape[1]) != slot
            lacking = (y[n] / self.gate) ** 2 - s[n]
            if np.any(others & (self._beyond[row] == side)):
                to_x = 1.0
            elif np.any(others & (self._believed[row] >= self._beyond_since[row, slot])):
                to_x = 0.0
            else:
                to_x = 0.5
            self.cov[row, 0, 0] += to_x * lacking
            self.cov[row, slot, slot] += (1 - to_x) * lacking
        return verdict
