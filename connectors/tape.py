"""Rows on disk: opening a tape, or a recording (a folder of days) as one tape.

tape = open_tape(Path("august.tape"))
for rows in tape.blocks(["ts_recv", "instrument", "kind", "flags", "bid", "ask"]):
    ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from connectors.errors import TapeError
from connectors.events import Kind
from connectors.tape_days import SIDES, DayWriter, days, joined
from connectors.tape_depth import DepthTable
from connectors.tape_format import GROUP_ROWS, UNIVERSE_FILE
from connectors.tape_levels import Ragged
from connectors.tape_read import Located, Part, Tape, open_one
from connectors.tape_write import TapeWriter

__all__ = ["GROUP_ROWS", "DayWriter", "Located", "Part", "Tape", "TapeWriter", "open_tape"]


def open_tape(path: Path) -> Tape:
    """Opens a tape, or all days of a recording as one, and checks files' names and columns, not yet the rows.

    Raises TapeError for a folder that is neither, an empty tape, a missing or truncated part, a column that is absent,
    superfluous, nullable or of another type, and days in which one name means two instruments.
    """
    path = Path(path)
    folders = [] if (path / UNIVERSE_FILE).exists() else days(path)
    if not folders:
        return open_one(path)
    tapes = []
    for folder in folders:
        try:
            tapes.append(open_one(folder))
        except TapeError as error:
            if not error.what.startswith("the tape is empty"):
                raise
    if not tapes:
        raise TapeError("the recording is empty: it holds no row", where=str(path), hint="nothing was recorded")
    return tapes[0] if len(tapes) == 1 else _as_one(path, tapes)


def _as_one(path: Path, tapes: Sequence[Tape]) -> Tape:
    """Several tapes, one after the other: instruments and side records get numbers of the whole."""
    universe, numbers = joined([(tape.path, tape.universe) for tape in tapes])
    parts: list[Part] = []
    levels: list[tuple[Path | Ragged, int]] = []
    count = 0
    others = dict.fromkeys(SIDES, 0)
    for tape, own in zip(tapes, numbers, strict=True):
        others[Kind.DEPTH] = count
        moved = None if own == list(range(len(own))) else np.array(own, np.int32)
        parts += [
            replace(part, name=f"{tape.path.name}/{part.name}", numbers=moved, places=dict(others))
            for part in tape.parts
        ]
        levels += [(source, first + count) for source, first in tape.depth.parts]
        count += len(tape.depth)
        for kind, name in SIDES.items():
            if kind is not Kind.DEPTH and (tape.path / "side" / f"{name}.jsonl").exists():
                others[kind] += len(tape.side(name))
    provenance = {"days": [tape.path.name for tape in tapes], **tapes[-1].provenance}
    return Tape(path, universe, provenance, tuple(parts), DepthTable(levels, count))
