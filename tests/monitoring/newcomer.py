"""A newcomer's machine: no home, no rights, sources that cannot be written; the demo runs there as its user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
ABSENT = ("ccxt", "web3", "yfinance", "solders", "pandas")
UNCOMPILED = "lag."
"""The part of the kernel that a newcomer's machine has to compile by itself; all of it takes half a minute."""
SCRIPT = f"""
import sys
from bot.cli import main
code = main(["demo", "--seconds", "1", "--seed", "{{seed}}", "--json"])
print("imported:", *(name for name in {ABSENT!r} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


@dataclass
class Told:
    """What a demo said."""

    said: str
    result: dict[str, Any]
    compiled: int
    """How many files of compiled code it made below the temporary folder."""


def demo(seed: int) -> Told:
    """
    The demo in a process of its own with an empty environment, as a user who owns nothing where that can be tried;
    only compiled code is there, in the folder of that user. It must end well, with JSON alone on stdout.
    """
    drop = os.getuid() == 0 and _anybody_enters(Path(sys.executable).resolve()) and _anybody_enters(ROOT / "bot")
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if drop else {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        own = Path(folder) / f"pegline-{NOBODY if drop else os.getuid()}"
        kernel, left_out = os.environ["NUMBA_CACHE_DIR"], shutil.ignore_patterns(UNCOMPILED + "*")
        shutil.copytree(kernel, own / "kernel", ignore=left_out)
        if drop:
            for path in (own, *own.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        done = subprocess.run(
            [sys.executable, "-B", "-c", SCRIPT.format(seed=seed)],
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
        compiled = list((own / "kernel").glob(f"**/{UNCOMPILED}*.nbc"))
    return Told(done.stderr, json.loads(done.stdout), len(compiled))


def _anybody_enters(path: Path) -> bool:
    """Whether any user may enter all folders above a path."""
    return all(above.stat().st_mode & 0o001 for above in path.parents)
