"""The fence: how often this state folder was started, on disk before the first order of a start can leave.

It stands in the client ids of all that a start sends, so that an order of an earlier one is known as ours.
The folder has a name of its own besides: what another pegline sends on the same account is not ours.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from connectors.client_ids import STARTS, Fence
from connectors.errors import DataError

FILE: Final = "fence"


class _Kept(msgspec.Struct, frozen=True):
    """What the file holds."""

    installation: str
    start: int


def next_fence(state: Path, now: int) -> Fence:
    """Counts one start more, at `now` (ns UTC). To be called by who holds the folder's lock.

    Raises DataError where the file cannot be read or written: a start that is not counted could send ids that an
    earlier one has used.
    """
    path = state / FILE
    kept = _kept(path, now)
    fence = Fence(kept.installation, kept.start + 1)
    if fence.start >= STARTS:
        raise DataError("it counts no more starts", where=str(path), hint="begin with another [run] state_dir")
    new = path.with_name(f"{FILE}.new")
    try:
        with new.open("wb") as file:
            file.write(msgspec.json.encode(_Kept(*fence)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise DataError(f"the start cannot be counted: {error.strerror}", where=str(path)) from error
    return fence


def _kept(path: Path, now: int) -> _Kept:
    """What was counted so far; a folder without the file gets its name now."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return _Kept(blake2b(f"{now} {os.getpid()} {path.resolve()}".encode(), digest_size=3).hexdigest(), 0)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"the number of starts cannot be read: {error}",
            where=str(path),
            hint="put back a copy, or remove it: then orders that earlier starts have left at venues are not known as "
            "ours; cancel them by hand first",
        ) from error
    if len(kept.installation) != 6 or not 0 <= kept.start < STARTS:
        raise DataError("what it holds is no number of starts", where=str(path), hint="put back a copy")
    return kept
