"""Rows of the fault matrix about the market itself and what is told of it: feeds, multipliers, coins, depth.

Rows 63 and 64 are those of perps: tests/bot/test_hedge.py.
"""

from __future__ import annotations

import pytest

from bot.simulation.fault import Fault
from bot.simulation.scene import stage
from connectors.orders import Intent, Purpose
from tests.simulation.played import Played

TSLA, SPY = "sim-beta:simTSLA/USDT", "sim-beta:simSPY/USDT"


@pytest.mark.parametrize("what", ["drop", "mute", "stale", "crossed", "garbage"])
def test_rows_1_to_8_no_trade_opens_on_what_a_broken_feed_tells(what: str) -> None:
    """
    A venue says nothing, the same, or nonsense for two minutes. Once its last good quote has aged nothing opens there,
    and the other venues trade on.
    """
    played = Played(Fault(what=what, where=TSLA, at_s=60.0, for_s=240.0))
    assert () == played.outcome.breaches
    name = TSLA if what in ("stale", "crossed", "garbage") else "sim-beta"
    if what != "stale":
        assert not played.passed(60.0 + 20.0, 300.0, name)
    assert played.passed(60.0, 300.0)


def test_row_9_one_print_at_four_times_the_price_trades_nothing() -> None:
    """
    A fat finger: nobody sells into it, and the fair value is what it was.
    """
    played, twin = Played(Fault(what="spike", where=TSLA, at_s=300.0, for_s=10.0)), Played()
    assert () == played.outcome.breaches
    assert twin.outcome.trades >= played.outcome.trades > 0


def test_row_20_while_the_share_is_halted_nothing_of_it_opens() -> None:
    """
    Its source says halted, the tokens trade on: no new trade of it, and those of the other share go on.
    """
    played = Played(Fault(what="halt", where="sim-beta:simTSLA/USDT", at_s=60.0, for_s=240.0))
    assert () == played.outcome.breaches
    assert not [wish for wish in played.passed(61.0, 300.0) if wish.underlying == "TSLA"]
    assert [wish for wish in played.passed(61.0, 300.0) if wish.underlying == "SPY"]


def test_row_58_a_multiplier_that_jumps_opens_no_phantom_trade() -> None:
    """
    A unit becomes a tenth more shares, one venue following half a minute late: from a minute before until both agree no
    trade of it opens, and the discount of a tenth is never traded.
    """
    played = Played(Fault(what="multiplier", where=SPY, at_s=200.0))
    assert () == played.outcome.breaches
    assert not [wish for wish in played.passed(141.0, 230.0) if wish.underlying == "SPY"]
    assert not [wish for wish, _ in played.approved if wish.edge_bps > 500.0]
    assert [wish for wish in played.passed(0.0, 141.0) if wish.underlying == "SPY"]
    assert [wish for wish in played.passed(141.0, 900.0) if wish.underlying == "TSLA"]


def test_row_59_a_dividend_moves_no_fair_value_and_nothing_trades_on_it() -> None:
    """
    A share pays 60 bps and its sources are so much lower from then on; a unit of the token is worth as many more
    shares. Three seconds later no source has printed, and the fair value is unknown rather than wrong; at ten it is
    within 5 bps of that without a dividend. From a minute before until then nothing of the share opens, later it does.
    """
    freeze = Fault(what="freeze", where="sim-one", at_s=200.0, for_s=10.0)  # so that somebody looks at its end
    played, twin = Played(Fault(what="dividend", where=SPY, at_s=200.0, for_s=3.0), freeze), Played(freeze)
    assert () == played.outcome.breaches
    at_three, at_ten, _ = played.driver.window.scrapes
    without, _ = twin.driver.window.scrapes
    fair, token = "pegline_fair_price_usd", {"token": "simSPY"}
    assert [] == at_three.values(fair, token)
    assert 5e-4 > abs(at_ten.values(fair, token)[0] / without.values(fair, token)[0] - 1)
    share, source = "pegline_reference_price_usd", {"source": "sim-tape:SPY"}
    assert 5e-4 > abs(at_ten.values(share, source)[0] / without.values(share, source)[0] - 0.994)
    assert not [wish for wish in played.passed(140.1, 203.0) if wish.underlying == "SPY"]
    assert [wish for wish in played.passed(203.0, 900.0) if wish.underlying == "SPY"]


def opened(played: Played, begin_s: float, end_s: float) -> list[Intent]:
    """Plans of that time that take up something new."""
    return [wish for wish in played.passed(begin_s, end_s) if wish.purpose is Purpose.OPEN]


@pytest.mark.parametrize(("what", "state"), [("shortfall", "short"), ("attestation_old", "old")])
def test_row_60_a_token_that_is_not_known_to_be_backed_is_only_given_back(what: str, state: str) -> None:
    """
    For four minutes chains tell a unit too many, or the last attestation is too old: from the first tick after that
    nothing of the token opens, which the review says, while the other token opens. Once it is sound it trades again.
    """
    played, twin = Played(Fault(what=what, where=TSLA, at_s=60.0, for_s=240.0)), Played()
    assert () == played.outcome.breaches
    tick_s = 5.0
    assert {"SPY"} == {wish.underlying for wish in opened(played, 60.0 + tick_s, 300.0)}
    assert "TSLA" in {wish.underlying for wish in opened(twin, 60.0 + tick_s, 300.0)}
    assert "TSLA" in {wish.underlying for wish in opened(played, 300.0 + tick_s, 900.0)}
    assert "backing" in {refused.reason for step in played.steps for refused in step.refused}
    assert [state, "sound"] == [note["state"] for note in played.notes("backing")]


def test_row_61_a_coin_at_88_cents_stops_the_trading_in_it() -> None:
    """
    What is quoted in it looks a seventh dearer and is not: no leg in that coin while it is out of its band, and no
    strategy takes the difference for an edge, also when the coin is back and its tokens have not printed yet.
    """
    played = Played(Fault(what="coin", where=TSLA, at_s=60.0, for_s=240.0))
    assert () == played.outcome.breaches
    universe = stage().universe
    legs = [leg for wish in played.passed(75.0, 300.0) for leg in wish.legs]
    assert not [leg for leg in legs if universe[leg.instrument].quote == "USDT"]
    assert not [wish for wish, _ in played.approved if wish.edge_bps > 500.0]
    assert any(note["reason"] == "too_far" for note in played.notes("no_trade"))


def test_row_62_with_nine_tenths_of_the_depth_gone_trades_are_cut_before_they_open() -> None:
    """
    What is shown is a tenth: no plan wants more than that, so that hardly a hedge is needed.
    """
    played, twin = Played(Fault(what="thin", where=TSLA, at_s=1.0, for_s=600.0)), Played()
    assert () == played.outcome.breaches
    number = stage().universe.number(TSLA)
    most, before = (
        max(leg.quantity for wish, _ in run.approved for leg in wish.legs if leg.instrument == number)
        for run in (played, twin)
    )
    assert 0 < most < before
