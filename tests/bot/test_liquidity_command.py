"""`pegline liquidity`: the same of a tape as of the made-up pool that it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from bot.wiring import subsidised_pool
from connectors.tape import TapeWriter

CONFIG = """
[venues.sim-pool]
kind = "dex"
[instruments."sim-pool:simTSLA"]
token = "simTSLA"
underlying = "TSLA"
unit_model = "rebasing"
max_age_s = 5400
[fair]
daily_vol_bps = {{ TSLA = {vol} }}
[strategies.liquidity]
[pools."sim-pool:simTSLA"]
fee_bps = 30
concentration = 1
top_lp_share = {top}
required_return_share = {asks}
"""


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up pool of seed 3 as a tape with its levels, and a config that knows it beside it."""
    folder = tmp_path_factory.mktemp("liquidity")
    _, world = subsidised_pool(3, "renewed")
    with TapeWriter(folder / "tape", world.universe, {}) as writer:
        writer.append(world.rows, world.levels)
    text = CONFIG.format(vol=world.daily_vol * 1e4, top=world.top_share, asks=world.required_return)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return folder


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints."""
    assert 0 == main(["liquidity", *words])
    return capsys.readouterr().out


def test_a_tape_tells_what_the_world_told(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Pools and events of a tape are those of the run that it holds.
    """
    words = ("--config", str(tape / "config.toml"), "--json")
    found = json.loads(told(capsys, str(tape / "tape"), *words))
    world = json.loads(told(capsys, "--simulated", "3", "--ending", "renewed", "--json"))
    assert world["events"] == found["events"]
    (one,), (other,) = world["pools"], found["pools"]
    for key, value in one.items():
        assert value == (pytest.approx(other[key], rel=1e-9) if isinstance(value, float) else other[key])
    assert ["incentive", "liquidity_cliff", "incentive", "liquidity_cliff"] == [e["kind"] for e in found["events"]]


def test_a_tape_alone_says_what_rows_say(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Without a config the fee is unknown, and so is everything that follows from it; the incentive and its end are not.
    """
    (pool,) = json.loads(told(capsys, str(tape / "tape"), "--json", "--to", "2026-09-15"))["pools"]
    assert "unknown" == pool["state"]
    assert pool["subsidy_share"] is None and pool["fees_usd_per_day"] is None
    assert pool["incentive_usd_per_day"] > 0 and pool["ends_s"] > 0 and pool["volume_usd_per_day"] > 0


def test_a_person_reads_events_and_a_table(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The story stands above, the pools below, in a hundred columns.
    """
    said = told(capsys, str(tape / "tape"), "--config", str(tape / "config.toml")).splitlines()
    assert any("liquidity cliff: simTSLA on sim-pool" in line for line in said)
    table = said[-3:]
    assert "sim-pool:simTSLA" in table[-1] and table[-1].endswith("clear")
    assert max(len(line) for line in table) <= 100


@pytest.mark.parametrize("words", [[], ["T", "--simulated", "1"], ["--simulated", "1", "--config", "c.toml"]])
def test_what_does_not_fit_together_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    Neither a tape nor a made-up pool, both, or a config for the latter is a mistake of usage.
    """
    assert 2 == main(["liquidity", *words])
    assert "pegline: liquidity: " in capsys.readouterr().err


def test_events_of_a_span_know_what_was_told_before(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    From a later day on only what happens then is told, of an incentive that was told on the first.
    """
    words = ("--config", str(tape / "config.toml"), "--json", "--from", "2026-09-09", "--to", "2026-09-15")
    found = json.loads(told(capsys, str(tape / "tape"), *words))
    assert ["liquidity_cliff"] == [event["kind"] for event in found["events"]]
    assert "cliff" == found["pools"][0]["state"]


def test_where_there_is_no_pool_that_is_said(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Before the first row no incentive is known; and a pool of the config that is not on the tape is named.
    """
    assert 0 == main(["liquidity", str(tape / "tape"), "--to", "2026-09-07"])
    assert "no pool with an incentive" in capsys.readouterr().err
    other = (tape / "config.toml").read_text(encoding="utf-8").replace("sim-pool:simTSLA", "sim-pool:other")
    (tmp_path / "c.toml").write_text(other, encoding="utf-8")
    assert 0 == main(["liquidity", str(tape / "tape"), "--config", str(tmp_path / "c.toml")])
    assert "[pools] sim-pool:other is not on this tape" in capsys.readouterr().err
