"""Premia with their sigmas: of a venue with and without its coin, of a token over its venues, across issuers."""

from __future__ import annotations

from math import nan, sqrt

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from monitoring.decisions import Tally  # noqa: E402
from monitoring.facts import Facts as About  # noqa: E402
from monitoring.metrics import Metrics  # noqa: E402
from monitoring.snapshot import Snapshot, snapshot  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.readings import COIN_ERROR  # noqa: E402

BEGIN = 1_788_551_990 * NS
"""Friday 4 September 2026, 15:59:50 in New York."""
ABOUT = About(version="1", mode="monitor")


def token(venue: str, name: str, issuer: str, quote: str = "USD") -> Instrument:
    """A token of S."""
    return Instrument(venue=venue, symbol=f"{name}/{quote}", role=Role.TOKEN, token=name, issuer=issuer, quote=quote,
                      underlying="S", unit_model=UnitModel.REBASING)  # fmt: skip


UNIVERSE = Universe(
    (
        token("a", "Sx", "one"),
        token("b", "Sx", "one"),
        token("c", "Sx", "one", "USDT"),
        token("a", "Sy", "two"),
        token("b", "Sw", "two"),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)
SHARE, COIN = 5, 6
KINDS = {Role.SHARE: Kind.REFERENCE, Role.COIN: Kind.FX}


def said(*prices: float) -> Columns:
    """Everybody prints its price, one tick wide; nan says nothing. The share is known to 10 bps."""
    facts = [Facts(max_age_ns=60 * NS, source_error=1e-3) for _ in UNIVERSE]
    made = Columns(UNIVERSE, facts, Beliefs(max_error=0.1, default_daily_vol=0.02), load_sessions())
    made.enter_session(BEGIN)
    for number in (COIN, SHARE, *range(SHARE)):
        if (price := prices[number]) == price:
            kind = KINDS.get(UNIVERSE[number].role, Kind.QUOTE)
            bid, ask = price * (1 - 1e-9), price * (1 + 1e-9)
            made.scan(Rows.of([Row(ts_recv=BEGIN, instrument=number, kind=kind, bid=bid, ask=ask)]), 0, NEVER)
    return made


def picture(*prices: float) -> Snapshot:
    """What the page shows of that."""
    return snapshot(said(*prices), Tally(UNIVERSE), facts=ABOUT)


def test_a_venues_premium_stands_beside_its_sigmas_with_and_without_the_coin() -> None:
    """
    30 bps over a share known to 10 bps are three sigmas; at 0.99 a coin, what is worth par is 101 bps up without it.
    """
    plain, coined = picture(100.3, nan, 100 / 0.99, nan, nan, 100.0, 0.99).tokens[:3:2]
    assert (pytest.approx(30, abs=1e-6), pytest.approx(3, abs=1e-6)) == (plain.premium_bps, plain.sigmas)
    assert pytest.approx(10, abs=1e-6) == plain.premium_error_bps
    assert plain.premium_bps == plain.premium_at_par_bps
    assert pytest.approx(0, abs=1e-6) == coined.premium_bps
    assert pytest.approx(1e4 / 99, rel=1e-6) == coined.premium_at_par_bps


def test_sigmas_are_unknown_where_the_fair_value_is() -> None:
    """
    Without a share there is no premium and no distance, of a venue, of a token; the page says so and shows no 0.
    """
    found = picture(100.3, 100.1, nan, nan, nan, nan, nan)
    assert {(None, None, None, None)} == {
        (line.premium_bps, line.sigmas, line.premium_at_par_bps, line.sigmas_at_par) for line in found.tokens
    }
    assert () == found.token_premia


def test_a_token_over_its_venues_is_their_median_with_its_scatter() -> None:
    """
    Venues at 0, 10 and 500 bps: the token is 10 bps up, one sigma of the fair value, and the wild one hardly counts:
    one sigma of the median is 1.4826 x 10 bps x sqrt(pi / 2) / sqrt(3), and the coin's error.
    """
    (found,) = picture(100.0, 100.1, 105.0, nan, nan, 100.0, 1.0).token_premia
    assert ("Sx", "one", "S", 3) == (found.token, found.issuer, found.underlying, found.venues)
    assert (pytest.approx(10, rel=1e-3), pytest.approx(1, rel=1e-3)) == (found.premium_bps, found.sigmas)
    assert pytest.approx(1.4826 * 10 * sqrt(1.5707963 / 3), rel=1e-2) == found.spread_bps


def test_a_token_does_not_judge_itself() -> None:
    """
    Two venues of Sx are witnesses of great weight at 1 % up: Sx is 100 bps over the share, and Sy, judged by them too,
    is no premium at all.
    """
    made = said(101.0, 101.0, nan, 101.0, nan, 100.0, nan)
    for number in (0, 1):
        made.weigh(number, 1e12, 0.0)
    sx, sy = snapshot(made, Tally(UNIVERSE), facts=ABOUT).token_premia
    assert (pytest.approx(100, abs=1e-6), pytest.approx(10, abs=1e-6)) == (sx.premium_bps, sx.error_bps)
    assert pytest.approx(0, abs=1e-2) == sy.premium_bps


def test_issuers_are_held_against_each_other_and_no_issuer_against_itself() -> None:
    """
    Sx at 102, Sy and Sw of another issuer at 101 and 100: two pairs, each over its own error; Sy and Sw are none.
    """
    found = picture(102.0, nan, nan, 101.0, 100.0, 100.0, nan).issuer_premia
    assert [("S", "Sx", "Sy"), ("S", "Sx", "Sw")] == [(one.underlying, one.token, one.over) for one in found]
    assert [pytest.approx(1e4 / 101), pytest.approx(200)] == [one.premium_bps for one in found]
    for one in found:
        assert one.error_bps > 0
        assert one.premium_bps / one.error_bps == pytest.approx(one.sigmas)


def test_a_coin_adds_its_error_to_what_a_token_says() -> None:
    """
    The only venue quotes in a coin whose price is off by 2 bps: so much is one sigma of the token's price.
    """
    (found,) = picture(nan, nan, 100.0, nan, nan, 100.0, 1.0).token_premia
    assert pytest.approx(COIN_ERROR * 1e4, rel=1e-3) == found.spread_bps


def test_metrics_tell_the_same() -> None:
    """
    At par, over the venues of a token and across issuers, with sigmas, in the labels of the catalogue.
    """
    registry = Metrics(said(100.3, nan, nan, 100.1, nan, 100.0, nan), Tally(UNIVERSE), facts=ABOUT).registry()
    pair = {"underlying": "S", "token": "Sx", "over": "Sy"}
    told = registry.get_sample_value
    of = {"token": "Sx", "venue": "a", "instrument": "a:Sx/USD"}
    assert pytest.approx(0.003) == told("pegline_premium_at_par_ratio", of)
    assert pytest.approx(0.003) == told("pegline_token_premium_ratio", {"token": "Sx"})
    assert pytest.approx(3, rel=1e-6) == told("pegline_token_premium_sigmas", {"token": "Sx"})
    assert pytest.approx(100.3 / 100.1 - 1) == told("pegline_issuer_premium_ratio", pair)
    sigmas = told("pegline_issuer_premium_sigmas", pair)
    assert sigmas is not None and sigmas > 3
