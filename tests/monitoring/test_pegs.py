"""The series of pegs: since when, by what cause, how sure, and which prices are refused."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.events import NS, Kind, Row, Why
from connectors.instruments import Role
from monitoring.decisions import Tally
from monitoring.pegs import peg_samples
from strategies.base import Note, Step
from tests.monitoring.played import Played, play
from tests.monitoring.test_metrics import feed, scraped

SEED = 161


@pytest.fixture(scope="module")
def depegged() -> Played:
    """Two hours into the depeg of MSTR, after its slide."""
    early = play(seed=SEED, rows=1)
    (fault,) = (one for one in early.world.injected if one.kind == "depeg")
    rows = int(np.searchsorted(early.world.rows.ts_recv, fault.start_ns + 7200 * NS))
    return play(seed=SEED, rows=rows, without=["hedge", "mint_redeem"])


def test_a_depeg_is_told_with_its_evidence(depegged: Played) -> None:
    """
    Both venues and the token have state, cause, a begin within the slide, sigmas beyond three and a false alarm rate.
    """
    found = scraped(depegged)
    (fault,) = (one for one in depegged.world.injected if one.kind == "depeg")
    assert 1.0 == found["pegline_token_state"]["simMSTR", "depegged"] == found["pegline_peg_cause"]["simMSTR", "token"]
    since = found["pegline_token_state_since_timestamp_seconds"]["simMSTR",]
    assert fault.start_ns / NS < since < depegged.assembly.columns.now / NS
    for name in fault.instruments:
        key = ("simMSTR", name.split(":")[0], name)
        assert 1.0 == found["pegline_peg_state"][(*key, "depegged")]
        assert 1.0 == found["pegline_venue_peg_cause"][(*key, "token")]
        assert fault.start_ns / NS < found["pegline_peg_state_since_timestamp_seconds"][key]
        assert -3 > found["pegline_premium_sigmas"][key]
        assert 0 < found["pegline_peg_false_alarms_per_month"][key] < 10
    others = {key for key in found["pegline_peg_false_alarms_per_month"] if key[0] != "simMSTR"}
    assert not others


def test_the_fair_value_does_not_follow_a_token_off_its_peg(depegged: Played) -> None:
    """
    Both venues of the token are as far off as was done to them, within a tenth: neither is judged by the other one.
    """
    (fault,) = (one for one in depegged.world.injected if one.kind == "depeg")
    found = scraped(depegged)["pegline_premium_ratio"]
    for name in fault.instruments:
        assert fault.detail["depth_bps"] / 1e4 == pytest.approx(found["simMSTR", name.split(":")[0], name], rel=0.1)


def test_sigmas_are_the_premium_over_the_error(depegged: Played) -> None:
    """
    Where both are told, premium = sigmas x error of the fair value without the instrument itself.
    """
    found = scraped(depegged)
    sigmas, errors = found["pegline_premium_sigmas"], found["pegline_premium_error_ratio"]
    assert 10 < len(sigmas) == len(errors)
    columns = depegged.assembly.columns
    for (_, _, name), value in sigmas.items():
        judged = columns.judge(depegged.world.universe.number(name), columns.now)
        assert judged is not None
        key = next(one for one in errors if one[2] == name)
        assert judged.premium_bps / 1e4 == pytest.approx(value * errors[key], rel=1e-9, abs=1e-12)


def test_every_token_instrument_has_its_facts(depegged: Played) -> None:
    """
    The share behind it, and its coin where that is not the dollar; the thresholds are those of the session.
    """
    found, universe = scraped(depegged), depegged.world.universe
    assert len(universe.where(role=Role.TOKEN)) == len(found["pegline_instrument_info"])
    assert ("simMSTR", "sim-beta", "sim-beta:simMSTR/USDT", "MSTR", "USDT") in found["pegline_instrument_info"]
    assert ("simMSTR", "sim-alpha", "sim-alpha:simMSTR/USD", "MSTR", "") in found["pegline_instrument_info"]
    assert found["pegline_depeg_threshold_ratio"].keys() == found["pegline_alert_threshold_ratio"].keys()
    for token, threshold in found["pegline_depeg_threshold_ratio"].items():
        assert found["pegline_alert_threshold_ratio"][token] < threshold


def test_what_is_unknown_has_no_numbers() -> None:
    """
    When a quote is stale its state is unknown, and nothing is told of the state before.
    """
    run = play(rows=2_000)
    feed(run, Row(ts_recv=run.assembly.columns.now + 3600 * NS, instrument=0, kind=Kind.FX, bid=0.9999, ask=1.0001))
    found = scraped(run)
    for name in ("premium_sigmas", "premium_error_ratio", "peg_false_alarms_per_month"):
        assert f"pegline_{name}" not in found
    assert {"unknown"} == {state for _, _, _, state in found["pegline_peg_state"]}


def test_a_refused_source_is_told_with_its_reason() -> None:
    """
    A wide quote and a doubt are reasons, one that is believed has 0, and one that is only silent has none.
    """
    run = play(rows=2_000)
    columns, universe = run.assembly.columns, run.world.universe
    tape, perp = universe.number("sim-tape:TSLA"), universe.number("sim-perp:NVDA-mark")
    assert 0.0 == scraped(run)["pegline_reference_refused"]["TSLA", "sim-tape:TSLA", ""]
    feed(run, Row(ts_recv=columns.now + 1, instrument=tape, kind=Kind.REFERENCE, bid=300.0, ask=500.0))
    columns.doubt(perp, Why.IMPLAUSIBLE)
    found = scraped(run)["pegline_reference_refused"]
    assert 1.0 == found["TSLA", "sim-tape:TSLA", "wide"] == found["NVDA", "sim-perp:NVDA-mark", "implausible"]
    assert ("TSLA", "sim-tape:TSLA", "") not in found
    feed(run, Row(ts_recv=columns.now + 7200 * NS, instrument=0, kind=Kind.FX, bid=0.9999, ask=1.0001))
    assert ("AAPL", "sim-tape:AAPL", "") not in scraped(run)["pegline_reference_refused"]


def test_a_coin_is_told_off_and_back() -> None:
    """
    0 while it holds, 1 from the note that it has left its dollar to the note that it is back, each with its moment.
    """
    run = play(rows=2_000)
    tally = run.desk.tally
    assert {("USDT",): 0.0} == scraped(run)["pegline_stablecoin_depegged"]
    assert "pegline_stablecoin_state_since_timestamp_seconds" not in scraped(run)
    for at, state, value in ((5, "OFF", 1.0), (9, "HELD", 0.0)):
        tell(tally, at, Note(kind="coin_state", detail={"coin": "USDT", "to": state, "bps": -150.0}))
        found = scraped(run)
        assert {("USDT",): value} == found["pegline_stablecoin_depegged"]
        assert {("USDT",): float(at)} == found["pegline_stablecoin_state_since_timestamp_seconds"]


def test_the_begin_is_the_alarms_and_lasts_through_a_new_cause() -> None:
    """
    `since` of a note counts before the note's own time, and a note of another cause alone does not move it.
    """
    run = play(rows=2_000)
    tally, at = run.desk.tally, run.world.universe.number("sim-alpha:simMSTR/USD")
    for ts, detail in (
        (100, {"from": "PEGGED", "to": "DEPEGGED", "cause": "venue", "since": 70.0, "false_alarms_month": 0.5}),
        (200, {"from": "DEPEGGED", "to": "DEPEGGED", "cause": "token", "false_alarms_month": 0.25}),
    ):
        tell(tally, ts, Note(kind="peg_state", instrument=at, detail=detail))
        assert 70.0 == tally.since[at]
    assert (0.25, "token") == (tally.false_alarms[at], tally.peg_cause[at])
    tell(tally, 300, Note(kind="peg_state", instrument=at, detail={"from": "DEPEGGED", "to": "PEGGED", "cause": ""}))
    assert 300.0 == tally.since[at] and at not in tally.false_alarms and at not in tally.peg_cause
    told = peg_samples(run.assembly.columns, tally, run.desk.facts, {at: "unknown"})
    assert [] == list(told["peg_state_since_timestamp_seconds"])


def tell(tally: Tally, seconds: int, note: Note) -> None:
    """One note at a moment."""
    tally.fold(Step(seq=tally.steps, ts=seconds * NS, cause="timer", notes=(note,)))
