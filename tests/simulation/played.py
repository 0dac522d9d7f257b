"""A scripted scene that was played to its end, and questions about it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bot.paths import prepare_kernel

prepare_kernel()

from bot.simulation.driver import Driver  # noqa: E402 - the kernel's cache must be chosen first
from bot.simulation.fault import Fault  # noqa: E402
from bot.simulation.scene import Scene, stage  # noqa: E402
from connectors.events import NS  # noqa: E402
from connectors.orders import Conversion, Intent, Report  # noqa: E402
from connectors.simulated.short import START_NS, Records, make  # noqa: E402
from connectors.simulated.venue import Order, Venue  # noqa: E402
from strategies.base import Note, Step, Strategy  # noqa: E402

SEEDS = (7, 8, 9, 10, 11)
VENUES = ("sim-beta", "sim-alpha", "sim-pool")


class Played:
    """One scene; everything is read from what is durable and from the truth of the venues."""

    def __init__(
        self,
        *faults: Fault,
        seed: int = 7,
        more: Callable[[], Sequence[Strategy]] = tuple,
        records: Records | None = None,
        without: Sequence[str] = (),
    ) -> None:
        """Plays it; `more`, `records` and `without` as of Driver."""
        self.faults = faults
        with tempfile.TemporaryDirectory() as state:
            self.driver = Driver(Scene(seed=seed, faults=faults), Path(state), more, records, without)
            self.outcome = self.driver.run()

    @cached_property
    def steps(self) -> list[Step]:
        """All records."""
        return list(self.driver.disk.steps())

    @cached_property
    def approved(self) -> list[tuple[Intent, Step]]:
        """Every intent that passed, with its record."""
        return [(wish, step) for step in self.steps for wish in step.wishes if wish.id in step.approved]

    @property
    def conversions(self) -> list[Conversion]:
        """Every mint or redemption that passed."""
        return [one for step in self.steps for one in step.conversions]

    @property
    def reports(self) -> list[Report]:
        """Everything that venues told."""
        return [report for step in self.steps for report in step.reports]

    def venue(self, name: str) -> Venue:
        """The truth of a venue."""
        return self.driver.world.outside.venues[name]

    def hit(self) -> list[Order]:
        """The orders that a fault befell, by their venues' books."""
        return [o for venue in self.driver.world.outside.venues.values() for o in venue.orders.values() if o.fault]

    def trade_of(self, client_id: str) -> str:
        """The trade of an order."""
        for wish, _ in self.approved:
            if client_id in [wish.client_id(leg) for leg in range(len(wish.legs))]:
                return wish.trade or wish.id
        raise KeyError(client_id)

    def notes(self, kind: str = "trade", trade: str = "") -> list[dict[str, Any]]:
        """Details of all notes of a kind, or of one trade."""
        found: list[Note] = [note for step in self.steps for note in step.notes if note.kind == kind]
        return [note.detail for note in found if not trade or note.detail.get("trade") == trade]

    def events(self, client_id: str) -> list[str]:
        """What was noted of the trade of an order, in order: events and stages."""
        return [str(one.get("event") or one["stage"]) for one in self.notes(trade=self.trade_of(client_id))]

    def orders(self, client_id: str) -> list[str]:
        """Client ids of all orders of the trade of an order."""
        trade = self.trade_of(client_id)
        return [
            wish.client_id(leg)
            for wish, _ in self.approved
            if trade in (wish.id, wish.trade)
            for leg in range(len(wish.legs))
        ]

    def sent_to(self, venue: str) -> list[int]:
        """When orders left for a venue, ns UTC."""
        universe = stage().universe
        ids = [w.client_id(at) for w, _ in self.approved for at, leg in enumerate(w.legs)
               if universe[leg.instrument].venue == venue]  # fmt: skip
        return sorted(self.driver.truth.sent[id] for id in ids if id in self.driver.truth.sent)

    def passed(self, begin_s: float, end_s: float, *words: str) -> list[Intent]:
        """Plans that were approved from `begin_s` to `end_s`, all of whose words stand in a leg's instrument."""
        begin, end = START_NS + round(begin_s * NS), START_NS + round(end_s * NS)
        names = [one.name for one in stage().universe]
        return [
            wish
            for wish, step in self.approved
            if begin <= step.ts < end
            and not wish.trade
            and any(all(word in names[leg.instrument] for word in words) for leg in wish.legs)
        ]


def striking(what: str, *, number: int = 0, **more: Any) -> Played:
    """The first scene in which a fault really befalls an order; one that is told by its venue and number."""
    for seed in SEEDS:
        for venue in VENUES:
            played = Played(Fault(what=what, where=venue, number=number, **more), seed=seed)
            if played.outcome.struck[what]:
                assert played.outcome.ok, played.outcome.breaches
                return played
    raise AssertionError(f"{what} befell nothing in {len(SEEDS)} seeds")


def in_a_gap(what: str, *, seed: int = 7, for_s: float = 40.0) -> Played:
    """A spell at the venue of the first gap of a market, for all of the gap."""
    universe = stage().universe
    for number in range(6):
        gaps = sorted(make(seed, universe, seconds=900.0, calm_s=300.0, gaps=10).gaps, key=lambda gap: gap.begin_s)
        one = universe[gaps[number].instrument]
        fault = Fault(what=what, where=one.venue, at_s=gaps[number].begin_s, for_s=for_s)
        played = Played(fault, seed=seed)
        if played.outcome.struck[what]:
            assert played.outcome.ok, played.outcome.breaches
            return played
    raise AssertionError(f"{what} befell nothing")
