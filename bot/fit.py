"""Parameters of the filter from a tape: maximum likelihood by underlying, pulled to the mean of each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bot.config import Config
from bot.params_file import VERSION, ParamsFile, PremiumLine, ShareLine
from bot.prints import Prints
from bot.sessions import load_sessions
from connectors.events import F8, NS
from connectors.instruments import Instrument, Role
from strategies.market.fair import DEFAULT_DAILY_VOL_BPS, variance_clock
from strategies.market.filter import Filter
from strategies.market.kalman import Verdict
from strategies.market.likelihood import Fit, Layout, Series, maximise
from strategies.market.params import Fitted, Params, is_evidence
from strategies.market.shrink import Pull, pulled
from strategies.market.walk import SHUT, Walk

FEWEST_PRINTS: Final = 50
"""An instrument with fewer believed prints keeps its default, an underlying with fewer is not fitted."""

FAR_SIGMAS: Final = 8.0
"""Of the default filter: a print further off is left out, as a Gaussian would make far too much of it."""

PRIOR_SD: Final[dict[str, float]] = {"vol": 0.7, "sd": 1.0, "half_life": 1.5, "noise": 1.0, "mean": 3.0}
"""How far from its kind's default a parameter may lie: logs, and tens of bps for the mean."""

FEWEST_OF_A_KIND: Final = 3
"""A kind with fewer members is not pulled together: its default stands for its mean."""

TOLD: Final = 0.7
"""Above this share of the prior's error, the tape has told nothing of a parameter to speak of."""

KEYS: Final = ("mean_bps", "sd_bps", "half_life_s", "noise_bps")
"""Parameters of an instrument, as they are written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One parameter: its value, and what one sigma below and above it are."""

    value: float
    low: float
    high: float
    told: bool
    """Whether the tape tells it; else this is the default, or the mean of its kind."""


@dataclass(slots=True)
class Found:
    """What a fit found."""

    params: Params
    told: dict[str, dict[str, Told]] = field(default_factory=dict)
    """By underlying (daily_vol_bps) and instrument (mean_bps, sd_bps, half_life_s, noise_bps)."""
    not_fitted: dict[str, str] = field(default_factory=dict)
    """By underlying or instrument: why it keeps its default."""
    left_out: dict[str, int] = field(default_factory=dict)
    """By instrument: prints so far off that the filter with default parameters does not believe them."""


@dataclass(slots=True)
class _Case:
    """One underlying under way."""

    name: str
    numbers: list[int]
    series: Series
    layout: Layout
    default: F8
    kinds: list[str]
    """Of each parameter: what is pulled together."""
    fit: Fit | None = None


def fit(prints: Prints, start: Params, *, tape: str = "", progress: Callable[[str], None] = lambda line: None) -> Found:
    """The most likely parameters of every underlying of the prints; `start` holds the defaults.

    Each is fitted around its kind's default first; kinds of which there are three or more are then fitted again, around
    their own mean and with their own spread.
    """
    found = Found(start)
    cases = [case for name in prints.universe.underlyings() if (case := _case(prints, start, name, found)) is not None]
    for case in cases:
        sd = np.array([PRIOR_SD[kind] for kind, _ in case.layout.names])
        case.fit = _maximum(case, case.default, sd, "", progress)
    pulls = _pulls(cases)
    for case in cases if pulls else []:
        own = [
            pulls.get(kind, Pull(0.0, PRIOR_SD[of]))
            for kind, (of, _) in zip(case.kinds, case.layout.names, strict=True)
        ]
        mean = case.default + np.array([pull.mean for pull in own])
        case.fit = _maximum(case, mean, np.array([pull.sd for pull in own]), ", pulled to its kind", progress)
    return _written(cases, prints, start, found, tape)


def _maximum(case: _Case, mean: F8, sd: F8, note: str, progress: Callable[[str], None]) -> Fit:
    """The maximum of one underlying around a prior."""
    begin = mean if case.fit is None else case.fit.vector
    return maximise(
        case.series, case.layout, begin, mean, sd, lambda done: progress(f"fitting {case.name}{note}: round {done}")
    )


def _case(prints: Prints, start: Params, name: str, found: Found) -> _Case | None:
    """An underlying's prints as a series; None, with the reason in found.not_fitted, where there are too few."""
    numbers, most = [], (-1, "")
    for number in prints.universe.where(underlying=name):
        count = int(np.count_nonzero(np.isfinite(prints.z[:, number])))
        most = max(most, (count, prints.universe[number].name))
        if count >= FEWEST_PRINTS:
            numbers.append(number)
        else:
            label = prints.universe[number].name
            found.not_fitted[label] = f"{count} believed prints, a fit needs {FEWEST_PRINTS}"
    if not numbers:
        found.not_fitted[name] = f"{most[1]} has most, {most[0]} believed prints, and a fit needs {FEWEST_PRINTS}"
        return None
    clock, sessions = variance_clock(load_sessions()), load_sessions()
    z, var = prints.z[:, numbers], prints.var[:, numbers]
    some = np.isfinite(z).any(axis=1)
    moments, z, var = prints.moments[some], z[some], var[some]
    days = np.diff(clock.many(moments), prepend=np.nan)
    if not np.isfinite(days[1:]).all():
        found.not_fitted[name] = "some of its prints are outside the table of sessions"
        return None
    instruments = [prints.universe[number] for number in numbers]
    witnesses = [w for i in instruments if (w := start.witness(i, 0)) is not None]
    walk = Walk(Filter(witnesses, [start.vol(name)], gate=FAR_SIGMAS, judge=False), sessions, clock)
    z = z.copy()
    for at, moment in enumerate(moments.tolist()):
        walk.to(moment)
        verdict = walk.observe(z[at], var[at])[2]
        z[at, (verdict == Verdict.DAMPED) | (verdict == Verdict.JUMPED)] = np.nan
    off = walk.filter.damped + walk.filter.jumped
    found.left_out |= {i.name: int(n) for i, n in zip(instruments, off, strict=True) if n}
    # Without the share itself nobody can say how far a perp lies from it: the likelihood would take it for the share.
    given = set()
    if not any(is_evidence(i) for i in instruments):
        given = {w.group for w, i in zip(witnesses, instruments, strict=True) if i.role is not Role.TOKEN}
        if given:
            named = ", ".join(i.name for i in instruments if i.role is not Role.TOKEN)
            found.not_fitted[f"premia of {named}"] = "the share itself is not on the tape"
    shut = np.isin(sessions.codes_at(np.concatenate((moments[:1], moments[:-1]))), SHUT)
    seconds = np.diff(moments, prepend=moments[0]) / NS
    layout = Layout.of(witnesses, given)
    kinds = [of if of == "vol" else f"{_kind(instruments, layout, of, n)} {of}" for of, n in layout.names]
    series = Series(tuple(witnesses), days, seconds, shut, z, var)
    return _Case(name, numbers, series, layout, layout.vector(start.vol(name)), kinds)


def _kind(instruments: list[Instrument], layout: Layout, of: str, number: int) -> str:
    """What kind of instrument a parameter is of."""
    if of in ("sd", "half_life"):
        number = next(n for n, w in enumerate(layout.witnesses) if w.group == layout.groups[number])
    return {Role.TOKEN: "token", Role.PERP: "perp"}.get(instruments[number].role, "source")


def _pulls(cases: list[_Case]) -> dict[str, Pull]:
    """By kind of parameter with enough members: mean and spread of how far they lie from their default."""
    by_kind: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        assert case.fit is not None
        prior = np.array([PRIOR_SD[of] for of, _ in case.layout.names])
        # What the tape alone says: the prior is taken out of value and error again.
        precision = 1 / case.fit.error**2 - 1 / prior**2
        for kind, moved, error, own in zip(
            case.kinds, case.fit.vector - case.default, case.fit.error, precision, strict=True
        ):
            if own * error**2 > 1 - TOLD**2:
                by_kind.setdefault(kind, []).append((float(moved / error**2 / own), float(1 / own)))
    return {kind: pulled(*np.array(members).T) for kind, members in by_kind.items() if len(members) >= FEWEST_OF_A_KIND}


def _written(cases: list[_Case], prints: Prints, start: Params, found: Found, tape: str) -> Found:
    """The fits as parameters."""
    vols: dict[str, float] = dict(start.daily_vol_bps)
    premia, fitted = dict(start.premia), dict(start.fitted)
    for case in cases:
        assert case.fit is not None
        vector, error = case.fit.vector, case.fit.error
        vols[case.name] = float(np.exp(vector[0])) * 1e4
        found.told[case.name] = {"daily_vol_bps": _log(vector[0], error[0], PRIOR_SD["vol"], 1e4)}
        place = {name: at for at, name in enumerate(case.layout.names)}
        for n, premium in enumerate(case.layout.premia(vector)):
            witness, label = case.layout.witnesses[n], prints.universe[case.numbers[n]].name
            if not witness.group:
                continue
            premia[label] = premium
            g = case.layout.groups.index(witness.group)
            told: dict[str, Told] = {}
            for key, name, unit in (
                ("sd_bps", ("sd", g), 1e4), ("half_life_s", ("half_life", g), 1.0), ("noise_bps", ("noise", n), 1e4)
            ):  # fmt: skip
                if name in place:
                    told[key] = _log(vector[place[name]], error[place[name]], PRIOR_SD[name[0]], unit)
            if (at := place.get(("mean", n), -1)) >= 0:
                low, high = (vector[at] - error[at]) * 10, (vector[at] + error[at]) * 10
                sure = bool(error[at] <= TOLD * PRIOR_SD["mean"])
                told["mean_bps"] = Told(value=float(vector[at]) * 10, low=float(low), high=float(high), told=sure)
            found.told[label] = told
        moments = prints.moments[np.isfinite(prints.z[:, case.numbers]).any(axis=1)]
        fitted[case.name] = Fitted(
            start_ns=int(moments[0]),
            end_ns=int(moments[-1]),
            prints=int(np.count_nonzero(np.isfinite(case.series.z))),
            loglik=case.fit.loglik,
            tape=tape,
        )
    found.params = Params(
        daily_vol_bps=vols,
        default_vol_bps=start.default_vol_bps,
        premia=premia,
        betas=start.betas,
        explained=start.explained,
        fitted=fitted,
    )
    return found


def _log(value: float, error: float, prior: float, unit: float) -> Told:
    """A parameter that is kept as a logarithm."""
    low, middle, high = (float(np.exp(value + sign * error)) * unit for sign in (-1, 0, 1))
    return Told(value=middle, low=low, high=high, told=bool(error <= TOLD * prior))


def file_of(found: Found, *, tape: str, every_s: float, thinned: int = 1) -> ParamsFile:
    """What was found, as it is written down."""
    shares, instruments = {}, {}
    for name, fitted in found.params.fitted.items():
        vol = found.told[name]["daily_vol_bps"]
        shares[name] = ShareLine(
            daily_vol_bps=vol.value,
            one_sigma=(vol.low, vol.high),
            default=not vol.told,
            betas=dict(found.params.betas.get(name, {})),
            explained=found.params.explained.get(name, 0.0),
            start_ns=fitted.start_ns,
            end_ns=fitted.end_ns,
            prints=fitted.prints,
            loglik=fitted.loglik,
        )
    for name, premium in found.params.premia.items():
        told = found.told.get(name, {})
        instruments[name] = PremiumLine(
            mean_bps=premium.mean * 1e4,
            sd_bps=premium.sd * 1e4,
            half_life_s=premium.half_life_s,
            noise_bps=premium.noise * 1e4,
            shut=premium.shut,
            one_sigma={key: (one.low, one.high) for key, one in told.items()},
            default=[key for key in KEYS if key not in told or not told[key].told],
        )
    return ParamsFile(
        version=VERSION,
        tape=tape,
        every_s=every_s,
        thinned=thinned,
        shares=shares,
        instruments=instruments,
        not_fitted=found.not_fitted,
        prints_left_out=found.left_out,
    )


def params_of(config: Config) -> Params:
    """Where a fit begins: the defaults, with a config's volatilities."""
    return Params(
        daily_vol_bps={**DEFAULT_DAILY_VOL_BPS, **config.fair.daily_vol_bps},
        default_vol_bps=config.fair.default_daily_vol_bps,
    )


def coarser(prints: Prints, most: int) -> tuple[Prints, int]:
    """The prints with at most so many moments, by looking only at every n-th; and n. The last print of each counts."""
    every = max(1, -(-len(prints.moments) // most))
    if every == 1:
        return prints, 1
    cuts = np.arange(0, len(prints.moments), every)
    z, var = np.full((len(cuts), prints.z.shape[1]), np.nan), np.zeros((len(cuts), prints.z.shape[1]))
    for back in range(every):
        part = np.minimum(cuts + back, len(prints.moments) - 1)
        fresh = np.isfinite(prints.z[part])
        z, var = np.where(fresh, prints.z[part], z), np.where(fresh, prints.var[part], var)
    ends = prints.moments[np.minimum(cuts + every - 1, len(prints.moments) - 1)]
    return Prints(prints.universe, ends, z, var), every
