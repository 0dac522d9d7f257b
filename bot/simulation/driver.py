"""Plays a scene: the real bot on virtual time, through every crash, until the market is over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from bot.assembly import Assembly, assemble
from bot.exposure import Exposure
from bot.guard import guarded, guarded_issuers
from bot.holding import Holding
from bot.holds import Holds
from bot.invariants import Breach, Invariants
from bot.outbox import Outbox
from bot.simulation.canary import leaks, planted, secret
from bot.simulation.checks import TOLD_WRONG, Truth
from bot.simulation.custody import attested, with_supplies
from bot.simulation.desk import IssuerDesk, MortalDesk, OwnAccount
from bot.simulation.disk import Crashed, Disk
from bot.simulation.fault import Event, Hand
from bot.simulation.isolation import Isolation
from bot.simulation.outcome import Outcome, outcome_of, struck_of
from bot.simulation.scene import Scene, market, stage
from bot.simulation.signs import unseen
from bot.simulation.staging import dies_sending, disk_faults, hands, looks, world_of
from bot.simulation.window import Window
from bot.watched import watched, watched_issuers
from connectors.client_ids import Fence
from connectors.events import NEVER, NS, Rows
from connectors.simulated.exchange import Exchange
from connectors.simulated.short import START_NS, Records
from strategies.base import Step, Strategy
from strategies.execution.latch import ALL, JOURNAL, OPERATOR, Hold, Mode

DOWN_NS: Final = 2 * NS
"""From a crash to the first row that the next process hears."""
LOOK_NS: Final = NS // 2
"""How long after a command the daemon looks at its folder."""
COMPARE_NS: Final = 60 * NS
PATIENCE_NS: Final = 5 * NS
MEDDLE: Final = frozenset({Event.WITHDRAWAL, Event.FOREIGN, Event.RIGHTS, *TOLD_WRONG})
"""Faults after which only an operator can make an account and the books equal."""
WHO: Final = "selftest"
INSTALLATION: Final = "5e1f7e"
"""In client ids."""


class Driver:
    """One scene. What outlives a crash is kept here: the world, the disk, the state folder, and what was found."""

    def __init__(
        self,
        scene: Scene,
        state: Path,
        more: Callable[[], Sequence[Strategy]] = tuple,
        records: Records | None = None,
        without: Sequence[str] = (),
    ) -> None:
        """`state` is an empty folder for holds; `more` makes strategies that think in each process beside those of the
        config, `without` names some of those that do not; `records` are a market in place of the seed's."""
        self.scene, self._more = scene, more
        common = stage()
        thinking = common.config.strategies.model_copy(update=dict.fromkeys(without))
        config = planted(common.config.model_copy(update={"strategies": thinking}), state)
        config = attested(config, scene, state)
        self.stage = common._replace(config=config)
        self.breaches: list[Breach] = []
        self.now = START_NS
        self.parts: Assembly | None = None
        records = with_supplies(market(scene.seed).records if records is None else records, scene)
        self.world = world_of(scene, self._clock, records)
        self.opening = {name: dict(venue.balances) for name, venue in self.world.outside.venues.items()}
        """What lies at each venue and is not the books' business, by asset."""
        self.disk = Disk(disk_faults(scene))
        self.state, self.holds = state, Holds(state)
        self.warned: list[str] = []
        """What the operator was warned of."""
        self.truth = Truth(self.world.outside, self.breaches.append)
        self.isolation = Isolation(scene.faults, self.stage.universe, self.world.rows, self.breaches.append)
        self.lives: list[int] = []
        """When each process began, ns UTC."""
        self.worst_usd_s = 0.0
        self.sendings = 0
        """Orders that were handed to the venues."""
        self._dies_sending = dies_sending(scene)
        self._hands = hands(scene)
        self._looks = looks(scene)
        self.window = Window(self.stage.config, self.disk)

    def run(self) -> Outcome:
        """From the first row to the last one."""
        rows, at = self.world.rows, 0
        while self.parts is None:
            try:
                self._live(rows[at:])
            except Crashed as crash:
                self.now = crash.now
                self._end_of_life()
                at = min(int(np.searchsorted(rows.ts_recv, crash.now + DOWN_NS)), len(rows) - 1)
        engine = self.parts.engine
        self.window.scrape(engine.now)
        self.world.outside.pass_to(engine.now)
        self.truth.at_end(engine, {one.where for one in self.scene.faults if one.kind in MEDDLE})
        self.worst_usd_s = max(self.worst_usd_s, self.exposure.worst_usd_s)
        self.breaches += [*unseen(self, struck_of(self)), *leaks(self, self.state)]
        return outcome_of(self)

    def _end_of_life(self) -> None:
        """The process is gone: what it had not written is lost, and nobody hears what was still to be told."""
        self.window.scrape(self.now)
        self.parts = None
        self.disk.reopen(self.now)
        self.worst_usd_s = max(self.worst_usd_s, self.exposure.worst_usd_s)
        for issuer in self.world.outside.issuers.values():
            issuer.hang_up()

    def _live(self, rows: Rows) -> None:
        """One life over the rows that are left. Raises Crashed."""
        self.lives.append(int(rows.ts_recv[0]))
        while self._hands and self._hands[0][0] < rows.ts_recv[0]:
            self._act()
        while self._looks and self._looks[0] < rows.ts_recv[0]:
            self._looks.pop(0)
        holding = self._begin()
        assert self.parts is not None
        engine = self.parts.engine
        engine.advance(rows[:1])
        holding.look()
        at = 1
        while self._hands:
            at = self._advance(rows, at, self._hands[0][0])
            at = self._advance(rows, at, self._act() + LOOK_NS)
            self.now += LOOK_NS
            holding.look()
        self._advance(rows, at, NEVER)
        engine.finish()

    def _advance(self, rows: Rows, at: int, until: int) -> int:
        """Hears the rows before a moment, with a look at the metrics where one is due; gives the place of the next."""
        while self._looks and self._looks[0] <= until:
            look = self._looks.pop(0)
            at = self._hear(rows, at, look)
            self.isolation.look(self.window.scrape(look), self.lives[-1])
        return self._hear(rows, at, until)

    def _hear(self, rows: Rows, at: int, until: int) -> int:
        """Hears the rows before a moment."""
        assert self.parts is not None
        end = max(at, int(np.searchsorted(rows.ts_recv, until)))
        self.parts.engine.advance(rows[at:end])
        return end

    def _begin(self) -> Holding:
        """A new process over what is durable."""
        config, universe, sessions = self.stage
        outside = self.world.outside
        exchanges = {
            name: Exchange(
                venue, latency_ns=round((config.venues[name].latency_ms or 0.0) * 1e6), key=secret(config, name)
            )
            for name, venue in outside.venues.items()
        }
        invariants = Invariants(self.breaches.append, self.disk)
        desk = MortalDesk(outside, exchanges, self.truth, self.disk, self._dies)
        self.outbox = outbox = Outbox(self.disk, stopped=self.holds.flagged, clock=self._clock)
        issuers = {name: IssuerDesk(issuer, self.truth) for name, issuer in outside.issuers.items()}
        holding: list[Holding] = []
        shown: list[Callable[[Step], None]] = []

        def hear(step: Step) -> None:
            self.truth.hear(step)
            self.isolation.hear(step)
            invariants.hear(step)
            self.exposure.hear(step)
            for one in holding:
                one.hear(step)
            for show in shown:
                show(step)

        self.parts = parts = assemble(
            config,
            universe,
            sessions,
            self.disk,
            executor=guarded(watched(desk, invariants), outbox),
            issuers=guarded_issuers(watched_issuers(lambda usd, shares: issuers, invariants), outbox),
            seed=self.scene.seed,
            on_step=(hear,),
            more=self._more(),
            fence=str(Fence(INSTALLATION, len(self.lives))),
        )
        outbox.push = self.disk.expect = parts.engine.expect
        self.disk.on_failure = self._disk_failed
        self.exposure = Exposure(parts.columns, parts.least)
        earlier = list(self.disk.steps())
        for step in earlier:
            self.exposure.hear(step)
        parts.engine.restore(invariants.remembering(earlier))
        invariants.watch(parts.engine)
        shown.append(self.window.begin(parts))
        accounts = {name: OwnAccount(exchange, self.opening[name], outside) for name, exchange in exchanges.items()}
        parts.engine.dealer.comparer.connect(accounts, every_ns=COMPARE_NS, patience_ns=PATIENCE_NS)
        holding.append(Holding(self.holds, parts.engine, self._clock, self.warned.append))
        return holding[0]

    def _clock(self) -> int:
        """Virtual time, ns UTC."""
        return max(self.now, self.parts.engine.now if self.parts is not None else 0)

    def _disk_failed(self, why: str) -> None:
        """As the daemon does: nothing is recorded any more, so nothing leaves."""
        assert self.parts is not None
        hold = Hold(scope=ALL, mode=Mode.HALT, cause=JOURNAL, why=why, at=self._clock())
        self.window.scrape(hold.at)
        self.parts.engine.memory.trip(hold)
        self.outbox.look()

    def _dies(self) -> bool:
        """Whether the process dies of this sending."""
        self.sendings += 1
        return self.sendings in self._dies_sending

    def _act(self) -> int:
        """The operator holds the next thing back, or lets it go on; gives the moment, ns UTC."""
        self.now, fault, back = self._hands.pop(0)
        kill = fault.kind is Hand.KILL
        one = self.stage.universe[self.stage.universe.number(fault.where)] if fault.where else None
        scope, mode = (ALL, Mode.HALT) if kill or one is None else (f"token:{one.token}", Mode.REDUCE)
        if back:
            self.holds.resume(scope, (mode,), why="selftest", by=WHO, now=self.now)
            return self.now
        hold = Hold(scope=scope, mode=mode, cause=OPERATOR, why="selftest", by=WHO, at=self.now)
        (self.holds.kill if kill else self.holds.set)(hold)
        return self.now


def play(scene: Scene) -> Outcome:
    """Runs one scene in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="pegline-scene-", dir=_memory()) as state:
        return Driver(scene, Path(state)).run()


def _memory() -> str | None:
    """A folder that is no disk, where there is one: a scene writes a lot that nobody will read."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
