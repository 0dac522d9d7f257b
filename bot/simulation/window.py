"""What an operator would see of a scene: the desk of each life, its story, and the metrics when they are scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.samples import Sample

from bot.assembly import Assembly
from bot.config import Config
from bot.facts import facts_of
from bot.simulation.disk import Disk
from monitoring.desk import Desk
from monitoring.facts import FeedState, LoopState
from strategies.base import Step

FILE: Final = "selftest.toml"


class Scrape(NamedTuple):
    """What /metrics showed at one moment."""

    ts: int
    """ns UTC."""
    families: tuple[Metric, ...]

    def values(self, name: str, labels: Mapping[str, str]) -> list[float]:
        """The values of all series of a metric that have these labels."""
        return [one.value for one in self.samples() if one.name == name and labels.items() <= one.labels.items()]

    def samples(self) -> Iterator[Sample]:
        """All series."""
        return (one for family in self.families for one in family.samples)


class Window:
    """One for all lives of a process: what was shown stays, what was counted is gone with the process."""

    def __init__(self, config: Config, disk: Disk) -> None:
        """`disk` is where the process journals."""
        self._disk = disk
        self._facts = facts_of(config, mode="dry_run", file=FILE)
        self.scrapes: list[Scrape] = []
        self.story: list[str] = []

    def begin(self, parts: Assembly) -> Callable[[Step], None]:
        """A process begins, restored; gives what its records are told to."""
        venues = dict.fromkeys(one.venue for one in parts.columns.universe)
        engine = parts.engine

        def feeds() -> list[FeedState]:
            stands = {venue: desk.tally.venues.get(venue, ("up", "")) for venue in venues}
            return [
                FeedState(venue=venue, feed="simulated", up=state in ("up", "degraded"), state=state, why=why)
                for venue, (state, why) in stands.items()
            ]

        def loop() -> LoopState:
            return LoopState(journal_error=self._disk.failed)

        self._desk = desk = Desk(
            parts.columns,
            facts=self._facts,
            feeds=feeds,
            positions=dict(parts.ledger.positions),
            conversions=parts.ledger.conversions,
            loop=loop,
            accounts=engine.dealer.comparer.states,
            use=engine.use,
            backing=engine.backing_states,
        )
        return self._hear

    def _hear(self, step: Step) -> None:
        self.story += [line.text for line in self._desk.on_step(step)]

    def scrape(self, now: int) -> Scrape:
        """Somebody asks for /metrics."""
        self.scrapes.append(Scrape(now, tuple(self._desk.registry.collect())))
        return self.scrapes[-1]
