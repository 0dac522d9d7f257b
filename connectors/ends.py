"""Why the lives of a connection end, as words that are counted and reasons that stand until the next one begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from connectors.errors import (
    ConnectorError,
    EntitlementLost,
    Maintenance,
    NodesBehind,
    NodesDisagree,
    RateLimited,
    Silent,
    SymbolUnknown,
)
from connectors.events import Why
from connectors.ports import Sink

_WHYS: Final[tuple[tuple[type[ConnectorError], Why], ...]] = (
    (EntitlementLost, Why.ENTITLEMENT),
    (Maintenance, Why.MAINTENANCE),
    (Silent, Why.SILENT),
    (RateLimited, Why.RATE_LIMITED),
    (SymbolUnknown, Why.NOT_LISTED),
    (NodesBehind, Why.LAGS),
    (NodesDisagree, Why.DISAGREES),
)


def why(error: ConnectorError) -> Why:
    """What an end of a life speaks against the instruments that it was about."""
    return next((reason for kind, reason in _WHYS if isinstance(error, kind)), Why.DISCONNECTED)


class Ends:
    """Give `ended` every error that ends a life, and call `over` when the next life has heard something.

    NOT_HEARD stays with the feed: only it knows when an instrument's book is whole again.
    """

    def __init__(self, sink: Sink, venue: str, numbers: Iterable[int]) -> None:
        """`numbers` are the instruments that the connection speaks about."""
        self._sink, self._venue, self._numbers = sink, venue, tuple(numbers)
        self._stands: Why | None = None

    def ended(self, error: ConnectorError) -> None:
        """Counts the end and says why; what an earlier end said stands no more."""
        self._sink.reject(self._venue, error.word, str(error))
        before, self._stands = self._stands, why(error)
        self._sink.against(self._numbers, self._stands)
        if before not in (None, self._stands):
            self._sink.cleared(self._numbers, before)

    def over(self) -> None:
        """A new life speaks."""
        if self._stands is not None:
            self._sink.cleared(self._numbers, self._stands)
            self._stands = None
