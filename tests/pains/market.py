"""A small market for the pains: two shares, a token of each on three simulated venues, and the whole engine on them.

What a venue did stands in its own books, apart from what it told, so that a test compares ours with the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bot.paths import prepare_kernel

prepare_kernel()

from bot.engine import Engine  # noqa: E402 - the kernel's cache must be chosen first
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.events import NEVER, NS, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.orders import Intent, Leg, Reason, Side  # noqa: E402
from connectors.ports import Executor  # noqa: E402
from connectors.simulated.exchange import Exchange, Exchanges  # noqa: E402
from connectors.simulated.order_faults import OrderFault, OrderFaults  # noqa: E402
from connectors.simulated.venue import Order, Terms, Venue  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from strategies.execution.exits import Lot  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.saga import Rules  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from tests.bot.test_trades import BEGIN, LIMITS, RULES, Wisher  # noqa: E402

MS = NS // 1000
VENUES = ("a", "b", "c")
A, B, C, S, UA, UB, UC, U = range(8)
PRICES = {
    A: (99.9, 100.0), B: (101.0, 101.1), C: (100.4, 100.6), S: (99.99, 100.01),
    UA: (49.9, 50.0), UB: (50.5, 50.6), UC: (50.2, 50.3), U: (49.99, 50.01),
}  # fmt: skip
"""Bid and ask by instrument: S and U cost 100 and 50; a is cheapest to buy at, b best to sell at."""


def _share(name: str) -> tuple[Instrument, ...]:
    """Its tokens at the venues, and the share itself; a unit is a share."""
    tokens = (
        Instrument(
            venue=venue, symbol=f"{name}T", role=Role.TOKEN, underlying=name, token=f"{name}T", issuer="i",
            unit_model=UnitModel.REBASING,
        )
        for venue in VENUES
    )  # fmt: skip
    return *tokens, Instrument(venue="r", symbol=name, role=Role.SHARE, underlying=name)


UNIVERSE = Universe((*_share("S"), *_share("U")))


def plan(id: str = "t", *, units: int = 10, buy: int = A, sell: int = B, in_order: bool = False) -> Intent:
    """Buy at one venue, sell at another, up to 10 % beyond what is seen."""
    sides = ((buy, Side.BUY, Decimal("1.1")), (sell, Side.SELL, Decimal("0.9")))
    seen = {at: Decimal(str(PRICES[at][side is Side.BUY])) for at, side, _ in sides}
    legs = tuple(
        Leg(instrument=at, side=side, quantity=Decimal(units), limit=seen[at] * far, seen=seen[at])
        for at, side, far in sides
    )
    return Intent(
        id=id, strategy="x", legs=legs, reason="", edge_bps=100.0, notional_usd=units * seen[sell],
        deadline_ns=NEVER, underlying=UNIVERSE[buy].underlying, in_order=in_order,
    )  # fmt: skip


def scripted(*faults: OrderFault, **more: Any) -> OrderFaults:
    """What befalls the first orders of a venue."""
    return OrderFaults(scripted=dict(enumerate(faults)), **more)


def after(seconds: float) -> int:
    """That many seconds after the beginning, ns UTC."""
    return BEGIN + round(seconds * NS)


OURS = {"USD": Decimal(100_000), "ST": Decimal(90), "UT": Decimal(90)}
"""What lies at each venue at the beginning."""
FENCE = "3f09ab"
"""The mark of our state folder in client ids; the number of the start follows."""


def truth(faults: Mapping[str, OrderFaults]) -> dict[str, Venue]:
    """The venues, with cash and tokens of ours at each."""
    found = {}
    for venue in VENUES:
        terms = {at: Terms() for at, one in enumerate(UNIVERSE) if one.venue == venue}
        found[venue] = Venue(venue, UNIVERSE, terms, OURS, faults.get(venue))
    return found


class Market:
    """The engine on its venues; `until` lets seconds pass with fresh quotes, a `crash` begins anew from the records."""

    def __init__(
        self,
        faults: Mapping[str, OrderFaults] | None = None,
        *,
        wishes: dict[int, Intent] | None = None,
        rules: Rules = RULES,
        door: Callable[[Executor], Executor] = lambda executor: executor,
        compared: bool = False,
        **limits: Any,
    ) -> None:
        """Wishes (by second) for the plan in the first second; `limits` other than those of tests/bot/test_trades.

        Where it is `compared` the books hold what lies at the venues, which are read every ten seconds.
        """
        self.venues = truth(faults or {})
        self.rules, self.door, self.limits = rules, door, replace(LIMITS, **limits)
        self.wishes = {1: plan()} if wishes is None else wishes
        self.compared, self.starts = compared, 0
        self.steps: list[Step] = []
        self.prices = dict(PRICES)
        self.silent: set[int] = set()
        self.at = 0
        self.crash(first=True)

    def crash(self, *, first: bool = False) -> Sequence[str]:
        """The process is gone with all that was on its way to it; the next one has the records and the same venues."""
        self.starts += 1
        exchanges = {name: Exchange(venue) for name, venue in self.venues.items()}
        facts = [Facts(cost=0.0, traded=one.role is Role.TOKEN, max_age_ns=2 * NS) for one in UNIVERSE]
        wisher = Wisher(self.wishes)
        self.engine = Engine(
            columns=Columns(UNIVERSE, facts, Beliefs(max_error=1.0), load_sessions()), strategies=[wisher],
            triggers=[], timed=[wisher], limits=self.limits, executor=self.door(Exchanges(exchanges)),
            ledger=Ledger(UNIVERSE), scribe=Journal(None), timer_ns=NS, on_step=[self.steps.append],
            lots=[Lot(units=Decimal("0.5"))] * 8, trade_rules=self.rules,
            fence=f"{FENCE}{self.starts:05}" if self.compared else "",
        )  # fmt: skip
        if self.compared:
            for venue in VENUES:
                self.engine.ledger.adjust_cash(venue, "USD", OURS["USD"], Decimal(1))
            for at, one in enumerate(UNIVERSE):
                if one.role is Role.TOKEN:
                    self.engine.ledger.adjust(at, OURS[one.asset], Decimal(PRICES[at][0]))
            self.engine.dealer.comparer.connect(exchanges, every_ns=10 * NS, patience_ns=2 * NS)
        return () if first else self.engine.restore(tuple(self.steps))

    def until(self, seconds: float) -> Market:
        """Every tenth of a second each instrument that is not silent prints, and every second the venues' time passes,
        whether anybody asks them or not."""
        last = round(seconds * 10)
        while self.at <= last:
            block = range(self.at, min(last, self.at + 9) + 1)
            self.engine.advance(Rows.of([row for tenth in block for row in self._prints(tenth)]))
            self.at = block.stop
            for venue in self.venues.values():
                venue.pass_to(self.engine.now, self.engine.dealer.books)
        return self

    def _prints(self, tenth: int) -> Iterator[Row]:
        """What is printed at one moment."""
        for number, (bid, ask) in self.prices.items():
            if number not in self.silent:
                kind = Kind.REFERENCE if UNIVERSE[number].role is Role.SHARE else Kind.QUOTE
                yield Row(ts_recv=BEGIN + tenth * 100 * MS + 1, instrument=number, kind=kind, bid=bid, ask=ask,
                          bid_size=50.0, ask_size=50.0)  # fmt: skip

    # --- what came of it

    def orders(self, venue: str = "") -> list[Order]:
        """Every order that a venue, or any, has had of us."""
        return [order for name in VENUES if venue in ("", name) for order in self.venues[name].orders.values()]

    def moved(self) -> dict[int, Decimal]:
        """Units that came (or went, below zero) by the venues' own books, by instrument."""
        found: dict[int, Decimal] = {}
        for venue in self.venues.values():
            for fill in venue.fills:
                signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
                found[fill.instrument] = found.get(fill.instrument, Decimal(0)) + signed
        return {number: units for number, units in found.items() if units}

    def held(self) -> dict[int, Decimal]:
        """Units that came (or went) by our books, by instrument."""
        begun = {at: OURS[one.asset] if self.compared and one.token else 0 for at, one in enumerate(UNIVERSE)}
        found = {number: units - begun[number] for number, units in self.engine.ledger.positions.items()}
        return {number: units for number, units in found.items() if units}

    def notes(self, kind: str = "trade") -> list[Note]:
        """What was noted, in order."""
        return [note for step in self.steps for note in step.notes if note.kind == kind]

    def stages(self, trade: str = "") -> list[str]:
        """Stages that trades, or one, came to, in order."""
        told = [note.detail for note in self.notes() if "stage" in note.detail]
        return [str(detail["stage"]) for detail in told if trade in ("", detail["trade"])]

    def reasons(self) -> list[Reason]:
        """Why wishes were refused."""
        return [refused.reason for step in self.steps for refused in step.refused]

    def over(self) -> bool:
        """Nothing is open, reserved, or standing at a venue."""
        standing = any(venue.standing() for venue in self.venues.values())
        return not (self.engine.trades.open or self.engine.ledger.under_way() or standing)
