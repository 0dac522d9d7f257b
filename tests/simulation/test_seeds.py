"""Many seeds of the simulator: nothing that must always hold is broken, and it was not for want of trouble."""

from __future__ import annotations

import os

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.simulation.driver import play  # noqa: E402 - the kernel's cache must be chosen first
from bot.simulation.many import play_many, total_of  # noqa: E402
from bot.simulation.outcome import Outcome  # noqa: E402
from bot.simulation.scene import Scene, scene_of  # noqa: E402

SEEDS = int(os.environ.get("PEGLINE_SEEDS", "40"))
"""How many are played; `PEGLINE_SEEDS=10000` takes less than half an hour on two processors."""


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """What the first seeds came to."""
    return play_many([scene_of(seed) for seed in range(SEEDS)], 2, lambda done, broke: None)


def test_no_seed_breaks_what_must_always_hold(outcomes: list[Outcome]) -> None:
    """
    No breach in any scene: no order twice, no fill lost, every trade at an end, books equal to the truth.
    """
    assert [] == [(one.seed, one.breaches) for one in outcomes if one.breaches]


def test_every_trade_of_every_seed_has_an_end(outcomes: list[Outcome]) -> None:
    """
    As many ends as trades, and only the three that there are.
    """
    total = total_of(outcomes)
    assert {"flat", "hedged", "paged"} >= total.ends.keys()
    assert total.trades <= sum(total.ends.values())


def test_the_seeds_are_full_of_trouble(outcomes: list[Outcome]) -> None:
    """
    Trades, repairs, restarts and faults that really struck are many, so that the checks had something to look at.
    """
    total = total_of(outcomes)
    assert 10 * SEEDS < total.trades
    assert SEEDS // 10 < total.restarts
    assert SEEDS // 4 < total.hedges
    assert SEEDS < total.conversions
    assert 0 < total.unwinds
    assert SEEDS // 2 < sum(min(one.struck.values()) > 0 for one in outcomes)


def test_the_twin_without_faults_trades_and_asks_nobody_for_help() -> None:
    """
    The same markets with nothing wrong: every trade ends by itself, nothing is given back, and no page is sent.
    """
    total = total_of([play(Scene(seed=seed)) for seed in range(6)])
    assert {"flat", "hedged"} == total.ends.keys()
    assert 60 < total.trades == sum(total.ends.values())
    assert 12 < total.conversions
    assert (0, 0, 0, ()) == (total.unwinds, total.pages, total.restarts, total.broke)


def test_a_seed_tells_the_same_story_again() -> None:
    """
    Played twice, to the last bit of the journal's hash; another seed tells another one.
    """
    seeds = (3, 11, 42)
    first, again = ([play(scene_of(seed)) for seed in seeds] for _ in range(2))
    assert first == again
    assert 3 == len({one.journal_hash for one in first})
