"""A tape that was opened, read block by block with flat memory: its parts, and what its log holds beyond them.

Blocks that arrive are arrays that belong to the caller (contiguous, writable); a column that was not asked for is one
repeated value that costs nothing (zero, or NaN for a price).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.errors import TapeError
from connectors.events import FIELDS, I4, ROW, TWO_SIDED, Kind, Rows
from connectors.instruments import Universe
from connectors.tape_depth import DepthTable
from connectors.tape_format import FLOATS, PART_GLOB, SCHEMA, part_name, read_header, side_path
from connectors.tape_levels import GLOB, PART_RECORDS, Ragged
from connectors.tape_log import LEVELS, LOG_FILE, ROWS, Piece, read

_PRICED = {"bid": (*TWO_SIDED, Kind.TRADE), "ask": TWO_SIDED}
"""Kinds of which a column is a price: it must be there, and above zero."""

_UNREAD = {name: np.array([np.nan if ROW[name].kind == "f" else 0], dtype=ROW[name]) for name in FIELDS}


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a tape."""

    path: Path
    rows: int
    footer: Any
    """pyarrow's FileMetaData."""
    source: Any
    """What is read: the file, or what the log holds beyond the last one, as a file in memory."""
    name: str
    """How it is called inside its tape."""
    numbers: I4 | None = None
    """Where several tapes are read as one: the instrument of each of this one's numbers."""
    places: Mapping[Kind, int] = field(default_factory=dict)
    """And how far its side records are moved, by the kind of row that points to them."""


@dataclass(frozen=True, slots=True)
class Located:
    """A block and where it lies."""

    part: str
    """File name of the part."""
    row: int
    """Number of the block's first row in that part, from 0."""
    rows: Rows


_GOES_BACK = "time goes back here: ts_recv is smaller than in the row before"


class Tape:
    """A tape that was opened: what it holds, and its rows."""

    def __init__(
        self, path: Path, universe: Universe, provenance: dict[str, Any], parts: tuple[Part, ...], depth: DepthTable
    ) -> None:
        """Use `connectors.tape.open_tape`."""
        self.path = path
        self.universe = universe
        self.provenance = provenance
        self.parts = parts
        self.depth = depth
        """The levels of the DEPTH rows, by their `extra`."""

    def rows(self) -> int:
        """How many rows the tape holds."""
        return sum(part.rows for part in self.parts)

    def bytes(self) -> int:
        """Size of all files of the tape on disk; raw frames beside a recording are none of them."""
        files = (file for folder in {part.path.parent for part in self.parts} for file in folder.rglob("*"))
        return sum(file.stat().st_size for file in files if file.is_file())

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
        time that goes back, an unknown instrument or kind, an infinity, and a price that is absent or not positive.
        """
        last_ns = np.iinfo(np.int64).min
        for located in self.located(columns, start_ns, end_ns, ordered=True, busy_caller=busy_caller):
            rows = located.rows
            ts = rows.ts_recv
            if ts[0] < last_ns:
                raise self._error(located.part, located.row, _GOES_BACK)
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
        ordered: bool = False,
        busy_caller: bool = False,
    ) -> Iterator[Located]:
        """Whole row groups with their places; `verify` reads with checked=False.

        Groups that lie wholly outside [start_ns, end_ns) by their footers are left out. The next group is decoded
        while the caller works on this one. Raises as `blocks`; for time that goes back only inside a group that is
        `ordered`.
        """
        asked = self._columns(columns)
        work = [
            (part, group, first)
            for part in self.parts
            for group, first in _groups(part)
            if _overlaps(_span(part, group), start_ns, end_ns)
        ]
        with ThreadPoolExecutor(1, thread_name_prefix="tape") as ahead:
            # Nobody computes yet while the first group is decoded.
            following = ahead.submit(self._read, *work[0], asked, checked, ordered, True) if work else None
            for at in range(len(work)):
                assert following is not None
                block = following.result()
                if at + 1 < len(work):
                    following = ahead.submit(self._read, *work[at + 1], asked, checked, ordered, not busy_caller)
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

    def _read(
        self, part: Part, group: int, first: int, asked: list[str], checked: bool, ordered: bool, threads: bool
    ) -> Located:
        """Decodes one row group."""
        count = part.footer.row_group(group).num_rows
        try:
            with pq.ParquetFile(part.source, metadata=part.footer, page_checksum_verification=True) as file:
                table = file.read_row_group(group, columns=asked, use_threads=threads)
            if table.num_rows != count:
                raise OSError(f"{table.num_rows} rows were found")
        except (pa.ArrowException, OSError) as error:
            raise self._error(
                part.name, first, f"rows {first} to {first + count - 1} cannot be decoded: {_oneline(error)}"
            ) from None
        arrays = {name: np.broadcast_to(_UNREAD[name], count) for name in FIELDS}
        arrays.update({name: _array(table[name]) for name in asked})
        if part.numbers is not None and "instrument" in asked:
            own = arrays["instrument"]
            known = (own >= 0) & (own < len(part.numbers))
            arrays["instrument"] = np.where(known, part.numbers[np.where(known, own, 0)], own + len(self.universe))
        if part.places and "extra" in asked and "kind" in asked:
            for kind, places in part.places.items():
                arrays["extra"] = arrays["extra"] + np.where(arrays["kind"] == kind, float(places), 0.0)
        block = Located(part.name, first, Rows(**arrays))
        if checked:
            self._check(part, group, block, asked)
        ts = block.rows.ts_recv
        if ordered and (back := ts[1:] < ts[:-1]).any():
            raise self._error(part.name, first + int(np.argmax(back)) + 1, _GOES_BACK)
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
        for name in ("bid", "ask") if "kind" in asked else ():
            if name in asked:
                self._check_price(name, block)

    def _check_price(self, name: str, block: Located) -> None:
        """Refuses a quote whose bid or ask is no price; most blocks hold nothing but prices."""
        values = getattr(block.rows, name)
        fair = values > 0
        if fair.all():
            return
        wrong = ~fair & np.isin(block.rows.kind, _PRICED[name])
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self._error(block.part, block.row + row, f"{name} is {values[row]}, which cannot be")

    def _error(self, part: str, row: int, what: str) -> TapeError:
        """An error at a row of a part."""
        return TapeError(
            what, where=f"{self.path / part}, row {row}", hint=f"pegline tape verify {self.path} shows all of it"
        )


def open_one(path: Path) -> Tape:
    """Opens one tape and checks its files' names and columns, not yet its rows.

    Raises TapeError for a folder that is no tape, an empty tape, a missing or truncated part, a column that is absent,
    superfluous, nullable or of another type.
    """
    universe, provenance = read_header(path)
    log = list(read(path / LOG_FILE))  # before the parts: what becomes a part meanwhile is found there
    files = sorted(path.glob(PART_GLOB))
    for number, file in enumerate(files):
        if file.name != part_name(number):
            raise TapeError(
                f"{part_name(number)} is missing, but {file.name} is there", where=str(path), hint="restore the part"
            )
    # The last file may be replaced by a longer one of its name while we read: a mapped file stays what it was.
    parts = [_part(file, mapped=number == len(files) - 1) for number, file in enumerate(files)]
    parts += _unsettled(path, log, sum(part.rows for part in parts))
    if not any(part.rows for part in parts):
        raise TapeError("the tape is empty: it holds no row", where=str(path), hint="nothing was recorded or imported")
    return Tape(path, universe, provenance, tuple(parts), _depth(path, log))


def _unsettled(path: Path, log: Sequence[Piece], rows: int) -> list[Part]:
    """What the log holds beyond the parts' `rows`, as a part. Raises TapeError where rows between them are missing."""
    found = []
    for what, first, data in log:
        if what == ROWS:
            if first > rows:
                raise TapeError(f"rows {rows} to {first - 1} are missing", where=str(path), hint="restore the parts")
            found.append(np.frombuffer(data, ROW)[rows - first :])
            rows += len(found[-1])
    if not any(map(len, found)):
        return []
    records = np.concatenate(found)
    columns = [pa.array(np.ascontiguousarray(records[name])) for name in FIELDS]
    memory = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=SCHEMA), memory, compression="none", store_schema=False)
    part = _part(path / LOG_FILE, memory.getvalue())
    return [part]


def _depth(path: Path, log: Sequence[Piece]) -> DepthTable:
    """The levels in the parts, and what the log holds beyond them."""
    parts: list[tuple[Path | Ragged, int]] = []
    count = 0
    files = sorted((path / "side").glob(GLOB))
    for number, file in enumerate(files):
        parts.append((file, number * PART_RECORDS))
    if files:
        try:
            count = parts[-1][1] + pq.read_metadata(files[-1]).num_rows
        except (pa.ArrowException, OSError):
            count = len(files) * PART_RECORDS  # whoever reads it is told what is wrong with it
    for what, first, data in log:
        if what == LEVELS:
            records = Ragged.unpacked(data)[max(0, count - first) :]
            if len(records):
                parts.append((records, count))
                count += len(records)
    return DepthTable(parts, count)


def _part(path: Path, source: Any = None, *, mapped: bool = False) -> Part:
    """Reads a part's footer and checks its columns. `source` is what to read instead of the file."""
    try:
        if source is None:
            source = pa.memory_map(str(path)) if mapped else path
        with pq.ParquetFile(source) as file:
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
    return Part(path, footer.num_rows, footer, source, path.name)


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
