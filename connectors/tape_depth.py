"""The side table `depth` of a tape: what the DEPTH rows hold, written in parts and read when somebody looks.

side/depth-00000.parquet   records in the order of their rows, 16,384 a part; a row's `extra` is the place of its
                           record in the table
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from connectors.ports import Level, Levels
from connectors.tape_levels import GLOB, PART_RECORDS, Ragged, read_part, write_part

Piece = tuple[int, bytes]
"""Place of the first record, and the records as Ragged packs them."""


class DepthWriter:
    """Collects levels; the newest part is written again as it grows."""

    def __init__(self, folder: Path) -> None:
        """What the tape in `folder` holds already; `recover` adds what only its log holds. Raises TapeError."""
        self.folder = folder
        self._parts = 0
        self._held: list[Ragged] = []
        """Records of the part that is being filled."""
        self._fresh: list[Ragged] = []
        """Those that no flush has made durable."""
        self._count = 0
        self._written = 0
        paths = sorted((folder / "side").glob(GLOB))
        if paths:
            last = read_part(paths[-1])
            self._parts = len(paths) - (len(last) < PART_RECORDS)
            self._held = [last] if len(last) < PART_RECORDS else []
            self._count = self._written = PART_RECORDS * (len(paths) - 1) + len(last)

    def add(self, books: Sequence[Levels]) -> int:
        """Takes levels; returns the place of the first."""
        first = self._count
        if books:
            self._fresh.append(Ragged.of(books))
            self._count += len(books)
        return first

    def recover(self, pieces: Sequence[Piece]) -> None:
        """Takes what a log holds beyond the parts."""
        for first, data in pieces:
            records = Ragged.unpacked(data)
            missing = records[max(0, self._count - first) :]
            if len(missing):
                self._fresh.append(missing)
                self._count += len(missing)

    def fresh(self) -> list[Piece]:
        """What was added since the last call, for the log."""
        if not self._fresh:
            return []
        records = Ragged.join(self._fresh)
        self._held.append(records)
        self._fresh = []
        return [(self._count - len(records), records.packed())]

    def write(self) -> None:
        """Writes everything as parts. Raises OSError."""
        self.fresh()
        if self._written == self._count:
            return
        held = Ragged.join(self._held)
        while len(held) >= PART_RECORDS:
            write_part(self.folder, self._parts, held[:PART_RECORDS])
            self._parts, held = self._parts + 1, held[PART_RECORDS:]
            self._held = [held]
        if len(held):
            write_part(self.folder, self._parts, held)
        self._held = [held] if len(held) else []
        self._written = self._count


class DepthTable(Mapping[int, Levels]):
    """The levels of a tape by their place, read part by part when somebody looks; one part is kept at hand."""

    def __init__(self, parts: Sequence[tuple[Path | Ragged, int]], count: int) -> None:
        """Each part with the place of its first record, and how many records there are in all."""
        self.parts = tuple(parts)
        self._count = count
        self._at_hand: tuple[int, Ragged] | None = None
        self._firsts = np.array([first for _, first in parts], np.int64)

    def __len__(self) -> int:
        """Records of the table."""
        return self._count

    def __iter__(self) -> Iterator[int]:
        """The places, in order."""
        return iter(range(len(self)))

    def __getitem__(self, place: int) -> Levels:
        """The levels at a place, unread until somebody looks. Raises KeyError for a place that is none."""
        if not 0 <= place < self._count:
            raise KeyError(place)
        return _Unread(self, place)

    def book(self, place: int) -> tuple[Ragged, int]:
        """The part that holds a place, and where in it. Raises KeyError where the file is shorter, TapeError."""
        number = int(np.searchsorted(self._firsts, place, side="right")) - 1
        part = self.part(number)
        at = place - int(self._firsts[number])
        if not 0 <= at < len(part):
            raise KeyError(place)
        return part, at

    def part(self, number: int) -> Ragged:
        """The records of a part. Raises TapeError."""
        source = self.parts[number][0]
        if isinstance(source, Ragged):
            return source
        if self._at_hand is None or self._at_hand[0] != number:
            self._at_hand = (number, read_part(source))
        return self._at_hand[1]


class _Unread:
    """Levels of a tape that nobody has looked at yet."""

    __slots__ = ("_place", "_table")

    def __init__(self, table: DepthTable, place: int) -> None:
        self._table, self._place = table, place

    @property
    def bids(self) -> Sequence[Level]:
        """Best first. Raises TapeError where the part cannot be read, KeyError where the table ends before it."""
        part, at = self._table.book(self._place)
        return part.side(at, bids=True)

    @property
    def asks(self) -> Sequence[Level]:
        """Best first. Raises as `bids`."""
        part, at = self._table.book(self._place)
        return part.side(at, bids=False)
