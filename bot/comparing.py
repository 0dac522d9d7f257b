"""Books and venues compared while the bot runs: at the start, periodically, and sooner where they do not agree.

Until a venue's account is equal to the books, what differs there may only be reduced; all else trades on. A fill of
ours that only the venue tells is booked with the venue's own id. An order of ours that nobody waits for is cancelled.
What is not ours is told, and neither booked nor cancelled. Beyond that only an operator's word changes the books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from bot.marks import coin_usd, unit_usd
from connectors.client_ids import Fence, fence_of
from connectors.events import NEVER, NS
from connectors.instruments import USD, Role
from connectors.orders import Outcome, Report, Statement
from connectors.ports import Account, Asked
from monitoring.facts import AccountState
from strategies.base import Note
from strategies.execution.adjusting import Adjustment, adjust, note_of
from strategies.execution.latch import ALL, FENCE, Hold, Mode
from strategies.execution.ledger import ZERO, Ledger
from strategies.execution.memory import DAY_NS, Memory
from strategies.execution.own_books import knows, own_books
from strategies.execution.reconcile import Difference, Kind, compare, reduce_only
from strategies.execution.trades import Trades
from strategies.market.columns import Columns

OVERLAP_NS: Final = 600 * NS
"""Fills are asked for from so long before the last moment at which both were equal."""
PASSES: Final = 3
"""So many times in a row a difference may be the doing of young orders."""
_ACCEPTED: Final = frozenset({Kind.EXTRA_FILL, Kind.FILL_DIFFERS})
"""Differences about a fill; what they mean for balances differs there too, and is adjusted there."""


class Told(msgspec.Struct):
    """How a venue's account stands against the books."""

    venue: str
    as_of: int = 0
    """Of the last statement, ns UTC; 0: none yet."""
    equal_at: int = 0
    """Of the last one that was equal."""
    state: str = ""
    """equal or differ, as this run's records tell it; empty: not yet."""
    differences: tuple[Difference, ...] = ()


AccountsOf = Callable[[Ledger], Mapping[str, Account]]
"""From the ledger of a run to the accounts at its venues, by name."""


class Recorder(Protocol):
    """Who writes a decision record."""

    def __call__(self, cause: str, now: int, *, notes: Sequence[Note] = ()) -> None:
        """Writes one."""


class Comparer:
    """Reads accounts and holds them against the books. Without accounts nothing is compared and nothing barred."""

    def __init__(
        self,
        columns: Columns,
        ledger: Ledger,
        trades: Trades,
        memory: Memory,
        asked: Asked | None,
        *,
        fence: str,
        record: Recorder,
        push: Callable[[int], None],
        push_answer: Callable[[int], None],
        heard: Callable[[Sequence[Report], int], None],
    ) -> None:
        """`push` asks for `look` at a moment (ns), `push_answer` for the executor's; `heard` takes what venues told."""
        self.columns, self.universe, self.ledger, self.trades = columns, columns.universe, ledger, trades
        self.memory, self.asked, self.fence = memory, asked, Fence.of(fence) if fence else None
        self._record, self._push, self._push_answer, self._heard = record, push, push_answer, heard
        self.accounts: Mapping[str, Account] = {}
        self.told: dict[str, Told] = {}
        """By venue."""
        self.every_ns = self.patience_ns = 0
        self.begun = 0
        """When these books began, ns UTC."""
        self.accepted: set[tuple[str, str, str]] = set()
        """Differences that an operator has accepted."""
        self._next = NEVER
        self._passed: dict[str, Counter[str]] = {}
        """By venue and subject, how often in a row a difference has passed for the doing of young orders."""
        self._since: dict[str, int] = {}

    def connect(self, accounts: Mapping[str, Account], *, every_ns: int, patience_ns: int = 10 * NS) -> None:
        """Accounts by venue, how often they are read, and how long news of an order may take."""
        self.accounts, self.every_ns, self.patience_ns = dict(accounts), every_ns, patience_ns

    def restored(self, begun: int, equal_at: Mapping[str, int], accepted: set[tuple[str, str, str]]) -> None:
        """What earlier records tell: when they began, when each venue was equal last, and what was accepted."""
        self.begun, self.accepted = begun, accepted
        self.told = {venue: Told(venue, equal_at=at) for venue, at in equal_at.items()}

    def take_up(self, now: int) -> None:
        """A run begins: nothing is opened at a venue with an account before that is equal."""
        self.begun = self.begun or now
        self.told = {venue: self.told.get(venue, Told(venue)) for venue in self.accounts}
        for venue in self.accounts:
            for at in self.universe.at(venue):
                self.memory.differs[at] = f"{venue} was not compared with the books since the start"
        self._read(now)

    def look(self, now: int) -> None:
        """Takes what accounts tell at `now`, and reads them where it is time."""
        for account in self.accounts.values():
            for statement in account.statements(now):
                self._compare(statement, now)
        if now >= self._next:
            self._read(now)

    def states(self) -> list[AccountState]:
        """How every account stands that was read."""
        return [
            AccountState(venue=one.venue, as_of_ns=one.as_of, equal_ns=one.equal_at,
                         differences=sum(difference.kind.bars for difference in one.differences))
            for one in self.told.values() if one.as_of
        ]  # fmt: skip

    # --- reading

    def _read(self, now: int) -> None:
        """Asks every account."""
        self._soon(now, self.every_ns, anew=True)
        recent = self.ledger.recent
        oldest = recent[0].ts + 1 if len(recent) == recent.maxlen else 0
        for venue, account in self.accounts.items():
            self._since[venue] = max((self.told[venue].equal_at or self.begun) - OVERLAP_NS, oldest, 0)
            for due in account.read(self._since[venue], now):
                self._push(due)

    def _soon(self, now: int, wait_ns: int, *, anew: bool = False) -> None:
        """Sees that accounts are read within `wait_ns`."""
        if self.accounts and (anew or now + wait_ns < self._next):
            self._next = now + wait_ns
            self._push(self._next)

    def ours(self, client_id: str) -> bool:
        """Whether an order is one of this state folder: by its mark, or since a trade knows it."""
        fence = fence_of(client_id)
        marked = fence is not None and self.fence is not None and fence.installation == self.fence.installation
        return marked or knows(self.trades, client_id)

    # --- comparing

    def _compare(self, statement: Statement, now: int) -> None:
        """Holds one statement against the books, tells what has changed, and does what follows from it."""
        told, since = self.told[statement.venue], self._since[statement.venue]
        books = own_books(self.ledger, self.trades, told.venue, since)
        found = compare(
            books, statement, self.universe, ours=self.ours, since=since, patience_ns=self.patience_ns
        )  # fmt: skip
        known = {_key(one) for one in told.differences}
        found = self._settled(told, found, known)
        firm = tuple(one for one in found if not one.passing)
        fresh = [one for one in firm if _key(one) not in known]
        told.as_of, told.differences = statement.as_of, firm
        differs = self._bar(told.venue, found)
        notes = [_difference_note(one, self.universe[one.instruments[0]].underlying) for one in fresh]
        if differs or firm == found:
            notes += self._stands(told, "differ" if differs else "equal")
        if notes:
            self._record("books", now, notes=notes)
        self._act(firm, now)
        if firm != found or any(one.kind is not Kind.UNREAD for one in fresh):
            self._soon(now, self.patience_ns)

    def _settled(
        self, told: Told, found: Iterable[Difference], known: Container[tuple[Kind, str, str]]
    ) -> tuple[Difference, ...]:
        """Without what was accepted. What is known, or has passed for the doing of young orders too often, does so no
        more."""
        found = [one for one in found if (one.venue, one.kind.value, one.subject) not in self.accepted]
        before = self._passed.get(told.venue, Counter())
        passed = Counter({one.subject: before[one.subject] + 1 for one in found if one.passing})
        self._passed[told.venue] = passed
        return tuple(
            msgspec.structs.replace(
                one, passing=one.passing and passed[one.subject] <= PASSES and _key(one) not in known
            )
            for one in found
        )

    def _stands(self, told: Told, state: str) -> list[Note]:
        """The venue is equal or differs: a note where that is news, and once a day."""
        before, newest = told.state, told.equal_at
        told.state = state
        if state == "equal":
            told.equal_at = told.as_of
        news = state != before or told.equal_at // DAY_NS != newest // DAY_NS
        return [_books_note(told, before)] if news else []

    def _bar(self, venue: str, found: Sequence[Difference]) -> bool:
        """Lets only reduce what differs, and trade again what does not. True where something differs."""
        differs, barred = self.memory.differs, reduce_only(one for one in found if not one.passing)
        unsure = {at for one in found if one.passing for at in one.instruments}
        for at in self.universe.at(venue):
            if at in barred:
                differs[at] = barred[at]
            elif at not in unsure:
                differs.pop(at, None)
        return bool(barred)

    def _act(self, found: Sequence[Difference], now: int) -> None:
        """Books fills that were missing, and cancels orders of ours that nobody waits for."""
        reports = [
            Report(client_id=one.fill.client_id, intent_id="", leg=0, outcome=Outcome.ACCEPTED, fills=(one.fill,),
                   detail="told by the venue's list of fills", final=False)
            for one in found if one.kind is Kind.MISSING_FILL and one.fill is not None
        ]  # fmt: skip
        if reports:
            self._heard(reports, now)
        for one in found:
            if one.kind is Kind.UNKNOWN_ORDER:
                self._lost(one, now)

    def _lost(self, one: Difference, now: int) -> None:
        """An order of ours of which the books know nothing is cancelled, unless a later start of this folder sent it:
        then somebody works with a copy of it, and two of us may not trade."""
        fence = fence_of(one.subject)
        if fence is not None and self.fence is not None and fence.start > self.fence.start:
            why = f"{one.venue} has an order of a later start ({one.subject}): a copy of this state folder trades"
            if not any(hold.cause == FENCE for hold in self.memory.latch.holds):
                self.memory.trip(Hold(scope=ALL, mode=Mode.HALT, cause=FENCE, why=why, at=now))
        elif self.asked is not None:
            for due in self.asked.cancel(one.subject, one.instruments[0], now):
                self._push_answer(due)

    # --- an operator's word

    def adjustable(self, one: Difference) -> bool:
        """Whether an operator's word about the books can end it."""
        return one.kind is Kind.BALANCE or one.kind in _ACCEPTED

    def agree(self, venue: str, kind: str, subject: str, amount: str, *, reason: str, by: str, now: int) -> str:
        """Adjusts the books by one difference, as it was seen; gives why not, empty where it was done."""
        told = self.told.get(venue, Told(venue))
        seen = [o for o in told.differences if (o.kind.value, o.subject, f"{o.amount:f}") == (kind, subject, amount)]
        if not seen:
            return "it does not stand any more as it was seen"
        one = seen[0]
        if not self.adjustable(one):
            return "this is no matter of the books"
        made = self._adjustment(one, reason, by)
        if isinstance(made, str):
            return made
        underlying = self.universe[made.instrument].underlying if made.instrument >= 0 else ""
        self._record("operator", now, notes=[note_of(made, underlying)])
        self.adjusted(made)
        told.differences = tuple(other for other in told.differences if other is not one)
        self._soon(now, 0)
        return ""

    def adjusted(self, made: Adjustment) -> None:
        """Applies what is recorded."""
        adjust(self.ledger, made)
        if not made.amount:
            self.accepted.add(made.key)

    def _adjustment(self, one: Difference, reason: str, by: str) -> Adjustment | str:
        """What a difference is made of, or why it cannot be."""
        made = Adjustment(
            venue=one.venue, why=one.kind.value, subject=one.subject, evidence=one.evidence, reason=reason, by=by
        )
        if one.kind is not Kind.BALANCE:
            return made
        of = [at for at in self.universe.at(one.venue) if self.universe[at].asset == one.subject]
        number = next((at for at in of if self.universe[at].role is not Role.COIN), -1)
        usd = self._usd(one.subject, number)
        if usd is None:
            return f"{one.subject} has no price now, so it cannot be told what the adjustment is worth"
        return msgspec.structs.replace(made, instrument=number, amount=one.amount, usd=usd)

    def _usd(self, asset: str, number: int) -> Decimal | None:
        """USD per unit of an instrument, or (-1) per coin; None where unknown."""
        if number >= 0:
            return unit_usd(self.columns, number)
        return coin_usd(self.columns, asset) if asset in (*self.columns.coins, USD) else None


def _key(one: Difference) -> tuple[Kind, str, str]:
    """What makes a difference another one than that of before."""
    return one.kind, one.subject, f"{one.amount:f}"


def _difference_note(one: Difference, underlying: str) -> Note:
    """One difference, as a record holds it."""
    detail: dict[str, float | str] = {
        "venue": one.venue, "what": one.kind.value, "subject": one.subject, "evidence": one.evidence,
    }  # fmt: skip
    if one.amount != ZERO:
        detail["amount"] = f"{one.amount:f}"
    return Note(kind="difference", instrument=one.instruments[0], underlying=underlying, detail=detail)


def _books_note(told: Told, before: str) -> Note:
    """How a venue's account stands now against the books, and how it stood."""
    detail: dict[str, float | str] = {
        "venue": told.venue, "state": told.state, "before": before, "as_of": str(told.as_of),
        "differences": float(len(told.differences)), "equal_at": str(told.equal_at),
    }  # fmt: skip
    return Note(kind="books", detail=detail)
