"""Alert rules: each fires and each stays silent, texts and routes are whole, and they name what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from monitoring.catalogue import BY_NAME
from tests.conftest import program

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
CASES = Path(__file__).parent / "rules"
ALERTS = [rule for group in yaml.safe_load((PROMETHEUS / "rules" / "alerts.yml").read_text())["groups"]
          for rule in group["rules"]]  # fmt: skip
RECORDED = [rule["record"] for group in yaml.safe_load((PROMETHEUS / "rules" / "recording.yml").read_text())["groups"]
            for rule in group["rules"]]  # fmt: skip
ALERTMANAGER = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"


def names(text: str) -> set[str]:
    """Every series of ours that a text names, recorded ones too."""
    return set(re.findall(r"\b(?:[a-z_]+:)?pegline_\w+(?::\w+)?", text))


def ran(*command: object) -> subprocess.CompletedProcess[str]:
    """What a program said."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yml")), ids=lambda path: path.stem)
def test_each_rule_fires_and_stays_silent(case: Path) -> None:
    """
    The cases beside this test hold with Prometheus' own tool.
    """
    done = ran(program("promtool"), "test", "rules", case)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_rule_that_never_fires_would_be_seen(tmp_path: Path) -> None:
    """
    With its expression turned into one that is never true, each alert that has a case fails it.
    """
    shutil.copytree(CASES, tmp_path / "tests" / "monitoring" / "rules")
    rules = tmp_path / "monitoring" / "prometheus" / "rules"
    shutil.copytree(PROMETHEUS / "rules", rules)
    groups = yaml.safe_load((rules / "alerts.yml").read_text())
    for group in groups["groups"]:
        for rule in group["rules"]:
            rule["expr"] = f"({rule['expr']}) and vector(0) > 1"
    (rules / "alerts.yml").write_text(yaml.safe_dump(groups))
    told = ""
    for case in (tmp_path / "tests" / "monitoring" / "rules").glob("*.yml"):
        done = ran(program("promtool"), "test", "rules", case)
        assert 1 == done.returncode
        told += done.stdout + done.stderr
    assert [] == [rule["alert"] for rule in ALERTS if f"alertname: {rule['alert']}" not in told]


def test_the_files_are_sound() -> None:
    """
    Prometheus and Alertmanager accept their configs.
    """
    done = ran(program("promtool"), "check", "config", PROMETHEUS / "prometheus.yml")
    assert 0 == done.returncode, done.stdout + done.stderr
    done = ran(program("amtool"), "check-config", ALERTMANAGER)
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("alert", "receiver"), [("PeglineDepeg", "operator"), ("PeglineWatchdog", "heartbeat")])
def test_alerts_take_their_route(alert: str, receiver: str) -> None:
    """
    A peg goes to the operator, the watchdog to the dead man's switch.
    """
    done = ran(program("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"alertname={alert}")
    assert receiver == done.stdout.strip()


def test_rules_name_only_what_is_exported() -> None:
    """
    Every series in expressions and texts is in the catalogue, and every rule of the catalogue's alerts is told of.
    """
    for path in RULES:
        found = names(path.read_text()) - set(RECORDED)
        assert found - {"pegline_recording"} <= set(BY_NAME), found - set(BY_NAME)
    assert {"PeglinePegDeviation", "PeglineDepeg", "PeglineStablecoinDepeg", "PeglineReferenceRefused"} < {
        rule["alert"] for rule in ALERTS
    }


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_whole(rule: dict) -> None:
    """
    It has a severity, a constant summary, a description, and a runbook with the four headings.
    """
    said = rule["annotations"]
    assert rule["labels"]["severity"] in ("critical", "warning", "none")
    assert said["summary"] and "{{" not in said["summary"]
    assert said["description"]
    page = (ROOT / "monitoring" / said["runbook_url"]).read_text()
    assert ["Meaning", "Impact", "Diagnosis", "Mitigation"] == re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert page.startswith(f"# {rule['alert']}: ")


@pytest.mark.parametrize("alert", ["PeglineDepeg", "PeglinePegDeviation"])
def test_a_peg_alert_gives_its_evidence(alert: str) -> None:
    """
    State, cause, distance in bps and sigmas, since when, expected false alarms.
    """
    (rule,) = (rule for rule in ALERTS if rule["alert"] == alert)
    told = rule["annotations"]["description"]
    for part in ("cause", "bps", "sigmas", "since", "false alarms per month", "pegline_premium_sigmas"):
        assert part in told
