"""Where things may be written: the state folder, and the cache of compiled code. The one place that looks for one."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from connectors.errors import DataError

UNCACHED: Final = "PEGLINE_UNCACHED"
"""Set to 1 where no folder can keep compiled code: then it is compiled anew at each start."""
_MEMORY: Final = "/dev/shm"


def say(text: str) -> None:
    """Talks to the operator on stderr."""
    print(f"pegline: {text}", file=sys.stderr)


def state_dir(
    configured: str = "",
    environ: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = say,
    memory: str = _MEMORY,
) -> Path:
    """The folder for the journal, the lock and tapes, made where it does not exist.

    `configured` is [run] state_dir (relative to the present folder); where that is empty or cannot be written,
    $XDG_STATE_HOME/pegline, ~/.local/state/pegline, or a folder of this user among the temporary files is taken.
    `memory` is the last resort. A wish that could not be met, and a folder that a restart of the machine empties, are
    warned of once.
    Raises DataError where nothing can be written.
    """
    environ = os.environ if environ is None else environ
    wished = [Path(configured).expanduser()] if configured and not configured.startswith("~") else []
    if configured.startswith("~") and environ.get("HOME"):
        wished = [Path(environ["HOME"]) / configured.lstrip("~/")]
    for folder in (*wished, *_homes(environ, "XDG_STATE_HOME", ".local/state"), *_temporary(environ, memory)):
        if not _usable(folder):
            continue
        if folder in _temporary(environ, memory):
            warn(f"state is kept in {folder}, which does not outlive a restart of the machine")
        elif wished and folder != wished[0]:
            warn(f"{wished[0]} cannot be written; state is kept in {folder}")
        return folder
    raise DataError(
        "no folder can be written", where=configured or "state", hint="name one: [run] state_dir, or set XDG_STATE_HOME"
    )


def cache_dir(environ: Mapping[str, str] | None = None, memory: str = _MEMORY) -> Path | None:
    """The folder for compiled code: $XDG_CACHE_HOME/pegline, ~/.cache/pegline, or temporary; None where none can be."""
    environ = os.environ if environ is None else environ
    folders = (*_homes(environ, "XDG_CACHE_HOME", ".cache"), *_temporary(environ, memory))
    return next((folder for folder in folders if _usable(folder)), None)


def prepare_kernel(warn: Callable[[str], None] = say) -> None:
    """Tells the compiler where to keep its work. To be called before the kernel is imported.

    A folder that the operator chose (NUMBA_CACHE_DIR) stays. Where nothing can be written, the kernel is compiled
    uncached, with one warning.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen and _usable(Path(chosen)):
        return
    folder = cache_dir()
    if folder is not None:
        os.environ["NUMBA_CACHE_DIR"] = str(folder / "kernel")
        return
    os.environ.pop("NUMBA_CACHE_DIR", None)
    if os.environ.get(UNCACHED) != "1":
        os.environ[UNCACHED] = "1"
        warn("no folder can be written, so the kernel is compiled anew at each start (set NUMBA_CACHE_DIR)")


def _homes(environ: Mapping[str, str], variable: str, below: str) -> Iterator[Path]:
    """The user's folder by the XDG rules; none without a home."""
    if environ.get(variable):
        yield Path(environ[variable]) / "pegline"
    elif environ.get("HOME"):
        yield Path(environ["HOME"]) / below / "pegline"


def _temporary(environ: Mapping[str, str], memory: str) -> tuple[Path, ...]:
    """Folders of this user among the temporary files."""
    name = f"pegline-{os.getuid()}"
    return tuple(Path(root) / name for root in (environ.get("TMPDIR") or "/tmp", memory))


def _usable(folder: Path) -> bool:
    """Whether the folder exists or can be made, is ours, and takes a file.

    In a place that all users share, a folder of another user could hold code that is then run: it is not used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = folder.parent.stat().st_mode & 0o002
        if shared and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
