"""The feeds of a run, each on its own, and the clocks that their venues tell: what `run` and `record` share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from bot.inbox import Inbox
from bot.steady import ClockGuard, SteadyClock
from connectors.backoff import REFUSED_S
from connectors.errors import Action, ConnectorError, EntitlementLost, PeglineError
from connectors.events import Why
from connectors.instruments import Universe
from connectors.ports import Feed

BEAT_S: Final = 0.25
"""How often the loop is seen to live, and the clocks are compared."""


class Listening:
    """Runs feeds into an inbox. One that gives up stops its venue only; the others go on, and the operator is told."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        inbox: Inbox,
        universe: Universe,
        *,
        sleep: Callable[[float], Awaitable[None]],
        warn: Callable[[str], None],
        steady: SteadyClock | None = None,
        world_ends: bool = False,
    ) -> None:
        """`steady` is the clock that stamps rows, where it is one that does not jump. `world_ends`: the feeds end by
        themselves, else a feed that ends is a fault.
        """
        self.gave_up: set[str] = set()
        """Venues whose feed has ended for good or for now."""
        venues = dict.fromkeys(instrument.venue for instrument in universe)
        members = {venue: [at for at, i in enumerate(universe) if i.venue == venue] for venue in venues}
        self.guard = ClockGuard(members)
        self._feeds, self._inbox, self._sleep, self._warn = tuple(feeds), inbox, sleep, warn
        self._speakers = tuple(feed for feed in feeds if feed.instruments)
        """The others speak for instruments of these, and are not worth a run of their own."""
        self._steady, self._world_ends = steady, world_ends
        self._numbers = {instrument.name: at for at, instrument in enumerate(universe)}
        self._refused: set[str] = set()
        self._told_clocks: dict[str, tuple[float, float]] = {}
        self._clock_barred: frozenset[int] = frozenset()

    async def run(self) -> None:
        """All feeds until those that have instruments have ended. Raises the last error when these gave up for good."""
        tasks = [asyncio.create_task(self._feed(feed)) for feed in self._feeds]
        speakers = [task for task, feed in zip(tasks, self._feeds, strict=True) if feed in self._speakers]
        try:
            ends = await asyncio.gather(*speakers or tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        errors = [end for end in ends if end is not None]
        if errors and len(errors) == len(ends):
            raise errors[-1]

    async def _feed(self, feed: Feed) -> PeglineError | None:
        """One feed until it ends. Its own end stops only its venue; an error that says so stops all.

        A right that is lost is asked for again at a slow pace, unless there never was anything that could be heard.
        """
        mine = [self._numbers[i.name] for i in feed.instruments]
        if not self._world_ends:
            self._inbox.against(mine, Why.NOT_HEARD)
        while True:
            try:
                await feed.run(self._inbox, self._numbers)
            except EntitlementLost as error:
                if feed.venue not in self._refused:
                    self._warn(f"{feed.venue} stopped: {error}; it is asked again every {REFUSED_S:.0f} s")
                self._refused.add(feed.venue)
                self.gave_up.add(feed.venue)
                self._inbox.reject(feed.venue, error.word, str(error))
                self._inbox.against(mine, Why.ENTITLEMENT)
                self._inbox.against(mine, Why.NOT_HEARD)
                if self.gave_up >= {one.venue for one in self._speakers} and not any(self._inbox.heard):
                    raise
                await self._sleep(REFUSED_S)
                self.gave_up.discard(feed.venue)
                self._inbox.cleared(mine, Why.ENTITLEMENT)
                continue
            except PeglineError as error:
                self._over(feed, mine)
                self._warn(f"{feed.venue} stopped: {error}")
                if error.action is Action.STOP_ALL:
                    raise
                return error
            except Exception as error:
                # A fault of one adapter must not end the others; it is told with its kind, and the venue stays down.
                self._over(feed, mine)
                self._inbox.reject(feed.venue, "adapter_fault", repr(error))
                self._warn(f"{feed.venue} stopped by a fault of its adapter: {error!r}")
                return ConnectorError(f"a fault of the adapter: {error!r}", where=feed.venue)
            if self._world_ends:
                return None
            self._over(feed, mine)
            return ConnectorError("the feed ended", where=feed.venue)

    def _over(self, feed: Feed, numbers: Sequence[int]) -> None:
        """A feed has ended for good: what it said last is no price any more, whatever it managed to say itself."""
        self.gave_up.add(feed.venue)
        if not self._world_ends:
            self._inbox.against(numbers, Why.NOT_HEARD)

    def compare_clocks(self) -> None:
        """CLOCK stands against whoever's clock disagrees with ours, and against all while ours is in doubt."""
        inbox, guard, steady = self._inbox, self.guard, self._steady
        for venue, said in inbox.offsets.items():
            if self._told_clocks.get(venue) is not said:
                self._told_clocks[venue] = said
                guard.offset(venue, *said)
        apart_s = steady.apart_s if steady is not None else 0.0
        was = guard.jumped
        if steady is not None and guard.wall_is_right(apart_s):
            self._warn(f"the venues agree with the machine's clock, which jumped by {apart_s:+.1f} s: it is followed")
            steady.adopt()
            guard.adopted(apart_s)
            for venue, (offset_s, error_s) in list(inbox.offsets.items()):
                inbox.clock(venue, offset_s - apart_s, error_s)
            inbox.beat(0.0)
            apart_s = steady.apart_s
        barred = guard.barred(apart_s, inbox.behind_s)
        if guard.jumped and not was:
            self._warn(
                f"the machine's clock jumped by {apart_s:+.1f} s: nothing is traded until the venues' clocks agree"
            )
        inbox.against(sorted(barred - self._clock_barred), Why.CLOCK)
        inbox.cleared(sorted(self._clock_barred - barred), Why.CLOCK)
        self._clock_barred = barred
