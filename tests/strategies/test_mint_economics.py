"""What mints earn while the premium moves, and from which premium on: the named vectors, and what must hold between."""

from __future__ import annotations

import json
from math import inf, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.market.excursions import passage_time
from strategies.pricing import mint_economics as mint
from strategies.pricing.mint_economics import Premium, Terms
from strategies.pricing.renewal import best_entry, renewal
from tests.sweep import cases

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mint_economics.json").read_text(encoding="utf-8"))
TABLE = [
    # kappa, sigma, delay, cost; best entry and its rate
    (126.5, 0.159, 0.00274, 0.004, 0.013226, 0.3479),
    (126.5, 0.159, 0.011, 0.004, 0.021648, 0.01325),
    (50.0, 0.1, 0.008, 0.004, 0.013509, 0.1162),
    (253.0, 0.3, 0.00274, 0.006, 0.021244, 0.2920),
    (1000.0, 0.5, 0.0003, 0.003, 0.013184, 4.508),
]
TERMS = Terms(mint=0.002, sell=0.001, buy=0.001, redeem=0.002, capital_rate=0.05, rejection=0.1, unwind=0.003)
premia = st.builds(
    Premium, theta=st.floats(-0.005, 0.005), kappa=st.floats(10, 2000), sigma=st.floats(0.02, 0.5)
)  # fmt: skip


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: f"{case['x0']}-in-{case['T']}")
def test_mints_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    """
    Means, deviations, profits of every way, break-even and probability of a loss, to 1e-9.
    """
    told = {name: float(value) for name, value in case.items() if name != "expected"}
    premium = Premium(theta=told["theta"], kappa=told["kappa"], sigma=told["sigma"])
    terms = Terms(
        mint=told["fee_mint"],
        sell=told["fee_sell"],
        buy=told["fee_buy"],
        redeem=told["fee_redeem"],
        capital_rate=told["capital_rate"],
        rejection=told["p_reject"],
        unwind=told["unwind_cost"],
    )
    x0, delay = told["x0"], told["T"]
    first = mint.mint_first(premium, x0, terms, delay)
    at_random = mint.mint_at_random(premium, x0, terms, delay)
    found = {
        "mean_xT": first.premium,
        "sd_xT": first.sd,
        "e_profit_hedged": first.profit,
        "e_profit_with_redeem_option": first.profit_or_redeem,
        "breakeven_x0": first.break_even,
        "prob_loss_given_accept": first.loss,
        "sd_profit_hedged_accept": first.sd,
        "sd_profit_unhedged_accept": mint.unhedged_sd(premium, told["sigma_stock"], delay),
        "e_xT_exponential_delay_mean_T": at_random[0],
        "e_profit_exponential_delay": at_random[1],
        "e_profit_inventory_first": mint.inventory_first(premium, x0, terms, delay),
    }
    expected = {name: float(value) for name, value in case["expected"].items()}
    assert expected == pytest.approx(found, rel=1e-9, abs=1e-15)


@given(premia, st.floats(-0.05, 0.1), st.floats(1e-5, 0.02))
def test_a_mint_breaks_even_where_it_says_and_a_redemption_never_costs(
    premium: Premium, x0: float, delay: float
) -> None:
    """
    From the break-even premium nothing is expected; the choice to redeem is worth at least 0 and a longer delay takes
    from a premium above its mean.
    """
    found = mint.mint_first(premium, x0, TERMS, delay)
    if found.break_even < 1e3:
        assert pytest.approx(0.0, abs=1e-12) == mint.mint_first(premium, found.break_even, TERMS, delay).profit
    assert (x0 > found.break_even) == (found.profit > 0) or pytest.approx(0.0, abs=1e-12) == found.profit
    assert found.profit_or_redeem >= found.profit - 1e-15
    if x0 > premium.theta:
        assert mint.mint_first(premium, x0, TERMS, 2 * delay).profit < found.profit


def test_a_delay_of_a_half_life_doubles_what_is_asked() -> None:
    """
    A day's delay asks 16, 2 and 1.26 times the costs where the half-life is 6 hours, a day and three days.
    """
    free = Terms(mint=0.004, sell=0.001, buy=0.0, redeem=0.0, capital_rate=0.0, rejection=0.0, unwind=0.0)
    for half_life, times in ((0.25, 16.0), (1.0, 2.0), (3.0, 2 ** (1 / 3))):
        premium = Premium(theta=0.0, kappa=log(2) / half_life, sigma=0.01)
        assert pytest.approx(0.005 * times) == mint.mint_first(premium, 0.01, free, 1.0).break_even


def test_at_once_a_mint_is_the_premium_less_its_fees() -> None:
    """
    Without a delay there is no chance in it: the profit is certain, and so is a loss.
    """
    premium = Premium(theta=0.0, kappa=100.0, sigma=0.1)
    sure = Terms(mint=0.002, sell=0.001, buy=0.0, redeem=0.0, capital_rate=0.05, rejection=0.0, unwind=0.01)
    for x0, loss in ((0.01, 0.0), (0.001, 1.0)):
        found = mint.mint_first(premium, x0, sure, 0.0)
        assert (pytest.approx(x0 - 0.003), 0.0, loss) == (found.profit, found.sd, found.loss)
        assert pytest.approx(found.profit) == mint.inventory_first(premium, x0, sure, 0.0)
    assert inf == Premium(theta=0.0, kappa=1e6, sigma=1.0).decay(1.0)


def test_a_second_leg_that_is_late_or_fails_asks_for_more() -> None:
    """
    An edge that only pays the costs is lost half of the time; 1.96 deviations more leave 2.5 %. A leg that fails one
    time in ten with 1 % to unwind asks (c + 0.001) / 0.9.
    """
    assert pytest.approx(0.5) == mint.late_leg_loss(0.002, 0.002, 0.5, 0.001)
    edge = 0.002 + 1.959963984540054 * 0.5 * 0.001**0.5
    assert pytest.approx(0.025) == mint.late_leg_loss(edge, 0.002, 0.5, 0.001)
    needed = mint.edge_needed(0.002, 0.1, 0.01)
    assert pytest.approx(0.003 / 0.9) == needed
    assert pytest.approx(0.0) == 0.9 * needed - 0.002 - 0.1 * 0.01


@pytest.mark.parametrize("case", VECTORS["renewal_threshold_cases"], ids=lambda case: f"after-{case['T']}")
def test_the_best_entry_is_that_of_the_vectors(case: dict[str, Any]) -> None:
    """
    Entry, rate, profit and wait to 1e-6, and the rates at one and at two deviations.
    """
    told = {name: float(value) for name, value in case.items()}
    premium = Premium(theta=told["theta"], kappa=told["kappa"], sigma=told["sigma"])
    found = best_entry(premium, delay=told["T"], cost=told["cost"])
    assert pytest.approx(told["optimal_entry"], rel=1e-6) == found.premium
    assert pytest.approx(told["long_run_profit_rate"], rel=1e-9) == found.rate
    assert pytest.approx(told["profit_per_cycle"], rel=1e-6) == found.profit
    assert pytest.approx(told["mean_wait"], rel=1e-6) == found.wait
    for deviations in (1, 2):
        at = renewal(premium, deviations * premium.stationary_sd, delay=told["T"], cost=told["cost"])
        assert pytest.approx(told[f"rate_at_{deviations}sd"], rel=1e-9) == at.rate


@pytest.mark.parametrize(("kappa", "sigma", "delay", "cost", "entry", "rate"), TABLE)
def test_entries_of_other_issuers(
    kappa: float, sigma: float, delay: float, cost: float, entry: float, rate: float
) -> None:
    """
    Five premia, delays and costs; from one day to four the rate falls to a 26th.
    """
    found = best_entry(Premium(theta=0.0, kappa=kappa, sigma=sigma), delay=delay, cost=cost)
    assert pytest.approx(entry, rel=5e-5) == found.premium
    assert pytest.approx(rate, rel=5e-4) == found.rate


@given(premia, st.floats(1e-4, 0.01), st.floats(0.001, 0.01))
@settings(max_examples=cases(10, 100))
def test_no_other_entry_earns_more(premium: Premium, delay: float, cost: float) -> None:
    """
    Over a grid of entries from the mean to eight deviations none has a higher rate.
    """
    best = best_entry(premium, delay=delay, cost=cost)
    for deviations in np.linspace(0, 8, 17).tolist():
        entry = premium.theta + deviations * premium.stationary_sd
        assert renewal(premium, entry, delay=delay, cost=cost).rate <= max(best.rate, 0.0) + 1e-9 * abs(best.rate)


def test_the_wait_is_the_mean_way_back_from_where_the_sale_left_the_premium() -> None:
    """
    Held against the mean passage time (tests/strategies/test_excursions.py) over the law of the premium at the sale.
    """
    premium = Premium(theta=0.001, kappa=126.5, sigma=0.159)
    entry, delay = 0.0132, 0.00274
    mean, sd = premium.ahead(entry, delay)
    z = np.linspace(-8, (entry - mean) / sd, 401)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    ways = [
        passage_time(mean + sd * one, entry, theta=premium.theta, kappa=premium.kappa, sigma=premium.sigma)
        for one in z.tolist()
    ]
    wait = float(np.trapezoid(density * ways, z))
    assert pytest.approx(wait, rel=1e-4) == renewal(premium, entry, delay=delay, cost=0.004).wait


def test_where_no_premium_pays_nobody_mints() -> None:
    """
    With a delay of a hundred half-lives the entry is infinite and the rate 0; what is no premium or rate is refused.
    """
    premium = Premium(theta=0.0, kappa=100.0, sigma=0.1)
    assert (inf, 0.0) == best_entry(premium, delay=0.7, cost=0.004)[:2]
    assert 0.0 == renewal(premium, 1.0, delay=0.001, cost=0.004).rate
    with pytest.raises(ValueError, match="no cycle"):
        best_entry(premium, delay=0.0, cost=0.004)
    with pytest.raises(ValueError, match="no premium that reverts"):
        Premium(theta=0.0, kappa=0.0, sigma=0.1)
    with pytest.raises(ValueError, match="no probability"):
        Terms(mint=0.0, sell=0.0, buy=0.0, redeem=0.0, capital_rate=0.0, rejection=1.0, unwind=0.0)


def test_a_redemption_is_the_discount_less_its_fees_or_a_sale_at_the_premium_of_then() -> None:
    """
    Accepted for sure it earns the discount less both fees; rejected for sure it is what is left of the premium, less
    a purchase and a sale.
    """
    premium = Premium(theta=0.0, kappa=100.0, sigma=0.1)
    terms = {"mint": 9.0, "sell": 0.001, "buy": 0.002, "redeem": 0.003, "capital_rate": 0.0, "unwind": 9.0}
    sure = mint.redeem_first(premium, -0.02, Terms(rejection=0.0, **terms), 0.01)
    assert pytest.approx(0.02 - 0.002 - 0.003) == sure
    half = mint.redeem_first(premium, -0.02, Terms(rejection=0.5, **terms), 0.01)
    rejected = premium.ahead(-0.02, 0.01)[0] - 0.001 + 0.02 - 0.002
    assert pytest.approx((sure + rejected) / 2) == half
    lent = mint.redeem_first(premium, -0.02, Terms(rejection=0.0, **{**terms, "capital_rate": 0.1}), 0.01)
    assert pytest.approx(sure - 0.001) == lent
