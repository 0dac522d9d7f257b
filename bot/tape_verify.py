"""`pegline tape verify`: every row of a tape against what a tape must be, counted, each with its first place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bot.tape_cells import EARLIEST_NS, LATEST_NS, Bools
from bot.tape_facts import Silences
from connectors.events import FIELDS, I8, NS, Flag, Kind, Rows
from connectors.tape import Located, Tape

CORRUPT: Final = "corrupt"
"""The engine would refuse the tape."""
BAD: Final = "bad"
"""The rows can be read, but no quote can look like this; the gates will refuse them."""
NOTE: Final = "note"
"""Worth knowing, not wrong."""

CHECKS: Final[dict[str, tuple[str, str]]] = {
    "order": (CORRUPT, "rows whose ts_recv is smaller than the one before"),
    "unknown_instrument": (CORRUPT, "rows of an instrument that universe.json does not list"),
    "unknown_kind": (CORRUPT, "rows of a kind that does not exist"),
    "time_outside": (CORRUPT, "rows before 2000 or after 2099"),
    "not_finite": (CORRUPT, "rows with an infinite value"),
    "no_price": (BAD, "quotes with an absent bid or ask"),
    "not_positive": (BAD, "prices that are zero or negative"),
    "crossed": (BAD, "quotes whose bid is above the ask"),
    "duplicates": (BAD, "rows that repeat another of the same instant in every field"),
    "gaps": (NOTE, "silences of an instrument longer than --gap"),
    "one_price": (NOTE, "rows of series that have one price and no book"),
    "halted": (NOTE, "rows that the source marks as halted"),
    "raised": (NOTE, "rows that arrived with an earlier stamp and were raised"),
    "superseded": (NOTE, "rows that a newer one overtook before they were seen"),
}
"""Name of a check -> (how bad a finding is, what it counts)."""


@dataclass
class Finding:
    """What one check found."""

    check: str
    level: str
    what: str
    count: int = 0
    part: str | None = None
    """File of the first."""
    row: int | None = None
    """Its row in that file, from 0."""
    instrument: str | None = None


@dataclass
class Verdict:
    """What all checks found."""

    tape: str
    rows: int
    findings: list[Finding]
    """One for each check, in the order of CHECKS, also where nothing was found."""

    @property
    def level(self) -> str | None:
        """The worst level that was found, or None."""
        found = {finding.level for finding in self.findings if finding.count}
        return next((level for level in (CORRUPT, BAD, NOTE) if level in found), None)


def verify(tape: Tape, gap_s: float) -> Verdict:
    """Checks every row in one pass, block by block. Raises TapeError only where a part cannot be decoded at all."""
    check = _Checker(tape, gap_s)
    for located in tape.located(checked=False):
        check.block(located)
    return Verdict(str(tape.path), tape.rows(), list(check.found.values()))


_QUOTED: Final = (Kind.QUOTE, Kind.TRADE, Kind.DEPTH, Kind.POOL, Kind.REFERENCE, Kind.FX)
_TWO_SIDED: Final = (Kind.QUOTE, Kind.DEPTH, Kind.POOL, Kind.REFERENCE, Kind.FX)


class _Checker:
    """The checks with what they must remember from block to block."""

    def __init__(self, tape: Tape, gap_s: float) -> None:
        self.found = {name: Finding(name, level, what) for name, (level, what) in CHECKS.items()}
        self._tape = tape
        self._silences = Silences(len(tape.universe), int(gap_s * NS))
        self._last_ns = int(np.iinfo(np.int64).min)
        self._tail: Rows | None = None
        """The rows of the last instant so far, for duplicates that straddle two blocks."""

    def block(self, located: Located) -> None:
        """Runs all checks over a block."""
        rows = located.rows
        ts = rows.ts_recv
        before = np.concatenate([[self._last_ns], ts[:-1]])
        self._count("order", located, ts < before)
        self._last_ns = int(ts[-1])
        known = (rows.instrument >= 0) & (rows.instrument < len(self._tape.universe))
        self._count("unknown_instrument", located, ~known)
        self._count("unknown_kind", located, (rows.kind < 0) | (rows.kind >= len(Kind)))
        self._count("time_outside", located, (ts < EARLIEST_NS) | (ts >= LATEST_NS))
        infinite = np.zeros(len(rows), np.bool_)
        for name in ("bid", "ask", "bid_size", "ask_size", "extra"):
            infinite |= np.isinf(getattr(rows, name))
        priced, two = _among(rows, _QUOTED), _among(rows, _TWO_SIDED)
        absent = (priced & np.isnan(rows.bid)) | (two & np.isnan(rows.ask))
        self._count("not_finite", located, infinite)
        self._count("no_price", located, absent)
        self._count("not_positive", located, (priced & (rows.bid <= 0)) | (two & (rows.ask <= 0)))
        self._count("crossed", located, two & (rows.bid > rows.ask))
        self._duplicates(located)
        for name in ("one_price", "halted", "raised", "superseded"):
            self._count(name, located, (rows.flags & Flag[name.upper()]) != 0)
        self._gaps(located, known)

    def _count(self, name: str, located: Located, wrong: Bools) -> None:
        """Counts, and keeps the first place."""
        count = int(np.count_nonzero(wrong))
        if count:
            self._note(name, located, count, int(np.argmax(wrong)))

    def _note(self, name: str, located: Located, count: int, at: int) -> None:
        """Adds to a finding; `at` is a row of the block."""
        finding = self.found[name]
        if not finding.count:
            finding.part, finding.row = located.part, located.row + at
            number = int(located.rows.instrument[at])
            if 0 <= number < len(self._tape.universe):
                finding.instrument = self._tape.universe[number].name
        finding.count += count

    def _duplicates(self, located: Located) -> None:
        """Rows that are the same as another of their instant, in every field."""
        tail = self._tail
        rows = located.rows if tail is None else Rows.join([tail, located.rows])
        extra = 0 if tail is None else len(tail)
        # Only instants with several rows can hold one: the rest is not sorted.
        same = rows.ts_recv[1:] == rows.ts_recv[:-1]
        many = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
        if len(many):
            bits = [getattr(rows, name)[many].astype(FIELDS_AS[name]).view(np.int64) for name in FIELDS]
            order = np.lexsort(bits)
            equal = np.ones(len(order) - 1, np.bool_)
            for column in bits:
                equal &= column[order][1:] == column[order][:-1]
            repeats: I8 = np.sort(many[order[1:][equal]]) - extra
            repeats = repeats[repeats >= 0]
            if len(repeats):
                self._note("duplicates", located, len(repeats), int(repeats[0]))
        start = int(np.searchsorted(rows.ts_recv, rows.ts_recv[-1], side="left"))
        self._tail = rows[start:]

    def _gaps(self, located: Located, known: Bools) -> None:
        """Silences longer than the one asked about."""
        before = int(self._silences.gaps.sum())
        places = np.flatnonzero(known)
        if not len(places):
            return
        self._silences.first_gap = None
        self._silences.take(located.rows.ts_recv[places], located.rows.instrument[places].astype(np.int64))
        count = int(self._silences.gaps.sum()) - before
        if count and self._silences.first_gap is not None:
            self._note("gaps", located, count, int(places[self._silences.first_gap[0]]))


FIELDS_AS: Final = {
    name: np.float64 if name in ("bid", "ask", "bid_size", "ask_size", "extra") else np.int64 for name in FIELDS
}
"""Eight bytes for every field, so that they compare as bits (two NaN are the same)."""


def _among(rows: Rows, kinds: tuple[Kind, ...]) -> Bools:
    """Rows of some kinds."""
    return np.isin(rows.kind, [int(kind) for kind in kinds])
