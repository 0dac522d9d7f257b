"""The detector of one venue: what it takes to alarm, how soon, how often wrongly, and how it lets go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from connectors.events import NS
from strategies.market.cusum import arl
from strategies.market.fair import FairValue
from strategies.market.session import Session
from strategies.peg.rule import MONTH_NS, Rule
from strategies.peg.state import PegState
from strategies.peg.venue import VenueWatch

BANDS = dict.fromkeys(Session, 100.0), dict.fromkeys(Session, 300.0)
POLL_NS = 328 * NS
BAND = dict.fromkeys(Session, 9e3)
"""Bands that nothing reaches."""


@dataclass(frozen=True)
class Print:
    """What the detector reads of a print."""

    ts: int
    prints: int
    premium_bps: float
    fair: FairValue
    session: Session = Session.REGULAR


def rule(**changes: object) -> Rule:
    """Bands of 100 and 300 bps that a calm venue never reaches."""
    return Rule(**{"warn_bps": BANDS[0], "depeg_bps": BANDS[1], **changes})  # type: ignore[arg-type]


class Venue:
    """A venue that prints every 328 seconds."""

    def __init__(self, its: Rule | None = None, *, seed: int = 1, error_bps: float = 3.0) -> None:
        self.watch = VenueWatch(its or rule())
        self.count, self.error, self.stretch = 0, error_bps, 1.0
        self.noise = np.random.default_rng(seed)

    def say(self, premium_bps: float) -> PegState:
        """One print, and a look a second after it."""
        self.count += 1
        error = self.error * self.stretch / 100
        fair = FairValue(price=100.0, error=error, source=0, as_of=0, stretch=self.stretch)
        judged = Print(self.count * POLL_NS, self.count, premium_bps, fair)
        self.watch.hear(judged)
        self.watch.settle(judged, judged.ts + NS)
        return self.watch.state

    def calm(self, prints: int = 300, *, sd: float = 40.0, about: float = -10.0) -> list[PegState]:
        """Prints of an ordinary venue, never more than 2.5 sd off."""
        return [
            self.say(about + sd * float(z)) for z in np.clip(self.noise.standard_normal(prints), -2.5, 2.5).tolist()
        ]

    def till_depeg(self, premium_bps: float, most: int = 20) -> int:
        """Prints of a premium until it is DEPEGGED; 0 where that does not come."""
        return next((at + 1 for at in range(most) if self.say(premium_bps) is PegState.DEPEGGED), 0)


@pytest.mark.parametrize("size", [200.0, -200.0, 1000.0])
def test_a_jump_is_found_at_the_fifth_print(size: float) -> None:
    """
    40 bps of noise and a jump of 200 or more on either side: five prints, no fewer and no more.
    """
    venue = Venue()
    assert {PegState.PEGGED} >= set(venue.calm()[100:])
    assert 5 == venue.till_depeg(size)
    assert "jump" == venue.watch.by and (1 if size > 0 else -1) == venue.watch.side
    assert (301 * POLL_NS) == venue.watch.since


def test_a_depeg_is_found_as_soon_where_it_makes_the_witnesses_contradict_each_other() -> None:
    """
    The jump pulls other venues along, so that the error by which the venue is judged is stretched to 120 bps: the fifth
    print finds it as before; an error of 120 bps among witnesses that agree takes more of them.
    """
    venue, unsure = Venue(), Venue(error_bps=120.0)
    venue.calm()
    unsure.calm()
    venue.stretch = 40.0
    assert 5 == venue.till_depeg(200.0)
    assert 5 < unsure.till_depeg(200.0)


def test_three_prints_are_no_depeg() -> None:
    """
    Eleven minutes of 240 bps and back: at most strained, and pegged again soon.
    """
    venue = Venue()
    venue.calm()
    during = [venue.say(240.0) for _ in range(3)]
    after = venue.calm(8)
    assert PegState.DEPEGGED not in (*during, *after)
    assert PegState.PEGGED is after[-1]


@pytest.mark.parametrize("prints", [(254.0, 182.0, 288.0, 52.0, 50.0), (254.0, 270.0, 50.0, 85.0, 95.0)])
def test_wrong_prints_beside_unusual_ones_are_no_depeg(prints: tuple[float, ...]) -> None:
    """
    Two or three wrong prints lift the average of five over every limit, but the least of them does not bear it out.
    Five at 170 over the usual are a depeg.
    """
    venue = Venue()
    venue.calm()
    assert PegState.DEPEGGED not in [venue.say(one - 10.0) for one in prints]
    other = Venue()
    other.calm()
    assert 5 == other.till_depeg(160.0)


def test_a_depeg_does_not_hold_on_the_other_side() -> None:
    """
    A state entered at 245 under the usual is left where the price comes back and stops 80 over it; one that leaps to
    245 over it is another depeg, with its own beginning.
    """
    venue = Venue()
    venue.calm()
    assert 5 == venue.till_depeg(-255.0) and -1 == venue.watch.side
    assert PegState.DEPEGGED not in [venue.say(70.0) for _ in range(8)][-2:]
    other = Venue()
    other.calm()
    assert 5 == other.till_depeg(-255.0)
    before = other.watch.since
    states = {other.say(235.0) for _ in range(12)}
    assert PegState.DEPEGGED in states and PegState.DEPEGGED is other.watch.state
    assert 1 == other.watch.side and before < other.watch.since


def test_one_wild_print_is_nothing() -> None:
    """
    A print at a hundred times the price leaves the state as it was.
    """
    venue = Venue()
    venue.calm()
    assert PegState.PEGGED is venue.say(990_000.0)
    assert {PegState.PEGGED} == set(venue.calm(20))


def test_what_is_usual_at_a_venue_decides() -> None:
    """
    80 bps over the fair value all the time is no strain; 90 bps less is a jump of 90 for a venue with 5 bps of noise.
    """
    venue = Venue(rule(warn_bps=dict.fromkeys(Session, 200.0)))
    assert {PegState.PEGGED} == set(venue.calm(about=80.0, sd=5.0))
    assert 5 == venue.till_depeg(-10.0)


def test_a_small_jump_is_no_depeg_however_sure() -> None:
    """
    30 bps at a venue with 2 bps of noise are many sigmas, and less than is worth an alarm.
    """
    venue = Venue()
    venue.calm(sd=2.0, about=0.0)
    assert {PegState.PEGGED} == {venue.say(30.0) for _ in range(8)}


def test_an_error_of_the_fair_value_is_no_depeg() -> None:
    """
    A jump of 200 bps against a fair value that is good to 150 bps is none.
    """
    venue = Venue(rule(warn_bps=BANDS[1], depeg_bps=BANDS[1]))
    venue.calm()
    venue.error = 150.0
    assert 0 == venue.till_depeg(200.0, most=6)


def test_until_it_is_known_what_is_usual_the_bands_decide() -> None:
    """
    In the first prints 200 bps are a strain of five prints, and 400 a depeg of five.
    """
    venue = Venue()
    assert [PegState.UNKNOWN] * 4 + [PegState.STRAINED] == [venue.say(200.0) for _ in range(5)]
    assert 5 == venue.till_depeg(400.0)
    assert "band" == venue.watch.by


def test_a_slow_drift_is_found_though_no_jump_is_there() -> None:
    """
    A premium that creeps by 7 bps in eight hours is told within 150 bps; what is usual follows it, so only the averages
    of weeks can tell. One that stays where it is is never told.
    """
    for slope, found in ((1 / 12, True), (0.0, False)):
        venue = Venue(rule(depeg_bps=dict.fromkeys(Session, 900.0), warn_bps=dict.fromkeys(Session, 900.0)))
        venue.calm(1200, sd=10.0, about=0.0)
        states = [
            venue.say(10.0 * z + at * slope) for at, z in enumerate(np.clip(venue.noise.standard_normal(1800), -2, 2))
        ]
        assert found is (max(states) >= PegState.STRAINED)
        if found:
            assert "drift" == venue.watch.by


def test_a_state_is_left_when_the_premium_is_back() -> None:
    """
    After a depeg of 200 bps the ordinary premium clears it within six prints, and it does not come back.
    """
    venue = Venue()
    venue.calm()
    venue.till_depeg(200.0)
    after = venue.calm(40)
    assert PegState.PEGGED in after[:6]
    assert {PegState.PEGGED} == set(after[8:])


def test_a_moment_of_calm_does_not_end_a_depeg() -> None:
    """
    One ordinary print among those of a depeg leaves it as it is.
    """
    venue = Venue()
    venue.calm()
    venue.till_depeg(200.0)
    assert {PegState.DEPEGGED} == {venue.say(bps) for bps in (200.0, -10.0, 200.0, 200.0)}


def test_a_depeg_does_not_become_usual() -> None:
    """
    Two days of 200 bps: still DEPEGGED, and what is usual has not moved.
    """
    venue = Venue()
    venue.calm()
    usual = venue.watch.ordinary.centre_bps
    assert PegState.DEPEGGED is [venue.say(200.0) for _ in range(500)][-1]
    assert usual == pytest.approx(venue.watch.ordinary.centre_bps, abs=2.0)


def test_neighbours_that_say_the_same_raise_the_threshold() -> None:
    """
    Where prints follow each other (correlation 0.8) the sum must go further than where they do not.
    """
    alone, alike = Venue(), Venue()
    alone.calm(500)
    level = 0.0
    for z in np.clip(alike.noise.standard_normal(500), -2.5, 2.5).tolist():
        level = 0.8 * level + 0.6 * z
        alike.say(40 * level)
    assert alike.watch.ordinary.correlation > 0.6 > 0.2 > alone.watch.ordinary.correlation
    assert alike.watch.fast.h > 1.5 * alone.watch.fast.h


def test_a_venue_of_many_prints_a_minute_gives_one_sample() -> None:
    """
    Two hundred prints a second apart are four samples a minute apart.
    """
    watch = VenueWatch(rule())
    fair = FairValue(price=100.0, error=0.03, source=0, as_of=0)
    for at in range(200):
        watch.hear(Print(10**15 + at * NS, at + 1, 0.0, fair))
    assert 4 == len(watch.last)


def test_the_stated_run_length_is_that_of_the_sum() -> None:
    """
    The threshold is the one with which the sum runs as long as the rule says, within 6 %, on independent and on alike
    prints.
    """
    its = rule(run_length=5000.0)
    assert 5000.0 == pytest.approx(arl(its.k, its.fast_h(1.0)), rel=0.06)
    assert 5000.0 == pytest.approx(arl(its.k / 1.5, its.fast_h(1.5) / 1.5), rel=0.06)


def test_expected_false_alarms_follow_from_run_length_and_rate() -> None:
    """
    100,000 samples from one to the next, every 328 s, and 2,000 spans of eight hours: 0.079 and 0.045 a month. A strain
    is told at a fiftieth of that run length, and says so: 4.0 a month.
    """
    month = MONTH_NS / POLL_NS / 100_000
    assert month + 90 / 2000 == pytest.approx(rule().false_alarms_per_month(POLL_NS), rel=1e-9)
    watch = Venue().watch
    watch.ordinary.gap_ns = POLL_NS
    assert month + 90 / 2000 == pytest.approx(watch.false_alarms_per_month(PegState.DEPEGGED))
    assert 50 * month + 90 / 2000 == pytest.approx(watch.false_alarms_per_month(PegState.STRAINED))


def test_false_alarms_are_rarer_than_stated() -> None:
    """
    Eight venues of 3,500 Gaussian prints go wrong at most 7 times, where one in 1,000 prints, so 28 times, is what the
    rule allows itself: the prints that must agree do the rest.
    """
    wrong = 0
    for seed in range(8):
        venue = Venue(rule(run_length=1000.0, depeg_bps=dict.fromkeys(Session, 900.0)), seed=seed)
        z = venue.noise.standard_normal(3500)
        before = PegState.PEGGED
        for value in z.tolist():
            state = venue.say(40.0 * value)
            wrong += state is PegState.DEPEGGED and before is not state
            before = state
    assert wrong <= 7


def test_what_wanders_by_the_day_is_stated() -> None:
    """
    Prints with memory, fat tails, and a level and a width that change by the day: depegs are called more than ten times
    as often as the run length says, and as often as the stated rate, within a factor of three.
    """
    venue, count, day = Venue(rule(depeg_bps=BAND, warn_bps=BAND)), 6000, 200
    rng = np.random.default_rng(1)
    level, width = rng.normal(0, 12, count // day), np.exp(rng.normal(0, 0.25, count // day))
    wrong, last, before = 0, 0.0, PegState.PEGGED
    for at, shock in enumerate((rng.standard_t(4, count) / 2**0.5).tolist()):
        last = 0.3 * last + 0.954 * shock
        state = venue.say(float(level[at // day] + 35 * width[at // day] * last))
        wrong += state is PegState.DEPEGGED and before is not state
        before = state
    comes = wrong * MONTH_NS / (count * POLL_NS)
    assert comes > 10 * venue.watch.rule.false_alarms_per_month(POLL_NS)
    assert comes / 3 < venue.watch.false_alarms_per_month(PegState.DEPEGGED) < 3 * comes


def test_the_stated_rate_of_calm_prints_is_below_one_a_month() -> None:
    """
    Normal prints of 40 bps: no more than one depeg and no less than the run length says, and strains more often.
    """
    venue = Venue(rule(depeg_bps=BAND, warn_bps=BAND))
    for z in venue.noise.standard_normal(3000).tolist():
        venue.say(40.0 * z)
    depegs, strains = (venue.watch.false_alarms_per_month(level) for level in (PegState.DEPEGGED, PegState.STRAINED))
    assert venue.watch.rule.false_alarms_per_month(POLL_NS) <= depegs < 1 < strains
