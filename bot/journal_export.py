"""Rows of a journal as a file for other programs: CSV, JSON lines or Parquet, written whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from bot.journal_steps import Runs
from connectors.errors import DataError
from connectors.tape_format import settle
from monitoring.narrate import utc
from strategies.base import Step

Row = Mapping[str, str | int | None]
"""Money and sizes are exact decimals as text, times are ns UTC and, beside it, ISO."""

BATCH: Final = 10_000
"""Rows of a Parquet row group."""
FORMATS: Final = (".csv", ".jsonl", ".parquet")


def write(path: Path, columns: Mapping[str, type], rows: Iterable[Row]) -> int:
    """Writes rows to a file in the format that its ending names; gives their number. `columns` are str or int.

    The file appears when all is written. Raises DataError where it cannot be written.
    """
    writer: Callable[[Path, Mapping[str, type], Iterator[Row]], None] = {
        ".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet,
    }[path.suffix]  # fmt: skip
    partial = path.with_name(path.name + ".part")
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    try:
        writer(partial, columns, counted())
        settle(partial, path)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", where=str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _csv(path: Path, columns: Mapping[str, type], rows: Iterator[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows([row[name] for name in columns] for row in rows)


def _jsonl(path: Path, columns: Mapping[str, type], rows: Iterator[Row]) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")


def _parquet(path: Path, columns: Mapping[str, type], rows: Iterator[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if kind is int else pa.string()) for name, kind in columns.items()])
    with pq.ParquetWriter(path, schema) as file:
        while batch := list(islice(rows, BATCH)):
            file.write_table(pa.Table.from_pylist(batch, schema=schema))


FILLS: Final[Mapping[str, type]] = {
    "at": str, "at_ns": int, "fill": str, "order": str, "intent": str, "instrument": str, "side": str, "quantity": str,
    "price": str, "fee": str, "fx": str, "gas_usd": str, "undone": str,
}  # fmt: skip
CHARGES: Final[Mapping[str, type]] = {
    "at": str, "at_ns": int, "charge": str, "instrument": str, "kind": str, "amount": str, "fx": str,
}  # fmt: skip
STEPS: Final[Mapping[str, type]] = {"seq": int, "at": str, "at_ns": int, "cause": str, "record": str}


def fills(told: Iterable[Step], runs: Runs) -> Iterator[Row]:
    """Every fill as it was reported; `undone` is `yes` for the news that one did not happen after all."""
    for step in told:
        names: Sequence[str] = runs.names(step.seq) if step.reports else ()
        for report in step.reports:
            for fill in (*report.fills, *report.undone):
                yield {
                    "at": utc(fill.ts), "at_ns": fill.ts, "fill": fill.id, "order": fill.client_id,
                    "intent": report.intent_id, "instrument": names[fill.instrument], "side": fill.side.value,
                    "quantity": f"{fill.quantity:f}", "price": f"{fill.price:f}", "fee": f"{fill.fee:f}",
                    "fx": f"{fill.fx:f}", "gas_usd": f"{fill.gas_usd:f}", 
                    "undone": "yes" if fill in report.undone else "",
                }  # fmt: skip


def charges(told: Iterable[Step], runs: Runs) -> Iterator[Row]:
    """What holding has cost, each charge once; below 0 it was earned."""
    for step in told:
        names: Sequence[str] = runs.names(step.seq) if step.charges else ()
        for one in step.charges:
            yield {
                "at": utc(one.ts), "at_ns": one.ts, "charge": one.id, "instrument": names[one.instrument],
                "kind": one.kind.value, "amount": f"{one.amount:f}", "fx": f"{one.fx:f}",
            }  # fmt: skip


def records(told: Iterable[Step]) -> Iterator[Row]:
    """Every decision record, the whole of it as JSON."""
    for step in told:
        record: Any = msgspec.json.encode(step).decode()
        yield {"seq": step.seq, "at": utc(step.ts), "at_ns": step.ts, "cause": step.cause, "record": record}
