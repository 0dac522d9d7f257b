"""A filter that walks through time: how far the variance clock ran, if the share was shut, what controls did.

A control is another underlying of the same filter (an index fund or future, a sector, a coin) whose log fair value the
share follows by a known beta. The share hears of its controls when each of them has printed since it last did: they
sum up to one number, which carries the share and lessens its error (strategies/market/kalman.py). A control that is
silent, halted or refused is not heard, and then nothing moves and nothing is less uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from connectors.events import F8, I8, NAN, NS
from strategies.market.fair import VarianceClock
from strategies.market.filter import Filter
from strategies.market.session import Session, SessionTable

SHUT: Final = (Session.WEEKEND, Session.HOLIDAY)
"""Sessions in which no share trades anywhere."""


class Walk:
    """A filter at a moment. Raises ValueError where time would go back."""

    def __init__(
        self,
        found: Filter,
        sessions: SessionTable,
        clock: VarianceClock,
        betas: Mapping[int, Mapping[int, float]] | None = None,
    ) -> None:
        """`betas`: by underlying, by control (numbers); the filter knows what they explain."""
        count = len(found.daily_vol)
        self.filter, self.now = found, -1
        self._sessions, self._clock = sessions, clock
        self._beta = np.zeros((count, count))
        for share, controls in (betas or {}).items():
            for control, beta in controls.items():
                self._beta[share, control] = beta
        self._controls = self._beta != 0
        self._controlled = self._controls.any(axis=1)
        self._waits = self._controls.copy()
        """By share, by control: whether it has not printed since the share last heard of its controls."""
        self._until, self._rate, self._shut = -1, NAN, False
        self.level: F8 = np.full(count, NAN)
        """Log fair value that a control is told against: at the last close of the share's market, or when it was first
        heard after it."""
        self.level_ts: I8 = np.zeros(count, np.int64)
        """When that was, ns UTC."""

    def to(self, now: int) -> None:
        """Lets time pass until `now` (ns UTC), from one change of session to the next."""
        if self.now < 0:
            self.now = now
        if now < self.now:
            raise ValueError(f"time goes back by {self.now - now} ns")
        while self.now < now:
            if self.now >= self._until:
                self._enter()
            step = min(now, self._until)
            self.filter.predict((step - self.now) * self._rate, (step - self.now) / NS, self._shut)
            self.now = step

    def _enter(self) -> None:
        """The session of the moment: until when it lasts, and how fast its clock runs."""
        self._until = self._sessions.next_change(self.now)
        known = self._sessions.at(self.now) is not Session.UNKNOWN
        place = int(np.searchsorted(self._clock.edges, self.now, side="right")) - 1
        # Outside the table the clock says NaN: then the filter forgets.
        self._rate = float(self._clock.rates[place]) if known else NAN
        self._shut = self._sessions.at(self.now) in SHUT
        if self._sessions.at(self.now - 1) is Session.REGULAR:
            self.level[:], self.level_ts[:] = self.filter.together.bank.x, self.now

    def observe(self, z: F8, var: F8) -> tuple[F8, F8, I8]:
        """As Filter.observe, at the moment of the walk."""
        told = self.filter.observe(z, var)
        if self._controlled.any():
            self._follow(self.filter.underlying[np.flatnonzero(told[2])])
        return told

    def forget(self, underlying: int) -> None:
        """As Filter.forget; who follows it has not heard yet where it stands."""
        self.filter.forget(underlying, np.flatnonzero(self._controls[:, underlying]).tolist())
        self.level[underlying] = NAN

    def _follow(self, heard: I8) -> None:
        """Shares whose controls have all been heard hear what those sum up to."""
        x, x_var = self.filter.together.bank.x, self.filter.together.bank.x_var
        new = np.isnan(self.level) & np.isfinite(x)
        self.level[new], self.level_ts[new] = x[new], self.now
        self._waits[:, heard] = False
        known = np.isfinite(x)
        ready = self._controlled & ~(self._waits | (self._controls & ~known)).any(axis=1)
        f = self._beta @ np.where(known, x, 0.0)
        var = self._beta**2 @ np.where(known, x_var, 0.0)
        self.filter.follow(np.where(ready, f, NAN), var)
        self._waits[ready] = self._controls[ready]
