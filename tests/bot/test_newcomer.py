"""A newcomer's machine: no home, no rights, sources that cannot be written; the demo runs all the same, and as ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.played import play

ROOT = Path(__file__).resolve().parents[2]
SEED = 3
ABSENT = ("ccxt", "web3", "yfinance", "solders", "pandas")
SCRIPT = f"""
import sys
from bot.cli import main
code = main(["demo", "--seconds", "1", "--seed", "{SEED}", "--json"])
print("imported:", *(name for name in {ABSENT!r} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


def anybody_enters(path: Path) -> bool:
    """Whether any user may enter all folders above a path."""
    return all(above.stat().st_mode & 0o001 for above in path.parents)


@dataclass
class Told:
    """What a demo said."""

    said: str
    result: dict[str, Any]
    compiled: int
    """How many files of compiled code it left below the temporary folder."""


@pytest.fixture(scope="module")
def demo() -> Told:
    """
    The demo in a process of its own with an empty environment, as a user who owns nothing where that can be tried;
    only the libraries' own compiled code is there. It must end well, with JSON alone on stdout.
    """
    drop = os.getuid() == 0 and anybody_enters(Path(sys.executable).resolve()) and anybody_enters(ROOT / "bot")
    user: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if drop else {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-B", "-c", SCRIPT],
            capture_output=True,
            text=True,
            cwd=folder,
            env={
                "PATH": "/usr/bin:/bin",
                "TMPDIR": folder,
                "PYTHONPATH": os.pathsep.join([str(ROOT), *(p for p in sys.path if p)]),
                "PYTHONPYCACHEPREFIX": sys.pycache_prefix or "",
            },
            check=False,
            **user,
        )
        assert 0 == done.returncode, done.stderr
        compiled = list(Path(folder).glob("pegline-*/kernel/**/*.nbc"))
    return Told(done.stderr, json.loads(done.stdout), len(compiled))


@pytest.mark.timeout(300)
def test_the_demo_starts_without_home_and_rights(demo: Told) -> None:
    """
    It ends by itself, has compiled below the temporary folder, and imported nothing of what talks to the world.
    """
    assert "imported:" == demo.said.splitlines()[-1].strip()
    assert demo.compiled


@pytest.mark.timeout(300)
def test_its_json_tells_trades_premiums_and_times(demo: Told) -> None:
    """
    Trades as the story tells them, a premium or a reason for each token, and what each part of the start took.
    """
    result = demo.result
    assert result["pnl"]["trades"] > 0 and result["told"]["trade"] == result["pnl"]["trades"]
    assert any(fill["intent"].startswith("mint_redeem-") for fill in result["fills"]) and result["told"]["conversion"]
    assert all(line["reason"] or line["premium_bps"] is not None for line in result["premia"])
    assert {"import", "kernel", "first_premium", "total"} == set(result["timing_s"])


@pytest.mark.timeout(300)
def test_the_same_seed_tells_the_same_story_live_and_replayed(demo: Told) -> None:
    """
    Through feed, inbox and event loop at a pace, or in another process in blocks of a thousand rows, with the watch
    over pegs: the same lines and the same hash over all decision records.
    """
    again = play(seed=SEED)
    assert [line.text for line in again.show.lines] == [line["text"] for line in demo.result["story"]]
    assert again.hash == demo.result["journal_hash"]
