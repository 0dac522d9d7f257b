"""`pegline dashboards`: what an operator gets, with the operator's addresses and times."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli import main
from bot.commands.dashboards import FILES
from tests.conftest import program
from tests.monitoring.test_rules import ran

ROOT = Path(__file__).resolve().parents[2] / "monitoring"


def test_it_writes_what_is_in_the_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every file of rules, routes, board and runbooks is written as it is, and a second run changes nothing.
    """
    for _ in range(2):
        assert 0 == main(["dashboards", "--out", str(tmp_path)])
    for name, place in FILES.items():
        assert (ROOT / name).read_bytes() == (tmp_path / place).read_bytes()
    there = {path.relative_to(ROOT) for kind in ("*.yml", "*.md", "*.json") for path in ROOT.rglob(kind)}
    assert {Path(name) for name in FILES} == there
    assert str(tmp_path / "prometheus.yml") in capsys.readouterr().out


def test_addresses_and_times_are_the_operators(tmp_path: Path) -> None:
    """
    They stand in every file that holds one, and Prometheus and Alertmanager accept it; what watches over pegline itself
    keeps its time.
    """
    words = "--target 10.0.0.7:9470 --alertmanager am:9099 --prometheus http://prom:9091 --webhook http://hook:1/x"
    times = "--every 2s --hold 7s --group 3s --runbooks https://wiki.example/pegline/"
    assert 0 == main(["dashboards", "--out", str(tmp_path), *words.split(), *times.split()])
    text = {place: (tmp_path / place).read_text() for place in FILES.values()}
    assert '"10.0.0.7:9470"' in text["prometheus.yml"] and '"am:9099"' in text["prometheus.yml"]
    assert "scrape_interval: 2s" in text["prometheus.yml"] and "evaluation_interval: 2s" in text["prometheus.yml"]
    alerts = text["rules/alerts.yml"]
    assert 11 == alerts.count("for: 7s") and 1 == alerts.count("for: 1m")
    assert 20 == alerts.count("runbook_url: https://wiki.example/pegline/Pegline")
    assert "url: http://hook:1/x" in text["alertmanager.yml"] and "group_wait: 3s" in text["alertmanager.yml"]
    source = text["grafana/provisioning/datasources/pegline.yml"]
    assert "url: http://prom:9091" in source and "timeInterval: 2s" in source
    assert 0 == ran(program("promtool"), "check", "config", tmp_path / "prometheus.yml").returncode
    assert 0 == ran(program("amtool"), "check-config", tmp_path / "alertmanager.yml").returncode


def test_what_was_changed_by_hand_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A file that differs is named and nothing is written, until --force says so.
    """
    mine = tmp_path / "alertmanager.yml"
    mine.write_text("mine")
    assert 2 == main(["dashboards", "--out", str(tmp_path)])
    assert str(mine) in capsys.readouterr().err
    assert ["alertmanager.yml"] == [path.name for path in tmp_path.iterdir()] and "mine" == mine.read_text()
    assert 0 == main(["dashboards", "--out", str(tmp_path), "--force"])
    assert "mine" != mine.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["--every", "soon"],
        ["--every", "0s"],
        ["--group", "0m"],
        ["--target", "nowhere"],
        ["--webhook", "ftp://x"],
        ["--webhook", "http://x\n- y"],
    ],
)
def test_what_no_file_could_hold_is_refused(words: list[str], tmp_path: Path) -> None:
    """
    A time, place or address that is none is a mistake of usage.
    """
    assert 2 == main(["dashboards", "--out", str(tmp_path / "out"), *words])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Below a file no folder can be: one line that names it, and no traceback.
    """
    (tmp_path / "file").write_text("")
    assert 2 == main(["dashboards", "--out", str(tmp_path / "file" / "below")])
    assert "cannot be written: Not a directory" in capsys.readouterr().err
