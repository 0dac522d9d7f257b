"""What is run: a seed, the market that it makes, and the faults that strike there. The seed alone tells it again."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bot.config import Config
from bot.config_file import load
from bot.sessions import load_sessions
from bot.simulation.fault import BY_NAME, Fault, Places, draw
from bot.universe import universe_of
from connectors.instruments import Universe
from connectors.simulated.short import Market, make
from strategies.market.session import SessionTable

SECONDS: Final = 900.0
"""Of virtual time."""
CALM_S: Final = 300.0
"""At the end no fault begins and no gap is open, so that everything can come to its end."""
GAPS: Final = 10
FAULTS: Final = 2
"""So many different ones strike in each scene that is drawn."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    seed: int
    faults: tuple[Fault, ...] = ()


class Stage(NamedTuple):
    """What all scenes have in common; read once in a process."""

    config: Config
    universe: Universe
    sessions: SessionTable


@cache
def stage() -> Stage:
    """The config that is shipped for it, and its instruments."""
    with as_file(files("bot").joinpath("data", "selftest.toml")) as path:
        config = load(path)
    return Stage(config, universe_of(config), load_sessions())


def market(seed: int) -> Market:
    """The market of a seed."""
    return make(seed, stage().universe, seconds=SECONDS, calm_s=CALM_S, gaps=GAPS)


def places(config: Config, universe: Universe, made: Market) -> Places:
    """Where something can go wrong there."""
    named = {one.venue for one in universe}
    return Places(
        venues=tuple(name for name, venue in config.venues.items() if venue.taker_bps is not None and name in named),
        issuers=tuple(config.issuers),
        gaps=made.gaps,
        names=tuple(one.name for one in universe),
    )


def scene_of(seed: int, *, faults: int = FAULTS) -> Scene:
    """The scene that a seed draws: so many faults of different kinds."""
    found = places(stage().config, stage().universe, market(seed))
    rng = np.random.default_rng([seed, 72])
    kinds = list(BY_NAME.values())
    chosen = rng.permutation(len(kinds))[:faults]
    return Scene(seed=seed, faults=tuple(draw(rng, kinds[at], found) for at in chosen))


def scenes_of_faults(seed: int) -> tuple[Scene, ...]:
    """A scene for each kind of fault, in the order of their rows; in each that fault alone."""
    found = places(stage().config, stage().universe, market(seed))
    return tuple(
        Scene(seed=seed, faults=(draw(np.random.default_rng([seed, 73, at]), kind, found),))
        for at, kind in enumerate(BY_NAME.values())
    )
