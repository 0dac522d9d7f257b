"""The engine at its edges: no limits, one price, a multiplier said twice, wakes that time bounds."""

from __future__ import annotations

from decimal import Decimal
from math import inf

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.engine import Engine  # noqa: E402 - the kernel's cache must be chosen first
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.events import NAN, NEVER, NS, Flag, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.orders import Intent, Leg, Outcome, Purpose, Reason, Side  # noqa: E402
from connectors.paper import PaperExecutor, PaperTerms  # noqa: E402
from strategies.base import Decision, Every, Step, View, Wake  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.limits import Caps, Limits  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.session import Session  # noqa: E402

BEGIN = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
A, B, S = range(3)


def token(venue: str, **more: object) -> Instrument:
    """A token of S on a venue, of which a unit was two shares at the start."""
    usual = {"symbol": "T", "role": Role.TOKEN, "underlying": "S", "token": "T", "issuer": "i",
             "unit_model": UnitModel.TOTAL_RETURN, "multiplier": 2.0}  # fmt: skip
    return Instrument(venue=venue, **{**usual, **more})  # type: ignore[arg-type]


UNIVERSE = Universe((token("a"), token("b"), Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S")))


class Eager:
    """A strategy that wishes to buy one unit at every tick, whatever anybody says."""

    name, cooldown_ns, refusal_backoff_ns, max_open = "eager", 0, 0, 1

    def __init__(self, instrument: int = A, **words: object) -> None:
        """Where it buys, and what else its wishes say of themselves."""
        self.instrument, self.words = instrument, words

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick."""
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """Always."""
        return True, True

    def decide(self, view: View) -> Decision:
        """One unit, at any price."""
        leg = Leg(instrument=self.instrument, side=Side.BUY, quantity=Decimal(1), limit=Decimal(10**6),
                  seen=Decimal(200))  # fmt: skip
        return Decision(
            (
                Intent(id=f"eager-{view.now}", strategy="eager", legs=(leg,), reason="", edge_bps=0.0,
                       notional_usd=Decimal(200), deadline_ns=NEVER, underlying="S", **self.words),  # type: ignore[arg-type]
            )
        )  # fmt: skip


LIMITS = Limits(
    caps=Caps(token_usd=inf, venue_usd=inf, issuer_usd=inf, chain_usd=inf, stablecoin_usd=inf),
    hedge_orders_per_minute=0,
    max_wishes_per_minute=inf,
    max_turnover_usd_per_day=inf,
    trade_gap_ns=0,
    max_drawdown_usd=inf,
    max_naked_usd=inf,
    max_naked_ns=2**62,
    max_order_usd=Decimal(1000), max_position_usd=Decimal(5000), max_gross_usd=Decimal(9000), collar_bps=300.0,
    max_orders_per_minute=100, max_daily_loss_usd=Decimal(500), sessions=frozenset({Session.REGULAR}),
    coin_band_bps=100.0, need_fair=True,
)  # fmt: skip


class Ran:
    """An engine over UNIVERSE with one eager strategy, ticking every second."""

    def __init__(
        self,
        *rows: Row,
        universe: Universe = UNIVERSE,
        limits: Limits | None = LIMITS,
        half_spread: float | None = None,
        latency_s: float = 0.0,
        max_age_s: float = 1e9,
        **words: object,
    ) -> None:
        """Runs the rows; `words` are what the strategy's wishes say of themselves."""
        eager = Eager(A, **words)
        self.steps: list[Step] = []
        size = NAN if half_spread is None else 1.0
        facts = [
            Facts(
                cost=0.0,
                traded=one.role is Role.TOKEN,
                assumed_half_spread=half_spread,
                assumed_size=size,
                max_age_ns=round(max_age_s * NS),
            )
            for one in universe
        ]
        self.columns = Columns(universe, facts, Beliefs(max_error=1.0), load_sessions())
        paper = PaperTerms(latency_ns=round(latency_s * NS), fee=Decimal(0), lot=Decimal(1))
        if half_spread is not None:
            paper = PaperTerms(
                latency_ns=0, fee=Decimal(0), lot=Decimal(1), assumed_half_spread=Decimal(repr(half_spread))
            )
        self.engine = Engine(
            columns=self.columns, strategies=[eager], triggers=[], timed=[eager], limits=limits,
            executor=PaperExecutor({A: paper}, 1), ledger=Ledger(universe), scribe=Journal(None), timer_ns=NS,
            maintenance_ns=NS, on_step=[self.steps.append],
        )  # fmt: skip
        self.engine.advance(Rows.of(list(rows)))

    def reasons(self) -> set[Reason]:
        """Why wishes were refused."""
        return {refused.reason for step in self.steps for refused in step.refused}

    def prices(self) -> list[Decimal]:
        """Prices of the fills, in order."""
        return [fill.price for step in self.steps for report in step.reports for fill in report.fills]

    def kinds(self) -> list[str]:
        """Kinds of the notes, in order."""
        return [note.kind for step in self.steps for note in step.notes]


def said(s: float, instrument: int, bid: float, ask: float, *, flags: Flag = Flag(0), kind: Kind | None = None) -> Row:  # noqa: B008 - a value
    """A row `s` seconds after the beginning."""
    what = (Kind.REFERENCE if instrument == S else Kind.QUOTE) if kind is None else kind
    return Row(ts_recv=BEGIN + round(s * NS), instrument=instrument, kind=what, flags=flags, bid=bid, ask=ask,
               bid_size=5.0, ask_size=5.0)  # fmt: skip


KNOWN = (said(0, S, 99.99, 100.01), said(0, A, 199.9, 200.0), said(0, B, 199.9, 200.1))


def test_without_limits_every_wish_is_refused_by_mode() -> None:
    """
    A run that was given no limits trades nothing and says why; with limits the same wish is filled.
    """
    off = Ran(*KNOWN, said(3, B, 199.9, 200.1), limits=None)
    assert {Reason.MODE} == off.reasons()
    assert [] == off.prices()
    on = Ran(*KNOWN, said(3, B, 199.9, 200.1))
    assert Reason.MODE not in on.reasons()
    assert Decimal("200.0") == on.prices()[0]


@pytest.mark.parametrize("words", [{"purpose": Purpose.HEDGE}, {"purpose": Purpose.UNWIND}, {"trade": "eager-1"}])
def test_a_strategy_makes_no_later_round_of_a_trade(words: dict[str, object]) -> None:
    """
    A wish that calls itself a hedge, or part of another trade, would pass by the holds and the pace of its strategy.
    """
    ran = Ran(*KNOWN, said(3, B, 199.9, 200.1), **words)
    assert ({Reason.MALFORMED}, []) == (ran.reasons(), ran.prices())


def test_one_price_is_filled_only_with_an_assumption() -> None:
    """
    A series with one price: without an assumed spread and size the review refuses; with 10 bps it is bought at 200.2.
    """
    universe = Universe((token("a", one_price=True), *tuple(UNIVERSE)[1:]))
    rows = (KNOWN[0], said(0, A, 200.0, 200.0, flags=Flag.ONE_PRICE), said(3, B, 199.9, 200.1))
    bare = Ran(*rows, universe=universe)
    assert ({Reason.ONE_PRICE}, []) == (bare.reasons(), bare.prices())
    assert Decimal("200.2") == Ran(*rows, universe=universe, half_spread=0.001).prices()[0]


def multiplier(s: float, value: float, in_s: float) -> Row:
    """A multiplier told at `s`, in force from `in_s` seconds after the beginning on; NaN is at once."""
    return said(s, A, value, BEGIN / NS + in_s, kind=Kind.MULTIPLIER)


def test_the_multiplier_in_force_said_once_more_leaves_the_coming_one_alone() -> None:
    """
    A unit will be 2.02 shares at second five. In the pause before it a poll tells the 2.0 of today, without a time or
    with yesterday's: the pause goes on, and at second five the unit changes.
    """
    for again in (multiplier(4.5, 2.0, NAN), multiplier(4.5, 2.0, -86_400.0)):
        ran = Ran(*KNOWN, multiplier(1, 2.02, 5), again, said(4.6, B, 199.9, 200.1))
        assert ran.columns.doubted(A, Why.MAINTENANCE)
        assert NEVER == ran.columns.k[A, K.BUY_FROM]
        ran.engine.advance(Rows.of([said(6, B, 199.9, 200.1)]))
        assert [2.02, 2.02] == ran.columns.shares_per_unit[:2].tolist()


def test_a_multiplier_that_is_called_off_does_not_come() -> None:
    """
    Announced for second five, and then 2.0 for the same second: the unit stays two shares, and the pause ends.
    """
    ran = Ran(*KNOWN, multiplier(1, 2.02, 5), multiplier(2, 2.0, 5), said(6, B, 199.9, 200.1))
    assert "multiplier" not in ran.kinds()
    assert 2.0 == ran.columns.shares_per_unit[A]
    assert 0 == ran.columns.k[A, K.BUY_FROM]


def test_a_multiplier_is_in_force_for_a_row_of_its_very_moment() -> None:
    """
    Announced for second five: a quote one nanosecond earlier is in the old unit, a quote at second five in the new one.
    """
    ran = Ran(*KNOWN, multiplier(1, 2.02, 5), said(5 - 1e-9, B, 199.9, 200.1))
    assert 2.0 == ran.columns.shares_per_unit[A]
    ran.engine.advance(Rows.of([said(5, A, 201.9, 202.0)]))
    assert 2.02 == ran.columns.shares_per_unit[A]
    assert 201.9 == ran.columns.bid[A]


def test_a_multiplier_is_that_of_one_issuer_only() -> None:
    """
    A token of the same name by another issuer keeps its unit.
    """
    universe = Universe((*UNIVERSE, token("c", issuer="j")))
    ran = Ran(*KNOWN, multiplier(1, 2.02, NAN), said(2, B, 199.9, 200.1), universe=universe)
    assert [2.02, 2.02, 2.0] == ran.columns.shares_per_unit[[A, B, 3]].tolist()


def test_a_session_is_in_force_for_a_row_of_its_very_moment() -> None:
    """
    The regular session ends at 16:00 sharp: the last nanosecond before belongs to it, 16:00:00 to the next.
    """
    ran = Ran(*KNOWN, said(4 * 3600 - 1e-9, B, 199.9, 200.1))
    assert Session.REGULAR is ran.columns.session
    ran.engine.advance(Rows.of([said(4 * 3600, B, 199.9, 200.1)]))
    assert Session.POST is ran.columns.session


def test_an_order_that_arrives_at_an_old_quote_is_not_filled() -> None:
    """
    A quote counts for two seconds: an order that needs half a second finds it, one that needs three finds nothing.
    """
    rows = (*KNOWN, said(1.5, B, 199.9, 200.1), said(6, B, 199.9, 200.1))
    assert [Decimal("200.0")] == Ran(*rows, latency_s=0.5, max_age_s=2.0).prices()
    late = Ran(*rows, latency_s=3.0, max_age_s=2.0)
    assert [] == late.prices()
    assert {"no quote in force"} == {report.detail for step in late.steps for report in step.reports}


@pytest.mark.parametrize("rows", [500, 5000])
def test_a_flapping_feed_is_told_once_a_change(rows: int) -> None:
    """
    A stream that says "up" on every row is heard on every row and told never; the books stay as they are.
    """
    up = [said(0.001 * n, A, 1.0, NAN, kind=Kind.HEALTH) for n in range(rows)]
    ran = Ran(*KNOWN, *up)
    assert not {"feed_up", "feed_down"} & set(ran.kinds())


def test_an_order_that_was_approved_is_answered_once() -> None:
    """
    Every approved leg has one final report, and what was under way is not under way any more.
    """
    ran = Ran(*KNOWN, *(said(n, A, 199.9, 200.0) for n in range(1, 8)))
    approved = [name for step in ran.steps for name in step.approved]
    reports = [report for step in ran.steps for report in step.reports]
    assert approved == [report.intent_id for report in reports]
    assert {Outcome.ACCEPTED} == {report.outcome for report in reports}
    assert {} == ran.engine.trades.open
    assert 0 == ran.engine.ledger.reserved(A, Side.BUY)
