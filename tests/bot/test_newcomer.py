"""A newcomer's machine: no home, no rights, sources that cannot be written; the demo starts all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("ccxt", "web3", "yfinance", "solders", "pandas")
SCRIPT = f"""
import sys
from bot.cli import main
code = main(["demo", "--seconds", "1", "--json"])
print("imported:", *(name for name in {ABSENT!r} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


def anybody_enters(path: Path) -> bool:
    """Whether any user may enter all folders above a path."""
    return all(above.stat().st_mode & 0o001 for above in path.parents)


@pytest.mark.timeout(180)
def test_the_demo_starts_without_home_and_rights() -> None:
    """
    With an empty environment, as a user who owns nothing where that can be tried, the demo ends well: it writes below
    the temporary folder only, and imports nothing of what talks to the world.
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
            },
            check=False,
            **user,
        )
        assert 0 == done.returncode, done.stderr
        assert "imported:" == done.stderr.splitlines()[-1].strip()
        assert json.loads(done.stdout)["journal_hash"]
        compiled = list(Path(folder).glob("pegline-*/kernel/**/*.nbc"))
        assert compiled
