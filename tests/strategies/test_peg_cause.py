"""Causes and token-wide states: pure decisions on the evidence; and when a coin has left its dollar."""

from __future__ import annotations

import pytest

from connectors.events import NS
from strategies.peg.cause import Evidence, OfVenue, allowed, cause_of, token_of
from strategies.peg.coin import CoinWatch
from strategies.peg.state import Cause, PegState

DEPEGGED, STRAINED, PEGGED, UNKNOWN = PegState.DEPEGGED, PegState.STRAINED, PegState.PEGGED, PegState.UNKNOWN


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (Evidence(), Cause.VENUE),
        (Evidence(others=1), Cause.TOKEN),
        (Evidence(others=1, issuer="paused"), Cause.ISSUER),
        (Evidence(others=1, issuer="paused", ratio=0.1, ratio_sd=0.004, missed=0.1), Cause.MULTIPLIER),
        (Evidence(others=2, coin_off_bps=-300.0, missed=0.1, ratio=0.1, ratio_sd=0.004), Cause.STABLECOIN),
        (Evidence(others=2, coin_off_bps=-300.0, reference="frozen"), Cause.REFERENCE),
    ],
)
def test_what_makes_the_measurement_doubtful_comes_first(evidence: Evidence, cause: Cause) -> None:
    """
    Reference, coin, unit, issuer, token, venue: in this order.
    """
    assert cause is cause_of(evidence)


@pytest.mark.parametrize(
    ("ratio", "missed", "found"),
    [(1.01, 1.0098, True), (1.01, 1.0, False), (0.99, 1.0098, False), (1.05, 1.0098, False), (1.002, 1.0018, False)],
)
def test_a_missed_multiplier_fits_the_price_and_stands_out(ratio: float, missed: float, found: bool) -> None:
    """
    With 10 bps of noise, 100 bps off where the last change was of 98 is that change; of none, the other way, much more,
    or a change that is lost in the noise is not.
    """
    assert found is (cause_of(Evidence(ratio=ratio, ratio_sd=0.001, missed=missed)) is Cause.MULTIPLIER)


def test_a_cause_limits_what_a_venue_is_called() -> None:
    """
    Against a reference in doubt nothing is known; a coin or a unit strains; a peg that holds needs no cause.
    """
    assert [UNKNOWN, STRAINED, STRAINED, DEPEGGED, DEPEGGED, DEPEGGED] == [
        allowed(DEPEGGED, cause)
        for cause in (Cause.REFERENCE, Cause.STABLECOIN, Cause.MULTIPLIER, Cause.ISSUER, Cause.TOKEN, Cause.VENUE)
    ]
    assert UNKNOWN is allowed(STRAINED, Cause.REFERENCE)
    assert PEGGED is allowed(PEGGED, Cause.NONE)


def of(*venues: tuple[str, PegState, int]) -> list[OfVenue]:
    """Venues with their states and sides."""
    return [
        OfVenue(venue=name, state=state, side=side, cause=Cause.VENUE if state >= STRAINED else Cause.NONE)
        for name, state, side in venues
    ]


@pytest.mark.parametrize(
    ("venues", "state", "cause"),
    [
        ([], UNKNOWN, Cause.NONE),
        ([("a", UNKNOWN, 0), ("b", UNKNOWN, 0)], UNKNOWN, Cause.NONE),
        ([("a", PEGGED, 0), ("b", UNKNOWN, 0)], PEGGED, Cause.NONE),
        ([("a", DEPEGGED, 1)], STRAINED, Cause.VENUE),
        ([("a", DEPEGGED, 1), ("b", PEGGED, 0)], STRAINED, Cause.VENUE),
        ([("a", DEPEGGED, 1), ("a", DEPEGGED, 1)], STRAINED, Cause.VENUE),
        ([("a", DEPEGGED, 1), ("b", DEPEGGED, -1)], STRAINED, Cause.VENUE),
        ([("a", DEPEGGED, 1), ("b", STRAINED, 1)], STRAINED, Cause.VENUE),
        ([("a", DEPEGGED, -1), ("b", DEPEGGED, -1)], DEPEGGED, Cause.TOKEN),
        ([("a", DEPEGGED, 1), ("b", DEPEGGED, 1), ("c", PEGGED, 0)], DEPEGGED, Cause.TOKEN),
        ([("a", DEPEGGED, 1), ("b", DEPEGGED, 1), *((c, PEGGED, 0) for c in "cdefg")], STRAINED, Cause.VENUE),
    ],
)
def test_a_token_is_depegged_where_two_venues_say_so(
    venues: list[tuple[str, PegState, int]], state: PegState, cause: Cause
) -> None:
    """
    Two different venues on the same side, and at least half of those that are known; one venue alone never.
    """
    assert (state, cause) == token_of(of(*venues), "", 1000.0)


def test_one_venue_with_depth_and_a_failed_issuer_is_enough() -> None:
    """
    1,000 USD on both sides and a paused issuer: DEPEGGED, for the issuer; without either of them STRAINED.
    """
    deep = [OfVenue(venue="a", state=DEPEGGED, side=1, cause=Cause.ISSUER, depth_usd=1000.0)]
    assert (DEPEGGED, Cause.ISSUER) == token_of(deep, "paused", 1000.0)
    assert STRAINED is token_of(deep, "paused", 1000.1)[0]
    assert STRAINED is token_of(deep, "", 1000.0)[0]


class Coin:
    """A coin with a print every minute, looked at each second."""

    def __init__(self) -> None:
        self.watch, self.now, self.news = CoinWatch(75.0), 0, list[tuple[int, bool]]()

    def say(self, *prices: float, every_s: int = 60) -> Coin:
        """Prints, and what the looks between them find: (second, off)."""
        for usd in prices:
            self.watch.hear(usd, self.now * NS)
            for _ in range(every_s):
                if self.watch.look(self.now * NS):
                    self.news.append((self.now, self.watch.off))
                self.now += 1
        return self


def test_a_coin_is_off_when_half_of_ten_minutes_is() -> None:
    """
    At 0.98 from second 600 on: off within five minutes and two seconds; back at 1.00 from 1,200 on, on again likewise.
    """
    found = Coin().say(*[1.0] * 10, *[0.98] * 10, *[1.0] * 10).news
    assert [True, False] == [off for _, off in found]
    assert 898 <= found[0][0] <= 902 and 1498 <= found[1][0] <= 1502


def test_a_thin_print_is_no_depeg_of_a_coin() -> None:
    """
    One print of 0.90 that stands for twenty minutes because nobody trades: nothing.
    """
    assert [] == Coin().say(1.0, 1.0).say(0.90, every_s=1200).say(1.0, 1.0).news


def test_a_coin_that_wobbles_within_its_limit_is_not_off() -> None:
    """
    70 bps under the dollar for an hour is less than 75.
    """
    assert [] == Coin().say(*[0.9931] * 60).news


def test_what_is_absent_is_no_price_of_a_coin() -> None:
    """
    NaN and zero are not heard.
    """
    assert [] == Coin().say(1.0, float("nan"), 0.0, float("nan"), float("nan")).news
