"""The error tree; each error says whether to retry, stop this venue, or stop all.

PeglineError
├── DataError            data on disk is missing, broken or not what it says      STOP_ALL
│   ├── TapeError        a tape cannot be read or written
│   └── ImportFailed     a file given to `tape import` or its map is not usable
├── RegistryError        the token registry or a universe contradicts itself      STOP_ALL
└── ConnectorError       the world outside did not do what it should
    ├── VenueUnreachable no connection, a time-out, a maintenance page            RETRY
    ├── RateLimited      429, with the seconds to wait where the venue says so    RETRY
    ├── BadMessage       a message that cannot be read as what it should be       RETRY
    ├── EntitlementLost  401 or 403: this account may not have this               STOP_VENUE
    └── SymbolUnknown    the venue does not know the symbol                       STOP_VENUE
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What the caller should do about an error."""

    RETRY = "retry"
    STOP_VENUE = "stop this venue"
    STOP_ALL = "stop all"


class PeglineError(Exception):
    """An error with a place, a cause and a next step, fit to be shown to a person as one line."""

    action: Action = Action.STOP_ALL

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        """`what` went wrong, `where` (file:row, venue, field), and a `hint` on what to do next."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """`where: what (hint)` with the absent parts left out."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.hint})" if self.hint else text


class DataError(PeglineError):
    """Data on disk is missing, broken or not what it says."""


class TapeError(DataError):
    """A tape cannot be read or written."""


class ImportFailed(DataError):
    """A file given to `tape import`, or its map, is not usable."""


class RegistryError(PeglineError):
    """The token registry or a universe contradicts itself."""


class ConnectorError(PeglineError):
    """The world outside did not do what it should."""

    action = Action.RETRY


class VenueUnreachable(ConnectorError):
    """No connection, a time-out or a maintenance page."""


class RateLimited(ConnectorError):
    """The venue asks us to slow down; `retry_after_s` is what it named, or None."""

    def __init__(self, what: str, *, where: str = "", hint: str = "", retry_after_s: float | None = None) -> None:
        """As PeglineError, with the seconds that the venue asked us to wait."""
        super().__init__(what, where=where, hint=hint)
        self.retry_after_s = retry_after_s


class BadMessage(ConnectorError):
    """A message that cannot be read as what it should be."""


class EntitlementLost(ConnectorError):
    """401 or 403: this account may not have this feed; only this feed stops."""

    action = Action.STOP_VENUE


class SymbolUnknown(ConnectorError):
    """The venue does not know the symbol that we asked for."""

    action = Action.STOP_VENUE
