"""Funding of a perp: the basis that it makes expected, how sure that is, and what the fair value makes of it."""

from __future__ import annotations

from math import exp, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.paths import prepare_kernel

prepare_kernel()

from connectors.events import NS, Flag, Kind, Row, Rows  # noqa: E402 - the kernel's cache must be chosen first
from connectors.instruments import Universe  # noqa: E402
from strategies.market.funding import CLAMP, Funding, Fundings  # noqa: E402
from tests.strategies.test_evidence import BEGIN, ORACLE, PERP, SATURDAY, TAPE, Market, token  # noqa: E402

EIGHT_HOURS = 28_800.0
BPS = 1e-4


def published(premium: float, scale: float) -> float:
    """Funding of eight hours by the rule that venues publish, at 1 bp of interest."""
    return scale * (premium + max(-CLAMP, min(CLAMP, BPS - premium)))


@given(premium=st.floats(-0.03, 0.03), scale=st.sampled_from([1.0, 0.5]), hours=st.sampled_from([1.0, 4.0, 8.0]))
def test_the_premium_of_either_rule_is_within_three_errors(premium: float, scale: float, hours: float) -> None:
    """
    Whatever premium made a funding, at a venue that halves it or not and paid every 1, 4 or 8 hours, it lies within
    three stated errors of the expected basis, beside 5 bps that a funding at rest leaves open.
    """
    told = Funding(published(premium, scale) * hours / 8, hours * 3600, BEGIN)
    basis, variance = told.basis
    assert abs(premium - basis) <= 3 * sqrt(variance) + 6 * BPS


def test_the_basis_by_numbers() -> None:
    """
    40 bps every 8 hours, or 5 bps an hour, is 1.5 x 40 + 5 bps, with an error of sqrt(20^2 + 25 / 3) bps; -40 bps the
    same below; none is none.
    """
    for rate, period in ((40 * BPS, EIGHT_HOURS), (5 * BPS, 3600.0)):
        basis, variance = Funding(rate, period, 0).basis
        assert (pytest.approx(65 * BPS), pytest.approx(408.3333 * BPS**2)) == (basis, variance)
        assert (-basis, variance) == Funding(-rate, period, 0).basis
    assert Funding(0.0, EIGHT_HOURS, 0).basis == (0.0, 0.0)


def row(ts: int, number: int, rate: float, period_s: float, flags: int = 0) -> Row:
    """A FUNDING row."""
    return Row(ts_recv=ts, instrument=number, kind=Kind.FUNDING, bid=rate, ask=period_s, flags=Flag(flags))


@pytest.mark.parametrize("cut", [1, 2, 7])
def test_the_newest_row_of_each_perp_stands_however_rows_are_cut(cut: int) -> None:
    """
    Rows of no number, no period, of a token, and such that were superseded tell nothing; the newest of the rest stands.
    """
    rows = [
        row(1, 0, 0.0001, 3600.0),
        row(2, 0, 0.0002, 3600.0),
        row(3, 1, 0.5, 3600.0),
        row(4, 0, nan, 3600.0),
        row(5, 0, 0.3, 0.0),
        row(6, 0, 0.3, 3600.0, Flag.SUPERSEDED),
        row(7, 9, 0.3, 3600.0),
    ]
    heard = Fundings(Universe((PERP, token("a"))))
    for at in range(0, len(rows), cut):
        block = Rows.of(rows[at : at + cut])
        heard.begin(block)
        for end in range(1, len(block) + 1):
            heard.pass_to(end)
    assert heard.of == {0: Funding(0.0002, 3600.0, 2)}


def fund(market: Market, number: int, rate: float, period_s: float = EIGHT_HOURS) -> None:
    """A FUNDING row now."""
    market.evidence.fundings.begin(Rows.of([row(market.now, number, rate, period_s)]))
    market.evidence.fundings.pass_to(1)


def overnight(rate: float | None, *, others: bool = False, price: float = 100.65) -> float:
    """Fair value after the share fell silent at 100 and a perp that was never heard by day began to print."""
    market = Market(PERP, TAPE, *([ORACLE] if others else []))
    for _ in range(3):
        market.say(nan, 100.0)
        market.tick()
    for _ in range(240):
        market.now += 25 * NS
        if rate is not None:
            fund(market, 0, rate)
        market.say(price, nan, *([100.0] if others else []))
        market.tick()
    found = market.columns.fair(0, market.now)
    assert found is not None
    return found.price


def test_a_perp_of_high_funding_is_taken_to_lie_above_its_share() -> None:
    """
    A share silent at 100 for two hours, a perp at 100.65: with 40 bps of funding every 8 hours, which tells of 65 bps
    over the share, the fair value stays at 100; without any it goes half of the way and more to the perp.
    """
    assert overnight(40 * BPS) == pytest.approx(100.0, abs=0.04)
    assert overnight(None) > 100.3
    assert overnight(0.0) == overnight(None)
    assert overnight(-40 * BPS) > overnight(40 * BPS) + 0.2


def test_the_error_of_funding_makes_the_perp_weigh_less() -> None:
    """The same perp at the price that its funding makes of 100 weighs less than one at 100 that pays none."""
    weights = []
    for rate, price in ((0.0, 100.0), (40 * BPS, 100.0 * exp(65 * BPS))):
        market = Market(PERP, TAPE)
        for _ in range(40):
            fund(market, 0, rate)
            market.say(price, 100.0)
            market.tick(60.0)
        for _ in range(40):
            fund(market, 0, rate)
            market.say(price, nan)
            market.tick(60.0)
        weights.append(float(market.columns.weight[0]))
        assert market.columns.fair(0, market.now).price == pytest.approx(100.0, abs=0.01)  # type: ignore[union-attr]
    assert weights[0] > 2 * weights[1] > 0


def test_a_change_of_funding_moves_no_fair_value_at_once() -> None:
    """A perp that is known to lie 30 bps above its share stays so known, when a funding is told that says 65 bps."""
    market = Market(PERP, TAPE)
    for _ in range(60):
        market.say(100.3, 100.0)
        market.tick()
    fund(market, 0, 40 * BPS)
    market.say(100.3, nan)
    market.tick()
    found = market.columns.fair(0, market.now)
    assert found is not None
    assert found.price == pytest.approx(100.0, abs=0.02)


@pytest.mark.parametrize(("ago_s", "said"), [(0, True), (2 * EIGHT_HOURS + 600, False)])
def test_old_funding_says_nothing(ago_s: float, said: bool) -> None:
    """Funding stands for two of its periods; then its perp is as any."""
    market = Market(PERP, TAPE)
    fund(market, 0, 40 * BPS)
    market.now += round(ago_s * NS)
    market.say(100.65, 100.0)
    market.tick()
    assert said is (0 in market.columns.fundings)
    market.say(100.65, nan)
    market.tick(3600.0)
    expected, _ = market.evidence.filter.premium()
    assert said is bool(expected[0] > 40 * BPS)


def test_what_is_told_while_the_share_is_shut_is_no_basis() -> None:
    """On Saturday a perp's premium over a price that stands still is what the share has moved: nothing is taken off."""
    market = Market(PERP, TAPE, now=SATURDAY)
    for _ in range(5):
        fund(market, 0, 40 * BPS)
        market.say(100.65, nan)
        market.tick(60.0)
    assert market.columns.fundings == {}
    found = market.columns.fair(0, market.now)
    assert found is not None
    assert found.price == pytest.approx(100.65, abs=0.01)
