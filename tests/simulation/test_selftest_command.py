"""`pegline selftest` as an operator calls it."""

from __future__ import annotations

import json

import pytest

from bot.cli import main
from bot.simulation.fault import ROWS


def test_one_seed_is_told_in_detail(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Its two faults, its trades and its hash; exit code 0.
    """
    assert 0 == main(["selftest", "--seed", "3"])
    told = capsys.readouterr().out
    assert {"seed", "faults", "trades", "journal", "broken"} <= {line.split("  ")[0] for line in told.splitlines()}
    assert 1 == told.split("\n")[1].count("; ")


def test_each_kind_of_fault_is_a_line_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """
    One scene for each kind that there is, by the row of the fault matrix, as JSON for a machine.
    """
    assert 0 == main(["selftest", "--faults", "--jobs", "1", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (1, len(ROWS), []) == (told["version"], told["scenes"], told["broke"])
    assert {kind.value: row for kind, row in ROWS.items()} == {one["fault"]: one["row"] for one in told["faults"]}


def test_several_seeds_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """
    From the seed that is named on.
    """
    assert 0 == main(["selftest", "--seed", "40", "--seeds", "4", "--jobs", "1"])
    told = capsys.readouterr().out
    assert told.startswith("4 scenes, 0 broke")
    assert "row  fault" in told


def test_no_seeds_at_all_are_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """
    `--seeds 0` is a mistake of usage.
    """
    assert 2 == main(["selftest", "--seeds", "0"])
    assert "--seeds" in capsys.readouterr().err
