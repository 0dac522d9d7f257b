"""The daemon: feeds into the inbox, the inbox into the engine, the engine's records into journal, page and metrics."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bot.assembly import Assembly, assemble
from bot.closing import ClosingPaths
from bot.comparing import AccountsOf
from bot.config import Config
from bot.converting import IssuersOf
from bot.feed_states import feed_states
from bot.fence import next_fence
from bot.guard import guarded, guarded_issuers
from bot.holding import Holding
from bot.holds import Holds
from bot.inbox import Inbox
from bot.invariants import Breach, Invariants
from bot.journal import Journal
from bot.journal_file import Durability
from bot.journal_reader import read
from bot.keeper import Keeper
from bot.latency import Latency
from bot.listening import BEAT_S, Listening
from bot.lock import StateLock
from bot.obeying import Obeying
from bot.outbox import Outbox
from bot.quotes import Quotes
from bot.recorder import Recorder
from bot.routes import Routes
from bot.server import Server
from bot.steady import SteadyClock
from bot.upkeep import Upkeep, unless_files
from bot.watchdog import Watchdog
from bot.watched import watched, watched_issuers
from connectors.errors import TapeError
from connectors.events import NS
from connectors.instruments import Universe
from connectors.ports import Executor, Feed
from connectors.tape import DayWriter
from connectors.vitals import Vitals
from monitoring.desk import Desk
from monitoring.facts import Facts, FeedState, Recording
from monitoring.histogram import Histogram
from monitoring.quote_lines import Origin
from strategies.base import Step
from strategies.execution.latch import ALL, INVARIANT, Hold, Mode
from strategies.execution.latch import JOURNAL as NO_JOURNAL
from strategies.liquidity import Reading
from strategies.market.health import Score
from strategies.market.session import SessionTable

JOURNAL = "journal.sqlite"
TAPE = "tape"
CLOSE_S: Final = 3.0
"""How long the disk may take for the last records; whoever stops a daemon waits ten seconds and then kills it."""


LAG_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


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
    steady: SteadyClock | None = None
    """`clock`, where it is one that does not jump with the machine's."""
    vitals: Mapping[str, Vitals] = field(default_factory=dict)
    """What each venue's connections have counted."""
    accounts: AccountsOf | None = None
    """Makes the accounts at venues; without it books and venues are not compared."""
    issuers: IssuersOf | None = None
    """Makes the doors of issuers; without it nothing is minted or redeemed."""
    on_paper: bool = False
    """Executor and issuers send nothing to anybody: they need not wait for the disk, and a replay decides the same."""
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
        self.keeper = Keeper(self.journal, doors.monotonic)
        holds = Holds(doors.state) if doors.state is not None and not doors.world_ends else None
        executor, issuers = doors.executor, doors.issuers
        self.outbox = Outbox(
            self.keeper,
            stopped=_never if holds is None else holds.flagged,
            clock=doors.clock,
            waits=not doors.on_paper,
        )
        self.invariants = Invariants(self._breached, None if doors.on_paper else self.keeper)
        self.inbox = Inbox(universe, clock=doors.clock, timer_s=config.run.timer_s)
        self.parts: Assembly = assemble(
            config,
            universe,
            sessions,
            self.keeper,
            executor=None if executor is None else guarded(watched(executor, self.invariants), self.outbox),
            issuers=None
            if issuers is None
            else guarded_issuers(watched_issuers(issuers, self.invariants), self.outbox),
            seed=config.run.seed,
            on_step=[self.steps.append, self._keep_holds, self.invariants.hear],
            levels=self.inbox.levels,
            health=True,
            fence="" if holds is None else str(next_fence(holds.state, doors.clock())),
        )
        self.engine = self.parts.engine
        self.outbox.push = self.engine.expect
        self.keeper.on_failure = self._journal_failed
        earlier = _steps(path) if path is not None and known else iter(())
        self.unfinished = self.engine.restore(self.invariants.remembering(earlier))
        self.invariants.watch(self.engine)
        comparer = self.engine.dealer.comparer
        if doors.accounts is not None:
            comparer.connect(doors.accounts(self.parts.ledger), every_ns=round(config.run.reconcile_s * NS))
        self.holding = None if holds is None else Holding(holds, self.engine, doors.clock, warn)
        """What is held back, in the state folder; None in a world of its own."""
        self.obeying = None if holds is None else Obeying(holds.state, self.engine, self.keeper, warn)
        """What operators have to say, likewise."""
        self.watchdog: Watchdog | None = None
        if holds is not None and executor is not None and any(one.max_open for one in self.parts.strategies):
            self.watchdog = Watchdog(holds, config.run.watchdog_s, monotonic=doors.monotonic, clock=doors.clock)
        self._heard_at = doors.monotonic()
        self.listening = Listening(
            doors.feeds,
            self.inbox,
            universe,
            sleep=doors.sleep,
            warn=warn,
            steady=doors.steady,
            world_ends=doors.world_ends,
        )
        self.upkeep = Upkeep(self.keeper, self.inbox, state=doors.state, steady=doors.steady, warn=warn)
        self.lag = Histogram(LAG_BOUNDS_S)
        """How late the beats of the loop came."""
        self.latency = Latency(universe, self.inbox.offsets)
        if not doors.world_ends:
            self.inbox.taps.append(self.latency)
        self.desk = Desk(
            self.parts.columns,
            facts=facts,
            feeds=self.feed_states,
            positions=dict(self.parts.ledger.positions),
            conversions=self.parts.ledger.conversions,
            idle_s=lambda: doors.monotonic() - self._heard_at,
            loop=self.upkeep.loop_state,
            histograms=self.histograms,
            levels=lambda number: self.engine.depths.levels(number, self.parts.columns.now),
            recording=self.recording,
            pools=self.pool_readings,
            accounts=comparer.states,
            scores=self.scores,
            use=self.engine.use,
            backing=self.engine.backing_states,
        )
        self.watch: Callable[[Step], object] = self.desk.on_step
        """Called with every decision record; who takes its place calls the desk's."""
        self.quotes = Quotes(config, self.parts, self.desk.tally, self._origin, self.feed_states)
        routes = Routes(config, self.parts, self.quotes)
        self.server = Server(
            registry=self.desk.registry,
            picture=self.desk.picture,
            health=self.desk.health,
            quote=self.quotes.ask,
            paths=ClosingPaths(config, self.parts, self._origin).ask,
            sell=partial(routes.ask, buy=False),
            buy=partial(routes.ask, buy=True),
            host=config.http.host,
            port=config.http.port,
        )
        self.recorder: Recorder | None = None

    def _origin(self) -> Origin:
        """Of an answer of this process."""
        facts = self.desk.facts
        return Origin(how="daemon", where=self.server.url, mode=facts.mode, version=facts.version, pid=os.getpid())

    def pool_readings(self) -> tuple[Reading, ...]:
        """What is known of pools with an incentive."""
        watch = self.parts.liquidity
        return () if watch is None else tuple(watch.readings.values())

    def recording(self) -> Recording | None:
        """How the recording stands; None where nothing is recorded."""
        recorder, state = self.recorder, self.doors.state
        if recorder is None or state is None:
            return None
        dropped = Counter[tuple[str, str]]()
        for number, count in self.inbox.let_go_of.items():
            dropped[self.universe[number].venue, "inbox_full"] += count
        for (number, reason), count in recorder.dropped.items():
            dropped[self.universe[number].venue, reason] += count
        with suppress(OSError):
            free = os.statvfs(state)
            return Recording(
                rows=recorder.rows,
                dropped=dropped,
                free_bytes=free.f_bavail * free.f_frsize,
                error=recorder.error.what if recorder.error is not None else "",
            )
        return None

    def feed_states(self) -> list[FeedState]:
        """Every venue's stream as it stands."""
        return feed_states(self.config, self.universe, self.inbox, self.listening, self.desk.tally, self.doors.vitals)

    def scores(self) -> Mapping[int, Score]:
        """The peg health of every token of which it is known, by instrument."""
        health = self.engine.health
        return {} if health is None else health.scores(self.parts.columns.now)

    def histograms(self) -> dict[str, dict[tuple[str, ...], Histogram]]:
        """What is counted by size, by the catalogue's names."""
        venues = dict.fromkeys(instrument.venue for instrument in self.universe)
        return {
            "feed_latency_seconds": {(venue,): self.latency.of(venue) for venue in venues},
            "event_loop_lag_seconds": {(): self.lag},
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Streams, decides and serves until `stop` is set; then everything is flushed and closed.

        Raises ConnectorError when every feed has given up for good, TapeError for a tape that cannot be gone on with,
        and at the end JournalError where the disk has refused records: from then on it has watched and not traded.
        """
        asyncio.get_running_loop().set_exception_handler(unless_files)
        async with AsyncExitStack() as stack:
            stack.callback(self._close)
            if self.config.run.record and self.doors.state is not None:
                writer = DayWriter(self.doors.state / TAPE, self.universe, {"made_by": "pegline run"})
                writer.begin(self.doors.clock())
                self.recorder = Recorder(writer, sleep=self.doors.sleep, levels=self.inbox.levels)
                self.inbox.taps.append(self.recorder.append)
                stack.push_async_callback(self._end_tape, self.recorder)
            await stack.enter_async_context(self.server)
            if self.lock is not None:
                self.lock.tell(self.server.url)
            tasks = [asyncio.create_task(self.listening.run(), name="feeds")]
            tasks.append(asyncio.create_task(self._consume(), name="engine"))
            tasks.append(asyncio.create_task(_until(stop), name="stop"))
            if not self.doors.world_ends:
                tasks.append(asyncio.create_task(self._beats(), name="beats"))
            if self.recorder is not None:
                tasks.append(asyncio.create_task(self._keep(self.recorder), name="recorder"))
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
                self.outbox.close()
                rows = self.inbox.take()
                if rows is not None:
                    self.engine.advance(rows)
                self.engine.finish()
                self._tell()

    async def _keep(self, recorder: Recorder) -> None:
        """Records; a disk that refuses ends the tape and not the run, which goes on watching and says so."""
        try:
            await recorder.run()
        except TapeError as error:
            self._warn(f"recording stopped: {error}; what is heard from now on is watched and on no tape")
            await asyncio.Event().wait()

    async def _end_tape(self, recorder: Recorder) -> None:
        """Ends the tape; what the disk refuses now is told, and the run ends as it would."""
        try:
            await recorder.close()
        except TapeError as error:
            self._warn(f"the end of the recording is lost: {error}")

    async def _consume(self) -> None:
        """The engine's loop: what has arrived since the last look, decided at once."""
        async for rows in self.inbox:
            self._heard_at = self.doors.monotonic()
            self.engine.advance(rows)
            if self.steps:
                self._tell()

    async def _beats(self) -> None:
        """Sees that the loop lives and that the clocks agree."""
        doors = self.doors
        self.inbox.beat(0.0)
        while True:
            due = doors.monotonic() + BEAT_S
            await doors.sleep(BEAT_S)
            late_s = max(0.0, doors.monotonic() - due)
            self.lag.observe(late_s)
            self.inbox.beat(late_s)
            self.listening.compare_clocks()
            self.upkeep.look()
            if self.holding is not None:
                self.holding.look()
            if self.obeying is not None:
                self.obeying.look()
            if self.watchdog is not None and self.engine.dealer.steps:
                self.watchdog.beat()

    def _keep_holds(self, step: Step) -> None:
        """What the gate holds back outlives this process."""
        if self.holding is not None:
            self.holding.hear(step)

    def _breached(self, breach: Breach) -> None:
        """Something that must never be is: whoever did it may do more, so nothing leaves any more."""
        why = str(breach)
        self.engine.memory.trip(Hold(scope=ALL, mode=Mode.HALT, cause=INVARIANT, why=why, at=self.engine.now))
        self._warn(f"everything is halted: {why}")

    def _journal_failed(self, why: str) -> None:
        """Nothing may leave without its record, so nothing leaves any more; what is heard is watched all the same."""
        self.engine.memory.trip(Hold(scope=ALL, mode=Mode.HALT, cause=NO_JOURNAL, why=why, at=self.engine.now))
        self.outbox.look()

    def _tell(self) -> None:
        """Hands new decision records to the windows."""
        steps, self.steps[:] = list(self.steps), []
        for step in steps:
            self.watch(step)

    def _close(self) -> None:
        """Journal on disk, lock released; called last."""
        if self.watchdog is not None:
            self.watchdog.end()
        try:
            self.journal.close(CLOSE_S)
        finally:
            if self.lock is not None:
                self.lock.release()


def _never() -> bool:
    """A world of its own has no file KILL."""
    return False


async def _until(stop: asyncio.Event) -> None:
    """Waits for the event."""
    await stop.wait()


def _steps(path: Path) -> Iterator[Step]:
    """The decision records of earlier runs, in order, one at a time. Raises JournalError."""
    decoder = msgspec.msgpack.Decoder(Step)
    return (decoder.decode(record.payload) for record in read(path, kind="step"))
