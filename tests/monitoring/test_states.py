"""How venues and instruments stand: on the page, in the metrics, in the health answer and in the story."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connectors.events import STANDING
from monitoring.facts import FeedState, LoopState, StreamState
from monitoring.health import health
from monitoring.histogram import Histogram
from monitoring.metrics import Metrics
from monitoring.page import page
from monitoring.snapshot import snapshot
from monitoring.words import WHYS, because
from tests.monitoring.played import Played, play

DOUBT = StreamState(instrument="sim-alpha:TSLA-A", state="degraded", why="clock", reasons=("clock", "lags"))


def feed(run: Played, state: str, why: str) -> FeedState:
    """A venue whose first token stands so, with everything that a venue can tell."""
    at = next(at for at, i in enumerate(run.world.universe) if i.token)
    instrument = run.world.universe[at]
    return FeedState(
        venue=instrument.venue, feed="f", up=state in ("up", "degraded"), state=state, why=why, messages=5,
        streams=(replace(DOUBT, instrument=instrument.name, state=state, why=why, reasons=(why, "lags")),),
        reconnects=3, calls={"time": 7}, failures={"rate_limited": 2}, used_ratio=0.25,
        offset_s=5.004, offset_error_s=0.02,
    )  # fmt: skip


def test_an_instrument_says_why_it_is_not_traded() -> None:
    """Degraded: the quote is shown, and what speaks against it. Down: there is no quote, and why."""
    run = play(rows=20_000)
    columns, tally, facts = run.assembly.columns, run.desk.tally, run.desk.facts
    name = feed(run, "up", "").streams[0].instrument

    def line(state: str, why: str):  # type: ignore[no-untyped-def]
        picture = snapshot(columns, tally, facts=facts, feeds=(feed(run, state, why),))
        return next(one for one in picture.tokens if one.instrument == name), picture

    well, _ = line("up", "")
    doubted, picture = line("degraded", "clock")
    gone, _ = line("down", "entitlement")
    assert ("", "") == (well.not_traded, well.reason)
    assert (well.mid_usd, because("clock")) == (doubted.mid_usd, doubted.not_traded)
    assert (None, f"feed down: {because('entitlement')}") == (gone.mid_usd, gone.reason)
    text = page(picture, health(picture))
    assert f"not traded: {because('clock')}" in text
    assert f"{because('clock')}, {because('lags')}" in text
    assert "+5.004 s" in text
    assert "25 %" in text
    assert any("degraded" in reason and because("clock") in reason for reason in health(picture).reasons)


def test_the_metrics_tell_states_limits_clocks_and_lags() -> None:
    """Each series of the catalogue about venues and the process has the value that it was given."""
    run = play(rows=20_000)
    one, late = feed(run, "closed", "maintenance"), Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        late.observe(seconds)
    loop = LoopState(waiting=4, superseded=6, dropped=1, clock_apart_s=-3600.0)
    metrics = Metrics(
        run.assembly.columns, run.desk.tally, facts=run.desk.facts, feeds=lambda: (one,), loop=lambda: loop,
        histograms=lambda: {"event_loop_lag_seconds": {(): late}, "feed_latency_seconds": {(one.venue,): late}},
    )  # fmt: skip
    found = {
        (sample.name.removeprefix("pegline_"), *sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }
    token = next(i for i in run.world.universe if i.name == one.streams[0].instrument).token
    assert 1.0 == found["feed_state", one.venue, "f", "closed"]
    assert 0.0 == found["feed_state", one.venue, "f", "up"] == found["feed_up", one.venue, "f"]
    assert 1.0 == found["instrument_state", token, one.venue, one.streams[0].instrument, "closed", "maintenance"]
    assert 3.0 == found["feed_reconnects_total", one.venue, "f"]
    assert (7.0, 2.0) == (
        found["rest_requests_total", one.venue, "time"],
        found["rest_request_failures_total", one.venue, "rate_limited"],
    )
    assert (0.25, 5.004, 0.02) == (
        found["rate_limit_used_ratio", one.venue],
        found["venue_clock_offset_seconds", one.venue],
        found["venue_clock_error_seconds", one.venue],
    )
    assert [2.0, 3.0, 4.0] == [found["event_loop_lag_seconds_bucket", le] for le in ("0.1", "1.0", "+Inf")]
    assert (4.0, 3.65) == (found["event_loop_lag_seconds_count",], found["event_loop_lag_seconds_sum",])
    assert 4.0 == found["feed_latency_seconds_count", one.venue]
    assert (4.0, 6.0, 1.0, -3600.0) == (
        found["inbox_waiting_rows",],
        found["inbox_superseded_rows_total",],
        found["inbox_dropped_rows_total",],
        found["clock_apart_seconds",],
    )
    # A quote of a venue that is closed is no live quote: its series goes at once.
    assert not [key for key in found if key[0] == "quote_price_usd" and one.streams[0].instrument in key]


@given(st.lists(st.floats(0.0, 100.0), max_size=50))
def test_many_values_are_counted_as_one_by_one(values: list[float]) -> None:
    """A histogram that is given an array holds what it would hold had it been given each value."""
    single, many = Histogram((0.5, 1.0, 5.0)), Histogram((0.5, 1.0, 5.0))
    for value in values:
        single.observe(value)
    many.observe_all(np.array(values, np.float64))
    assert (single.counts, len(values)) == (many.counts, many.total)
    assert abs(single.sum - many.sum) < 1e-6


def test_every_reason_has_words() -> None:
    """What may stand against a stream can be told to a person."""
    assert {why.name.lower() for why in STANDING if why} == set(WHYS)
