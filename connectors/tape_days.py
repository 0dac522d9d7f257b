"""A recording: a folder with one tape for each day (UTC), written day by day and read as one.

out/2026-11-26/      a whole tape of that day, fit to be read, copied or removed by itself
out/2026-11-26.2/    the rest of that day, after the instruments had changed
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from connectors.errors import TapeError
from connectors.events import NS, Kind, Rows
from connectors.instruments import Instrument, Universe
from connectors.ports import Levels
from connectors.tape_format import UNIVERSE_FILE, read_header
from connectors.tape_write import TapeWriter

DAY_NS: Final = 86_400 * NS
_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.([1-9]\d{0,3}))?")


def days(folder: Path) -> list[Path]:
    """The tapes of a recording, oldest first; none where the folder is no recording."""
    if not folder.is_dir():
        return []
    found = [(match[1], int(match[2] or 1), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, _, path in sorted(found) if (path / UNIVERSE_FILE).exists()]


def day_of(ns: int) -> str:
    """The day of a moment (ns UTC), as its tape is called."""
    return datetime.fromtimestamp(ns // NS, UTC).strftime("%Y-%m-%d")


class DayWriter:
    """Writes a recording: every row to the tape of its day. One thread at a time."""

    def __init__(self, folder: Path, universe: Universe, provenance: dict[str, Any] | None = None) -> None:
        """Goes on with the recording that is in `folder`; an absent or empty folder begins one.

        Raises TapeError where there is something else in it.
        """
        self.folder, self.universe = folder, universe
        self._provenance = dict(provenance or {})
        self._tape: TapeWriter | None = None
        self._day = -1
        if (folder / UNIVERSE_FILE).exists():
            raise TapeError(
                "this is one tape, and a recording is a folder of days", where=str(folder), hint="choose another folder"
            )
        if folder.exists() and not folder.is_dir():
            raise TapeError("there is a file of this name", where=str(folder), hint="choose another folder")
        strangers = [path.name for path in folder.iterdir() if not _ours(path.name)] if folder.exists() else []
        if strangers:
            raise TapeError(
                f"there is something else here already: {sorted(strangers)[0]}",
                where=str(folder),
                hint="choose another folder",
            )

    def begin(self, now: int) -> None:
        """Opens the tape of the day of `now` (ns UTC): what is wrong with it is known at once. Raises TapeError."""
        self._turn(now // DAY_NS)

    def append(self, rows: Rows, levels: Mapping[int, Levels] | None = None) -> None:
        """Takes rows as TapeWriter.append does; a new day ends the tape of the old one. Raises TapeError."""
        while len(rows):
            day = int(rows.ts_recv[0]) // DAY_NS
            count = int(np.searchsorted(rows.ts_recv, (day + 1) * DAY_NS))
            if day != self._day or self._tape is None:
                self._turn(day)
            assert self._tape is not None
            self._tape.append(rows[:count], levels)
            rows = rows[count:]

    def flush(self) -> None:
        """Makes everything so far durable and readable. Raises TapeError."""
        if self._tape is not None:
            self._tape.flush()

    def close(self) -> None:
        """Ends the tape of the day. May be called twice. Raises TapeError."""
        if self._tape is not None:
            tape, self._tape = self._tape, None
            tape.close()

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes; after an error what was flushed stays."""
        if self._tape is not None:
            self._tape.__exit__(kind, error, at)

    def _turn(self, day: int) -> None:
        """Opens the tape of a day: the last one that is there, or the next where its instruments are not ours."""
        self.close()
        name = day_of(day * DAY_NS)
        before = [path for path in days(self.folder) if path.name.partition(".")[0] == name]
        path = before[-1] if before else self.folder / name
        if before:
            known = read_header(path)[0].instruments
            if self.universe.instruments[: len(known)] != known:
                path = self.folder / f"{name}.{len(before) + 1}"
        self._tape = TapeWriter(path, self.universe, self._provenance, resume=True)
        self._day = day


def _ours(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) or name in ("lock", "frames")


def joined(universes: Sequence[tuple[Path, Universe]]) -> tuple[Universe, list[list[int]]]:
    """One universe of several, and for each the new numbers of its instruments.

    Raises TapeError where one name means two things: then the tapes can only be read one by one.
    """
    found: dict[str, tuple[int, Instrument, Path]] = {}
    numbers = []
    for path, universe in universes:
        own = []
        for instrument in universe:
            at, known, where = found.setdefault(instrument.name, (len(found), instrument, path))
            if known != instrument:
                raise TapeError(
                    f"{instrument.name} is not what it was in {where.name}: {_difference(known, instrument)}",
                    where=str(path),
                    hint="read these days one by one",
                )
            own.append(at)
        numbers.append(own)
    return Universe(tuple(instrument for _, instrument, _ in found.values())), numbers


def _difference(before: Instrument, after: Instrument) -> str:
    """The first field that changed."""
    for name in before.__struct_fields__:
        if getattr(before, name) != getattr(after, name):
            return f"{name} was {getattr(before, name)!r}, is {getattr(after, name)!r}"
    return ""


SIDES: Final[Mapping[Kind, str]] = {Kind.DEPTH: "depth", Kind.MULTIPLIER: "multipliers"}
"""Kinds whose `extra` is a place in a side table, and the table's name."""
