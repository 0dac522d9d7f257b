"""What an executor on paper may see of the columns: quotes that may be traded now, less what we took already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connectors.events import NAN
from connectors.ports import Level, Levels
from strategies.market import kernel as K
from strategies.market.columns import Columns
from strategies.market.depth import behind


class ColumnBooks:
    """The Books port over the columns of this moment."""

    def __init__(self, columns: Columns, levels: Callable[[int, int], Levels | None]) -> None:
        """A window on `columns`, and on the `levels` in force of an instrument at a moment (ns); it copies nothing."""
        self.columns, self._levels = columns, levels
        self.now = 0

    def _live(self, instrument: int) -> bool:
        k = self.columns.k_rows[instrument]
        return k[K.REFUSAL] == K.OK and self.now <= k[K.EXPIRES]

    def bid(self, instrument: int) -> float:
        """Best bid now; NaN where it is refused, halted or too old."""
        return self.columns.f_rows[instrument][K.BID] if self._live(instrument) else NAN

    def ask(self, instrument: int) -> float:
        """Best ask now; NaN where it is refused, halted or too old."""
        return self.columns.f_rows[instrument][K.ASK] if self._live(instrument) else NAN

    def bid_size(self, instrument: int) -> float:
        """Units left at the best bid; NaN where unknown."""
        return self.columns.left(instrument, bid=True)

    def ask_size(self, instrument: int) -> float:
        """Units left at the best ask; NaN where unknown."""
        return self.columns.left(instrument, bid=False)

    def behind(self, instrument: int, *, bid: bool) -> Sequence[Level]:
        """Levels behind the best one, while we took nothing of what was printed last."""
        levels = None if self.taken(instrument, bid=bid) else self._levels(instrument, self.now)
        best = self.bid(instrument) if bid else self.ask(instrument)
        return () if levels is None else behind(levels, best, bids=bid)

    def taken(self, instrument: int, *, bid: bool) -> float:
        """Units that we took at the best bid or ask since the venue printed it."""
        return self.columns.taken(instrument, bid=bid)

    def prints(self, instrument: int) -> int:
        """Accepted quotes so far."""
        return self.columns.k_rows[instrument][K.PRINTS]

    def fx(self, instrument: int) -> float:
        """USD per quote currency; NaN where unknown."""
        return self.columns.known_fx(instrument)
