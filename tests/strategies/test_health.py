"""Peg health: the score of a simulated token falls with every injected fault and stays where it was without one."""

from __future__ import annotations

from copy import deepcopy
from math import isnan, nan

import numpy as np
import pytest

from connectors.events import NS
from strategies.market.health import FACT, PARTS, PegHealth, Rules, combined, missed_split
from strategies.market.history import Ring
from strategies.market.session import Session
from strategies.market.wash import Wash

HOUR = 3600
STEP = 30
"""Seconds between prints."""
SESSIONS = [*[Session.OVERNIGHT] * 8, *[Session.REGULAR] * 8, *[Session.POST] * 8]
"""By hour of the simulated day."""


class World:
    """A token and a sister venue, print by print; a fault is a change of its numbers from some hour on."""

    def __init__(self, seed: int = 1) -> None:
        """The first hour."""
        self.rng = np.random.default_rng(seed)
        self.health = PegHealth(Rules())
        self.other = Ring(400, 10 * NS)
        self.now, self.hour = 0, 0
        self.premium, self.fair = 0.0, 400.0
        self.past = [400.0] * 10
        self.scores: list[float | None] = []
        # The numbers that faults change.
        self.level, self.drift_per_hour, self.phi = 5.0, 0.0, 0.9
        self.spread, self.depth, self.prints = 12.0, 50_000.0, True
        self.follows, self.beta_lost, self.late = True, False, 0
        self.frozen = 400.0
        self.twin: World | None = None
        """The same world, to which no harm is done."""

    def run(self, hours: int) -> None:
        """Lets time pass; the health is looked at every quarter of an hour."""
        for _ in range(hours):
            session = SESSIONS[self.hour % 24]
            width = 1.0 if session is Session.REGULAR else 2.0
            for at in range(HOUR // STEP):
                self.now += STEP * NS
                self.fair *= 1 + 3e-4 * self.rng.normal()
                self.past = [*self.past[1:], self.fair]
                self.premium = self.phi * self.premium + 3 * np.sqrt(1 - self.phi**2) * self.rng.normal()
                theirs = self.past[-1 - (self.follows * 2)]
                ours = self.past[-1 - self.late]
                price = (self.frozen if self.beta_lost else ours) * (1 + (self.level + width * self.premium) / 1e4)
                self.other.add(self.now, nan, theirs * (1 + 1e-4 * self.rng.normal()), nan, nan, nan)
                if self.prints:
                    self.health.hear(
                        self.now,
                        session,
                        1e4 * (price / self.fair - 1),
                        price,
                        self.fair,
                        self.spread * np.exp(0.2 * self.rng.normal()),
                        self.depth * np.exp(0.3 * self.rng.normal()),
                    )
                if at % 30 == 29:
                    found = self.health.look(self.now, self.other)
                    self.scores.append(None if found is None else found.score)
            self.level += self.drift_per_hour
            self.hour += 1

    def last(self, count: int) -> list[float]:
        """The last scores that are known."""
        return [score for score in self.scores[-count:] if score is not None]


@pytest.fixture(scope="module")
def grown() -> World:
    """Twenty ordinary days, with all slow facts known."""
    world = World()
    for _ in range(20 * 24):
        world.health.backing(0.9998 + 1e-4 * world.rng.random())
        world.health.split(False)
        world.health.traded(Wash(0.4 + 0.1 * world.rng.random(), nan, nan, nan))
        world.run(1)
    return world


@pytest.fixture
def world(grown: World) -> World:
    """The same at the beginning of a regular session, to do harm to."""
    world = deepcopy(grown)
    world.run(9)
    world.twin = deepcopy(world)
    return world


def lowest(world: World, part: str, hours: int = 6) -> tuple[float, float]:
    """The lowest score and the lowest tail of a part while time passes; the unharmed twin's stay up meanwhile."""

    def watch(one: World) -> tuple[float, float]:
        tails, scores = [], []
        for _ in range(hours):
            one.run(1)
            if (found := one.health.latest) is not None:
                scores.append(found.score)
                tails.append(found.tails.get(part, 1.0))
        return min(scores), min(tails)

    unharmed, found = watch(world.twin), watch(world)
    assert unharmed[0] > 2 * found[0]
    assert unharmed[1] > found[1]
    return found


def test_in_ordinary_times_the_score_is_an_ordinary_number(grown):
    """
    Over the last ten days its median is near 50, one reading in ten is below 10, and every part is known.
    """
    scores = grown.last(10 * 24 * 4)
    assert 35 <= np.median(scores) <= 65
    assert 0.15 >= np.mean([score < 10 for score in scores])
    assert 0.03 >= np.mean([score < 1 for score in scores])
    assert set(PARTS) == set(grown.health.latest.tails)


def test_a_premium_that_jumps_lowers_the_score(world):
    """
    By 30 bps, ten of its standard deviations.
    """
    world.level += 30
    score, tail = lowest(world, "premium", hours=2)
    assert (True, True) == (score < 5, tail < 0.01)


def test_a_slow_drift_lowers_the_score(world):
    """
    A quarter of a bps an hour: no reading of the premium alone is rare on the first day, the day's mean is.
    """
    world.drift_per_hour = 0.25
    score, tail = lowest(world, "drift", hours=36)
    assert (True, True) == (score < 5, tail < 0.01)


def test_a_wider_spread_lowers_the_score(world):
    """
    Three times as wide as ever.
    """
    world.spread *= 3
    score, tail = lowest(world, "spread", hours=2)
    assert (True, True) == (score < 6, tail < 0.01)


def test_depth_that_is_gone_lowers_the_score(world):
    """
    A fifth of it is left.
    """
    world.depth /= 5
    score, tail = lowest(world, "depth", hours=2)
    assert (True, True) == (score < 5, tail < 0.01)


def test_a_premium_that_returns_more_slowly_lowers_the_score(world):
    """
    The half-life rises from three minutes to fifty: its interval's lower end is higher than ever.
    """
    world.phi = 0.99
    score, tail = lowest(world, "reversion", hours=4)
    assert (True, True) == (score < 10, tail < 0.02)


def test_a_long_spell_outside_its_band_lowers_the_score(world):
    """
    It stays outside for two hours, which no spell of its history did.
    """
    world.level += 12
    score, tail = lowest(world, "spell", hours=3)
    assert (True, True) == (score < 5, tail < 0.01)


def test_a_token_that_no_longer_follows_its_share_lowers_the_score(world):
    """
    Its price stands still while the share moves.
    """
    world.beta_lost, world.frozen = True, world.fair
    score, tail = lowest(world, "beta", hours=4)
    assert (True, True) == (score < 5, tail < 0.02)


def test_a_venue_that_led_and_follows_lowers_the_score(world):
    """
    The sister venue followed it by a minute; now it follows the sister by two.
    """
    world.follows, world.late = False, 4
    score, tail = lowest(world, "lead", hours=6)
    assert (True, True) == (score < 10, tail < 0.02)


def test_supply_beyond_its_backing_lowers_the_score(world):
    """
    Two per cent more tokens than shares: rare whatever the history says.
    """
    world.health.backing(1.02)
    assert (True, FACT) == (lowest(world, "supply", hours=1)[0] < 5, world.health.latest.tails["supply"])


def test_a_missed_split_lowers_the_score_and_is_known_without_a_print(world):
    """
    Also where prices in the wrong unit are not believed, so that no print is heard.
    """
    world.health.split(True)
    assert 5 > lowest(world, "multiplier", hours=1)[0]
    world.prints = False
    world.run(2)
    assert {"multiplier": FACT} == world.health.score(world.now).tails


def test_wash_volume_lowers_the_score(world):
    """
    A screen of 0.85, where 0.4 to 0.5 is ordinary.
    """
    world.health.traded(Wash(0.85, 0.9, 0.95, 0.7))
    assert (True, FACT) == (lowest(world, "wash", hours=1)[0] < 5, world.health.latest.tails["wash"])


def test_a_silent_venue_is_unknown(world):
    """
    Half an hour after its last print there is no score, neither good nor bad, and later one again.
    """
    assert world.health.score(world.now) is not None
    last, world.prints = world.now, False
    assert world.health.score(last + 1801 * NS) is None
    world.run(2)
    assert world.health.score(world.now) is None
    world.prints = True
    world.run(2)
    assert world.health.score(world.now) is not None


def test_a_young_history_has_no_score():
    """
    Ten hours are too few readings of any session to say what is ordinary.
    """
    young = World(seed=3)
    young.run(10)
    assert ([None], True) == (list(set(young.scores)), isnan(young.health.ordinary(Session.REGULAR).median))


def test_the_newest_hour_is_not_in_its_own_baseline(world):
    """
    A premium that jumps moves the baseline of its session only after an hour.
    """
    world.level += 500
    for hours, same in ((1, True), (2, False)):
        world.run(hours)
        world.twin.run(hours)
        assert same == (world.health.ordinary(Session.REGULAR) == world.twin.health.ordinary(Session.REGULAR))


def test_its_trends_say_where_spread_and_depth_go(world):
    """
    A spread that widens by 2 % an hour and a depth that shrinks as fast.
    """
    for _ in range(48):
        world.spread *= 1.02
        world.depth /= 1.02
        world.run(1)
    assert 0.2 < world.health.spread_trend.per_day() < 0.8
    assert -0.8 < world.health.depth_trend.per_day() < -0.2


def test_parts_are_put_together():
    """
    All ordinary is 50, one that is rare shows through many good ones, unknown ones and those without weight do not
    count.
    """
    equal = dict.fromkeys(PARTS, 1.0)
    assert pytest.approx(50.0) == combined(dict.fromkeys(PARTS, 0.5), equal)
    assert 5 > combined({**dict.fromkeys(PARTS, 0.99), "depth": 0.002}, equal)
    assert pytest.approx(20.0) == combined({"depth": 0.2}, equal)
    assert pytest.approx(50.0) == combined({"depth": 0.001, "premium": 0.5}, {"premium": 1.0})
    assert isnan(combined({}, equal))


@pytest.mark.parametrize("weights", [{"depths": 1.0}, {"depth": -1.0}, {"depth": 0.0}, {"depth": nan}])
def test_weights_without_a_meaning_are_refused(weights):
    """
    Unknown parts, negative weights, none at all.
    """
    with pytest.raises(ValueError, match="weights are 0 or more"):
        Rules(weights=weights)


def test_a_missed_split_is_told_by_the_ratio_of_the_multipliers():
    """
    Ten for one, either way; a venue that followed and one that is merely off did not miss it; a dividend of a tenth of
    a per cent cannot be told from noise.
    """
    assert missed_split(40.0, 400.0, 1.0, 10.0) is True
    assert missed_split(4000.0, 400.0, 1.0, 10.0) is True
    assert missed_split(401.0, 400.0, 1.0, 10.0) is False
    assert missed_split(300.0, 400.0, 1.0, 10.0) is False
    assert missed_split(404.2, 400.0, 1.0, 1.001) is None
    assert missed_split(nan, 400.0, 1.0, 10.0) is None
