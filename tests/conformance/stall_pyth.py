"""Pyth: two shares on the stream of server-sent events; bid and ask are the price and its confidence."""

from __future__ import annotations

from decimal import Decimal

from bot.clock import wall_ns
from connectors.events import NS, Kind
from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.pyth import PythServer

TSLA_ID, NVDA_ID = "ab" * 32, "cd" * 32
TSLA = Instrument(venue="pyth", symbol=TSLA_ID, role=Role.SHARE, underlying="TSLA")
NVDA = Instrument(venue="pyth", symbol=NVDA_ID, role=Role.SHARE, underlying="NVDA")


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
    Stall(
        name="pyth",
        feed="pyth",
        server=PythServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
        kind=Kind.REFERENCE,
        sizes=False,
        levels=False,
        snapshots=False,
        crossed="wrong_type",
        venue_kind="oracle",
        unlisted="ef" * 32,
    ),
)
