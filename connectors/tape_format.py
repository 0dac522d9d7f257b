"""What a tape is on disk: names, columns, sizes, and universe.json with the instruments and where they came from.

A tape is a folder:

    universe.json          instruments, schema version, encoding, provenance; written first, replaced atomically
    part-00000.parquet     rows in order of ts_recv, the ten columns of a row, at most one row group each
    tail.log               what is in no part yet, while a tape is being recorded and after a crash (tape_log.py)
    side/NAME.jsonl        exact records that rows point to with `extra`; one JSON value a line, the index is the line
    side/depth-*.parquet   the levels of DEPTH rows (tape_depth.py)
    rejects.csv            what an import refused, by file, line and reason (imports only)

A part or universe.json appears whole or not at all: it is written beside its name, synced, and renamed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from connectors.errors import RegistryError, TapeError
from connectors.events import FIELDS, ROW, SCHEMA_VERSION
from connectors.instruments import Instrument, Universe

GROUP_ROWS: Final = 262_144
"""Rows of a row group, of a part, and of a block that a reader hands out."""

ENCODING: Final = "parquet-1"
"""Parquet; zstd level 1; times delta-coded, the rest dictionary-coded, busy float columns plain."""

UNIVERSE_FILE: Final = "universe.json"
REJECTS_FILE: Final = "rejects.csv"
PART_GLOB: Final = "part-*.parquet"
PARTIAL: Final = ".tmp"
"""Ending of a file that is being written; readers never look at it."""

_ARROW: Final = {"<i8": pa.int64(), "<i4": pa.int32(), "<i2": pa.int16(), "<f8": pa.float64()}

SCHEMA: Final = pa.schema([pa.field(name, _ARROW[ROW[name].str], nullable=False) for name in FIELDS])
"""The ten columns of a row, none of them nullable: absent is NaN."""

FLOATS: Final[tuple[str, ...]] = tuple(name for name in FIELDS if ROW[name].kind == "f")
TIMES: Final[tuple[str, ...]] = ("ts_venue", "ts_recv")


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What universe.json holds."""

    schema_version: int = msgspec.field(name="schema")
    encoding: str
    instruments: tuple[Instrument, ...]
    provenance: dict[str, Any] = {}


def part_name(number: int) -> str:
    """File name of the part of a number, from 0."""
    return f"part-{number:05d}.parquet"


def side_path(folder: Path, name: str) -> Path:
    """Where a side table lies. Raises TapeError for a name that is not a plain word."""
    if not name.isidentifier():
        raise TapeError(f"{name!r} is no name for a side table", where=str(folder), hint="letters, digits, underscores")
    return folder / "side" / f"{name}.jsonl"


def read_header(folder: Path) -> tuple[Universe, dict[str, Any]]:
    """Universe and provenance of a tape. Raises TapeError naming universe.json and what is wrong with it."""
    path = folder / UNIVERSE_FILE
    if not folder.exists():
        raise TapeError("there is no such folder", where=str(folder), hint="a tape is made by `pegline tape import`")
    if not folder.is_dir():
        raise TapeError("this is a file, and a tape is a folder", where=str(folder), hint="pegline tape import")
    try:
        header = msgspec.json.decode(path.read_bytes(), type=Header)
    except FileNotFoundError:
        raise TapeError(
            f"this folder is not a tape: it has no {UNIVERSE_FILE}",
            where=str(folder),
            hint="name the tape itself",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TapeError(f"not the description of a tape: {error}", where=str(path), hint="import again") from None
    except OSError as error:
        raise TapeError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if header.schema_version != SCHEMA_VERSION or header.encoding != ENCODING:
        raise TapeError(
            f"schema {header.schema_version}, encoding {header.encoding}; "
            f"this version reads schema {SCHEMA_VERSION}, encoding {ENCODING}",
            where=str(path),
            hint="import or record the data again",
        )
    try:
        return Universe(header.instruments), header.provenance
    except RegistryError as error:
        raise TapeError(str(error), where=str(path)) from None


def write_header(folder: Path, universe: Universe, provenance: dict[str, Any]) -> None:
    """Writes universe.json, atomically and durably."""
    header = Header(
        schema_version=SCHEMA_VERSION, encoding=ENCODING, instruments=universe.instruments, provenance=provenance
    )
    path = folder / UNIVERSE_FILE
    partial = path.with_name(path.name + PARTIAL)
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(header), indent=1) + b"\n")
    settle(partial, path)


def settle(partial: Path, path: Path) -> None:
    """Gives a finished file its name, so that a crash leaves either the old file or the new one, never a half."""
    sync(partial)
    os.replace(partial, path)
    sync(path.parent)


def extend(file: int, end: int, data: bytes) -> int:
    """Writes `data` at the `end` of an open file, durably; returns the new end.

    Raises OSError where the disk refuses; then the file is as it was before.
    """
    at, left = end, data
    try:
        while left:
            written = os.pwrite(file, left, at)
            left, at = left[written:], at + written
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise
    return at


def sync(path: Path) -> None:
    """Waits until a file's contents, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
