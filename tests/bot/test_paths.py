"""Where things may be written, also for a newcomer without a home, and where nothing may be written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bot.paths import cache_dir, state_dir
from connectors.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "/proc/none"
"""A place where not even root can make a folder."""


@pytest.fixture
def said() -> list[str]:
    """What the operator was told."""
    return []


def test_the_configured_folder_is_taken(tmp_path: Path, said: list[str]) -> None:
    """
    What the config names is made and taken, and there is nothing to say about it.
    """
    assert tmp_path / "a" / "b" == state_dir(str(tmp_path / "a" / "b"), {}, said.append)
    assert (tmp_path / "a" / "b").is_dir()
    assert [] == said


def test_the_user_s_folders_come_next(tmp_path: Path, said: list[str]) -> None:
    """
    Without a wish the XDG folders are taken, and below the home where those are not set.
    """
    assert tmp_path / "pegline" == state_dir("", {"XDG_STATE_HOME": str(tmp_path)}, said.append)
    assert tmp_path / ".local/state/pegline" == state_dir("", {"HOME": str(tmp_path)}, said.append)
    assert tmp_path / ".cache/pegline" == cache_dir({"HOME": str(tmp_path)})
    assert [] == said


def test_a_wish_that_cannot_be_met_is_told_once(tmp_path: Path, said: list[str]) -> None:
    """
    Where the configured folder cannot be written, another is taken and the operator is told which.
    """
    assert tmp_path / "pegline" == state_dir(NOWHERE, {"XDG_STATE_HOME": str(tmp_path)}, said.append)
    assert [f"{NOWHERE} cannot be written; state is kept in {tmp_path / 'pegline'}"] == said


def test_without_a_home_a_temporary_folder_serves(tmp_path: Path, said: list[str]) -> None:
    """
    A user without a home gets a folder of their own among the temporary files, closed to others, and one warning.
    """
    folder = state_dir("", {"TMPDIR": str(tmp_path)}, said.append)
    assert tmp_path / f"pegline-{os.getuid()}" == folder
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 1 == len(said)
    assert "does not outlive a restart" in said[0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_stranger_s_folder_is_not_used(tmp_path: Path) -> None:
    """
    In a place that all users share, a folder that another user made could hold code: it is left alone.
    """
    tmp_path.chmod(0o1777)
    other = tmp_path / f"pegline-{os.getuid()}"
    other.mkdir()
    os.chown(other, 65534, 65534)
    assert other != cache_dir({"TMPDIR": str(tmp_path)})


def reachable(path: Path) -> bool:
    """Whether any user may enter all folders above a path."""
    return all(above.stat().st_mode & 0o001 for above in path.parents)


def as_nobody(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs Python on our sources without a home; where the interpreter allows it, as a user who owns nothing."""
    path = os.pathsep.join([str(ROOT), *(p for p in sys.path if p)])
    drop = os.getuid() == 0 and reachable(Path(sys.executable).resolve()) and reachable(ROOT / "bot")
    user: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if drop else {}
    return subprocess.run(
        [sys.executable, "-B", "-c", script],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path, **environ},
        check=False,
        **user,
    )


def test_the_compiler_is_told_where_to_keep_its_work() -> None:
    """
    Without a home and with read-only sources the cache is a folder that can be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        script = (
            "import os; from bot.paths import prepare_kernel; prepare_kernel(); print(os.environ['NUMBA_CACHE_DIR'])"
        )
        done = as_nobody(script, TMPDIR=folder)
        assert (0, "") == (done.returncode, done.stderr)
        assert Path(folder) == Path(done.stdout.strip()).parent.parent


def test_nowhere_to_write_is_one_error_that_says_what_to_do(said: list[str]) -> None:
    """
    What needs a folder and finds none says how to name one; compiled code is then not kept.
    """
    places = {"TMPDIR": NOWHERE, "XDG_STATE_HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE}
    assert cache_dir(places, NOWHERE) is None
    with pytest.raises(DataError, match="no folder can be written"):
        state_dir(NOWHERE, places, said.append, NOWHERE)
