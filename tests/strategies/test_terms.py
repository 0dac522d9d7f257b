"""The terms of a fair value: they make up the whole, whoever is left out, and who is no term is told why."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Flag, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.terms import error_terms, terms, why_unheard  # noqa: E402

BEGIN = 1_788_551_990 * NS
"""Friday 4 September 2026, 15:59:50 in New York."""
HOUR = 3600 * NS
TICK = 2e-9
"""A spread that is nearly none: a book whose sides meet is refused."""


def token(venue: str, symbol: str = "Sx") -> Instrument:
    """A token of S, one unit of which is a share."""
    return Instrument(
        venue=venue, symbol=symbol, role=Role.TOKEN, token="Sx", underlying="S", unit_model=UnitModel.REBASING
    )


def share(venue: str) -> Instrument:
    """A source of S."""
    return Instrument(venue=venue, symbol="S", role=Role.SHARE, underlying="S")


def market(*who: Instrument, error: float = 0.001, max_error: float = inf) -> Columns:
    """Columns at BEGIN in which nobody has spoken; prints live for a minute."""
    facts = [Facts(max_age_ns=60 * NS, source_error=error) for _ in who]
    made = Columns(
        Universe(who), facts, Beliefs(max_error=max_error, default_daily_vol=0.02, stub_move=0.05), load_sessions()
    )
    made.enter_session(BEGIN)
    return made


def say(made: Columns, *prices: float, at: int = BEGIN, spread: float = 1e-4, flags: Flag = Flag(0)) -> None:  # noqa: B008
    """Everybody prints its price, in order; nan says nothing."""
    for number, price in enumerate(prices):
        if price == price:
            kind = Kind.REFERENCE if made.universe[number].role is Role.SHARE else Kind.QUOTE
            bid, ask = price * (1 - spread / 2), price * (1 + spread / 2)
            row = Row(ts_recv=at, instrument=number, kind=kind, bid=bid, ask=ask, flags=flags)
            made.scan(Rows.of([row]), 0, NEVER)


VOTE = st.tuples(st.floats(-0.02, 0.02), st.sampled_from([0.0, 1.0, 1e4, 3e5, 1e6, 1e9]), st.floats(-0.01, 0.01))


@settings(max_examples=200, deadline=None)
@given(
    st.floats(20.0, 500.0),
    st.sampled_from([0.0, 1e-5, 1e-3]),
    st.sampled_from([TICK, 1e-4, 2e-3]),
    st.lists(VOTE, min_size=1, max_size=7),
    st.booleans(),
    st.integers(0, 50),
)
@example(100.0, 0.0, TICK, [(0.0, 1e9, 0.0)], False, 0)
def test_terms_make_up_the_whole(
    price: float, error: float, spread: float, votes: list[tuple[float, float, float]], shut: bool, later_s: int
) -> None:
    """
    Parts add up to 1, parts x what is said to the price, part^2 x variance and the parts of the error to the variance:
    of the fair value by everybody and without each instrument.
    """
    names = [token("same" if at in (1, 2) else f"v{at}", f"Sx{at}") for at in range(len(votes))]
    made = market(*names, share("r"), error=error)
    say(made, *(price * (1 + away) for away, _, _ in votes), nan if shut else price, spread=spread)
    for number, (_, weight, offset) in enumerate(votes):
        made.weigh(number, weight, offset)
    now = BEGIN + later_s * NS
    for without in range(-1, len(votes)):
        fair = made.fair(0, now) if without < 0 else made.fair_without(without, now)
        found = terms(made, 0, now, without)
        if fair is None:
            assert () == found
            continue
        variance = (fair.error / fair.price) ** 2
        assert 1.0 == pytest.approx(sum(term.part for term in found), rel=1e-12)
        assert fair.price == pytest.approx(sum(term.part * term.says for term in found), rel=1e-12)
        agreed = variance / fair.stretch**2
        assert agreed == pytest.approx(sum(term.part**2 * term.variance for term in found), rel=1e-9, abs=1e-15)
        parts = error_terms(made, 0, now, found, fair.stretch)
        assert (fair.stretch > 1) == ("contradiction" in [part.what for part in parts])
        assert variance == pytest.approx(sum(part.variance for part in parts), rel=1e-9, abs=1e-15)
        assert fair.own == pytest.approx(sum(term.part for term in found if term.own), rel=1e-9, abs=1e-12)
        assert without not in [term.instrument for term in found]


def test_the_error_is_made_of_source_spread_and_clock() -> None:
    """
    A source of 10 bps with a spread of 6 bps, four hours into a weekend: 10^2, (3 / 1.5)^2, and 200^2 x what the clock
    counts for ten seconds of regular session, four hours of post and an hour of weekend.
    """
    made = market(share("r"))
    say(made, 100.0, spread=6e-4)
    made.enter_session(BEGIN + 5 * HOUR)
    now = BEGIN + 5 * HOUR
    days = 10 / 3600 / 6.5 + 4 * 0.0065 + (1 - 10 / 3600) * 0.0016
    found = {part.what: part.variance * 1e8 for part in error_terms(made, 0, now, terms(made, 0, now))}
    assert {"source": 100.0, "spread": 4.0, "clock": 200.0**2 * days} == pytest.approx(found, rel=1e-6)


def test_a_witness_adds_what_its_weight_says() -> None:
    """
    The share with 10 bps and a witness with 20 bps: parts 4/5 and 1/5, and of the variance 8^2 and 4^2 of 80.
    """
    made = market(token("a"), share("r"))
    say(made, 101.0, 100.0, spread=TICK)
    made.weigh(0, 1 / 0.002**2, 0.005)
    own, witness = terms(made, 0, BEGIN)
    assert (1, True, pytest.approx(0.8)) == (own.instrument, own.own, own.part)
    assert (0, False, pytest.approx(0.2)) == (witness.instrument, witness.own, witness.part)
    assert (pytest.approx(101.0), pytest.approx(0.005), pytest.approx(101.0 * 0.995)) == (
        witness.price,
        witness.offset,
        witness.says,
    )
    assert {"source": pytest.approx(64e-8), "witness": pytest.approx(16e-8)} == {
        part.what: part.variance for part in error_terms(made, 0, BEGIN, (own, witness)) if part.what != "spread"
    }


def test_a_source_in_doubt_makes_the_error_larger_and_that_is_said() -> None:
    """
    Alone and in doubt, the source's error is 100 %, told as doubt and not as its own.
    """
    made = market(share("r"))
    say(made, 100.0, spread=TICK)
    made.doubt(0, Why.LAGS)
    found = {part.what: part.variance for part in error_terms(made, 0, BEGIN, terms(made, 0, BEGIN))}
    assert {"source": pytest.approx(1e-6), "doubt": 1.0} == found


def test_who_is_no_term_is_told_why() -> None:
    """
    Not heard, not weighed, weighed and stale, crossed, outvoted in doubt, less sure: each by its own words; a term has
    none.
    """
    made = market(token("a"), token("b"), token("c"), token("d"), share("r"), share("s"), share("t"))
    say(made, nan, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0)
    say(made, nan, nan, nan, nan, 100.0, nan, nan, at=BEGIN + 61 * NS)
    made.weigh(2, 1e6, 0.0)
    made.doubt(5, Why.DISAGREES)
    say(made, nan, nan, nan, 100.0, spread=-1e-3)
    now = BEGIN + 61 * NS
    assert [
        "it has not printed yet",
        "its last print is too old, or halted",
        "its last print is too old, or halted",
        "its last row was refused: crossed",
        "",
        "in doubt: disagrees",
        "r:S is surer",
    ] == [why_unheard(made, 0, number, now) for number in range(7)]


def test_a_fresh_token_without_a_weight_is_no_witness_and_one_venue_has_one_word() -> None:
    """
    Of two symbols of a venue the one with a weight speaks for both; of another venue nobody is weighed.
    """
    made = market(token("a", "X"), token("a", "Y"), token("b"), share("r"))
    say(made, 100.0, 100.0, 100.0, 100.0)
    made.weigh(1, 1e6, 0.0)
    assert ["a:Y speaks for the same witness", "", "it is not weighed as a witness"] == [
        why_unheard(made, 0, number, BEGIN) for number in range(3)
    ]


def test_without_anybody_there_are_no_terms() -> None:
    """
    Before the first print there is nothing to explain.
    """
    made = market(token("a"), share("r"))
    assert () == terms(made, 0, BEGIN)
    assert () == error_terms(made, 0, BEGIN, ())
    assert ["it has not printed yet", "it has not printed yet"] == [why_unheard(made, 0, n, BEGIN) for n in (0, 1)]
