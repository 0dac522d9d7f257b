"""Going on after a restart: what earlier records say is folded into the ledger and the memory of the review."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan

import msgspec

from connectors.errors import DataError
from connectors.instruments import Universe
from connectors.orders import Conversion, Fill, Intent, Report
from strategies.base import Note, Step
from strategies.execution.adjusting import KIND as ADJUST
from strategies.execution.adjusting import Adjustment, adjust, adjustment_of
from strategies.execution.folding import fold
from strategies.execution.ledger import Ledger, Taken
from strategies.execution.memory import Memory
from strategies.execution.stops import heed_note
from strategies.execution.trades import Trades
from strategies.market.basis import Basis
from strategies.market.pools import INCENTIVE, POOL_DAY


@dataclass(frozen=True, slots=True)
class Restored:
    """What earlier records leave to a run."""

    seq: int = 0
    """Number of the last record."""
    begun: int = 0
    """Moment of the first record, ns UTC."""
    ended: int = 0
    """Of the last one; 0: there is none."""
    equal_at: dict[str, int] = field(default_factory=dict)
    """When the account at a venue and the books were equal last, ns UTC."""
    accepted: set[tuple[str, str, str]] = field(default_factory=set)
    """Differences that an operator has accepted as they are: (venue, kind, subject)."""
    open_trades: tuple[str, ...] = ()
    """Ids of trades that are not over."""
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


def restore(
    steps: Iterable[Step], universe: Universe, ledger: Ledger, memory: Memory, trades: Trades | None = None
) -> Restored:
    """Folds records in order into the ledger, the memory of the review and the trades, and says what else they leave.

    An instrument is known by its name, which the first record of each run tells, never by its number of then. A trade
    that was under way when the process died is under way again. Raises DataError where an instrument that was traded,
    or that a trade under way needs, is no longer in the universe.
    """
    trades = trades or Trades(universe, worth=lambda number: nan)
    keeps = False
    names: Sequence[str] = ()
    numbers = {instrument.name: number for number, instrument in enumerate(universe)}
    seq = begun = ended = 0
    equal_at: dict[str, int] = {}
    accepted: set[tuple[str, str, str]] = set()
    multipliers: dict[int, float] = {}
    basis: dict[int, tuple[Basis, float]] = {}
    announced: dict[int, tuple[float, float]] = {}
    pools: list[tuple[int, Note]] = []
    pegs: dict[tuple[str, int | str], Note] = {}
    for step in steps:
        seq, begun, ended = step.seq, begun or step.ts, step.ts
        for note in step.notes:
            if note.kind == "start":
                keeps = "open_trades" in note.detail
                if not keeps:
                    trades.forget_all()
                names = str(note.detail.get("instruments", "")).split("\n")
            elif note.kind == "day":
                memory.day, memory.day_start_net = int(note.detail["day"]), float(note.detail["net_usd"])
            elif note.kind == "peak":
                memory.peak_usd = memory.told_peak_usd = float(note.detail["net_usd"])
            elif note.kind in ("hold", "resumed"):
                heed_note(memory, note)
            elif note.kind == "books":
                equal_at[str(note.detail["venue"])] = int(note.detail["equal_at"])
            elif note.kind == ADJUST:
                made = _adjustment(note, names, numbers)
                adjust(ledger, made)
                if not made.amount:
                    accepted.add(made.key)
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
        for report in step.reports:
            news = _news(report, names, numbers)
            sent = trades.order(news)
            if sent is None:
                taken = Taken(tuple(fill for fill in news.fills if ledger.fill(fill, seen=fill.price)))
            else:
                trades.heard(news, step.ts)
                taken = ledger.take(news, seen=sent.leg.seen, strategy=trades.strategy(news))
            for fill in taken.new:
                memory.funds.hear(fill, universe[fill.instrument].venue)
            for fill in taken.undone:
                memory.funds.hear(fill, universe[fill.instrument].venue, undone=True)
        approved = {intent.id: _placed(intent, names, numbers) for intent in step.wishes if intent.id in step.approved}
        for intent in approved.values():
            memory.approve(intent, step.ts)
        fold(trades, msgspec.structs.replace(step, wishes=tuple(approved.values())))
        for note in step.notes:
            if note.kind == "conversion_late":
                ledger.conversions.paged.add(str(note.detail["id"]))
        for order in step.conversions:
            ledger.convert(_asked_for(order, names, numbers), step.ts)
        for word in step.progress:
            ledger.progress(word)
        for cost in step.charges:
            number = _known(numbers.get(names[cost.instrument], -1), names[cost.instrument])
            ledger.charge(msgspec.structs.replace(cost, instrument=number))
        if not keeps:
            trades.forget_finals()
    memory.open_intents = trades.under_way()
    for trade, saga in trades.open.items():
        for leg in saga.plan.legs:
            _known(leg.instrument, trade)
    return Restored(
        seq=seq,
        begun=begun,
        ended=ended,
        equal_at=equal_at,
        accepted=accepted,
        open_trades=tuple(trades.open),
        multipliers=multipliers,
        basis=basis,
        announced=announced,
        pools=tuple(pools),
        pegs=tuple(pegs.values()),
    )


def _adjustment(note: Note, names: Sequence[str], numbers: dict[str, int]) -> Adjustment:
    """An operator's correction of an earlier run, under today's number of its instrument."""
    made = adjustment_of(note)
    if made.instrument < 0:
        return made
    number = numbers.get(names[made.instrument], -1)
    return msgspec.structs.replace(made, instrument=_known(number, names[made.instrument]))


def _news(report: Report, names: Sequence[str], numbers: dict[str, int]) -> Report:
    """A report of an earlier run under today's numbers of its instruments."""
    if not (report.fills or report.undone):
        return report
    fills, undone = (
        tuple(_renumbered(fill, names, numbers) for fill in told) for told in (report.fills, report.undone)
    )
    return msgspec.structs.replace(report, fills=fills, undone=undone)


def _renumbered(fill: Fill, names: Sequence[str], numbers: dict[str, int]) -> Fill:
    """A fill of an earlier run under today's number of its instrument."""
    number = numbers.get(names[fill.instrument], -1)
    return msgspec.structs.replace(fill, instrument=_known(number, names[fill.instrument]))


def _placed(intent: Intent, names: Sequence[str], numbers: dict[str, int]) -> Intent:
    """An intent of an earlier run under today's numbers; a leg whose instrument is gone has none (-1)."""
    legs = tuple(msgspec.structs.replace(leg, instrument=numbers.get(names[leg.instrument], -1)) for leg in intent.legs)
    then = None if intent.then is None else _asked_for(intent.then, names, numbers)
    return msgspec.structs.replace(intent, legs=legs, then=then)


def _asked_for(order: Conversion, names: Sequence[str], numbers: dict[str, int]) -> Conversion:
    """A mint or redemption of an earlier run under today's numbers of its instruments."""
    source, target = (_known(numbers.get(names[at], -1), names[at]) for at in (order.source, order.target))
    return msgspec.structs.replace(order, source=source, target=target)


def _known(number: int, name: str) -> int:
    """The number of an instrument that the config must still have."""
    if number < 0:
        raise DataError(
            "the journal holds fills or orders of an instrument that the config no longer has",
            where=name,
            hint="keep it in the config, or begin with another [run] state_dir",
        )
    return number
