"""A venue more is one file and one line: tried on a copy of the house, with a venue that does everything otherwise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("bot", "connectors", "tests")
"""Folders that a venue more concerns; the others are found where they are, with what was compiled of them."""
LINE = '    "ninth": "connectors.cex.ninth",\n'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house with the ninth venue in it: its file, its line, and its stall in the suite."""
    folder = tmp_path_factory.mktemp("house")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
    shutil.copy(ROOT / "tests/ninth/ninth.py", folder / "connectors/cex/ninth.py")
    shutil.copy(ROOT / "tests/ninth/stall_ninth.py", folder / "tests/conformance/stall_ninth.py")
    wiring = folder / "bot/wiring.py"
    text = wiring.read_text(encoding="utf-8")
    wiring.write_text(re.sub(r"^FEEDS: .*\n", lambda m: m[0] + LINE, text, count=1, flags=re.M), encoding="utf-8")
    return folder


def run(house: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in the copy, which is found before the house itself."""
    found = {**os.environ, "PYTHONPATH": str(house), "NO_COLOR": "1"}
    return subprocess.run(words, cwd=house, env=found, capture_output=True, text=True, timeout=110, check=False)


def test_the_ninth_venue_passes_the_suite_that_all_connectors_pass(house: Path) -> None:
    """
    Every case of the conformance suite holds for it, with another heartbeat, sequence, number format and case.
    """
    done = run(
        house, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance", "-k", "ninth"
    )
    cases = len(re.findall(r"^async def test_", (house / "tests/conformance/test_conformance.py").read_text(), re.M))
    assert 0 == done.returncode, done.stdout
    assert f"{cases} passed" in done.stdout


def test_the_ninth_venue_keeps_the_contracts_and_the_types(house: Path) -> None:
    """
    Its one file obeys the import contracts and the strict types of the house.
    """
    lint = run(house, str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert 0 == lint.returncode, lint.stdout
    types = run(house, sys.executable, "-m", "mypy", "--strict", "-m", "connectors.cex.ninth")
    assert 0 == types.returncode, types.stdout


def test_a_config_may_name_the_ninth_venue(house: Path, tmp_path: Path) -> None:
    """
    `pegline check` knows it by that line alone, and does not know it without.
    """
    config = tmp_path / "config.toml"
    config.write_text('[venues.ninth]\nkind = "cex"\nfeed = "ninth"\n')
    assert 0 == run(house, sys.executable, "-m", "bot", "check", str(config)).returncode
    assert 3 == run(ROOT, sys.executable, "-m", "bot", "check", str(config)).returncode
