"""Streams a simulated world in scaled real time: an hour of its market passes in a second or less of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from connectors.events import NS, Kind, Rows
from connectors.instruments import Instrument
from connectors.ports import Sink
from connectors.simulated.world import World

_CHUNK: Final = 4096
_AHEAD_S: Final = 0.004
"""Rows due within this many seconds are handed over at once: a shorter sleep costs more than it is worth."""

Batch = list[tuple[int, int, int, int, float, float, float, float, int]]


class SimulatedFeed:
    """All venues of a world as one feed. Its clock stands at the time of the row that it said last.

    The sink must stamp rows with `now`: then everything runs in the time of the world, and the same seed gives the
    same decisions whatever the speed. No batch holds an instrument twice, so that no row overtakes another.
    """

    def __init__(
        self,
        world: World,
        *,
        speed: float,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """`speed`: simulated seconds per real second, `inf` for as fast as it goes; clock and sleep in seconds."""
        self._world, self._speed, self._monotonic, self._sleep = world, speed, monotonic, sleep
        self._now = int(world.rows.ts_recv[0]) if len(world.rows) else 0
        self.said = 0
        """Rows handed over so far."""
        self.finished = False
        """Whether the world has come to its end."""

    @property
    def venue(self) -> str:
        """One name for all its venues."""
        return "simulated"

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument of the world, in the order of its rows' numbers."""
        return self._world.universe.instruments

    def now(self) -> int:
        """The time of the world, ns UTC."""
        return self._now

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Says every row of the world once, then returns. Raises KeyError where `numbers` lacks an instrument."""
        mine = [numbers[instrument.name] for instrument in self._world.universe]
        begun, first = self._monotonic(), self._now
        for block in self._world.rows.blocks(_CHUNK):
            batch: Batch = []
            seen: set[int] = set()
            for row in _plain(block):
                due_s = (row[0] - first) / NS / self._speed
                late = self._monotonic() - begun
                if row[2] in seen or due_s > late + _AHEAD_S:
                    self._say(sink, batch, mine)
                    await self._sleep(max(0.0, due_s - late))
                    batch, seen = [], set()
                batch.append(row)
                seen.add(row[2])
            self._say(sink, batch, mine)
            await self._sleep(0.0)
        self.finished = True

    def _say(self, sink: Sink, batch: Batch, mine: list[int]) -> None:
        for at, ts_venue, instrument, kind, bid, ask, bid_size, ask_size, flags in batch:
            self._now = at
            sink.put(
                Kind(kind),
                mine[instrument],
                ts_venue=ts_venue,
                bid=bid,
                ask=ask,
                bid_size=bid_size,
                ask_size=ask_size,
                flags=flags,
            )
        self.said += len(batch)


def _plain(block: Rows) -> Batch:
    """The rows of a block as tuples of plain numbers, which Python handles several times faster than numpy's."""
    columns = (
        block.ts_recv,
        block.ts_venue,
        block.instrument,
        block.kind,
        block.bid,
        block.ask,
        block.bid_size,
        block.ask_size,
        block.flags,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))
