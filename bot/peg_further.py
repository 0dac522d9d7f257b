"""What `pegline peg` says beyond level and half-life: what is ordinary, what can be executed, what a fit says."""

from __future__ import annotations

from math import exp, isnan
from typing import Any, Final

import numpy as np

from connectors.events import F8, I8, NAN, NS
from strategies.market.changepoint import last_change
from strategies.market.excursions import outside, passage_time, variance_ratio, variance_ratio_ou
from strategies.market.health import PegHealth
from strategies.market.ou import HalfLife
from strategies.market.peg_stats import baseline, executable

HOUR_NS: Final = 3600 * NS
STEPS: Final = 10
"""A variance ratio compares moves over so many typical distances of prints with those over one."""


def ordinary(ts: I8, premium_bps: F8) -> dict[str, float | None]:
    """Median and MAD of all but the newest hour, and how far the last print lies from there in robust deviations."""
    early = ts < ts[-1] - HOUR_NS if len(ts) else np.zeros(0, bool)
    found = baseline(premium_bps[early])
    last = found.z(float(premium_bps[-1])) if len(ts) else NAN
    return {"baseline_bps": known(found.median), "mad_bps": known(found.mad), "last_z": known(last)}


def executed(sell_bps: F8 | None, buy_bps: F8 | None, cost: float) -> dict[str, float | None]:
    """Medians of what is left of the premium by minting and selling, and by buying and redeeming, after the venue's
    `cost` (a share of the price) and before what the issuer takes. None where one of these is not known."""
    if sell_bps is None or buy_bps is None or not len(sell_bps) or isnan(cost):
        return {"executable_mint_bps": None, "executable_redeem_bps": None}
    bid, ask = 1 + float(np.median(sell_bps)) / 1e4, 1 + float(np.median(buy_bps)) / 1e4
    found = executable(share=(1.0, 1.0), token=(bid, ask), multiplier=1.0, fx=1.0, fee_token=cost)
    return {"executable_mint_bps": found.mint * 1e4, "executable_redeem_bps": found.redeem * 1e4}


def fitted(ts: I8, premium_bps: F8, band_bps: F8, back: HalfLife) -> dict[str, float | None]:
    """What the fitted process would do: time outside the band and length of a visit at the prints' typical distance,
    the way from its mean to the nearer edge, and its variance ratio beside that of the prints.

    Where the prints swing less over ten steps than the process says, part of what they show is noise of single prints.
    """
    step_s = float(np.median(np.diff(ts))) / NS if len(ts) > 1 else NAN
    process = back.process
    seen = variance_ratio(ts, premium_bps, step_s, STEPS) if step_s > 0 else NAN
    found: dict[str, float | None] = {
        "half_life_above_s": (known(back.low) or None) if isnan(back.seconds) else None,
        "variance_ratio": known(seen),
        "variance_ratio_ou": None,
        "ordinary_share_outside": None,
        "ordinary_spell_s": None,
        "to_band_s": None,
    }
    if process is None or not step_s > 0:
        return found
    found["variance_ratio_ou"] = variance_ratio_ou(process.kappa, step_s, STEPS)
    band = float(np.median(band_bps)) if len(band_bps) else NAN
    if band > 0 and process.sd > 0:
        visits = outside(band, process.sd, exp(-process.kappa * step_s), process.theta)
        found["ordinary_share_outside"] = visits.fraction
        found["ordinary_spell_s"] = known(visits.mean_steps * step_s)
        edge = band if process.theta >= 0 else -band
        if abs(process.theta) < band and (band - abs(process.theta)) / process.sd < 8:
            found["to_band_s"] = passage_time(
                process.theta, edge, theta=process.theta, kappa=process.kappa, sigma=process.sigma
            )
    return found


def level_since(ts: I8, premium_bps: F8) -> int | None:
    """When the level of the hourly medians changed last (ns UTC); the first print where it never did, None where there
    are too few to say."""
    hours, starts = np.unique(ts // HOUR_NS, return_index=True)
    medians = [float(np.median(part)) for part in np.split(premium_bps, starts[1:])] if len(ts) else []
    at = last_change(np.array(medians))
    return None if at < 0 else int(ts[0]) if at == 0 else int(hours[at]) * HOUR_NS


TOLD: Final = ("score", "parts", "beta", "lead_side", "lead_lag_s", "spread_trend_per_day", "depth_trend_per_day")
"""What `healthy` tells."""


def healthy(health: PegHealth | None, now: int) -> dict[str, Any]:
    """Score and parts at the end, the tails as shares: how often it was at least as bad before; how closely it follows
    its share, who leads (-1 the busiest other venue, 1 this one) and by how much, and changes a day as shares. None
    where unknown."""
    found: dict[str, Any] = dict.fromkeys(TOLD)
    if health is None:
        return found
    found["beta"], found["lead_side"], found["lead_lag_s"] = map(known, (health.beta, *health.leads[:2]))
    found["spread_trend_per_day"] = known(health.spread_trend.per_day())
    found["depth_trend_per_day"] = known(health.depth_trend.per_day())
    if (score := health.score(now)) is not None:
        found["score"], found["parts"] = score.score, {name: float(tail) for name, tail in score.tails.items()}
    return found


def beyond_sigmas(premium_bps: F8, error_bps: F8 | None) -> float | None:
    """Share of the prints further from the fair value than two of its sigmas."""
    if error_bps is None or not len(premium_bps):
        return None
    return float(np.mean(np.abs(premium_bps) > 2 * error_bps))


def in_sigmas(premium_bps: F8, error_bps: F8 | None, par_bps: F8 | None) -> dict[str, float | None]:
    """Median error of what the prints are against, their distances in it, and the median were their coin worth one;
    None where there is no such error or price."""
    found: dict[str, float | None] = dict.fromkeys(("error_bps", "median_abs_sigmas", "p95_abs_sigmas", "last_sigmas"))
    found["median_at_par_bps"] = known(float(np.median(par_bps))) if par_bps is not None and len(par_bps) else None
    found["median_at_par_sigmas"] = None
    if error_bps is None or not len(premium_bps) or not (error_bps > 0).all():
        return found
    away = premium_bps / error_bps
    found["error_bps"], found["last_sigmas"] = known(float(np.median(error_bps))), known(float(away[-1]))
    found["median_abs_sigmas"] = known(float(np.median(np.abs(away))))
    found["p95_abs_sigmas"] = known(float(np.percentile(np.abs(away), 95)))
    if par_bps is not None:
        found["median_at_par_sigmas"] = known(float(np.median(par_bps / error_bps)))
    return found


def known(value: float) -> float | None:
    """None for what is absent, since JSON has no NaN."""
    return None if isnan(value) or abs(value) == float("inf") else value
