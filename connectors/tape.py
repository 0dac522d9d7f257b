"""Rows on disk: opening a tape, and reading it block by block with flat memory.

    tape = open_tape(Path("august.tape"))
    for rows in tape.blocks(["ts_recv", "instrument", "kind", "flags", "bid", "ask"]):
        ...

Blocks that arrive are arrays that belong to the caller (contiguous, writable); a column that was not asked for is one
repeated value that costs nothing (zero, or NaN for a price).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.errors import TapeError
from connectors.events import FIELDS, ROW, Kind, Rows
from connectors.instruments import Universe
from connectors.tape_format import FLOATS, GROUP_ROWS, PART_GLOB, SCHEMA, part_name, read_header, side_path
from connectors.tape_write import TapeWriter

__all__ = ["GROUP_ROWS", "Located", "Part", "Tape", "TapeWriter", "open_tape"]

_UNREAD = {name: np.array([np.nan if ROW[name].kind == "f" else 0], dtype=ROW[name]) for name in FIELDS}


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a tape."""

    path: Path
    rows: int
    footer: Any
    """pyarrow's FileMetaData."""


@dataclass(frozen=True, slots=True)
class Located:
    """A block and where it lies."""

    part: str
    """File name of the part."""
    row: int
    """Number of the block's first row in that part, from 0."""
    rows: Rows


class Tape:
    """A tape that was opened: what it holds, and its rows."""

    def __init__(self, path: Path, universe: Universe, provenance: dict[str, Any], parts: tuple[Part, ...]) -> None:
        """Use `open_tape`."""
        self.path = path
        self.universe = universe
        self.provenance = provenance
        self.parts = parts

    def rows(self) -> int:
        """How many rows the tape holds."""
        return sum(part.rows for part in self.parts)

    def bytes(self) -> int:
        """Size of all files of the tape on disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def span(self) -> tuple[int, int]:
        """First and last ts_recv (ns UTC) as the footers say."""
        spans = [_span(part, group) for part in self.parts for group in range(part.footer.num_row_groups)]
        return min(first for first, _ in spans), max(last for _, last in spans)

    def blocks(
        self,
        columns: Sequence[str] = FIELDS,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        busy_caller: bool = False,
    ) -> Iterator[Rows]:
        """Rows with start_ns <= ts_recv < end_ns, in order, at most 262,144 at a time.

        A `busy_caller` computes on each block: then decoding keeps to one core and leaves it the other.

        Only `columns` and ts_recv are read. Raises TapeError naming file and row for a part that cannot be decoded,
        time that goes back, an unknown instrument or kind, and an infinity.
        """
        last_ns = np.iinfo(np.int64).min
        for located in self.located(columns, start_ns, end_ns, busy_caller=busy_caller):
            rows = located.rows
            ts = rows.ts_recv
            if ts[0] < last_ns or (ts[1:] < ts[:-1]).any():
                at = located.row + (0 if ts[0] < last_ns else int(np.argmax(ts[1:] < ts[:-1])) + 1)
                raise self._error(located.part, at, "time goes back here: ts_recv is smaller than in the row before")
            last_ns = int(ts[-1])
            lo = 0 if start_ns is None else int(np.searchsorted(ts, start_ns, side="left"))
            hi = len(ts) if end_ns is None else int(np.searchsorted(ts, end_ns, side="left"))
            if lo < hi:
                yield rows if hi - lo == len(ts) else rows[lo:hi]

    def located(
        self,
        columns: Sequence[str] = FIELDS,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        checked: bool = True,
        busy_caller: bool = False,
    ) -> Iterator[Located]:
        """Whole row groups with their places, and the order of time unchecked; `verify` reads with checked=False.

        Groups that lie wholly outside [start_ns, end_ns) by their footers are left out. The next group is decoded
        while the caller works on this one. Raises as `blocks`, order excepted.
        """
        asked = self._columns(columns)
        work = [
            (part, group, first)
            for part in self.parts
            for group, first in _groups(part)
            if _overlaps(_span(part, group), start_ns, end_ns)
        ]
        with ThreadPoolExecutor(1, thread_name_prefix="tape") as ahead:
            following = ahead.submit(self._read, *work[0], asked, checked, not busy_caller) if work else None
            for at in range(len(work)):
                assert following is not None
                block = following.result()
                if at + 1 < len(work):
                    following = ahead.submit(self._read, *work[at + 1], asked, checked, not busy_caller)
                yield block

    def side(self, name: str) -> list[Any]:
        """A side table; the index of a record is its place. Raises TapeError where it is absent or broken."""
        path = side_path(self.path, name)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            there = ", ".join(sorted(file.stem for file in path.parent.glob("*.jsonl"))) or "none"
            raise TapeError(f"no side table {name!r}", where=str(self.path), hint=f"there are: {there}") from None
        records: list[Any] = []
        for line in text.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break  # torn by a crash; no row points to it
            try:
                records.append(msgspec.json.decode(line))
            except msgspec.DecodeError as error:
                raise TapeError(f"not JSON: {error}", where=f"{path}:{len(records) + 1}") from None
        return records

    def _columns(self, columns: Sequence[str]) -> list[str]:
        """The columns to read, in the row's order; the time is always read."""
        for name in columns:
            if name not in FIELDS:
                raise TapeError(f"no column {name!r}", where=str(self.path), hint="columns: " + ", ".join(FIELDS))
        return [name for name in FIELDS if name in columns or name == "ts_recv"]

    def _read(self, part: Part, group: int, first: int, asked: list[str], checked: bool, threads: bool) -> Located:
        """Decodes one row group."""
        count = part.footer.row_group(group).num_rows
        try:
            with pq.ParquetFile(part.path, metadata=part.footer, page_checksum_verification=True) as file:
                table = file.read_row_group(group, columns=asked, use_threads=threads)
            if table.num_rows != count:
                raise OSError(f"{table.num_rows} rows were found")
        except (pa.ArrowException, OSError) as error:
            raise self._error(
                part.path.name, first, f"rows {first} to {first + count - 1} cannot be decoded: {_oneline(error)}"
            ) from None
        arrays = {name: np.broadcast_to(_UNREAD[name], count) for name in FIELDS}
        arrays.update({name: _array(table[name]) for name in asked})
        block = Located(part.path.name, first, Rows(**arrays))
        if checked:
            self._check(part, group, block, asked)
        return block

    def _check(self, part: Part, group: int, block: Located, asked: list[str]) -> None:
        """Refuses what no writer of ours writes. The footer's extremes tell it for free; else the values are read."""
        limits = {"instrument": (0, len(self.universe) - 1), "kind": (0, len(Kind) - 1)}
        for at, name in enumerate(FIELDS):
            if name not in asked or (name not in FLOATS and name not in limits):
                continue
            extremes = part.footer.row_group(group).column(at).statistics
            low, high = limits.get(name, (-np.finfo(np.float64).max, np.finfo(np.float64).max))
            if extremes is not None and extremes.has_min_max and low <= extremes.min and extremes.max <= high:
                continue
            values = getattr(block.rows, name)
            wrong = (values < low) | (values > high)
            if wrong.any():
                row = int(np.argmax(wrong))
                raise self._error(block.part, block.row + row, f"{name} is {values[row]}, which cannot be")

    def _error(self, part: str, row: int, what: str) -> TapeError:
        """An error at a row of a part."""
        return TapeError(
            what, where=f"{self.path / part}, row {row}", hint=f"pegline tape verify {self.path} shows all of it"
        )


def open_tape(path: Path) -> Tape:
    """Opens a tape and checks its files' names and columns, not yet its rows.

    Raises TapeError for a folder that is no tape, an empty tape, a missing or truncated part, a column that is absent,
    superfluous, nullable or of another type.
    """
    path = Path(path)
    universe, provenance = read_header(path)
    files = sorted(path.glob(PART_GLOB))
    for number, file in enumerate(files):
        if file.name != part_name(number):
            raise TapeError(
                f"{part_name(number)} is missing, but {file.name} is there", where=str(path), hint="restore the part"
            )
    parts = tuple(_part(file) for file in files)
    if not any(part.rows for part in parts):
        raise TapeError("the tape is empty: it holds no row", where=str(path), hint="nothing was recorded or imported")
    return Tape(path, universe, provenance, parts)


def _part(path: Path) -> Part:
    """Reads a part's footer and checks its columns."""
    try:
        with pq.ParquetFile(path) as file:
            footer, schema = file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        size = path.stat().st_size
        raise TapeError(
            f"row 0: not a whole Parquet file ({size} bytes): {_oneline(error)}",
            where=str(path),
            hint="it was truncated or overwritten; restore it or import again",
        ) from None
    for name in FIELDS:
        if name not in schema.names:
            raise TapeError(
                f"row 0: column {name} is missing; there are {', '.join(schema.names)}",
                where=str(path),
                hint="a tape has exactly the ten columns of a row",
            )
        if not schema.field(name).equals(SCHEMA.field(name)):
            raise TapeError(
                f"row 0: column {name} is `{schema.field(name)}`, must be `{SCHEMA.field(name)}`",
                where=str(path),
                hint="other files become a tape through `pegline tape import`",
            )
    if schema.names != list(FIELDS):
        raise TapeError(
            f"row 0: columns {', '.join(schema.names)}; must be {', '.join(FIELDS)} in this order",
            where=str(path),
            hint="other files become a tape through `pegline tape import`",
        )
    return Part(path, footer.num_rows, footer)


def _groups(part: Part) -> Iterator[tuple[int, int]]:
    """(number, first row) of every row group of a part that has rows."""
    first = 0
    for group in range(part.footer.num_row_groups):
        count = part.footer.row_group(group).num_rows
        if count:
            yield group, first
        first += count


def _span(part: Part, group: int) -> tuple[int, int]:
    """Smallest and largest ts_recv of a row group; everything, where the footer does not say."""
    extremes = part.footer.row_group(group).column(FIELDS.index("ts_recv")).statistics
    if extremes is None or not extremes.has_min_max:
        bounds = np.iinfo(np.int64)
        return int(bounds.min), int(bounds.max)
    return int(extremes.min), int(extremes.max)


def _overlaps(span: tuple[int, int], start_ns: int | None, end_ns: int | None) -> bool:
    """Whether [first, last] has a moment in [start_ns, end_ns)."""
    return (start_ns is None or span[1] >= start_ns) and (end_ns is None or span[0] < end_ns)


def _array(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A decoded column as a contiguous, writable array; without a copy where Arrow allows it."""
    if column.num_chunks == 1:
        chunk = column.chunk(0)
        buffer = chunk.buffers()[1]
        dtype = chunk.type.to_pandas_dtype()
        array = np.frombuffer(buffer, dtype=dtype, count=len(chunk), offset=chunk.offset * np.dtype(dtype).itemsize)
        return array if array.flags.writeable else array.copy()
    return np.array(column.to_numpy())


def _oneline(error: Exception) -> str:
    """An error's text without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
