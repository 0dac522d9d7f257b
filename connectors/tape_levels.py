"""Levels of many books as arrays, as bytes and as a Parquet file: the parts of a tape's side table `depth`.

A part has four list columns: prices and sizes of the bids, prices and sizes of the asks, best first. Every float comes
back as it was. Ten levels a side take 50 to 75 bytes a record where most levels stand from one second to the next (as
JSON: 365).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.errors import TapeError
from connectors.events import F8, I8
from connectors.ports import Level, Levels
from connectors.tape_format import PARTIAL, settle

PART_RECORDS: Final = 16_384
"""Records of a part: about five minutes of fifty books once a second."""

GLOB: Final = "depth-*.parquet"
_LIST: Final = pa.list_(pa.field("element", pa.float64(), nullable=False))
_SCHEMA: Final = pa.schema(
    [pa.field(name, _LIST, nullable=False) for name in ("bid_price", "bid_size", "ask_price", "ask_size")]
)
_COUNT: Final = np.dtype("<u2")
_BOOKS: Final = np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class Ragged:
    """Levels of many books: one after the other, each with its own number of bids and asks."""

    bid_from: I8
    """Where each book's bids begin; one longer than there are books."""
    ask_from: I8
    bid_price: F8
    bid_size: F8
    ask_price: F8
    ask_size: F8

    def __len__(self) -> int:
        """How many books."""
        return len(self.bid_from) - 1

    def __getitem__(self, part: slice) -> Ragged:
        """Some books; `part` has no step."""
        start, stop, _ = part.indices(len(self))
        stop = max(start, stop)
        bids = slice(self.bid_from[start], self.bid_from[stop])
        asks = slice(self.ask_from[start], self.ask_from[stop])
        return Ragged(
            self.bid_from[start : stop + 1] - self.bid_from[start],
            self.ask_from[start : stop + 1] - self.ask_from[start],
            self.bid_price[bids],
            self.bid_size[bids],
            self.ask_price[asks],
            self.ask_size[asks],
        )

    def side(self, at: int, *, bids: bool) -> tuple[Level, ...]:
        """One side of one book."""
        starts, prices, sizes = (
            (self.bid_from, self.bid_price, self.bid_size) if bids else (self.ask_from, self.ask_price, self.ask_size)
        )
        own = slice(starts[at], starts[at + 1])
        return tuple(zip(prices[own].tolist(), sizes[own].tolist(), strict=True))

    @staticmethod
    def of(books: Sequence[Levels]) -> Ragged:
        """From books, in the order given. Raises OverflowError for a side of more than 65,535 levels."""
        for book in books:
            if max(len(book.bids), len(book.asks)) > np.iinfo(_COUNT).max:
                raise OverflowError("too many levels")
        bids = np.array([level for book in books for level in book.bids], np.float64).reshape(-1, 2)
        asks = np.array([level for book in books for level in book.asks], np.float64).reshape(-1, 2)
        return Ragged(
            _starts([len(book.bids) for book in books]),
            _starts([len(book.asks) for book in books]),
            *(np.ascontiguousarray(side[:, at]) for side in (bids, asks) for at in (0, 1)),
        )

    @staticmethod
    def join(parts: Sequence[Ragged]) -> Ragged:
        """Several as one, in the order given."""
        if len(parts) == 1:
            return parts[0]
        counts = [[c for part in parts for c in np.diff(getattr(part, name))] for name in ("bid_from", "ask_from")]
        columns = ([getattr(part, name) for part in parts] for name in _SCHEMA.names)
        return Ragged(
            _starts(counts[0]), _starts(counts[1]), *(np.concatenate([np.empty(0), *column]) for column in columns)
        )

    def packed(self) -> bytes:
        """As bytes for the log."""
        books = np.array([len(self)], _BOOKS)
        counts = np.array([np.diff(self.bid_from), np.diff(self.ask_from)], _COUNT)
        return b"".join(
            part.tobytes() for part in (books, counts, self.bid_price, self.bid_size, self.ask_price, self.ask_size)
        )

    @staticmethod
    def unpacked(data: bytes) -> Ragged:
        """What `packed` gave."""
        books = int(np.frombuffer(data, _BOOKS, 1)[0])
        counts = np.frombuffer(data, _COUNT, 2 * books, offset=_BOOKS.itemsize).reshape(2, books)
        bids, asks = int(counts[0].sum()), int(counts[1].sum())
        values = np.frombuffer(data, np.float64, 2 * (bids + asks), offset=_BOOKS.itemsize + counts.nbytes)
        return Ragged(_starts(counts[0]), _starts(counts[1]), *np.split(values, np.cumsum([bids, bids, asks])))


def _starts(counts: Any) -> I8:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(counts, np.int64), dtype=np.int64)])


def part_path(folder: Path, number: int) -> Path:
    """Where a part of a tape's levels lies."""
    return folder / "side" / f"depth-{number:05d}.parquet"


def write_part(folder: Path, number: int, records: Ragged) -> None:
    """Writes a part, replacing a shorter one; it appears whole or not at all. Raises OSError."""
    path = part_path(folder, number)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    columns = [
        pa.ListArray.from_arrays(pa.array(starts.astype(np.int32)), pa.array(values), type=_LIST)
        for starts, values in (
            (records.bid_from, records.bid_price),
            (records.bid_from, records.bid_size),
            (records.ask_from, records.ask_price),
            (records.ask_from, records.ask_size),
        )
    ]
    pq.write_table(
        pa.table(columns, schema=_SCHEMA),
        partial,
        row_group_size=PART_RECORDS,
        compression="zstd",
        compression_level=3,
        write_page_checksum=True,
        store_schema=False,
    )
    settle(partial, path)


def read_part(path: Path) -> Ragged:
    """A part's records. Raises TapeError for a file that is none."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(use_threads=False).combine_chunks()
        if table.schema.names != _SCHEMA.names:
            raise OSError(f"columns {', '.join(table.schema.names)}; must be {', '.join(_SCHEMA.names)}")
        starts, values = [], []
        for name in _SCHEMA.names:
            column = pa.concat_arrays(table[name].chunks) if table.num_rows else pa.array([], _LIST)
            if column.null_count or column.flatten().null_count:
                raise OSError(f"{name} has empty places")
            starts.append(_starts(np.asarray(column.value_lengths())))
            values.append(np.asarray(column.flatten(), np.float64))
        if not (np.array_equal(starts[0], starts[1]) and np.array_equal(starts[2], starts[3])):
            raise OSError("prices and sizes are not of one number")
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        text = " ".join(str(error).split())
        raise TapeError(
            f"row 0: not a part of the levels: {text}", where=str(path), hint="it was truncated or overwritten"
        ) from None
    return Ragged(starts[0], starts[2], *values)
