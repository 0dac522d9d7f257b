"""Metrics: they parse, follow the naming rules, equal the columns, and what is unknown is not there."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from connectors.events import NS, Kind, Row, Rows, Why
from connectors.instruments import Role
from connectors.simulated.world import START_NS
from monitoring.catalogue import BY_NAME, CATALOGUE
from monitoring.desk import Desk
from monitoring.page import page
from strategies.market.health import Score
from tests.monitoring.played import FEEDS, Played, play

Samples = dict[str, dict[tuple[str, ...], float]]


def scraped(run: Played) -> Samples:
    """What Prometheus would read, by family; label values in the order of the catalogue."""
    found: Samples = {}
    for family in text_string_to_metric_families(generate_latest(run.desk.registry).decode()):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in BY_NAME[sample.name].labels)
            assert set(sample.labels) == set(BY_NAME[sample.name].labels)
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


@pytest.fixture(scope="module")
def noon() -> Played:
    """The first hours of the world: the regular session, all feeds alive."""
    return play(rows=20_000)


def test_every_series_is_in_the_catalogue_and_finite(noon: Played):
    """The text parses, holds no NaN, and every family of the catalogue that has a value is of the promised type."""
    text = generate_latest(noon.desk.registry).decode()
    assert "NaN" not in text and "Inf" not in text
    for family in text_string_to_metric_families(text):
        name = family.name if family.type != "counter" else f"{family.name}_total"
        assert BY_NAME[name].type.replace("info", "gauge") == family.type


def test_names_follow_the_rules():
    """One prefix, base units, _total on counters and _info on facts alone, help without a full stop, unique names."""
    assert len(CATALOGUE) == len(BY_NAME)
    for metric in CATALOGUE:
        assert re.fullmatch(r"pegline(_[a-z0-9]+)+", metric.name)
        assert (metric.type == "counter") == metric.name.endswith("_total")
        assert (metric.type == "info") == metric.name.endswith("_info")
        assert not re.search(r"_(bps|percent|ms|millis|minutes|hours)(_|$)", metric.name)
        assert metric.help and not metric.help.endswith(".")
        assert not {"type", "service", "env", "stage", "cluster", "instance", "job"} & set(metric.labels)


def test_doubts_are_told_by_instrument_and_reason():
    """A source of this story is outvoted while it is frozen: it has a series, as what is in doubt for two reasons has
    two; before and after it has none.
    """
    early = play(seed=1, rows=1_000)
    (fault,) = (one for one in early.world.injected if one.kind == "frozen")
    frozen = play(seed=1, rows=int(np.searchsorted(early.world.rows.ts_recv, fault.end_ns)))
    assert "pegline_instrument_doubt" not in scraped(early)
    assert {("", "sim-tape", "sim-tape:TSLA", "implausible"): 1.0} == scraped(frozen)["pegline_instrument_doubt"]
    number = frozen.world.universe.number("sim-alpha:simTSLA/USD")
    for why in (Why.BASIS, Why.IMPLAUSIBLE):
        frozen.assembly.columns.doubt(number, why)
    found = scraped(frozen)["pegline_instrument_doubt"]
    assert {"basis", "implausible"} == {labels[3] for labels in found if labels[0] == "simTSLA"}
    assert 3 == len(found)


def test_a_health_score_is_told_where_it_is_known(noon: Played):
    """One token has a score, the other venues' tokens have none: not 0, and not 100 either."""
    universe = noon.world.universe
    number = universe.number("sim-alpha:simTSLA/USD")
    score = Score(ts=1, score=12.5, tails={"premium": 0.02, "depth": 0.4}, readings={})
    desk = Desk(noon.assembly.columns, facts=noon.desk.facts, feeds=lambda: FEEDS, scores=lambda: {number: score})
    found = scraped(replace(noon, desk=desk))
    assert {("simTSLA", "sim-alpha", "sim-alpha:simTSLA/USD"): 12.5} == found["pegline_peg_score"]
    (line,) = (line for line in desk.picture().tokens if line.score is not None)
    assert ("premium 2.0%", True) == (
        line.rarest,
        "12 (premium 2.0%)" in page(desk.picture(), desk.health(desk.picture())),
    )
    assert "pegline_peg_score" not in scraped(noon)


def test_values_equal_the_columns(noon: Played):
    """Quotes, premia, fair values and times are those of the columns at that moment."""
    columns, universe, found = noon.assembly.columns, noon.world.universe, scraped(noon)
    for at in universe.where(role=Role.TOKEN):
        instrument = universe[at]
        key = (instrument.token, instrument.venue, instrument.name)
        group = columns.group(at)
        fx = columns.known_fx(at)
        assert float(columns.bid[at]) * fx == found["pegline_quote_price_usd"][(*key, "bid")]
        assert columns.premium_bps[at] / 1e4 == pytest.approx(found["pegline_premium_ratio"][key], abs=1e-12)
        assert int(columns.ts[at]) / NS == found["pegline_quote_last_update_timestamp_seconds"][key]
        fair = columns.fair(group, columns.now)
        assert fair is not None
        unit = fair.price * float(columns.shares_per_unit[at])
        assert unit == pytest.approx(found["pegline_fair_price_usd"][(instrument.token,)])
        sell = found["pegline_executable_premium_ratio"][(*key, "sell", "best")]
        assert columns.sell_premium_bps[at] / 1e4 == pytest.approx(sell, abs=1e-12)
        buy = found["pegline_executable_premium_ratio"][(*key, "buy", "best")]
        assert columns.buy_premium_bps[at] / 1e4 == pytest.approx(buy, abs=1e-12)


def test_a_source_that_is_refused_is_removed_and_its_time_stays(noon: Played):
    """After a frozen or wide reference its price has no series, while its last update keeps one."""
    run = play(rows=2_000)
    name = "sim-tape:TSLA"
    number, now = run.world.universe.number(name), run.assembly.columns.now
    before = scraped(run)
    assert ("TSLA", name) in before["pegline_reference_price_usd"]
    feed(run, Row(ts_recv=now + 1, instrument=number, kind=Kind.REFERENCE, bid=300.0, ask=500.0))
    after = scraped(run)
    assert ("TSLA", name) not in after["pegline_reference_price_usd"]
    times = "pegline_reference_last_update_timestamp_seconds"
    assert before[times]["TSLA", name] == after[times]["TSLA", name]
    rejected = "pegline_feed_rejected_messages_total"
    assert before[rejected].get(("sim-tape", "wide"), 0) + 1 == after[rejected]["sim-tape", "wide"]


def test_an_unknown_fair_value_has_no_series():
    """When all sources of a share, its tokens and its perps are refused, fair value, error and premia vanish; others
    stay."""
    run = play(rows=2_000)
    universe, now = run.world.universe, run.assembly.columns.now
    sources = universe.where(role=Role.SHARE, underlying="TSLA")
    for step, number in enumerate(sources, 1):
        feed(run, Row(ts_recv=now + step, instrument=number, kind=Kind.REFERENCE, bid=300.0, ask=500.0))
    tokens = [n for role in (Role.TOKEN, Role.PERP) for n in universe.where(role=role, underlying="TSLA")]
    kept = universe.number("sim-alpha:simTSLA/USD")
    for step, number in enumerate(tokens, 10):
        if number != kept:
            feed(run, Row(ts_recv=now + step, instrument=number, kind=Kind.QUOTE, bid=500.0, ask=300.0))
    run.assembly.columns.hush(kept)
    found = scraped(run)
    for name in ("pegline_fair_price_usd", "pegline_fair_price_uncertainty_ratio"):
        assert ("simTSLA",) not in found[name] and ("simNVDA",) in found[name]
    assert not any(key[0] in ("simTSLA", "altTSLA") for key in found["pegline_premium_ratio"])
    assert ("simTSLA", "sim-alpha", "sim-alpha:simTSLA/USD", "bid") in found["pegline_quote_price_usd"]
    states = {key[3] for key in found["pegline_peg_state"] if key[0] == "simTSLA"}
    assert {"unknown"} == states


def test_a_stale_quote_has_no_price():
    """A token that has not printed for longer than it may loses its quote and premium."""
    run = play(rows=2_000)
    late = run.assembly.columns.now + 3600 * NS
    feed(run, Row(ts_recv=late, instrument=0, kind=Kind.FX, bid=0.9999, ask=1.0001))
    found = scraped(run)
    assert "pegline_quote_price_usd" not in found and "pegline_premium_ratio" not in found
    assert len(run.world.universe.where(role=Role.TOKEN)) == len(found["pegline_quote_last_update_timestamp_seconds"])


def test_before_the_first_row_only_facts_are_there():
    """A daemon that has heard nothing exports facts and zero counters, and no price."""
    run = play(rows=0)
    found = scraped(run)
    assert {("1.2.3", "", "")} == set(found["pegline_build_info"])
    assert 0.0 == found["pegline_orders_total"]["sim-alpha", "cross_venue"]
    assert 0.0 == found["pegline_opportunities_skipped_total"]["cross_venue", "stale"]
    costs = {("cross_venue", part): 0.0 for part in ("fee", "gas", "slippage")}
    assert costs == found["pegline_costs_usd_total"]
    for name in ("pegline_quote_price_usd", "pegline_fair_price_usd", "pegline_stablecoin_price_usd"):
        assert name not in found


def test_multipliers_and_coins_are_those_of_the_columns(noon: Played):
    """Shares per unit of each token, one or not, and the price of each coin."""
    columns, universe, found = noon.assembly.columns, noon.world.universe, scraped(noon)
    told = found["pegline_multiplier_ratio"]
    assert {(universe[at].token,): float(columns.shares_per_unit[at]) for at in universe.where(role=Role.TOKEN)} == told
    assert len(set(told.values())) > 1
    assert {("USDT",): float(columns.fx[0])} == found["pegline_stablecoin_price_usd"]


def test_one_mode_and_one_session_are_active(noon: Played):
    """Of the modes and sessions exactly one each is 1; the threshold is that of the session."""
    found = scraped(noon)
    assert [("dry_run",)] == [key for key, value in found["pegline_mode"].items() if value]
    assert [("us_equity", "regular")] == [key for key, value in found["pegline_market_session"].items() if value]
    assert 0.006 == pytest.approx(found["pegline_alert_threshold_ratio"]["simTSLA",])


def test_feeds_are_shown_as_they_say(noon: Played):
    """Up, messages and rejected messages come from the streams themselves."""
    found = scraped(noon)
    assert {("sim-alpha", "simulated"): 1.0, ("sim-beta", "simulated"): 0.0} == found["pegline_feed_up"]
    assert 12.0 == found["pegline_feed_messages_total"]["sim-alpha", "simulated"]
    assert 2.0 == found["pegline_feed_rejected_messages_total"]["sim-beta", "crossed"]


def test_counters_and_exposure_follow_the_records():
    """Orders, edges and inventory equal what the tally counted; exposure is the sum of inventory by share."""
    run = play(seed=4, without=["peg_watch"], until_ns=START_NS + 48 * 3600 * NS)
    found, tally = scraped(run), run.desk.tally
    assert float(sum(tally.orders.values())) == sum(found["pegline_orders_total"].values()) > 0
    assert tally.edge_captured_usd["cross_venue"] == found["pegline_edge_captured_usd_total"]["cross_venue",] > 0
    assert tally.edge_lost_usd["cross_venue"] == found["pegline_edge_lost_usd_total"]["cross_venue",]
    inventory = found["pegline_inventory_usd"]
    shares = {i.token or i.underlying: i.underlying for i in run.world.universe}
    for (share,), usd in found["pegline_unhedged_exposure_usd"].items():
        parts = [value for (asset, _), value in inventory.items() if shares[asset] == share]
        assert usd == pytest.approx(sum(parts), abs=1e-6)


def feed(run: Played, row: Row) -> None:
    """One more row for the engine."""
    run.assembly.engine.advance(Rows.of([row]))


def test_a_scrape_changes_nothing(noon: Played):
    """Asking twice gives the same answer and leaves the columns as they were."""
    columns = noon.assembly.columns
    before = columns.f.copy()
    assert generate_latest(noon.desk.registry) == generate_latest(noon.desk.registry)
    assert np.array_equal(before, columns.f, equal_nan=True)
