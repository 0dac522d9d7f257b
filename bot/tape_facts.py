"""`pegline tape info`: what a tape holds, instrument by instrument, found in one pass with flat memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from connectors.events import I8, NS, Flag, Kind, Rows
from connectors.tape import Tape

_NONE = np.iinfo(np.int64).min


@dataclass
class InstrumentFacts:
    """What a tape holds of one instrument; times in ns UTC."""

    instrument: str
    role: str
    underlying: str
    token: str
    rows: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    one_price: int = 0
    halted: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    per_hour: float | None = None
    """Rows an hour between the first and the last."""
    longest_gap_s: float | None = None
    longest_gap_from_ns: int | None = None
    gaps: int = 0
    """Silences longer than the one asked about."""


@dataclass
class TapeFacts:
    """What a tape holds."""

    tape: str
    rows: int
    bytes: int
    parts: int
    first_ns: int
    last_ns: int
    gap_s: float
    instruments: list[InstrumentFacts]
    provenance: dict[str, Any]


class Silences:
    """The time between rows of each instrument, over blocks."""

    def __init__(self, instruments: int, gap_ns: int) -> None:
        """`gap_ns`: a longer silence is a gap."""
        self._gap_ns = gap_ns
        self.last = np.full(instruments, _NONE, np.int64)
        self.longest = np.zeros(instruments, np.int64)
        self.longest_from = np.full(instruments, _NONE, np.int64)
        self.gaps = np.zeros(instruments, np.int64)
        self.first_gap: tuple[int, int] | None = None
        """(row after the first gap of the last block that had the tape's first gap, instrument)."""

    def take(self, ts: I8, instrument: I8) -> None:
        """Takes a block in order of time; only rows of known instruments."""
        order = np.argsort(instrument, kind="stable")
        who, when = instrument[order], ts[order]
        starts = np.flatnonzero(np.diff(who, prepend=-1))
        before = np.empty_like(when)
        before[1:] = when[:-1]
        before[starts] = self.last[who[starts]]
        silent = np.where(before == _NONE, 0, when - before)
        long = silent > self._gap_ns
        np.add.at(self.gaps, who[long], 1)
        if long.any() and self.first_gap is None:
            at = int(order[long].min())
            self.first_gap = (at, int(instrument[at]))
        widest = np.maximum.reduceat(silent, starts)
        for k in np.flatnonzero(widest > self.longest[who[starts]]):
            number = who[starts[k]]
            end = starts[k + 1] if k + 1 < len(starts) else len(who)
            at = starts[k] + int(np.argmax(silent[starts[k] : end]))
            self.longest[number], self.longest_from[number] = silent[at], before[at]
        ends = np.append(starts[1:], len(who)) - 1
        self.last[who[ends]] = when[ends]


def facts(tape: Tape, gap_s: float) -> TapeFacts:
    """Reads a tape once. Raises TapeError as `Tape.blocks`."""
    size = len(tape.universe)
    kinds = np.zeros((size, len(Kind)), np.int64)
    one_price, halted = np.zeros(size, np.int64), np.zeros(size, np.int64)
    first = np.full(size, _NONE, np.int64)
    silences = Silences(size, int(gap_s * NS))
    start = end = 0
    for block in tape.blocks(["ts_recv", "instrument", "kind", "flags"]):
        start = start or int(block.ts_recv[0])
        end = int(block.ts_recv[-1])
        rows = block[block.kind != Kind.TICK]  # time that passes is nobody's word
        if not len(rows):
            continue
        who = rows.instrument.astype(np.int64)
        kinds += np.bincount(who * len(Kind) + rows.kind, minlength=kinds.size).reshape(kinds.shape)
        one_price += _having(rows, Flag.ONE_PRICE, size)
        halted += _having(rows, Flag.HALTED, size)
        seen, at = np.unique(who, return_index=True)
        new = first[seen] == _NONE
        first[seen[new]] = rows.ts_recv[at[new]]
        silences.take(rows.ts_recv, who)
    about = []
    for number, instrument in enumerate(tape.universe):
        one = InstrumentFacts(instrument.name, instrument.role.name, instrument.underlying, instrument.token)
        one.rows = int(kinds[number].sum())
        one.kinds = {kind.name: int(kinds[number, kind]) for kind in Kind if kinds[number, kind]}
        one.one_price, one.halted = int(one_price[number]), int(halted[number])
        if one.rows:
            one.first_ns, one.last_ns = int(first[number]), int(silences.last[number])
            one.gaps = int(silences.gaps[number])
            if one.last_ns > one.first_ns:
                one.per_hour = round((one.rows - 1) * 3600 * NS / (one.last_ns - one.first_ns), 3)
                one.longest_gap_s = int(silences.longest[number]) / NS
                one.longest_gap_from_ns = int(silences.longest_from[number])
        about.append(one)
    return TapeFacts(
        str(tape.path), tape.rows(), tape.bytes(), len(tape.parts), start, end, gap_s, about, tape.provenance
    )


def _having(rows: Rows, flag: Flag, size: int) -> I8:
    """Rows with a flag, per instrument."""
    return np.bincount(rows.instrument[(rows.flags & flag) != 0], minlength=size).astype(np.int64)
