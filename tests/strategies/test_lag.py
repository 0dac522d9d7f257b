"""Share sources against each other: one that is late, one of the wrong share, one alone."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from connectors.events import NS
from strategies.market.lag import STEP_S, WINDOW, Said, Witnesses, lag_of

BEGIN = 1_788_537_600 * NS
HOURS = 2
SECONDS = HOURS * 3600


def path(seed: int, *, daily: float = 0.03, start: float = 400.0) -> np.ndarray:
    """A share's price, second by second."""
    rng = np.random.default_rng(seed)
    return start * np.exp(np.cumsum(rng.normal(0, daily / np.sqrt(23_400), SECONDS)))


def watch(
    *sources: tuple[str, np.ndarray, int], every_s: tuple[int, ...] = (), limit_s: float = 120.0, until_s: int = SECONDS
) -> tuple[Witnesses, dict[int, int]]:
    """Ten-second ticks over sources (witness, prices, delay in s); gives the witnesses, and when each was doubted."""
    witnesses, first = Witnesses(limit_s), dict[int, int]()
    rng = np.random.default_rng(5)
    said: dict[int, Said] = {}
    for at in range(0, until_s, 10):
        for number, (witness, prices, delay) in enumerate(sources):
            if at - delay < 0 or (every_s and at % every_s[number]):
                continue
            price = float(prices[at - delay] * np.exp(rng.normal(0, 1e-4)))
            said[number] = Said(number=number, witness=witness, ts=BEGIN + at * NS, price=price, error=5e-4)
        witnesses.look(BEGIN + at * NS, list(said.values()))
        for number in said:
            if witnesses.late_s(number) or witnesses.outvoted(number):
                first.setdefault(number, at)
    return witnesses, first


@pytest.mark.parametrize("seed", range(4))
def test_a_source_a_quarter_of_an_hour_late_is_found(seed: int) -> None:
    """
    Of two witnesses the second follows by 900 s: it, and not the one that leads, is late, by as much as it is.
    """
    prices = path(seed)
    witnesses, first = watch(("a", prices, 0), ("b", prices, 900))
    assert 900 == witnesses.late_s(1)
    assert 0 == witnesses.late_s(0)
    print(f"late by 900 s: doubted after {first[1] / 60:.0f} min")


@pytest.mark.parametrize("seed", range(4))
def test_sources_that_are_in_time_are_left_alone(seed: int) -> None:
    """
    Three witnesses of one share, the third 20 s behind and at another level within its error: nothing is doubted.
    """
    prices = path(seed)
    witnesses, first = watch(("a", prices, 0), ("b", prices, 0), ("c", prices * 1.0008, 20))
    assert {} == first
    assert [0, 0, 0] == [witnesses.late_s(number) for number in range(3)]


def test_a_late_source_is_believed_again_when_it_is_in_time() -> None:
    """
    For an hour it is late by ten minutes, then it is not: within three quarters of an hour it is believed again.
    """
    prices = path(3)
    mended = np.concatenate([prices[600:3600], prices[3600:], np.full(600, prices[-1])])
    late = np.concatenate([np.full(600, prices[0]), prices[:3000], mended[3000:][: SECONDS - 3600]])
    witnesses, _ = watch(("a", prices, 0), ("b", late, 0), until_s=3600)
    assert 600 == witnesses.late_s(1)
    witnesses, _ = watch(("a", prices, 0), ("b", late, 0))
    assert 0 == witnesses.late_s(1)


def test_a_wrong_symbol_is_outvoted_at_once() -> None:
    """
    Two witnesses see 400, the third another share at 187: it is outvoted at its first word, the others never.
    """
    prices = path(1)
    witnesses, first = watch(("a", prices, 0), ("b", prices, 0), ("c", path(2, start=187.0), 0), until_s=120)
    assert {2: 0} == first
    assert [False, False, True] == [witnesses.outvoted(number) for number in range(3)]


def test_a_level_that_is_off_by_more_than_the_errors_is_outvoted() -> None:
    """
    2 % off with errors of 5 bps, in most of its last cells; and believed again when it is back.
    """
    prices = path(1)
    off = prices * np.where(np.arange(SECONDS) < 1800, 1.02, 1.0)
    sources = (("a", prices, 0), ("b", prices, 0), ("c", off, 0))
    assert watch(*sources, until_s=1800)[0].outvoted(2)
    assert not watch(*sources, until_s=2400)[0].outvoted(2)


def test_of_two_that_disagree_both_are_doubted() -> None:
    """
    Nobody can say which is right.
    """
    prices = path(1)
    witnesses, _ = watch(("a", prices, 0), ("b", prices * 0.5, 0), until_s=60)
    assert [True, True] == [witnesses.outvoted(number) for number in range(2)]


def heard(witnesses: Witnesses, cells: range, *prices: float | None, refused: tuple[int, ...] = ()) -> list[list[bool]]:
    """Each source says its price once a cell (None: nothing); who is outvoted after each."""
    doubted = []
    for cell in cells:
        now = BEGIN + cell * STEP_S * NS
        said = [
            Said(number=number, witness="abc"[number], ts=now, price=price, error=5e-4)
            for number, price in enumerate(prices)
            if price is not None
        ]
        witnesses.look(now, said, refused)
        doubted.append([witnesses.outvoted(number) for number in range(len(prices))])
    return doubted


def test_a_doubt_falls_when_the_one_that_raised_it_is_refused() -> None:
    """
    a stands still, b moves: both are doubted. When a is refused as frozen, b is believed at that look.
    """
    witnesses = Witnesses(120.0)
    assert [True, True] == heard(witnesses, range(8), 100.0, 102.0)[-1]
    assert [True, False] == heard(witnesses, range(8, 9), None, 102.0, refused=(0,))[-1]


def test_a_source_that_comes_back_must_agree_before_it_has_a_say() -> None:
    """
    a was refused and comes back far away: it alone is doubted, for as long as that lasts, and b never is. When it says
    what b says in three cells in a row it is believed, and has a say again.
    """
    witnesses = Witnesses(120.0)
    heard(witnesses, range(8), 100.0, 100.0)
    heard(witnesses, range(8, 12), None, 102.0, refused=(0,))
    assert [[True, False]] * 8 == heard(witnesses, range(12, 20), 100.0, 102.0)
    assert [[True, False], [True, False], [False, False]] == heard(witnesses, range(20, 23), 102.0, 102.0)
    assert [True, True] == heard(witnesses, range(23, 31), 100.0, 102.0)[-1]


def test_a_source_that_comes_back_alone_is_believed() -> None:
    """
    The other one fell silent meanwhile: there is nobody to agree with.
    """
    witnesses = Witnesses(120.0)
    heard(witnesses, range(8), 100.0, 100.0)
    heard(witnesses, range(8, 12), None, None, refused=(0,))
    assert [False, False] == heard(witnesses, range(30, 31), 102.0, None)[-1]


def test_whom_the_others_outvoted_stays_so_when_one_of_them_is_refused() -> None:
    """
    a and b outvoted c; b is refused: c has not become right by that.
    """
    witnesses = Witnesses(120.0)
    assert [False, False, True] == heard(witnesses, range(8), 100.0, 100.0, 102.0)[-1]
    assert [False, True, True] == heard(witnesses, range(8, 9), 100.0, None, 102.0, refused=(1,))[-1]


def test_sources_that_feed_each_other_do_not_judge_each_other() -> None:
    """
    One witness name, however different the prices: nothing is told. The same with the comparison switched off.
    """
    prices = path(1)
    assert {} == watch(("a", prices, 0), ("a", prices * 0.5, 900))[1]
    assert {} == watch(("a", prices, 0), ("b", prices * 0.5, 900), limit_s=inf)[1]


def test_a_market_at_rest_tells_nothing() -> None:
    """
    Where nothing moves, a late source looks like any other.
    """
    prices = np.full(SECONDS, 400.0)
    assert {} == watch(("a", prices, 0), ("b", prices, 900))[1]


def test_silence_is_not_filled() -> None:
    """
    A source that speaks every twenty minutes has too few cells in common for any lag; it is not doubted.
    """
    prices = path(2)
    witnesses, _ = watch(("a", prices, 0), ("b", prices, 900), every_s=(10, 1200))
    assert 0 == witnesses.late_s(1)
    own = np.full(WINDOW, np.nan)
    own[::3] = 1.0
    found = lag_of(own, np.ones(WINDOW + 4))
    assert (0, True) == (found.cells, np.isnan(found.plain))


def test_the_lag_of_two_rows_is_counted_in_cells() -> None:
    """
    Seven cells late, on a walk with holes: seven, and the differences there are nothing.
    """
    rng = np.random.default_rng(9)
    walk = np.cumsum(rng.normal(0, 1e-3, WINDOW + 60))
    late = walk[60 - 7 : 60 - 7 + WINDOW].copy()
    late[rng.random(WINDOW) < 0.3] = np.nan
    found = lag_of(late, walk)
    assert 7 == found.cells
    assert found.spread < 1e-12 < found.plain
    assert found.tells(7 * STEP_S) and not found.tells(8 * STEP_S)
    assert STEP_S == 30


def test_walks_with_nothing_in_common_are_no_delay() -> None:
    """
    In 400 pairs of unrelated walks none is called late; the same walk, 300 s late and noisy, nearly always is.
    """
    rng = np.random.default_rng(2)
    walks = np.cumsum(rng.normal(0, 3e-4, (400, 2, WINDOW + 60)), axis=2)
    assert [] == [pair for pair in walks if lag_of(pair[0, -WINDOW:], pair[1]).tells(120.0)]
    noise = rng.normal(0, 5e-5, (400, WINDOW))
    late = [lag_of(pair[0, 50 : 50 + WINDOW] + own, pair[0]) for pair, own in zip(walks, noise, strict=True)]
    assert 390 < sum(lag.tells(120.0) and 10 == lag.cells for lag in late)
