"""The lock of a state folder: one holder, named; nothing to clean up after a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import AlreadyRunning, ExitCode, exit_code
from bot.lock import StateLock, holder
from connectors.errors import DataError

ROOT = Path(__file__).resolve().parents[2]

HOLD = "import sys; from pathlib import Path; from bot.lock import StateLock; lock = StateLock(Path(sys.argv[1]));"


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    """While another process holds the state, taking it raises AlreadyRunning with its number, which exits with 9."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD + "print('held', flush=True); sys.stdin.read()", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert "held\n" == child.stdout.readline()
        with pytest.raises(AlreadyRunning, match=str(child.pid)) as caught:
            StateLock(tmp_path)
        assert ExitCode.ALREADY_RUNNING == exit_code(caught.value)
        child.send_signal(signal.SIGKILL)
    with StateLock(tmp_path):
        assert child.pid != holder(tmp_path)


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    """Release lets the next one in, in the same process too, and releasing twice does no harm."""
    first = StateLock(tmp_path)
    with pytest.raises(AlreadyRunning):
        StateLock(tmp_path)
    first.release()
    first.release()
    assert holder(tmp_path) is None
    StateLock(tmp_path).release()


def test_the_state_folder_is_made(tmp_path: Path) -> None:
    """A first start needs no folder."""
    with StateLock(tmp_path / "a" / "b") as lock:
        assert lock.path.is_file()


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """Where a file stands in the way the error names the folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="state folder"):
        StateLock(tmp_path / "file" / "state")
