"""The doors of the house: what a feed and an executor look like to the rest, one or two methods each."""

from __future__ import annotations

from typing import Protocol

from connectors.events import NAN, Kind
from connectors.instruments import Instrument
from connectors.orders import Approved, Report


class Sink(Protocol):
    """Where a feed puts what it heard; the sink stamps the receive time."""

    def put(
        self,
        kind: Kind,
        instrument: int,
        *,
        ts_venue: int = 0,
        bid: float = NAN,
        ask: float = NAN,
        bid_size: float = NAN,
        ask_size: float = NAN,
        extra: float = NAN,
        flags: int = 0,
    ) -> None:
        """Takes one row. Never waits; a row that is not plausible is counted by reason and goes no further."""

    def reject(self, venue: str, reason: str, detail: str = "") -> None:
        """Counts a message that never became a row."""


class Feed(Protocol):
    """A source of rows: streams until cancelled, reconnecting by itself; errors of the world never leave it."""

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it will speak about; the wiring numbers them."""

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams into `sink`; `numbers` gives each instrument's number by `venue:symbol`.

        Raises ConnectorError only with Action.STOP_VENUE or STOP_ALL; everything else it retries.
        """


class Books(Protocol):
    """What an executor on paper may look at: the columns of this moment."""

    def bid(self, instrument: int) -> float:
        """Best bid now; NaN where there is none that may be traded."""

    def ask(self, instrument: int) -> float:
        """Best ask now; NaN where there is none that may be traded."""

    def bid_size(self, instrument: int) -> float:
        """Units at the best bid; NaN where unknown."""

    def ask_size(self, instrument: int) -> float:
        """Units at the best ask; NaN where unknown."""

    def taken(self, instrument: int, *, bid: bool) -> float:
        """Units that we took of that size since the venue printed it."""

    def prints(self, instrument: int) -> int:
        """How many accepted quotes this instrument has had; consumed size returns when it grows."""

    def fx(self, instrument: int) -> float:
        """USD per quote currency of the instrument; NaN where unknown."""


class Executor(Protocol):
    """Sends approved orders. `submit` returns at once; answers come as reports."""

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Takes an order at time `now` (ns); returns the moments (ns) at which it wants `answer` to be called.

        A live executor returns none: its answers arrive as rows through the inbox.
        """

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """What has happened to the legs that are due at `due`, judged by the books of that moment."""
