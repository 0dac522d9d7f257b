"""Which orders of trades a venue is asked about because their answer is overdue, and when again.

None of this is part of the fold: a run that goes on from earlier records asks about all that is open at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from connectors.events import NS
from connectors.orders import Outcome
from strategies.base import Note
from strategies.execution import saga as S
from strategies.execution.exits import Exits
from strategies.execution.rounds import trade_note
from strategies.execution.saga import Rules, Saga

ASK_AT_LEAST_NS: Final = 60 * NS
"""Questions about the same order do not become rarer than this, or than `answer_within`."""


class Asks(NamedTuple):
    """(client id, instrument) of orders to ask about now, and of those to cancel; and what is worth keeping of that."""

    queries: tuple[tuple[str, int], ...]
    cancels: tuple[tuple[str, int], ...]
    notes: tuple[Note, ...]


class Asking:
    """The questions of a run."""

    def __init__(self, rules: Rules, exits: Exits) -> None:
        """Nothing was asked yet."""
        self._rules, self._exits = rules, exits
        self._asked: dict[str, tuple[int, int]] = {}
        """By client id: how often it was asked about, and when next (ns)."""

    def begin(self, trades: Iterable[Saga]) -> None:
        """What an earlier run left open is asked about at once."""
        self._asked = {client_id: (0, 0) for saga in trades for client_id, _ in S.live(saga)}

    def forget(self, saga: Saga) -> None:
        """A trade is over."""
        for client_id in saga.orders:
            self._asked.pop(client_id, None)

    def asks(self, trades: Iterable[Saga], now: int) -> Asks:
        """Orders whose answer is overdue: asked about with growing pauses, and cancelled each time while they stand,
        since a cancel may be lost too."""
        queries, cancels, notes = [], [], []
        for saga in trades:
            for client_id, order in S.live(saga):
                count, due = self._next(client_id, order)
                if now < due:
                    continue
                queries.append((client_id, order.leg.instrument))
                pause = min(self._rules.answer_within_ns << count, max(ASK_AT_LEAST_NS, self._rules.answer_within_ns))
                self._asked[client_id] = count + 1, now + pause
                standing = order.outcome is Outcome.ACCEPTED
                if standing:
                    cancels.append((client_id, order.leg.instrument))
                if count == 0:
                    notes.append(trade_note(saga, event="cancel" if standing else "asked", why=client_id))
        return Asks(tuple(queries), tuple(cancels), tuple(notes))

    def dues(self, trades: Iterable[Saga]) -> list[int]:
        """When each order without an answer is to be asked about, ns."""
        return [self._next(client_id, order)[1] for saga in trades for client_id, order in S.live(saga)]

    def _next(self, client_id: str, order: S.Order) -> tuple[int, int]:
        """How often an order was asked about, and when it is to be asked about next."""
        patience = 0 if order.outcome is Outcome.UNKNOWN else self._rules.answer_within_ns
        count, due = self._asked.get(client_id, (0, order.sent_ns + patience))
        return count, max(due, self._exits.rests_until(order.leg.instrument))
