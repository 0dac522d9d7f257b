"""Writing a tape: rows are kept until a part is full or flushed, and a part appears whole or not at all.

After kill -9 the tape holds everything up to the last flush and stays readable.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.errors import TapeError
from connectors.events import FIELDS, ROW, Rows
from connectors.instruments import Instrument, Universe
from connectors.tape_format import (
    FLOATS,
    GROUP_ROWS,
    PART_GLOB,
    PARTIAL,
    SCHEMA,
    TIMES,
    UNIVERSE_FILE,
    part_name,
    read_header,
    settle,
    side_path,
    sync,
    write_header,
)

_SAMPLE: Final = 16_384
_BUSY: Final = 0.5
"""A float column with more distinct values than this share of a sample overflows its dictionary: stored plain."""


class TapeWriter:
    """Writes one tape. One thread at a time; a part is rewritten under its name until it is full, so many flushes
    still give few files. Use as a context, or call `close`."""

    def __init__(
        self, path: Path, universe: Universe, provenance: dict[str, Any] | None = None, *, resume: bool = False
    ) -> None:
        """Makes the folder and universe.json.

        With `resume` a tape that is already there is continued: its instruments must be the first ones of
        `universe`. Raises TapeError where there is something in the folder and `resume` is not said.
        """
        self.path = path
        self.universe = universe
        self.provenance = dict(provenance or {})
        self._parts = 0
        self._buffer = {name: np.empty(GROUP_ROWS, ROW[name]) for name in FIELDS}
        """The part that is being filled; its first `_waiting` rows count."""
        self._waiting = 0
        self._dirty = False
        self._last_ns = int(np.iinfo(np.int64).min)
        self._sides: dict[str, int] = {}
        self._notes: dict[str, list[bytes]] = {}
        self._closed = False
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            if not resume or not (path / UNIVERSE_FILE).exists():
                raise TapeError("there is something here already", where=str(path), hint="choose another folder")
            self._resume()
        path.mkdir(parents=True, exist_ok=True)
        write_header(path, self.universe, self.provenance)

    def append(self, rows: Rows) -> None:
        """Takes a block of rows; a full part goes to disk at once.

        Raises TapeError, having taken nothing, for rows out of order, of an unknown instrument, or with an infinity.
        """
        self._open()
        if not len(rows):
            return
        self._check(rows)
        self._last_ns = int(rows.ts_recv[-1])
        self._dirty = True
        at = 0
        while at < len(rows):
            piece = rows[at : at + GROUP_ROWS - self._waiting]
            at += len(piece)
            self._hold(piece)
            if self._waiting == GROUP_ROWS:
                self._write_part()
                self._parts, self._waiting = self._parts + 1, 0

    def side(self, name: str, record: Any) -> int:
        """Adds an exact record (anything JSON) to a side table; returns the index that a row's `extra` carries."""
        self._open()
        if name not in self._sides:
            self._sides[name] = _settled_lines(side_path(self.path, name))
        self._notes.setdefault(name, []).append(msgspec.json.encode(record) + b"\n")
        self._sides[name] += 1
        return self._sides[name] - 1

    def add_instruments(self, instruments: tuple[Instrument, ...]) -> None:
        """Adds instruments behind those that are there. Raises RegistryError for a name that stands already."""
        self._open()
        self.universe = Universe(self.universe.instruments + instruments)
        write_header(self.path, self.universe, self.provenance)

    def flush(self) -> None:
        """Makes everything so far durable and readable. Costs at most one part (262,144 rows) of writing."""
        self._open()
        if self._dirty and self._waiting:
            self._write_part()
        else:
            self._write_sides()
        self._dirty = False

    def close(self) -> None:
        """Flushes and ends. May be called twice."""
        if not self._closed:
            self.flush()
            self._closed = True

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes; after an error what was flushed stays and the rest is dropped."""
        if kind is None:
            self.close()
        self._closed = True

    def _hold(self, rows: Rows) -> None:
        """Copies rows that fit into the part that is being filled."""
        for name in FIELDS:
            self._buffer[name][self._waiting : self._waiting + len(rows)] = getattr(rows, name)
        self._waiting += len(rows)

    def _open(self) -> None:
        if self._closed:
            raise TapeError("the tape is closed", where=str(self.path))

    def _check(self, rows: Rows) -> None:
        """Refuses a block that would break the tape."""
        ts = rows.ts_recv
        late = _first(ts[1:] < ts[:-1])
        if ts[0] < self._last_ns or late is not None:
            at = 0 if ts[0] < self._last_ns else int(late or 0) + 1
            raise TapeError(f"ts_recv goes back at row {at} of the block", where=str(self.path))
        known = len(self.universe)
        stray = _first((rows.instrument < 0) | (rows.instrument >= known))
        if stray is not None:
            raise TapeError(
                f"instrument {rows.instrument[stray]} at row {stray} of the block; there are {known}",
                where=str(self.path),
                hint="add_instruments first",
            )
        for name in FLOATS:
            endless = _first(np.isinf(getattr(rows, name)))
            if endless is not None:
                raise TapeError(f"{name} is infinite at row {endless} of the block", where=str(self.path))

    def _write_part(self) -> None:
        """Writes what is held as the current part, replacing a shorter one of that name."""
        self._write_sides()
        held = {name: values[: self._waiting] for name, values in self._buffer.items()}
        table = pa.table([pa.array(held[name]) for name in FIELDS], schema=SCHEMA)
        busy = [name for name in FLOATS if _busy(held[name])]
        packed = [name for name in FIELDS if name not in busy]
        path = self.path / part_name(self._parts)
        partial = path.with_name(path.name + PARTIAL)
        pq.write_table(
            table,
            partial,
            row_group_size=GROUP_ROWS,
            compression={name: "none" if name in busy else "zstd" for name in FIELDS},
            compression_level=dict.fromkeys(packed, 1),
            use_dictionary=[name for name in packed if name not in TIMES],
            column_encoding={**dict.fromkeys(TIMES, "DELTA_BINARY_PACKED"), **dict.fromkeys(busy, "PLAIN")},
            write_page_checksum=True,
            store_schema=False,
        )
        settle(partial, path)

    def _write_sides(self) -> None:
        """Appends new records to the side tables, before the rows that point to them."""
        for name, lines in self._notes.items():
            path = side_path(self.path, name)
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                file.write(b"".join(lines))
                file.flush()
                os.fsync(file.fileno())
            sync(path.parent)
        self._notes.clear()

    def _resume(self) -> None:
        """Takes up a tape where its last flush left it."""
        before, provenance = read_header(self.path)
        if self.universe.instruments[: len(before)] != before.instruments:
            raise TapeError("its instruments differ from ours", where=str(self.path), hint="record into a new folder")
        self.provenance = {**provenance, **self.provenance}
        for partial in self.path.glob("*" + PARTIAL):
            partial.unlink()
        parts = sorted(self.path.glob(PART_GLOB))
        if not parts:
            return
        try:
            table = pq.read_table(parts[-1], schema=SCHEMA)
        except (pa.ArrowException, OSError) as error:
            raise TapeError(f"cannot be read: {error}", where=str(parts[-1]), hint="pegline tape verify") from None
        self._last_ns = int(table["ts_recv"][-1].as_py())
        self._parts = len(parts)
        if len(table) < GROUP_ROWS:
            self._parts -= 1
            self._hold(Rows(**{name: table[name].to_numpy() for name in FIELDS}))


def _settled_lines(path: Path) -> int:
    """Whole lines of a side table; a line torn by a crash is cut off, no row can point to it."""
    if not path.exists():
        return 0
    text = path.read_bytes()
    if not text.endswith(b"\n"):
        text = text[: text.rfind(b"\n") + 1]
        os.truncate(path, len(text))
    return text.count(b"\n")


def _busy(values: npt.NDArray[np.float64]) -> bool:
    """Whether a column has too many distinct values for a dictionary, judged by an evenly spread sample."""
    sample: npt.NDArray[np.float64] = values[:: max(1, len(values) // _SAMPLE)]
    return len(sample) >= 256 and len(np.unique(sample)) > _BUSY * len(sample)


def _first(wrong: npt.NDArray[np.bool_]) -> int | None:
    """Place of the first True, or None."""
    return int(np.argmax(wrong)) if wrong.any() else None
