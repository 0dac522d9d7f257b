"""Pools with incentives in metrics, on the page and in the story: what is unknown is absent."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bot.assembly import assemble
from bot.journal import Journal
from bot.sessions import load_sessions
from bot.wiring import subsidised_pool
from connectors.events import NS
from connectors.simulated.subsidised import DAY_S, START_NS
from monitoring.catalogue import BY_NAME
from monitoring.desk import Desk
from monitoring.facts import Facts
from monitoring.page import page

POOL = ("simTSLA", "sim-pool", "sim-pool:simTSLA")


def watched(days: float, *, known: bool = True, ending: str = "ends") -> Desk:
    """A made-up pool after so many days; unless `known`, nothing of it is known by hand."""
    config, world = subsidised_pool(1, ending)
    config = config.model_copy(
        update={
            "strategies": config.strategies.model_copy(update={"liquidity": LIQUIDITY}),
            "pools": config.pools if known else {},
            "run": config.run.model_copy(update={"timer_s": 300.0}),
        }
    )
    steps = []
    parts = assemble(
        config, world.universe, load_sessions(), Journal(None), executor=None, on_step=[steps.append],
        levels=world.levels,
    )  # fmt: skip
    readings = parts.liquidity.readings
    desk = Desk(parts.columns, facts=Facts(version="1", mode="dry_run"), pools=lambda: tuple(readings.values()))
    until = int(np.searchsorted(world.rows.ts_recv, START_NS + round(days * DAY_S) * NS))
    parts.engine.advance(world.rows[:until])
    for step in steps:
        desk.on_step(step)
    return desk


def scraped(desk: Desk) -> dict[str, dict[tuple[str, ...], float]]:
    """What Prometheus would read of pools, by family."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(desk.registry).decode()):
        for sample in family.samples:
            if "pool_" in sample.name or "cliff" in sample.name:
                labels = tuple(sample.labels[name] for name in BY_NAME[sample.name].labels)
                found.setdefault(sample.name, {})[labels] = sample.value
    return found


from bot.config import Liquidity  # noqa: E402 - the wiring chooses the kernel's cache first

LIQUIDITY = Liquidity()


def test_a_cliff_is_in_every_window() -> None:
    """
    A week before the end: the series say what is paid, until when, what part it is, what can be sold now and then; the
    page has a line of it and the story told it once.
    """
    desk = watched(8.0)
    found = scraped(desk)
    _, world = subsidised_pool(1, "ends")
    assert world.end_ns / NS == found["pegline_pool_incentive_end_timestamp_seconds"][POOL]
    assert world.subsidy_share == pytest.approx(found["pegline_pool_subsidy_ratio"][POOL], abs=0.06)
    assert 1.0 == found["pegline_liquidity_cliff"][POOL]
    exits = found["pegline_pool_exit_usd"]
    assert {(*POOL, band, when) for band in ("0.01", "0.02") for when in ("now", "after")} == set(exits)
    left = 1.0 - found["pegline_pool_subsidy_ratio"][POOL]
    assert exits[*POOL, "0.01", "now"] * left == pytest.approx(exits[*POOL, "0.01", "after"])
    assert exits[*POOL, "0.01", "after"] == found["pegline_pool_inventory_cap_usd"][POOL]
    assert 0 < found["pegline_pool_breakeven_usd_per_day"][POOL]
    assert 0 < found["pegline_pool_incentive_usd_per_day"][POOL]
    picture = desk.picture()
    shown = page(picture, desk.health(picture))
    assert "Pools with an incentive" in shown
    assert '<td class="bad">cliff</td>' in shown
    cliffs = [line for line in desk.story if line.kind == "liquidity_cliff"]
    assert ["bad"] == [line.tone for line in cliffs]
    assert "of what its liquidity earns is subsidy that ends in 7.0 days" in cliffs[0].text
    assert "incentive: simTSLA on sim-pool pays" in next(line.text for line in desk.story if line.kind == "incentive")


def test_what_is_unknown_has_no_series() -> None:
    """
    Without the fee no share, no cliff, and no exit after the end is known; what is paid and what can be sold now is.
    """
    found = scraped(watched(8.0, known=False))
    assert {
        "pegline_pool_incentive_usd_per_day",
        "pegline_pool_incentive_end_timestamp_seconds",
        "pegline_pool_exit_usd",
    } == set(found)
    assert {"now"} == {labels[4] for labels in found["pegline_pool_exit_usd"]}


def test_a_pool_that_fees_carry_is_no_cliff() -> None:
    """
    The twin whose depth stays has a series of 0 and no line in the story but what is paid.
    """
    desk = watched(8.0, ending="stays")
    assert 0.0 == scraped(desk)["pegline_liquidity_cliff"][POOL]
    assert "liquidity_cliff" not in {line.kind for line in desk.story}


def test_its_end_is_told() -> None:
    """
    A warning that is taken back says why: the incentive goes on, or has been over for days.
    """
    for ending, words in (("renewed", "its incentive goes on"), ("ends", "has been over for days")):
        (last,) = [line for line in watched(18.0, ending=ending).story if "cliff off" in line.text]
        assert words in last.text
        assert "good" == last.tone


def test_nothing_is_shown_where_there_is_no_pool() -> None:
    """
    Before the first program there is neither a series nor a table.
    """
    desk = watched(0.0)
    picture = desk.picture()
    assert {} == scraped(desk)
    assert "Pools with an incentive" not in page(picture, desk.health(picture))
