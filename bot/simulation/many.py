"""Many scenes at once, over processes; and what they came to, by kind of fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import msgspec

from bot.paths import prepare_kernel
from bot.simulation.fault import ROWS
from bot.simulation.outcome import Outcome, broken_off
from bot.simulation.scene import Scene

CHUNK = 8
"""Scenes that a process takes at a time."""


class OfFault(msgspec.Struct, kw_only=True):
    """What a kind of fault did in all scenes in which it was."""

    row: int
    fault: str
    scenes: int = 0
    struck: int = 0
    """How often it really befell something."""
    broke: int = 0
    """Scenes that breached something."""
    detected_s: float = 0.0
    """The longest of all scenes, as in Outcome; also the next two."""
    recovered_s: float = 0.0
    worst_naked_usd_s: float = 0.0


class Total(msgspec.Struct, kw_only=True):
    """What all scenes came to."""

    scenes: int = 0
    broke: tuple[Outcome, ...] = ()
    trades: int = 0
    ends: dict[str, int] = {}
    orders: int = 0
    fills: int = 0
    hedges: int = 0
    unwinds: int = 0
    conversions: int = 0
    pages: int = 0
    restarts: int = 0
    records: int = 0
    faults: tuple[OfFault, ...] = ()


COUNTED = ("trades", "orders", "fills", "hedges", "unwinds", "conversions", "pages", "restarts", "records")


def total_of(outcomes: Iterable[Outcome]) -> Total:
    """Adds scenes up."""
    total, faults, broke = Total(), dict[str, OfFault](), list[Outcome]()
    for one in outcomes:
        total.scenes += 1
        for name in COUNTED:
            setattr(total, name, getattr(total, name) + getattr(one, name))
        for end, count in one.ends.items():
            total.ends[end] = total.ends.get(end, 0) + count
        broke += [one] if one.breaches else []
        for fault in one.faults:
            seen = faults.setdefault(fault.what, OfFault(row=fault.row, fault=str(fault.what)))
            seen.scenes += 1
            seen.struck += one.struck[fault.what]
            seen.broke += bool(one.breaches)
            seen.detected_s = max(seen.detected_s, one.detected_s or 0.0)
            seen.recovered_s = max(seen.recovered_s, one.recovered_s or 0.0)
            seen.worst_naked_usd_s = max(seen.worst_naked_usd_s, one.worst_naked_usd_s)
    order = {kind.value: at for at, kind in enumerate(ROWS)}
    total.faults = tuple(sorted(faults.values(), key=lambda one: (one.row, order[one.fault])))
    total.broke = tuple(broke)
    return total


def play_many(scenes: Sequence[Scene], jobs: int, progress: Callable[[int, int], None]) -> list[Outcome]:
    """Every scene's outcome, in their order; `progress` hears how many are done and how many of them broke."""
    found: list[Outcome] = []
    broke = 0
    for outcome in _outcomes(scenes, jobs):
        found.append(outcome)
        broke += not outcome.ok
        progress(len(found), broke)
    return found


def _outcomes(scenes: Sequence[Scene], jobs: int) -> Iterator[Outcome]:
    if jobs == 1 or len(scenes) <= CHUNK:
        yield from map(_play, scenes)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=prepare_kernel) as pool:
        yield from pool.map(_play, scenes, chunksize=CHUNK)


def _play(scene: Scene) -> Outcome:
    """One scene; imported where it runs, since a process that is told where the kernel's cache is must hear that first.

    An error that leaves the bot is what a scene was broken by: its process would have ended.
    """
    from bot.simulation.disk import Crashed
    from bot.simulation.driver import play

    try:
        return play(scene)
    except (Exception, Crashed) as error:
        return broken_off(scene, f"{type(error).__name__}: {error}")
