"""From wishes to orders and from answers to books: review, record, submit; and what trades under way still need.

Nothing is sent before the record that allows it is chained. What a venue answers is folded into the trades and the
ledger, and then every trade is asked what it needs next, until none needs anything now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import structs

from bot.books import ColumnBooks
from bot.comparing import Comparer
from bot.converting import Converter
from bot.permits import Permits
from bot.triggers import Triggers
from connectors.events import NEVER
from connectors.orders import PLANS, Approved, Charge, Conversion, Intent, Progress, Reason, Refused, Report
from connectors.ports import Asked, Executor, Levels
from strategies.base import Decision, Note, Step, View
from strategies.execution.folding import fold
from strategies.execution.latch import TRADE, Hold, Mode
from strategies.execution.ledger import Ledger
from strategies.execution.limits import Limits
from strategies.execution.memory import Memory
from strategies.execution.risk import review
from strategies.execution.saga import ENDS, Stage, first_round
from strategies.execution.stops import told
from strategies.execution.stops import wished as count_wish
from strategies.execution.trades import Trades
from strategies.market.columns import Columns
from strategies.market.funding import Funding


class Scribe(Protocol):
    """Where decision records go: the journal, or a list in a test."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Takes one record; never waits for the disk."""


class Dealer:
    """Whoever decides goes through here; it holds what the review remembers and what trades are under way."""

    def __init__(
        self,
        *,
        columns: Columns,
        ledger: Ledger,
        trades: Trades,
        limits: Limits | None,
        executor: Executor | None,
        scribe: Scribe,
        max_open: dict[str, int],
        triggers: Triggers,
        permits: Permits,
        levels: Callable[[int, int], Levels | None],
        push: Callable[[int], None],
        push_look: Callable[[int], None],
        push_issuer: Callable[[int], None],
        push_books: Callable[[int], None],
        fundings: Mapping[int, Funding],
        on_step: Sequence[Callable[[Step], None]],
        fence: str = "",
    ) -> None:
        """`push` asks for `answer` at a moment (ns), `push_look` for `look`, `push_issuer` for `converter.hear`,
        `push_books` for `comparer.look`; `fundings` is what venues told of perps last, `on_step` hears every record.
        `fence` stands in the client ids of all that this run sends."""
        self.columns, self.ledger, self.trades, self.limits = columns, ledger, trades, limits
        self.executor, self.scribe, self.max_open = executor, scribe, max_open
        self.asked = executor if isinstance(executor, Asked) else None
        self.triggers, self.permits, self.levels = triggers, permits, levels
        self.push, self.push_look = push, push_look
        self.fundings = fundings
        self.on_step, self.fence = tuple(on_step), fence
        self.memory = Memory()
        self.books = ColumnBooks(columns, levels)
        self.converter = Converter(
            ledger,
            limits,
            record=self.record,
            push=push_issuer,
            latch=lambda: self.memory.latch,
            differs=lambda number: self.memory.differs.get(number, ""),
            unbacked=lambda number: self.memory.unbacked.get(number, ""),
        )
        self.comparer = Comparer(
            columns, ledger, trades, self.memory, self.asked, fence=fence, record=self.record, push=push_books,
            push_answer=push, heard=self.heard,
        )  # fmt: skip
        self.seq = self.steps = 0
        """Of the last record; and how many this run has written."""
        self._look = NEVER
        self._encode = msgspec.msgpack.Encoder(decimal_format="string").encode

    def take_up(self, seq: int) -> None:
        """Goes on behind record `seq`, with the trades that were restored."""
        self.seq = seq
        self.trades.taken_up()
        for leg in self.trades.live_legs():
            self.ledger.reserve(leg)

    def view(self, now: int, woken: tuple[str, ...] = ()) -> View:
        """What may be read at a moment."""
        return View(
            self.columns,
            self.ledger,
            now,
            seq=self.seq + 1,
            woken=woken,
            levels=self.levels,
            desks=self.converter.primaries,
            fundings=self.fundings,
            under_way=self.trades.under_way_in,
        )

    # --- wishes

    def decided(self, decision: Decision, view: View, cause: str, notes: Sequence[Note]) -> bool:
        """Reviews, records and submits what a strategy wishes. True where something was approved."""
        now, barred, wishes = view.now, list[Refused](), list[Intent]()
        wished = self._fenced(decision.wishes)
        for wish in wished:
            objection = self._off() or _no_opening(wish) or self.trades.objection(wish, now, beside=wishes)
            objection = objection or self.converter.foresees(wish, view)
            if objection is None:
                wishes.append(wish)
            else:
                barred.append(Refused(intent=wish, reason=objection[0], detail=objection[1]))
                if self.limits is not None:
                    count_wish(wish, self.limits, self.memory, now)
        approved, refused = self._review(tuple(wishes), view)
        passed, whys = self.converter.decided(decision.conversions, view)
        noted = (*notes, *decision.notes, *told(self.memory), *whys)
        self._deal(cause, now, wished, approved, (*barred, *refused), noted, conversions=passed)
        if approved:
            self._look_by(now + min(self.trades.rules.answer_within_ns, self.trades.rules.page_after_ns))
        return bool(approved or passed)

    def _fenced(self, wishes: tuple[Intent, ...]) -> tuple[Intent, ...]:
        """Wishes under the client ids of this run."""
        return tuple(structs.replace(wish, fence=self.fence) for wish in wishes) if self.fence else wishes

    def _off(self) -> tuple[Reason, str] | None:
        """Why nothing at all may be traded."""
        if self.limits is None or self.executor is None:
            return Reason.MODE, "nothing is traded in this run: it has no limits or no executor"
        return None

    def _review(self, wishes: tuple[Intent, ...], view: View) -> tuple[tuple[Approved, ...], tuple[Refused, ...]]:
        if not wishes:
            return (), ()
        off = self._off()
        if off is not None:
            return (), tuple(Refused(intent=wish, reason=off[0], detail=off[1]) for wish in wishes)
        assert self.limits is not None
        return review(wishes, view, self.limits, self.memory, self.max_open, self.trades.open_shares())

    def _deal(
        self,
        cause: str,
        now: int,
        wishes: tuple[Intent, ...],
        approved: Sequence[Approved],
        refused: tuple[Refused, ...],
        notes: tuple[Note, ...],
        reports: tuple[Report, ...] = (),
        conversions: tuple[Conversion, ...] = (),
    ) -> None:
        """Records, and only then sends."""
        passed = tuple([order.intent.id for order in approved])
        self.record(
            cause, now, notes=notes, wishes=wishes, refused=refused, approved=passed, reports=reports,
            conversions=conversions,
        )  # fmt: skip
        for order in approved:
            self._submit(Approved(first_round(order.intent)), now)
        self.converter.send(conversions, now)

    def _submit(self, order: Approved, now: int) -> None:
        """Sends an approved order; its answers are dues on paper, rows in the real world."""
        assert self.executor is not None
        for leg in order.intent.legs:
            self.ledger.reserve(leg)
        for due in self.executor.submit(order, now):
            self.push(due)

    # --- answers

    def answer(self, due: int) -> None:
        """What has become of the orders that are due."""
        assert self.executor is not None
        self.books.now = due
        reports = self.executor.answer(due, self.books)
        if reports:
            self.heard(reports, due)

    def heard(self, reports: Sequence[Report], now: int) -> None:
        """Venues told something: into trades, ledger and books; then what that asks for is done."""
        odd: list[Note] = []
        reports = [self.trades.named(report) for report in reports]
        for report in reports:
            odd += self._book(report, now)
        self.follow(now, "due", tuple(odd), tuple(reports))

    def _book(self, report: Report, now: int) -> list[Note]:
        """Folds one report; what is filled is size that the venue no longer shows."""
        order = self.trades.order(report)
        if order is None:
            return [self._of_no_trade(report, now)]
        final = order.final
        notes = self.trades.heard(report, now)
        if order.final is not final:
            self.ledger.reserve(order.leg, release=order.final)
        taken = self.ledger.take(report, seen=order.leg.seen, strategy=self.trades.strategy(report))
        for fill in taken.new:
            self.columns.take(fill.instrument, float(fill.quantity), bid=fill.side == "sell")
            self.permits.room(fill.instrument, now)
            self.memory.funds.hear(fill, self.columns.universe[fill.instrument].venue)
        for fill in taken.undone:
            self.permits.room(fill.instrument, now)
            self.memory.funds.hear(fill, self.columns.universe[fill.instrument].venue, undone=True)
        return notes

    def _of_no_trade(self, report: Report, now: int) -> Note:
        """Books what an order filled that no trade knows. Nobody hedges that, so its share may only be reduced until an
        operator says so."""
        for fill in report.fills:
            if self.ledger.fill(fill, seen=fill.price):
                one = self.columns.universe[fill.instrument]
                self.memory.funds.hear(fill, one.venue)
                self.permits.room(fill.instrument, now)
                why = f"no trade knows {report.client_id}, which did {fill.side.value} {fill.quantity:f} at {one.name}"
                scope = f"underlying:{one.underlying}"
                self.memory.trip(Hold(scope=scope, mode=Mode.REDUCE, cause=TRADE, why=why, at=now))
        detail: dict[str, float | str] = {"client_id": report.client_id, "fills": float(len(report.fills))}
        return Note(kind="unknown_order", detail=detail)

    def follow(
        self, now: int, cause: str = "trade", notes: tuple[Note, ...] = (), reports: tuple[Report, ...] = ()
    ) -> None:
        """Does what trades need now, round by round, until they need nothing more; then asks venues what is overdue.

        What was heard is in the first record, with what follows from it at once.
        """
        while True:
            view = self.view(now)
            thought = self.trades.think(view)
            passed, whys = self.converter.decided(thought.conversions, view, completes=True)
            notes = (*notes, *thought.notes, *whys)
            if not (notes or thought.wishes or reports or passed):
                break
            self._page(thought.notes, now)
            ended = [note for note in thought.notes if note.detail.get("stage") in ENDS]
            wished = self._fenced(thought.wishes)
            approved, refused = self._review(wished, view)
            noted = (*notes, *told(self.memory))
            self._deal(cause, now, wished, approved, refused, noted, reports, conversions=passed)
            for note in ended:
                self._ended(str(note.detail["trade"]))
            cause, notes, reports = "trade", (), ()
            if self.trades.idle:
                break
        if self.asked is not None and self.trades.open:
            self._ask(self.asked, now)
        self._look_by(self.trades.due(now, asked=self.asked is not None))

    def _page(self, notes: Sequence[Note], now: int) -> None:
        """What an operator must look at is only reduced until he says so."""
        for note in notes:
            paged = note.detail.get("stage") == Stage.PAGED
            why = str(note.detail.get("why", "") if paged else note.detail.get("reduce_only", ""))
            if why:
                scope = f"underlying:{note.underlying}"
                self.memory.trip(Hold(scope=scope, mode=Mode.REDUCE, cause=TRADE, why=why, at=now))

    def _ended(self, trade: str) -> None:
        """A trade has come to its end: its strategy may open another one."""
        strategy = self.memory.open_intents.pop(trade, None)
        if strategy is not None:
            self.triggers.free(strategy)

    def _ask(self, asked: Asked, now: int) -> None:
        """Asks venues about orders whose answer is overdue."""
        asks = self.trades.asks(now)
        if asks.notes:
            self.record("trade", now, notes=asks.notes)
        for client_id, instrument in asks.cancels:
            for due in asked.cancel(client_id, instrument, now):
                self.push(due)
        for client_id, instrument in asks.queries:
            for due in asked.query(client_id, instrument, now):
                self.push(due)

    def look(self, now: int) -> None:
        """It is time to look at trades without an answer."""
        self._look = NEVER
        self.follow(now)

    def _look_by(self, due: int) -> None:
        """Sees that trades are looked at by `due` (ns), whether a venue says something or not."""
        if due < self._look:
            self._look = due
            self.push_look(due)

    # --- records

    def record(
        self,
        cause: str,
        now: int,
        *,
        notes: Sequence[Note] = (),
        wishes: tuple[Intent, ...] = (),
        refused: tuple[Refused, ...] = (),
        approved: tuple[str, ...] = (),
        reports: tuple[Report, ...] = (),
        conversions: tuple[Conversion, ...] = (),
        progress: tuple[Progress, ...] = (),
        charges: tuple[Charge, ...] = (),
    ) -> None:
        """Writes one decision record, before anything that it allows is sent, and folds it into the trades."""
        self.seq += 1
        self.steps += 1
        step = Step(
            seq=self.seq,
            ts=now,
            cause=cause,
            notes=tuple(notes),
            wishes=wishes,
            refused=refused,
            approved=approved,
            reports=reports,
            conversions=conversions,
            progress=progress,
            charges=charges,
        )
        self.scribe.append("step", now, self._encode(step))
        for listen in self.on_step:
            listen(step)
        fold(self.trades, step)


def _no_opening(wish: Intent) -> tuple[Reason, str] | None:
    """What speaks against a strategy's wish that calls itself a later round: those are made by the trades alone, and
    a strategy's holds and its pace are for what it begins."""
    if wish.purpose in PLANS and not wish.trade:
        return None
    return Reason.MALFORMED, f"a strategy may not {wish.purpose.value} {wish.trade or 'without a trade'} itself"
