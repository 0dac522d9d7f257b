"""What a tape holds beyond its parts: the rows and levels of the last flushes, appended to one file, checksummed.

A part is a whole Parquet file and costs the same to write for one new row as for a full part. So a flush appends here,
and a part is written when it is full, once a minute, and at the end. Each piece says where it belongs in the tape, so
it does no harm when a crash leaves pieces behind that a part holds already; a piece that a crash tore ends the log.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from typing import Final

from connectors.tape_format import extend, sync

LOG_FILE: Final = "tail.log"
ROWS: Final = b"ROWS"
LEVELS: Final = b"LVLS"

_HEAD: Final = Struct("<4sIQQI")
"""What it is, CRC32 of the payload, place of its first record in the tape, bytes of payload, CRC32 of the rest."""

Piece = tuple[bytes, int, bytes]
"""(ROWS or LEVELS, place of the first record in the tape, payload)."""


class TapeLog:
    """The log of one tape, open for appending."""

    def __init__(self, folder: Path) -> None:
        """Nothing is touched until something is appended. Read what is there before: `append` begins after the last
        whole piece."""
        self.path = folder / LOG_FILE
        self._file: int | None = None
        self._end = 0

    def append(self, pieces: Iterable[Piece]) -> None:
        """Makes pieces durable, all or none. Raises OSError; then the log is as it was before."""
        if self._file is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._end = sum(_HEAD.size + len(payload) for _, _, payload in read(self.path))
            os.ftruncate(self._file, self._end)
            sync(self.path.parent)
        self._end = extend(self._file, self._end, b"".join(_packed(piece) for piece in pieces))

    def clear(self) -> None:
        """Everything stands in parts now."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            self._end = 0
        elif self.path.exists():
            os.truncate(self.path, 0)

    def close(self, *, remove: bool) -> None:
        """Ends; `remove` where nothing in it is needed any more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if remove:
            self.path.unlink(missing_ok=True)


def read(path: Path) -> Iterator[Piece]:
    """The whole pieces of a log, in order; none where there is no log."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    at = 0
    while at + _HEAD.size <= len(data):
        what, crc, first, size, own = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + size]
        if own != zlib.crc32(data[at : at + _HEAD.size - 4]) or len(payload) < size or crc != zlib.crc32(payload):
            return
        yield what, first, payload
        at += _HEAD.size + size


def _packed(piece: Piece) -> bytes:
    what, first, payload = piece
    head = _HEAD.pack(what, zlib.crc32(payload), first, len(payload), 0)[:-4]
    return head + zlib.crc32(head).to_bytes(4, "little") + payload
