"""LVR, gaps, fees, incentives, Kelly and impact: the named vectors, and what must hold between the formulas."""

from __future__ import annotations

import json
from math import exp, isnan, log, nan, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.amm.curve import depth
from connectors.amm.v2 import V2Pool
from strategies.pricing import incentive, lvr, size

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "risk_lvr.json").read_text(encoding="utf-8"))
EXACT: Any = {"rel": 1e-9, "abs": 1e-12}


@pytest.mark.parametrize("case", VECTORS["incentive"], ids=lambda case: f"{case['incentive_per_day_usd']}-a-day")
def test_incentive_vectors(case: dict[str, Any]) -> None:
    """
    A pool's income, its break-even subsidy and the cliff are those of the vectors.
    """
    lost_apr = lvr.lvr_apr(case["sigma"], case["concentration"])
    fees, paid = case["volume_per_day_usd"] * case["fee"], case["incentive_per_day_usd"]
    pool = incentive.Income(
        tvl_usd=case["tvl_usd"],
        fees_usd_per_day=fees,
        subsidy_usd_per_day=paid,
        lvr_apr=lost_apr,
        required_return=case["required_return"],
    )
    found = {
        "lvr_apr": lost_apr,
        "fee_apr": pool.fee_apr,
        "incentive_apr": pool.subsidy_apr,
        "net_apr": pool.net_apr,
        "breakeven_subsidy_per_day": pool.breakeven_subsidy_per_day,
        "tvl_equilibrium_with": pool.tvl_with,
        "tvl_equilibrium_without": pool.tvl_without,
        "cliff_fraction_lost": incentive.subsidy_share(fees, paid),
        "breakeven_turnover_per_day": incentive.breakeven_turnover_per_day(lost_apr, case["fee"]),
    }
    expected = {name: float(value) for name, value in case["expected"].items()}
    assert expected == pytest.approx(found, **EXACT)
    assert pytest.approx(1 - pool.tvl_without / pool.tvl_with, abs=1e-12) == found["cliff_fraction_lost"]


def test_jump_and_gap_vectors() -> None:
    """
    What a jump and a Gaussian gap take from a pool is that of the vectors.
    """
    (jump,), (gap,) = VECTORS["jump"], VECTORS["gaussian_gap"]
    assert float(jump["arb_profit"]) == pytest.approx(lvr.jump_loss(jump["tvl"], jump["log_jump"]), **EXACT)
    # The approximation is the limit of small jumps, whose losses go with the square.
    small = lvr.jump_loss(jump["tvl"], jump["log_jump"] / 1000) * 1e6
    assert float(jump["small_jump_approx"]) == pytest.approx(small, rel=1e-4)
    assert float(gap["expected_loss"]) == pytest.approx(lvr.gap_loss(gap["tvl"], float(gap["log_var"])), **EXACT)


def test_fee_attenuation_vectors() -> None:
    """
    What arbitrage keeps of LVR behind a fee, with random and with even blocks, is that of the vectors.
    """
    (case,) = VECTORS["fee_attenuation"]
    sigma = lvr.block_sigma(case["sigma"], case["block_s"])
    found = {
        "sigma_block": sigma,
        "p_trade_poisson": lvr.arb_share(case["fee_log"], sigma),
        "arb_rate_over_lvr_deterministic": lvr.arb_share_even_blocks(case["fee_log"], sigma),
    }
    assert {name: float(case[name]) for name in found} == pytest.approx(found, **EXACT)
    assert pytest.approx(1.7164, abs=1e-4) == lvr.BLOCK_CONSTANT


def test_kelly_and_impact_vectors() -> None:
    """
    Kelly's fraction and the sizes under root impact are those of the vectors.
    """
    (bet,), (case,) = VECTORS["kelly"], VECTORS["sqrt_impact"]
    assert float(bet["f"]) == pytest.approx(size.kelly_binary(bet["p"], bet["b"]), **EXACT)
    found = size.impact_size(case["edge"], case["daily_vol"], case["adv_usd"], case["Y"])
    expected = tuple(float(case[name]) for name in ("q_star", "profit", "q_zero"))
    assert expected == pytest.approx(tuple(found), **EXACT)


@given(edge=st.floats(1e-4, 0.05), vol=st.floats(0.005, 0.1), share=st.floats(0.01, 0.99))
def test_no_other_size_earns_more(edge: float, vol: float, share: float) -> None:
    """
    The best size under root impact beats every other one up to the size that earns nothing.
    """
    found = size.impact_size(edge, vol, 1e7)
    other = share * found.zero
    assert other * (edge - vol * sqrt(other / 1e7)) <= found.profit * (1 + 1e-9)


@given(mean=st.floats(-0.02, 0.02), win=st.floats(0.05, 0.95), odds=st.floats(0.2, 5.0))
def test_kelly_is_the_growth_optimum(mean: float, win: float, odds: float) -> None:
    """
    No other fraction of a bet grows faster; of a Gaussian return the fraction has the sign of its mean.
    """

    def growth(part: float) -> float:
        return win * log(1 + part * odds) + (1 - win) * log(1 - part)

    best = size.kelly_binary(win, odds)
    lowest, highest = -0.99 / odds, 0.99
    assert all(growth(best) >= growth(x) - 1e-12 for x in np.linspace(lowest, highest, 41)) or not (
        lowest < best < highest
    )
    assert mean == pytest.approx(size.kelly_gaussian(mean, 0.04) * 0.04)


def test_a_gap_costs_what_its_jumps_cost_on_average() -> None:
    """
    The Gaussian gap's loss is the mean of the jump's over a log gap whose price has no mean return.
    """
    v = 0.01
    jumps = np.linspace(-8, 8, 20_001) * sqrt(v) - v / 2
    weight = np.exp(-((jumps + v / 2) ** 2) / (2 * v)) / sqrt(2 * pi * v)
    mean = float(np.trapezoid([lvr.jump_loss(1.0, j) for j in jumps] * weight, jumps))
    assert lvr.gap_loss(1.0, v) == pytest.approx(mean, rel=1e-8)


@given(down=st.floats(1.01, 100.0), up=st.floats(1.01, 100.0))
def test_a_narrower_range_is_more_concentrated(down: float, up: float) -> None:
    """
    Concentration is above one, grows as the range narrows, and is one over all prices.
    """
    assert lvr.range_concentration(down, up) > 1.0
    assert lvr.range_concentration(down, up) < lvr.range_concentration(sqrt(down), up)
    assert 1.0 == lvr.range_concentration(1e300, 1e300)


def test_the_exit_of_a_pool_is_what_the_contract_pays() -> None:
    """
    The sale after which a v2 pool of 0.3 % has paid 1 % under its price on average gives what the formula says.
    """
    pool = V2Pool(reserve0=10**24, reserve1=10**26)  # 100 a unit, 2e8 in all
    value, fee, share = 2e8, 0.003, 0.01
    left = (1 - share) / (1 - fee)
    _, given_out = depth(pool, round((1 - left * left) * 1e4), zero_for_one=True)
    assert pytest.approx(given_out / 1e18, rel=2e-3) == lvr.full_range_exit(value, share, fee)
    assert 0.0 == lvr.full_range_exit(value, 0.003, 0.003)
    assert 0.0 == lvr.full_range_exit(value, 0.001, 0.01)


def test_the_unknown_stays_unknown() -> None:
    """
    What follows from a number that is not known is not known; neither is the share of no income at all.
    """
    pool = incentive.Income(
        tvl_usd=nan, fees_usd_per_day=1.0, subsidy_usd_per_day=1.0, lvr_apr=0.1, required_return=nan
    )
    assert all(isnan(x) for x in (pool.fee_apr, pool.net_apr, pool.breakeven_subsidy_per_day, pool.tvl_with))
    assert isnan(incentive.subsidy_share(nan, 10.0))
    assert isnan(incentive.subsidy_share(0.0, 0.0))
    assert 1.0 == incentive.subsidy_share(0.0, 10.0)


@given(sigma=st.floats(0.05, 2.0), years=st.floats(1e-4, 1e-2))
def test_many_small_gaps_are_lvr(sigma: float, years: float) -> None:
    """
    Gaps without end cost LVR: over a short time the gap's loss is the LVR of that time.
    """
    v = sigma * sigma * years
    assert lvr.lvr_apr(sigma) * years == pytest.approx(lvr.gap_loss(1.0, v), rel=v)
    assert exp(-v / 8) == pytest.approx(1 - lvr.gap_loss(1.0, v))
