"""Going on after a restart: what earlier records say is folded into the ledger and the memory of the review."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan

import msgspec

from connectors.errors import DataError
from connectors.instruments import Universe
from connectors.orders import Fill, Intent
from strategies.base import Note, Step
from strategies.execution.ledger import Ledger
from strategies.execution.memory import Memory
from strategies.execution.stops import heed_note
from strategies.market.basis import Basis
from strategies.market.pools import INCENTIVE, POOL_DAY


@dataclass(frozen=True, slots=True)
class Restored:
    """What earlier records leave to a run."""

    seq: int = 0
    """Number of the last record."""
    abandoned: tuple[str, ...] = ()
    """Ids of intents left open at the end."""
    multipliers: dict[int, float] = field(default_factory=dict)
    """Multipliers that were in force, by today's number of the instrument."""
    basis: dict[int, tuple[Basis, float]] = field(default_factory=dict)
    """The basis that was known last, and the multiplier that it was told under. Ambiguous and impossible are none: they
    say that it is not known now, not that it was never."""
    announced: dict[int, tuple[float, float]] = field(default_factory=dict)
    """The latest announced (shares per unit, activation in unix seconds) of an instrument."""
    pools: tuple[tuple[int, Note], ...] = ()
    """What was noted of pools with incentives, in order, each with today's number of the instrument."""
    pegs: tuple[Note, ...] = ()
    """The last notes of the peg: the state that was known last of each instrument and token, and what is usual."""


def restore(steps: Iterable[Step], universe: Universe, ledger: Ledger, memory: Memory) -> Restored:
    """Folds records in order into the ledger and the memory of the review, and says what else they leave.

    An instrument is known by its name, which the first record of each run tells, never by its number of then. An
    intent that was under way when the process died has no answer on paper any more: it is abandoned, and said in the
    first record of the next run. Raises DataError where an instrument that was traded is no longer in the universe.
    """
    wishes: dict[str, Intent] = {}
    open_legs: dict[str, set[int]] = {}
    names: Sequence[str] = ()
    numbers = {instrument.name: number for number, instrument in enumerate(universe)}
    seq = 0
    multipliers: dict[int, float] = {}
    basis: dict[int, tuple[Basis, float]] = {}
    announced: dict[int, tuple[float, float]] = {}
    pools: list[tuple[int, Note]] = []
    pegs: dict[tuple[str, int | str], Note] = {}
    for step in steps:
        seq = step.seq
        for note in step.notes:
            if note.kind == "start":
                open_legs.clear()
                wishes.clear()
                names = str(note.detail.get("instruments", "")).split("\n")
            elif note.kind == "day":
                memory.day, memory.day_start_net = int(note.detail["day"]), float(note.detail["net_usd"])
            elif note.kind == "peak":
                memory.peak_usd = memory.told_peak_usd = float(note.detail["net_usd"])
            elif note.kind in ("hold", "resumed"):
                heed_note(memory, note)
            elif note.kind in (INCENTIVE, POOL_DAY) and names[note.instrument] in numbers:
                pools.append((numbers[names[note.instrument]], note))
            elif note.kind in ("peg_state", "peg_usual") and names[note.instrument] in numbers:
                # That it was unknown in between says nothing of how it stood.
                if note.detail.get("to") != "UNKNOWN":
                    number = numbers[names[note.instrument]]
                    pegs[note.kind, number] = msgspec.structs.replace(note, instrument=number)
            elif note.kind == "token_state" and note.detail["to"] != "UNKNOWN":
                pegs[note.kind, f"{note.detail['token']} {note.detail['issuer']}"] = note
            elif note.kind in ("multiplier", "multiplier_scheduled", "basis") and names[note.instrument] in numbers:
                number = numbers[names[note.instrument]]
                if note.kind == "multiplier":
                    multipliers[number] = float(note.detail["new"])
                elif note.kind == "basis":
                    if (told := Basis(str(note.detail["basis"]))).known:
                        basis[number] = told, float(note.detail.get("multiplier", nan))
                else:
                    announced[number] = float(note.detail["value"]), float(note.detail["activates"])
        approved = set(step.approved)
        for intent in step.wishes:
            if intent.id in approved:
                wishes[intent.id] = intent
                memory.approve(intent, step.ts)
                open_legs[intent.id] = set(range(len(intent.legs)))
        for report in step.reports:
            intent = wishes[report.intent_id]
            news = msgspec.structs.replace(
                report,
                fills=tuple(_renumbered(fill, names, numbers) for fill in report.fills),
                undone=tuple(_renumbered(fill, names, numbers) for fill in report.undone),
            )
            for fill in ledger.take(news, seen=intent.legs[report.leg].seen):
                memory.funds.hear(fill, universe[fill.instrument].venue)
            if report.final:
                open_legs[report.intent_id].discard(report.leg)
            if not open_legs[report.intent_id]:
                del open_legs[report.intent_id], wishes[report.intent_id]
    # What was under way is abandoned, and gives its place back.
    memory.open_intents.clear()
    return Restored(seq, tuple(open_legs), multipliers, basis, announced, pools=tuple(pools), pegs=tuple(pegs.values()))


def _renumbered(fill: Fill, names: Sequence[str], numbers: dict[str, int]) -> Fill:
    """A fill of an earlier run under today's number of its instrument."""
    name = names[fill.instrument]
    if name not in numbers:
        raise DataError(
            "the journal holds fills of an instrument that the config no longer has",
            where=name,
            hint="keep it in the config, or begin with another [run] state_dir",
        )
    return msgspec.structs.replace(fill, instrument=numbers[name])
