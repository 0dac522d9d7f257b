"""Pyth: two shares on the stream of server-sent events; bid and ask are the price and its confidence."""

from __future__ import annotations

from decimal import Decimal

from bot.clock import wall_ns
from connectors.events import NS
from connectors.instruments import Instrument
from tests.conformance.stall import Top, oracle, shares
from tests.servers.pyth import PythServer


async def show(server: PythServer, instrument: Instrument, top: Top) -> None:
    """One update, a second younger than the one before: one of the same second is no news."""
    bid, ask = Decimal(top.bid), Decimal(top.ask)
    middle, width = ((bid + ask) / 2).scaleb(5), ((ask - bid) / 2).scaleb(5)
    before = server.updates.get(instrument.symbol)
    at = before["price"]["publish_time"] + 1 if before else wall_ns() // NS - 100
    await server.say(instrument.symbol, f"{middle:.0f}", f"{width:.0f}", at=at)


async def follows(server: PythServer, connection: int) -> None:
    """A stream with both ids is open."""
    await server.until(lambda: server.connections >= connection and bool(server.streams))


STALLS = (
    oracle(
        name="pyth",
        feed="pyth",
        server=PythServer,
        instruments=shares("pyth", "ab" * 32, "cd" * 32),
        show=show,
        follows=follows,
        sizes=False,
        snapshots=False,
        crossed="wrong_type",
        unlisted="ef" * 32,
    ),
)
