"""`pegline tape verify`: every row of a tape against what a tape must be, counted, each with its first place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bot.tape_cells import EARLIEST_NS, LATEST_NS, Bools
from bot.tape_facts import Silences
from connectors.events import FIELDS, I8, NS, TWO_SIDED, Flag, Health, Kind, Rows, Why
from connectors.tape import Located, Tape
from connectors.tape_levels import Ragged
from connectors.tape_log import LOG_FILE

CORRUPT: Final = "corrupt"
"""No writer of ours writes this; `backtest` and `peg` refuse the tape."""
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
    "no_levels": (CORRUPT, "DEPTH rows that point to levels that are not there"),
    "unknown_code": (BAD, "HEALTH rows of a state or reason that does not exist"),
    "levels_not_finite": (BAD, "books with a price or size that is no number, or not positive"),
    "levels_unordered": (BAD, "books whose levels do not run away from the best price"),
    "levels_crossed": (BAD, "books whose best bid is not below the best ask"),
    "levels_differ": (BAD, "DEPTH rows whose best bid or ask is not that of their levels"),
    "no_price": (CORRUPT, "quotes with an absent bid or ask"),
    "not_positive": (CORRUPT, "prices that are zero or negative"),
    "negative_size": (CORRUPT, "rows with a negative size"),
    "crossed": (BAD, "quotes whose bid is above the ask"),
    "duplicates": (BAD, "rows that repeat another of the same instant in every field"),
    "gaps": (NOTE, "silences of an instrument longer than --gap"),
    "one_price": (NOTE, "rows of series that have one price and no book"),
    "halted": (NOTE, "rows that the source marks as halted"),
    "raised": (NOTE, "rows that arrived with an earlier stamp and were raised"),
    "superseded": (NOTE, "rows that a newer one overtook before they were seen"),
    "same_print": (NOTE, "levels of a book whose best bid and ask an earlier row told"),
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
    check.levels()
    return Verdict(str(tape.path), tape.rows(), list(check.found.values()))


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
        two = np.isin(rows.kind, TWO_SIDED)
        priced = two | (rows.kind == Kind.TRADE)
        absent = (priced & np.isnan(rows.bid)) | (two & np.isnan(rows.ask))
        self._count("not_finite", located, infinite)
        self._count("no_price", located, absent)
        self._count("not_positive", located, (priced & (rows.bid <= 0)) | (two & (rows.ask <= 0)))
        self._count("negative_size", located, (rows.bid_size < 0) | (rows.ask_size < 0))
        self._count("crossed", located, two & (rows.bid > rows.ask))
        self._duplicates(located)
        self._codes(located)
        self._pointers(located)
        for name in ("one_price", "halted", "raised", "superseded", "same_print"):
            self._count(name, located, (rows.flags & Flag[name.upper()]) != 0)
        self._gaps(located, known & (rows.kind != Kind.TICK))

    def levels(self) -> None:
        """The side table: each book by itself. Raises TapeError for a part that cannot be decoded."""
        depth = self._tape.depth
        for number, (source, _) in enumerate(depth.parts):
            name = str(source.relative_to(self._tape.path)) if isinstance(source, Path) else LOG_FILE
            for check, wrong in broken(depth.part(number)).items():
                count, finding = int(np.count_nonzero(wrong)), self.found[check]
                if count and not finding.count:
                    finding.part, finding.row = name, int(np.argmax(wrong))
                finding.count += count

    def _codes(self, located: Located) -> None:
        """States and reasons of streams."""
        rows = located.rows
        health = rows.kind == Kind.HEALTH
        if health.any():
            known = np.isin(rows.bid, [float(h) for h in Health]) & (
                np.isin(rows.ask, [float(w) for w in Why]) | np.isnan(rows.ask)
            )
            self._count("unknown_code", located, health & ~known)

    def _pointers(self, located: Located) -> None:
        """Whether DEPTH rows find their levels, and those tell the same best prices."""
        rows, depth = located.rows, self._tape.depth
        at = np.flatnonzero((rows.kind == Kind.DEPTH) & np.isfinite(rows.extra))
        if not len(at):
            return
        absent, differs = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for row, place in zip(at.tolist(), rows.extra[at].tolist(), strict=True):
            try:
                books, own = depth.book(int(place)) if place == int(place) >= 0 else (None, 0)
            except KeyError:
                books, own = None, 0
            if books is None:
                absent[row] = True
                continue
            for starts, prices, price in (
                (books.bid_from, books.bid_price, rows.bid[row]),
                (books.ask_from, books.ask_price, rows.ask[row]),
            ):
                differs[row] |= starts[own] == starts[own + 1] or prices[starts[own]] != price
        self._count("no_levels", located, absent)
        self._count("levels_differ", located, differs)

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

    def _gaps(self, located: Located, spoke: Bools) -> None:
        """Silences longer than the one asked about."""
        before = int(self._silences.gaps.sum())
        places = np.flatnonzero(spoke)
        if not len(places):
            return
        self._silences.first_gap = None
        self._silences.take(located.rows.ts_recv[places], located.rows.instrument[places].astype(np.int64))
        count = int(self._silences.gaps.sum()) - before
        if count and self._silences.first_gap is not None:
            self._note("gaps", located, count, int(places[self._silences.first_gap[0]]))


def broken(books: Ragged) -> dict[str, Bools]:
    """Which books are wrong, by check."""
    count = len(books)
    odd, unordered = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for starts, prices, sizes, sign in (
        (books.bid_from, books.bid_price, books.bid_size, -1.0),
        (books.ask_from, books.ask_price, books.ask_size, 1.0),
    ):
        wrong = ~((prices > 0) & (prices < np.inf) & (sizes >= 0) & (sizes < np.inf))
        odd[np.searchsorted(starts, np.flatnonzero(wrong), side="right") - 1] = True
        steps = ~(sign * np.diff(prices) > 0)
        places = np.flatnonzero(steps)
        books_of = np.searchsorted(starts, places, side="right") - 1
        same = books_of == np.searchsorted(starts, places + 1, side="right") - 1
        unordered[books_of[same]] = True
    both = (np.diff(books.bid_from) > 0) & (np.diff(books.ask_from) > 0)
    crossed = np.zeros(count, np.bool_)
    crossed[both] = ~(books.bid_price[books.bid_from[:-1][both]] < books.ask_price[books.ask_from[:-1][both]])
    return {"levels_not_finite": odd, "levels_unordered": unordered & ~odd, "levels_crossed": crossed & ~odd}


FIELDS_AS: Final = {
    name: np.float64 if name in ("bid", "ask", "bid_size", "ask_size", "extra") else np.int64 for name in FIELDS
}
"""Eight bytes for every field, so that they compare as bits (two NaN are the same)."""
