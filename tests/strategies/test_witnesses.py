"""Fair value by all witnesses and without one of them: against exact fractions, and worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from math import inf, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Flag, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402

BEGIN = 1_788_551_990 * NS
"""Friday 4 September 2026, 15:59:50 in New York."""
WEEKEND = 1_788_625_990 * NS
"""Saturday noon."""


def token(venue: str, **more: object) -> Instrument:
    """A token of S."""
    usual = {"symbol": "Sx", "role": Role.TOKEN, "token": "Sx", "underlying": "S", "unit_model": UnitModel.REBASING}
    return Instrument(venue=venue, **{**usual, **more})  # type: ignore[arg-type]


SHARE = Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S")
PERP = Instrument(venue="p", symbol="S", role=Role.PERP, underlying="S")
USDT = Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT")
KINDS = {Role.SHARE: Kind.REFERENCE, Role.COIN: Kind.FX}


def market(
    *who: Instrument, error: float = 0.0010, now: int = BEGIN, max_error: float = 0.1, silence: float = inf
) -> Columns:
    """Columns of some instruments, all fresh for a minute; the share's source has this error."""
    facts = [Facts(cost=0.001, max_age_ns=60 * NS, source_error=error) for _ in who]
    beliefs = Beliefs(max_error=max_error, max_silence_days=silence, default_daily_vol=0.02)
    made = Columns(Universe(who), facts, beliefs, load_sessions())
    made.enter_session(now)
    return made


def say(made: Columns, *prices: float, at: int = BEGIN, flags: Flag = Flag(0)) -> None:  # noqa: B008
    """Everybody prints its price, one tick wide; nan says nothing."""
    rows = [
        Row(ts_recv=at, instrument=number, kind=KINDS.get(made.universe[number].role, Kind.QUOTE), flags=flags,
            bid=price * (1 - 1e-9), ask=price * (1 + 1e-9))
        for number, price in enumerate(prices) if price == price
    ]  # fmt: skip
    begin = 0
    while begin < len(rows):
        begin, _ = made.scan(Rows.of(rows), begin, NEVER)


def cross(made: Columns, number: int) -> None:
    """An instrument's bid is above its ask."""
    made.scan(Rows.of([Row(ts_recv=BEGIN, instrument=number, kind=Kind.QUOTE, bid=2.0, ask=1.0)]), 0, NEVER)


PRICE = st.floats(20.0, 500.0)
VOTE = st.tuples(st.floats(-0.02, 0.02), st.sampled_from([0.0, 1.0, 1e4, 3e5, 1e6, 1e9, 1e12]), st.floats(-0.01, 0.01))


def stretch_of(votes: list[tuple[Fraction, Fraction]], own: tuple[Fraction, Fraction] | None, level: float) -> Fraction:
    """By the definition: chi^2 over its degrees of freedom, at least 1, and no more than the own word allows."""
    every = votes if own is None else [*votes, own]
    total = sum((weight for weight, _ in every), Fraction(0))
    mean = sum((weight * z for weight, z in every), Fraction(0)) / total
    chi2 = sum((weight * (z - mean) ** 2 for weight, z in every), Fraction(0)) / Fraction(level) ** 2
    found = max(chi2 / (len(every) - 1), Fraction(1)) if len(every) > 1 else Fraction(1)
    return found if own is None else min(found, (1 / own[0] + ((mean - own[1]) / Fraction(level)) ** 2) * total)


@settings(max_examples=300, deadline=None)
@given(PRICE, st.sampled_from([0.0, 1e-6, 1e-4, 1e-2]), st.lists(VOTE, min_size=1, max_size=9), st.booleans())
@example(100.0, 1e-4, [(0.02, 1e12, 0.0), (0.0, 1.0, 0.0)], False)
def test_leaving_out_by_difference_is_leaving_out_from_the_start(
    price: float, error: float, votes: list[tuple[float, float, float]], shut: bool
) -> None:
    """
    Any instrument left out of any weights gives what exact fractions over the others give: its price to 1e-12, and its
    error, which is larger where those who are left contradict each other.
    """
    made = market(*(token(f"v{n}") for n in range(len(votes))), SHARE, error=error, max_error=inf)
    say(made, *(price * (1 + away) for away, _, _ in votes), nan if shut else price)
    for number, (_, weight, offset) in enumerate(votes):
        made.weigh(number, weight, offset)
    heard = [(Fraction(w), Fraction(float(m * le))) for w, m, le in made.f[: len(votes), [K.WEIGHT, K.MID_USD, K.LEAN]]]
    own = max(made.variance(0, BEGIN), 0.0)
    for number in range(len(votes)):
        votes = [vote for at, vote in enumerate(heard) if at != number and vote[0]]
        word = (1 / Fraction(own), Fraction(float(made.fair_price[0]))) if not shut and own > 0 else None
        others = votes if word is None else [*votes, word]
        found = made.fair_without(number, BEGIN)
        if not shut and own == 0:
            assert found is not None
            assert (made.fair_price[0], 0.0) == (found.price, found.error)
        elif not others:
            assert found is None
        else:
            total = sum(weight for weight, _ in others)
            assert found is not None
            exact = float(sum(weight * z for weight, z in others) / total)
            assert exact == pytest.approx(found.price, rel=1e-12)
            level = next(float(z) for weight, z in heard if weight) if word is None else float(word[1])
            stretch = stretch_of(votes, word, level)
            assert sqrt(stretch) == pytest.approx(found.stretch, rel=1e-5)
            assert sqrt(stretch / total) == pytest.approx(found.error / found.price, rel=1e-5)
            if not stretch > 1:
                assert sqrt(1 / total) == pytest.approx(found.error / found.price, rel=1e-6)


def test_without_a_weight_everything_is_the_shares_own_word() -> None:
    """
    Two tokens print and nobody is a witness: the fair value is the source's price to the bit, all of it its own.
    """
    made = market(token("a"), token("b"), SHARE)
    say(made, 101.0, 99.0, 100.0)
    fair = made.fair(0, BEGIN)
    assert fair is not None
    assert (made.fair_price[0], 2, 0, 1.0) == (fair.price, fair.source, fair.witnesses, fair.own)
    assert fair == made.fair_without(0, BEGIN)
    assert made.premium_bps[0] == made.mid_usd[0] * (1e4 / made.fair_price[0]) - 1e4


def test_a_venue_is_judged_by_all_others_and_never_by_itself() -> None:
    """
    The share says 100 with an error of 10 bps, b 100.1 with one of 10: a is judged against 100.05 with 7.07, b against
    100.
    """
    made = market(token("a"), token("b"), SHARE)
    say(made, 101.5, 100.1, 100.0)
    made.weigh(1, 1e6, 0.0)
    a, b, both = made.fair_without(0, BEGIN), made.fair_without(1, BEGIN), made.fair(0, BEGIN)
    assert a is not None
    assert b is not None
    assert (100.05, 7.0711) == (pytest.approx(a.price), pytest.approx(a.error_bps, rel=1e-4))
    assert (100.0, 10.0) == (pytest.approx(b.price), pytest.approx(b.error_bps))
    assert (1, 0, pytest.approx(0.5), 1.0) == (a.witnesses, b.witnesses, a.own, b.own)
    assert both == a
    say(made, 101.5, 100.1, 100.0)
    assert (pytest.approx((101.5 / 100.05 - 1) * 1e4), pytest.approx(10.0)) == tuple(made.premium_bps[:2])
    assert pytest.approx((101.5 / 100.05 - 1) / 7.0711e-4, rel=1e-4) == made.sigmas[0]


def test_what_a_token_usually_lies_above_its_share_is_taken_off() -> None:
    """
    a usually lies 1 % above: at 101.01 it says that the share is at 100.
    """
    made = market(token("a"), token("b"), SHARE)
    say(made, 100.0 / 0.99, nan, 100.0)
    made.weigh(0, 1e8, 0.01)
    assert pytest.approx(100.0, rel=1e-9) == made.fair_without(1, BEGIN).price  # type: ignore[union-attr]


def test_who_speaks_for_one_witness_is_left_out_together_and_counts_once() -> None:
    """
    Two symbols of venue a: neither judges the other, and for b they are one witness.
    """
    made = market(token("a"), token("a", symbol="Sy"), token("b"), SHARE)
    say(made, 101.0, 101.0, 100.0, 100.0)
    for number in range(3):
        made.weigh(number, 1e6, 0.0)
    first, other = made.fair_without(0, BEGIN), made.fair_without(2, BEGIN)
    assert first is not None
    assert other is not None
    assert (pytest.approx(100.0), 1) == (first.price, first.witnesses)
    assert (pytest.approx(302.0 / 3), 1) == (other.price, other.witnesses)


LOST = {
    "refused": lambda made: say(made, nan, 99.0, nan, flags=Flag.HALTED),
    "crossed": lambda made: cross(made, 1),
    "doubted": lambda made: made.doubt(1, Why.IMPLAUSIBLE),
    "in maintenance": lambda made: made.doubt(1, Why.MAINTENANCE),
    "of an unknown unit": lambda made: made.set_shares_per_unit(1, nan),
    "forgotten": lambda made: made.forget(1),
    "without a weight": lambda made: made.weigh(1, nan, 0.0),
    "without an offset": lambda made: made.weigh(1, 1e6, nan),
}


@pytest.mark.parametrize("how", sorted(LOST))
def test_a_witness_that_is_lost_weighs_nothing_at_once(how: str) -> None:
    """
    Refused, halted, doubted, in maintenance, without a unit or a weight: the fair value of a is the share's own again.
    """
    made = market(token("a"), token("b"), SHARE)
    say(made, 100.0, 102.0, 100.0)
    made.weigh(1, 1e6, 0.0)
    assert pytest.approx(101.0) == made.fair_without(0, BEGIN).price  # type: ignore[union-attr]
    LOST[how](made)
    found = made.fair_without(0, BEGIN)
    assert found is not None
    assert (pytest.approx(100.0), 0) == (found.price, found.witnesses)


def test_a_stale_witness_and_one_whose_coin_is_unknown_weigh_nothing() -> None:
    """
    After its minute b is silent; c is quoted in a coin that nobody has priced.
    """
    made = market(token("a"), token("b"), token("c", quote="USDT"), SHARE, USDT)
    say(made, 100.0, 102.0, 104.0, 100.0)
    made.weigh(1, 1e6, 0.0)
    made.weigh(2, 1e6, 0.0)
    assert (1, 0) == tuple(made.fair_without(0, BEGIN + s * NS).witnesses for s in (60, 61))  # type: ignore[union-attr]
    say(made, nan, nan, nan, nan, 1.0, at=BEGIN + NS)
    assert 2 == made.fair_without(0, BEGIN + NS).witnesses  # type: ignore[union-attr]


def test_a_doubt_that_is_over_does_not_bring_the_weight_back_by_itself() -> None:
    """
    While it stands no weight is taken, and after it the next one is.
    """
    made = market(token("a"), SHARE)
    made.doubt(0, Why.BASIS)
    made.weigh(0, 1e6, 0.0)
    made.doubt(0, Why.BASIS, stands=False)
    assert 0.0 == made.weight[0]
    made.weigh(0, 1e6, 0.0)
    assert 1e6 == made.weight[0]


def test_good_witnesses_know_the_fair_value_of_a_share_that_is_silent() -> None:
    """
    The share spoke long ago: its word is no evidence any more, the witnesses' is, with their error; with too wide a one
    nothing is known.
    """
    later = BEGIN + 3600 * NS
    made = market(token("a"), token("b"), token("c"), SHARE, silence=1e-4, max_error=0.01)
    say(made, 101.0, 102.0, 103.0, 100.0)
    assert made.fair(0, later) is None
    say(made, 101.9, 102.0, 102.1, at=later)
    for number in range(3):
        made.weigh(number, 1e6, 0.0)
    fair, others = made.fair(0, later), made.fair_without(0, later)
    assert fair is not None
    assert others is not None
    assert (pytest.approx(102.0), -1, 3, 0.0) == (fair.price, fair.source, fair.witnesses, fair.own)
    assert (pytest.approx(102.05), 2, pytest.approx(1e4 / sqrt(2e6))) == (
        others.price, others.witnesses, others.error_bps
    )  # fmt: skip
    for number in range(3):
        made.weigh(number, 1e3, 0.0)
    assert made.fair_without(0, later) is None
    assert "silent" in made.why_not_judged(0, later)


def test_an_edge_needs_the_shares_own_word_and_a_premium_does_not() -> None:
    """
    The share is halted and the tokens print on: a's premium is known by b's word, and no edge is.
    """
    made = market(token("a"), token("b"), SHARE)
    say(made, 100.0, 102.0, 100.0)
    made.weigh(1, 1e6, 0.0)
    say(made, nan, nan, 100.0, flags=Flag.HALTED)
    say(made, 100.0, 102.0)
    assert pytest.approx((100 / 102 - 1) * 1e4) == made.premium_bps[0]
    assert np.isnan(made.premium_bps[1])
    assert np.isnan(made.edge_bps[0])


def test_a_perp_and_a_second_source_are_witnesses_and_no_legs() -> None:
    """
    Neither is traded; both move the fair value of a, and neither is in an edge or has a premium.
    """
    second = Instrument(venue="s", symbol="S", role=Role.SHARE, underlying="S")
    made = market(token("a"), PERP, SHARE, second)
    say(made, 100.0, 102.0, 100.0, 104.0)
    made.weigh(1, 1e6, 0.0)
    made.weigh(3, 1e6, 0.0)
    found = made.fair_without(0, BEGIN)
    assert found is not None
    assert (pytest.approx(102.0), 2, 2) == (found.price, found.witnesses, found.source)
    say(made, 100.0, 102.0, 100.0, 104.0)
    assert np.isnan(made.premium_bps[1:]).all()
    assert (-1, -1) == made.best_pair(0, BEGIN)[:2]


def test_no_witness_makes_a_fair_value_in_an_unknown_session() -> None:
    """
    In 2040 nothing is assumed.
    """
    late = 2_208_988_800 * NS
    made = market(token("a"), token("b"), SHARE, now=late)
    say(made, 100.0, 100.0, 100.0, at=late)
    made.weigh(1, 1e6, 0.0)
    assert made.fair_without(0, late) is None
    assert "no session is known" == made.why_not_judged(0, late)


# --- contradictions


def silent(*prices: float, weight: float = 1e6) -> Columns:
    """Tokens that speak of a share that does not, all as sure."""
    made = market(*(token(f"v{n}") for n in range(len(prices))), SHARE)
    say(made, *prices, nan)
    for number in range(len(prices)):
        made.weigh(number, weight, 0.0)
    return made


def test_two_witnesses_that_contradict_each_other_leave_the_error_that_they_are_apart() -> None:
    """
    101.5 and 98.5 with 10 bps each: 100, give or take 150 bps (chi^2 450 with one degree of freedom, of a variance of
    7.07^2), and not 7.07; with 100.05 and 99.95, 7.07.
    """
    apart, near = silent(101.5, 98.5).fair(0, BEGIN), silent(100.05, 99.95).fair(0, BEGIN)
    assert apart is not None
    assert near is not None
    assert (pytest.approx(100.0), pytest.approx(150.0, rel=0.02)) == (apart.price, apart.error_bps)
    assert apart.stretch == pytest.approx(450**0.5, rel=0.02)
    assert (pytest.approx(100.0), pytest.approx(7.0711, rel=1e-4), 1.0) == (near.price, near.error_bps, near.stretch)


def test_one_wrong_venue_stays_found_and_makes_the_others_less_sure() -> None:
    """
    a, b and c at 100, 100 and 97: what is left without c agrees, so that c is off by 42 of its sigmas; a and b are
    within two of theirs, where they would be at 21 if nobody minded that they are judged by b and c.
    """
    made = silent(100.0, 100.0, 97.0)
    say(made, 100.0, 100.0, 97.0)
    a, b, c = made.sigmas[:3].tolist()
    assert c < -40
    assert 0 < a < 2
    assert 0 < b < 2
    assert (1.0, pytest.approx(21.2, rel=0.02)) == (
        made.fair_without(2, BEGIN).stretch, made.fair_without(0, BEGIN).stretch  # type: ignore[union-attr]
    )  # fmt: skip
    assert (a, c) == pytest.approx([made.judge(n, BEGIN).sigmas for n in (0, 2)], rel=1e-9)  # type: ignore[union-attr]


def test_a_share_that_is_sure_of_itself_is_not_made_unsure_by_tokens() -> None:
    """
    It says 100 with 3 bps; two tokens with 25 bps say 97 together: the error is what the price has been moved by, and
    its own, not 12 times as much.
    """
    made = market(token("a"), token("b"), token("c"), SHARE, error=3e-4)
    say(made, 97.0, 97.0, 97.0, 100.0)
    for number in range(2):
        made.weigh(number, 1 / 25e-4**2, 0.0)
    fair = made.fair_without(2, BEGIN)
    assert fair is not None
    moved = 1e4 * (1 - fair.price / 100)
    assert moved == pytest.approx(300 * 2 * 9 / (625 + 2 * 9), rel=1e-3)
    assert fair.error_bps == pytest.approx(sqrt(9 + moved**2), rel=2e-3)
    assert made.judge(2, BEGIN).sigmas < -30  # type: ignore[union-attr]


def test_chance_alone_widens_the_error_by_little() -> None:
    """
    Four witnesses that are off by what they say they are: on average the error is a seventh larger, and hardly ever
    twice as large.
    """
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        fair = silent(*(100 * (1 + rng.normal(0, 1e-3, 4))).tolist()).fair(0, BEGIN)
        assert fair is not None
        found.append(fair.stretch)
    assert 1.0 == min(found)
    assert pytest.approx(1.14, abs=0.03) == float(np.mean(found))
    assert np.mean(np.array(found) > 2) < 0.03


# --- judgements


def test_a_judgement_says_how_far_a_print_is_off_and_against_what() -> None:
    """
    a at 100.55 against 100.05 +/- 7.07 bps: 50 bps, 7.07 sigmas; expected were 40 with an error of 10, so 1 sd more.
    """
    made = market(token("a"), token("b"), SHARE)
    made.expect(0, 0.0040, 0.0010**2)
    say(made, 100.55, 100.1, 100.0)
    made.weigh(1, 1e6, 0.0)
    found = made.judge(0, BEGIN)
    assert found is not None
    assert (0, BEGIN, 1, 100.55) == (found.instrument, found.ts, found.prints, pytest.approx(found.price))
    assert (pytest.approx(49.975, rel=1e-4), pytest.approx(7.0675, rel=1e-3)) == (found.premium_bps, found.sigmas)
    expected = (log(100.55 / 100.05) - 0.004) / 0.0010
    assert (pytest.approx(expected, rel=1e-6), 40.0) == (found.innovation, pytest.approx(found.expected_bps))
    assert (1, True, made.session) == (found.witnesses, True, found.session)
    assert "" == made.why_not_judged(0, BEGIN)


def test_a_print_stays_judged_by_what_was_expected_before_it() -> None:
    """
    The first print surprised by 1 %; once it is digested nothing more is expected of it, and of the next print it is.
    """
    made = market(token("a"), SHARE)
    made.expect(0, 0.0, 1e-6)
    say(made, 101.0, 100.0)
    before = made.judge(0, BEGIN)
    made.expect(0, 0.01, 1e-6)
    made.expect(0, 0.009, 1e-6)
    after = made.judge(0, BEGIN)
    assert before is not None
    assert after is not None
    assert (0.0, before.innovation) == (after.expected_bps, after.innovation)
    say(made, 101.0, 100.0)
    again = made.judge(0, BEGIN)
    assert again is not None
    assert (2, pytest.approx(90.0)) == (again.prints, again.expected_bps)


def test_the_share_speaks_itself_while_its_source_is_fresh_and_believed() -> None:
    """
    Not after its minute, and not in doubt.
    """
    made = market(token("a"), SHARE)
    say(made, 100.0, 100.0)
    assert made.primary(0, BEGIN + 60 * NS)
    assert not made.primary(0, BEGIN + 61 * NS)
    made.doubt(1, Why.DELAYED)
    assert not made.primary(0, BEGIN)


@pytest.mark.parametrize(
    ("number", "how", "why"),
    [
        (0, lambda made: None, ""),
        (1, lambda made: None, "no token"),
        (0, lambda made: made.doubt(0, Why.MAINTENANCE), "in doubt: maintenance"),
        (0, lambda made: made.set_shares_per_unit(0, nan), "multiplier"),
        (0, lambda made: say(made, 100.0, nan, flags=Flag.HALTED), "halted"),
        (0, lambda made: cross(made, 0), "crossed"),
        (0, lambda made: made.forget(1), "no source is left"),
    ],
)
def test_a_print_that_is_not_judged_has_a_reason(number: int, how: object, why: str) -> None:
    """
    There is a judgement where there is no reason against it, and none else.
    """
    made = market(token("a"), SHARE)
    say(made, 100.0, 100.0)
    how(made)  # type: ignore[operator]
    assert why in made.why_not_judged(number, BEGIN)
    assert (made.judge(number, BEGIN) is None) == bool(made.why_not_judged(number, BEGIN))


def test_a_token_whose_coin_was_not_heard_of_for_long_is_not_judged() -> None:
    """
    Its last price of USDT is older than a minute.
    """
    made = market(token("a", quote="USDT"), SHARE, USDT)
    say(made, 100.0, 100.0, 1.0)
    say(made, 100.0, 100.0, at=BEGIN + 61 * NS)
    assert "its coin has no fresh price" == made.why_not_judged(0, BEGIN + 61 * NS)


def test_before_the_first_print_there_is_nothing_to_judge() -> None:
    """
    The token has not printed.
    """
    made = market(token("a"), SHARE)
    say(made, nan, 100.0)
    assert "it has not printed yet" == made.why_not_judged(0, BEGIN)


def test_no_row_leaves_anything_behind_in_a_sum() -> None:
    """
    After two million rows in one block every premium is to the bit that of somebody who heard only the last row of each
    instrument: rounding errors of rows that are past are in no sum.
    """
    who, count = [*(token(f"v{n}") for n in range(8)), SHARE], 2_000_000
    rng = np.random.default_rng(1)
    number = rng.integers(0, len(who), count).astype(np.int32)
    mid = 100 * np.exp(rng.normal(0, 8e-4, count))
    kinds = np.where(number < 8, int(Kind.QUOTE), int(Kind.REFERENCE)).astype(np.int16)
    ts, sizes = BEGIN + 1000 * np.arange(count, dtype=np.int64), np.ones(count)
    last = np.sort([np.flatnonzero(number == one)[-1] for one in range(len(who))])
    premia = []
    for kept in (np.arange(count), last):
        made = market(*who, error=3e-4)
        for one in range(8):
            made.weigh(one, 1e6 * (1 + one), 0.0)
        rows = Rows(
            ts_venue=ts[kept], ts_recv=ts[kept], instrument=number[kept], kind=kinds[kept],
            flags=np.zeros(len(kept), np.int16), bid=mid[kept] * (1 - 2e-4), ask=mid[kept] * (1 + 2e-4),
            bid_size=sizes[kept], ask_size=sizes[kept], extra=np.full(len(kept), nan),
        )  # fmt: skip
        assert made.scan(rows, 0, NEVER) == (len(kept), K.END)
        premia.append(made.f[:8, [K.PREMIUM, K.SELL_PREMIUM, K.BUY_PREMIUM, K.SIGMAS]].copy())
    assert np.isfinite(premia[1]).all() and (premia[1] != 0).all()
    assert premia[1].tobytes() == premia[0].tobytes()
