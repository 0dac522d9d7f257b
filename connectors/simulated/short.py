"""A short market that is cheap to make: every instrument of a universe prints for some minutes, and now and then one
token parts from its peg by more than a trade costs.

It is the truth of the simulator's world: what is told of it may be something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from connectors.events import NAN, NS, PRICE_OF, ROW, Kind
from connectors.instruments import Instrument, Role, Universe

START_NS: Final = 1_788_537_600 * NS
"""Friday 2026-09-04 16:00 UTC, noon in New York: the regular session goes on for four hours."""
FIRST_USD: Final = 200.0
"""Every share begins near here."""
DAILY_VOL: Final = 0.015
_SESSION_S: Final = 23_400
_RISE_S: Final = 4.0

Records = npt.NDArray[np.void]
"""An array of ROW records."""


class Style(NamedTuple):
    """How an instrument prints."""

    kind: Kind
    every_s: float
    half_bps: float
    size_usd: float
    tick: float


class Gap(NamedTuple):
    """An instrument lies `bps` off its peg from `begin_s` to `end_s` after the start."""

    instrument: int
    begin_s: float
    end_s: float
    bps: float


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """What a seed came to."""

    records: Records
    """In order of ts_recv."""
    gaps: tuple[Gap, ...]


def style_of(instrument: Instrument) -> Style:
    """How often, how wide and how deep an instrument of this kind is quoted."""
    if instrument.role is Role.COIN:
        return Style(Kind.FX, 9.0, 0.5, 250_000.0, 1e-6)
    if instrument.role is Role.TOKEN:
        pool = bool(instrument.chain)
        return Style(Kind.QUOTE, 5.0 if pool else 4.0, 5.0 if pool else 2.5, 6_000.0, 0.001)
    return Style(PRICE_OF[instrument.role], 4.0, 1.0, 50_000.0, 0.01)


def make(seed: int, universe: Universe, *, seconds: float, calm_s: float, gaps: int) -> Market:
    """A market of `seconds` whose gaps are closed `calm_s` before its end; the same seed gives the same bytes."""
    rng = np.random.default_rng([seed, 71])
    found = tuple(_gap(rng, universe, seconds - calm_s) for _ in range(gaps))
    grid = np.arange(int(seconds) + 2, dtype=np.float64)
    paths = {name: _walk(rng, len(grid)) for name in universe.underlyings()}
    parts = [_prints(rng, number, one, grid, paths, seconds, found) for number, one in enumerate(universe)]
    parts += [_fundings(number, seconds) for number in universe.where(role=Role.PERP)]
    records = np.concatenate(parts)
    return Market(records[np.argsort(records["ts_recv"], kind="stable")], found)


def _gap(rng: np.random.Generator, universe: Universe, until_s: float) -> Gap:
    """Some token, at some time, for some time."""
    tokens = universe.where(role=Role.TOKEN)
    begin, length = rng.uniform(10.0, until_s - 60.0), rng.uniform(15.0, 50.0)
    bps = float(rng.choice((-1.0, 1.0)) * rng.uniform(50.0, 140.0))
    return Gap(int(rng.choice(tokens)), float(begin), float(begin + length), bps)


def _fundings(number: int, seconds: float) -> Records:
    """What the venue of a perp tells of its funding: a basis point for eight hours, every minute."""
    records = np.empty(int(seconds / 60.0), dtype=ROW)
    records["ts_recv"] = START_NS + np.arange(len(records)) * 60 * NS
    records["ts_venue"] = records["ts_recv"]
    records["instrument"], records["kind"], records["flags"] = number, Kind.FUNDING, 0
    records["bid"], records["ask"] = 1e-4, 8 * 3600.0
    records["bid_size"], records["ask_size"], records["extra"] = NAN, NAN, NAN
    return records


def _walk(rng: np.random.Generator, points: int) -> npt.NDArray[np.float64]:
    """The logarithm of a share's price, one point a second."""
    steps = rng.standard_normal(points) * DAILY_VOL / _SESSION_S**0.5
    return np.asarray(np.log(FIRST_USD) + rng.uniform(-0.5, 0.5) + np.cumsum(steps))


def _prints(
    rng: np.random.Generator,
    number: int,
    instrument: Instrument,
    grid: npt.NDArray[np.float64],
    paths: dict[str, npt.NDArray[np.float64]],
    seconds: float,
    gaps: tuple[Gap, ...],
) -> Records:
    """All prints of one instrument."""
    style = style_of(instrument)
    count = int(seconds / style.every_s)
    at = (np.arange(count) + rng.uniform(0.0, 0.9, count)) * style.every_s
    log_mid = np.interp(at, grid, paths[instrument.underlying]) if instrument.underlying else np.zeros(count)
    if instrument.role is Role.TOKEN:
        knots = np.arange(0.0, seconds + 60.0, 30.0)
        log_mid = log_mid + np.log(instrument.multiplier or 1.0)
        log_mid = log_mid + 2e-4 * np.interp(at, knots, np.clip(rng.standard_normal(len(knots)), -2, 2))
        for gap in gaps:
            if gap.instrument == number:
                corners = (gap.begin_s, gap.begin_s + _RISE_S, gap.end_s, gap.end_s + _RISE_S)
                log_mid = log_mid + np.interp(at, corners, (0.0, 1.0, 1.0, 0.0)) * gap.bps / 1e4
    mid = np.exp(log_mid)
    half = mid * style.half_bps / 1e4 * rng.uniform(0.9, 1.2, count)
    digits = round(-np.log10(style.tick))
    bid, ask = np.round(mid - half, digits), np.round(mid + half, digits)
    records = np.empty(count, dtype=ROW)
    records["ts_recv"] = START_NS + (at * NS).astype(np.int64)
    records["ts_venue"] = records["ts_recv"] - 5_000_000
    records["instrument"], records["kind"], records["flags"] = number, style.kind, 0
    records["bid"], records["ask"] = bid, np.maximum(ask, np.round(bid + style.tick, digits))
    sizes = np.round(style.size_usd / mid * np.exp(0.5 * rng.standard_normal((2, count))), 3)
    records["bid_size"], records["ask_size"], records["extra"] = sizes[0], sizes[1], NAN
    return records
