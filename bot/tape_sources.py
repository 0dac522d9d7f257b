"""Reading the files given to an import: CSV (plain or gzip) and Parquet, in batches, with the number of every line."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from connectors.errors import ImportFailed
from connectors.events import I8

_BLOCK: Final = 1 << 22
"""Bytes of CSV in a batch."""
_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some lines of a file."""

    lines: I8
    """Line in a CSV (the header is 1) or row in a Parquet file (from 0)."""
    columns: dict[str, pa.Array]
    ragged: tuple[int, ...] = field(default=())
    """Lines before the end of this batch that have too few or too many cells."""


def _head(path: Path) -> bytes:
    """The first four bytes of a file, which tell its sort."""
    with path.open("rb") as file:
        return file.read(4)


def columns_of(path: Path) -> tuple[str, ...]:
    """Names of a file's columns. Raises ImportFailed for a file that is absent, empty, or has a column twice."""
    try:
        head = _head(path)
        if head == _PARQUET:
            names = pq.read_schema(path).names
        else:
            with _text(path, head) as text:
                names = next(csv.reader(text), [])
    except FileNotFoundError:
        raise ImportFailed("there is no such file", where=str(path)) from None
    except IsADirectoryError:
        raise ImportFailed("this is a folder, not a file", where=str(path), hint="name the files in it") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise ImportFailed(
            f"row 0: the columns cannot be read: {_oneline(error)}", where=str(path), hint=_HINT
        ) from None
    if not any(name.strip() for name in names):
        raise ImportFailed("row 0: the file is empty: no line with column names", where=str(path))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ImportFailed(f"line 1: column {twice[0]!r} is there twice", where=str(path), hint="rename one of them")
    return tuple(names)


def batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    """The named columns of a file, batch by batch; cells of a CSV stay text.

    Raises ImportFailed naming the file and the row reached where it is truncated or cannot be decoded.
    """
    head = _head(path)
    if head == _PARQUET:
        yield from _parquet(path, columns)
    else:
        yield from _csv(path, columns, head)


def raw_lines(path: Path, wanted: set[int]) -> dict[int, str]:
    """The text of some lines of a CSV, or the values of some rows of a Parquet file, as they stand."""
    if not wanted:
        return {}
    head = _head(path)
    if head == _PARQUET:
        return _raw_rows(path, wanted)
    last = max(wanted)
    found = {}
    with _text(path, head) as text:
        for number, line in enumerate(text, start=1):
            if number in wanted:
                found[number] = line.rstrip("\r\n")
            if number >= last:
                break
    return found


_HINT: Final = "fetch or copy the file again"


def _csv(path: Path, columns: Sequence[str], head: bytes) -> Iterator[Batch]:
    """A CSV's columns as text."""
    ragged: list[int] = []

    def skip(row: Any) -> str:
        ragged.append(row.number)
        return "skip"

    passed = 1  # the header
    raised = 0
    try:
        stream = pa.input_stream(str(path), compression="gzip" if head[:2] == _GZIP else None)
        reader = pyarrow.csv.open_csv(
            stream,
            # One thread: only then does Arrow say at which line a ragged row stands.
            read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(columns, pa.string()),
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            lines, passed = _numbered(batch.num_rows, passed, ragged[raised:])
            arrays = {name: batch.column(at) for at, name in enumerate(columns)}
            yield Batch(lines, arrays, tuple(line for line in ragged[raised:] if line <= passed))
            raised = sum(line <= passed for line in ragged)
        if raised < len(ragged):
            yield Batch(
                np.empty(0, np.int64), {name: pa.array([], pa.string()) for name in columns}, tuple(ragged[raised:])
            )
    except (pa.ArrowException, OSError) as error:
        reached = _whole_lines(path, head)
        raise ImportFailed(
            f"row {reached}: the file breaks off here: {_oneline(error)}", where=str(path), hint=_HINT
        ) from None


def _numbered(count: int, passed: int, ragged: Sequence[int]) -> tuple[I8, int]:
    """Line numbers of the next `count` rows after line `passed`, stepping over ragged lines."""
    lines = np.arange(passed + 1, passed + 1 + count, dtype=np.int64)
    for line in ragged:  # in order of lines
        lines[lines >= line] += 1
    return lines, int(lines[-1]) if count else passed


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    """A Parquet file's columns."""
    passed = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1 << 17, columns=list(columns)):
                lines = np.arange(passed, passed + batch.num_rows, dtype=np.int64)
                passed += batch.num_rows
                yield Batch(lines, {name: batch.column(name) for name in columns})
    except (pa.ArrowException, OSError) as error:
        raise ImportFailed(
            f"row {passed}: cannot be decoded from here: {_oneline(error)}", where=str(path), hint=_HINT
        ) from None


def _raw_rows(path: Path, wanted: set[int]) -> dict[int, str]:
    """Rows of a Parquet file as `name=value` pairs."""
    found = {}
    passed = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1 << 17):
            for row in sorted(r for r in wanted if passed <= r < passed + batch.num_rows):
                values = batch.slice(row - passed, 1).to_pylist()[0]
                found[row] = ",".join(f"{name}={value}" for name, value in values.items())
            passed += batch.num_rows
    return found


def _text(path: Path, head: bytes) -> io.TextIOBase:
    """A CSV as text; bytes that are no UTF-8 become escapes."""
    raw: Any = (gzip.open if head[:2] == _GZIP else open)(path, "rb")
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="backslashreplace", newline="")


def _whole_lines(path: Path, head: bytes) -> int:
    """How many whole lines can be read before a file breaks off; its sum at the end is not needed for that."""
    if head[:2] != _GZIP:
        with path.open("rb") as file:
            return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 16), b""))
    lines = 0
    unpack = zlib.decompressobj(31)
    with path.open("rb") as file:
        while piece := file.read(1 << 12):
            unpack = zlib.decompressobj(31) if unpack.eof else unpack
            before = unpack.copy()
            try:
                lines += unpack.decompress(piece).count(b"\n")
            except zlib.error:
                # What came out before the fault is lost with the error: once more, byte by byte.
                with suppress(zlib.error):
                    for byte in piece:
                        lines += before.decompress(bytes((byte,))).count(b"\n")
                break
    return lines


def _oneline(error: Exception) -> str:
    """An error's text without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
