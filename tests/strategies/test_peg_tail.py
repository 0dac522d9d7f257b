"""How often something quiet passes a limit by chance: against tails that are known."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from connectors.events import NS
from strategies.peg.coin import WINDOW_NS, CoinWatch
from strategies.peg.tail import HELD_BACK, KEPT, LEAST, Tail


def heard(values: list[float], block: int = 1) -> Tail:
    """A tail of these."""
    tail = Tail(block)
    for value in [*values, *[0.0] * (block * HELD_BACK)]:
        tail.hear(value)
    return tail


def quantiles(scale: float, count: int = KEPT) -> list[float]:
    """An exponential law of this mean, without chance."""
    return [-scale * log((at + 0.5) / count) for at in range(count)]


@pytest.mark.parametrize("scale", [0.08, 0.12, 0.2])
def test_an_exponential_tail_is_told_as_it_is(scale: float) -> None:
    """
    Beyond the limit, and beyond half of it, exp(-1 / scale) and its root, within a fifth of their logarithm's unit.
    """
    tail = heard(quantiles(scale))
    for part in (0.5, 1.0):
        found = tail.beyond(part)
        assert found is not None
        assert -part / scale == pytest.approx(log(found), abs=0.2)


def test_what_was_seen_beyond_the_limit_is_counted() -> None:
    """
    Three of a hundred are beyond: three in a hundred. All within nothing: no chance at all.
    """
    assert 0.03 == pytest.approx(heard([0.0] * 95 + [0.5, 0.6] + [1.5] * 3).beyond() or 0.0, rel=0.9)
    assert 0.2 == pytest.approx(heard([0.0] * 80 + [1.5] * 20).beyond())
    assert 0.0 == heard([0.0] * 100).beyond()


def test_nothing_is_told_of_too_little() -> None:
    """
    With one block less than the least there is no rate; with it there is one. Blocks, not values, are counted.
    """
    assert heard([0.1, 0.2] * (LEAST - 1), 2).beyond() is None
    assert heard([0.1, 0.2] * LEAST, 2).beyond() is not None


def test_the_beginning_of_what_goes_wrong_is_no_chance() -> None:
    """
    Blocks that grow before an alarm, and those before it is told, leave the rate as it was; of a false start that calms
    down again they count.
    """
    told = {}
    for ends_calm in (False, True):
        tail = heard([0.1] * 100)
        for value in (0.3, 0.6):
            tail.hear(value)
        for value in (0.8, 0.9):
            tail.hear(value, calm=False)
        if not ends_calm:
            tail.refuse()
        for _ in range(HELD_BACK):
            tail.hear(0.0)
        told[ends_calm] = tail.beyond() or 0.0
    assert told[False] < 1e-3 < told[True]


def test_a_fat_tail_says_more_than_a_thin_one() -> None:
    """
    Of the same sd, the largest of Student's t with four degrees of freedom are told to pass four sd a hundred times as
    often as a normal law says, and those of a normal law within a factor of twenty of it.
    """
    rng = np.random.default_rng(1)
    thin = heard(np.abs(rng.standard_normal(KEPT) / 4).tolist()).beyond()
    fat = heard(np.abs(rng.standard_t(4, KEPT) / 2**0.5 / 4).tolist()).beyond()
    assert thin is not None and fat is not None
    assert 6.3e-5 < thin < 20 * 6.3e-5
    assert 100 * 6.3e-5 / 4 < fat


def test_a_coin_tells_how_often_it_is_called_off_by_chance() -> None:
    """
    Sixty medians of ten minutes about one dollar: a rate by their tail, more where they wander more; none before, and
    none of a coin that nobody prices.
    """

    def told(wander: float, windows: int) -> float | None:
        rng, watch = np.random.default_rng(2), CoinWatch(75.0)
        for at in range(windows * 10):
            ts = at * WINDOW_NS // 10 + NS
            if at % 10 == 0:
                level = wander * rng.standard_normal()
            watch.hear(1 + level, ts)
            assert not watch.look(ts)
        return watch.false_alarms_per_month()

    assert told(1e-4, LEAST // 2) is None
    calm, restless = told(1e-4, 3 * LEAST), told(2e-3, 3 * LEAST)
    assert calm is not None and restless is not None
    assert calm < 1e-6 < exp(-7) < restless
    silent = CoinWatch(75.0)
    for at in range(300):
        silent.look(at * WINDOW_NS)
    assert silent.false_alarms_per_month() is None
