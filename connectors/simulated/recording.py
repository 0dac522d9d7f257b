"""Writes a simulated world as a tape, so that a backtest runs on what the demo shows."""

from __future__ import annotations

from pathlib import Path

import msgspec

from connectors.simulated.faults import Faults, SessionsAt
from connectors.simulated.world import SECONDS, START_NS, World, simulate
from connectors.tape import TapeWriter


def write_tape(
    path: Path,
    seed: int,
    *,
    start_ns: int = START_NS,
    seconds: float = SECONDS,
    faults: Faults | None = None,
    sessions: SessionsAt,
) -> World:
    """Simulates a world and writes its rows to a new tape at `path`; its provenance says what was injected.

    Raises DataError as `simulate` does, TapeError where the tape cannot be written.
    """
    world = simulate(seed, start_ns, seconds, faults, sessions=sessions)
    provenance = {
        "source": "simulated",
        "seed": seed,
        "start_ns": start_ns,
        "seconds": seconds,
        "injected": [msgspec.to_builtins(fault) for fault in world.injected],
    }
    writer = TapeWriter(path, world.universe, provenance)
    try:
        writer.append(world.rows)
    finally:
        writer.close()
    return world
