"""When a level changed last: Bayesian online change points (Adams and MacKay 2007), known variance, constant hazard.

For display: no closed form tells how often it is wrong, so no alarm hangs on it (strategies/market/cusum.py does that).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connectors.events import F8
from strategies.market.peg_stats import MAD_SD, baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLengths:
    """What is known of the time since the last change, after each datum."""

    posterior: F8
    """After the last datum: P(run length = 0, 1, ..., n)."""
    change: F8
    """P(run length 0) after each datum; with a constant hazard it is the hazard itself, so it tells nothing."""
    likeliest: F8
    """The likeliest run length after each datum."""


def run_lengths(x: F8, *, hazard: float, prior_mean: float, prior_var: float, obs_var: float) -> RunLengths:
    """Run-length posteriors of data that are N(mu, obs_var), mu anew from N(prior_mean, prior_var) at every change.

    Run length 0 is a change just before the next datum; growth uses the predictive law under each run length.
    """
    posterior, mean, variance = np.ones(1), np.array([prior_mean]), np.array([prior_var])
    change, likeliest = np.empty(len(x)), np.empty(len(x))
    for at, datum in enumerate(x.tolist()):
        spread = variance + obs_var
        seen = posterior * np.exp(-0.5 * (datum - mean) ** 2 / spread) / np.sqrt(2 * np.pi * spread)
        if not seen.sum() > 0:  # farther out than floats reach: only the widest prediction, that of a change, is left
            seen = np.where(np.arange(len(seen)) == 0, 1.0, 0.0)
        posterior = np.concatenate(([hazard * seen.sum()], (1 - hazard) * seen))
        posterior /= posterior.sum()
        precision = 1 / variance + 1 / obs_var
        mean = np.concatenate(([prior_mean], (mean / variance + datum / obs_var) / precision))
        variance = np.concatenate(([prior_var], 1 / precision))
        change[at], likeliest[at] = posterior[0], np.argmax(posterior)
    return RunLengths(posterior=posterior, change=change, likeliest=likeliest)


def last_change(x: F8, *, hazard: float = 0.01) -> int:
    """Place of the first datum after the last change of level; 0 where the level never changed, -1 below 8 data.

    Scale and noise are those of the data: the noise is the larger of their robust deviation and that of neighbours'
    differences over sqrt(2), so that a level which wanders and comes back has not changed; levels are drawn from
    N(median, the data's own variance).
    """
    if len(x) < 8:
        return -1
    ordinary = baseline(x)
    noise = max(ordinary.scale, MAD_SD * float(np.median(np.abs(np.diff(x)))) / np.sqrt(2))
    if not noise > 0:
        return -1
    prior = max(float(np.var(x)), noise**2)
    found = run_lengths(x, hazard=hazard, prior_mean=ordinary.median, prior_var=prior, obs_var=noise**2)
    return int(len(x) - found.likeliest[-1])
