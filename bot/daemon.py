"""The daemon: feeds into the inbox, the inbox into the engine, the engine's records into journal, page and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bot.assembly import Assembly, assemble
from bot.config import Config
from bot.inbox import Inbox
from bot.journal import Journal
from bot.journal_file import Durability
from bot.journal_reader import read
from bot.lock import StateLock
from bot.recorder import Recorder
from bot.server import Server
from connectors.errors import Action, ConnectorError, PeglineError
from connectors.events import Why
from connectors.instruments import Universe
from connectors.ports import Executor, Feed
from connectors.tape import TapeWriter
from monitoring.desk import Desk
from monitoring.facts import Facts, FeedState
from strategies.base import Step
from strategies.market.session import SessionTable

JOURNAL = "journal.sqlite"
TAPE = "tape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What the daemon needs of the outside; the wiring hands it in, and with it the mode."""

    feeds: Sequence[Feed]
    executor: Executor | None
    clock: Callable[[], int]
    """Stamps rows, ns UTC; in a simulated world the world's own time."""
    monotonic: Callable[[], float]
    """Seconds, for durations that people see."""
    sleep: Callable[[float], Awaitable[None]]
    state: Path | None
    """Where journal, lock and tape live; None keeps nothing but the journal's hash."""
    world_ends: bool = False
    """The feeds end by themselves and the run with them; else a feed that ends is a fault."""


class Daemon:
    """One run. `run` ends when told to stop, when a world ends, or when every feed has given up for good."""

    def __init__(
        self,
        config: Config,
        universe: Universe,
        sessions: SessionTable,
        facts: Facts,
        doors: Doors,
        *,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Opens state and journal, restores the paper ledger, and builds everything that thinks.

        Raises AlreadyRunning where another process holds the state, JournalError where the journal is damaged.
        """
        self.config, self.universe, self.doors, self._warn = config, universe, doors, warn
        self.lock = StateLock(doors.state) if doors.state is not None else None
        path = doors.state / JOURNAL if doors.state is not None else None
        known = path is not None and path.exists()
        self.journal = Journal(path, durability=Durability.FULL, facts={"version": facts.version, "mode": facts.mode})
        self.steps: list[Step] = []
        self.parts: Assembly = assemble(
            config,
            universe,
            sessions,
            self.journal,
            executor=doors.executor,
            seed=config.run.seed,
            on_step=[self.steps.append],
        )
        self.engine = self.parts.engine
        earlier = _steps(path) if path is not None and known else iter(())
        self.abandoned = self.engine.restore(earlier)
        self.inbox = Inbox(universe, clock=doors.clock, timer_s=config.run.timer_s)
        self._heard_at = doors.monotonic()
        self._gave_up: set[str] = set()
        self.desk = Desk(
            self.parts.columns,
            facts=facts,
            feeds=self.feed_states,
            positions=dict(self.parts.ledger.positions),
            idle_s=lambda: doors.monotonic() - self._heard_at,
        )
        self.watch: Callable[[Step], object] = self.desk.on_step
        """Called with every decision record; who takes its place calls the desk's."""
        self.server = Server(
            registry=self.desk.registry,
            picture=self.desk.picture,
            health=self.desk.health,
            host=config.http.host,
            port=config.http.port,
        )
        self.recorder: Recorder | None = None

    def feed_states(self) -> list[FeedState]:
        """Every venue's stream as it stands: up, messages taken, messages refused at the door by reason."""
        told = self.desk.tally.venues
        states = []
        for venue in dict.fromkeys(instrument.venue for instrument in self.universe):
            heard = sum(n for n, i in zip(self.inbox.heard, self.universe, strict=True) if i.venue == venue)
            table = self.config.venues.get(venue)
            states.append(
                FeedState(
                    venue=venue,
                    feed=table.feed if table else "none",
                    up=heard > 0
                    and told.get(venue, ("up", ""))[0] in ("up", "degraded")
                    and venue not in self._gave_up,
                    messages=heard,
                    rejected={why: n for (where, why), n in self.inbox.rejected.items() if where == venue},
                )
            )
        return states

    async def run(self, stop: asyncio.Event) -> None:
        """Streams, decides and serves until `stop` is set; then everything is flushed and closed.

        Raises ConnectorError when every feed has given up for good, TapeError or JournalError when the disk refuses.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._close)
            if self.config.run.record and self.doors.state is not None:
                writer = TapeWriter(self.doors.state / TAPE, self.universe, {"made_by": "pegline run"}, resume=True)
                self.recorder = Recorder(writer, sleep=self.doors.sleep)
                self.inbox.taps.append(self.recorder.append)
                stack.push_async_callback(self.recorder.close)
            await stack.enter_async_context(self.server)
            tasks = [asyncio.create_task(self._feeds(), name="feeds")]
            tasks.append(asyncio.create_task(self._consume(), name="engine"))
            tasks.append(asyncio.create_task(_until(stop), name="stop"))
            if self.recorder is not None:
                tasks.append(asyncio.create_task(self.recorder.run(), name="recorder"))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if tasks[0] in done and self.doors.world_ends:
                    self.inbox.close()
                    await tasks[1]
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                rows = self.inbox.take()
                if rows is not None:
                    self.engine.advance(rows)
                    self._tell()
                self.engine.finish()

    async def _consume(self) -> None:
        """The engine's loop: what has arrived since the last look, decided at once."""
        async for rows in self.inbox:
            self._heard_at = self.doors.monotonic()
            self.engine.advance(rows)
            if self.steps:
                self._tell()

    def _tell(self) -> None:
        """Hands new decision records to the windows."""
        steps, self.steps[:] = list(self.steps), []
        for step in steps:
            self.watch(step)

    async def _feeds(self) -> None:
        """All feeds, each on its own. Raises the last error when every one has given up for good."""
        numbers = {instrument.name: at for at, instrument in enumerate(self.universe)}
        ends = await asyncio.gather(*(self._feed(feed, numbers) for feed in self.doors.feeds))
        errors = [end for end in ends if end is not None]
        if errors and len(errors) == len(ends):
            raise errors[-1]

    async def _feed(self, feed: Feed, numbers: dict[str, int]) -> PeglineError | None:
        """One feed until it ends. Its own end stops only its venue; an error that says so stops all."""
        if not self.doors.world_ends:
            self.inbox.against([numbers[i.name] for i in feed.instruments], Why.NOT_HEARD)
        try:
            await feed.run(self.inbox, numbers)
        except PeglineError as error:
            self._gave_up.add(feed.venue)
            self._warn(f"{feed.venue} stopped: {error}")
            if error.action is Action.STOP_ALL:
                raise
            return error
        except Exception as error:
            # A fault of one adapter must not end the others; it is told with its kind, and the venue stays down.
            self._gave_up.add(feed.venue)
            self.inbox.reject(feed.venue, "adapter_fault", repr(error))
            self._warn(f"{feed.venue} stopped by a fault of its adapter: {error!r}")
            return ConnectorError(f"a fault of the adapter: {error!r}", where=feed.venue)
        if self.doors.world_ends:
            return None
        self._gave_up.add(feed.venue)
        return ConnectorError("the feed ended", where=feed.venue)

    def _close(self) -> None:
        """Journal on disk, lock released; called last."""
        try:
            self.journal.close()
        finally:
            if self.lock is not None:
                self.lock.release()


async def _until(stop: asyncio.Event) -> None:
    """Waits for the event."""
    await stop.wait()


def _steps(path: Path) -> Iterator[Step]:
    """The decision records of earlier runs, in order, one at a time. Raises JournalError."""
    decoder = msgspec.msgpack.Decoder(Step)
    return (decoder.decode(record.payload) for record in read(path, kind="step"))
