"""Each invariant fires where somebody breaks it on purpose, and says nothing while all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from msgspec import structs  # noqa: E402 - the kernel's cache must be chosen first

from bot.clock import sleep  # noqa: E402
from bot.config import Config, Http, Run  # noqa: E402
from bot.config_risk import Risk  # noqa: E402
from bot.daemon import Daemon, Doors  # noqa: E402
from bot.engine import Engine  # noqa: E402
from bot.facts import facts_of  # noqa: E402
from bot.holds import Holds  # noqa: E402
from bot.invariants import Breach, Invariants  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.watched import WatchedPrimary, watched  # noqa: E402
from connectors.events import NS, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Role  # noqa: E402
from connectors.orders import Approved, Conversion, Fill, Intent, Purpose, Report, Side  # noqa: E402
from connectors.ports import Books  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from strategies.execution.exits import Lot  # noqa: E402
from strategies.execution.latch import ALL, OPERATOR, Hold, Latch, Mode  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.limits import Limits  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from tests.bot.test_trades import (  # noqa: E402
    BEGIN,
    LIMITS,
    MS,
    PRICES,
    RULES,
    UNIVERSE,
    A,
    B,
    S,
    Script,
    Wisher,
    plan,
)

REFUSED_SALE = {"sell": ["refuse"]}


class Bench:
    """An engine under watch, of whose parts some are broken."""

    def __init__(
        self,
        scripts: dict[str, list[str]] | None = None,
        *,
        between: Callable[[Any], Any] = lambda executor: executor,
        ledger: Ledger | None = None,
        limits: Limits = LIMITS,
        disk: Any = None,
    ) -> None:
        """`between` may put something broken between the engine and the watch."""
        self.breaches: list[Breach] = []
        self.invariants = Invariants(self.breaches.append, disk)
        self.venue = Script(scripts or {})
        self.watched = watched(self.venue, self.invariants)
        wisher = Wisher({1: plan()})
        facts = [Facts(cost=0.0, traded=one.role is Role.TOKEN, max_age_ns=2 * NS) for one in UNIVERSE]
        columns = Columns(UNIVERSE, facts, Beliefs(max_error=1.0), load_sessions())
        self.engine = Engine(
            columns=columns, strategies=[wisher], triggers=[], timed=[wisher], limits=limits,
            executor=between(self.watched), ledger=ledger or Ledger(UNIVERSE), scribe=Journal(None), timer_ns=NS,
            on_step=[self.invariants.hear], lots=[Lot(units=Decimal("0.5"))] * len(UNIVERSE), trade_rules=RULES,
        )  # fmt: skip
        self.invariants.watch(self.engine)
        self.at = 0

    def until(self, seconds: float) -> Bench:
        """Every tenth of a second everything prints."""
        rows = []
        while self.at <= seconds * 10:
            for number, (bid, ask) in PRICES.items():
                kind = Kind.REFERENCE if number == S else Kind.QUOTE
                rows.append(
                    Row(ts_recv=BEGIN + self.at * 100 * MS + 1, instrument=number, kind=kind, bid=bid, ask=ask,
                        bid_size=50.0, ask_size=50.0)
                )  # fmt: skip
            self.at += 1
        self.engine.advance(Rows.of(rows))
        return self

    @property
    def found(self) -> list[str]:
        """Which invariants were breached, in order."""
        return [breach.invariant for breach in self.breaches]

    def passed(self, intent: Intent, **more: Any) -> None:
        """A gate that lets anything pass: the record of an approval of its own."""
        step = Step(seq=99, ts=self.engine.now, cause="x", wishes=(intent,), approved=(intent.id,), **more)
        self.invariants.hear(step)


def request(id: str = "m1") -> Conversion:
    """A mint."""
    return Conversion(
        id=id, issuer="i", mint=True, source=S, target=A, quantity=Decimal(1), expected=Decimal(1), least=Decimal(1),
        sla_ns=BEGIN + 60 * NS, underlying="S", reason="",
    )  # fmt: skip


def near(id: str, *, units: int = 10) -> Intent:
    """The plan with limits as the review sends them: within the collar."""
    one = plan(id, units=units)
    return structs.replace(one, legs=tuple(structs.replace(leg, limit=leg.seen) for leg in one.legs))


def hedge(id: str, *, trade: str = "t", instrument: int = B, side: Side = Side.SELL) -> Intent:
    """A later round of a trade."""
    leg = structs.replace(near(id).legs[1], instrument=instrument, side=side)
    return structs.replace(near(id), legs=(leg,), trade=trade, purpose=Purpose.HEDGE)


@pytest.mark.parametrize("scripts", [{}, REFUSED_SALE, {"t-1": ["unknown", "later:", "fill"]}, {"all": ["part 3"]}])
def test_nothing_is_breached_while_nothing_is_broken(scripts: dict[str, list[str]]) -> None:
    """
    A trade that fills, one that cannot be hedged, one whose answer is late, one that stands half filled: all are well.
    """
    bench = Bench(scripts).until(120)
    assert bench.venue.sent and [] == bench.found


def test_i1_an_order_that_no_record_allows_does_not_leave() -> None:
    """
    Somebody hands the executor an order of his own: it is told and refused, and the venue never sees it.
    """
    bench = Bench().until(0.5)
    bench.watched.submit(Approved(near("wild")), bench.engine.now)
    assert ["I1", "I1"] == bench.found
    assert "wild-0" not in bench.venue.sent
    (first, second) = bench.watched.answer(bench.engine.now, bench.engine.dealer.books)
    assert ("refused", "invariant", "wild-1") == (first.outcome.value, second.reason, second.client_id)


class NeverDurable:
    """A disk that takes everything and keeps nothing."""

    seq = 1
    failed = ""

    def durable(self, seq: int) -> bool:
        return False

    def when(self, seq: int, call: Callable[[], None]) -> None:
        raise AssertionError("nobody waits here")


def test_i1_an_order_whose_record_is_not_durable_does_not_leave() -> None:
    """
    The door before the venue does not wait for the disk.
    """
    bench = Bench(disk=NeverDurable()).until(2)
    assert "I1" == bench.found[0]
    assert not bench.venue.sent


def test_i1_a_request_that_no_record_allows_does_not_leave() -> None:
    """
    A mint that nobody recorded: told, and answered as rejected; the issuer is not asked.
    """
    bench = Bench().until(0.5)
    door = WatchedPrimary(None, bench.invariants)  # type: ignore[arg-type]
    door.request(request(), bench.engine.now)
    assert ["I1"] == bench.found


class Twice:
    """An executor that sends everything twice."""

    def __init__(self, executor: Any) -> None:
        self.executor = executor

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        return (*self.executor.submit(order, now), *self.executor.submit(order, now))

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        found: tuple[Report, ...] = self.executor.answer(due, books)
        return found


def test_i2_an_order_that_is_sent_twice_leaves_once() -> None:
    """
    The second time it is told and held back; the venue (which would raise) sees it once.
    """
    bench = Bench(between=Twice).until(3)
    assert {"I2"} == set(bench.found)
    assert ["t-0", "t-1"] == list(bench.venue.sent)


def test_i2_what_an_earlier_process_recorded_does_not_leave_in_this_one() -> None:
    """
    Its order was approved before the restart: whether it left then, only the venue knows.
    """
    bench = Bench()
    earlier = Step(seq=1, ts=BEGIN, cause="x", wishes=(near("old"),), approved=("old",), conversions=(request("old"),))
    assert [earlier] == list(bench.invariants.remembering([earlier]))
    bench.invariants.watch(bench.engine)
    bench.until(0.5)
    bench.watched.submit(Approved(near("old")), bench.engine.now)
    WatchedPrimary(None, bench.invariants).request(request("old"), bench.engine.now)  # type: ignore[arg-type]
    assert ["I2", "I2", "I2"] == bench.found


class Forgetful(Ledger):
    """Books that do not know what they have heard."""

    def _first(self, id: str) -> bool:
        return True


def test_i2_a_fill_that_counts_twice() -> None:
    """
    The venue tells a fill again; these books take it again.
    """
    bench = Bench({"t-0": ["part 4", "end"], "t-1": ["part 4", "end"]}, ledger=Forgetful(UNIVERSE)).until(1.3)
    bench.engine.dealer.heard(_again(bench), bench.engine.now)
    assert {"I2", "I3", "I14"} == set(bench.found)


def _again(bench: Bench) -> tuple[Report, ...]:
    """Everything that was filled, once more."""
    return tuple(
        Report(client_id=client_id, intent_id="t", leg=int(client_id[-1]), outcome="accepted", fills=tuple(fills))  # type: ignore[arg-type]
        for client_id, fills in bench.venue.filled.items()
    )


class Deaf(Ledger):
    """Books that miss every sale."""

    def _book(self, fill: Fill, seen: Decimal) -> None:
        if fill.side is Side.BUY:
            super()._book(fill, seen)
        else:
            self.fills += 1


def test_i3_a_fill_that_the_books_drop() -> None:
    """
    Ten units were sold, and the books do not show it.
    """
    bench = Bench(ledger=Deaf(UNIVERSE)).until(3)
    assert {"I3", "I14"} == set(bench.found)
    assert "b:T: 0 units in the books, -10" in next(one.what for one in bench.breaches if one.invariant == "I3")


class Generous(Ledger):
    """Books in which a cent appears with each purchase."""

    def _book(self, fill: Fill, seen: Decimal) -> None:
        super()._book(structs.replace(fill, fee=fill.fee - Decimal("0.01")), seen)


def test_i14_a_cent_that_comes_from_nowhere() -> None:
    """
    Positions are right, and cash is not.
    """
    bench = Bench(ledger=Generous(UNIVERSE)).until(3)
    assert {"I14"} == set(bench.found)


def test_i4_shares_without_a_hedge_for_too_long_that_nobody_holds_back() -> None:
    """
    Ten shares cannot be sold; more than 500 USD may stand so for two seconds. Somebody takes back every hold.
    """
    limits = replace(LIMITS, max_naked_usd=500.0, max_naked_ns=2 * NS)
    bench = Bench(REFUSED_SALE, limits=limits)
    held = Bench(REFUSED_SALE, limits=limits).until(30)
    for second in range(1, 30):
        bench.until(second)
        bench.engine.memory.heed(Latch())
        bench.engine.hold(Latch(), [Note(kind="hold", detail={})])
    assert [] == held.found
    assert ["I4"] == bench.found


def test_i5_an_approval_on_a_quote_that_is_too_old() -> None:
    """
    Nothing has printed for ten seconds, and a gate lets a trade pass.
    """
    bench = Bench().until(0.5)
    bench.engine.advance(
        Rows.of([Row(ts_recv=BEGIN + 10 * NS, instrument=S, kind=Kind.REFERENCE, bid=99.99, ask=100.01)])
    )
    bench.passed(near("stale"))
    assert ["I5"] == list(dict.fromkeys(bench.found))


def test_i5_an_approval_far_from_the_fair_value() -> None:
    """
    It was seen at 120, and a share is worth 100; 500 bps are allowed.
    """
    bench = Bench().until(0.5)
    (leg, _) = near("far").legs
    far = structs.replace(near("far"), legs=(structs.replace(leg, seen=Decimal(120), limit=Decimal(130)),))
    bench.passed(far)
    assert ["I5"] == bench.found
    bench.watched.submit(Approved(far), bench.engine.now)
    assert "far-0 may trade" in bench.breaches[-1].what


def test_i6_an_approval_that_is_too_large_or_one_too_many_or_out_of_session() -> None:
    """
    2,000 USD are allowed, 120 orders a minute, and only the regular session.
    """
    large, many = Bench().until(0.5), Bench().until(0.5)
    large.passed(near("large", units=30))
    assert {"I6"} == set(large.found)
    for number in range(61):
        many.passed(near(f"p{number}"))
    assert ["I6"] == many.found and "122 orders in a minute, allowed 120" in many.breaches[0].what
    shut = Bench(limits=replace(LIMITS, sessions=frozenset())).until(0.5)
    shut.passed(near("shut"))
    assert ["I6"] == shut.found and "in session regular" in shut.breaches[0].what


def test_i7_nothing_leaves_under_a_halt() -> None:
    """
    Recorded and approved, and then everything was halted.
    """
    bench = Bench().until(0.5)
    bench.passed(near("late"))
    bench.engine.memory.heed(Latch((Hold(scope=ALL, mode=Mode.HALT, cause=OPERATOR, why="", at=1),)))
    bench.watched.submit(Approved(near("late")), bench.engine.now)
    assert ["I7"] == bench.found
    assert not bench.venue.sent


def test_i8_nothing_is_sent_again_while_nobody_knows() -> None:
    """
    The sale got no answer; another sale of the trade would sell twice. A purchase of it may leave.
    """
    bench = Bench({"t-1": ["unknown"]}).until(1.5)
    for intent in (hedge("t.h1", side=Side.BUY), hedge("t.h2")):
        bench.passed(intent)
        bench.watched.submit(Approved(intent), bench.engine.now)
    assert ["I8"] == bench.found and bench.breaches[0].what.startswith("t.h2-0 leaves while nobody knows what t-1")


def test_a_breach_is_told_once() -> None:
    """
    The same order over and over is one breach, and never leaves.
    """
    bench = Bench().until(0.5)
    for _ in range(3):
        bench.watched.submit(Approved(hedge("wild", trade="wild")), bench.engine.now)
    assert ["I1"] == [one.invariant for one in bench.breaches if one.what.startswith("wild-0 leaves, and no")]
    assert not bench.venue.sent


async def test_a_breach_halts_the_daemon_and_the_halt_outlives_it(tmp_path: Path) -> None:
    """
    An order that no record allows does not leave, and nothing does from then on; the halt is on disk with the reason,
    and an operator is told.
    """
    said: list[str] = []
    venue = Script({})
    config = Config(
        http=Http(port=0), run=Run(record=False),
        risk=Risk(max_order_usd=D(2000), max_position_usd=D(9000), max_gross_usd=D(9000), collar_bps=500.0,
                  max_orders_per_minute=9, max_daily_loss_usd=D(100), sessions=("regular",), coin_band_bps=50.0),
    )  # fmt: skip
    doors = Doors(feeds=(), executor=venue, on_paper=True, clock=lambda: BEGIN, monotonic=lambda: 0.0, sleep=sleep,
                  state=tmp_path)  # fmt: skip
    facts = facts_of(config, mode="dry_run", file="test")
    daemon = Daemon(config, UNIVERSE, load_sessions(), facts, doors, warn=said.append)
    try:
        row = Row(ts_recv=BEGIN, instrument=S, kind=Kind.REFERENCE, bid=99.99, ask=100.01)
        daemon.engine.advance(Rows.of([row]))
        assert daemon.engine.executor is not None
        daemon.engine.executor.submit(Approved(near("wild")), BEGIN)
        daemon.engine.advance(Rows.of([replace(row, ts_recv=BEGIN + 300 * NS)]))
    finally:
        daemon._close()
    (hold,) = Holds(tmp_path).read(BEGIN + 300 * NS).latch.holds
    assert (ALL, Mode.HALT, "invariant", True) == (hold.scope, hold.mode, hold.cause, hold.why.startswith("I1: wild-"))
    assert any(text.startswith("everything is halted: I1: wild-0") for text in said)
    assert not venue.sent
