"""A sink for the suite: what a feed says goes through the real inbox, and what passes that door is remembered."""

from __future__ import annotations

from typing import Any

from bot.clock import wall_ns
from bot.inbox import Inbox
from connectors.events import Kind, Row
from connectors.instruments import Instrument, Universe
from tests.servers.heard import Heard


class Ear(Heard):
    """As Heard, without what the inbox refuses; refusals of feed and inbox are counted together."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        """For the instruments that a feed may speak of."""
        super().__init__()
        self.inbox = Inbox(Universe(instruments), clock=wall_ns)
        self.rejected, self.details = self.inbox.rejected, self.inbox.details

    def put(self, kind: Kind, instrument: int, **fields: Any) -> None:
        """Through the door; a row's receive time is its position."""
        self.inbox.put(kind, instrument, **fields)
        rows = self.inbox.take()
        for row in rows or ():
            numbers = {name: getattr(row, name) for name in ("bid", "ask", "bid_size", "ask_size", "extra")}
            at = len(self.rows)
            self.rows.append(
                Row(
                    ts_recv=at,
                    ts_venue=row.ts_venue,
                    instrument=row.instrument,
                    kind=row.kind,
                    flags=row.flags,
                    **numbers,
                )
            )
        self._changed.set()
