"""The parts of the strategy `hedge`: levels, times, closures, margin, whole lots, and what each strategy holds."""

from __future__ import annotations

from decimal import Decimal
from math import inf, sqrt

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NS  # noqa: E402
from connectors.instruments import Hours  # noqa: E402
from connectors.orders import Fill, Side  # noqa: E402
from strategies.closing.passage import reached  # noqa: E402
from strategies.closing.situation import Usual  # noqa: E402
from strategies.execution.holdings import Holdings  # noqa: E402
from strategies.hedging.bet import Quote  # noqa: E402
from strategies.hedging.closures import next_closure  # noqa: E402
from strategies.hedging.legs import whole  # noqa: E402
from strategies.hedging.levels import days_to, levels  # noqa: E402
from strategies.hedging.margin import Account  # noqa: E402
from strategies.pricing.bertram import best_cycle, cycle  # noqa: E402

NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York; Monday is Labor Day."""
HOUR = 3600 * NS
USUAL = Usual(mean=0.0, sd=0.002, half_life_s=900.0, source="")


@pytest.mark.parametrize("low, high", [(-1.0, 1.0), (-3.0, 0.5), (0.0, 2.0), (-4.0, -2.0)])
def test_times_there_and_back_are_bertrams_mean_time_of_a_cycle(low: float, high: float) -> None:
    """
    Up from one level to the other, and down again, which is up in the mirror: together the mean time of the cycle.
    """
    kappa, sd = 0.7, 1.3
    both = reached(low, high, kappa) + reached(-high, -low, kappa)
    told = cycle(kappa, sd * sqrt(2 * kappa), 0.1, enter=low * sd, leave=high * sd)
    assert pytest.approx(told.mean_time, rel=5e-4) == both


def test_levels_are_bertrams_where_they_are_reached_within_the_horizon() -> None:
    """
    Costs of half a deviation: enter and leave as far from the mean as the optimum says.
    """
    best = best_cycle(USUAL.kappa, USUAL.sd * sqrt(2 * USUAL.kappa), 0.001)
    assert (best.leave, -best.leave) == levels(USUAL, 0.001, 0.0002, 86_400.0)


def test_a_level_that_nobody_sees_in_time_is_not_waited_for() -> None:
    """
    Costs of ten deviations: the optimum lies beyond five of them. What can be had at the mean is the goal, and an entry
    must pay for both ways.
    """
    found = levels(USUAL, 0.02, 0.004, 86_400.0)
    assert (0.018, -0.002) == pytest.approx(found)


def test_days_to_a_level_grow_with_the_way_and_are_none_behind_it() -> None:
    """
    From two deviations it takes longer than from one; behind the level nothing is to be waited for.
    """
    near, far = days_to(USUAL, 0.002, 0.0), days_to(USUAL, 0.004, 0.0)
    assert 0 == days_to(USUAL, -0.001, 0.0) < near < far


@pytest.mark.parametrize(
    "hours, now, begins, ends, long",
    [
        (Hours.EXTENDED, NOON, NOON + 8 * HOUR, NOON + 88 * HOUR, True),
        (Hours.REGULAR, NOON - 24 * HOUR, NOON - 20 * HOUR, NOON - 2.5 * HOUR, False),
        (Hours.EXTENDED, NOON + 10 * HOUR, NOON + 10 * HOUR, NOON + 88 * HOUR, True),
    ],
)
def test_the_next_closure_of_a_venue(hours: Hours, now: int, begins: int, ends: float, long: bool) -> None:
    """
    A holiday weekend is one closure of days, a night is a short one; one that is under way begins now.
    """
    found = next_closure(load_sessions(), hours, now)
    assert found is not None
    assert (begins, int(ends), long) == (found.begins, found.ends, found.long)


def test_what_trades_around_the_clock_never_closes() -> None:
    """
    A perp has no closure.
    """
    assert next_closure(load_sessions(), Hours.ALWAYS, NOON) is None


def test_an_account_says_what_its_equity_is_a_part_of_and_what_it_lacks() -> None:
    """
    300 of 1,000 are 30 %; for half of it 200 more are needed. An account that holds nothing lacks nothing.
    """
    stands = Account(equity=300.0, worth=1000.0)
    assert (0.3, 0.2, 200.0, 0.0) == (stands.share(), stands.share(500.0), stands.lacks(0.5), stands.lacks(0.2))
    assert inf == Account(equity=100.0, worth=0.0).share()


def test_whole_lots_are_worth_the_same_shares_on_both_sides() -> None:
    """
    Tokens of 1.25 shares in lots of 0.1 against perps in whole ones: 9.9 shares are 7.2 tokens and 9 perps, which are
    9 shares both.
    """
    token = Quote(number=0, bid=1.0, ask=1.0, shares_per_unit=1.25)
    perp = Quote(number=1, bid=1.0, ask=1.0, shares_per_unit=1.0)
    bought, sold = whole((token, Decimal("0.1")), (perp, Decimal(1)), Decimal("9.9"))
    assert (Decimal("7.2"), Decimal(9)) == (bought, sold)


def test_each_strategy_knows_its_own_part_of_a_position() -> None:
    """
    Two strategies buy and sell the same thing: each has its own units and the moment since when; what did not happen
    after all is taken back, and what has come to nothing is gone.
    """
    holdings = Holdings()

    def fill(side: Side, units: int, ts: int) -> Fill:
        return Fill(id=f"{ts}", client_id="c", instrument=3, side=side, quantity=Decimal(units), price=Decimal(1),
                    fee=Decimal(0), fx=Decimal(1), ts=ts)  # fmt: skip

    holdings.hear("mine", fill(Side.BUY, 5, 10))
    holdings.hear("yours", fill(Side.SELL, 7, 20))
    holdings.hear("mine", fill(Side.BUY, 2, 30))
    assert (Decimal(7), Decimal(-7)) == (holdings.units("mine", 3), holdings.units("yours", 3))
    assert [(3, 10)] == [(number, held.since_ns) for number, held in holdings.of("mine")]
    holdings.hear("mine", fill(Side.BUY, 2, 30), undone=True)
    holdings.hear("mine", fill(Side.SELL, 5, 40))
    assert [] == list(holdings.of("mine"))
