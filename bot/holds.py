"""Holds on disk: what is held back, by whom and why, kept in the state folder so that no crash loses it.

`latch.json` is replaced as a whole (fsync, rename). The file `KILL` halts by being there, whatever is in it: it is
looked at wherever an order leaves, so that `touch KILL` works. What cannot be read halts, beside what its twin
`latch.json.last` says.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from connectors.errors import DataError
from strategies.execution.latch import ALL, FLAG, Hold, Latch, Mode

FILE: Final = "latch.json"
LAST: Final = "latch.json.last"
"""The same again, written first: so that holds outlive a file that somebody, or the disk, has spoilt."""
KILL: Final = "KILL"
LOCK: Final = "latch.lock"
OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE)
"""The process, or the machine, may open no more."""
REMEMBERED: Final = 100
"""Ends of holds that the file keeps; the journal has them all."""
_UNREADABLE: Final = (OSError, ValueError, RecursionError)
"""How a spoilt file shows: text that is no UTF-8 is a ValueError that is none of msgspec's."""


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody took the holds of a scope back."""

    number: int
    scope: str
    modes: tuple[Mode, ...]
    why: str
    by: str
    at: int
    """ns UTC."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds."""

    latch: Latch = Latch()
    resumed: tuple[Resumed, ...] = ()
    """The last ends of holds, oldest first."""


class Holds:
    """The holds of one state folder; any process and any thread may change them."""

    def __init__(self, state: Path) -> None:
        """Of this folder, which must exist. Touches nothing."""
        self.state = state

    def read(self, now: int) -> Kept:
        """What is in force at `now`, ns UTC: what is kept, and a halt where only the file KILL says so.

        Raises DataError where this process may open no more files.
        """
        kept = self._kept(now)
        if not self.flagged() or any((hold.scope, hold.mode) == (ALL, Mode.HALT) for hold in kept.latch.holds):
            return kept
        halt = Hold(scope=ALL, mode=Mode.HALT, cause=FLAG, why=self._words(), at=self._since(now))
        return msgspec.structs.replace(kept, latch=kept.latch.set(halt))

    def _kept(self, now: int) -> Kept:
        """What the file holds of `now`. What cannot be read is a halt beside what its twin says, unless it is we who
        cannot open any file."""
        try:
            kept = msgspec.json.decode((self.state / FILE).read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except _UNREADABLE as error:
            if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
                raise DataError(f"no file can be opened: {error.strerror}", where=str(self.state / FILE)) from error
            why = f"{self.state / FILE} cannot be read: {error}"
            halt = Hold(scope=ALL, mode=Mode.HALT, cause=FLAG, why=why, at=now)
            try:
                kept = msgspec.json.decode((self.state / LAST).read_bytes(), type=Kept)
            except _UNREADABLE:
                kept = Kept()
            kept = msgspec.structs.replace(kept, latch=kept.latch.set(halt))
        return msgspec.structs.replace(kept, latch=kept.latch.without_past(now))

    def flagged(self) -> bool:
        """Whether the file KILL is there."""
        return os.path.lexists(self.state / KILL)

    def stamp(self) -> tuple[int, int, bool]:
        """Changes whenever the holds do."""
        try:
            found = (self.state / FILE).stat()
        except OSError:
            return 0, 0, self.flagged()
        return found.st_mtime_ns, found.st_ino, self.flagged()

    def kill(self, hold: Hold) -> None:
        """Halts everything: first by the file KILL, which needs neither room on the disk nor a file that may be opened,
        then in the latch.

        Raises DataError where the folder takes no file, and where the latch cannot be kept: then the file halts alone.
        """
        flag = self.state / KILL
        try:
            _appear(flag)
        except OSError as error:
            if not self.flagged():  # whatever stands under that name halts
                raise DataError(f"cannot be halted: {error.strerror}", where=str(flag)) from error
        with suppress(OSError), flag.open("wb") as file:  # that it is there is enough
            file.write(f"{hold}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # a disk that refuses this refuses the latch too, which is told
            self._sync()
        try:
            self.set(hold)
        except DataError as error:
            raise DataError(
                f"everything is halted, by this file alone: {error.what}", where=str(flag), hint="leave it there"
            ) from error

    def set(self, hold: Hold) -> None:
        """Adds a hold. Raises DataError where it cannot be kept."""
        with self._locked():
            kept = self._kept(hold.at)
            self._write(msgspec.structs.replace(kept, latch=kept.latch.set(hold)))

    def resume(self, scope: str, modes: Iterable[Mode], *, why: str, by: str, now: int) -> tuple[Hold, ...]:
        """Takes the holds of these modes on a scope back, and gives those that were. Raises DataError as `set`."""
        gone = tuple(modes)
        with self._locked():
            kept = self.read(now)
            number = kept.resumed[-1].number + 1 if kept.resumed else 1
            one = Resumed(number=number, scope=scope, modes=gone, why=why, by=by, at=now)
            latch = kept.latch.lifted(scope, gone)
            self._write(Kept(latch=latch, resumed=(*kept.resumed, one)[-REMEMBERED:]))
            if scope == ALL and Mode.HALT in gone:
                # Last: until here the file halts, so that a crash in between lifts nothing.
                self._unflag()
        return tuple(hold for hold in kept.latch.holds if hold not in latch.holds)

    def _unflag(self) -> None:
        """Takes the file KILL away. Raises DataError where it stays: then it halts on."""
        try:
            (self.state / KILL).unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise DataError(
                f"everything stays halted: {error.strerror}", where=str(self.state / KILL), hint="remove it by hand"
            ) from error

    def _write(self, kept: Kept) -> None:
        new = self.state / f"{FILE}.new"
        try:
            for name in (LAST, FILE):
                with new.open("wb") as file:
                    file.write(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self.state / name)
                self._sync()
        except OSError as error:
            raise DataError(f"the hold cannot be kept: {error.strerror}", where=str(self.state / FILE)) from error

    def _sync(self) -> None:
        """Makes names in the folder durable."""
        folder = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, over processes."""
        try:
            file = os.open(self.state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DataError(f"the hold cannot be kept: {error.strerror}", where=str(self.state / LOCK)) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _words(self) -> str:
        """What stands in the file KILL, or that it is there."""
        try:
            said = (self.state / KILL).read_bytes()[:200].decode(errors="replace").strip()
        except OSError:
            said = ""
        return said or f"the file {KILL} is there"

    def _since(self, now: int) -> int:
        with suppress(OSError):
            return (self.state / KILL).lstat().st_mtime_ns
        return now


def _appear(path: Path) -> None:
    """Makes an empty file where there is none. Raises OSError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        if error.errno not in OUT_OF_FILES:
            raise
        with suppress(FileExistsError):
            os.mknod(path, 0o644)
