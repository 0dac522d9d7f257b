"""`pegline paths` over the demo's market: the best path, the refused ones, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from bot.wiring import simulated_tape  # noqa: E402

DEMO = Path(__file__).resolve().parents[2] / "bot" / "data" / "demo.toml"


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's market of seed 1."""
    path = tmp_path_factory.mktemp("paths") / "tape"
    simulated_tape(path, 1, sessions=load_sessions())
    return path


def asked(tape: Path, *words: str) -> tuple[str, ...]:
    """The command's words about a moment of it."""
    return ("paths", *words, "--tape", str(tape), "--at", "2026-09-04T16:20:00Z", "--config", str(DEMO))


def test_the_best_path_of_a_gap_is_the_other_venue_and_the_refused_are_explained(
    tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    While a token is dear at one venue by a gap that was put there, buying it at the other one is best; every refused
    path has a reason, every other one numbers throughout; the issuer that mints for nobody says so. A pool's gas is a
    part of the size of the config's trades, though the replay trades nothing.
    """
    assert 0 == main([*asked(tape, "simNVDA", "--size", "500"), "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (2, 500.0) == (answer["schema"], answer["size_usd"])
    lines = {line["instrument"]: line for line in answer["premia"]}
    gap = lines["sim-alpha:simNVDA/USD"]
    assert gap["premium_bps"] > 50
    assert "venue" == gap["paths"][0]["way"]
    assert {"venue", "mint", "share"} <= {path["way"] for path in gap["paths"]}
    for path in (path for line in lines.values() for path in line["paths"]):
        whole = all(path.get(key) is not None for key in ("edge_usd", "close_s", "fails", "locked_usd_h", "worst_usd"))
        assert path.get("refused") or whole
    redeem = next(path for path in lines["sim-pool:simNVDA/USDT"]["paths"] if path["way"] == "redeem")
    assert redeem["edge_usd"] < 0 < redeem["costs_usd"]["spread and fees"]
    doors = {(door["issuer"], door["mint"]): door for door in answer["doors"]}
    assert "does not mint" in doors["sim-two", True]["closed"]
    assert doors["sim-two", False]["price_usd"] < gap["fair_usd"]


def test_a_person_reads_the_best_first_and_why_not_the_others(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    No line is wider than 100 characters, no number is nan; the third line says what is best, a refusal stands beside
    its path, and by whose word an issuer's price is.
    """
    assert 0 == main([*asked(tape, "simNVDA")])
    said = capsys.readouterr().out
    assert 100 >= max(len(line) for line in said.splitlines())
    assert "nan" not in said and "None" not in said
    for word in (
        "score",
        "worst USD",
        "no mint sim-two: ",
        "sim-two redeem bid ",
        "(fees of [issuers.sim-two]; delay 1.0 d",
        "best: venue sim-beta:simNVDA/USDT, +",
    ):
        assert word in said


def test_a_name_that_nobody_has_is_no_answer(tape: Path) -> None:
    """
    Exit code 2, as everywhere for what was asked wrongly.
    """
    assert 2 == main([*asked(tape, "NOBODY")])
