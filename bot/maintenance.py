"""Windows around a change of a token's multiplier: nothing is believed of it until token and share have printed anew.

A window opens when a change is near, at the change itself, or when a split that was announced shows in the share first.
It ends when, after the change, a believed source of the share and the instrument itself have printed; where the change
is a split's (a quarter or more), both must stand on the new side of it: they follow in any order, hours apart, and in
between one of them is of the old kind. Meanwhile the instrument is in doubt, so that its premium is unknown, shown with
the reason, and nothing is traded.

A share that jumps by a whole ratio, of which nobody has told a split, is a suspicion: all that is priced by it is in a
window from the refusal of that jump on, until the share is believed again and stands on the same side as it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt
from typing import Final

from bot.corporate import BIG
from connectors.events import Why
from connectors.instruments import Role
from strategies.base import Note
from strategies.market import kernel as K
from strategies.market.columns import Columns

LIKE: Final = 0.03
"""How far the ratio of a split may be off in prices: what a share does overnight."""


@dataclass(slots=True)
class _Window:
    """The window of one instrument."""

    changed: int = 0
    """When the multiplier changed; 0: it will."""
    edge: float = 0.0
    """How far the instrument may be from the share, as a factor either way; 0 is any."""
    low: float = 0.0
    high: float = inf
    """Where the share must be after it, USD."""
    source: int = -1
    """The source of the share whose jump made the suspicion; -1 where it is none."""


def split_of(before: float, after: float) -> float:
    """The ratio of a jump of a share that looks like a split's, at least 2; 0 of one that does not."""
    ratio = max(before / after, after / before) if before > 0 and after > 0 else 0.0
    whole = round(ratio) if isfinite(ratio) else 0
    return float(whole) if whole >= 2 and abs(ratio / whole - 1.0) < LIKE else 0.0


class Maintenance:
    """The windows that are open."""

    def __init__(self, columns: Columns) -> None:
        """None is."""
        self._columns = columns
        self._open: dict[int, _Window] = {}
        self._coming: dict[int, tuple[float, float]] = {}
        """Instruments whose multiplier will change as by a split: (to what, how far the share may be meanwhile)."""

    def __contains__(self, number: object) -> bool:
        """Whether an instrument is in a window."""
        return number in self._open

    def announced(self, number: int, old: float, value: float) -> None:
        """The multiplier of an instrument will be `value`; where that is a split's, the share may split first."""
        self._coming.pop(number, None)
        if edge := _edge(old, value):
            self._coming[number] = value, edge

    def ahead(self, number: int, value: float) -> list[Note]:
        """The multiplier of an instrument will soon be `value`."""
        return self._opened(number, value)

    def changed(self, number: int, old: float, value: float, now: int) -> list[Note]:
        """The multiplier goes from `old` to `value` at `now`; what was quoted before is still in the columns."""
        notes, columns, edge = self._opened(number, value), self._columns, _edge(old, value)
        window = self._open[number] = _Window(now, edge)
        fair = columns.own(columns.group(number), now)
        self._coming.pop(number, None)
        quoted = columns.f[number, K.MID_USD] > 0
        if edge and quoted and fair is not None and not self._apart(number, edge, now):
            # Both are of before the split; where they are apart, the share is of after it already.
            window.low, window.high = (0.0, fair.price / edge) if value > old else (fair.price * edge, inf)
        return notes

    def suspected(self, source: int, ratio: float) -> list[Note]:
        """A source of a share was refused for a jump like a split's, and no other one is left to believe."""
        columns, group, notes = self._columns, self._columns.group(source), list[Note]()
        for number, instrument in enumerate(columns.universe):
            if number not in self._open and instrument.role is not Role.SHARE and columns.group(number) == group:
                notes += self._opened(number, nan, ratio)
                self._open[number] = _Window(edge=sqrt(ratio), source=source)
        return notes

    def called_off(self, number: int) -> list[Note]:
        """A change that was near will not be, or later; one that was is not undone by that."""
        self._coming.pop(number, None)
        window = self._open.get(number)
        near = window is not None and not window.changed and window.source < 0
        return self._closed(number) if near else []

    def of_time(self, now: int) -> list[Note]:
        """Opens the windows of those whose share has split before them, and ends those in which all have printed."""
        apart = [at for at, (_, edge) in self._coming.items() if at not in self._open and self._apart(at, edge, now)]
        opened = [note for number in apart for note in self._opened(number, self._coming[number][0])]
        over = [number for number, window in self._open.items() if window.changed and self._over(number, window, now)]
        over += [
            number for number, window in self._open.items() if window.source >= 0 and self._allayed(window, number, now)
        ]
        return [*opened, *(note for number in over for note in self._closed(number))]

    def _apart(self, number: int, edge: float, now: int) -> bool:
        """Whether an instrument and the fair value stand on different sides of a split, as far as both are known."""
        fair = self._columns.own(self._columns.group(number), now)
        price = float(self._columns.f[number, K.MID_USD])
        return fair is not None and price > 0 and not 1 / edge < price / fair.price < edge

    def _allayed(self, window: _Window, number: int, now: int) -> bool:
        """Whether a suspicion is over: the share is believed, and the instrument is on its side."""
        columns = self._columns
        believed = columns.k[window.source, K.REFUSAL] == K.OK and columns.fair(columns.group(number), now) is not None
        return bool(believed) and not self._apart(number, window.edge, now)

    def _over(self, number: int, window: _Window, now: int) -> bool:
        columns, group = self._columns, self._columns.group(number)
        k = columns.k
        printed = k[number, K.REFUSAL] == K.OK and k[number, K.TS] > window.changed and columns.f[number, K.MID_USD] > 0
        if not printed and k[number, K.PRINTS]:
            return False  # one that has never printed has nothing old to show
        sources = columns.sources_of[group]
        if not any(k[at, K.REFUSAL] == K.OK and k[at, K.REF_TS] > window.changed for at in sources):
            return False
        if not window.edge:
            return True
        fair = columns.own(group, now)
        return (
            fair is not None and window.low <= fair.price <= window.high and not self._apart(number, window.edge, now)
        )

    def _opened(self, number: int, value: float, ratio: float = nan) -> list[Note]:
        if number in self._open:
            return []
        self._open[number] = _Window()
        self._columns.doubt(number, Why.MAINTENANCE)
        detail: dict[str, float | str] = {"why": Why.MAINTENANCE.name.lower()}
        detail |= {name: v for name, v in (("multiplier", value), ("ratio", ratio)) if isfinite(v)}
        return [Note(kind="doubt", instrument=number, underlying=self._underlying(number), detail=detail)]

    def _closed(self, number: int) -> list[Note]:
        del self._open[number]
        self._columns.doubt(number, Why.MAINTENANCE, stands=False)
        detail: dict[str, float | str] = {"why": Why.MAINTENANCE.name.lower()}
        return [Note(kind="doubt_cleared", instrument=number, underlying=self._underlying(number), detail=detail)]

    def _underlying(self, number: int) -> str:
        return self._columns.universe[number].underlying


def _edge(old: float, value: float) -> float:
    """Half the way, as a factor, of a change that is a split's; 0 where it is none, or not known to be one."""
    ratio = max(value / old, old / value) if isfinite(old) else 1.0
    return sqrt(ratio) if ratio >= BIG else 0.0
