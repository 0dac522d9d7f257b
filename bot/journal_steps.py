"""The decision records of a journal, one at a time, and what the instruments of each run were."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from bot.journal_file import JournalError
from bot.journal_reader import read, runs
from connectors.errors import RegistryError
from connectors.instruments import Instrument, Role, Universe
from strategies.base import Note, Step
from strategies.execution.adjusting import KIND as ADJUST

REMEMBERED: Final = 100_000
"""Intents whose late reports are still told to be theirs."""
UNSAID: Final = "?"
"""Quote currency of an instrument in a journal that does not tell it."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Every run of a journal, by the seq of its first decision record."""

    firsts: tuple[int, ...]
    instruments: tuple[tuple[Instrument, ...], ...]
    """What each run knew, by its own numbers."""

    def names(self, seq: int) -> tuple[str, ...]:
        """Names of the instruments, by number, in the run that a record belongs to."""
        at = bisect_right(self.firsts, seq) - 1
        return tuple(one.name for one in self.instruments[at]) if at >= 0 else ()

    def universe(self) -> Universe:
        """Every instrument of any run, once, as the last run that had it knew it."""
        known: dict[str, Instrument] = {}
        for run in self.instruments:
            known |= {instrument.name: instrument for instrument in run}
        return Universe(tuple(known.values()))


def runs_in(path: Path) -> Runs:
    """The runs of a journal that decided anything. Raises JournalError."""
    firsts: list[int] = []
    found: list[tuple[Instrument, ...]] = []
    for first, _ in runs(path):
        record = next(read(path, kind="step", after=first - 1), None)
        if record is None or (firsts and record.seq <= firsts[-1]):
            continue
        start = next((note for note in _decode(record.payload, path, record.seq).notes if note.kind == "start"), None)
        if start is not None:
            firsts.append(record.seq)
            found.append(_instruments(start))
    return Runs(tuple(firsts), tuple(found))


def steps(
    path: Path,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Callable[[int], None] = lambda seq: None,
) -> Iterator[Step]:
    """Decision records of a time span, in order, one at a time; `progress` hears each seq. Raises JournalError."""
    for record in read(path, kind="step", start_ns=start_ns, end_ns=end_ns):
        progress(record.seq)
        yield _decode(record.payload, path, record.seq)


def only(told: Iterator[Step], runs: Runs, *, strategy: str = "", underlying: str = "") -> Iterator[Step]:
    """The same steps with what one strategy or underlying did: wishes, refusals, reports, mints and redemptions, and
    what was noted of its trades; empty is all of them.

    Charges and corrections are of what is held, whoever wanted it: those of an underlying stay, those of a strategy
    cannot be told.
    """
    mine = {one.name for one in runs.universe() if one.underlying == underlying and not strategy}
    if not (strategy or underlying):
        yield from told
        return
    known: dict[str, None] = {}
    for step in told:
        wishes = tuple(
            wish
            for wish in step.wishes
            if (not strategy or wish.strategy == strategy) and (not underlying or wish.underlying == underlying)
        )
        asked = tuple(
            order
            for order in step.conversions
            if (not strategy or order.strategy == strategy) and (not underlying or order.underlying == underlying)
        )
        for id in (*(wish.id for wish in wishes), *(order.id for order in asked)):
            remember(known, id, None)
        yield msgspec.structs.replace(
            step,
            wishes=wishes,
            refused=tuple(one for one in step.refused if one.intent.id in known),
            approved=tuple(id for id in step.approved if id in known),
            reports=tuple(report for report in step.reports if report.intent_id in known),
            conversions=asked,
            progress=tuple(word for word in step.progress if word.id in known),
            charges=tuple(one for one in step.charges if runs.names(step.seq)[one.instrument] in mine),
            notes=tuple(
                note
                for note in step.notes
                if (note.kind != "trade" or note.detail["trade"] in known)
                and (note.kind != ADJUST or (note.instrument >= 0 and runs.names(step.seq)[note.instrument] in mine))
            ),
        )


def remember(kept: dict[str, Any], id: str, value: Any) -> None:
    """Puts a value in, and lets the oldest go where there are too many."""
    kept[id] = value
    if len(kept) > REMEMBERED:
        del kept[next(iter(kept))]


_DECODER: Final = msgspec.msgpack.Decoder(Step)


def _decode(payload: bytes, path: Path, seq: int) -> Step:
    try:
        return _DECODER.decode(payload)
    except msgspec.MsgspecError as error:
        hint = "pegline journal verify tells whether it is what was written"
        raise JournalError(f"record {seq} is no decision record: {error}", where=str(path), hint=hint) from error


def _instruments(start: Note) -> tuple[Instrument, ...]:
    """What the first record of a run says; older ones told the names alone."""
    try:
        if told := str(start.detail.get("universe", "")):
            return msgspec.json.decode(told, type=tuple[Instrument, ...])
        names = [name.partition(":") for name in str(start.detail["instruments"]).split("\n")]
        return tuple(
            Instrument(venue=venue, symbol=symbol, role=Role.TOKEN, quote=UNSAID) for venue, _, symbol in names
        )
    except (msgspec.MsgspecError, RegistryError) as error:
        raise JournalError(f"the instruments of a run cannot be read: {error}") from error
