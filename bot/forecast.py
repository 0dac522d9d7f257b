"""What the filter would have said at given moments of a tape: of each instrument, the value that it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.prints import Prints
from bot.sessions import load_sessions
from connectors.events import F8, I8
from strategies.market.fair import variance_clock
from strategies.market.params import Params, filter_of
from strategies.market.walk import Walk


@dataclass(frozen=True, slots=True)
class Forecasts:
    """By moment and instrument [M, I]; NaN where unknown."""

    moments: I8
    value: F8
    """Log fair value without the instrument and all that depend on it."""
    sd: F8
    """Its one sigma."""
    last: F8
    """Log USD per share of the instrument's last believed print."""


def forecasts(prints: Prints, params: Params, moments: Sequence[int]) -> Forecasts:
    """Walks the filter through the prints once and looks at each moment (ns UTC, rising): never at a later print."""
    sessions = load_sessions()
    found, place, names = filter_of(params, list(prints.universe))
    walk = Walk(found, sessions, variance_clock(sessions), params.controls(names))
    which = np.array(list(place), np.int64)
    shape = (len(moments), len(prints.universe))
    value, sd, last = (np.full(shape, np.nan) for _ in range(3))
    at = 0
    for row, moment in enumerate(moments):
        while at < len(prints.moments) and prints.moments[at] <= moment:
            walk.to(int(prints.moments[at]))
            walk.observe(prints.z[at, which], prints.var[at, which])
            at += 1
        if at:
            walk.to(moment)
        x, var = found.value_without()
        value[row, which], sd[row, which], last[row, which] = x, np.sqrt(var), found.z
    sd[np.isnan(value)] = np.nan
    return Forecasts(np.array(moments, np.int64), value, sd, last)
