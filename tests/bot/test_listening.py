"""The feeds of a run, each on its own: bot/listening.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bot.inbox import Inbox
from bot.listening import Listening
from connectors.errors import Action, ConnectorError, EntitlementLost, SymbolUnknown
from connectors.events import NS, Health, Kind, Why
from connectors.instruments import Instrument, Role, Universe
from connectors.ports import Sink
from tests.servers.heard import no_wait

A = Instrument(venue="a", symbol="S", role=Role.SHARE, underlying="S")
B = Instrument(venue="b", symbol="S", role=Role.SHARE, underlying="S")


class Said:
    """A feed that says one price of its instruments and then does what the test wants."""

    def __init__(self, *instruments: Instrument, then: Callable[[], Any], price: bool = True) -> None:
        self.venue = instruments[0].venue if instruments else "file"
        self.instruments = instruments
        self.then, self.price = then, price

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """One price each, then the end."""
        for instrument in self.instruments if self.price else ():
            sink.cleared([numbers[instrument.name]], Why.NOT_HEARD)
            sink.put(Kind.REFERENCE, numbers[instrument.name], bid=1.0, ask=1.1)
        if (error := self.then()) is not None:
            raise error
        await asyncio.Event().wait()


def listening(*feeds: Said) -> tuple[Listening, Inbox]:
    """Those feeds and their inbox."""
    universe = Universe((A, B))
    inbox = Inbox(universe, clock=lambda: NS)
    return Listening(feeds, inbox, universe, sleep=no_wait, warn=lambda text: None), inbox


@pytest.mark.parametrize("error", [ValueError("a fault"), SymbolUnknown("none of S is listed")])
async def test_what_a_feed_said_before_it_fell_is_down(error: Exception) -> None:
    """
    An adapter that breaks, or a venue that stops, without a word of its own: its instruments are down at once, and not
    only when their last price has aged. The other feed's are not touched.
    """
    both, inbox = listening(Said(A, then=lambda: error), Said(B, then=lambda: None))
    running = asyncio.create_task(both.run())
    async with asyncio.timeout(10):
        while "a" not in both.gave_up or sum(inbox.heard) < 2:
            await no_wait(0)
    assert (Health.DOWN, Why.NOT_HEARD) == inbox.standing.state(0)
    assert (Health.UP, Why.NOTHING) == inbox.standing.state(1)
    running.cancel()


@pytest.mark.parametrize("error", [SymbolUnknown("not listed"), EntitlementLost("the venue answers 401")])
async def test_a_file_kept_by_hand_does_not_keep_a_dead_run_alive(error: ConnectorError) -> None:
    """
    Every venue has given up; a feed without instruments of its own has nobody left to speak for, and the run ends.
    """
    assert error.action is Action.STOP_VENUE
    all_of_them, _ = listening(Said(A, then=lambda: error, price=False), Said(then=lambda: None))
    with pytest.raises(type(error)):
        async with asyncio.timeout(10):
            await all_of_them.run()
