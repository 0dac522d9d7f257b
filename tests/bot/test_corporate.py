"""Splits, dividends, halts and unscheduled closes through the engine: nothing is traded, nothing looks like a depeg."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from math import inf

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.engine import Engine  # noqa: E402 - the kernel's cache must be chosen first
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.triggers import Trigger  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NAN, NEVER, NS, Health, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.paper import PaperExecutor, PaperTerms  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from strategies.cross_venue import CrossVenue  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.limits import Caps, Limits  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts, Slot  # noqa: E402
from strategies.market.session import Session  # noqa: E402
from strategies.peg_watch import PegWatch, Rule  # noqa: E402
from strategies.pricing.offers import Terms  # noqa: E402

EX = 1_788_998_400 * NS
"""Wednesday 9 September 2026, 20:00 in New York: from then on the share trades without it."""
A, B, R, LATE, P = range(5)
UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.REBASING),
        Instrument(venue="b", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.TOTAL_RETURN, multiplier=1.0),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="late", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="p", symbol="S", role=Role.PERP, underlying="S"),
    )
)  # fmt: skip
BPS = dict.fromkeys(Session, 100.0)
LIMITS = Limits(
    caps=Caps(token_usd=inf, venue_usd=inf, issuer_usd=inf, chain_usd=inf, stablecoin_usd=inf),
    hedge_orders_per_minute=0,
    max_wishes_per_minute=inf,
    max_turnover_usd_per_day=inf,
    trade_gap_ns=0,
    max_drawdown_usd=inf,
    max_naked_usd=inf,
    max_naked_ns=2**62,
    max_order_usd=Decimal(10**6), max_position_usd=Decimal(10**6), max_gross_usd=Decimal(10**7), collar_bps=1e9,
    max_orders_per_minute=1000, max_daily_loss_usd=Decimal(10**6), sessions=frozenset(Session), coin_band_bps=100.0,
    need_fair=False,
)  # fmt: skip


class Ran:
    """An engine with both strategies, trading on any edge, with every gate of the fair value open."""

    def __init__(self, beliefs: Beliefs | None = None) -> None:
        """Nothing has happened."""
        self.steps: list[Step] = []
        facts = [
            Facts(cost=0.0, traded=one.role in (Role.TOKEN, Role.PERP), max_age_ns=24 * 3600 * NS) for one in UNIVERSE
        ]
        slots = [Slot(K.SLOT_EDGE, 0, 50.0)]
        self.columns = Columns(UNIVERSE, facts, beliefs or Beliefs(max_error=1.0), load_sessions(), slots)
        cross = CrossVenue(
            terms=tuple(Terms(lot=Decimal("0.01")) for _ in UNIVERSE), min_edge_bps=50.0, size_usd=None,
            size_units=Decimal(1), max_short_units=Decimal(1000), max_long_units=Decimal(1000), slippage_bps=None,
            latency_ns=0, cooldown_ns=0, refusal_backoff_ns=1, max_open=100,
        )  # fmt: skip
        cross.wakes(UNIVERSE)
        peg = PegWatch(
            rule=Rule(warn_bps=BPS, depeg_bps=BPS, clear_share=0.5, persist_ns=0, min_sigmas=0.0, prints=1, sample_ns=0)
        )
        peg.wakes(UNIVERSE)
        terms = PaperTerms(latency_ns=0, fee=Decimal(0), lot=Decimal("0.01"))
        self.engine = Engine(
            columns=self.columns, strategies=[cross, peg], triggers=[Trigger(cross, "S")], timed=[peg], limits=LIMITS,
            executor=PaperExecutor(dict.fromkeys((A, B, P), terms), 1),
            ledger=Ledger(UNIVERSE), scribe=Journal(None), timer_ns=NS, maintenance_ns=NS, on_step=[self.steps.append],
        )  # fmt: skip

    def say(self, *rows: Row) -> Ran:
        """Rows in the order given."""
        for row in rows:
            self.engine.advance(Rows.of([row]))
        return self

    def notes(self, *kinds: str) -> list[Note]:
        """The notes of these kinds, in order."""
        return [note for step in self.steps for note in step.notes if note.kind in kinds]

    def depegs(self) -> list[Mapping[str, object]]:
        """Alarms."""
        return [note.detail for note in self.notes("peg_state") if note.detail["to"] in ("DEPEGGED", "STRAINED")]

    def trades(self) -> int:
        """Intents that were approved."""
        return sum(len(step.approved) for step in self.steps)

    def may(self, number: int) -> bool:
        """Whether an instrument may be bought now."""
        return int(self.columns.k[number, K.BUY_FROM]) < NEVER

    def fair(self) -> float | None:
        """The fair value."""
        fair = self.columns.fair(0, self.engine.now)
        return None if fair is None else fair.price


def said(s: float, instrument: int, price: float, kind: Kind | None = None) -> Row:
    """A quote of 1 bps width, `s` seconds after the ex-moment."""
    what = (Kind.REFERENCE if instrument in (R, LATE) else Kind.QUOTE) if kind is None else kind
    return Row(ts_recv=EX + round(s * NS), instrument=instrument, kind=what, bid=price * 0.99995, ask=price * 1.00005,
               bid_size=50.0, ask_size=50.0)  # fmt: skip


def action(s: float, ratio: float = 1.0, cash: float = NAN, *, by: int = R, ex_s: float = 0.0) -> Row:
    """A corporate action, told `s` seconds after the ex-moment."""
    return Row(
        ts_recv=EX + round(s * NS), instrument=by, kind=Kind.ACTION, bid=ratio, ask=EX / NS + ex_s, bid_size=cash
    )


def before(price: float = 400.0) -> tuple[Row, ...]:
    """Everybody agrees on a price, half a minute before the ex-moment."""
    return tuple(said(-30 + at, at, price) for at in (R, LATE, A, B, P))


def test_a_ten_for_one_split_is_no_depeg_and_no_trade() -> None:
    """
    The share goes from 400 to 40. The rebasing token follows a minute later, the other one when its multiplier does;
    in between old and new prices are quoted side by side. Nothing is traded, nobody alarms, and at the end everything
    is believed and may be traded again.
    """
    ran = Ran().say(action(-3600, 10.0), *before())
    assert ran.may(A) and ran.may(B)
    ran.say(said(1, A, 400.0), said(2, R, 400.0), said(3, B, 400.0), said(4, LATE, 400.0), said(5, A, 400.0))
    assert (None, False, False) == (ran.fair(), ran.may(A), ran.may(B))
    for s in range(10, 200, 10):  # the old price stands for long: it is still not believed
        ran.say(*(said(s + at, at, 400.0) for at in (R, LATE, A, B)))
    ran.say(said(210, R, 40.0), said(212, LATE, 400.0), said(213, A, 400.0), said(214, B, 400.0), said(216, R, 40.0))
    assert 40.0 == pytest.approx(ran.fair())
    assert not ran.may(A) and not ran.may(B)
    ran.say(said(220, A, 40.0), said(222, R, 40.01), said(223, B, 400.0), said(224, P, 40.0), said(226, R, 40.0))
    assert (True, False) == (ran.may(A), ran.may(B))
    ran.say(Row(ts_recv=EX + 300 * NS, instrument=B, kind=Kind.MULTIPLIER, bid=10.0),
            said(301, B, 400.0), said(303, LATE, 400.0), said(304, R, 40.0), said(306, R, 40.0))  # fmt: skip
    assert ran.may(B)
    assert [] == ran.depegs()
    assert 0 == ran.trades()
    assert 40.0 == pytest.approx(ran.fair())
    kinds = [note.kind for note in ran.notes("action_scheduled", "action_begun", "action_shown")]
    assert ["action_scheduled", "action_begun", "action_shown"] == kinds
    assert 40.0 == pytest.approx(ran.notes("action_begun")[0].detail["expected"])
    # An hour later everything is as it was: a real depeg of the same size is seen, and traded.
    ran.say(said(4000, R, 40.0), said(4001, A, 40.0), said(4002, LATE, 40.0), said(4003, B, 400.0), said(4004, R, 40.0))
    ran.say(said(4005, A, 36.0), said(4007, R, 40.0), said(4009, R, 40.0))
    assert [] != ran.depegs()
    assert ran.trades() > 0


def test_how_the_rows_of_a_split_are_cut_changes_nothing() -> None:
    """
    One by one, in blocks of seven and all at once: the same records, to the last one.
    """
    rows = [action(-3600, 10.0), *before(), said(1, A, 400.0), said(2, R, 400.0), said(3, B, 400.0), said(9, R, 40.0)]
    rows += [said(11 + at, A, 40.0 + at * 0.01) for at in range(5)]
    rows += [said(20 + at, R, 40.0 + at * 0.01) for at in range(5)]
    rows += [health(30, R, Health.CLOSED, Why.HALTED), said(31, A, 39.0), health(33, R, Health.UP, Why.NOTHING)]
    rows += [
        session(40, Session.REGULAR),
        said(45, B, 400.0),
        said(3700, R, 40.0),
        said(3702, B, 40.0),
        said(3704, R, 40.0),
    ]
    ends = []
    for size in (1, 7, len(rows)):
        ran = Ran()
        for block in Rows.of(rows).blocks(size):
            ran.engine.advance(block)
        ends.append(ran.steps)
    assert ends[0] == ends[1] == ends[2]
    assert {"action_shown", "share_resumed"} <= {note.kind for step in ends[0] for note in step.notes}


def test_a_fall_that_is_no_split_is_a_depeg_and_a_trade() -> None:
    """
    The control: a fall that is too small for a split's, untold, alarms and trades, so the test above would see it.
    """
    ran = Ran().say(*before())
    ran.say(
        said(1, A, 400.0),
        said(2, R, 330.0),
        said(2, LATE, 330.0),
        said(3, B, 400.0),
        said(5, R, 330.0),
        said(6, A, 330.0),
        said(8, R, 330.0),
    )
    assert [] != ran.depegs()
    assert ran.trades() > 0


def test_a_reverse_split_is_no_depeg_either() -> None:
    """
    1:10, from 4 to 40: the low prices of before are not believed after it.
    """
    ran = Ran().say(action(-3600, 0.1), *before(4.0))
    ran.say(
        said(5, R, 40.0), said(6, A, 4.0), said(7, LATE, 4.0), said(8, R, 40.0), said(10, B, 40.0), said(12, R, 40.0)
    )
    assert 40.0 == pytest.approx(ran.fair())
    assert (False, True) == (ran.may(A), ran.may(B))
    assert ([], 0) == (ran.depegs(), ran.trades())


def test_a_split_that_is_told_after_a_restart_pauses_the_token_that_has_not_followed() -> None:
    """
    The program starts two hours after the split and is told of it then: a token that still quotes the old price is not
    believed, one that quotes the new price is traded at once.
    """
    ran = Ran().say(
        said(7200, R, 40.0), action(7201, 10.0), said(7202, A, 400.0), said(7203, B, 40.0), said(7205, R, 40.0)
    )
    ran.say(said(7206, A, 400.0), said(7207, B, 40.0), said(7209, R, 40.0))
    assert (False, True) == (ran.may(A), ran.may(B))
    assert ([], 0) == (ran.depegs(), ran.trades())
    ran.say(said(7300, A, 40.0), said(7302, R, 40.0))
    assert ran.may(A)


def test_a_dividend_pauses_until_the_share_has_printed_and_its_drop_is_told() -> None:
    """
    Four dollars on 400: trading pauses from the ex-moment to the first print of the share, and 100 bps are told.
    """
    ran = Ran().say(action(-3600, cash=4.0), *before(), said(1, A, 400.0), said(3, B, 400.0))
    assert not ran.may(A)
    ran.say(said(5, R, 396.0), said(7, R, 396.0))
    assert ran.may(A) and ran.may(B)
    begun = ran.notes("action_begun")[0].detail
    assert (pytest.approx(100.0), pytest.approx(396.0)) == (begun["drop_bps"], begun["expected"])


def test_a_small_dividend_is_told_and_pauses_nothing() -> None:
    """
    One cent on 400 is a quarter of a basis point.
    """
    ran = Ran().say(action(-3600, cash=0.01), *before(), said(1, A, 400.0), said(3, B, 400.0))
    assert ran.may(A) and 400.0 == pytest.approx(ran.fair())
    assert pytest.approx(0.25) == ran.notes("action_begun")[0].detail["drop_bps"]


def test_sources_that_disagree_are_told_and_the_pause_comes_all_the_same() -> None:
    """
    Another ratio on the same day, and the same ratio on another day: both are told, once, and the first one holds.
    """
    ran = Ran().say(action(-3600, 10.0), action(-3500, 5.0, by=LATE), action(-3400, 10.0, by=LATE, ex_s=86_400))
    ran.say(action(-3300, 10.0), action(-3200, 5.0, by=LATE), *before(), said(1, A, 400.0))
    assert ["ratio", "ex"] == [note.detail["about"] for note in ran.notes("action_disagrees")]
    assert not ran.may(A)


@pytest.mark.parametrize(
    "row", [action(-9, NAN), action(-9, 0.0), action(-9, -1.0), action(-9, 1.0), action(-9, 2.0, ex_s=NAN)]
)
def test_an_action_that_cannot_be_is_refused(row: Row) -> None:
    """
    No ratio, no positive one, nothing that happens, no date: told as refused, and nothing pauses.
    """
    ran = Ran().say(*before(), row, said(1, A, 400.0), said(3, B, 400.0))
    assert 1 == len(ran.notes("action_refused"))
    assert ran.may(A)


def test_the_operator_s_file_is_a_source_of_its_own() -> None:
    """
    What was written by hand differs from what the venue of the same instrument says: told once, however often both
    say it.
    """
    by_hand = replace(action(-3500, 5.0), ask_size=1.0)
    ran = Ran().say(action(-3600, 10.0), by_hand, action(-3400, 10.0), by_hand, *before())
    assert ["the file kept by hand"] == [note.detail["venue"] for note in ran.notes("action_disagrees")]


def health(s: float, instrument: int, state: Health, why: Why) -> Row:
    """A stream's state."""
    return Row(ts_recv=EX + round(s * NS), instrument=instrument, kind=Kind.HEALTH, bid=float(state), ask=float(why))


def test_a_halt_of_the_share_stops_its_tokens_until_the_source_says_otherwise() -> None:
    """
    20. While a source of the share says HALTED, tokens are not traded, and a perp may be; a source that goes down in
    the halt has not ended it.
    """
    ran = Ran().say(*before(), health(1, R, Health.CLOSED, Why.HALTED))
    assert (False, False, True) == (ran.may(A), ran.may(B), ran.may(P))
    ran.say(health(2, R, Health.DOWN, Why.DISCONNECTED), said(3, A, 300.0), said(4, B, 400.0))
    assert not ran.may(A)
    assert 0 == ran.trades()
    ran.say(health(5, R, Health.CLOSED, Why.HALTED), health(6, R, Health.UP, Why.NOTHING))
    assert ran.may(A) and ran.may(B)
    assert ["share_halted", "share_resumed"] == [note.kind for note in ran.notes("share_halted", "share_resumed")]


def session(s: float, code: Session, instrument: int = R) -> Row:
    """What a venue says about the market at its own time."""
    at = EX + round(s * NS)
    return Row(ts_recv=at, ts_venue=at, instrument=instrument, kind=Kind.SESSION, bid=float(code))


NOON = -8 * 3600.0


def test_an_unscheduled_close_stops_the_tokens() -> None:
    """
    19. At noon, in our regular session, the broker says that the market is shut: nothing is traded until it agrees.
    """
    ran = Ran().say(*(said(NOON + at, at, 400.0) for at in (R, LATE, A, B)), session(NOON + 10, Session.REGULAR))
    assert ran.may(A)
    ran.say(session(NOON + 40, Session.HOLIDAY), said(NOON + 41, A, 300.0), said(NOON + 42, B, 400.0))
    assert (False, 0) == (ran.may(A), ran.trades())
    assert {"venue": "r", "ours": "regular", "theirs": "holiday"} == ran.notes("session_differs")[0].detail
    ran.say(session(NOON + 70, Session.REGULAR))
    assert ran.may(A)
    assert 1 == len(ran.notes("session_agrees"))


def test_another_session_is_forgotten_when_its_source_has_been_silent_for_its_maximum_age() -> None:
    """
    The broker says that the market is shut, goes on quoting for ten hours, and is never heard again: it counts until
    its last word is older than 24 hours, its own limit, and no longer. Said again before, it goes on counting.
    """
    hours = 3600.0
    ran = Ran().say(*(said(NOON + at, at, 400.0) for at in (R, LATE, A, B)), session(NOON + 40, Session.HOLIDAY))
    ran.say(said(NOON + 10 * hours, R, 400.0), said(NOON + 33 * hours, A, 400.0), said(NOON + 33 * hours + 5, A, 400.0))
    assert (False, []) == (ran.may(A), ran.notes("session_agrees"))
    ran.say(said(NOON + 35 * hours, A, 400.0), said(NOON + 35 * hours + 5, A, 400.0))
    assert ran.may(A)
    assert ["silent"] == [note.detail["why"] for note in ran.notes("session_agrees")]
    told = Ran().say(*(said(NOON + at, at, 400.0) for at in (R, LATE, A, B)), session(NOON + 40, Session.HOLIDAY))
    told.say(
        session(NOON + 20 * hours, Session.HOLIDAY),
        said(NOON + 30 * hours, A, 400.0),
        said(NOON + 30 * hours + 5, A, 400.0),
    )
    assert not told.may(A)


def test_clocks_that_differ_by_seconds_at_the_bell_are_no_disagreement() -> None:
    """
    At 15:59:40 a broker that is half a minute ahead says POST: that near to the change nothing follows from it.
    """
    ran = Ran().say(*(said(NOON + at, at, 400.0) for at in (R, LATE, A, B)), session(-4 * 3600 - 20, Session.POST))
    assert ran.may(A)
    assert [] == ran.notes("session_differs")


def test_a_session_is_judged_by_when_it_was_heard() -> None:
    """
    A replay reads no times of venues: the same record follows with and without one.
    """
    told = session(NOON + 10, Session.REGULAR)
    stamped = replace(told, ts_venue=told.ts_recv - 12 * 3600 * NS)
    for row in (told, stamped):
        ran = Ran().say(*(said(NOON + at, at, 400.0) for at in (R, LATE, A, B)), row, said(NOON + 12, A, 400.0))
        assert [] == ran.notes("session_differs")


def test_a_weekend_and_a_holiday_are_both_shut() -> None:
    """
    A source that only knows "closed" does not contradict our weekend.
    """
    saturday = 2.7 * 86_400
    ran = Ran().say(*(said(saturday + at, at, 400.0) for at in (R, LATE, A, B)), session(saturday + 9, Session.HOLIDAY))
    assert ran.may(A)
