"""Which session of the US equity market a moment belongs to, from a table that is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from connectors.errors import DataError
from connectors.events import I8, NEVER
from connectors.instruments import Hours


class Session(IntEnum):
    """A session of the US equity market, in New York time; the numbers stand in tables and on tapes."""

    PRE = 0
    """04:00 to 09:30."""
    REGULAR = 1
    """09:30 to 16:00, or to an early close."""
    POST = 2
    """Four hours from the close."""
    OVERNIGHT = 3
    """20:00 to 04:00, Sunday to Thursday evening."""
    WEEKEND = 4
    """Friday 20:00 to Sunday 20:00."""
    HOLIDAY = 5
    """20:00 of the day before to 20:00 of a full holiday; on an early close from the end of post to 20:00."""
    UNKNOWN = 6
    """Outside the table: nothing may be assumed, so nothing is traded."""

    @property
    def label(self) -> str:
        """The lower-case name that configs, JSON and metrics use."""
        return self.name.lower()


HOURS = {
    Hours.ALWAYS: tuple(Session),
    Hours.WEEKDAYS: (Session.PRE, Session.REGULAR, Session.POST, Session.OVERNIGHT),
    Hours.EXTENDED: (Session.PRE, Session.REGULAR, Session.POST),
    Hours.REGULAR: (Session.REGULAR,),
}
"""The sessions in which an instrument of these hours is quoted."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionTable:
    """Spans of time and their sessions: span i is [starts[i], starts[i + 1]), the last one ends at `until` (ns UTC).

    Raises DataError where starts do not rise strictly, lengths differ or a code is none of Session's.
    """

    starts: I8
    codes: I8
    until: int

    def __post_init__(self) -> None:
        """Refuses a table that could give two answers, or none, for a moment inside it."""
        starts = np.ascontiguousarray(self.starts, dtype=np.int64)
        codes = np.ascontiguousarray(self.codes, dtype=np.int64)
        if not 0 < len(starts) == len(codes):
            raise DataError(f"{len(starts)} starts for {len(codes)} codes", where="session table")
        if not (np.all(starts[1:] > starts[:-1]) and self.until > starts[-1]):
            raise DataError("starts must rise strictly and end before `until`", where="session table")
        if not np.all((codes >= Session.PRE) & (codes < Session.UNKNOWN)):
            raise DataError("a code is not a session", where="session table")
        for array in (starts, codes):
            array.flags.writeable = False
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "codes", codes)

    def at(self, ns: int) -> Session:
        """The session of a moment (ns UTC); UNKNOWN outside the table."""
        if not self.starts[0] <= ns < self.until:
            return Session.UNKNOWN
        return Session(int(self.codes[int(np.searchsorted(self.starts, ns, side="right")) - 1]))

    def codes_at(self, ns: npt.ArrayLike) -> I8:
        """The session codes of many moments (ns UTC), in their shape; UNKNOWN outside the table."""
        moments = np.asarray(ns, dtype=np.int64)
        place = np.searchsorted(self.starts, moments, side="right") - 1
        inside = (place >= 0) & (moments < self.until)
        return np.where(inside, self.codes[np.maximum(place, 0)], np.int64(Session.UNKNOWN))

    def next_change(self, ns: int) -> int:
        """The first moment after `ns` at which the session changes, `until` included; NEVER where there is none."""
        place = int(np.searchsorted(self.starts, ns, side="right"))
        if place < len(self.starts):
            return int(self.starts[place])
        return self.until if ns < self.until else NEVER
