"""The model of costs: components add up, what is missing has no number and a name."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from strategies.pricing.costs import TAKEN, ZERO, Component, Cost, Costs, Missing

SIX = st.decimals(-10_000, 10_000, places=6)
AMOUNTS = st.decimals(0, 10_000_000, places=6)
COST = st.builds(Cost, st.sampled_from(Component), st.just("test"), SIX, SIX, SIX)
KNOWN = st.lists(COST, max_size=8).map(lambda costs: Costs(tuple(costs)))


@given(KNOWN, AMOUNTS, st.decimals(0, 400, places=3))
def test_all_components_cost_what_exact_fractions_say(costs: Costs, notional: Decimal, days: Decimal) -> None:
    """
    USD of all is the sum of notional x (bps + bps a day x days) / 10,000 + USD, to a billionth of a dollar.
    """
    expected = sum(
        Fraction(notional) * (Fraction(one.bps) + Fraction(one.bps_per_day) * Fraction(days)) / 10_000
        + Fraction(one.usd)
        for one in costs.known
    )
    found = costs.usd(notional, days)
    assert found is not None
    assert abs(expected - Fraction(found)) < Fraction(1, 10**9)


@given(KNOWN, AMOUNTS, st.decimals(0, 400, places=3))
def test_the_parts_are_the_whole(costs: Costs, notional: Decimal, days: Decimal) -> None:
    """
    USD by component sum to USD of all.
    """
    found = costs.usd(notional, days)
    assert found is not None
    assert abs(found - sum(costs.parts(notional, days).values(), ZERO)) < Decimal("1e-12")


@given(KNOWN, KNOWN, AMOUNTS)
def test_two_legs_cost_what_each_costs(one: Costs, other: Costs, notional: Decimal) -> None:
    """
    Put together they cost the sum.
    """
    together, single, second = (costs.usd(notional) for costs in (one + other, one, other))
    assert together is not None and single is not None and second is not None
    assert abs(together - single - second) < Decimal("1e-9")


@given(KNOWN, st.decimals(1, 10_000_000, places=2))
def test_the_share_is_the_cost_over_the_size(costs: Costs, notional: Decimal) -> None:
    """
    The form that the scan takes is USD of all over the notional.
    """
    share, usd = costs.share(notional), costs.usd(notional)
    assert share is not None and usd is not None
    assert abs(share - usd / notional) < Decimal("1e-18")


@given(KNOWN, st.sampled_from(Component), AMOUNTS)
def test_one_missing_component_leaves_no_number(costs: Costs, component: Component, notional: Decimal) -> None:
    """
    With one missing there is no cost, whatever the others are, and it is named with what to write.
    """
    short = costs + Costs(missing=(Missing(component, "write it"),))
    assert (None, None) == (short.usd(notional), short.share(notional))
    assert f"{component.value.replace('_', ' ')} is not known: write it" == short.why


def test_a_fixed_cost_has_no_share_without_a_size() -> None:
    """
    10 bps are 0.001 of any size; with 50 cents an order it takes a size to say the share: of 1,000 USD 0.0015.
    """
    fee, gas = Cost(Component.TAKER_FEE, "", bps=Decimal(10)), Cost(Component.GAS, "", usd=Decimal("0.5"))
    assert Decimal("0.001") == Costs((fee,)).share(None)
    assert None is Costs((fee, gas)).share(None)
    assert Decimal("0.0015") == Costs((fee, gas)).share(Decimal(1000))


def test_only_what_is_asked_for_counts_known_or_missing() -> None:
    """
    Of what a leg may cost, a trade that is over at once is not kept by a rate of capital that is missing.
    """
    costs = Costs((Cost(Component.TAKER_FEE, "", bps=Decimal(10)),), (Missing(Component.CAPITAL, "write it"),))
    assert "" != costs.why
    assert ("", Decimal(1)) == (costs.only(TAKEN).why, costs.only(TAKEN).usd(Decimal(1000)))
