"""Doubts through the engine: what is in doubt is told, not traded, raises no depeg, and is the same in any blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import isnan
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import Assembly, assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.config_file import load  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from bot.wiring import paper  # noqa: E402
from connectors.events import NAN, NS, Health, Kind, Row, Rows, Why  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from strategies.market import kernel as K  # noqa: E402

BEGIN = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York: the regular session goes on for four hours."""

CONFIG = """
[run]
timer_s = 1.0
[venues.a]
kind = "cex"
taker_fee_bps = 1.0
latency_ms = 5.0
[venues.b]
kind = "cex"
taker_fee_bps = 1.0
latency_ms = 5.0
[venues.c]
kind = "cex"
taker_fee_bps = 1.0
latency_ms = 5.0
[venues.r]
kind = "oracle"
[venues.s]
kind = "oracle"
[instruments."a:T"]
token = "T"
underlying = "S"
issuer = "i"
unit_model = "total_return"
multiplier = {multiplier}
{a}
[instruments."b:T"]
token = "T"
underlying = "S"
issuer = "i"
unit_model = "total_return"
multiplier = {multiplier}
{b}
[instruments."c:T"]
token = "T"
underlying = "S"
issuer = "i"
unit_model = "total_return"
multiplier = {multiplier}
{b}
[instruments."r:S"]
role = "share"
underlying = "S"
error_bps = 3
[instruments."s:S"]
role = "share"
underlying = "S"
error_bps = 5
[gates]
max_quote_age_s = 30
outlier_bps = {outlier}
confirm_s = 5
confirm_rows = 3
stub_move = inf
maintenance_s = 0
plausible_bps = {plausible}
[fair]
default_daily_vol_bps = 300
[strategies.cross_venue]
min_edge_bps = 10
size_usd = 100
cooldown_s = 1
max_short_units = 1000
max_long_units = 1000
[strategies.peg_watch]
persist_s = 5.0
[strategies.peg_watch.warn_bps]
pre = 100
regular = 100
post = 100
overnight = 100
weekend = 100
holiday = 100
[strategies.peg_watch.depeg_bps]
pre = 300
regular = 300
post = 300
overnight = 300
weekend = 300
holiday = 300
[risk]
max_order_usd = 1000
max_position_usd = 1000000
max_gross_usd = 1000000
collar_bps = inf
max_orders_per_minute = 1000
max_daily_loss_usd = 1000000
sessions = ["regular"]
coin_band_bps = 200
hedge_orders_per_minute = 0
max_wishes_per_minute = inf
max_turnover_usd_per_day = inf
trade_gap_s = 0
max_drawdown_usd = inf
max_naked_usd = inf
max_naked_s = inf
caps.token_usd = inf
caps.venue_usd = inf
caps.issuer_usd = inf
caps.chain_usd = inf
caps.stablecoin_usd = inf
"""
A, B, C, R, S = range(5)
Price = Callable[[float], float]


@cache
def config(a: str = "", b: str = "", multiplier: float = 2.0, outlier: str = "inf", plausible: str = "5000") -> Config:
    """The config of this file, read as an operator's would be; `a`, `b` are more lines of those instruments."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        text = CONFIG.format(a=a, b=b, multiplier=multiplier, outlier=outlier, plausible=plausible)
        path.write_text(text, encoding="utf-8")
        return load(path, credentials=False)


UNIT = {"a": 'basis = "unit"', "b": 'basis = "unit"'}


class Ran:
    """A run over rows, in blocks of at most `block`."""

    def __init__(self, config: Config, rows: list[Row], *, block: int | None = None, earlier: list[Step] = []) -> None:  # noqa: B006 - read only
        """Runs them, after the records of an earlier run."""
        universe = universe_of(config)
        self.steps: list[Step] = []
        journal = Journal(None)
        self.parts: Assembly = assemble(
            config, universe, load_sessions(), journal, executor=paper(config, universe, 1), on_step=[self.steps.append]
        )
        self.parts.engine.restore(earlier)
        whole = Rows.of(rows)
        for part in [whole] if block is None else whole.blocks(block):
            self.parts.engine.advance(part)
        self.parts.engine.finish()
        self.columns = self.parts.columns
        self.hash = journal.hash()

    def notes(self, kind: str, instrument: int | None = None) -> list[Note]:
        """Notes of a kind, in order."""
        notes = [note for step in self.steps for note in step.notes if note.kind == kind]
        return [note for note in notes if instrument in (None, note.instrument)]

    def at(self, kind: str, instrument: int) -> list[float]:
        """Seconds since the beginning at which notes of a kind were told."""
        return [
            (step.ts - BEGIN) / NS
            for step in self.steps
            for note in step.notes
            if (note.kind, note.instrument) == (kind, instrument)
        ]

    def fills(self) -> list[tuple[float, int]]:
        """(second, instrument) of every fill."""
        return [
            ((fill.ts - BEGIN) / NS, fill.instrument)
            for step in self.steps
            for report in step.reports
            for fill in report.fills
        ]

    def pegs(self, instrument: int) -> list[str]:
        """The peg states of an instrument, in order."""
        return [str(note.detail["to"]) for note in self.notes("peg_state", instrument)]


def quote(s: float, instrument: int, price: float, kind: Kind | None = None) -> Row:
    """A quote 2 bps wide, `s` seconds after the beginning."""
    what = kind or (Kind.REFERENCE if instrument in (R, S) else Kind.QUOTE)
    return Row(ts_recv=BEGIN + round(s * NS), instrument=instrument, kind=what, bid=price * 0.9999, ask=price * 1.0001,
               bid_size=50.0, ask_size=50.0)  # fmt: skip


def market(seconds: int, **prices: Price) -> list[Row]:
    """Every second each named instrument (a, b, c, r, s) says its price; a share walks, and prices are times it."""
    rng = np.random.default_rng(3)
    walk = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-4, seconds + 1)))
    rows = []
    for at in range(seconds):
        for place, (number, name) in enumerate(((R, "r"), (S, "s"), (A, "a"), (B, "b"), (C, "c"))):
            if name in prices and not isnan(times := prices[name](at)):
                price = float(walk[at]) * times * (1 + float(rng.normal(0, 1e-4)))
                rows.append(quote(at + 0.1 * place, number, price))
    return rows


def always(times: float) -> Price:
    """The same multiple of the share at all times."""
    return lambda _: times


def test_units_and_shares_are_told_before_anything_is_traded() -> None:
    """
    Venue a quotes units of two shares, b quotes shares; the 10 % between them in b's favour are traded, by shares, only
    after both were told. Before, the premium is unknown.
    """
    rows = market(60, r=always(1), s=always(1), a=always(2.0), b=lambda s: 1.0 if s < 40 else 1.004)
    ran = Ran(config(), rows)
    assert ["unit", "share"] == [ran.notes("basis", number)[0].detail["basis"] for number in (A, B)]
    told = max(ran.at("basis", A) + ran.at("basis", B))
    assert 10 < told < 20
    assert told < min(at for at, _ in ran.fills())
    assert [2.0, 1.0] == ran.columns.shares_per_unit[[A, B]].tolist()
    assert abs(ran.columns.premium_bps[B] - 40) < 10
    early = Ran(config(), [row for row in rows if row.ts_recv < BEGIN + 8 * NS])
    assert np.isnan(early.columns.premium_bps[[A, B]]).all()
    assert [True, True] == [early.columns.doubted(number, Why.BASIS) for number in (A, B)]
    assert [] == early.fills()


def test_a_basis_that_the_config_says_is_taken() -> None:
    """
    With `basis` written nothing is calibrated: the first gap is traded at once.
    """
    rows = market(10, r=always(1), s=always(1), a=always(2.0), b=always(1.004))
    ran = Ran(config(a='basis = "unit"', b='basis = "share"'), rows)
    assert min(at for at, _ in ran.fills()) < 3
    assert [] == ran.notes("doubt")


def test_a_multiplier_of_one_needs_no_basis() -> None:
    """
    Units and shares are the same then.
    """
    rows = market(10, r=always(1), s=always(1), a=always(1.0), b=always(1.004))
    ran = Ran(config(multiplier=1.0), rows)
    assert [] == ran.notes("doubt")
    assert ran.fills()


def test_a_multiplier_too_near_to_one_is_ambiguous_and_said() -> None:
    """
    15 bps cannot be told: it is said once, and nothing is traded there.
    """
    rows = market(60, r=always(1), s=always(1), a=always(1.0015), b=always(1.0055))
    ran = Ran(config(multiplier=1.0015), rows)
    assert ["ambiguous"] == [note.detail["basis"] for note in ran.notes("basis", A)]
    assert [] == ran.fills()


def split(venue: Price) -> list[Row]:
    """A split 10:1 at second 60: the share falls to a tenth, a unit becomes 20 shares, and b does what it does."""
    rows = market(120, r=lambda s: 1.0 if s < 60 else 0.1, s=lambda s: 1.0 if s < 60 else 0.1, a=always(2.0), b=venue)
    rows.append(Row(ts_recv=BEGIN + 60 * NS, instrument=A, kind=Kind.MULTIPLIER, bid=20.0, ask=NAN))
    return sorted(rows, key=lambda row: row.ts_recv)


def test_a_venue_that_missed_a_split_is_told_and_not_traded() -> None:
    """
    b shows the share's old price after the split: neither unit nor share fits. No phantom gap is traded, no depeg told.
    """
    ran = Ran(config(), split(always(1.0)))
    assert ["share", "impossible"] == [note.detail["basis"] for note in ran.notes("basis", B)]
    assert ["unit", "unit"] == [note.detail["basis"] for note in ran.notes("basis", A)]
    assert [] == [at for at, _ in ran.fills() if at >= 60]
    assert "DEPEGGED" not in ran.pegs(B)
    assert ran.columns.doubted(B, Why.BASIS)


def test_a_venue_that_follows_a_split_is_told_again_and_traded() -> None:
    """
    b shows the new share's price: told as shares again, and its gap of 40 bps is traded.
    """
    ran = Ran(config(), split(lambda s: 1.0 if s < 60 else 0.1 if s < 100 else 0.1004))
    assert ["share", "share"] == [note.detail["basis"] for note in ran.notes("basis", B)]
    assert [at for at, _ in ran.fills() if at >= 100]
    assert [] == [at for at, _ in ran.fills() if 60 <= at < 75]


def test_a_basis_survives_a_restart() -> None:
    """
    The next run knows from its first row what was told under the same multiplier; under another one it asks anew.
    """
    rows = market(60, r=always(1), s=always(1), a=always(2.0), b=always(1.002))
    first = Ran(config(), rows)
    again = Ran(config(), rows[:40], earlier=first.steps)
    assert {C} == {note.instrument for note in again.notes("doubt")}
    assert min(at for at, _ in again.fills()) < 3
    other = Ran(config(multiplier=3.0), rows[:40], earlier=first.steps)
    assert {A, B, C} == {note.instrument for note in other.notes("doubt")}


def wrong(s: float) -> float:
    """Another asset at 12 % of what a unit is worth."""
    return 0.24


@pytest.mark.parametrize("outlier", ["inf", "2000"])
def test_another_asset_is_shown_not_traded_and_no_depeg(outlier: str) -> None:
    """
    Also after its price has stood as an outlier, b is in doubt: told once, never a leg, and never DEPEGGED.
    """
    rows = market(60, r=always(1), s=always(1), a=always(2.0), b=wrong, c=always(2.01))
    ran = Ran(config(outlier=outlier, **UNIT), rows)
    assert ["implausible"] == [note.detail["why"] for note in ran.notes("doubt", B)]
    assert {A, C} == {instrument for _, instrument in ran.fills()}
    assert "DEPEGGED" not in ran.pegs(B)
    assert abs(ran.columns.mid_usd[B] - 12) < 1
    blind = Ran(config(outlier=outlier, plausible="inf", **UNIT), rows)
    assert B in {instrument for _, instrument in blind.fills()}
    assert "DEPEGGED" in blind.pegs(B)


def test_not_even_the_first_wrong_quote_is_traded() -> None:
    """
    It comes between two ticks of the clock and wakes the strategy itself: the price is judged before the wish.
    """
    calm = market(3, r=always(1), s=always(1), a=always(2.0), b=always(2.0))
    rows = [*calm, quote(2.91, B, 24.0), quote(2.92, B, 24.01)]
    ran = Ran(config(**UNIT), rows)
    assert [] == [wish for step in ran.steps for wish in step.wishes]
    assert [2.91] == ran.at("doubt", B)
    assert [wish for step in Ran(config(plausible="inf", **UNIT), rows).steps for wish in step.wishes]


def test_a_crash_that_two_venues_see_is_a_depeg() -> None:
    """
    At second 20 a and b fall to 40 %: after the states' persistence both are DEPEGGED, whatever stood before.
    """
    fall: Price = lambda s: 2.0 if s < 20 else 0.8  # noqa: E731
    later: Price = lambda s: 2.0 if s < 23 else 0.8  # noqa: E731
    ran = Ran(config(**UNIT), market(60, r=always(1), s=always(1), a=fall, b=later))
    assert ["DEPEGGED", "DEPEGGED"] == [ran.pegs(A)[-1], ran.pegs(B)[-1]]
    assert [20.2] == [pytest.approx(at, abs=1.5) for at in ran.at("doubt", A)]
    assert not ran.columns.doubted(A)
    alone = Ran(config(**UNIT), market(60, r=always(1), s=always(1), a=fall, b=always(2.0)))
    assert "DEPEGGED" not in alone.pegs(A)
    assert alone.columns.doubted(A, Why.IMPLAUSIBLE)


def test_what_is_plausible_again_is_traded_again() -> None:
    """
    The mapping was wrong for 20 seconds; then the price is the token's.
    """
    ran = Ran(config(**UNIT), market(60, r=always(1), s=always(1), a=always(2.0), b=lambda s: 0.24 if s < 20 else 2.01))
    assert ["implausible"] == [note.detail["why"] for note in ran.notes("doubt_cleared", B)]
    assert min(at for at, instrument in ran.fills() if instrument == B) > 20


def test_an_instrument_may_have_a_band_of_its_own() -> None:
    """
    With `plausible_bps = inf` on it, any price of a is its own.
    """
    rows = market(30, r=always(1), s=always(1), a=wrong, b=always(2.0))
    ran = Ran(config(a='basis = "unit"\nplausible_bps = inf', b=UNIT["b"]), rows)
    assert [] == ran.notes("doubt")


def late_rows(seconds: int, delay: int, until: int | None = None) -> list[Row]:
    """Source r is `delay` late and claims the smaller error; s is in time, and silent from `until` on."""
    rng = np.random.default_rng(11)
    walk = 100.0 * np.exp(np.cumsum(rng.normal(0, 3e-4, seconds + delay)))
    rows = []
    for at in range(0, seconds, 5):
        rows.append(quote(at, R, float(walk[at])))
        if until is None or at < until:
            rows.append(quote(at + 0.1, S, float(walk[at + delay])))
        rows += [quote(at + 0.2, A, 2.0 * float(walk[at + delay])), quote(at + 0.3, B, 2.0 * float(walk[at + delay]))]
    return rows


def test_a_late_source_is_not_the_fair_value_while_another_stands() -> None:
    """
    r is ten minutes late with the smaller error: it is chosen until it is found out, then s is.
    """
    rows = late_rows(2400, 600)
    early = Ran(config(**UNIT), rows[:8])
    assert R == early.columns.fair_source[0]
    ran = Ran(config(**UNIT), rows)
    assert 600 == pytest.approx(
        next(float(n.detail["late_s"]) for n in ran.notes("doubt", R) if "late_s" in n.detail), abs=30
    )  # type: ignore[arg-type]
    assert ran.columns.doubted(R, Why.DELAYED)
    assert S == ran.columns.fair_source[0]
    print(f"late source doubted after {ran.at('doubt', R)[0] / 60:.0f} min")


def test_with_only_a_late_source_left_nothing_is_entered() -> None:
    """
    s falls silent: what r says has an unknown error, so the fair value is unknown, and a gap is not traded.
    """
    rows = late_rows(2400, 600)
    gap = [quote(2400 + at, number, 200.0 * (1 + 0.01 * (number == B))) for at in range(0, 60, 5) for number in (A, B)]
    last = [quote(2400 + at, R, 100.0) for at in range(0, 60, 5)]
    silence = config(**UNIT).model_copy(
        update={"gates": config(**UNIT).gates.model_copy(update={"frozen_after_s": 5.0, "frozen_rows": 2})}
    )
    still = [quote(2400 + at, S, 100.0) for at in range(0, 60, 5)]
    ran = Ran(silence, sorted([*rows, *gap, *last, *still], key=lambda row: row.ts_recv))
    assert K.FROZEN == ran.columns.refusal[S]
    assert ran.columns.own(0, ran.columns.now) is None
    assert [] == [at for at, _ in ran.fills() if at > 2420]


@pytest.mark.parametrize("max_source_lag_s", [120.0, float("inf")])
def test_a_source_that_says_itself_that_it_is_late_is_not_the_fair_value(max_source_lag_s: float) -> None:
    """
    The feed of r says that its exchange's prices are delayed, whether or not sources are held against each other: s is
    the fair value although its error is larger, until r's feed takes it back; that r is down for a moment takes nothing
    back.
    """

    def stands(s: float, state: Health, why: Why) -> Row:
        return Row(ts_recv=BEGIN + round(s * NS), instrument=R, kind=Kind.HEALTH, bid=float(state), ask=float(why))

    rows = [
        *market(40, r=always(1), s=always(1), a=always(2.0)),
        stands(9.95, Health.DEGRADED, Why.DELAYED),
        stands(14.95, Health.DOWN, Why.NOT_HEARD),
        stands(29.95, Health.UP, Why.NOTHING),
    ]
    rows.sort(key=lambda row: row.ts_recv)
    base = config(**UNIT)
    gates = base.gates.model_copy(update={"max_source_lag_s": max_source_lag_s})
    made = base.model_copy(update={"gates": gates})
    sources = [
        int(Ran(made, [row for row in rows if row.ts_recv < BEGIN + s * NS]).columns.fair_source[0])
        for s in (9, 12, 25, 39)
    ]
    assert [R, S, S, R] == sources


def test_one_witness_is_said() -> None:
    """
    With one source a delay could not be told: that is said once, and with two it is not.
    """
    one = Ran(config(**UNIT), market(30, r=always(1), a=always(2.0)))
    assert ["r:S"] == [note.detail["source"] for note in one.notes("one_witness")]
    assert [] == Ran(config(**UNIT), market(30, s=always(1), r=always(1), a=always(2.0))).notes("one_witness")[1:]


def test_a_basis_that_was_known_is_not_forgotten_over_one_that_cannot_be_told() -> None:
    """
    b was told to quote shares, then a split made that impossible, then the process restarts under a multiplier so near
    to one that prices cannot tell: it is still shares. Without that memory it is ambiguous.
    """
    earlier = Ran(config(), split(always(1.0))).steps
    rows = market(60, r=always(1), s=always(1), a=always(1.0), b=always(1.0))
    made = config(multiplier=1.0015)
    assert "share" == Ran(made, rows, earlier=earlier).notes("basis", B)[-1].detail["basis"]
    assert "ambiguous" == Ran(made, rows).notes("basis", B)[-1].detail["basis"]


@pytest.mark.parametrize(("why", "decided"), [(Why.LOOP_LAG, [8.0]), (Why.CLOCK, [8.0]), (Why.DISCONNECTED, [])])
def test_a_gap_waits_for_no_row_when_only_we_were_late(why: Why, decided: list[float]) -> None:
    """
    A gap opens while this process was held up, or a clock was in doubt. It is decided on when that is over for both
    venues; after a lost connection the last quotes are of before, so the next row is waited for.
    """

    def stands(s: float, instrument: int, state: Health, reason: Why) -> Row:
        at = BEGIN + round(s * NS)
        return Row(ts_recv=at, instrument=instrument, kind=Kind.HEALTH, bid=float(state), ask=float(reason))

    bad = Health.DOWN if why is Why.DISCONNECTED else Health.DEGRADED
    rows = [*market(4, r=always(1), s=always(1), a=always(2.0), b=always(2.0))]
    rows += [stands(5, A, bad, why), stands(5, B, bad, why), quote(6, A, 200.0), quote(6.5, B, 202.0)]
    rows += [stands(7, A, Health.UP, Why.NOTHING), stands(8, B, Health.UP, Why.NOTHING)]
    for block in (1, None):
        ran = Ran(config(**UNIT), rows, block=block)
        assert decided == [(step.ts - BEGIN) / NS for step in ran.steps if step.approved]


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_the_size_of_blocks_changes_nothing(block: int) -> None:
    """
    A world with every doubt: the same records and the same hash in blocks of any size.
    """
    worlds = [
        (config(), split(always(1.0))),
        (config(outlier="2000", **UNIT), market(60, r=always(1), s=always(1), a=always(2.0), b=wrong, c=always(2.01))),
        (config(), late_rows(1500, 600)),
    ]
    for made, rows in worlds:
        whole, cut = Ran(made, rows), Ran(made, rows, block=block)
        assert whole.steps == cut.steps
        assert whole.hash == cut.hash
        assert whole.notes("doubt")
        np.testing.assert_array_equal(whole.columns.doubts, cut.columns.doubts)
        np.testing.assert_array_equal(whole.columns.f, cut.columns.f)
