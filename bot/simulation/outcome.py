"""What came of a scene: every trade's end, what was found wrong, how long it took to see and to mend."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from bot.simulation.canary import CANARY
from bot.simulation.fault import Event, Fault, Process
from connectors.events import NS
from connectors.orders import Purpose
from connectors.simulated.issuer_terms import IssuerFault
from connectors.simulated.order_faults import OrderFault, Trouble
from strategies.base import Step
from strategies.execution.saga import ENDS, Stage

if TYPE_CHECKING:
    from bot.simulation.driver import Driver
    from bot.simulation.scene import Scene

REPAIRS = frozenset({Stage.HEDGE, Stage.UNWIND, Stage.COOL, Stage.PAGED})


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of one scene."""

    seed: int
    faults: tuple[Fault, ...]
    struck: dict[str, int]
    """How often each fault really befell something, by its name."""
    breaches: tuple[str, ...]
    """What must never be and was; empty is well."""
    trades: int = 0
    ends: dict[str, int] = {}
    """How many trades came to each end."""
    orders: int = 0
    hedges: int = 0
    unwinds: int = 0
    conversions: int = 0
    pages: int = 0
    fills: int = 0
    records: int = 0
    restarts: int = 0
    detected_s: float | None = None
    """Longest time from the opening of a trade to the first sign that it does not go as planned."""
    recovered_s: float | None = None
    """Longest time from that sign, or from the crash, to the end of the trade."""
    worst_naked_usd_s: float = 0.0
    journal_hash: str = ""

    @property
    def ok(self) -> bool:
        """Nothing was breached."""
        return not self.breaches


def broken_off(scene: Scene, why: str) -> Outcome:
    """Of a scene that an error of the bot ended; `why` is what a crash would print."""
    struck = {fault.what: 0 for fault in scene.faults}
    leaks = ("I12: a secret stands in what ended the process",) if CANARY in why else ()
    ended = f"the process ended by {why}".replace(CANARY, "***")
    return Outcome(seed=scene.seed, faults=scene.faults, struck=struck, breaches=(ended, *leaks))


class _Times:
    """When trades were opened, looked odd and ended."""

    def __init__(self) -> None:
        self.opened: dict[str, int] = {}
        self.odd: dict[str, int] = {}
        self.ended: dict[str, tuple[int, str]] = {}

    def hear(self, step: Step) -> None:
        """Folds one record."""
        for wish in step.wishes:
            if wish.id in step.approved and not wish.trade:
                self.opened[wish.id] = step.ts
        for note in step.notes:
            if note.kind == "trade":
                trade, stage = str(note.detail["trade"]), note.detail.get("stage")
                if "event" in note.detail or stage in REPAIRS:
                    self.odd.setdefault(trade, step.ts)
                if stage in ENDS:
                    self.ended[trade] = step.ts, str(stage)


def outcome_of(run: Driver) -> Outcome:
    """What a run that is over came to."""
    assert run.parts is not None
    times, orders, purposes, conversions, pages = _Times(), 0, Counter[Purpose](), 0, 0
    steps = list(run.disk.steps())
    for step in steps:
        times.hear(step)
        passed = [wish for wish in step.wishes if wish.id in step.approved]
        purposes.update(wish.purpose for wish in passed)
        orders += sum(len(wish.legs) for wish in passed)
        conversions += len(step.conversions)
        pages += sum(note.detail.get("stage") == Stage.PAGED or note.kind == "conversion_late" for note in step.notes)
    detected = [times.odd[one] - opened for one, opened in times.opened.items() if one in times.odd]
    recovered = [end - times.odd[one] for one, (end, _) in times.ended.items() if one in times.odd]
    for begun in run.lives[1:]:
        recovered += [
            end - begun for one, (end, _) in times.ended.items() if times.opened.get(one, begun) < begun <= end
        ]
    return Outcome(
        seed=run.scene.seed,
        faults=run.scene.faults,
        struck=struck_of(run),
        breaches=tuple(str(breach) for breach in run.breaches),
        trades=len(times.opened),
        ends=dict(Counter(stage for _, stage in times.ended.values())),
        orders=orders,
        hedges=purposes[Purpose.HEDGE],
        unwinds=purposes[Purpose.UNWIND],
        conversions=conversions,
        pages=pages,
        fills=run.parts.ledger.fills,
        records=len(steps),
        restarts=len(run.lives) - 1,
        detected_s=max(detected) / NS if detected else None,
        recovered_s=max(recovered) / NS if recovered else None,
        worst_naked_usd_s=run.worst_usd_s,
        journal_hash=run.disk.hash(),
    )


def struck_of(run: Driver) -> dict[str, int]:
    """How often each fault of the scene befell something, by its name."""
    return {fault.what: _struck(run, fault) for fault in run.scene.faults}


def _struck(run: Driver, fault: Fault) -> int:
    """How often a fault befell something; one of the market or of the operator always does."""
    kind, outside = fault.kind, run.world.outside
    if isinstance(kind, (OrderFault, Trouble)):
        return outside.venues[fault.where].struck[kind.value]
    if isinstance(kind, IssuerFault) or kind is Event.FREEZE:
        issuer = outside.issuers[fault.where]
        if kind is Event.FREEZE:
            return int(len(issuer.orders) > 0)
        mine = issuer.terms.scripted[fault.number] is kind  # of two faults of one request the later one befalls it
        return int(mine and len(issuer.orders) > fault.number)
    if kind is Process.CRASH_SENDING:
        return int(run.sendings >= fault.number)
    return int(run.disk.tried >= fault.number) if isinstance(kind, Process) else 1
