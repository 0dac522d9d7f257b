"""Writing a tape: a flush appends what is new to the log; now and then all of it becomes parts, whole or not at all.

After kill -9 the tape holds everything up to the last flush and stays readable; so it does when the disk is full.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.errors import TapeError
from connectors.events import FIELDS, ROW, Kind, Rows
from connectors.instruments import Instrument, Universe
from connectors.ports import Levels
from connectors.tape_depth import DepthWriter
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
from connectors.tape_log import LEVELS, LOG_FILE, ROWS, TapeLog, read

PART_EVERY: Final = 60
"""Flushes after which the part that is being filled is written; a part costs the same for one new row as for all."""

_SAMPLE: Final = 16_384
_BUSY: Final = 0.5
"""A float column with more distinct values than this share of a sample overflows its dictionary: stored plain."""


class TapeWriter:
    """Writes one tape. One thread at a time; a part is rewritten under its name until it is full, so many flushes
    still give few files. Use as a context, or call `close`. After a TapeError of the disk it is done for."""

    def __init__(
        self, path: Path, universe: Universe, provenance: dict[str, Any] | None = None, *, resume: bool = False
    ) -> None:
        """Makes the folder and universe.json.

        With `resume` a tape that is already there is continued: its instruments must be the first ones of
        `universe`. Raises TapeError where there is something in the folder and `resume` is not said,
        and where the disk refuses.
        """
        self.path = path
        self.universe = universe
        self.provenance = dict(provenance or {})
        self._parts = 0
        self._buffer = {name: np.empty(GROUP_ROWS, ROW[name]) for name in FIELDS}
        """The part that is being filled; its first `_waiting` rows count."""
        self._waiting = 0
        """Rows of it."""
        self._logged = 0
        """The first of these are durable."""
        self._before = 0
        """Rows of the full parts."""
        self._flushes = 0
        self._failed = self._resuming = False
        self._last_ns = int(np.iinfo(np.int64).min)
        self._sides: dict[str, int] = {}
        self._notes: dict[str, list[bytes]] = {}
        self._closed = False
        self._log = TapeLog(path)
        self._depth = DepthWriter(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            if not resume or not (path / UNIVERSE_FILE).exists():
                raise TapeError("there is something here already", where=str(path), hint="choose another folder")
            self._resume()
        with self._disk():
            path.mkdir(parents=True, exist_ok=True)
            write_header(path, self.universe, self.provenance)

    def append(self, rows: Rows, levels: Mapping[int, Levels] | None = None) -> None:
        """Takes a block of rows; a full part goes to disk at once.

        `levels` holds what its DEPTH rows tell, by their `extra`; on the tape `extra` is the place in the side table.
        Raises TapeError, having taken nothing, for rows out of order, of an unknown instrument, or with an infinity;
        and where the disk refuses.
        """
        self._open()
        if not len(rows):
            return
        self._check(rows)
        if levels:
            rows = self._placed(rows, levels)
        self._last_ns = int(rows.ts_recv[-1])
        at = 0
        while at < len(rows):
            piece = rows[at : at + GROUP_ROWS - self._waiting]
            at += len(piece)
            self._hold(piece)
            if self._waiting == GROUP_ROWS:
                self._write_part()
                self._parts, self._before = self._parts + 1, self._before + GROUP_ROWS
                self._waiting = self._logged = 0

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
        """Makes everything so far durable and readable. Raises TapeError where the disk refuses."""
        self._open()
        self._flushes += 1
        if self._flushes % PART_EVERY == 0:
            self._settle()
            return
        with self._disk():
            self._write_sides()
            pieces = [(LEVELS, first, data) for first, data in self._depth.fresh()]
            if self._logged < self._waiting:
                pieces.append((ROWS, self._before + self._logged, self._records(self._logged).tobytes()))
            if pieces:
                self._log.append(pieces)
        self._logged = self._waiting

    def close(self) -> None:
        """Writes the last part and ends; after an error of the disk what was flushed stays. May be called twice."""
        if self._closed:
            return
        try:
            if not self._failed:
                self._settle()
        finally:
            self._closed = True
            self._log.close(remove=not self._failed)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes; after an error what was flushed stays and the rest is dropped."""
        if kind is None:
            self.close()
        elif not self._closed:
            self._closed = True
            self._log.close(remove=False)

    def _hold(self, rows: Rows) -> None:
        """Copies rows that fit into the part that is being filled."""
        for name in FIELDS:
            self._buffer[name][self._waiting : self._waiting + len(rows)] = getattr(rows, name)
        self._waiting += len(rows)

    def _placed(self, rows: Rows, levels: Mapping[int, Levels]) -> Rows:
        """Takes the levels; returns the rows with their places."""
        at = np.flatnonzero((rows.kind == Kind.DEPTH) & np.isfinite(rows.extra))
        books = [levels.get(int(key)) for key in rows.extra[at].tolist()]
        extra = rows.extra.copy()
        extra[at] = np.nan
        kept = [(place, book) for place, book in zip(at.tolist(), books, strict=True) if book is not None]
        first = self._depth.add([book for _, book in kept])
        extra[[place for place, _ in kept]] = np.arange(first, first + len(kept), dtype=np.float64)
        return replace(rows, extra=extra)

    def _settle(self) -> None:
        """Everything becomes parts, and the log is empty."""
        if self._waiting:
            self._write_part()
            self._logged = self._waiting
            return
        with self._disk():
            self._write_sides()
            self._depth.write()
            self._log.clear()

    def _records(self, start: int) -> npt.NDArray[np.void]:
        """The held rows from `start` as records."""
        records = np.empty(self._waiting - start, ROW)
        for name in FIELDS:
            records[name] = self._buffer[name][start : self._waiting]
        return records

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """What the disk refuses becomes a TapeError, nothing half is left, and the writer is done for."""
        try:
            yield
        except OSError as error:
            self._failed = True
            for partial in (*self.path.glob("*" + PARTIAL), *self.path.glob("side/*" + PARTIAL)):
                partial.unlink(missing_ok=True)
            why = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
            raise TapeError(
                f"the disk refuses: {why}",
                where=str(self.path),
                hint="what was flushed is on the tape; see to the disk and start again",
            ) from error

    def _open(self) -> None:
        if self._failed:
            raise TapeError("the disk has refused before", where=str(self.path))
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
        """Writes what is held as the current part, replacing a shorter one of that name; then the log is not needed."""
        with self._disk():
            self._write_sides()
            self._depth.write()
            self._write_rows()
            if not self._resuming:  # else what is still to be taken up stands nowhere else
                self._log.clear()

    def _write_rows(self) -> None:
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
        log = list(read(self.path / LOG_FILE))
        self._resuming = True
        self._resume_rows()
        self._depth.recover([(first, data) for what, first, data in log if what == LEVELS])
        for what, first, data in log:
            if what == ROWS:
                missing = np.frombuffer(data, ROW)[max(0, self._before + self._waiting - first) :]
                self.append(Rows.from_records(missing))
        self._resuming = False
        self._flushes = PART_EVERY - 1  # the next flush makes a part of it

    def _resume_rows(self) -> None:
        """Takes up the parts; one that is not full is filled on."""
        parts = sorted(self.path.glob(PART_GLOB))
        if not parts:
            return
        try:
            table = pq.read_table(parts[-1], schema=SCHEMA)
            self._before = sum(pq.read_metadata(part).num_rows for part in parts[:-1])
        except (pa.ArrowException, OSError) as error:
            raise TapeError(f"cannot be read: {error}", where=str(parts[-1]), hint="pegline tape verify") from None
        self._parts = len(parts) - 1
        if len(table):
            self._last_ns = int(table["ts_recv"][-1].as_py())
        if len(table) < GROUP_ROWS:
            self._hold(Rows(**{name: table[name].to_numpy() for name in FIELDS}))
            self._logged = self._waiting
        else:
            self._parts, self._before = self._parts + 1, self._before + len(table)


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
