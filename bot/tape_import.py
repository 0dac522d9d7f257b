"""`pegline tape import`: files of prices and a map become one tape; what is bad is counted, named and set aside.

Rows of one instant stand in the order of connectors.events.IMPORT_ORDER, within a kind by series in the map, then by
file and line. All rows are in memory while they are sorted: about 300 bytes each.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from bot.tape_map import Series, TapeMap, load_map
from bot.tape_plan import install, may_write, plan_of
from bot.tape_rows import Lines, Taken, take
from bot.tape_sources import batches, raw_lines
from bot.tape_universe import series_of, universe_of
from connectors.errors import ImportFailed
from connectors.events import IMPORT_ORDER, Kind, Rows
from connectors.instruments import Universe
from connectors.tape import GROUP_ROWS, TapeWriter
from connectors.tape_format import REJECTS_FILE

Progress = Callable[[str, int], None]
"""Called with a file's name and the lines read of it so far."""

_LAST_RANK: Final = 5


@dataclass
class FileReport:
    """What became of one file."""

    file: str
    bytes: int
    sha256: str
    lines: int = 0
    backwards: int = 0
    """How often the time of a line is before that of the line above it."""
    backwards_line: int | None = None
    """The first such line."""


@dataclass
class SeriesReport:
    """What became of one series."""

    instrument: str
    kind: str
    rows: int = 0
    absent: int = 0
    """Lines whose price cells are empty."""
    dropped: int = 0
    """Lines left out by drop_where."""
    rejected: int = 0


@dataclass
class Imported:
    """What an import came to."""

    tape: str
    rows: int
    first_ns: int
    last_ns: int
    files: list[FileReport]
    series: list[SeriesReport]
    rejected: dict[str, int]
    """By reason; a line counts once for each series that it fails."""


@dataclass
class _Pile:
    """Everything read so far, column by column in pieces."""

    pieces: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[tuple[int, int, str, str]] = field(default_factory=list)
    """(file, line, reason, instrument)."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """Exact multipliers, in order of their index."""


def import_tape(
    files: Sequence[Path], map_file: Path, out: Path, *, force: bool = False, progress: Progress | None = None
) -> Imported:
    """Makes the tape `out` from `files` by the map.

    Raises ImportFailed for mistakes of the map (all at once), a file that is absent, truncated or matches no source,
    nothing to write, and an `out` that exists (unless `force` and it is a tape). `out` appears whole or not at all.
    """
    found, places = load_map(map_file)
    plan = plan_of(found, places, files)
    universe = universe_of(found, places)
    may_write(out, force=force)
    reports = [FileReport(path.name, path.stat().st_size, _sha256(path)) for path in files]
    series = [SeriesReport(s.instrument, s.kind) for _, _, s in series_of(found)]
    pile = _Pile()
    for source, number in plan:
        _read(found, universe, source, files[number], number, reports[number], series, pile, progress)
    columns = {name: np.concatenate([piece[name] for piece in pile.pieces]) for name in _COLUMNS} if pile.pieces else {}
    pile.pieces.clear()
    count = len(columns.get("ts", ()))
    rejected = Counter(reason for _, _, reason, _ in pile.rejects)
    if not count:
        raise ImportFailed(
            "no row could be taken", where=", ".join(p.name for p in files), hint=_why(files, pile.rejects)
        )
    order = np.lexsort((columns["line"], columns["file"], columns["series"], columns["rank"], columns["ts"]))
    provenance = {
        "made_by": "tape import",
        "map": {"name": map_file.name, "sha256": _sha256(map_file)},
        "files": [{"name": r.file, "bytes": r.bytes, "sha256": r.sha256, "lines": r.lines} for r in reports],
        "rejected": dict(rejected),
    }
    with install(out) as partial:
        with TapeWriter(partial, universe, provenance) as writer:
            for record in pile.records:
                writer.side("multipliers", record)
            for start in range(0, count, GROUP_ROWS):
                writer.append(_rows(columns, order[start : start + GROUP_ROWS]))
        _write_rejects(partial / REJECTS_FILE, files, pile.rejects)
    ends = columns["ts"][order[[0, -1]]]
    return Imported(str(out), count, int(ends[0]), int(ends[1]), reports, series, dict(rejected))


_COLUMNS: Final = ("ts", "rank", "series", "file", "line", "instrument", "kind", "flags", "bid", "ask", "bid_size",
                   "ask_size", "extra")  # fmt: skip


def _read(
    found: TapeMap,
    universe: Universe,
    i: int,
    path: Path,
    number: int,
    report: FileReport,
    series: list[SeriesReport],
    pile: _Pile,
    progress: Progress | None,
) -> None:
    """Reads one file for one source onto the pile."""
    source = found.source[i]
    offset = sum(len(earlier.series) for earlier in found.source[:i])
    columns = dict.fromkeys([source.time.column, *(c for s in source.series for _, c in s.columns())])
    last_ns = 0
    report.lines = 0
    for batch in batches(path, list(columns)):
        pile.rejects += [(number, line, "cells", "") for line in batch.ragged]
        lines = Lines(batch, source)
        report.lines += len(lines) + len(batch.ragged)
        last_ns = _backwards(lines, last_ns, report)
        for j, one in enumerate(source.series):
            taken = take(one, lines)
            about = series[offset + j]
            about.rows += len(taken.at)
            about.absent += taken.absent
            about.dropped += taken.dropped
            for at, reason in taken.refused:
                about.rejected += len(at)
                pile.rejects += [(number, int(line), reason, one.instrument) for line in batch.lines[at]]
            if len(taken.at):
                piece = _piece(one, offset + j, universe.number(one.instrument), number, lines, taken, pile)
                pile.pieces.append(piece)
        if progress is not None:
            progress(path.name, report.lines)


def _why(files: Sequence[Path], rejects: list[tuple[int, int, str, str]]) -> str:
    """For an import without a row: each reason with its count and its first place."""
    counts = Counter(reason for _, _, reason, _ in rejects)
    first = {reason: (file, line) for file, line, reason, _ in sorted(rejects, reverse=True)}
    said = [f"{reason} {n}, first: {files[first[reason][0]].name}:{first[reason][1]}" for reason, n in counts.items()]
    return "; ".join(said) or "no line passes the filters of the map"


def _backwards(lines: Lines, last_ns: int, report: FileReport) -> int:
    """Counts where the time of a file goes back; returns the last time."""
    good = lines.times.good
    ts = lines.times.values[good]
    if not len(ts):
        return last_ns
    back = np.flatnonzero(np.diff(ts, prepend=last_ns) < 0)
    report.backwards += len(back)
    if len(back) and report.backwards_line is None:
        report.backwards_line = int(lines.batch.lines[good][back[0]])
    return int(ts[-1])


def _piece(
    one: Series, series: int, instrument: int, file: int, lines: Lines, taken: Taken, pile: _Pile
) -> dict[str, Any]:
    """What one series took from a batch, as columns to be sorted."""
    count = len(taken.at)
    ts = lines.times.values[taken.at]
    extra = np.full(count, np.nan)
    if taken.activates is not None:
        extra = np.arange(len(pile.records), len(pile.records) + count, dtype=np.float64)
        pile.records += [
            {
                "instrument": one.instrument,
                "multiplier": repr(float(value)),
                "announced_ns": int(t),
                "activates_ns": int(a),
            }
            for value, t, a in zip(taken.bid, ts, taken.activates, strict=True)
        ]
    return {
        "ts": ts,
        "rank": np.full(count, IMPORT_ORDER.get(one.row_kind, _LAST_RANK), np.int8),
        "series": np.full(count, series, np.int32),
        "file": np.full(count, file, np.int32),
        "line": lines.batch.lines[taken.at],
        "instrument": np.full(count, instrument, np.int32),
        "kind": np.full(count, Kind[one.kind], np.int16),
        "flags": taken.flags,
        "bid": taken.bid,
        "ask": taken.ask,
        "bid_size": taken.bid_size,
        "ask_size": taken.ask_size,
        "extra": extra,
    }


def _rows(columns: dict[str, Any], at: Any) -> Rows:
    """A block of sorted rows; an import has one time, which is both."""
    ts = columns["ts"][at]
    same = ("instrument", "kind", "flags", "bid", "ask", "bid_size", "ask_size", "extra")
    return Rows(ts_venue=ts, ts_recv=ts, **{name: columns[name][at] for name in same})


def _write_rejects(path: Path, files: Sequence[Path], rejects: list[tuple[int, int, str, str]]) -> None:
    """file, line, reason, instrument and the line as it stands; in order of file and line. No rejects, no file."""
    if not rejects:
        return
    raw = {n: raw_lines(files[n], {line for f, line, _, _ in rejects if f == n}) for n in {f for f, *_ in rejects}}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "line", "reason", "instrument", "text"))
        for n, line, reason, instrument in sorted(set(rejects)):
            writer.writerow((files[n].name, line, reason, instrument, raw[n].get(line, "")))


def _sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
