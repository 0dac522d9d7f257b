"""Keeps the peg health of every token on every venue, in tape time: what the engine sees goes in, scores come out.

Prints are taken at the ticks of the strategies' clock; each token is looked at every five minutes, one after the other,
so that no tick does the work of all. Trades and supplies are taken from the rows themselves, since no column keeps
them. How rows are cut into blocks changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

import numpy as np

from connectors.events import NAN, NS, Kind, Rows
from connectors.instruments import Role
from connectors.ports import Levels
from strategies.market import kernel as K
from strategies.market.columns import Columns
from strategies.market.depth import resting
from strategies.market.health import PegHealth, Rules, Score, missed_split
from strategies.market.history import Ring
from strategies.market.wash import LEAST_TRADES, screen

LOOK_NS: Final = 300 * NS
BAND: Final = 0.01
"""Depth is counted within 1 % of the mid."""
TRADES: Final = 512
"""Newest trades of a venue that the wash screen sees."""
_TRADE, _SUPPLY = int(Kind.TRADE), int(Kind.SUPPLY)
"""As plain numbers: comparing an array with an enum takes five times as long."""
_FEW: Final = 32
STEP_NS: Final = 7 * 86_400 * NS
"""After a multiplier has changed, every venue is asked for so long whether it has followed."""


class HealthWatch:
    """The memory of all tokens; bounded by their number."""

    def __init__(
        self,
        columns: Columns,
        rules: Callable[[int], Rules],
        levels: Callable[[int, int], Levels | None],
        *,
        look_ns: int = LOOK_NS,
    ) -> None:
        """`rules` of an instrument; `levels` of its book at a moment, None where none is in force; how often a token
        is looked at."""
        self._columns, self._rules, self._levels, self._look_ns = columns, rules, levels, look_ns
        self.tokens = np.array(columns.universe.where(role=Role.TOKEN), np.int64)
        self.health: dict[int, PegHealth] = {}
        """By number, of those that have printed."""
        self._numbers: list[int] = self.tokens.tolist()
        self._seen = np.zeros(len(self.tokens), np.int64)
        self._due = np.zeros(len(self.tokens), np.int64)
        self._is_token = np.zeros(len(columns.universe), bool)
        self._is_token[self.tokens] = True
        self._trades: dict[int, deque[tuple[float, float]]] = {}
        self._supply: dict[int, tuple[float, float]] = {}
        self._rows: list[tuple[int, int, int, float, float, float, float]] = []
        """Trades and supplies of this block that are not passed yet, last one first."""
        self._units: dict[int, float] = {}
        self._steps: dict[int, tuple[int, float, float]] = {}
        """Moment and multipliers before and after the last change."""

    # --- rows that no column keeps

    def begin(self, rows: Rows) -> bool:
        """A new block; all of the last one has been passed. Whether any of its rows is heard here."""
        kinds = rows.kind
        if len(kinds) <= _FEW:  # what a live run is given: lists are faster than arrays there
            told = kinds.tolist()
            if _TRADE not in told and _SUPPLY not in told:
                return False
        at = np.flatnonzero((kinds == _TRADE) | (kinds == _SUPPLY))
        at = at[self._is_token[rows.instrument[at]]][::-1]
        if len(at):
            fields = (rows.instrument, rows.kind, rows.bid, rows.ask, rows.ask_size, rows.extra)
            self._rows = list(zip(at.tolist(), *(field[at].tolist() for field in fields), strict=True))
        return bool(self._rows)

    def pass_to(self, end: int) -> None:
        """The scan has applied the block's rows before `end`."""
        while self._rows and self._rows[-1][0] < end:
            _, number, kind, bid, ask, size, extra = self._rows.pop()
            if kind == _SUPPLY:
                self._supply[number] = (bid, ask)
            else:
                self._trades.setdefault(number, deque(maxlen=TRADES)).append((size, extra))

    # --- the clock

    def tick(self, now: int) -> None:
        """Takes in what has printed, and looks at the tokens whose turn it is."""
        prints = self._columns.prints[self.tokens]
        printed = [place for place in np.flatnonzero(prints != self._seen).tolist() if self._spaced(place)]
        fair = self._columns.prices_without(self.tokens[printed], now)
        heard = [
            place
            for place, price in zip(printed, fair.tolist(), strict=True)
            if price == price and self._hear(self._numbers[place], price, now)
        ]
        self._seen[heard] = prints[heard]
        for place in [place for place in heard if not self._due[place]]:
            self._due[place] = now + self._look_ns * (place + 1) // len(self.tokens)
        for place in np.flatnonzero((self._due != 0) & (self._due <= now)).tolist():
            self._due[place] = now + self._look_ns
            self.look(self._numbers[place], now)

    def _spaced(self, place: int) -> bool:
        """Whether a token's newest print does not follow too soon on the last one that was taken."""
        number = self._numbers[place]
        ring = self.health[number].ring if number in self.health else None
        return ring is None or self._columns.k_rows[number][K.TS] - ring.last >= ring.spacing_ns

    def _hear(self, number: int, fair: float, now: int) -> bool:
        """A token's newest print with the fair value of its share by the others; False where it was not believed."""
        columns = self._columns
        if columns.why_not_priced(number, now):
            return False
        health = self.health.get(number)
        if health is None:
            health = self.health[number] = PegHealth(self._rules(number))
        f, one_price = columns.f_rows[number], columns.universe[number].one_price
        price = f[K.MID_USD]
        health.hear(
            columns.k_rows[number][K.TS],
            columns.session,
            (price / fair - 1) * 1e4,
            price,
            fair,
            NAN if one_price else (f[K.ASK] - f[K.BID]) / (f[K.ASK] + f[K.BID]) * 2e4,
            NAN if one_price else self._depth_usd(number, now),
        )
        return True

    def _depth_usd(self, number: int, now: int) -> float:
        """USD that rests near the mid on both sides: of the levels where they are known, else at the best prices."""
        f = self._columns.f_rows[number]
        levels = self._levels(number, now)
        if levels is not None:
            value = sum(resting(levels, BAND, bids=bids).value for bids in (True, False))
        else:
            value = f[K.BID] * f[K.BID_SIZE] + f[K.ASK] * f[K.ASK_SIZE]
        return float(value * f[K.USD_PER_UNIT])

    def look(self, number: int, now: int) -> None:
        """Looks at one token that has printed: slow facts, then the health itself."""
        health, columns = self.health[number], self._columns
        supply = self._supply.get(number)
        if supply is not None:
            tokens, backing = supply
            health.backing(tokens * columns.f_rows[number][K.SHARES_PER_UNIT] / backing if backing > 0 else NAN)
        trades = self._trades.get(number)
        if trades is not None and len(trades) >= LEAST_TRADES:
            size, side = np.array(trades).T
            health.traded(screen(size, side))
        health.split(self._missed(number, now))
        health.look(now, self._partner(number))

    def _missed(self, number: int, now: int) -> bool | None:
        """Whether a venue trades in the unit of before the last change of its multiplier; None where that is no
        question, or cannot be told."""
        columns = self._columns
        units = columns.f_rows[number][K.SHARES_PER_UNIT]
        before = self._units.get(number, units)
        if isfinite(units):
            self._units[number] = units
            if isfinite(before) and before != units:
                self._steps[number] = now, before, units
        step = self._steps.get(number)
        if step is None or now - step[0] > STEP_NS:
            return None
        fair = columns.fair_without(number, now)
        level = fair.price if fair is not None else NAN
        if fair is None:  # of two venues alone nobody can say which has not followed
            others = [columns.f_rows[at][K.MID_USD] for at in self._fresh(number, now)]
            level = float(np.median(others)) if len(others) > 1 else NAN
        return missed_split(columns.f_rows[number][K.MID_USD], level, step[1], step[2])

    def _fresh(self, number: int, now: int) -> list[int]:
        """The other venues of tokens of the same share that have a price now."""
        columns = self._columns
        return [
            at
            for at in columns.members_of[columns.group(number)]
            if at != number and now <= columns.k_rows[at][K.EXPIRES] and isfinite(columns.f_rows[at][K.MID_USD])
        ]

    def _partner(self, number: int) -> Ring | None:
        """The prints of the busiest other venue of a token of the same share."""
        columns = self._columns
        same = [at for at in columns.members_of[columns.group(number)] if at != number and at in self.health]
        return self.health[max(same, key=lambda at: (columns.k_rows[at][K.PRINTS], -at))].ring if same else None

    # --- readings

    def score(self, number: int, now: int) -> Score | None:
        """The health of one instrument; None where it is unknown."""
        health = self.health.get(number)
        return None if health is None else health.score(now)

    def scores(self, now: int) -> Mapping[int, Score]:
        """Of all instruments of which it is known."""
        return {number: found for number in self.health if (found := self.score(number, now)) is not None}
