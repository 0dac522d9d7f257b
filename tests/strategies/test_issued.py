"""Paths at an issuer: what its delay leaves of a premium, what hedges, what is left at risk, whence its price is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import exp, inf, sqrt

import numpy as np
import pytest

from strategies.closing.issued import issued
from strategies.closing.path import Path, Way
from strategies.closing.situation import Door
from strategies.execution.habits import Habit
from strategies.minting.case import BARE, Case, Dues, Look
from strategies.minting.case import Way as Token
from strategies.pricing.costs import Component
from strategies.pricing.mint_economics import Premium

DAY = 86_400.0
HALF_DAY = Premium(theta=0.0, kappa=2 * np.log(2), sigma=0.002 * sqrt(4 * np.log(2)))
"""Half of it is gone in half a day; 20 bps is its stationary deviation."""
PERP = 3
TOKEN = Token(token=0, issuer="one", other=1, hedges=(PERP,), premium=HALF_DAY, mint=None, redeem=None)
FREE = Dues(0.0, 0.0, 0.0, {Component.CAPITAL: 0.0})


def look(mid: float, *, half: float = 0.0, error: float = 0.0) -> Look:
    """A premium at a share of 100; both sides cost `half`."""
    return Look(100.0, mid, mid - half, mid + half, Decimal(10), error)


def told(
    kind: str,
    seen: Look,
    dues: Dues = FREE,
    *,
    delay_s: float = DAY / 2,
    rejects: float = 0.0,
    first: int = 0,
    wait_s: float = 0.0,
    vol: float = 0.0,
    fixed: bool = False,
    hedge: Premium | None = None,
) -> Path:
    """The path for 1,000 USD."""
    habit = Habit(delay_s=delay_s, rejects=rejects)
    door = Door(
        issuer="one", closed="", cost=dues.issuer, told=fixed, source="", wait_s=wait_s, habit=habit, least_usd=0.0,
        most_usd=inf,
    )  # fmt: skip
    case = Case(TOKEN, seen, kind, first, dues.issuer, habit)
    return issued(case, dues, door, legs=(), size_usd=1000.0, daily_vol=vol, told=fixed, by="mints", hedge=hedge)


def test_minting_first_brings_what_is_left_when_the_tokens_come() -> None:
    """
    100 bps are 50 after one half-life: 5 USD, less 10 bps to the issuer, 4 for the hedge and 3 of a day's funding for
    half a day. Twice the size is locked, token and hedge.
    """
    dues = Dues(0.0010, 0.0, 0.0004, {Component.CAPITAL: 0.0, Component.FUNDING: 0.0003})
    one = told("first", look(0.01), dues, first=PERP)
    assert pytest.approx(5.0 - 1.0 - 0.4 - 0.15) == one.edge_usd
    assert (Way.MINT, "mints", ()) == (one.way, one.by, one.refused)
    assert {"issuer": 1.0, "hedge": 0.4, "funding": 0.15} == {n: pytest.approx(c) for n, c in one.costs_usd.items()}
    assert (pytest.approx(5.0), pytest.approx(2000 * 12.0)) == (one.gross_usd, one.locked_usd_h)


def test_what_is_held_is_sold_at_todays_premium_whatever_the_delay() -> None:
    """
    Inventory first: 10 USD at once; minted first, ten half-lives leave a hundredth of a dollar.
    """
    assert pytest.approx(10.0) == told("refill", look(0.01), delay_s=5 * DAY).edge_usd
    assert pytest.approx(10.0 / 1024) == told("first", look(0.01), first=PERP, delay_s=5 * DAY).edge_usd


def test_expected_and_risk_are_those_of_simulated_mints() -> None:
    """
    400,000 of each: the premium, the share, the hedge's own premium and a tenth of rejections, drawn exactly. Hedged,
    the share counts after a rejection only; with nothing that hedges it is most of the risk.
    """
    rng, count, vol, rejects = np.random.default_rng(3), 400_000, 0.02, 0.1
    seen, dues = look(0.01, half=0.0005), Dues(0.0010, 0.0, 0.0004, {Component.CAPITAL: 0.0002})
    basis = replace(HALF_DAY, sigma=HALF_DAY.sigma / 4)
    premium = 0.01 / 2 + 0.002 * sqrt(0.75) * rng.standard_normal(count)
    share = vol * sqrt(0.5) * rng.standard_normal(count)
    own = 0.0005 * sqrt(0.75) * rng.standard_normal(count)
    rejected = rng.random(count) < rejects
    for first, paid, moves in ((PERP, 0.0004, own), (BARE, 0.0, share)):
        taken = premium - 0.0005 - 0.0010 - paid + moves
        lost = -paid + (share + own if first == PERP else 0.0)
        earned = 1000 * (np.where(rejected, lost, taken) - 0.0001)
        terms = dues._replace(hedge=paid)
        one = told("first", seen, terms, first=first, rejects=rejects, vol=vol, hedge=basis)
        assert one.edge_usd is not None and one.sd_usd is not None and one.worst_usd is not None
        assert abs(earned.mean() - one.edge_usd) < 4 * earned.std() / sqrt(count)
        assert pytest.approx(earned.std(), rel=0.02) == one.sd_usd
        assert pytest.approx(one.edge_usd - 2.326 * one.sd_usd) == one.worst_usd
    assert one.risks_usd["share"] > 0.9 * one.sd_usd


@pytest.mark.parametrize("kind", ["refill", "first", "redeem"])
def test_what_is_paid_and_the_edge_sum_up_to_what_it_brings(kind: str) -> None:
    """
    To the last digit, with every cost there is; each of them lowers the edge.
    """
    dues = Dues(0.001, 0.0003, 0.0004, {Component.CAPITAL: 0.0002, Component.FUNDING: 0.0001})
    one = told(kind, look(-0.01 if kind == "redeem" else 0.01, half=0.0005), dues, first=PERP, rejects=0.05)
    assert one.edge_usd is not None and one.gross_usd is not None
    assert pytest.approx(one.gross_usd) == one.edge_usd + sum(one.costs_usd.values())
    assert all(usd > 0 for usd in one.costs_usd.values())
    assert {"issuer", "spread and fees", "other leg", "capital", "rejection"} <= one.costs_usd.keys()


def test_a_discount_is_redeemed_for_what_the_share_is_worth() -> None:
    """
    150 bps, a twentieth of them lost by a rejection but for what is left of the discount by then.
    """
    one = told("redeem", look(-0.015), FREE._replace(issuer=0.001), rejects=0.05)
    assert pytest.approx(15 - 0.95 * 1.0 - 0.05 * 15 / 2) == one.edge_usd
    assert 0.05 == one.fails


def test_the_fair_values_error_counts_unless_the_issuer_has_told_its_price() -> None:
    """
    An error of 30 bps is 3 USD of a redemption whose price is reckoned from fees, and nothing of a told one; the edge
    is the same, the score is not. Of tokens that come after a half-life, half of it counts either way.
    """
    cheap = look(-0.01, error=0.003)
    reckoned, fixed = told("redeem", cheap), told("redeem", cheap, fixed=True)
    assert {"fair value": pytest.approx(3.0)} == reckoned.risks_usd
    assert {} == {name: usd for name, usd in fixed.risks_usd.items() if usd > 1e-9}
    assert reckoned.edge_usd == fixed.edge_usd
    assert (reckoned.score_bps_per_h or 0) < (fixed.score_bps_per_h or 0)
    dear = look(0.01, error=0.003)
    assert [1.5, 1.5] == [
        pytest.approx(told("first", dear, first=PERP, fixed=fixed).risks_usd["fair value"]) for fixed in (False, True)
    ]


def test_a_closed_issuer_is_waited_for_while_the_premium_goes_and_the_share_moves() -> None:
    """
    Half a day of waiting halves what a mint brings once more; until then the share is not hedged.
    """
    late = told("first", look(0.01), first=PERP, wait_s=DAY / 2, vol=0.02)
    assert pytest.approx(2.5) == late.edge_usd
    assert pytest.approx(20 * sqrt(0.5)) == late.risks_usd["share"]
    assert late.close_s is not None and all(by > DAY / 2 for by in late.close_s)
    never = told("first", look(0.01), first=PERP, wait_s=inf)
    assert ("nobody knows when one takes requests on again",) == never.refused
    assert (None, "") == (never.edge_usd, never.by)


def test_one_in_ten_half_and_nine_in_ten_are_closed_by_those_times() -> None:
    """
    Of an exponential delay: -T ln(1 - part).
    """
    one = told("redeem", look(-0.01), delay_s=1000.0)
    assert one.close_s == pytest.approx([1000 * np.log(1 / part) for part in (0.9, 0.5, 0.1)])
    assert exp(-one.close_s[2] / 1000) == pytest.approx(0.1)


def test_what_loses_is_refused_with_both_numbers_and_nobody_would_do_it() -> None:
    """
    10 bps of premium against 50 of the issuer.
    """
    one = told("refill", look(0.001), FREE._replace(issuer=0.005))
    assert (("it brings 1.00 USD and costs 5.00",), "") == (one.refused, one.by)
