"""One pegline per state folder: a lock that the system lets go of with the process, however that ends."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bot.errors import AlreadyRunning
from connectors.errors import DataError

FILE: Final = "lock"


class StateLock:
    """Held from construction until `release`. The file stays: deleting it would let two processes lock two files.

    The lock is the system's (flock), so kill -9 leaves nothing to clean up; the text in the file is only for people.
    """

    def __init__(self, state_dir: Path) -> None:
        """Takes the lock of a state folder, which is made where absent.

        Raises AlreadyRunning, naming the process that holds it, and DataError where the folder cannot be written.
        """
        self.path = state_dir / FILE
        self._file: int | None = None
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DataError(f"the state folder cannot be written: {error.strerror}", where=str(state_dir)) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps({"pid": os.getpid()}).encode() + b"\n", 0)
        except BlockingIOError as error:
            os.close(file)
            pid = holder(state_dir)
            raise AlreadyRunning(
                f"another pegline ({f'process {pid}' if pid else 'its number is not written yet'}) runs on this state",
                where=str(state_dir),
                hint="stop it first, or give this one another state_dir",
            ) from error
        except OSError as error:
            os.close(file)
            raise DataError(f"the state folder cannot be locked: {error.strerror}", where=str(state_dir)) from error
        self._file = file

    def tell(self, url: str) -> None:
        """Writes where this process answers, for `pegline quote`; nothing else goes by it."""
        if self._file is not None:
            written = json.dumps({"pid": os.getpid(), "url": url}).encode() + b"\n"
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, written, 0)

    def release(self) -> None:
        """Lets go; again is no harm."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        """The lock itself, already held."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Releases."""
        self.release()


def holder(state_dir: Path) -> int | None:
    """The process that wrote itself into the lock file last, or None; only the lock itself says if it still runs."""
    try:
        written = json.loads((state_dir / FILE).read_bytes())
        return int(written["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def door(state_dir: Path) -> tuple[int, str]:
    """The process that wrote itself into the lock file last and where it answers; (0, "") where nobody did.

    It may be gone: only its answer says that it is there. The lock is not tried, for that could keep another process
    from starting.
    """
    try:
        written = json.loads((state_dir / FILE).read_bytes())
        return int(written["pid"]), str(written.get("url", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0, ""
