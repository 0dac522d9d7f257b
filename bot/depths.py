"""The newest levels of each instrument's book, in step with the rows that the scan has applied.

The same in every mode, and however rows are cut into blocks: whoever looks sees the levels of the last DEPTH row that
the scan has passed, also of one whose best prices a newer quote overtook. At most one book is kept for each instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from connectors.events import Kind, Rows
from connectors.ports import Levels
from strategies.market import kernel as K
from strategies.market.columns import Columns


class Depths:
    """Follows the DEPTH rows of the blocks that the engine is given."""

    def __init__(self, columns: Columns, up: Callable[[int], bool], source: Mapping[int, Levels]) -> None:
        """`source` holds the levels by the `extra` of their rows; `up` says whether a stream is."""
        self._columns, self._up, self._source = columns, up, source
        self._held: dict[int, tuple[int, float, Levels]] = {}
        """By instrument: moment, shares per unit then, levels."""
        self._rows: list[tuple[int, int, int, int]] = []
        """DEPTH rows of this block that are not applied yet, last one first: place, moment, instrument, key."""

    def begin(self, rows: Rows) -> bool:
        """A new block; all of the last one has been passed. Whether any of its rows is heard here."""
        if not self._source:
            return False
        at = np.flatnonzero((rows.kind == Kind.DEPTH) & np.isfinite(rows.extra))
        if len(at):
            places = at[::-1]
            self._rows = list(
                zip(
                    places.tolist(),
                    rows.ts_recv[places].tolist(),
                    rows.instrument[places].tolist(),
                    rows.extra[places].astype(np.int64).tolist(),
                    strict=True,
                )
            )
        return bool(self._rows)

    def pass_to(self, end: int) -> None:
        """The scan has applied the block's rows before `end`."""
        while self._rows and self._rows[-1][0] < end:
            _, ts, number, key = self._rows.pop()
            levels = self._source.get(key)
            if levels is not None and 0 <= number < len(self._columns.universe):
                self._held[number] = (ts, self._columns.f.item(number, K.SHARES_PER_UNIT), levels)

    def drop(self, number: int) -> None:
        """An instrument's stream stands differently: its book of before is not to be used."""
        self._held.pop(number, None)

    def levels(self, number: int, now: int) -> Levels | None:
        """The levels in force; None where none came, they or the quote are too old, or the stream is not up.

        What belongs to an older unit is not used either. Raises TapeError where a tape's levels cannot be read.
        """
        held = self._held.get(number)
        if held is None or not self._up(number):
            return None
        ts, units, levels = held
        columns = self._columns
        same_unit = units == (now_worth := columns.f.item(number, K.SHARES_PER_UNIT)) or units != units != now_worth
        young = now - ts <= columns.k.item(number, K.MAX_AGE) and now <= columns.k.item(number, K.EXPIRES)
        return levels if same_unit and young and columns.k.item(number, K.REFUSAL) == K.OK else None
