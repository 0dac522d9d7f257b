"""The doors of the house: what a feed and an executor look like to the rest, one or two methods each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np

from connectors.events import NAN, Kind, Why
from connectors.instruments import Instrument
from connectors.orders import Approved, Conversion, Progress, Report, Statement
from connectors.vitals import Vitals

Level = tuple[float, float]
"""(price, size) of one level of a book: quote currency per unit, units."""


class Levels(Protocol):
    """The top levels of a book, best first on both sides."""

    @property
    def bids(self) -> Sequence[Level]:
        """Who buys; prices fall."""

    @property
    def asks(self) -> Sequence[Level]:
        """Who sells; prices rise."""


class Book(NamedTuple):
    """Levels that are at hand; a tape's are read when somebody looks."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


Sleep = Callable[[float], Awaitable[None]]
"""The door through which a connector waits; seconds."""


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

    def depth(self, instrument: int, bids: Sequence[Level], asks: Sequence[Level], *, ts_venue: int = 0) -> None:
        """Takes the top levels of a book, best first on both sides, as one DEPTH row; judged like a quote."""

    def against(self, instruments: Iterable[int], why: Why) -> None:
        """Something speaks against these instruments' streams; what that changes of their state becomes HEALTH rows.

        Saying it twice says nothing new. Several reasons may stand at once; STANDING says what each makes of a stream.
        """

    def cleared(self, instruments: Iterable[int], why: Why) -> None:
        """That reason no longer stands; an instrument without any is UP."""

    def clock(self, venue: str, offset_s: float, error_s: float) -> None:
        """A venue's clock is `offset_s` ahead of ours, known to within `error_s` (half the round trip)."""

    def reject(self, venue: str, reason: str, detail: str = "") -> None:
        """Counts a message that never became a row."""

    def frame(self, venue: str, data: str | bytes) -> None:
        """Takes one raw message as it came, for whoever keeps raw frames; costs nothing when nobody does."""


Option = type[str] | type[float] | type[bool] | tuple[str, ...] | tuple[int, ...]
"""Of what kind an option of a feed is: a text, a number above zero, a flag, or one of some words or numbers."""

ANY_SYMBOL = "SYMBOL"
"""In a feed's OPTIONS: the symbol of any of its instruments may stand as an option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSetup:
    """What every feed is given; a feed's module makes one of it with `feed(setup)`."""

    venue: str
    instruments: tuple[Instrument, ...]
    clock: Callable[[], int]
    """Now, ns UTC; it may jump."""
    monotonic: Callable[[], float]
    """Seconds, for durations; never runs backwards."""
    sleep: Sleep
    rng: np.random.Generator
    """Jitters the back-off."""
    exchange: str = ""
    """The venue's name at the library that speaks to it, where it is not `venue`."""
    url: str = ""
    """`http://host:port` that replaces all addresses of the venue; empty is the venue's own."""
    key: Callable[[], Mapping[str, str]] = dict
    """The venue's credentials, read when they are needed and never kept in a text; empty where there are none."""
    first_message_s: float = 15.0
    depth_every_s: float = float("inf")
    """At most one DEPTH row per instrument in so many seconds."""
    depth_levels: int = 10
    compare_s: float = 60.0
    """How often a stream's book is compared with the venue's own snapshot; `inf` never."""
    taker_fee_bps: float | None = None
    """What the config believes to pay; a probe compares it with what the venue says."""
    options: Mapping[str, str | float | bool] = field(default_factory=dict)
    """What only this kind of feed understands."""
    pins: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Hashes of the code that contracts must run, by chain and contract (lower case), as an operator pinned them."""
    vitals: Vitals = field(default_factory=Vitals)
    """Where the venue's sockets and polls count."""


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

        Whoever starts it says NOT_HEARD against its instruments; the feed clears that with each one's first row, and
        says it again when a life ends. Raises ConnectorError only with Action.STOP_VENUE or STOP_ALL; everything else
        it retries.
        """


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a probe of a venue found: what was looked at, whether it is well, and what to do if not."""

    what: str
    """clock, latency, entitlement, symbol, status, fees, basis, rate_budget, ...; `reachable` that is not ok says that
    the venue cannot be reached, `entitlement` that it refuses us."""
    subject: str = ""
    """Instrument or endpoint that it is about; empty for the venue."""
    ok: bool | None
    """None: could not be told."""
    detail: str = ""
    hint: str = ""
    value: float | None = None
    """The number behind `detail`, where there is one; its unit is in `unit`."""
    unit: str = ""


class Probed(Protocol):
    """A feed that can be asked how its venue is, without streaming; `venues test` and `doctor` ask."""

    async def probe(self) -> tuple[Finding, ...]:
        """Asks the venue once about everything that it can say. Errors of the world become findings."""


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

    def behind(self, instrument: int, *, bid: bool) -> Sequence[Level]:
        """Levels behind the best bid or ask, best first; nothing where they are not known now, or where we took some of
        what the venue printed last: who can tell of which level."""

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


@runtime_checkable
class Asked(Protocol):
    """An executor that can be asked about its orders by client id. Moments as in `Executor.submit`; what it finds comes
    as reports like any other, with all fills so far: an order that the venue does not have and never had is REFUSED and
    final, one that it cannot tell about UNKNOWN and not final.
    """

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks the instrument's venue what became of an order."""

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks the venue to cancel what is left of an order; it stays live until a final report says otherwise."""


class Account(Protocol):
    """What a venue says that we have there, for whoever compares it with our books. Moments as in `Executor.submit`."""

    @property
    def venue(self) -> str:
        """Which venue it is."""

    def read(self, since: int, now: int) -> tuple[int, ...]:
        """Asks for balances, open orders, and fills from `since` on (ns UTC)."""

    def statements(self, due: int) -> tuple[Statement, ...]:
        """What was read by `due`; one for each time it was asked, also where nothing could be read."""


class Soft(NamedTuple):
    """What a mint or redemption would bring now, without an obligation."""

    expected: Decimal
    """Units of the target for the quantity asked, after the issuer's fee in kind."""
    fee_usd: Decimal
    """Fee in cash, USD."""
    until_ns: int
    """ns UTC; asked for later, it may be another."""
    delay_s: float
    """Usual time from the request to delivery, seconds."""
    kept: Decimal = Decimal(0)
    """Units of the target that the issuer keeps as its fee in kind."""
    told_ns: int = 0
    """When the issuer said so, ns UTC; 0: it was asked just now."""


class Bounds(NamedTuple):
    """What an issuer takes on now."""

    closed: str
    """Why nothing is taken on now (hours, freeze, jurisdiction, ...); empty is open."""
    least: Decimal
    """Fewest units of the source in one request."""
    most: Decimal
    """Most units of the source in one request, and of what is outstanding still free."""
    opens_ns: int
    """When it is open again, ns UTC; 0 is not known or open now."""


class Desk(Protocol):
    """What may be asked of an issuer without asking it for anything: a strategy sees this and no more."""

    @property
    def issuer(self) -> str:
        """Which issuer it is."""

    def quote(self, *, mint: bool, source: int, target: int, quantity: Decimal, now: int) -> Soft | None:
        """What a request would bring; None where nobody can say, or the two are not converted into each other.

        An issuer without quotes of its own is quoted by its connector, from what it attests or from its fees: whoever
        asks has nothing to fall back on, and plans nothing that its request would then have to be refused for.
        """

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        """What may be asked for now."""


class Primary(Desk, Protocol):
    """The door of an issuer. Like an executor it returns at once, and what it learns comes at the moments that it
    names; a live one returns none and its news comes through the inbox."""

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """Sends a request that was reviewed and recorded; again with the same id it is the same request."""

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """Asks how one stands."""

    def progress(self, due: int) -> tuple[Progress, ...]:
        """What is known at `due`."""
