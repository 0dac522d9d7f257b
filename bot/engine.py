"""The one data path: rows go in, the scan runs, and when it stops strategies decide, risk reviews, orders leave.

`advance` never waits. The same function serves live rows one by one and a backtest in blocks; how the rows are cut
into blocks changes nothing (tested byte for byte). Time is the rows' `ts_recv` and the dues derived from them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from bot.backing import Backing
from bot.charging import Charging, next_hour
from bot.dealing import Dealer, Scribe
from bot.depths import Depths
from bot.health_watch import HealthWatch
from bot.judges import Judges, Rules, everything_believed
from bot.marks import marks
from bot.notices import Notices
from bot.permits import Permits
from bot.restore import Restored, restore
from bot.triggers import Trigger, Triggers
from connectors.events import NEVER, Kind, Rows
from connectors.ports import Executor, Levels
from monitoring.facts import BackingState
from strategies.base import Note, Resumes, Step, Strategy
from strategies.execution.exits import Lot
from strategies.execution.latch import Latch
from strategies.execution.ledger import Ledger
from strategies.execution.limits import Limits
from strategies.execution.saga import Rules as TradeRules
from strategies.execution.stops import watch
from strategies.execution.trades import Trades
from strategies.execution.use import Use, use_of
from strategies.market import kernel as K
from strategies.market.columns import Columns
from strategies.market.evidence import Evidence
from strategies.market.funding import Fundings
from strategies.market.pools import Pools

_SESSION, _TIMER, _ANSWER, _MULTIPLIER, _EVIDENCE, _TRADES, _ISSUER, _BOOKS, _CHARGES = range(9)


@dataclass(slots=True)
class Counts:
    """What the engine did, for reports and benchmarks."""

    rows: int = 0
    wakes: int = 0
    dropped_dues: int = 0


class Engine:
    """Columns, strategies, risk, executor, ledger and journal, moved only by rows."""

    def __init__(
        self,
        *,
        columns: Columns,
        strategies: Sequence[Strategy],
        triggers: Sequence[Trigger],
        timed: Sequence[Strategy],
        limits: Limits | None,
        executor: Executor | None,
        ledger: Ledger,
        scribe: Scribe,
        timer_ns: int,
        maintenance_ns: int = 0,
        rules: Rules | None = None,
        seed: int = 0,
        on_step: Sequence[Callable[[Step], None]] = (),
        levels: Mapping[int, Levels] | None = None,
        pools: Pools | None = None,
        evidence: Evidence | None = None,
        evidence_ns: int = NEVER,
        lots: Sequence[Lot] = (),
        trade_rules: TradeRules | None = None,
        fence: str = "",
        borrow_per_day: Mapping[int, Decimal] | None = None,
    ) -> None:
        """Parts that are ready to use; `triggers` stand in the order of the slots that `columns` was built with, and
        `timed` strategies are asked at every tick of the clock. bot/assembly.py puts them together.

        `levels` holds what DEPTH rows tell, by their `extra`; `pools` follow the rows of incentives. Without `limits`
        or `executor` nothing can be traded: wishes are refused by mode. Without `rules` nothing is ever in doubt.
        `lots` say how little of each instrument can be traded, `trade_rules` what may be done for a trade that falls
        short; without them an operator is told at once. `fence` says which start sends, where orders leave the process.
        `borrow_per_day` is what being short of an instrument costs, a part of its worth.
        Without `evidence`, which is asked every `evidence_ns`, only the share's sources say what it is worth.
        """
        self.columns, self.universe = columns, columns.universe
        self.strategies = tuple(strategies)
        self.timed = tuple(timed)
        self.limits, self.executor, self.ledger, self.timer_ns = limits, executor, ledger, timer_ns
        self.evidence, self.evidence_ns = evidence, evidence_ns
        self.fundings = Fundings(self.universe) if evidence is None else evidence.fundings
        self.charging = Charging(columns, ledger, self.fundings.of, borrow_per_day or {})
        self.seed = seed
        """Of the paper venues' chance; it stands in the first record, so that it enters the journal's hash."""
        self.judges = Judges(columns, rules or everything_believed(len(self.universe)))
        self.notices = Notices(columns, maintenance_ns, self.judges)
        self.depths = Depths(columns, self.notices.up, {} if levels is None else levels)
        self.pools = pools or Pools(self.universe, {}, on=False)
        self.health: HealthWatch | None = None
        self.backing: Backing | None = None
        self.counts = Counts()
        self.triggers = Triggers(columns, triggers)
        tradable = None if executor is None else limits
        self.permits = Permits(columns, ledger, strategies, self.judges, self.notices, tradable)
        self.trades = Trades(
            self.universe, worth=self.judges.units.shares, lots=lots, rules=trade_rules, requests=ledger.conversions.all
        )
        self.dealer = Dealer(
            columns=columns,
            ledger=ledger,
            trades=self.trades,
            limits=limits,
            executor=executor,
            scribe=scribe,
            max_open={strategy.name: strategy.max_open for strategy in strategies},
            triggers=self.triggers,
            permits=self.permits,
            levels=self.depths.levels,
            push=lambda due: self._push(due, _ANSWER),
            push_look=lambda due: self._push(due, _TRADES),
            push_issuer=lambda due: self._push(due, _ISSUER),
            push_books=lambda due: self._push(due, _BOOKS),
            fundings=self.fundings.of,
            on_step=on_step,
            fence=fence,
        )
        self.memory = self.dealer.memory
        self.now = 0
        self._dues: list[tuple[int, int, int, int]] = []
        self._due_seq = 0
        self._started = False
        self._restored = Restored()

    def restore(self, steps: Iterable[Step]) -> tuple[str, ...]:
        """Goes on from earlier records, as bot/restore.py says; returns the ids of trades that are not over."""
        self._restored = restore(steps, self.universe, self.ledger, self.memory, self.trades)
        self.dealer.take_up(self._restored.seq)
        self.dealer.comparer.restored(self._restored.begun, self._restored.equal_at, self._restored.accepted)
        for number, multiplier in self._restored.multipliers.items():
            self.judges.multiplied(number, multiplier)
        for number, (basis, multiplier) in self._restored.basis.items():
            self.judges.remember(number, basis, multiplier)
        for number, note in self._restored.pools:
            self.pools.remember(number, note)
        for strategy in self.strategies:
            if isinstance(strategy, Resumes):
                strategy.resume(self._restored.pegs)
        self._heed(self._restored.pegs)
        return tuple(self.trades.open)

    def _heed(self, notes: Iterable[Note]) -> None:
        """A token that has left its peg is no witness until it is back; what is not known changes nothing."""
        evidence = self.evidence
        for note in notes:
            if evidence is not None and note.kind == "peg_state" and note.detail["to"] != "UNKNOWN":
                evidence.depegged(note.instrument, stands=note.detail["to"] == "DEPEGGED")

    # --- time and rows

    def advance(self, rows: Rows) -> None:
        """Takes in what happened, in order, and decides whenever somebody should think."""
        count = len(rows)
        if count == 0:
            return
        if not self._started:
            self._start(int(rows.ts_recv[0]))
        self.counts.rows += count
        columns, ts = self.columns, rows.ts_recv
        followers = [
            one
            for one in (self.depths, self.pools, self.fundings, self.health, self.backing)
            if one is not None and one.begin(rows)
        ]
        at = 0
        while at < count:
            at, why = columns.scan(rows, at, self._dues[0][0])
            for one in followers:
                one.pass_to(at)
            if why == K.DUE:
                self._deliver_before(int(ts[at]))
            elif why != K.END:
                self._wake(rows, at - 1, why)
        self.now = int(ts[-1])

    def hold(self, latch: Latch, notes: Sequence[Note]) -> None:
        """Heeds the latch as it is kept outside, and records what has changed; called between two blocks of rows."""
        self.memory.heed(latch)
        if notes:
            self._record("hold", self.now, notes=notes)

    def expect(self, due: int) -> None:
        """Venues and issuers have something to tell at `due` (ns UTC); for orders that left after their decision."""
        if self.executor is not None:
            self._push(due, _ANSWER)
        self._push(due, _ISSUER)

    def use(self) -> Use:
        """How much of each limit is used now, and how naked trades without an end have been."""
        return use_of(self.dealer.view(self.columns.now), self.limits, self.memory, self.trades.open.values())

    def backing_states(self) -> tuple[BackingState, ...]:
        """How what issuers attest stands against supplies now."""
        return () if self.backing is None else self.backing.states(self.columns.now)

    def finish(self) -> None:
        """The end of a run: what is still due is dropped and counted, and what the books are worth is recorded."""
        self.counts.dropped_dues = sum(1 for due in self._dues if due[2] == _ANSWER)
        if self.ledger.fills:
            self._record("end", self.now, notes=marks(self.columns, self.ledger))

    def _start(self, first: int) -> None:
        """The first row gives the time; the session and the clock begin there."""
        self._started = True
        self.now = first
        self._push(self.columns.enter_session(first) - 1, _SESSION)
        if self.evidence is not None:
            self._push(first + self.evidence_ns, _EVIDENCE)
        self._push(first + self.timer_ns, _TIMER)
        if not self.charging.idle:
            self._push(next_hour(first), _CHARGES)
        self.permits.all(self.now)
        detail: dict[str, float | str] = {
            "session": self.columns.session.label,
            "seed": self.seed,
            "instruments": "\n".join(instrument.name for instrument in self.universe),
            "universe": msgspec.json.encode(self.universe.instruments).decode(),
            "open_trades": ",".join(self.trades.open),
        }
        if self.dealer.fence:
            detail["fence"] = self.dealer.fence
        notes = [Note(kind="start", detail=detail), *self.judges.start(), *self._backing(first), *self._new_day(first)]
        for number, (value, activates_s) in self._restored.announced.items():
            notes += self.notices.announced(number, value, activates_s, first, self._push_multiplier)
        if self._restored.ended:
            notes += self.charging.missed(self._restored.ended, first)
        self.permits.all(self.now)
        self._record("start", first, notes=notes)
        self.dealer.follow(first)
        self.dealer.converter.take_up(first)
        self.dealer.comparer.take_up(first)

    def _push(self, due: int, kind: int, payload: int = 0) -> None:
        """Something must happen after every row with ts <= `due` and before the first with ts > `due`."""
        self._due_seq += 1
        heapq.heappush(self._dues, (due, self._due_seq, kind, payload))

    def _deliver_before(self, ts: int) -> None:
        """Delivers everything that is due before a row of time `ts`, in order of time and submission."""
        while self._dues[0][0] < ts:
            due, _, kind, payload = heapq.heappop(self._dues)
            self.now = due
            if kind == _ANSWER:
                self.dealer.answer(due)
            elif kind == _TRADES:
                self.dealer.look(due)
            elif kind == _ISSUER:
                self.dealer.converter.hear(due)
                self.dealer.follow(due)
            elif kind == _BOOKS:
                self.dealer.comparer.look(due)
            elif kind == _TIMER:
                # Between two rows only the last tick can tell anything new, so the others are passed over.
                self._push(due + max(1, (ts - 1 - due) // self.timer_ns) * self.timer_ns, _TIMER)
                self._tick(due)
            elif kind == _EVIDENCE and self.evidence is not None:
                self._push(due + max(1, (ts - 1 - due) // self.evidence_ns) * self.evidence_ns, _EVIDENCE)
                self.evidence.tick(due, self.notices.up)
            elif kind == _SESSION:
                self._new_session(due)
            elif kind == _CHARGES:
                self._push(next_hour(due), _CHARGES)
                self._charge(due)
            else:
                self._record("due", due, notes=self.notices.activate(payload, due))
                self.permits.all(self.now)

    # --- why Python wakes

    def _wake(self, rows: Rows, at: int, why: int) -> None:
        """The scan stopped on a row: news about it, a trigger, or both."""
        self.counts.wakes += 1
        self.now = now = int(rows.ts_recv[at])
        notes: list[Note] = []
        if why & K.NOTICE:
            notes = self.notices.of_row(rows, at, self._push_multiplier)
            if rows.kind[at] == Kind.HEALTH:
                self.depths.drop(int(rows.instrument[at]))
                if not self.notices.up(int(rows.instrument[at])):
                    self.columns.hush(int(rows.instrument[at]))
            if self.notices.changed_eligibility:
                self.permits.all(self.now)
            if self.notices.reopened and self.columns.fires(int(rows.instrument[at]), now):
                why |= K.TRIGGER
        if why & K.TRIGGER:
            self._triggered(now, notes)
        elif notes:
            self._record("row", now, notes=notes)

    def _triggered(self, now: int, notes: list[Note]) -> None:
        """Asks every strategy whose trigger fired on this row, and lets the trigger rest."""
        asked, groups = self.triggers.fired()
        for group in groups:
            notes = notes + self.judges.before(group, now)
            if self.judges.changed:
                self.permits.all(now)
        for numbers in asked:
            strategy = self.triggers.strategy(numbers)
            traded = self._consult(strategy, now, self.triggers.underlyings(numbers), "trigger", notes)
            notes = []
            self.triggers.rest(numbers, now + (strategy.cooldown_ns if traded else strategy.refusal_backoff_ns))
            if traded:
                self.triggers.hold(strategy, self.memory.open_intents.values())

    def _tick(self, now: int) -> None:
        """The strategies' clock."""
        doubts = self.judges.tick(now)
        notes = [*doubts, *self.notices.of_time(now), *self._backing(now), *self._new_day(now)]
        if self.judges.changed or self.notices.changed_eligibility:
            self.permits.all(self.now)
        if self.health is not None:
            self.health.tick(now)
        for strategy in self.timed:
            self._consult(strategy, now, (), "timer", notes)
            notes = []
        if notes:
            self._record("timer", now, notes=notes)

    def _backing(self, now: int) -> list[Note]:
        """The gate lets nobody buy into what is not backed."""
        if self.backing is None:
            return []
        notes = self.backing.look(now)
        self.memory.unbacked = self.backing.bars
        return notes

    def _new_day(self, now: int) -> list[Note]:
        """The gate looks at profit and exposure: a day begins, a peak is higher, or something is held back."""
        if self.limits is None:
            return []
        notes = watch(self.dealer.view(now), self.limits, self.memory)
        return [*notes, *marks(self.columns, self.ledger)] if any(note.kind == "day" for note in notes) else notes

    def _charge(self, due: int) -> None:
        """What holding has cost until now is taken into the books and recorded."""
        charges, notes = self.charging.at(due)
        if charges or notes:
            self.dealer.record("charge", due, notes=notes, charges=charges)

    def _new_session(self, due: int) -> None:
        """A session begins at due + 1."""
        before = self.columns.session
        change = self.columns.enter_session(due + 1)
        self._push(change - 1 if change < NEVER else NEVER, _SESSION)
        self.permits.all(self.now)
        detail: dict[str, float | str] = {"from": before.label, "to": self.columns.session.label}
        self._record("session", due, notes=[Note(kind="session", detail=detail)])

    def _push_multiplier(self, due: int, payload: int) -> None:
        self._push(due, _MULTIPLIER, payload)

    # --- deciding

    def _consult(self, strategy: Strategy, now: int, woken: tuple[str, ...], cause: str, notes: list[Note]) -> bool:
        """Decide, review, record, submit. True where something was approved."""
        view = self.dealer.view(now, woken)
        decision = strategy.decide(view)
        self._heed(decision.notes)
        if decision.wishes or decision.conversions:
            return self.dealer.decided(decision, view, cause, notes)
        if decision.notes or notes:
            self._record(cause, now, notes=(*notes, *decision.notes))
        return False

    def _record(self, cause: str, now: int, *, notes: Sequence[Note]) -> None:
        """Writes down what was noted."""
        self.dealer.record(cause, now, notes=notes)
