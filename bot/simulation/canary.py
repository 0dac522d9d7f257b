"""I12, no secret: the key of every venue of a scene is a canary, and nothing that the scene leaves may hold it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.config import Config
from bot.invariants import Breach
from bot.keys import reader

if TYPE_CHECKING:
    from bot.simulation.driver import Driver

CANARY: Final = "canary-4d7a1b90c2"
"""In every secret of the simulated world."""
NAME: Final = "secret"
"""Of the secret in its key file."""


def planted(config: Config, state: Path) -> Config:
    """The config with a key file for each venue, in the folder of the scene."""
    venues = {}
    for venue, table in config.venues.items():
        path = state / f"{venue}.key"
        path.write_text(f'{NAME} = "{CANARY}-{venue}"\n', encoding="utf-8")
        venues[venue] = table.model_copy(update={"key_file": str(path)})
    return config.model_copy(update={"venues": venues})


def secret(config: Config, venue: str) -> str:
    """What the connector of a venue knows and must not tell."""
    return reader(Path(config.venues[venue].key_file), venue=venue)()[NAME]


def leaks(run: Driver, state: Path) -> list[Breach]:
    """Where it stands all the same: each kind of output once."""
    return [
        Breach("I12", f"a secret stands in {where}", run.now)
        for where, texts in _outputs(run, state)
        if any(CANARY.encode() in text for text in texts)
    ]


def _outputs(run: Driver, state: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Everything that a run writes or tells, by what it is."""
    yield "the journal", (payload for _, _, payload, _ in run.disk.records)
    yield "the story", (line.encode() for line in run.window.story)
    yield (
        "the metrics",
        (word.encode() for scrape in run.window.scrapes for one in scrape.samples() for word in one.labels.values()),
    )
    yield "a warning", (text.encode() for text in run.warned)
    yield "a breach", (str(one).encode() for one in run.breaches)
    yield (
        "a file of the state folder",
        (path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file() and path.suffix != ".key"),
    )
