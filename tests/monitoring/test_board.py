"""The board: what is committed is what the generator makes, and all that it asks for exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.catalogue import BY_NAME
from monitoring.grafana.build import HERE, text
from tests.conftest import program
from tests.monitoring.test_rules import ALERTS, RECORDED, ROOT, names, ran

BOARD = json.loads(HERE.read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
WORDS = {"sum", "by", "or", "on", "max", "min", "count", "vector", "increase", "group_left"}


def expressions() -> Iterator[str]:
    """Every expression of the board with its variables filled in."""
    asked = [target["expr"] for panel in PANELS for target in panel["targets"]]
    asked += [one["expr"] for one in BOARD["annotations"]["list"]]
    for expr in asked:
        yield re.sub(r"\$(token|instrument)", ".*", expr).replace("$__range", "1h")


def test_the_committed_board_is_the_generated_one() -> None:
    """
    `python -m monitoring.grafana.build` would change nothing.
    """
    assert text() == HERE.read_text(encoding="utf-8")


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Places of what is in the one and not in the other."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [place for key in before for place in lost(before[key], after.get(key), f"{path}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [place for at, one in enumerate(before) for place in lost(one, after[at], f"{path}/{at}")]
    return [] if before == after else [path]


def test_grafanas_types_know_all_of_it() -> None:
    """
    Read into the kit's types and written again, nothing is lost but what Prometheus adds to an annotation.
    """
    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(BOARD)))
    assert {"step", "titleFormat"} == {place.rsplit("/", 1)[1] for place in lost(BOARD, again)}


def test_a_panel_can_be_read_alone() -> None:
    """
    Each has a title, a description, a unit, the chosen data source and at least one query; numbers are unique.
    """
    assert 20 < len(PANELS)
    for panel in PANELS:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for one in (panel, *panel["targets"]):
            assert "${datasource}" == one["datasource"]["uid"]
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_panels_do_not_overlap() -> None:
    """
    No two of them share a cell of the 24 columns.
    """
    cells = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24


def test_queries_name_only_what_there_is() -> None:
    """
    Every series is exported or recorded, and nothing else is named.
    """
    for expr in expressions():
        found = names(expr)
        assert found and found <= {*BY_NAME, *RECORDED}, expr
        bare = re.sub(r'\{[^}]*\}|"[^"]*"|\[\w+\]|\((?:token|venue|instrument|source|reason|, )+\)', "", expr)
        for name in found:
            bare = bare.replace(name, "")
        assert set(re.findall(r"[a-z_]{2,}", bare)) <= WORDS, bare


def test_queries_parse(tmp_path: Path) -> None:
    """
    Prometheus' own parser takes every expression.
    """
    rules = [{"record": f"query:{at}", "expr": expr} for at, expr in enumerate(expressions())]
    file = tmp_path / "board.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    done = ran(program("promtool"), "check", "rules", file)
    assert 0 == done.returncode and f"{len(rules)} rules found" in done.stdout, done.stdout + done.stderr


def test_what_the_issue_asks_for_is_on_it() -> None:
    """
    State, premium in its band, sigmas, score, cause, sessions, coin, refused reference and depth have a panel.
    """
    found = {name for expr in expressions() for name in names(expr)}
    wanted = "market_session premium_ratio premium_error_ratio premium_sigmas peg_score peg_cause peg_state "
    wanted += "stablecoin_price_usd reference_refused depth_usd liquidity_cliff peg_false_alarms_per_month"
    assert {f"pegline_{name}" for name in wanted.split()} <= found
    band = next(panel for panel in PANELS if panel.get("repeat") == "instrument")
    fill = [value for one in band["fieldConfig"]["overrides"] for value in one["properties"]
            if value["id"] == "custom.fillBelowTo"]  # fmt: skip
    assert ["band, lower"] == [value["value"] for value in fill]
    assert {"{{session}}"} == {one["titleFormat"] for one in BOARD["annotations"]["list"]}


def test_alerts_lead_to_it_and_grafana_finds_it() -> None:
    """
    The board that alerts name is this one; provisioning parses and gives the data source a fixed name.
    """
    assert {BOARD["uid"]} == {uid for rule in ALERTS if (uid := rule["annotations"].get("dashboard_uid"))}
    folder = ROOT / "monitoring" / "grafana" / "provisioning"
    source = yaml.safe_load((folder / "datasources" / "pegline.yml").read_text())
    boards = yaml.safe_load((folder / "dashboards" / "pegline.yml").read_text())
    assert 1 == source["apiVersion"] == boards["apiVersion"]
    assert ("prometheus", "pegline-prometheus") == tuple(source["datasources"][0][key] for key in ("type", "uid"))
    assert "file" == boards["providers"][0]["type"]
