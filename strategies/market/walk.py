"""A filter that walks through time: how far the variance clock ran, if the share was shut, what controls did.

A control is another underlying of the same filter (an index fund or future, a sector, a coin) whose log fair value the
share follows by a known beta: what the control has moved since the last call goes into the share's drift, and while all
of its controls have spoken lately only the variance that they leave open is added.
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

CONTROL_AGE_S: Final = 3600.0
"""A control that has not been heard for so long explains nothing any more."""


class Walk:
    """A filter at a moment. Raises ValueError where time would go back."""

    def __init__(
        self,
        found: Filter,
        sessions: SessionTable,
        clock: VarianceClock,
        *,
        betas: Mapping[int, Mapping[int, float]] | None = None,
        explained: Mapping[int, float] | None = None,
    ) -> None:
        """`betas`: by underlying, by control (numbers); `explained`: the share of its variance that they explain."""
        count = len(found.daily_vol)
        self.filter, self.now = found, -1
        self._sessions, self._clock = sessions, clock
        self._beta = np.zeros((count, count))
        for share, controls in (betas or {}).items():
            for control, beta in controls.items():
                self._beta[share, control] = beta
        self._controls = self._beta != 0
        self._controlled = bool(self._controls.any())
        self._left = 1 - np.array([(explained or {}).get(u, 0.0) for u in range(count)])
        self._moved = np.zeros(count)
        self._until, self._rate, self._shut = -1, NAN, False
        self._heard: I8 = np.full(count, -1, np.int64)

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
            days, shut = (step - self.now) * self._rate, self._shut
            if not self._controlled:
                self.filter.predict(days, (step - self.now) / NS, shut=shut)
                self.now = step
                continue
            fresh = (step - self._heard <= CONTROL_AGE_S * NS) & (self._heard >= 0)
            all_speak = self._controls.any(axis=1) & np.all(fresh | ~self._controls, axis=1)
            drift = self._beta @ np.where(fresh, self._moved, 0.0)
            self._moved[:] = 0.0
            self.filter.predict(days * np.where(all_speak, self._left, 1.0), (step - self.now) / NS, drift, shut)
            self.now = step

    def _enter(self) -> None:
        """The session of the moment: until when it lasts, and how fast its clock runs."""
        self._until = self._sessions.next_change(self.now)
        known = self._sessions.at(self.now) is not Session.UNKNOWN
        place = int(np.searchsorted(self._clock.edges, self.now, side="right")) - 1
        # Outside the table the clock says NaN: then the filter forgets.
        self._rate = float(self._clock.rates[place]) if known else NAN
        self._shut = self._sessions.at(self.now) in SHUT

    def observe(self, z: F8, var: F8) -> tuple[F8, F8, I8]:
        """As Filter.observe, at the moment of the walk."""
        if not self._controlled:
            return self.filter.observe(z, var)
        before = self.filter.together.bank.x.copy()
        told = self.filter.observe(z, var)
        moved = self.filter.together.bank.x - before
        self._moved += np.where(np.isfinite(moved), moved, 0.0)
        self._heard[self.filter.underlying[np.isfinite(z)]] = self.now
        return told
