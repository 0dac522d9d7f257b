"""Everything outside the bot: a market with its books, venues and issuers, whose time goes on when the bot is gone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from connectors.events import NAN, TWO_SIDED
from connectors.instruments import Role, Universe
from connectors.orders import Approved, Report
from connectors.ports import Books, Level
from connectors.simulated.exchange import Exchange, Exchanges
from connectors.simulated.issuer import SimulatedIssuer
from connectors.simulated.short import Records
from connectors.simulated.venue import Venue


class Floor:
    """The Books port over what the venues really show, whatever is told of it."""

    def __init__(self, universe: Universe, records: Records) -> None:
        """`records` in order of ts_recv."""
        self.now = 0
        """ns UTC."""
        self._universe = universe
        self._coins = {one.coin: number for number, one in enumerate(universe) if one.role is Role.COIN}
        self._times: list[list[int]] = []
        self._columns: list[tuple[list[float], ...]] = []
        priced = np.isin(records["kind"], TWO_SIDED)
        for number in range(len(universe)):
            mine = records[(records["instrument"] == number) & priced]
            self._times.append(mine["ts_recv"].tolist())
            self._columns.append(tuple(mine[name].tolist() for name in ("bid", "ask", "bid_size", "ask_size")))

    def _read(self, instrument: int, column: int) -> float:
        at = self.prints(instrument)
        return self._columns[instrument][column][at - 1] if at else NAN

    def bid(self, instrument: int) -> float:
        """Best bid now; NaN before the first."""
        return self._read(instrument, 0)

    def ask(self, instrument: int) -> float:
        """Best ask now; NaN before the first."""
        return self._read(instrument, 1)

    def bid_size(self, instrument: int) -> float:
        """Units at the best bid."""
        return self._read(instrument, 2)

    def ask_size(self, instrument: int) -> float:
        """Units at the best ask."""
        return self._read(instrument, 3)

    def behind(self, instrument: int, *, bid: bool) -> Sequence[Level]:
        """Venues here show their best level only."""
        return ()

    def taken(self, instrument: int, *, bid: bool) -> float:
        """What is shown here is what was printed: a venue keeps by itself what it has let go of."""
        return 0.0

    def prints(self, instrument: int) -> int:
        """How often it has printed by now."""
        return bisect_right(self._times[instrument], self.now)

    def fx(self, instrument: int) -> float:
        """USD per quote currency of an instrument; NaN where its coin has not printed."""
        coin = self._coins.get(self._universe[instrument].quote)
        return 1.0 if coin is None else self.usd(coin)

    def usd(self, instrument: int) -> float:
        """USD per unit of an instrument, of a coin per coin, at mid; NaN before its first print."""
        mid = (self.bid(instrument) + self.ask(instrument)) / 2
        return mid if self._universe[instrument].role is Role.COIN else mid * self.fx(instrument)


class Outside:
    """The world as it is. The bot has no part in it but its orders and requests."""

    def __init__(
        self, universe: Universe, floor: Floor, venues: Mapping[str, Venue], issuers: Mapping[str, SimulatedIssuer]
    ) -> None:
        """All that is to go on."""
        self.universe, self.floor, self.venues, self.issuers = universe, floor, dict(venues), dict(issuers)

    def pass_to(self, now: int) -> None:
        """All that happens by `now` (ns UTC), each at its moment and at the prices of that moment."""
        while (at := min((venue.next_ns for venue in self.venues.values()), default=now + 1)) <= now:
            self._at(at)
        self._at(now)

    def _at(self, now: int) -> None:
        self.floor.now = max(self.floor.now, now)
        for venue in self.venues.values():
            venue.pass_to(now, self.floor)


class OrderDesk(Exchanges):
    """Where the bot's orders are handed in, and the answers to them; a bot that begins anew finds a new one."""

    def __init__(self, outside: Outside, exchanges: Mapping[str, Exchange]) -> None:
        """Over the exchanges of this world, by name."""
        super().__init__(exchanges)
        self.outside = outside

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As Exchanges.submit."""
        self.outside.pass_to(now)
        return super().submit(order, now)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """What the venues tell at `due`; they go by their own books, not by what the bot believes of them."""
        self.outside.pass_to(due)
        return super().answer(due, self.outside.floor)
