"""The strategy of peg states on real columns: what it tells, what it refuses to tell, its shadow and its restart."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Flag, Health, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.base import Note, View  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.session import Session  # noqa: E402
from strategies.peg_watch import PegState, PegWatch, Rule  # noqa: E402

NOW = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
A, B, S, R, USDT, C = range(6)
UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.TOTAL_RETURN, multiplier=1.0),
        Instrument(venue="b", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i", quote="USDT",
                   unit_model=UnitModel.TOTAL_RETURN, multiplier=1.0),
        Instrument(venue="s", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT"),
        Instrument(venue="chain", symbol="0xT", role=Role.TOKEN, underlying="S", token="T", issuer="i"),
    )
)  # fmt: skip
RULE = Rule(
    warn_bps=dict.fromkeys(Session, 100.0),
    depeg_bps=dict.fromkeys(Session, 300.0),
    persist_ns=10 * NS,
    prints=2,
    sample_ns=0,
    warm_prints=10**9,
    depth_usd=300.0,
)
"""Bands alone, so that a handful of prints tells."""


class Market:
    """Two venues, two share sources, a coin and the issuer's contract, a print of each every five seconds."""

    def __init__(self, rule: Rule = RULE, shadow: Rule | None = None, *, max_age_s: float = 60.0) -> None:
        facts = [Facts(cost=0.001, traded=True, max_age_ns=round(max_age_s * NS))] * 2 + [
            Facts(max_age_ns=round(max_age_s * NS), source_error=0.0003)
        ] * 4
        beliefs = Beliefs(max_error=0.05, default_daily_vol=0.03, frozen_ns=3600 * NS, frozen_rows=4, stub_move=0.5)
        self.columns = Columns(UNIVERSE, facts, beliefs, load_sessions())
        self.columns.enter_session(NOW)
        self.watch = PegWatch(rule=rule, shadow=shadow)
        self.watch.wakes(UNIVERSE)
        self.at, self.tick = NOW, count()
        self.notes: list[Note] = []
        self.prices: dict[int, float | None] = {A: 100.0, B: 100.0, S: 100.0, R: 100.0, USDT: 1.0}
        self.flags = dict.fromkeys(self.prices, Flag(0))
        self.alive = True

    def go(self, seconds: float = 5.0, **prices: float | None) -> Market:
        """Some seconds with a print of everything every five; a source moves a hair each time unless not `alive`."""
        self.prices |= {"ABSR".index(name): price for name, price in prices.items() if name != "USDT"}
        if "USDT" in prices:
            self.prices[USDT] = prices["USDT"]
        for _ in range(max(1, round(seconds / 5))):
            self.at += 5 * NS
            hair = 1e-6 * (next(self.tick) % 7) if self.alive else 0.0
            rows = [
                Row(ts_recv=self.at, instrument=at, kind=KINDS[at], bid=price * (0.9999 + hair), bid_size=5.0,
                    ask=price * (1.0001 + hair), ask_size=5.0, flags=self.flags[at])
                for at, price in self.prices.items() if price is not None
            ]  # fmt: skip
            if rows:
                self.columns.scan(Rows.of(sorted(rows, key=lambda row: row.instrument not in (S, R, USDT))), 0, NEVER)
            self.look()
        return self

    def look(self, after_s: float = 0.0) -> Market:
        """A tick of the clock without a print."""
        self.at += round(after_s * NS)
        self.notes += self.watch.decide(View(self.columns, Ledger(UNIVERSE), self.at)).notes
        return self

    def told(self, kind: str = "peg_state", at: int = A) -> list[str]:
        """States of venue a (or another), or of the token, with causes, in order."""
        found = [n for n in self.notes if n.kind == kind and (kind != "peg_state" or n.instrument == at)]
        return [" ".join((str(n.detail["to"]), str(n.detail.get("cause", "")))).strip() for n in found]


KINDS = {A: Kind.QUOTE, B: Kind.QUOTE, S: Kind.REFERENCE, R: Kind.REFERENCE, USDT: Kind.FX}


def test_a_depeg_must_last_and_is_left_with_hysteresis() -> None:
    """
    4 % off at one venue: nothing for ten seconds, then DEPEGGED; 2.5 % off is still above 70 % of 3 %; 1.9 % is
    STRAINED, and 0 is PEGGED.
    """
    market = Market().go()
    assert ["PEGGED"] == market.told()
    assert ["PEGGED"] == market.go(10, A=104.0).told()
    assert ["PEGGED", "DEPEGGED venue"] == market.go().told()
    assert 2 == len(market.go(40, A=102.5).told())
    assert "STRAINED venue" == market.go(15, A=101.9).told()[2]
    assert "PEGGED" == market.go(25, A=100.0).told()[-1]
    assert PegState.PEGGED is market.watch.state(A)
    assert ["PEGGED"] == market.told(at=B)


def test_one_venue_alone_never_depegs_the_token() -> None:
    """
    Venue a at 4 %: the venue is DEPEGGED, the token STRAINED; with venue b beside it, the token is DEPEGGED.
    """
    market = Market().go().go(60, A=104.0)
    assert ["PEGGED", "STRAINED venue"] == market.told("token_state")
    market.go(60, B=104.0)
    assert ["DEPEGGED token"] == market.told("token_state")[2:]
    assert "DEPEGGED token" == market.told(at=B)[-1] == market.told()[-1]
    assert "PEGGED" == market.go(60, A=100.0, B=100.0).told("token_state")[-1]


def test_the_evidence_stands_in_the_note() -> None:
    """
    Since when, how far, against what, by whom, and what stands at the other venue; how often a band is passed by chance
    nobody knows, so nothing is said of it.
    """
    market = Market().go().go(60, A=104.0)
    detail = next(n.detail for n in market.notes if n.detail["to"] == "DEPEGGED")
    assert NOW / NS + 10 == detail["since"]
    assert 400.0 == pytest.approx(float(detail["premium_bps"]), abs=1.0)
    assert ("band", 300.0, "b +0 bps") == (detail["by"], detail["threshold_bps"], detail["others"])
    assert 520.0 == pytest.approx(float(detail["size_usd"]), abs=1.0)
    assert "s:S 100" in str(detail["sources"]) and "r:S 100" in str(detail["sources"])
    assert "false_alarms_month" not in detail


def test_a_doubtful_premium_is_no_depeg() -> None:
    """
    4 % off against a fair value that is itself good to 2 %: below three sigmas, no alarm.
    """
    market = Market(max_age_s=1e6).go()
    market.prices |= {S: None, R: None}
    market.at += 3 * 3600 * NS
    assert ["PEGGED"] == market.go(60, A=104.0).told()


def test_a_stale_quote_makes_the_state_unknown_at_once_and_back_is_no_new_alarm() -> None:
    """
    Venue a is silent for more than its 60 seconds: UNKNOWN without a cause; back as it was, the note says so.
    """
    market = Market().go().go(30, A=104.0)
    market.go(65, A=None)
    assert "UNKNOWN" == market.told()[-1]
    market.go(A=104.0)
    assert "DEPEGGED venue" == market.told()[-1]
    assert 1.0 == [n for n in market.notes if n.instrument == A][-1].detail["again"]


def test_a_reference_that_repeats_itself_makes_it_unknown() -> None:
    """
    Both sources repeat their last quote while both venues leave by 4 %: UNKNOWN for the reference, never DEPEGGED;
    when the sources speak anew and the token is where they are, it is PEGGED.
    """
    market = Market().go(20)
    market.alive = False
    market.go(90, A=104.0, B=104.0)
    assert ["PEGGED", "UNKNOWN reference"] == market.told() == market.told(at=B)
    assert ["PEGGED", "UNKNOWN reference"] == market.told("token_state")
    market.alive = True
    assert "PEGGED" == market.go(60, S=104.0, R=104.0).told()[-1]
    assert not [n for n in market.notes if n.detail["to"] == "DEPEGGED"]


def test_a_reference_that_wakes_up_where_it_was_lets_the_depeg_be_told() -> None:
    """
    The same, but the sources then move about their old price: now it can be told, and is.
    """
    market = Market().go(20)
    market.alive = False
    market.go(60, A=104.0, B=104.0)
    market.alive = True
    assert "DEPEGGED token" == market.go(30).told()[-1]


def test_sources_that_disagree_leave_it_unknown() -> None:
    """
    By one source the token is 4 % dear, by the other it is where it should be: UNKNOWN for the reference.
    """
    market = Market().go(20).go(60, A=104.0, B=104.0, R=104.0)
    assert {"PEGGED", "UNKNOWN reference"} == set(market.told())


def test_sources_of_which_none_is_believed_still_have_a_say() -> None:
    """
    Both sources are in doubt, as they contradict each other, and the fair value stands on the other venue alone. By one
    of them the token is where it should be: UNKNOWN for the reference; where both bear it out it is DEPEGGED.
    """
    for other, state in ((104.0, "UNKNOWN reference"), (100.0, "DEPEGGED venue")):
        market = Market().go(20)
        for source in (S, R):
            market.columns.doubt(source, Why.DELAYED)
        market.columns.weigh(B, 1e8, 0.0)
        assert state == market.go(60, A=104.0, R=other).told()[-1]


def test_a_halted_share_leaves_it_unknown() -> None:
    """
    One source says halted while the other still prints: nothing is known of a token that leaves.
    """
    market = Market().go(20)
    market.flags[R] = Flag.HALTED
    assert ["PEGGED", "UNKNOWN reference"] == market.go(60, A=104.0).told()


def test_without_any_reference_it_is_unknown_for_the_reference() -> None:
    """
    Both sources are refused as halted: no fair value, so no state.
    """
    market = Market().go(20)
    market.flags[R] = market.flags[S] = Flag.HALTED
    assert ["PEGGED", "UNKNOWN reference"] == market.go(60, A=104.0).told()


def test_a_coin_off_its_dollar_is_the_cause_where_it_is_quoted() -> None:
    """
    USDT falls by 3 % and venue b quotes so much more of it: the token is where it was; b is STRAINED for the coin, a
    is not touched, and the token is STRAINED for the coin.
    """
    market = Market().go(300).go(700, USDT=0.97, B=100 / 0.97)
    assert ["OFF"] == market.told("coin_state")
    assert ["PEGGED", "STRAINED stablecoin"] == market.told(at=B)
    assert ["PEGGED"] == market.told()
    assert ["PEGGED", "STRAINED stablecoin"] == market.told("token_state")
    assert "PEGGED" == market.go(900, USDT=1.0, B=100.0).told(at=B)[-1]


def test_a_venue_that_lags_its_coin_is_strained_for_the_coin() -> None:
    """
    USDT falls by 6 % and venue b does not follow: 6 % off in USD, for the coin, and the token is not DEPEGGED.
    """
    market = Market().go(300).go(700, USDT=0.94)
    assert "STRAINED stablecoin" == market.told(at=B)[-1]
    assert "DEPEGGED token" not in market.told("token_state")


def test_a_venue_that_misses_a_multiplier_is_named_for_it() -> None:
    """
    A unit becomes worth 1.05 shares; venue b follows, venue a stays: it is STRAINED for the multiplier.
    """
    market = Market().go(20)
    for at in (A, B):
        market.columns.set_shares_per_unit(at, 1.05)
    market.go(60, B=105.0)
    assert "STRAINED multiplier" == market.told()[-1]
    assert "PEGGED" == market.told(at=B)[-1]


def test_a_paused_issuer_is_a_primary_failure() -> None:
    """
    The issuer's contract is paused while venue a, with 500 USD on both sides, is at 4 %: the token is DEPEGGED.
    """
    market = Market().go(20)
    market.columns.said[C] = (Health.DEGRADED, Why.PAUSED)
    assert "DEPEGGED issuer" == market.go(60, A=104.0).told("token_state")[-1]


def test_a_share_without_a_token_venue_is_unknown() -> None:
    """
    What no venue has a token of is UNKNOWN, not PEGGED.
    """
    assert PegState.PEGGED is Market().go().watch.of_share("S")
    assert PegState.UNKNOWN is Market().go().watch.of_share("Z")


def test_the_shadow_is_recorded_and_alerts_nobody() -> None:
    """
    A candidate that alarms at 1 % tells its states under kinds of its own; the active rule tells what it told without.
    """
    tight = replace(RULE, warn_bps=dict.fromkeys(Session, 50.0), depeg_bps=dict.fromkeys(Session, 90.0))
    alone, both = Market().go().go(60, A=101.2), Market(shadow=tight).go().go(60, A=101.2)
    assert ["PEGGED", "STRAINED venue"] == alone.told() == both.told()
    assert ["PEGGED", "DEPEGGED"] == [
        str(n.detail["to"]) for n in both.notes if n.kind == "shadow_state" and n.instrument == A
    ]
    assert [n.kind for n in alone.notes] == [n.kind for n in both.notes if not n.kind.startswith("shadow")]


def test_a_restart_keeps_states_and_since_when() -> None:
    """
    A run goes on from the notes of the one before: DEPEGGED since then, told as no new alarm; and what is usual.
    """
    first = Market().go().go(60, A=104.0, B=104.0)
    usual = {"centre_bps": 7.0, "spread_bps": 11.0, "correlation": 0.5, "gap_ns": 6e10, "count": 400.0}
    told = [n for n in first.notes if n.kind in ("peg_state", "token_state") and n.detail["to"] == "DEPEGGED"]
    second = Market()
    second.watch.resume([*told, Note(kind="peg_usual", instrument=A, detail=usual)])
    assert (7.0, 11.0, 400) == (
        second.watch.board.watches[A].ordinary.centre_bps,
        second.watch.board.watches[A].ordinary.spread_bps,
        second.watch.board.watches[A].ordinary.count,
    )
    second.go(30, A=104.0, B=104.0)
    again = [n for n in second.notes if n.kind in ("peg_state", "token_state")]
    assert {("DEPEGGED", 1.0)} == {(n.detail["to"], n.detail["again"]) for n in again}
    assert {n.detail["since"] for n in told} == {n.detail["since"] for n in again}
    assert "PEGGED" == second.go(60, A=100.0, B=100.0).told("token_state")[-1]


def test_what_is_usual_is_written_down_now_and_then() -> None:
    """
    After forty samples it is known what is usual at both venues; it is told once in six hours.
    """
    market = Market(replace(RULE, warm_prints=20)).go(300)
    market.at += 6 * 3600 * NS
    market.go(10)
    assert {A, B} == {n.instrument for n in market.notes if n.kind == "peg_usual"}
