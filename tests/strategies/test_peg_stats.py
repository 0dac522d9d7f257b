"""Premium statistics: level, share and spells outside a band, what is ordinary, and what can be executed."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.events import NS
from strategies.market.peg_stats import baseline, executable, level, longest_outside_s, share_outside

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "peg_stats.json").read_text())
GAP = 1800 * NS
NONE = np.empty(0)


def seconds(*moments: float) -> np.ndarray:
    """Moments in ns from seconds."""
    return (np.array(moments) * NS).astype(np.int64)


def longest(moments: tuple[float, ...], premia: list[float], band: float = 10.0) -> float:
    """The longest spell outside a constant band, with the usual gap of 30 minutes."""
    return longest_outside_s(seconds(*moments), np.array(premia), np.full(len(premia), band), GAP)


def test_the_level_of_a_few_samples():
    """
    sd with n - 1, quantiles interpolated linearly, absolute values taken before quantiles.
    """
    found = level(np.array([-10.0, 0.0, 4.0, 8.0]))
    assert (4, 0.5, 2.0, 6.0, 10.0) == (found.n, found.mean, found.median, found.median_abs, found.max_abs)
    assert pytest.approx(np.sqrt((10.5**2 + 0.5**2 + 3.5**2 + 7.5**2) / 3)) == found.sd
    assert pytest.approx(8 + 0.85 * 2) == found.p95_abs


def test_one_sample_has_no_spread_and_none_has_nothing():
    """
    What is not there is NaN, never zero.
    """
    assert (True, 7.0) == (isnan(level(np.array([-7.0])).sd), level(np.array([-7.0])).p95_abs)
    nothing = level(NONE)
    assert (0, True, True) == (nothing.n, isnan(nothing.mean), isnan(nothing.max_abs))


def test_the_share_outside_counts_prints():
    """
    Two of four prints lie beyond the band; a premium equal to the band is inside.
    """
    assert 0.5 == share_outside(np.array([11.0, -10.0, -12.0, 3.0]), np.full(4, 10.0))


def test_without_a_band_or_a_print_nothing_is_outside_or_inside():
    """
    No band (NaN) and no print give NaN, not zero.
    """
    assert isnan(share_outside(np.array([1.0]), np.array([np.nan])))
    assert isnan(share_outside(NONE, NONE))
    assert isnan(longest_outside_s(seconds(1), np.array([1.0]), np.array([np.nan]), GAP))
    assert isnan(longest_outside_s(seconds(), NONE, NONE, GAP))


def test_a_spell_ends_at_the_first_print_inside():
    """
    From the first print outside at 10 s to the first inside at 70 s.
    """
    assert 60.0 == longest((0, 10, 40, 70, 90), [0, 20, -30, 5, 20])


def test_a_spell_ends_at_a_long_silence():
    """
    A silence over the gap ends the spell at the last print before it; one of exactly the gap does not.
    """
    assert 30.0 == longest((0, 30, 1831, 1841), [20, 20, 20, 20])
    assert 1840.0 == longest((0, 30, 1830, 1840), [20, 20, 20, 20])


def test_a_silence_also_hides_the_print_inside_that_follows_it():
    """
    When the next print inside comes after a long silence, the spell ended before the silence.
    """
    assert 5.0 == longest((0, 5, 4000), [20, 20, 0])


def test_the_last_spell_ends_with_the_data():
    """
    Still outside at the last print: the spell lasts until then; a single print outside lasts no time.
    """
    assert 20.0 == longest((0, 10, 30), [0, 20, 20])
    assert 0.0 == longest((0, 10), [0, 20])


def test_no_print_outside_is_no_spell():
    """
    Always inside: zero seconds.
    """
    assert 0.0 == longest((0, 10, 30), [0, 1, 2])


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), min_size=1, max_size=40))
def test_spells_equal_a_walk_through_the_prints(steps):
    """
    The vectorised spell is the one that a plain loop finds.
    """
    moments = np.cumsum([step for step, _ in steps])
    start, before, found = None, None, 0.0
    for at, (_, outside) in zip(moments.tolist(), steps, strict=True):
        if start is not None and at - before > 1800:
            start = None
        if start is not None:
            found = max(found, at - start)
        start = (at if start is None else start) if outside else None
        before = at
    assert found == longest(tuple(moments.tolist()), [20.0 if outside else 0.0 for _, outside in steps])


@pytest.mark.parametrize("case", VECTORS["robust_z"])
def test_the_robust_distance_of_the_vectors(case):
    """
    Median, MAD, scale and the distance of the last value.
    """
    found = baseline(np.array(case["values"]))
    assert pytest.approx((case["median"], case["mad"], case["scale"])) == (found.median, found.mad, found.scale)
    assert pytest.approx(case["robust_z_last"]) == found.z(case["values"][-1])


def test_without_deviation_a_distance_is_not_defined():
    """
    More than half of the values are equal: the MAD is 0, and the distance of another one is unknown, not infinite.
    """
    still = baseline(np.array([1.0, 1.0, 1.0, 5.0]))
    assert (1.0, 0.0, True, True) == (still.median, still.mad, isnan(still.z(5.0)), isnan(still.z(1.0)))
    assert isnan(baseline(NONE).z(0.0))


@pytest.mark.parametrize("case", VECTORS["executable_premium"], ids=lambda case: case["expected"]["mid_premium"][:8])
def test_executable_premia_of_the_vectors(case):
    """
    At the mid, by minting and by redeeming; both ways are at most what the mid promises.
    """
    found = executable(
        share=(case["stock_bid"], case["stock_ask"]),
        token=(case["token_bid"], case["token_ask"]),
        multiplier=case["multiplier"],
        fx=case["fx_usd_per_quote"],
        fee_token=case["fee_token"],
        fee_share=case["fee_stock"],
        fee_mint=case["fee_mint"],
        fee_redeem=case["fee_redeem"],
    )
    wanted = case["expected"]
    assert pytest.approx(float(wanted["mid_premium"]), abs=1e-12) == found.mid
    assert pytest.approx(float(wanted["executable_mint"]), abs=1e-12) == found.mint
    assert pytest.approx(float(wanted["executable_redeem"]), abs=1e-12) == found.redeem
    assert found.mint <= found.mid
    assert found.redeem <= -found.mid / (1 + found.mid)
