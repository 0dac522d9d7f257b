"""Another asset under a token's name, and a crash of the token: the one is silenced, the other is not."""

from __future__ import annotations

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from strategies.market.plausible import Quoted, implausible

FAIR, ERROR = 400.0, 0.001


def on(venue: str, price: float, *, thing: str = "TSLAx", band: float = 0.5, doubted: bool = False) -> Quoted:
    """What a venue says."""
    return Quoted(thing=thing, witness=venue, price=price, band=band, doubted=doubted)


def judged(*quotes: Quoted, fair: float = FAIR, error: float = ERROR) -> list[bool]:
    """Which of them are implausible."""
    return list(implausible(quotes, fair, error))


def test_another_asset_is_implausible_for_as_long_as_it_is_there() -> None:
    """
    One venue says 12 where the share is 400; asked a thousand times, the answer is the same.
    """
    doubted = False
    for _ in range(1000):
        found = judged(on("gate", 12.0, doubted=doubted), on("kraken", 401.0))
        assert [True, False] == found
        doubted = found[0]


def test_a_lone_listing_is_silenced_too() -> None:
    """
    Without any second venue the price is still not believed.
    """
    assert [True] == judged(on("gate", 12.0))


def test_a_crash_that_a_second_venue_sees_is_plausible() -> None:
    """
    Two venues agree on 150 where the share is 400: that is a depeg, and both are believed.
    """
    assert [False, False] == judged(on("gate", 150.0), on("kraken", 152.0))
    assert [False, False] == judged(on("gate", 150.0, doubted=True), on("kraken", 152.0, doubted=True))


def test_two_wrong_assets_do_not_vouch_for_each_other() -> None:
    """
    Far, but not at the same price; at one venue twice; another token of the same share; or outvoted by two venues
    that see the token at its value.
    """
    assert [True, True] == judged(on("gate", 150.0), on("kraken", 190.0))
    assert [True, True] == judged(on("gate", 150.0), on("gate", 150.0))
    assert [True, True] == judged(on("gate", 150.0), on("kraken", 150.0, thing="TSLAon"))
    assert [True, True, False, False] == judged(
        on("gate", 150.0), on("mexc", 150.0), on("kraken", 400.0), on("bybit", 401.0)
    )
    assert [False, False, False] == judged(on("gate", 150.0), on("mexc", 150.0), on("kraken", 400.0))


def test_the_band_is_logarithmic_and_has_an_edge_that_does_not_flap() -> None:
    """
    A band of a half reaches from 1/1.5 to 1.5; what was doubted must come well inside it.
    """
    inside, outside = (400 * 1.49, 400 / 1.49), (400 * 1.51, 400 / 1.51)
    assert [[False]] * 2 == [judged(on("gate", price)) for price in inside]
    assert [[True]] * 2 == [judged(on("gate", price)) for price in outside]
    assert [[True]] * 2 == [judged(on("gate", price, doubted=True)) for price in inside]
    assert [False] == judged(on("gate", 400 * 1.3, doubted=True))


def test_the_band_is_the_operators() -> None:
    """
    `inf` believes any price and takes back a doubt; a tight band silences what the usual one lets pass.
    """
    assert [False] == judged(on("gate", 12.0, band=inf, doubted=True))
    assert [False] == judged(on("gate", nan, band=inf, doubted=True))
    assert [True] == judged(on("gate", 380.0, band=0.02))


def test_a_night_with_a_wide_fair_value_widens_the_band() -> None:
    """
    With an error of 20 % a price of 240 says nothing about the asset.
    """
    assert [True] == judged(on("gate", 240.0))
    assert [False] == judged(on("gate", 240.0), error=0.2)


def test_silence_is_no_evidence() -> None:
    """
    No price, or no fair value: what was doubted stays so, and nothing else becomes so.
    """
    for quotes, fair in (
        ((on("gate", nan, doubted=True), on("kraken", nan)), FAIR),
        ((on("gate", 12.0, doubted=True), on("kraken", 12.0)), nan),
    ):
        assert [True, False] == judged(*quotes, fair=fair)
    assert [True, False] == judged(on("gate", 150.0), on("kraken", nan))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.floats(), st.booleans())), st.floats())
def test_any_numbers_are_judged(found: list[tuple[str, str, float, bool]], fair: float) -> None:
    """
    One answer for each quote, whatever the numbers; and what is within the inner band is never doubted.
    """
    quotes = [on(venue, price, thing=thing, doubted=doubted) for venue, thing, price, doubted in found]
    answers = judged(*quotes, fair=fair)
    assert len(quotes) == len(answers)
    if 0 < fair < inf:
        assert not [q for q, bad in zip(quotes, answers, strict=True) if bad and 0.75 < q.price / fair < 1.35]
