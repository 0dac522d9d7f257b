"""Which ticks hold liquidity, and where a swap stops: the next one of them, or the end of its word of the bitmap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from connectors.amm.ticks import MAX_TICK, MIN_TICK, max_liquidity_per_tick
from connectors.errors import PoolStateError

WORD: Final = 256
"""Ticks (in units of the spacing) in a word. A swap stops at each word's end, though nothing is there, and rounds."""


class Tick(NamedTuple):
    """Liquidity that refers to a tick."""

    gross: int
    """Of all positions that begin or end here; the tick is initialised while it is not 0."""
    net: int
    """What is added when the price rises over the tick; taken away when it falls below."""


class TickMap:
    """The initialised ticks of a pool. Immutable: a change gives a new one.

    Raises PoolStateError where a tick is no multiple of the spacing, out of range, or its liquidity is impossible.
    """

    __slots__ = ("_info", "order", "spacing")

    def __init__(self, spacing: int, info: Mapping[int, tuple[int, int]] | None = None) -> None:
        """`spacing` between usable ticks; gross and net liquidity of each initialised one."""
        if not 0 < spacing < 1 << 15:
            raise PoolStateError(f"a tick spacing of {spacing} is not possible")
        self.spacing = spacing
        self._info = {tick: Tick(*told) for tick, told in (info or {}).items()}
        self.order = sorted(self._info)
        most = max_liquidity_per_tick(spacing)
        for tick, (gross, net) in self._info.items():
            _check_place(tick, spacing)
            if not 0 < gross <= most or abs(net) > gross:
                raise PoolStateError(f"liquidity of tick {tick} is impossible: gross {gross}, net {net}")

    def __getitem__(self, tick: int) -> Tick:
        """What is known of an initialised tick. Raises KeyError for another one."""
        return self._info[tick]

    def __contains__(self, tick: object) -> bool:
        """Whether the tick is initialised."""
        return tick in self._info

    def __len__(self) -> int:
        """How many ticks are initialised."""
        return len(self.order)

    def __eq__(self, other: object) -> bool:
        """Same spacing, same ticks, same liquidity."""
        if not isinstance(other, TickMap):
            return NotImplemented
        return self.spacing == other.spacing and self._info == other._info

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """`TickMap(60, 12 ticks)`."""
        return f"TickMap({self.spacing}, {len(self)} ticks)"

    def net(self, tick: int) -> int:
        """What is added when the price rises over the tick; 0 where it is not initialised."""
        told = self._info.get(tick)
        return told.net if told else 0

    def stop_below(self, tick: int) -> int:
        """Where a falling swap stops next: at or below `tick`."""
        unit = tick // self.spacing
        floor = (unit - unit % WORD) * self.spacing
        at = bisect_right(self.order, unit * self.spacing)
        return max(floor, self.order[at - 1] if at else floor, MIN_TICK)

    def stop_above(self, tick: int) -> int:
        """Where a rising swap stops next: above `tick`."""
        unit = tick // self.spacing + 1
        ceiling = (unit - unit % WORD + WORD - 1) * self.spacing
        at = bisect_left(self.order, unit * self.spacing)
        return min(ceiling, self.order[at] if at < len(self.order) else ceiling, MAX_TICK)

    def below(self, tick: int) -> int | None:
        """The highest initialised tick at or below `tick`."""
        at = bisect_right(self.order, tick)
        return self.order[at - 1] if at else None

    def above(self, tick: int) -> int | None:
        """The lowest initialised tick above `tick`."""
        at = bisect_right(self.order, tick)
        return self.order[at] if at < len(self.order) else None

    def active(self, tick: int) -> int:
        """The liquidity that must be active at `tick`: all that was added below less what was taken away."""
        return sum(self._info[at].net for at in self.order[: bisect_right(self.order, tick)])

    def moved(self, lower: int, upper: int, amount: int) -> TickMap:
        """The map after `amount` of liquidity came (or went, negative) between two ticks.

        Raises PoolStateError where the ticks cannot be those of a position or more goes than there is.
        """
        if not lower < upper:
            raise PoolStateError(f"a position from tick {lower} to {upper} is not possible")
        info, order = dict(self._info), list(self.order)
        for tick, sign in ((lower, 1), (upper, -1)):
            _check_place(tick, self.spacing)
            before = info.get(tick)
            gross, net = before or (0, 0)
            gross, net = gross + amount, net + sign * amount
            if not 0 <= gross <= max_liquidity_per_tick(self.spacing):
                raise PoolStateError(f"liquidity of tick {tick} would be {gross}")
            if gross:
                info[tick] = Tick(gross, net)
                if before is None:
                    insort(order, tick)
            elif before is not None:
                del info[tick]
                order.remove(tick)
        new = TickMap(self.spacing)
        new._info, new.order = info, order
        return new


def ticks_of_word(word: int, bits: int, spacing: int) -> list[int]:
    """The initialised ticks that a word of the contract's bitmap names, lowest first."""
    return [(word * WORD + at) * spacing for at in range(WORD) if bits >> at & 1]


def words(ticks: Iterable[int], spacing: int) -> dict[int, int]:
    """The contract's bitmap of these ticks: bits by number of the word; empty words are left out."""
    bitmap: dict[int, int] = {}
    for tick in ticks:
        word, at = divmod(tick // spacing, WORD)
        bitmap[word] = bitmap.get(word, 0) | 1 << at
    return bitmap


def _check_place(tick: int, spacing: int) -> None:
    if tick % spacing or not MIN_TICK <= tick <= MAX_TICK:
        raise PoolStateError(f"tick {tick} cannot hold liquidity at a spacing of {spacing}")
