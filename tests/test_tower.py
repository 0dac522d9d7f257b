"""The tower stands: imports go down only, in no circle, and a break would be seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("bot", "monitoring", "strategies", "connectors")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """The import contracts, judged on the tree in `folder`."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    wide = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=wide, check=False)


def test_the_contracts_are_kept() -> None:
    """
    Every import contract of pyproject.toml holds.
    """
    done = lint(ROOT)
    assert 0 == done.returncode, done.stdout


BREAKS = {
    "a strategy listens to a socket": ("strategies/cross_venue.py", "import connectors.socket", "Strategies see"),
    "a strategy waits": ("strategies/cross_venue.py", "import asyncio", "Strategies see"),
    "a strategy looks up": ("strategies/cross_venue.py", "import bot.paths", "The tower"),
    "the face reads files": ("connectors/events.py", "import connectors.tape", "The face is pure"),
    "a window looks behind the face": ("monitoring/__init__.py", "import connectors.tape", "Monitoring never"),
    "venues know each other": ("connectors/simulated/world.py", "import connectors.cex", "Rooms of the ground floor"),
    "a file without a place": ("connectors/helpers.py", "import connectors.errors", "Rooms of the ground floor"),
    "a command opens a door": ("bot/commands/version.py", "import connectors.cex", "Only bot.wiring"),
    "ccxt gets out": ("connectors/poll.py", "import ccxt", "ccxt only"),
    "a run gets a signer": ("bot/wiring.py", "import connectors.evm.executor", "Nothing that runs has a signer"),
    "a run opens a wallet": ("bot/daemon.py", "import bot.wallet_wiring", "Only the operator's command opens a wallet"),
    "a command makes a frame": ("bot/commands/version.py", "import pandas", "knows pandas"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the four floors and their contracts."""
    folder = tmp_path_factory.mktemp("tower")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for floor in FLOORS:
        shutil.copytree(ROOT / floor, folder / floor, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def planted(copy: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The copy with one import too many; gives the contract that must see it."""
    file, line, contract = BREAKS[request.param]
    path = copy / file
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    yield contract
    if before is None:
        path.unlink()
    else:
        path.write_text(before, encoding="utf-8")


@pytest.mark.parametrize("planted", BREAKS, indirect=True)
def test_a_break_would_be_seen(planted: str, copy: Path) -> None:
    """
    With one import planted that breaks a rule, the contract of that rule is the one that is broken.
    """
    done = lint(copy)
    assert 1 == done.returncode
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert [line for line in broken if planted in line], done.stdout


def test_no_files_import_each_other_in_a_circle() -> None:
    """
    From no file can one follow imports and come back to it.
    """
    graph = grimp.build_graph(*FLOORS, cache_dir=None, exclude_type_checking_imports=True)
    imports = {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    while leaves := {name for name, to in imports.items() if not to}:
        imports = {name: to - leaves for name, to in imports.items() if name not in leaves}
    assert {} == imports
