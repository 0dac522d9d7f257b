"""What a simulated venue tells: an executor that can be asked, and an account that can be read, on virtual time.

A crash of the bot is a new Exchange over the same Venue: what was sent arrives, what was not told yet is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, auto
from typing import Final, NamedTuple

from msgspec import structs

from connectors.events import NS
from connectors.orders import Approved, Fill, Outcome, Report, Statement
from connectors.ports import Books
from connectors.simulated.order_faults import OrderFault, Rules, Trouble
from connectors.simulated.venue import Turned, Venue

UNSURE: Final = frozenset({Trouble.MAINTENANCE.value, "duplicate"})
"""A page that cannot be read tells nothing of an order, and a client id that is known says that there is one."""
WORDS: Final = {
    Trouble.DOWN.value: "cannot be reached",
    Trouble.MAINTENANCE.value: "answered with a page in HTML",
    Trouble.RATE.value: "429: too many requests",
    Trouble.KEY_REVOKED.value: "401: the key is not good",
    "not_listed": "does not trade this instrument",
    "duplicate": "has had this client id before",
    "rules": "lot, tick or smallest order is another",
    "balance": "the balance is too small",
}


class _Tell(Enum):
    """What a moment brings."""

    ARRIVES = auto()
    """Nothing is told; the venue moves on."""
    ANSWER = auto()
    """How the order stands."""
    FILLS = auto()
    """Its fills by the stream, and not yet its end."""
    END = auto()
    """Its end, without its fills."""
    SILENCE = auto()
    """Nothing has come in time."""
    ERROR = auto()
    """A server error."""
    QUERY = auto()
    CANCEL = auto()


class _Due(NamedTuple):
    tell: _Tell
    client_id: str


class Exchange:
    """Executor, Asked and Account of one venue; legs at other venues are not its business."""

    def __init__(self, venue: Venue, *, latency_ns: int = 20_000_000, timeout_ns: int = 5 * NS, key: str = "") -> None:
        """`latency_ns` from here to the venue and for its word by another way; `timeout_ns` is how long one listens;
        `key` is what it shows the venue."""
        self._key = key
        self.truth, self.latency_ns, self.timeout_ns = venue, latency_ns, timeout_ns
        self._dues: dict[int, list[_Due]] = {}
        self._reads: dict[int, list[tuple[int, int]]] = {}

    @property
    def venue(self) -> str:
        """Which venue it is."""
        return self.truth.name

    def rules(self, instrument: int) -> Rules:
        """What orders must keep to now, as a refresh of the venue's list of markets would tell."""
        return self.truth.rules[instrument]

    # --- Executor and Asked

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Sends the legs that are at this venue. Raises RuntimeError for an order that RAISES befalls."""
        dues: set[int] = set()
        for number, leg in enumerate(order.intent.legs):
            if leg.instrument not in self.truth.terms:
                continue
            client_id, arrives = order.intent.client_id(number), now + self.latency_ns
            fault = self.truth.send(client_id, leg, arrives)
            if fault is OrderFault.RAISES:
                raise RuntimeError(f"no answer to POST /orders?id={client_id}&key={self._key}")
            for tell, due in self._plan(fault, now, arrives):
                dues.add(self._put(due, tell, client_id))
        return tuple(sorted(dues))

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks what became of an order."""
        return (self._put(now + self.latency_ns, _Tell.QUERY, client_id),)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks to cancel what is left of an order."""
        order, arrives = self.truth.orders.get(client_id), now + self.latency_ns
        fault = order.fault if order is not None and order.stands else None
        if order is not None and fault is OrderFault.CANCEL_LOST:
            order.fault = None  # the next one is not lost
            return (self._put(now + self.timeout_ns, _Tell.SILENCE, client_id),)
        dues = [self._put(arrives, _Tell.CANCEL, client_id)]
        if fault in (OrderFault.CANCEL_REFUSED, OrderFault.FILL_AFTER_CANCEL):
            dues.append(self._put(arrives + self.latency_ns, _Tell.ANSWER, client_id))
        return tuple(dues)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """What is told at `due`, in the order in which it was asked."""
        self.truth.pass_to(due, books)
        told = (self._tell(one, due, books) for one in self._dues.pop(due, ()))
        return tuple(report for report in told if report is not None)

    def _put(self, due: int, tell: _Tell, client_id: str) -> int:
        self._dues.setdefault(due, []).append(_Due(tell, client_id))
        return due

    def _plan(self, fault: OrderFault | None, now: int, arrives: int) -> tuple[tuple[_Tell, int], ...]:
        """What will be told of an order, and when."""
        late, after = now + self.timeout_ns, arrives + self.latency_ns
        if fault is OrderFault.REQUEST_LOST:
            return ((_Tell.SILENCE, late),)
        if fault in (OrderFault.ACK_LOST, OrderFault.JUST_OVER):
            return ((_Tell.ARRIVES, arrives), (_Tell.SILENCE, late))
        if fault is OrderFault.RECORDED_5XX:
            return ((_Tell.ERROR, arrives),)
        if fault is OrderFault.JUST_UNDER:
            return ((_Tell.ARRIVES, arrives), (_Tell.ANSWER, late - 1))
        if fault is OrderFault.DUPLICATE_FILL:
            return ((_Tell.FILLS, arrives), (_Tell.ANSWER, after), (_Tell.ANSWER, after + self.latency_ns))
        if fault is OrderFault.FILL_BEFORE_ACK:
            return ((_Tell.FILLS, arrives), (_Tell.END, after))
        return ((_Tell.ANSWER, arrives),)

    def _tell(self, due: _Due, now: int, books: Books) -> Report | None:
        """The report of one moment."""
        tell, client_id = due
        if tell is _Tell.ARRIVES:
            return None
        if tell is _Tell.SILENCE:
            return _unknown(client_id, "no answer in time")
        if tell is _Tell.ERROR:
            return _unknown(client_id, "500: server error")
        if tell in (_Tell.QUERY, _Tell.CANCEL):
            turned = self.truth.refuses(now)
            if turned is not None:
                return _unknown(client_id, WORDS[turned.why], turned)
        order = self.truth.orders.get(client_id)
        turned = self.truth.turned.pop(client_id, None) if tell is _Tell.ANSWER else None
        if turned is not None:
            return _turned(client_id, turned)
        if order is None:
            return _report(client_id, Outcome.REFUSED, detail="the venue has no such order", reason="not_found")
        if tell is _Tell.CANCEL and order.stands:
            return self._canceled(client_id, now, books)
        fills = tuple(order.fills)
        if tell in (_Tell.ANSWER, _Tell.FILLS):
            fills = tuple(_as_told(fill, order.fault) for fill in fills)
        final = tell is not _Tell.FILLS and not order.stands
        return _report(client_id, Outcome.ACCEPTED, fills=() if tell is _Tell.END else fills, final=final)

    def _canceled(self, client_id: str, now: int, books: Books) -> Report:
        """A cancel has reached an order that stood."""
        order = self.truth.orders[client_id]
        before = tuple(order.fills)
        if order.fault in (OrderFault.CANCEL_REFUSED, OrderFault.FILL_AFTER_CANCEL):
            self.truth.fill_rest(client_id, now, books)
        self.truth.cancel(client_id)
        if order.fault is OrderFault.CANCEL_REFUSED:
            return _report(client_id, Outcome.ACCEPTED, final=False, detail="cancel refused: too late")
        return _report(client_id, Outcome.ACCEPTED, fills=before, detail="canceled")

    # --- Account

    def read(self, since: int, now: int) -> tuple[int, ...]:
        """Asks for all that the venue says of our account."""
        due = now + self.latency_ns
        self._reads.setdefault(due, []).append((since, now))
        return (due,)

    def statements(self, due: int) -> tuple[Statement, ...]:
        """What was read by `due`: the venue as it is then."""
        return tuple(self._statement(since, asked, due) for since, asked in self._reads.pop(due, ()))

    def _statement(self, since: int, as_of: int, now: int) -> Statement:
        truth = self.truth
        turned = truth.refuses(now)
        if turned is not None:
            return Statement(venue=self.venue, as_of=as_of, unread=WORDS[turned.why])
        return Statement(
            venue=self.venue,
            as_of=as_of,
            balances={asset: amount for asset, amount in truth.balances.items() if amount},
            orders=truth.standing(),
            fills=tuple(fill for fill in truth.fills if fill.ts >= since),
            rights=truth.rights,
        )


class Exchanges:
    """Executor and Asked over several venues; each leg goes to the venue of its instrument."""

    def __init__(self, exchanges: Mapping[str, Exchange]) -> None:
        """By the venue's name."""
        self.all = dict(exchanges)
        self._of = {number: one for one in self.all.values() for number in one.truth.terms}

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Sends each leg to its venue; a leg at no venue raises KeyError, since nobody would ever answer it."""
        venues = {id(one): one for one in (self._of[leg.instrument] for leg in order.intent.legs)}
        return tuple(sorted({due for one in venues.values() for due in one.submit(order, now)}))

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks the instrument's venue what became of an order."""
        return self._of[instrument].query(client_id, instrument, now)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asks the instrument's venue to cancel what is left of an order."""
        return self._of[instrument].cancel(client_id, instrument, now)

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """What all venues tell at `due`, in the order of their names given."""
        return tuple(report for one in self.all.values() for report in one.answer(due, books))


def _as_told(fill: Fill, fault: OrderFault | None) -> Fill:
    """A fill as the stream and the answer tell it; a query and a statement tell it as it is."""
    if fault is OrderFault.WRONG_PRICE:
        return structs.replace(fill, price=fill.price * Decimal("1.01"))
    if fault is OrderFault.WRONG_FEE_COIN:
        return structs.replace(fill, fee=fill.quantity * fill.price / 10_000)
    return fill


def _turned(client_id: str, turned: Turned) -> Report:
    """A request that the venue did not take."""
    if turned.why in UNSURE:
        return _unknown(client_id, WORDS[turned.why], turned)
    return _report(client_id, Outcome.REFUSED, detail=WORDS[turned.why], reason=turned.why, retry_ns=turned.until)


def _unknown(client_id: str, detail: str, turned: Turned | None = None) -> Report:
    """Nobody can tell."""
    why, until = ("", 0) if turned is None else (turned.why, turned.until)
    return _report(client_id, Outcome.UNKNOWN, final=False, detail=detail, reason=why, retry_ns=until)


def _report(
    client_id: str,
    outcome: Outcome,
    *,
    fills: tuple[Fill, ...] = (),
    final: bool = True,
    detail: str = "",
    reason: str = "",
    retry_ns: int = 0,
) -> Report:
    """A report of an order, of which the venue knows the client id and no more."""
    return Report(
        client_id=client_id,
        intent_id="",
        leg=0,
        outcome=outcome,
        fills=fills,
        detail=detail,
        reason=reason,
        final=final,
        retry_ns=retry_ns,
    )
