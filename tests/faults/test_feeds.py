"""Faults of single feeds, by their rows in the fault matrix: found in time, alone, and healed by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.events import Health
from tests.conformance.stall import Stall, stalls
from tests.faults.market import Market, open_market


def everyone() -> tuple[Stall, ...]:
    """One stall for every venue; where a venue has several lanes, the first by name."""
    return tuple({stall.venue: stall for stall in reversed(stalls())}.values())


@contextmanager
def report(row: int, what: str) -> Iterator[dict[str, float]]:
    """Prints the times of a fault's story."""
    times: dict[str, float] = {}
    yield times
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in times.items())
    print(f"fault {row} ({what}): {said}")


def others_live(market: Market, venue: str) -> bool:
    """Whether every other venue is up and seen as it is."""
    return not market.differs([venue]) and all(name.startswith(f"{venue}:") for name in market.not_up())


@pytest.mark.timeout(240)
async def test_all_venues_at_once_are_seen_as_they_are() -> None:
    """
    One daemon follows every venue: its columns are the venues' own books, through many changes.
    """
    async with open_market(everyone()) as market:
        print(f"all up and equal after {await market.agrees(patience_s=60):.2f} s")
        for step in range(1, 40):
            await market.show_all(step)
        await market.agrees()
        assert {i.venue for i in market.daemon.universe} == set(market.stalls)


@pytest.mark.timeout(240)
async def test_row_1_a_reset_is_found_and_healed_alone() -> None:
    """
    1. Each venue's connections are reset in turn: it is down, nothing of it may be traded, the others go on; it is
    back with the book of that moment.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        for step, (venue, stall) in enumerate(market.stalls.items(), 1):
            with report(1, venue) as times:
                market.proxies[venue].refusing = True
                market.proxies[venue].reset()
                name = stall.instruments[0].name
                times["detected"] = await market.until(lambda n=name: market.state(n) is Health.DOWN)  # type: ignore[misc]
                await market.show_all(step)
                await market.until(lambda v=venue: others_live(market, v))  # type: ignore[misc]
                assert not market.eligible(name)
                market.proxies[venue].heal()
                if not stall.snapshots:
                    await stall.follows(market.servers[venue], 2)
                    await market.show_all(step)
                times["recovered"] = await market.agrees()
