"""One series of a map over a batch of lines: which lines are rows, what stands in them, why others are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from bot.tape_cells import Bools, Numbers, Times, equal, flags, numbers, times
from bot.tape_map import Cell, Series, Source
from bot.tape_sources import Batch
from connectors.events import F8, I8, NS, Flag

REASONS: Final[dict[str, str]] = {
    "cells": "too few or too many cells in the line",
    "time_empty": "the time is empty",
    "time_unreadable": "the time cannot be read in the map's format",
    "time_outside": "the time is before 2000 or after 2099: wrong unit?",
    "unreadable": "a price or value is no number",
    "not_finite": "a price or value is NaN or infinite",
    "negative": "a price is negative",
    "zero": "a price is zero",
    "half_quote": "one of bid and ask is empty",
    "crossed": "the bid is above the ask",
    "bad_size": "a size is no number, negative or infinite",
    "bad_flag": "the halted column says neither yes nor no",
}
"""Why a line is refused, by the word that stands in rejects.csv."""


@dataclass(slots=True)
class Taken:
    """What one series made of one batch; the arrays have one element per row taken."""

    at: I8
    """Places of the rows in the batch."""
    bid: F8
    ask: F8
    bid_size: F8
    ask_size: F8
    flags: int | Any
    activates: I8 | None = None
    """For MULTIPLIER: ns UTC of the activation, per row."""
    refused: list[tuple[I8, str]] = field(default_factory=list)
    """(places in the batch, reason)."""
    absent: int = 0
    """Lines of this series whose cells are empty."""
    dropped: int = 0
    """Lines that drop_where left out."""


class Lines:
    """A batch of lines; a column is parsed once, however many series read it."""

    def __init__(self, batch: Batch, source: Source) -> None:
        """Parses the time column at once."""
        self.batch = batch
        self.source = source
        self.times: Times = self.moments(source.time.column, source.time.offset_ns)
        self._numbers: dict[str, Numbers] = {}
        self._equal: dict[tuple[str, str], Bools] = {}

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self.batch.lines)

    def moments(self, column: str, offset_ns: int = 0) -> Times:
        """A column of times in the source's format."""
        return times(self.batch.columns[column], self.source.time.format, offset_ns)

    def numbers(self, column: str) -> Numbers:
        """A column of numbers."""
        if column not in self._numbers:
            self._numbers[column] = numbers(self.batch.columns[column])
        return self._numbers[column]

    def equal(self, column: str, wanted: Cell) -> Bools:
        """Where a column's cell is `wanted`."""
        key = (column, repr(wanted))
        if key not in self._equal:
            self._equal[key] = equal(self.batch.columns[column], wanted)
        return self._equal[key]


def take(series: Series, lines: Lines) -> Taken:
    """The rows of a series in a batch. A line is refused for the first reason that applies, in the order of REASONS."""
    size = len(lines)
    chosen = np.ones(size, np.bool_)
    for column, wanted in series.where.items():
        chosen &= lines.equal(column, wanted)
    drop = np.zeros(size, np.bool_)
    if series.drop_where:
        drop = chosen.copy()
        for column, wanted in series.drop_where.items():
            drop &= lines.equal(column, wanted)
    values = [lines.numbers(column) for column in _values(series)]
    absent = np.logical_and.reduce([value.empty for value in values])
    live = chosen & ~drop & ~absent
    refused: list[tuple[I8, str]] = []

    def refuse(wrong: Bools, reason: str) -> None:
        nonlocal live
        wrong = wrong & live
        if wrong.any():
            refused.append((np.flatnonzero(wrong), reason))
            live = live & ~wrong

    refuse(lines.times.empty, "time_empty")
    refuse(lines.times.unreadable, "time_unreadable")
    refuse(lines.times.outside, "time_outside")
    for value in values:
        refuse(value.unreadable, "unreadable")
        refuse(~value.empty & ~np.isfinite(value.values), "not_finite")
    activates: I8 | None = None
    first, second = _pair(series, values, size)
    if series.kind in _PRICED:
        for value in values:
            refuse(value.values < 0, "negative")
            refuse(value.values == 0, "zero")
        for value in values:
            refuse(value.empty, "half_quote")
        refuse(first > second, "crossed")
    elif series.kind == "MULTIPLIER":
        refuse(first < 0, "negative")
        refuse(first == 0, "zero")
        # Without a column of its own a multiplier activates at the row's own time.
        when = lines.moments(series.activates) if series.activates else lines.times
        activates = when.values
        second = activates / NS
        refuse(~when.good, "time_unreadable")
    elif series.kind == "REWARD":
        refuse(first < 0, "negative")
        if series.ends:
            end = lines.moments(series.ends)
            second = np.where(end.good, end.values / NS, np.nan)
            refuse(end.unreadable | end.outside, "time_unreadable")
    elif series.kind == "SUPPLY":
        refuse((first < 0) | (second < 0), "negative")
        refuse(values[0].empty, "half_quote")
    sizes = [np.full(size, np.nan), np.full(size, np.nan)]
    for which, column in enumerate((series.bid_size, series.ask_size)):
        if column:
            cell = lines.numbers(column)
            sizes[which] = cell.values
            refuse(~cell.empty & ~((cell.values >= 0) & (cell.values < np.inf)), "bad_size")
    bits = np.full(size, Flag.ONE_PRICE if series.price and series.kind != "TRADE" else 0, np.int16)
    if series.halted:
        yes, unreadable = flags(lines.batch.columns[series.halted])
        bits |= np.where(yes, Flag.HALTED, 0).astype(np.int16)
        refuse(unreadable, "bad_flag")
    at = np.flatnonzero(live)
    return Taken(
        at=at,
        bid=first[at],
        ask=second[at],
        bid_size=sizes[0][at],
        ask_size=sizes[1][at],
        flags=bits[at],
        activates=None if activates is None else activates[at],
        refused=refused,
        absent=int((chosen & ~drop & absent).sum()),
        dropped=int(drop.sum()),
    )


_PRICED: Final = ("QUOTE", "TRADE", "REFERENCE", "FX")


def _values(series: Series) -> list[str]:
    """The columns whose cells make the row; where all of them are empty there is none."""
    keys = ("price", "bid", "ask", "value", "rate", "usd_per_day", "tokens", "backing_shares")
    return [getattr(series, key) for key in keys if getattr(series, key)]


def _pair(series: Series, values: list[Numbers], size: int) -> tuple[F8, F8]:
    """What stands in `bid` and `ask` (connectors/events.py says what that means for each kind)."""
    if series.kind == "FUNDING":
        return values[0].values, np.full(size, series.per_s or np.nan)
    if series.price:
        return values[0].values, values[0].values
    return values[0].values, values[1].values if len(values) > 1 else np.full(size, np.nan)
